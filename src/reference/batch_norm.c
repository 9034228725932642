#include "reference.h"

void clattn_reference_batch_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);

static double *at(const clattn_batch_norm_args *a, const clattn_tensor *tensor, int64_t b, int64_t c) {
    return ref_values(tensor) + (b * ref_size(a->x, 1) + c) * ref_size(a->x, 2) * ref_size(a->x, 3);
}

/* Mean over a channel of (x - shift)^power. */
static double moment(const clattn_batch_norm_args *a, int64_t c, double shift, int power) {
    const int64_t size = ref_size(a->x, 2) * ref_size(a->x, 3), images = ref_size(a->x, 0);
    double sum = 0;
    for (int64_t b = 0; b < images; b++)
        for (int64_t i = 0; i < size; i++) sum += pow(at(a, a->x, b, c)[i] - shift, power);
    return sum / (double)(images * size);
}

static void channel(const clattn_batch_norm_args *a, int64_t c, clattn_bounds *bounds) {
    const int64_t size = ref_size(a->x, 2) * ref_size(a->x, 3), images = ref_size(a->x, 0);
    const double mean = a->training ? moment(a, c, 0, 1) : ref_values(a->mean)[c], var = a->training ? moment(a, c, mean, 2) : ref_values(a->var)[c];
    const double factor = (a->gamma ? ref_values(a->gamma)[c] : 1) / sqrt(var + (double)a->eps), shift = a->beta ? ref_values(a->beta)[c] : 0;
    /* A mean is a sum of n terms x / n. */
    if (a->training && isfinite(var)) ref_bound(&bounds->sum, sqrt((mean * mean + var) / (double)(images * size)));
    if (a->mean_out) ref_values(a->mean_out)[c] = mean;
    if (a->var_out) ref_values(a->var_out)[c] = var;
    if (!a->out) return;
    for (int64_t b = 0; b < images; b++)
        for (int64_t i = 0; i < size; i++) at(a, a->out, b, c)[i] = (at(a, a->x, b, c)[i] - mean) * factor + shift;
}

void clattn_reference_batch_norm(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_batch_norm_args *a = args;
    (void)call;
    for (int64_t c = 0; c < ref_size(a->x, 1); c++) channel(a, c, bounds);
}
