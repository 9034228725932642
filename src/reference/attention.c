#include "attention.h"

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* The keys first..last-1 are in the window and before the length. */
static void set_range(ref_attention_row *r) {
    const clattn_attention_args *a = r->a;
    const int64_t left = a->window_left.value, right = a->window_right.value;
    const double *lengths = ref_values(a->key_lengths);
    r->length = lengths ? (int64_t)fmin(fmax(lengths[r->b], 0), (double)r->keys) : r->keys;
    const int64_t diagonal = r->i + (a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT ? r->length - r->queries : r->past);
    r->first = 0;
    r->last = r->length;
    if (left >= 0 && diagonal - left > r->first) r->first = diagonal - left;
    if (right >= 0 && diagonal + right + 1 < r->last) r->last = diagonal + right + 1;
    if (a->causal != CLATTN_CAUSAL_NONE && diagonal + 1 < r->last) r->last = diagonal + 1;
}

/* Row j of `now`, or of `past` before it, for the row's batch and head. */
static const double *key_row(const ref_attention_row *r, const clattn_tensor *past, const clattn_tensor *now, int64_t j) {
    const int64_t kv_head = r->h / (r->heads / r->kv_heads), width = now->shape[3];
    if (j < r->past) return ref_values(past) + ((r->b * r->kv_heads + kv_head) * r->past + j) * width;
    return ref_values(now) + (((r->b * r->kv_heads + kv_head) * (r->keys - r->past) + j - r->past)) * width;
}

static double raw_score(const ref_attention_row *r, int64_t j) {
    const clattn_attention_args *a = r->a;
    const double *q = ref_values(a->query) + ((r->b * r->heads + r->h) * r->queries + r->i) * r->depth, *k = key_row(r, a->past_key, a->key, j);
    double sum = 0;
    for (int64_t d = 0; d < r->depth; d++) sum += q[d] * k[d];
    return sum * r->scale;
}

static double capped(const ref_attention_row *r, double score) {
    const double cap = (double)r->a->softcap;
    return cap != 0 ? cap * tanh(score / cap) : score;
}

static double slope_of(const ref_attention_row *r) {
    const clattn_tensor *slopes = r->a->alibi_slopes;
    return slopes ? ref_values(slopes)[slopes->rank == 2 ? r->b * r->heads + r->h : r->h] : 0;
}

/* After everything; -INFINITY where excluded. */
static double score(const ref_attention_row *r, int64_t j) {
    const clattn_attention_args *a = r->a;
    const int64_t index[] = { r->b, r->h, r->i, j };
    if (j < r->first || j >= r->last) return -INFINITY;
    if (a->mask && ref_values(a->mask)[ref_broadcast_index(a->mask, 4, index)] == 0) return -INFINITY;
    const double bias = a->bias ? ref_values(a->bias)[ref_broadcast_index(a->bias, 4, index)] : 0;
    if (bias == -INFINITY) return -INFINITY;
    return capped(r, raw_score(r, j)) + bias - slope_of(r) * fabs((double)(r->i + r->length - r->queries - j));
}

static double score_at_stage(const ref_attention_row *r, int64_t j, double weight) {
    switch (r->a->scores_stage) {
    case CLATTN_SCORES_RAW: return raw_score(r, j);
    case CLATTN_SCORES_SOFTCAP: return capped(r, raw_score(r, j));
    case CLATTN_SCORES_BIAS: return score(r, j);
    default: return weight;
    }
}

static void accumulate(const ref_attention_row *r, double *out, int64_t j, double weight) {
    const clattn_attention_args *a = r->a;
    const double *v = key_row(r, a->past_value, a->value, j);
    if (a->dropout > 0) {
        if (ref_dropped((uint64_t)(r->pair + j), a->offset, a->seed, a->dropout)) return;
        weight /= 1 - (double)a->dropout;
    }
    for (int64_t d = 0; d < r->value_depth; d++) out[d] += weight * v[d];
}

static void write_row(const ref_attention_row *r, double largest, double sum) {
    const clattn_attention_args *a = r->a;
    const int64_t row = (r->b * r->heads + r->h) * r->queries + r->i;
    double *weights = ref_values(a->weights), *scores = ref_values(a->scores), *sums = ref_values(a->key_sums);
    if (r->out) memset(r->out, 0, (size_t)r->value_depth * sizeof *r->out);
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j), weight = s == -INFINITY ? 0 : exp(s - largest) / sum;
        if (weights) weights[row * r->keys + j] = weight;
        if (scores) scores[row * r->keys + j] = score_at_stage(r, j, weight);
        if (sums) sums[(r->b * r->heads + r->h) * r->keys + j] += weight;
        if (r->out && s != -INFINITY) accumulate(r, r->out, j, weight);
    }
    if (r->lse) *r->lse = sum == 0 ? -INFINITY : largest + log(sum);
}

void clattn_ref_attend(ref_attention_row *r, clattn_bounds *bounds) {
    double largest = r->a->sinks ? ref_values(r->a->sinks)[r->h] : -INFINITY, sum = 0;
    const double sink = largest;
    set_range(r);
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j);
        if (isfinite(s)) ref_bound(&bounds->score, fabs(s));
        if (s > largest || isnan(s)) largest = s;
    }
    if (sink != -INFINITY) sum = exp(sink - largest);
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j);
        if (s != -INFINITY) sum += exp(s - largest);
    }
    write_row(r, largest, sum);
}

static void join(const clattn_tensor *past, const clattn_tensor *now, clattn_tensor *present) {
    double *to = ref_values(present);
    if (!to) return;
    const int64_t before = past ? past->shape[2] * past->shape[3] : 0, after = now->shape[2] * now->shape[3];
    for (int64_t i = 0; i < now->shape[0] * now->shape[1]; i++) {
        if (before) memcpy(to + i * (before + after), ref_values(past) + i * before, (size_t)before * sizeof *to);
        if (after) memcpy(to + i * (before + after) + before, ref_values(now) + i * after, (size_t)after * sizeof *to);
    }
}

static void attend_row(ref_attention_row *r, clattn_bounds *bounds) {
    const int64_t row = (r->b * r->heads + r->h) * r->queries + r->i;
    r->out = r->a->out ? ref_values(r->a->out) + row * r->value_depth : NULL;
    r->lse = r->a->lse ? ref_values(r->a->lse) + row : NULL;
    r->pair = row * r->keys;
    clattn_ref_attend(r, bounds);
}

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_attention_args *a = args;
    ref_attention_row r = { .a = a, .heads = clattn_dim(call, "H"), .kv_heads = clattn_dim(call, "Hkv"), .queries = clattn_dim(call, "Tq"), .past = clattn_dim(call, "P"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv") };
    const int64_t batches = clattn_dim(call, "B");
    r.keys = r.past + clattn_dim(call, "L");
    r.scale = a->scale != 0 ? (double)a->scale : r.depth ? 1 / sqrt((double)r.depth) : 1;
    join(a->past_key, a->key, a->present_key);
    join(a->past_value, a->value, a->present_value);
    if (a->key_sums) memset(ref_values(a->key_sums), 0, (size_t)(batches * r.heads * r.keys) * sizeof(double));
    for (r.b = 0; r.b < batches; r.b++)
        for (r.h = 0; r.h < r.heads; r.h++)
            for (r.i = 0; r.i < r.queries; r.i++) attend_row(&r, bounds);
}
