#include "reference.h"

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* The sizes and the row at hand. */
typedef struct row_of {
    const clattn_attention_args *a;
    int64_t b, h, i, heads, kv_heads, queries, keys, depth, value_depth;
    int64_t length, first, last; /* keys first..last-1 are in the window */
    double scale;
} row_of;

static void set_range(row_of *r) {
    const clattn_attention_args *a = r->a;
    const int64_t left = a->window_left.value, right = a->window_right.value;
    const double *lengths = ref_values(a->key_lengths);
    r->length = lengths ? (int64_t)fmin(fmax(lengths[r->b], 0), (double)r->keys) : r->keys;
    const int64_t diagonal = r->i + (a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT ? r->length - r->queries : 0);
    r->first = 0;
    r->last = r->length;
    if (left >= 0 && diagonal - left > r->first) r->first = diagonal - left;
    if (right >= 0 && diagonal + right + 1 < r->last) r->last = diagonal + right + 1;
    if (a->causal != CLATTN_CAUSAL_NONE && diagonal + 1 < r->last) r->last = diagonal + 1;
}

/* -INFINITY where excluded. */
static double score(const row_of *r, int64_t j) {
    const clattn_attention_args *a = r->a;
    const int64_t index[] = { r->b, r->h, r->i, j }, kv_head = r->h / (r->heads / r->kv_heads);
    const double *q = ref_values(a->query) + ((r->b * r->heads + r->h) * r->queries + r->i) * r->depth;
    const double *k = ref_values(a->key) + ((r->b * r->kv_heads + kv_head) * r->keys + j) * r->depth;
    double sum = 0;
    if (j < r->first || j >= r->last) return -INFINITY;
    if (a->mask && ref_values(a->mask)[ref_broadcast_index(a->mask, 4, index)] == 0) return -INFINITY;
    const double bias = a->bias ? ref_values(a->bias)[ref_broadcast_index(a->bias, 4, index)] : 0;
    if (bias == -INFINITY) return -INFINITY;
    for (int64_t d = 0; d < r->depth; d++) sum += q[d] * k[d];
    return sum * r->scale + bias;
}

static void accumulate(const row_of *r, double *out, int64_t j, double weight) {
    const int64_t kv_head = r->h / (r->heads / r->kv_heads);
    const double *v = ref_values(r->a->value) + ((r->b * r->kv_heads + kv_head) * r->keys + j) * r->value_depth;
    for (int64_t d = 0; d < r->value_depth; d++) out[d] += weight * v[d];
}

static void write_row(const row_of *r, double largest, double sum) {
    const int64_t row = (r->b * r->heads + r->h) * r->queries + r->i;
    double *out = ref_values(r->a->out), *weights = ref_values(r->a->weights), *lse = ref_values(r->a->lse);
    if (out) memset(out + row * r->value_depth, 0, (size_t)r->value_depth * sizeof *out);
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j), weight = s == -INFINITY ? 0 : exp(s - largest) / sum;
        if (weights) weights[row * r->keys + j] = weight;
        if (out && s != -INFINITY) accumulate(r, out + row * r->value_depth, j, weight);
    }
    if (lse) lse[row] = sum == 0 ? -INFINITY : largest + log(sum);
}

static void attend(row_of *r, clattn_bounds *bounds) {
    double largest = -INFINITY, sum = 0;
    set_range(r);
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j);
        if (isfinite(s)) ref_bound(&bounds->score, fabs(s));
        if (s > largest || isnan(s)) largest = s;
    }
    for (int64_t j = 0; j < r->keys; j++) {
        const double s = score(r, j);
        if (s != -INFINITY) sum += exp(s - largest);
    }
    write_row(r, largest, sum);
}

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_attention_args *a = args;
    row_of r = { .a = a, .heads = clattn_dim(call, "H"), .kv_heads = clattn_dim(call, "Hkv"), .queries = clattn_dim(call, "Tq"), .keys = clattn_dim(call, "L"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv") };
    const int64_t batches = clattn_dim(call, "B");
    r.scale = a->scale != 0 ? (double)a->scale : r.depth ? 1 / sqrt((double)r.depth) : 1;
    for (r.b = 0; r.b < batches; r.b++)
        for (r.h = 0; r.h < r.heads; r.h++)
            for (r.i = 0; r.i < r.queries; r.i++) attend(&r, bounds);
}
