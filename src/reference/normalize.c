#include "reference.h"

void clattn_reference_layer_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_rms_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_group_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);

static double mean_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static double mean_square(const double *x, int64_t n, double about) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (x[i] - about) * (x[i] - about);
    return sum / (double)n;
}

/* One row; element i has the factors gamma[i / area] and beta[i / area]. */
static void row(const double *x, double *out, int64_t n, int64_t area, const double *gamma, const double *beta, double eps, bool centred, clattn_bounds *bounds) {
    const double mean = centred ? mean_of(x, n) : 0, scale = 1 / sqrt(mean_square(x, n, mean) + eps);
    /* The mean is a sum of x / n; its error is scaled as x is. */
    const double sum = centred && n ? sqrt(mean_square(x, n, 0) / (double)n) * scale : 0;
    for (int64_t i = 0; i < n; i++) {
        const double g = gamma ? gamma[i / area] : 1;
        out[i] = (x[i] - mean) * scale * g + (beta ? beta[i / area] : 0);
        if (isfinite(sum * g)) ref_bound(&bounds->sum, sum * fabs(g));
    }
}

static const double *from(const double *values, int64_t at) {
    return values ? values + at : NULL;
}

static void layer(const clattn_call *call, const clattn_layer_norm_args *a, bool centred, clattn_bounds *bounds) {
    const int64_t rows = clattn_dim(call, "rows"), length = clattn_dim(call, "length");
    for (int64_t r = 0; r < rows; r++) row(ref_values(a->x) + r * length, ref_values(a->out) + r * length, length, 1, ref_values(a->gamma), ref_values(a->beta), (double)a->eps, centred, bounds);
}

void clattn_reference_layer_norm(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    layer(call, args, true, bounds);
}

void clattn_reference_rms_norm(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    layer(call, args, false, bounds);
}

void clattn_reference_group_norm(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_group_norm_args *a = args;
    const int64_t batch = a->x->shape[0], channels = a->x->shape[1] / a->groups, area = clattn_dim(call, "area"), length = channels * area;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t g = 0; g < a->groups; g++) {
            const int64_t at = (b * a->groups + g) * length;
            row(ref_values(a->x) + at, ref_values(a->out) + at, length, area, from(ref_values(a->gamma), g * channels), from(ref_values(a->beta), g * channels), (double)a->eps, true, bounds);
        }
}
