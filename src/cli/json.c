#include "json.h"

#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "utf8.h"

json_t *json_text(const char *text) {
    char *valid = utf8_valid_copy(text);
    json_t *made = json_string(valid ? valid : "");
    free(valid);
    return made;
}

json_t *json_finite(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

int json_print(const char *command, json_t *value, size_t flags) {
    char *text = value ? json_dumps(value, flags) : NULL;
    json_decref(value);
    if (!text) return cli_error(command, "out of memory"), CLI_DEVICE_FAILED;
    puts(text);
    free(text);
    return CLI_DONE;
}
