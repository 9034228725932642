#include "device.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void print_log(void *user, clattn_log_level level, const char *message) {
    (void)user;
    if (level == CLATTN_LOG_WARNING) fprintf(stderr, "clattn: %s\n", message);
}

/* PoCL, whose own cache keeps what it compiles, would compile each kernel once more to give its binary: half of the suite's time.
 * Drivers without a cache are given ours by CLATTN_TEST_CACHE. */
clattn_context *test_open(void) {
    clattn_context *context = NULL;
    const clattn_status status = clattn_open(&context, &(clattn_open_params){ .log = print_log, .no_cache = !getenv("CLATTN_TEST_CACHE") });
    cr_assert_eq(status, CLATTN_OK, "no device to test on: %s", clattn_message(context));
    return context;
}
