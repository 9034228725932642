/* Messages, options and the opening of a device, for every subcommand. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"

/* ---- Messages ---- */

int cli_error(const char *command, const char *format, ...) {
    va_list list;
    fflush(stdout);
    fprintf(stderr, "clattn%s%s: ", *command ? " " : "", command);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return CLI_BAD_USE;
}

int cli_unknown_option(const char *command, const char *option, const char *const *known) {
    const char *closest = cli_closest(option, known);
    return cli_error(command, "unknown option %s%s%s%s (`clattn %s%s--help` lists them)", option, closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "", command, *command ? " " : "");
}

int cli_exit_code(clattn_status status) {
    switch (status) {
    case CLATTN_OK: return CLI_DONE;
    case CLATTN_ERROR_ARGUMENT: case CLATTN_ERROR_SHAPE: case CLATTN_ERROR_TYPE: case CLATTN_ERROR_UNSUPPORTED:
    case CLATTN_ERROR_FILE: case CLATTN_ERROR_FORMAT: return CLI_BAD_USE;
    case CLATTN_ERROR_OUT_OF_MEMORY: case CLATTN_ERROR_NO_DEVICE: case CLATTN_ERROR_BUILD: case CLATTN_ERROR_DRIVER: break;
    }
    return CLI_DEVICE_FAILED;
}

int cli_failed(const char *command, const clattn_context *context, clattn_status status) {
    const char *message = clattn_message(context);
    if (status) cli_error(command, "%s", *message ? message : clattn_status_text(status));
    return cli_exit_code(status);
}

/* ---- Mistyped words ---- */

/* Letters to insert, remove or change to make one word of the other. */
static size_t distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    const size_t n = strlen(a), m = strlen(b);
    size_t row[LONGEST + 1];
    if (n > LONGEST || m > LONGEST) return LONGEST;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t change = diagonal + (a[i - 1] != b[j - 1]), insert = row[j - 1] + 1, drop = row[j] + 1;
            diagonal = row[j];
            row[j] = change < insert ? change : insert;
            if (drop < row[j]) row[j] = drop;
        }
    }
    return row[m];
}

const char *cli_closest(const char *word, const char *const *words) {
    const char *closest = NULL;
    size_t least = strlen(word) / 3 + 1; /* more changes than a third of the letters is another word */
    for (; *words; words++) {
        const size_t d = distance(word, *words);
        if (d > least || (closest && d == least)) continue;
        closest = *words;
        least = d;
    }
    return closest;
}

/* ---- Options ---- */

bool cli_option(cli_arguments *arguments, const char *name) {
    if (strcmp(arguments->argv[arguments->index], name) != 0) return false;
    arguments->index++;
    return true;
}

bool cli_option_value(cli_arguments *arguments, const char *name, const char **value) {
    const char *argument = arguments->argv[arguments->index];
    const size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || (argument[length] && argument[length] != '=')) return false;
    arguments->index++;
    *value = argument[length] ? argument + length + 1 : arguments->index < arguments->argc ? arguments->argv[arguments->index++] : NULL;
    if (!*value) cli_error(arguments->argv[0], "%s needs a value", name);
    return true;
}

bool cli_integer(const char *command, const char *option, const char *text, long low, long high, long *value) {
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    if (end != text && !*end && !errno && *value >= low && *value <= high) return true;
    cli_error(command, "%s %s: expected an integer in %ld..%ld", option, text, low, high);
    return false;
}

int cli_device_option(cli_arguments *arguments, cli_device_options *options) {
    options->command = arguments->argv[0];
    if (cli_option_value(arguments, "--device", &options->device)) return options->device ? 1 : -1;
    if (cli_option(arguments, "-v") || cli_option(arguments, "--verbose")) return options->verbose++, 1;
    if (cli_option(arguments, "-vv")) return options->verbose += 2, 1;
    return 0;
}

/* ---- The device ---- */

static void print_log(void *user, clattn_log_level level, const char *message) {
    const cli_device_options *options = user;
    if ((int)level <= options->verbose) fprintf(stderr, "clattn %s: %s%s\n", options->command, level == CLATTN_LOG_WARNING ? "warning: " : "", message);
}

int cli_open(const cli_device_options *options, clattn_context **context) {
    const clattn_open_params params = { .device = options->device, .log = print_log, .log_user = (void *)options, .profile = options->profile };
    guard_begin(options->command);
    const clattn_status status = clattn_open(context, &params);
    guard_found_devices();
    return cli_failed(options->command, *context, status);
}
