#define _POSIX_C_SOURCE 200809L
#include "timing.h"

#include <stdlib.h>
#include <time.h>

double timing_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

timing timing_summary(double *seconds, size_t n) {
    qsort(seconds, n, sizeof *seconds, ascending);
    return (timing){ .min = seconds[0], .median = 0.5 * (seconds[(n - 1) / 2] + seconds[n / 2]), .max = seconds[n - 1] };
}

clattn_status timing_samples(clattn_context *context, const clattn_op *op, const void *args, const char *variant, long runs, double *seconds, const char **chosen) {
    clattn_status status = CLATTN_OK;
    for (long i = 0; i < runs && !status; i++) {
        const double start = timing_now();
        status = clattn_op_run(context, op, args, variant, chosen);
        if (!status) status = clattn_finish(context);
        seconds[i] = timing_now() - start;
    }
    return status;
}

clattn_status timing_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, long runs, timing *result, const char **chosen) {
    double *seconds = calloc((size_t)runs + TIMING_WARM_UPS, sizeof *seconds);
    if (!seconds) return CLATTN_ERROR_OUT_OF_MEMORY;
    clattn_status status = timing_samples(context, op, args, variant, TIMING_WARM_UPS, seconds, chosen);
    if (!status) status = timing_samples(context, op, args, variant, runs, seconds, chosen);
    if (!status) *result = timing_summary(seconds, (size_t)runs);
    free(seconds);
    return status;
}
