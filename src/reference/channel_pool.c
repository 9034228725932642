#include "reference.h"

void clattn_reference_channel_pool(const clattn_call *call, const void *args, clattn_bounds *bounds);

static double pool(int kind, const double *x, int64_t channels, int64_t step) {
    double sum = 0, most = -INFINITY;
    for (int64_t c = 0; c < channels; c++) {
        const double v = x[c * step];
        sum += v;
        if (v > most || isnan(v)) most = v;
    }
    return kind == CLATTN_POOL_MAX ? most : sum / (double)channels;
}

void clattn_reference_channel_pool(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_channel_pool_args *a = args;
    const int64_t channels = ref_size(a->x, 1), pixels = ref_size(a->x, 2) * ref_size(a->x, 3);
    double *out = ref_values(a->out);
    (void)call;
    if (channels) ref_bound(&bounds->sum, ref_rms(a->x) / sqrt((double)channels));
    for (int64_t b = 0; b < ref_size(a->x, 0); b++)
        for (int k = 0; k < a->kinds.count; k++)
            for (int64_t p = 0; p < pixels; p++) *out++ = pool(a->kinds.kinds[k], ref_values(a->x) + b * channels * pixels + p, channels, pixels);
}
