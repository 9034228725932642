#include "../ops/window.h"
#include "reference.h"

#include <stdlib.h>

void clattn_reference_conv_transpose2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* Adds one input value's products to the channel `o` of its group's outputs, and their squares to `squares`. */
static void spread(const clattn_window *w, double value, int64_t row, int64_t column, const double *weight, int64_t height, int64_t width, double *out, double *squares) {
    for (int64_t ky = 0; ky < w->kernel[0]; ky++)
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            const int64_t y = row * w->stride[0] - w->before[0] + ky * w->dilation[0], x = column * w->stride[1] - w->before[1] + kx * w->dilation[1];
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            const double term = value * weight[ky * w->kernel[1] + kx];
            out[y * width + x] += term;
            squares[y * width + x] += term * term;
        }
}

/* One channel of the result: squares has room for a plane. */
static void channel(const clattn_conv_transpose2d_args *a, const clattn_window *w, int64_t b, int64_t o, int64_t height, int64_t width, double *out, double *squares, clattn_bounds *bounds) {
    const int64_t channels = ref_size(a->x, 1), rows = ref_size(a->x, 2), columns = ref_size(a->x, 3), outputs = ref_size(a->weight, 1), inputs = channels / a->groups;
    for (int64_t i = 0; i < height * width; i++) {
        out[i] = a->bias ? ref_values(a->bias)[o] : 0;
        squares[i] = 0;
    }
    for (int64_t c = o / outputs * inputs; c < (o / outputs + 1) * inputs; c++)
        for (int64_t n = 0; n < rows * columns; n++)
            spread(w, ref_values(a->x)[(b * channels + c) * rows * columns + n], n / columns, n % columns, ref_values(a->weight) + (c * outputs + o % outputs) * w->kernel[0] * w->kernel[1], height, width, out, squares);
    for (int64_t i = 0; i < height * width; i++)
        if (isfinite(squares[i])) ref_bound(&bounds->sum, sqrt(squares[i]));
}

void clattn_reference_conv_transpose2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_conv_transpose2d_args *a = args;
    const clattn_window w = clattn_window_read(&a->weight->shape[2], &a->stride, &a->padding, &a->dilation, NULL);
    const int64_t height = clattn_dim(call, "OH"), width = clattn_dim(call, "OW"), channels = ref_size(a->weight, 1) * a->groups;
    double *squares = malloc(((size_t)(height * width) + 1) * sizeof *squares);
    for (int64_t b = 0; b < ref_size(a->x, 0) && squares; b++)
        for (int64_t o = 0; o < channels; o++) channel(a, &w, b, o, height, width, ref_values(a->out) + (b * channels + o) * height * width, squares, bounds);
    free(squares);
}
