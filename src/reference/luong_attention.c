#include "reference.h"

#include <stdlib.h>

void clattn_reference_luong_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* sum_d w[row, first + d] x[d] */
static double product(const clattn_tensor *w, int64_t row, int64_t first, const double *x, int64_t size) {
    double sum = 0;
    for (int64_t d = 0; d < size; d++) sum += ref_values(w)[row * ref_size(w, 1) + first + d] * x[d];
    return sum;
}

static double score_general(const clattn_luong_attention_args *a, const double *target, const double *source) {
    const int64_t size = ref_size(a->target, 2), width = ref_size(a->source, 2);
    double sum = 0;
    for (int64_t d = 0; d < size; d++) sum += target[d] * product(a->w_a, d, 0, source, width);
    return sum;
}

static double score_concat(const clattn_luong_attention_args *a, const double *target, const double *source) {
    const int64_t size = ref_size(a->target, 2), width = ref_size(a->source, 2);
    double sum = 0;
    for (int64_t i = 0; i < ref_size(a->w_a, 0); i++) sum += ref_values(a->v_a)[i] * tanh(product(a->w_a, i, 0, target, size) + product(a->w_a, i, size, source, width));
    return sum;
}

static double score_of(const clattn_luong_attention_args *a, const double *target, const double *source) {
    double sum = 0;
    if (a->score == CLATTN_LUONG_GENERAL) return score_general(a, target, source);
    if (a->score == CLATTN_LUONG_CONCAT) return score_concat(a, target, source);
    for (int64_t d = 0; d < ref_size(a->target, 2); d++) sum += target[d] * source[d];
    return sum;
}

/* p_t of step t; the floor is left in *centre. */
static double position(const clattn_luong_attention_args *a, const double *target, int64_t step, int64_t length, int64_t *centre) {
    double p = (double)(a->first_step + step);
    if (p > (double)(length - 1)) p = (double)(length - 1);
    if (p < 0) p = 0;
    if (a->mode == CLATTN_LUONG_LOCAL_P && length > 0) {
        double x = 0;
        for (int64_t i = 0; i < ref_size(a->w_p, 0); i++) x += ref_values(a->v_p)[i] * tanh(product(a->w_p, i, 0, target, ref_size(a->target, 2)));
        p = (double)(length - 1) * ref_sigmoid(x);
    }
    *centre = isnan(p) ? 0 : (int64_t)floor(p);
    return p;
}

static int64_t length_of(const clattn_luong_attention_args *a, int64_t b) {
    const int64_t count = ref_size(a->source, 1), length = a->key_lengths ? (int64_t)ref_values(a->key_lengths)[b] : count;
    return length < 0 ? 0 : length > count ? count : length;
}

/* Weights of step n over the keys first..end-1. */
static void weigh(const clattn_luong_attention_args *a, int64_t b, const double *target, int64_t first, int64_t end, double *w, clattn_bounds *bounds) {
    const int64_t count = ref_size(a->source, 1), width = ref_size(a->source, 2);
    double largest = -INFINITY, sum = 0;
    for (int64_t k = first; k < end; k++) {
        w[k] = score_of(a, target, ref_values(a->source) + (b * count + k) * width);
        if (isfinite(w[k])) ref_bound(&bounds->score, fabs(w[k]));
        if (w[k] > largest) largest = w[k];
    }
    for (int64_t k = first; k < end; k++) sum += w[k] = exp(w[k] - largest);
    for (int64_t k = first; k < end; k++) w[k] /= sum;
}

static void attentional(const clattn_luong_attention_args *a, int64_t n, const double *context, const double *target) {
    const int64_t rows = ref_size(a->w_c, 0), width = ref_size(a->source, 2), size = ref_size(a->target, 2);
    for (int64_t i = 0; i < rows; i++) ref_values(a->attentional)[n * rows + i] = tanh(product(a->w_c, i, 0, context, width) + product(a->w_c, i, width, target, size));
}

static void one_step(const clattn_luong_attention_args *a, int64_t n, double *w, double *context, clattn_bounds *bounds) {
    const int64_t steps = ref_size(a->target, 1), b = n / steps, count = ref_size(a->source, 1), width = ref_size(a->source, 2), length = length_of(a, b);
    const double *target = ref_values(a->target) + n * ref_size(a->target, 2);
    int64_t first = 0, end = length, centre = 0;
    double p = 0;
    memset(w, 0, (size_t)count * sizeof *w);
    memset(context, 0, (size_t)width * sizeof *context);
    if (a->mode != CLATTN_LUONG_GLOBAL) {
        p = position(a, target, n % steps, length, &centre);
        if (centre - a->window.value > first) first = centre - a->window.value;
        if (centre + a->window.value + 1 < end) end = centre + a->window.value + 1;
    }
    weigh(a, b, target, first, end, w, bounds);
    for (int64_t k = first; k < end && a->mode == CLATTN_LUONG_LOCAL_P; k++) {
        const double sigma = 0.5 * (double)a->window.value, distance = ((double)k - p) / sigma;
        w[k] *= exp(-0.5 * distance * distance);
    }
    for (int64_t k = first; k < end; k++)
        for (int64_t i = 0; i < width; i++) context[i] += w[k] * ref_values(a->source)[(b * count + k) * width + i];
    if (a->positions) ref_values(a->positions)[n] = p;
    if (a->weights) memcpy(ref_values(a->weights) + n * count, w, (size_t)count * sizeof *w);
    if (a->context) memcpy(ref_values(a->context) + n * width, context, (size_t)width * sizeof *context);
    if (a->attentional) attentional(a, n, context, target);
}

/* The sums of products before the softmax and after it. */
static void bound_sums(const clattn_luong_attention_args *a, clattn_bounds *bounds) {
    const double size = (double)ref_size(a->target, 2), width = (double)ref_size(a->source, 2), target = ref_rms(a->target), source = ref_rms(a->source);
    if (a->score != CLATTN_LUONG_DOT) ref_bound(&bounds->sum, sqrt(size + width) * fmax(target, source) * ref_rms(a->w_a));
    if (a->attentional) ref_bound(&bounds->sum, sqrt(size + width) * fmax(target, source) * ref_rms(a->w_c));
    if (a->mode == CLATTN_LUONG_LOCAL_P) ref_bound(&bounds->sum, fmax(sqrt(size) * target * ref_rms(a->w_p), sqrt((double)ref_size(a->w_p, 0)) * ref_rms(a->v_p)));
}

void clattn_reference_luong_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_luong_attention_args *a = args;
    const int64_t count = clattn_dim(call, "Tk"), width = clattn_dim(call, "N");
    double *w = calloc((size_t)count + 1, sizeof *w), *context = calloc((size_t)width + 1, sizeof *context);
    if (w && context) {
        bound_sums(a, bounds);
        for (int64_t n = 0; n < clattn_dim(call, "B") * clattn_dim(call, "Tq"); n++) one_step(a, n, w, context, bounds);
    }
    free(w);
    free(context);
}
