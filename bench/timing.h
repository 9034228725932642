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

/* Seconds on a clock that only rises. */
double timing_now(void);

/* Of n >= 1 values, which it sorts; the median of an even number is the mean of the middle two. */
timing timing_summary(double *seconds, size_t n);

/* Runs an operation `runs` times, waiting after each, and leaves the time of each in `seconds`. `variant` NULL = the first
 * that fits; `chosen` may be NULL. */
clattn_status timing_samples(clattn_context *context, const clattn_op *op, const void *args, const char *variant, long runs, double *seconds, const char **chosen);

/* The same after TIMING_WARM_UPS unmeasured runs, summed up (runs >= 1). */
clattn_status timing_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, long runs, timing *result, const char **chosen);

#endif
