#include "reference.h"

void clattn_reference_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_log_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds);

static int64_t mask_at(const clattn_softmax_args *a, int64_t flat) {
    int64_t index[CLATTN_MAX_RANK];
    if (!a->mask) return 1;
    for (int i = a->x->rank - 1; i >= 0; i--) {
        index[i] = flat % a->x->shape[i];
        flat /= a->x->shape[i];
    }
    return ref_values(a->mask)[ref_broadcast_index(a->mask, a->x->rank, index)] != 0;
}

static void row(const clattn_softmax_args *a, int64_t first, int64_t length, int64_t step, bool logarithm, clattn_bounds *bounds) {
    const double *x = ref_values(a->x), scale = 1 / (double)a->temperature.value;
    double *out = ref_values(a->out), largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < length; i++) {
        const double s = x[first + i * step] * scale;
        if (!mask_at(a, first + i * step)) continue;
        if (isfinite(s)) ref_bound(&bounds->score, fabs(s));
        if (s > largest || isnan(s)) largest = s;
    }
    for (int64_t i = 0; i < length; i++)
        if (mask_at(a, first + i * step) && largest != -INFINITY) sum += exp(x[first + i * step] * scale - largest);
    for (int64_t i = 0; i < length; i++) {
        const int64_t at = first + i * step;
        const bool counts = mask_at(a, at) && largest != -INFINITY;
        if (logarithm) out[at] = counts ? x[at] * scale - largest - log(sum) : -INFINITY;
        else out[at] = counts ? exp(x[at] * scale - largest) / sum : 0;
    }
}

static void rows(const clattn_call *call, const void *raw, bool logarithm, clattn_bounds *bounds) {
    const int64_t outer = clattn_dim(call, "outer"), inner = clattn_dim(call, "inner"), length = clattn_dim(call, "length");
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) row(raw, o * length * inner + i, length, inner, logarithm, bounds);
}

void clattn_reference_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    rows(call, args, false, bounds);
}

void clattn_reference_log_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    rows(call, args, true, bounds);
}
