#include "../ops/window.h"
#include "reference.h"

void clattn_reference_max_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_avg_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_global_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static bool inside(int64_t y, int64_t x, const clattn_tensor *image) {
    return y >= 0 && y < ref_size(image, 2) && x >= 0 && x < ref_size(image, 3);
}

/* The first maximum of a window, or its first NaN; -1 when no position lies inside. */
static int64_t max_index(const clattn_tensor *x, const double *plane, const clattn_window *w, int64_t oy, int64_t ox) {
    int64_t best = -1;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++)
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            const int64_t y = oy * w->stride[0] - w->before[0] + ky * w->dilation[0], at = ox * w->stride[1] - w->before[1] + kx * w->dilation[1];
            if (!inside(y, at, x)) continue;
            const int64_t here = y * ref_size(x, 3) + at;
            if (best < 0 || plane[here] > plane[best] || (isnan(plane[here]) && !isnan(plane[best]))) best = here;
        }
    return best;
}

void clattn_reference_max_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_max_pool2d_args *a = args;
    const int64_t kernel[2] = { clattn_window_value(&a->kernel, 0, 1), clattn_window_value(&a->kernel, 1, 1) };
    const clattn_window w = clattn_window_read(kernel, &a->stride, &a->padding, &a->dilation, kernel);
    const int64_t height = clattn_dim(call, "OH"), width = clattn_dim(call, "OW"), planes = ref_size(a->x, 0) * ref_size(a->x, 1);
    double *out = ref_values(a->out), *indices = ref_values(a->indices);
    (void)bounds;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t n = 0; n < height * width; n++) {
            const double *plane = ref_values(a->x) + p * ref_size(a->x, 2) * ref_size(a->x, 3);
            const int64_t best = max_index(a->x, plane, &w, n / width, n % width);
            if (out) *out++ = best < 0 ? -INFINITY : plane[best];
            if (indices) *indices++ = (double)best;
        }
}

static double mean(const clattn_avg_pool2d_args *a, const double *plane, const clattn_window *w, int64_t oy, int64_t ox) {
    const int64_t height = ref_size(a->x, 2), width = ref_size(a->x, 3);
    double sum = 0, count = 0;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++)
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            const int64_t y = oy * w->stride[0] - w->before[0] + ky * w->dilation[0], x = ox * w->stride[1] - w->before[1] + kx * w->dilation[1];
            const bool padded = y < height + w->after[0] && x < width + w->after[1];
            if (inside(y, x, a->x)) sum += plane[y * width + x];
            count += a->count_include_pad == CLATTN_ON ? padded : inside(y, x, a->x);
        }
    return count == 0 ? 0 : sum / count;
}

void clattn_reference_avg_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_avg_pool2d_args *a = args;
    const int64_t kernel[2] = { clattn_window_value(&a->kernel, 0, 1), clattn_window_value(&a->kernel, 1, 1) };
    const clattn_window w = clattn_window_read(kernel, &a->stride, &a->padding, &a->dilation, kernel);
    const int64_t height = clattn_dim(call, "OH"), width = clattn_dim(call, "OW"), planes = ref_size(a->x, 0) * ref_size(a->x, 1);
    double *out = ref_values(a->out);
    ref_bound(&bounds->sum, ref_rms(a->x));
    for (int64_t p = 0; p < planes; p++)
        for (int64_t n = 0; n < height * width; n++) *out++ = mean(a, ref_values(a->x) + p * ref_size(a->x, 2) * ref_size(a->x, 3), &w, n / width, n % width);
}

void clattn_reference_global_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_global_pool2d_args *a = args;
    const int64_t planes = ref_size(a->x, 0) * ref_size(a->x, 1), size = ref_size(a->x, 2) * ref_size(a->x, 3);
    const double *x = ref_values(a->x);
    double *out = ref_values(a->out);
    (void)call;
    if (a->kind == CLATTN_POOL_AVG && size) ref_bound(&bounds->sum, ref_rms(a->x) / sqrt((double)size));
    for (int64_t p = 0; p < planes; p++) out[p] = ref_pool((int)a->kind, x + p * size, size);
}
