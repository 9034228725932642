#include "../ops/resize2d.h"
#include "reference.h"

void clattn_reference_resize2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* The elements around one position and their weights: 1, 2 or 4 of them. */
typedef struct taps {
    int count;
    int64_t at[4];
    double weights[4];
} taps;

static const double A = -0.75;

/* Keys' cubic convolution kernel at a distance from the position. */
static double cubic(double distance) {
    const double d = fabs(distance);
    if (d <= 1) return (A + 2) * d * d * d - (A + 3) * d * d + 1;
    return d < 2 ? A * d * d * d - 5 * A * d * d + 8 * A * d - 4 * A : 0;
}

static taps taps_of(const clattn_resize_axis *r, int mode, int64_t i) {
    const int64_t exact = i * r->step + r->start, whole = exact / r->parts - (exact % r->parts < 0);
    const double fraction = (double)(exact - whole * r->parts) / (double)r->parts;
    taps t = { .count = mode == CLATTN_RESIZE_NEAREST ? 1 : mode == CLATTN_RESIZE_LINEAR ? 2 : 4, .weights = { 1 } };
    for (int k = 0; k < t.count; k++) {
        const int64_t at = whole + k - (t.count == 4);
        t.at[k] = at < 0 ? 0 : at >= r->inputs ? r->inputs - 1 : at;
        if (t.count == 2) t.weights[k] = k ? fraction : 1 - fraction;
        if (t.count == 4) t.weights[k] = cubic(fraction - (k - 1));
    }
    return t;
}

static double interpolate(const double *plane, int64_t width, const taps *rows, const taps *columns) {
    double sum = 0;
    for (int j = 0; j < rows->count; j++)
        for (int k = 0; k < columns->count; k++) sum += rows->weights[j] * columns->weights[k] * plane[rows->at[j] * width + columns->at[k]];
    return sum;
}

void clattn_reference_resize2d(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_resize2d_args *a = args;
    const clattn_resize_axis y = clattn_resize_axis_of(call, a, 0), x = clattn_resize_axis_of(call, a, 1);
    const double *plane = ref_values(a->x);
    double *out = ref_values(a->out);
    ref_bound(&bounds->sum, ref_rms(a->x));
    for (int64_t p = 0; p < ref_size(a->x, 0) * ref_size(a->x, 1); p++, plane += y.inputs * x.inputs)
        for (int64_t i = 0; i < y.outputs; i++) {
            const taps rows = taps_of(&y, (int)a->mode, i);
            for (int64_t k = 0; k < x.outputs; k++) {
                const taps columns = taps_of(&x, (int)a->mode, k);
                *out++ = interpolate(plane, x.inputs, &rows, &columns);
            }
        }
}
