#include "reference.h"

void clattn_reference_pixel_shuffle(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_pixel_shuffle(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_pixel_shuffle_args *a = args;
    const int64_t r = a->block, inputs = ref_size(a->x, 1), channels = inputs / (r * r), height = ref_size(a->x, 2), width = ref_size(a->x, 3);
    const double *x = ref_values(a->x);
    double *out = ref_values(a->out);
    (void)call;
    (void)bounds;
    for (int64_t b = 0; b < ref_size(a->x, 0); b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t y = 0; y < height * r; y++)
                for (int64_t at = 0; at < width * r; at++) {
                    const int64_t place = y % r * r + at % r, from = a->mode == CLATTN_SHUFFLE_CRD ? c * r * r + place : place * channels + c;
                    *out++ = x[((b * inputs + from) * height + y / r) * width + at / r];
                }
}
