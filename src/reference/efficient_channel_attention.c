#include "reference.h"

void clattn_reference_efficient_channel_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* The gate of channel `c` of one image. */
static double gate_of(const clattn_efficient_channel_attention_args *a, const double *image, int64_t c, clattn_bounds *bounds) {
    const int64_t channels = ref_size(a->x, 1), plane = ref_size(a->x, 2) * ref_size(a->x, 3), k = ref_size(a->weight, 2);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < k; i++) {
        const int64_t from = c + i - k / 2;
        if (from < 0 || from >= channels) continue;
        const double term = ref_values(a->weight)[i] * ref_pool(CLATTN_POOL_AVG, image + from * plane, plane);
        sum += term;
        if (isfinite(term)) squares += term * term;
    }
    ref_bound(&bounds->sum, sqrt(squares));
    return ref_sigmoid(sum);
}

void clattn_reference_efficient_channel_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_efficient_channel_attention_args *a = args;
    const int64_t channels = ref_size(a->x, 1), plane = ref_size(a->x, 2) * ref_size(a->x, 3);
    (void)call;
    for (int64_t n = 0; n < ref_size(a->x, 0) * channels; n++) {
        const double *image = ref_values(a->x) + n / channels * channels * plane, gate = gate_of(a, image, n % channels, bounds);
        if (a->gate) ref_values(a->gate)[n] = gate;
        for (int64_t i = 0; i < plane && a->out; i++) ref_values(a->out)[n * plane + i] = image[n % channels * plane + i] * gate;
    }
}
