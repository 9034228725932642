#include "reference.h"

#include <stdlib.h>

void clattn_reference_additive_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static double score(const clattn_additive_attention_args *a, const double *q, const double *k, int64_t size) {
    const double *scale = ref_values(a->scale), *bias = ref_values(a->bias), inner = (double)a->inner_scale.value;
    double sum = 0;
    for (int64_t d = 0; d < size; d++) sum += (scale ? scale[d] : 1) * tanh(inner * (q[d] + k[d]) + (bias ? bias[d] : 0));
    return sum;
}

static bool excluded(const clattn_additive_attention_args *a, int64_t b, int64_t i, int64_t j) {
    const int64_t queries = ref_size(a->query, 1), keys = ref_size(a->key, 1);
    if (a->causal && j > i) return true;
    if (a->key_mask && ref_values(a->key_mask)[b * keys + j] == 0) return true;
    return a->mask && ref_values(a->mask)[(b * queries + i) * keys + j] == 0;
}

/* The row of one query: its weights (in `w`, one per key) and the logarithm of their sum. */
static double weigh(const clattn_additive_attention_args *a, int64_t b, int64_t i, double *w, clattn_bounds *bounds) {
    const int64_t queries = ref_size(a->query, 1), keys = ref_size(a->key, 1), size = ref_size(a->query, 2);
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < keys; j++) {
        w[j] = excluded(a, b, i, j) ? -INFINITY : score(a, ref_values(a->query) + (b * queries + i) * size, ref_values(a->key) + (b * keys + j) * size, size);
        if (isfinite(w[j])) ref_bound(&bounds->score, fabs(w[j]));
        if (w[j] > largest) largest = w[j];
    }
    for (int64_t j = 0; j < keys; j++) {
        w[j] = w[j] == -INFINITY ? 0 : exp(w[j] - largest);
        sum += w[j];
    }
    for (int64_t j = 0; j < keys; j++)
        if (w[j] != 0) w[j] /= sum;
    return sum == 0 ? -INFINITY : largest + log(sum);
}

static void score_row(const clattn_additive_attention_args *a, int64_t b, int64_t i, clattn_bounds *bounds) {
    const int64_t queries = ref_size(a->query, 1), keys = ref_size(a->key, 1), size = ref_size(a->query, 2), n = b * queries + i;
    for (int64_t j = 0; j < keys; j++) {
        const double s = score(a, ref_values(a->query) + n * size, ref_values(a->key) + (b * keys + j) * size, size);
        ref_values(a->scores)[n * keys + j] = s;
        if (isfinite(s)) ref_bound(&bounds->score, fabs(s));
    }
}

static void row(const clattn_additive_attention_args *a, int64_t b, int64_t i, const double *w) {
    const int64_t keys = ref_size(a->key, 1), size = ref_size(a->value, 2), n = b * ref_size(a->query, 1) + i;
    const bool shown = !a->query_mask || ref_values(a->query_mask)[n] != 0;
    for (int64_t t = 0; t < size; t++) {
        double sum = 0;
        for (int64_t j = 0; j < keys; j++)
            if (!excluded(a, b, i, j)) sum += w[j] * ref_values(a->value)[(b * keys + j) * size + t];
        ref_values(a->out)[n * size + t] = shown ? sum : 0;
    }
}

void clattn_reference_additive_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_additive_attention_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), queries = clattn_dim(call, "Tq"), keys = clattn_dim(call, "Tk");
    double *w = calloc((size_t)keys + 1, sizeof *w);
    if (!w) return;
    for (int64_t b = 0; b < batches; b++)
        for (int64_t i = 0; i < queries; i++) {
            const int64_t n = b * queries + i;
            const double lse = weigh(a, b, i, w, bounds);
            if (a->lse) ref_values(a->lse)[n] = lse;
            if (a->weights) memcpy(ref_values(a->weights) + n * keys, w, (size_t)keys * sizeof *w);
            if (a->out) row(a, b, i, w);
            if (a->scores) score_row(a, b, i, bounds);
        }
    free(w);
}
