#include "reference.h"

typedef double (*binary)(double a, double b);

static double add(double a, double b) {
    return a + b;
}

static double subtract(double a, double b) {
    return a - b;
}

static double multiply(double a, double b) {
    return a * b;
}

static double divide(double a, double b) {
    return a / b;
}

static double maximum(double a, double b) {
    return isnan(a) || isnan(b) ? (double)NAN : a > b ? a : b;
}

static double minimum(double a, double b) {
    return isnan(a) || isnan(b) ? (double)NAN : a < b ? a : b;
}

/* What is beyond f32's range is infinite, as the stored result must be. */
static double in_range(double x) {
    return fabs(x) >= 0x1.ffffffp127 ? copysign((double)INFINITY, x) : x;
}

static void each(const clattn_call *call, const clattn_elementwise_args *args, binary f) {
    const int rank = call->dims.rest_rank;
    const int64_t count = clattn_tensor_count(args->out);
    for (int64_t n = 0; n < count; n++) {
        int64_t index[CLATTN_MAX_RANK], rest = n;
        for (int i = rank - 1; i >= 0; i--) {
            index[i] = rest % args->out->shape[i];
            rest /= args->out->shape[i];
        }
        ref_values(args->out)[n] = in_range(f(ref_values(args->a)[ref_broadcast_index(args->a, rank, index)], ref_values(args->b)[ref_broadcast_index(args->b, rank, index)]));
    }
}

#define REFERENCE(name)                                                                                                \
    void clattn_reference_##name(const clattn_call *call, const void *args, clattn_bounds *bounds);                    \
    void clattn_reference_##name(const clattn_call *call, const void *args, clattn_bounds *bounds) {                   \
        (void)bounds;                                                                                                  \
        each(call, args, name);                                                                                        \
    }

REFERENCE(add)
REFERENCE(subtract)
REFERENCE(multiply)
REFERENCE(divide)
REFERENCE(maximum)
REFERENCE(minimum)
