#include "reference.h"

void clattn_reference_reduce(const clattn_call *call, const void *args, clattn_bounds *bounds);

static bool is_reduced(const clattn_reduce_args *a, int axis) {
    for (int i = 0; i < a->axes.count; i++)
        if ((a->axes.values[i] + a->x->rank) % a->x->rank == axis) return true;
    return a->axes.count == 0;
}

/* Where the element `flat` of x counts in out. */
static int64_t target(const clattn_reduce_args *a, int64_t flat) {
    int64_t at = 0, step = 1;
    for (int i = a->x->rank - 1; i >= 0; i--) {
        if (!is_reduced(a, i)) {
            at += flat % ref_size(a->x, i) * step;
            step *= ref_size(a->x, i);
        }
        flat /= ref_size(a->x, i);
    }
    return at;
}

static double start(clattn_reduce_kind kind) {
    return kind == CLATTN_REDUCE_MAX ? -INFINITY : kind == CLATTN_REDUCE_MIN ? INFINITY : 0;
}

static double join(clattn_reduce_kind kind, double a, double v) {
    switch (kind) {
    case CLATTN_REDUCE_MAX: return v > a || isnan(v) ? v : a;
    case CLATTN_REDUCE_MIN: return v < a || isnan(v) ? v : a;
    case CLATTN_REDUCE_L2: return a + v * v;
    default: return a + v;
    }
}

void clattn_reference_reduce(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_reduce_args *a = args;
    const int64_t count = clattn_tensor_count(a->x), results = clattn_tensor_count(a->out);
    const double *x = ref_values(a->x), n = results ? (double)count / (double)results : 0;
    double *out = ref_values(a->out);
    (void)call;
    for (int64_t i = 0; i < results; i++) out[i] = start(a->kind);
    for (int64_t i = 0; i < count; i++) out[target(a, i)] = join(a->kind, out[target(a, i)], x[i]);
    for (int64_t i = 0; i < results && a->kind == CLATTN_REDUCE_MEAN; i++) out[i] /= n;
    for (int64_t i = 0; i < results && a->kind == CLATTN_REDUCE_L2; i++) out[i] = sqrt(out[i]);
    if (a->kind == CLATTN_REDUCE_SUM) ref_bound(&bounds->sum, sqrt(n) * ref_rms(a->x));
    if (a->kind == CLATTN_REDUCE_MEAN && n > 0) ref_bound(&bounds->sum, ref_rms(a->x) / sqrt(n));
}
