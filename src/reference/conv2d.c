#include "../ops/window.h"
#include "reference.h"

void clattn_reference_conv2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* One output: sum over the group's input channels and the taps that lie inside the input. */
static double output(const clattn_conv2d_args *a, const clattn_window *w, int64_t b, int64_t o, int64_t oy, int64_t ox, clattn_bounds *bounds) {
    const double *x = ref_values(a->x), *weight = ref_values(a->weight);
    const int64_t channels = ref_size(a->x, 1), height = ref_size(a->x, 2), width = ref_size(a->x, 3), inputs = ref_size(a->weight, 1);
    const int64_t first = o / (ref_size(a->weight, 0) / a->groups) * inputs;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++)
            for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                const int64_t y = oy * w->stride[0] - w->before[0] + ky * w->dilation[0], at = ox * w->stride[1] - w->before[1] + kx * w->dilation[1];
                if (y < 0 || y >= height || at < 0 || at >= width) continue;
                const double term = x[((b * channels + first + i) * height + y) * width + at] * weight[((o * inputs + i) * w->kernel[0] + ky) * w->kernel[1] + kx];
                sum += term;
                squares += term * term;
            }
    if (isfinite(squares)) ref_bound(&bounds->sum, sqrt(squares));
    return sum + (a->bias ? ref_values(a->bias)[o] : 0);
}

void clattn_reference_conv2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_conv2d_args *a = args;
    const clattn_window w = clattn_window_read(&a->weight->shape[2], &a->stride, &a->padding, &a->dilation, NULL);
    const int64_t height = clattn_dim(call, "OH"), width = clattn_dim(call, "OW");
    double *out = ref_values(a->out);
    if (a->precision == CLATTN_PRECISION_FAST) bounds->share = 1e-4;
    for (int64_t b = 0; b < ref_size(a->x, 0); b++)
        for (int64_t o = 0; o < ref_size(a->weight, 0); o++)
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) *out++ = ref_activation((int)a->activation, output(a, &w, b, o, y, x, bounds));
}
