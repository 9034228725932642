#include "reference.h"

#include <stdlib.h>

void clattn_reference_multi_head_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

typedef struct sizes {
    int64_t batches, heads, kv_heads, queries, keys, total, depth, value_depth;
} sizes;

/* x weight^T + bias, each batch with `total` rows: after x's come the learned row, if any, and zeros. */
static double *project(const clattn_tensor *x, const clattn_tensor *weight, const clattn_tensor *bias, int64_t total, const clattn_tensor *learned, clattn_bounds *bounds) {
    const int64_t batches = x->shape[0], rows = x->shape[1], in = x->shape[2], width = weight->shape[0];
    double *out = calloc((size_t)(batches * total * width) + 1, sizeof *out);
    for (int64_t b = 0; b < batches && out; b++)
        for (int64_t t = 0; t < rows || (t == rows && learned); t++)
            for (int64_t w = 0; w < width; w++) {
                double sum = bias ? ref_values(bias)[w] : 0;
                for (int64_t i = 0; i < in && t < rows; i++) sum += ref_values(x)[(b * rows + t) * in + i] * ref_values(weight)[w * in + i];
                out[(b * total + t) * width + w] = t < rows ? sum : ref_values(learned)[w];
            }
    ref_bound(&bounds->sum, sqrt((double)in) * ref_rms(x) * ref_rms(weight));
    return out;
}

static bool attends(const clattn_multi_head_attention_args *a, const sizes *s, const int64_t index[4]) {
    const int64_t i = index[2], j = index[3], shift = a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT ? s->keys - s->queries : 0;
    if (j >= s->keys) return true;
    if (a->causal != CLATTN_CAUSAL_NONE && j > i + shift) return false;
    if (a->key_mask && ref_values(a->key_mask)[index[0] * s->keys + j] == 0) return false;
    if (a->mask && ref_values(a->mask)[ref_broadcast_index(a->mask, 4, index)] == 0) return false;
    return !a->bias || ref_values(a->bias)[ref_broadcast_index(a->bias, 4, index)] != -INFINITY;
}

static double score(const clattn_multi_head_attention_args *a, const sizes *s, const double *q, const double *k, const int64_t index[4]) {
    const double scale = a->scale != 0 ? (double)a->scale : s->depth ? 1 / sqrt((double)s->depth) : 1;
    double sum = 0;
    for (int64_t d = 0; d < s->depth; d++) sum += q[d] * k[d];
    return sum * scale + (a->bias && index[3] < s->keys ? ref_values(a->bias)[ref_broadcast_index(a->bias, 4, index)] : 0);
}

/* One query's weights over all keys. */
static void weigh(const clattn_multi_head_attention_args *a, const sizes *s, const double *q, const double *k, int64_t b, int64_t h, int64_t i, double *weights, clattn_bounds *bounds) {
    const int64_t kv_head = h / (s->heads / s->kv_heads);
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s->total; j++) {
        const int64_t index[] = { b, h, i, j };
        weights[j] = attends(a, s, index) ? score(a, s, q + ((b * s->queries + i) * s->heads + h) * s->depth, k + ((b * s->total + j) * s->kv_heads + kv_head) * s->depth, index) : -INFINITY;
        if (isfinite(weights[j])) ref_bound(&bounds->score, fabs(weights[j]));
        if (weights[j] > largest) largest = weights[j];
    }
    for (int64_t j = 0; j < s->total; j++) sum += weights[j] == -INFINITY ? 0 : exp(weights[j] - largest);
    for (int64_t j = 0; j < s->total; j++) weights[j] = weights[j] == -INFINITY ? 0 : exp(weights[j] - largest) / sum;
}

static void accumulate(const sizes *s, const double *v, const double *weights, int64_t b, int64_t h, double *context) {
    const int64_t kv_head = h / (s->heads / s->kv_heads);
    for (int64_t d = 0; d < s->value_depth; d++) context[d] = 0;
    for (int64_t j = 0; j < s->total; j++)
        for (int64_t d = 0; d < s->value_depth && weights[j] != 0; d++) context[d] += weights[j] * v[((b * s->total + j) * s->kv_heads + kv_head) * s->value_depth + d];
}

static void keep_weights(const clattn_multi_head_attention_args *a, const sizes *s, const double *weights, int64_t b, int64_t h, int64_t i) {
    double *out = ref_values(a->weights);
    for (int64_t j = 0; j < s->total && out; j++) {
        if (!a->average_weights) out[((b * s->heads + h) * s->queries + i) * s->total + j] = weights[j];
        else out[(b * s->queries + i) * s->total + j] = (h ? out[(b * s->queries + i) * s->total + j] : 0) + weights[j] / (double)s->heads;
    }
}

static void attend(const clattn_multi_head_attention_args *a, const sizes *s, const double *q, const double *k, const double *v, double *weights, double *context, clattn_bounds *bounds) {
    for (int64_t b = 0; b < s->batches; b++)
        for (int64_t h = 0; h < s->heads; h++)
            for (int64_t i = 0; i < s->queries; i++) {
                weigh(a, s, q, k, b, h, i, weights, bounds);
                keep_weights(a, s, weights, b, h, i);
                accumulate(s, v, weights, b, h, context + ((b * s->queries + i) * s->heads + h) * s->value_depth);
            }
}

/* The last projection's terms: weights of the mean square of the context. */
static void project_out(const clattn_multi_head_attention_args *a, const sizes *s, const double *context, clattn_bounds *bounds) {
    const int64_t in = s->heads * s->value_depth, width = a->w_o->shape[0], rows = s->batches * s->queries;
    double *out = ref_values(a->out), squares = 0;
    for (int64_t r = 0; r < rows * in; r++) squares += context[r] * context[r];
    if (rows > 0 && in > 0) ref_bound(&bounds->sum, sqrt((double)in) * sqrt(squares / (double)(rows * in)) * ref_rms(a->w_o));
    for (int64_t r = 0; r < rows && out; r++)
        for (int64_t w = 0; w < width; w++) {
            double sum = a->b_o ? ref_values(a->b_o)[w] : 0;
            for (int64_t i = 0; i < in; i++) sum += context[r * in + i] * ref_values(a->w_o)[w * in + i];
            out[r * width + w] = sum;
        }
}

void clattn_reference_multi_head_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_multi_head_attention_args *a = args;
    const sizes s = { .batches = clattn_dim(call, "B"), .heads = a->heads, .kv_heads = a->kv_heads, .queries = clattn_dim(call, "Tq"), .keys = clattn_dim(call, "Tk"), .total = clattn_dim(call, "X"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv") };
    double *q = project(a->query, a->w_q, a->b_q, s.queries, NULL, bounds), *k = project(a->key, a->w_k, a->b_k, s.total, a->bias_k, bounds), *v = project(a->value, a->w_v, a->b_v, s.total, a->bias_v, bounds);
    double *weights = calloc((size_t)s.total + 1, sizeof *weights), *context = calloc((size_t)(s.batches * s.queries * s.heads * s.value_depth) + 1, sizeof *context);
    if (q && k && v && weights && context) {
        attend(a, &s, q, k, v, weights, context, bounds);
        project_out(a, &s, context, bounds);
    }
    free(q);
    free(k);
    free(v);
    free(weights);
    free(context);
}
