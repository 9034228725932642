#include "attention.h"

#include <stdlib.h>

void clattn_reference_attention_varlen(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* Where sequence b begins: the largest of what is written up to there. */
static int64_t start_of(const clattn_tensor *cu, int64_t b, int64_t limit) {
    double start = 0;
    for (int64_t i = 0; i <= b; i++) start = fmax(start, ref_values(cu)[i]);
    return (int64_t)fmin(start, (double)limit);
}

/* One head's row of a packed tensor. */
static const double *row_of(const clattn_tensor *packed, int64_t row, int64_t head) {
    return ref_values(packed) + (row * packed->shape[1] + head) * packed->shape[2];
}

/* Softmax of one query over one sequence's keys. */
typedef struct sequence {
    const clattn_attention_varlen_args *a;
    int64_t total_keys, total_queries, key, keys, query, queries, h, kv_head;
    double scale;
} sequence;

static bool allowed(const sequence *s, int64_t i, int64_t j) {
    const clattn_attention_varlen_args *a = s->a;
    const int64_t diagonal = i + (a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT ? s->keys - s->queries : 0);
    if (a->causal != CLATTN_CAUSAL_NONE && j > diagonal) return false;
    if (a->window_left.value >= 0 && j < diagonal - a->window_left.value) return false;
    return a->window_right.value < 0 || j <= diagonal + a->window_right.value;
}

static double score(const sequence *s, int64_t i, int64_t j) {
    const clattn_attention_varlen_args *a = s->a;
    const int64_t depth = a->query->shape[2];
    const double *q = row_of(a->query, s->query + i, s->h), *k = row_of(a->key, s->key + j, s->kv_head);
    double sum = 0;
    for (int64_t d = 0; d < depth; d++) sum += q[d] * k[d];
    sum *= s->scale;
    return a->softcap != 0 ? (double)a->softcap * tanh(sum / (double)a->softcap) : sum;
}

static double dropout_factor(const sequence *s, int64_t i, int64_t j) {
    const clattn_attention_varlen_args *a = s->a;
    const int64_t pair = (s->h * s->total_queries + s->query + i) * s->total_keys + s->key + j;
    if (a->dropout == 0) return 1;
    return ref_dropped((uint64_t)pair, a->offset, a->seed, a->dropout) ? 0 : 1 / (1 - (double)a->dropout);
}

static void attend(const sequence *s, int64_t i, clattn_bounds *bounds, double *scores) {
    const clattn_attention_varlen_args *a = s->a;
    const int64_t width = a->value->shape[2], heads = a->query->shape[1], query = s->query + i;
    double largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < s->keys; j++) {
        scores[j] = allowed(s, i, j) ? score(s, i, j) : -INFINITY;
        if (isfinite(scores[j])) ref_bound(&bounds->score, fabs(scores[j]));
        largest = fmax(largest, scores[j]);
    }
    for (int64_t j = 0; j < s->keys; j++) sum += scores[j] == -INFINITY ? 0 : exp(scores[j] - largest);
    if (a->lse) ref_values(a->lse)[s->h * s->total_queries + query] = sum == 0 ? -INFINITY : largest + log(sum);
    if (!a->out) return;
    double *out = ref_values(a->out) + (query * heads + s->h) * width;
    for (int64_t d = 0; d < width; d++) out[d] = 0;
    for (int64_t j = 0; j < s->keys; j++) {
        const double weight = scores[j] == -INFINITY ? 0 : exp(scores[j] - largest) / sum * dropout_factor(s, i, j);
        if (weight == 0) continue;
        const double *v = row_of(a->value, s->key + j, s->kv_head);
        for (int64_t d = 0; d < width; d++) out[d] += weight * v[d];
    }
}

/* Sequence -1 are the queries before the first, `count` those after the last. */
static void set_sequence(sequence *s, int64_t b, int64_t count) {
    const clattn_attention_varlen_args *a = s->a;
    const bool real = b >= 0 && b < count;
    s->query = b < 0 ? 0 : start_of(a->cu_query, b, s->total_queries);
    s->queries = (b < count ? start_of(a->cu_query, b + 1, s->total_queries) : s->total_queries) - s->query;
    s->key = real ? start_of(a->cu_key, b, s->total_keys) : 0;
    s->keys = real ? start_of(a->cu_key, b + 1, s->total_keys) - s->key : 0;
}

void clattn_reference_attention_varlen(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_attention_varlen_args *a = args;
    const int64_t heads = clattn_dim(call, "H"), kv_heads = clattn_dim(call, "Hkv"), depth = clattn_dim(call, "D"), count = clattn_dim(call, "B");
    sequence s = { .a = a, .total_queries = clattn_dim(call, "Nq"), .total_keys = clattn_dim(call, "Nk") };
    double *scores = malloc((size_t)(s.total_keys + 1) * sizeof *scores);
    s.scale = a->scale != 0 ? (double)a->scale : depth ? 1 / sqrt((double)depth) : 1;
    for (int64_t b = -1; scores && b <= count; b++) {
        set_sequence(&s, b, count);
        for (s.h = 0; s.h < heads; s.h++) {
            s.kv_head = s.h / (heads / kv_heads);
            for (int64_t i = 0; i < s.queries; i++) attend(&s, i, bounds, scores);
        }
    }
    free(scores);
}
