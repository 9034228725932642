#include "reference.h"

void clattn_reference_rotary(const clattn_call *call, const void *args, clattn_bounds *bounds);

static void angle(const clattn_rotary_args *a, int64_t position, int64_t pair, int64_t pairs, double *c, double *s) {
    if (!a->cos) {
        const double turned = (double)position * pow((double)a->base, -(double)pair / (double)pairs);
        *c = cos(turned);
        *s = sin(turned);
        return;
    }
    const bool inside = position >= 0 && position < ref_size(a->cos, 0);
    *c = inside ? ref_values(a->cos)[position * pairs + pair] : 0;
    *s = inside ? ref_values(a->sin)[position * pairs + pair] : 0;
}

static void head(const clattn_rotary_args *a, int64_t position, int64_t pairs, const double *x, double *out) {
    const bool outside = a->cos && (position < 0 || position >= ref_size(a->cos, 0));
    for (int64_t i = 0; i < pairs; i++) {
        const int64_t first = a->interleaved ? 2 * i : i, second = a->interleaved ? 2 * i + 1 : i + pairs;
        double c, s;
        angle(a, position, i, pairs, &c, &s);
        out[first] = outside ? 0 : x[first] * c - x[second] * s;
        out[second] = outside ? 0 : x[second] * c + x[first] * s;
    }
}

void clattn_reference_rotary(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_rotary_args *a = args;
    const int64_t batch = clattn_dim(call, "B"), heads = clattn_dim(call, "H"), times = clattn_dim(call, "T"), pairs = clattn_dim(call, "P");
    for (int64_t b = 0; b < batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t t = 0; t < times; t++) {
                const int64_t at = ((b * heads + h) * times + t) * 2 * pairs;
                head(a, a->positions ? (int64_t)ref_values(a->positions)[b * times + t] : t, pairs, ref_values(a->x) + at, ref_values(a->out) + at);
            }
    ref_bound(&bounds->sum, sqrt(2.0) * ref_rms(a->x) * (a->cos ? fmax(ref_rms(a->cos), ref_rms(a->sin)) : 1));
}
