/* Timing: whole calls from enqueue to completion, on tensors that are resident and frozen. */
#ifndef CLATTN_BENCH_TIMING_H
#define CLATTN_BENCH_TIMING_H

#include <clattn/clattn.h>

/* Unmeasured runs before the first measured one. */
#define TIMING_WARM_UPS 2

/* Seconds. */
typedef struct timing {
    double min, median, max;
} timing;

/* Runs an operation TIMING_WARM_UPS + `runs` times (runs >= 1), waiting after each. `variant` NULL = the first that fits;
 * `chosen` may be NULL. */
clattn_status timing_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, long runs, timing *result, const char **chosen);

#endif
