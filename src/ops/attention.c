/* Scaled dot-product attention. */
#include "op.h"

static const char *const causal_words[] = { "none", "top_left", "bottom_right", NULL };
static const char *const stage_words[] = { "raw", "softcap", "bias", "softmax", NULL };

enum { STRIDED = CLATTN_FIELD_STRIDED, OPTIONAL = CLATTN_FIELD_OPTIONAL, LATER = CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_LATER };

#define ARGS clattn_attention_args
static const clattn_field fields[] = {
    CLATTN_IN(ARGS, query, "B,H,Tq,D", STRIDED, "queries; [B,Tq,H,D] is a choice of strides"),
    CLATTN_IN(ARGS, key, "B,Hkv,L,D", STRIDED, "keys; query head h reads key/value head h / (H / Hkv)"),
    CLATTN_IN(ARGS, value, "B,Hkv,L,Dv", STRIDED, "values"),
    CLATTN_IN_BOOL(ARGS, mask, "~B,H,Tq,P+L", OPTIONAL | STRIDED, "true = attend; broadcast from the right, rank 1-4"),
    CLATTN_IN(ARGS, bias, "~B,H,Tq,P+L", OPTIONAL | STRIDED, "added to the scaled scores; -inf excludes"),
    CLATTN_IN(ARGS, alibi_slopes, "H|B,H", LATER, "adds -slope * distance"),
    CLATTN_IN_INT_LIMITED(ARGS, key_lengths, "B", "<=P+L", OPTIONAL, "keys from there on are excluded; clamped to 0..Tk"),
    CLATTN_IN(ARGS, sinks, "H", LATER, "a logit per head that joins the denominator"),
    CLATTN_IN(ARGS, past_key, "B,Hkv,P,D", LATER, "keys before `key`"),
    CLATTN_IN(ARGS, past_value, "B,Hkv,P,Dv", LATER, "values before `value`"),
    CLATTN_OUT(ARGS, out, "out", "B,H,Tq,Dv", STRIDED, "softmax-weighted values; 0 where no key may be attended"),
    CLATTN_OUT(ARGS, lse, "lse", "B,H,Tq", OPTIONAL, "natural logarithm of the sum of exponentials of the scores; -inf for no key"),
    CLATTN_OUT(ARGS, weights, "weights", "B,H,Tq,P+L", OPTIONAL, "the softmax"),
    CLATTN_OUT(ARGS, scores, "scores", "B,H,Tq,P+L", LATER, "the scores at scores_stage"),
    CLATTN_OUT(ARGS, key_sums, "key_sums", "B,H,P+L", LATER, "the weights' sums over the queries"),
    CLATTN_OUT(ARGS, present_key, "present_key", "B,Hkv,P+L,D", LATER, "past_key and key joined"),
    CLATTN_OUT(ARGS, present_value, "present_value", "B,Hkv,P+L,Dv", LATER, "past_value and value joined"),
    CLATTN_PARAM(ARGS, scale, "scale", CLATTN_FIELD_FLOAT, 0, 0, 0, "multiplies the scores; 0 = 1/sqrt(D)"),
    { .name = "softcap", .kind = CLATTN_FIELD_FLOAT, .offset = offsetof(ARGS, softcap), .flags = LATER, .text = "c * tanh(score / c); 0 = off" },
    CLATTN_PARAM_WORD(ARGS, causal, "causal", causal_words, 0, "top_left: key <= query; bottom_right: counted from the last key"),
    CLATTN_PARAM(ARGS, window_left, "window_left", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys before the diagonal that count; -1 = all"),
    CLATTN_PARAM(ARGS, window_right, "window_right", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys after the diagonal that count; -1 = all"),
    { .name = "dropout", .kind = CLATTN_FIELD_FLOAT, .offset = offsetof(ARGS, dropout), .flags = LATER, .low = 0, .high = 1, .text = "rate at which weights are dropped" },
    { .name = "seed", .kind = CLATTN_FIELD_U64, .offset = offsetof(ARGS, seed), .flags = LATER, .text = "of dropout" },
    { .name = "offset", .kind = CLATTN_FIELD_U64, .offset = offsetof(ARGS, offset), .flags = LATER, .text = "of dropout" },
    { .name = "scores_stage", .kind = CLATTN_FIELD_WORD, .offset = offsetof(ARGS, scores_stage), .flags = LATER, .words = stage_words, .text = "where `scores` is taken" },
};

static clattn_status prepare(clattn_call *call, void *args) {
    (void)args;
    clattn_dim_set(call, "P", 0);
    return CLATTN_OK;
}

static clattn_status infer(clattn_call *call, const void *args) {
    const int64_t heads = clattn_dim(call, "H"), kv_heads = clattn_dim(call, "Hkv");
    (void)args;
    if (kv_heads == 0 ? heads != 0 : heads % kv_heads != 0)
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "query has %lld heads, which is not a multiple of the %lld heads of key and value", (long long)heads, (long long)kv_heads);
    return CLATTN_OK;
}

/* ---- What the kernels are told ---- */

enum { HAS_MASK = 1, HAS_BIAS = 2, HAS_LENGTHS = 4, BOTTOM_RIGHT = 8 };

/* One call in plain sizes. `tensors` are the caller's or copies that the kernels can walk; out and lse always exist. */
typedef struct problem {
    int64_t batches, heads, kv_heads, queries, keys, depth, value_depth;
    int64_t left, right; /* the window with causal folded in; as wide as everything when unbounded */
    int flags;
    float scale;
    clattn_attention_args tensors;
    clattn_tensor own[5];
    int own_count;
} problem;

static void set_window(problem *p, const clattn_attention_args *a) {
    const int64_t all = p->queries + p->keys;
    p->left = a->window_left.value < 0 || a->window_left.value > all ? all : a->window_left.value;
    p->right = a->window_right.value < 0 || a->window_right.value > all ? all : a->window_right.value;
    if (a->causal != CLATTN_CAUSAL_NONE) p->right = 0;
    if (a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT) p->flags |= BOTTOM_RIGHT;
}

static problem problem_of(const clattn_call *call, const clattn_attention_args *a) {
    problem p = { .batches = clattn_dim(call, "B"), .heads = clattn_dim(call, "H"), .kv_heads = clattn_dim(call, "Hkv"), .queries = clattn_dim(call, "Tq"), .keys = clattn_dim(call, "L"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv"), .tensors = *a };
    p.flags = (a->mask ? HAS_MASK : 0) | (a->bias ? HAS_BIAS : 0) | (a->key_lengths ? HAS_LENGTHS : 0);
    p.scale = a->scale != 0 ? a->scale : p.depth ? (float)(1 / sqrt((double)p.depth)) : 1;
    set_window(&p, a);
    return p;
}

/* The variants always compute out and lse: what is not asked for goes to scratch, so that no result depends on it. */
static clattn_status add_results(clattn_call *call, problem *p) {
    clattn_status status = CLATTN_OK;
    if (!p->tensors.out) {
        clattn_tensor *own = &p->own[p->own_count++];
        status = clattn_scratch(call, own, CLATTN_F32, 4, (int64_t[]){ p->batches, p->heads, p->queries, p->value_depth });
        p->tensors.out = own;
    }
    if (!status && !p->tensors.lse) {
        clattn_tensor *own = &p->own[p->own_count++];
        status = clattn_scratch(call, own, CLATTN_F32, 3, (int64_t[]){ p->batches, p->heads, p->queries });
        p->tensors.lse = own;
    }
    return status;
}

/* The arguments that every kernel begins with; see PROBLEM in attention.cl. */
#define PROBLEM_ARGS(p)                                                                                                \
    ARG_T((p)->tensors.query), ARG_T((p)->tensors.key), ARG_T((p)->tensors.mask), ARG_T((p)->tensors.bias), ARG_T((p)->tensors.key_lengths), \
        clattn_arg_strides4((p)->tensors.query), clattn_arg_strides4((p)->tensors.key), extra_strides(p, (p)->tensors.mask), extra_strides(p, (p)->tensors.bias), \
        clattn_arg_i64x4((p)->heads, (p)->kv_heads, (p)->queries, (p)->keys), clattn_arg_i64x4((p)->depth, (p)->value_depth, (p)->left, (p)->right), ARG_I32((p)->flags), ARG_F32((p)->scale)

static clattn_arg extra_strides(const problem *p, const clattn_tensor *tensor) {
    return clattn_arg_broadcast4(tensor, 4, (int64_t[]){ p->batches, p->heads, p->queries, p->keys });
}

/* ---- scalar: any sizes, any strides ---- */

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const int64_t chunk = 32; /* CHUNK in attention.cl */
    problem p = problem_of(call, raw);
    clattn_status status = add_results(call, &p);
    if (status) return status;
    const int64_t chunks = p.value_depth > chunk ? (p.value_depth + chunk - 1) / chunk : 1;
    const int64_t rows = p.batches * p.heads * p.queries;
    status = clattn_run_kernel(call, "attention", "scalar", "", 1, (size_t[]){ (size_t)(rows * chunks) }, (size_t[]){ 0 }, PROBLEM_ARGS(&p), ARG_T(p.tensors.value), clattn_arg_strides4(p.tensors.value), ARG_T(p.tensors.out), clattn_arg_strides4(p.tensors.out), ARG_T(p.tensors.lse), ARG_I64(rows * chunks));
    if (status || !p.tensors.weights) return status;
    const int64_t pairs = rows * p.keys;
    return clattn_run_kernel(call, "attention", "scalar_weights", "", 1, (size_t[]){ (size_t)pairs }, (size_t[]){ 0 }, PROBLEM_ARGS(&p), ARG_T(p.tensors.lse), ARG_T(p.tensors.weights), ARG_I64(pairs));
}

/* ---- cpu: work-groups of one, vectors along the queries ---- */

/* Tile sizes: see attention.cl for what they cut. */
typedef struct tile {
    int vectors;     /* of 16 queries in a block */
    int score_keys;  /* keys whose scores are in registers at a time */
    int keys;        /* in a tile */
    int chunk, rows; /* of the value's vectors and of the queries, in registers at a time */
} tile;

static size_t tile_bytes(const tile *t, int depth, int value_depth) {
    const size_t queries = 16 * (size_t)t->vectors, padded = (size_t)(depth + 15) / 16 * 16, width = (size_t)(value_depth + 15) / 16 * 16;
    return 4 * (queries * (padded + (size_t)t->keys + width + 3) + (value_depth % 16 ? (size_t)t->keys * width : 0));
}

/* The largest divisor of the value's vectors that leaves room for the accumulators. */
static void choose_chunk(tile *t, int value_vectors) {
    static const int rows[] = { 0, 16, 8, 8, 4, 4 };
    t->chunk = 5;
    while (value_vectors % t->chunk) t->chunk--;
    if (value_vectors % 4 == 0 && value_vectors <= 4) t->chunk = value_vectors == 4 ? 2 : t->chunk;
    t->rows = rows[t->chunk];
}

static bool choose_tile(const clattn_call *call, int64_t queries, int depth, int value_depth, tile *t) {
    const size_t local = clattn_call_device(call)->local_memory;
    t->vectors = queries <= 16 ? 1 : queries <= 32 ? 2 : 4;
    t->score_keys = t->vectors == 4 ? 4 : 8;
    t->keys = depth <= 64 && value_depth <= 64 ? 256 : 128;
    choose_chunk(t, (value_depth + 15) / 16);
    while (t->keys > 16 && tile_bytes(t, depth, value_depth) > local) t->keys /= 2;
    return tile_bytes(t, depth, value_depth) <= local;
}

static const char *cpu_refusal(const clattn_call *call, const void *raw) {
    const problem p = problem_of(call, raw);
    tile t;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (p.depth < 1 || p.depth > 256 || p.value_depth < 1 || p.value_depth > 256) return "the head size is outside 1..256";
    if (p.queries > 1 << 28 || p.keys > 1 << 28) return "there are more than 2^28 queries or keys";
    return choose_tile(call, p.queries, (int)p.depth, (int)p.value_depth, &t) ? NULL : "the device's local memory is too small for the head size";
}

/* Vector loads need a last stride of 1. */
static clattn_status pack_rows(clattn_call *call, problem *p, const clattn_tensor **tensor) {
    if ((*tensor)->strides[3] == 1 || (*tensor)->shape[3] == 1) return CLATTN_OK;
    clattn_tensor *own = &p->own[p->own_count++];
    clattn_status status = clattn_scratch(call, own, CLATTN_F32, 4, (*tensor)->shape);
    if (!status) status = clattn_copy(call, own, *tensor);
    *tensor = own;
    return status;
}

static clattn_status pack_tensors(clattn_call *call, problem *p) {
    clattn_status status = pack_rows(call, p, &p->tensors.query);
    if (!status) status = pack_rows(call, p, &p->tensors.key);
    if (!status) status = pack_rows(call, p, &p->tensors.value);
    clattn_tensor *out = p->tensors.out;
    if (!status && out && out->strides[3] != 1 && p->value_depth > 1) p->tensors.out = NULL; /* add_results makes a dense one */
    return status ? status : add_results(call, p);
}

/* -D of what the kernels cut their arrays by; `values` adds what only the kernel that reads them has. */
static void set_options(char *text, size_t size, const problem *p, const tile *t, bool values) {
    const size_t used = (size_t)snprintf(text, size, "-DDEPTH=%d -DNVQ=%d -DMRS=%d -DBK=%d%s", (int)(p->depth + 15) / 16 * 16, t->vectors, t->score_keys, t->keys, p->flags & (HAS_MASK | HAS_BIAS) ? " -DEXTRA" : "");
    if (values) snprintf(text + used, size - used, " -DWIDTH=%d -DNVD=%d -DMRQ=%d%s", (int)(p->value_depth + 15) / 16, t->chunk, t->rows, p->value_depth % 16 ? " -DTAIL" : "");
}

static clattn_status run_cpu(clattn_call *call, problem *p, const tile *t, const size_t groups[2]) {
    char options[160];
    set_options(options, sizeof options, p, t, true);
    return clattn_run_kernel(call, "attention", "cpu", options, 2, groups, ((size_t[]){ 1, 1 }), PROBLEM_ARGS(p), ARG_T(p->tensors.value), clattn_arg_strides4(p->tensors.value), ARG_T(p->tensors.out), clattn_arg_strides4(p->tensors.out), ARG_T(p->tensors.lse));
}

static clattn_status run_cpu_weights(clattn_call *call, problem *p, const tile *t, const size_t groups[2]) {
    char options[160];
    set_options(options, sizeof options, p, t, false);
    return clattn_run_kernel(call, "attention", "cpu_weights", options, 2, groups, ((size_t[]){ 1, 1 }), PROBLEM_ARGS(p), ARG_T(p->tensors.lse), ARG_T(p->tensors.weights));
}

static clattn_status enqueue_cpu(clattn_call *call, const void *raw) {
    const clattn_attention_args *a = raw;
    problem p = problem_of(call, a);
    tile t;
    choose_tile(call, p.queries, (int)p.depth, (int)p.value_depth, &t);
    const int64_t block = 16 * t.vectors;
    const size_t groups[] = { (size_t)((p.queries + block - 1) / block), (size_t)(p.batches * p.heads) };
    clattn_status status = pack_tensors(call, &p);
    if (!status) status = run_cpu(call, &p, &t, groups);
    if (!status && a->weights) status = run_cpu_weights(call, &p, &t, groups);
    if (!status && a->out && a->out != p.tensors.out) status = clattn_copy(call, a->out, p.tensors.out);
    return status;
}

/* ---- decode: few queries, the keys split into parts ---- */

enum { DECODE_KEYS = 256, DECODE_ROWS = 16 };

static const char *decode_refusal(const clattn_call *call, const void *raw) {
    const problem p = problem_of(call, raw);
    const char *refusal = cpu_refusal(call, raw);
    if (refusal) return refusal;
    if (p.queries > 4) return "there are more than 4 queries";
    const size_t row = 4 * ((size_t)(p.depth + 15) / 16 * 16 + DECODE_KEYS);
    if (!clattn_call_cpu(call, DECODE_ROWS * row)) return "the device's local memory is too small for 16 rows";
    return p.heads * p.queries > DECODE_ROWS * p.kv_heads ? "more than 16 queries read one key/value head" : NULL;
}

static clattn_status run_decode(clattn_call *call, problem *p, clattn_tensor *parts, int64_t part_count) {
    char options[96];
    const int width = (int)(p->value_depth + 15) / 16;
    const size_t rows = (size_t)(p->batches * p->heads * p->queries);
    snprintf(options, sizeof options, "-DDEPTH=%d -DWIDTH=%d -DBK=%d -DROWS=%d", (int)(p->depth + 15) / 16 * 16, width, DECODE_KEYS, DECODE_ROWS);
    clattn_status status = clattn_run_kernel(call, "attention", "decode", options, 2, ((size_t[]){ (size_t)part_count, (size_t)(p->batches * p->kv_heads) }), ((size_t[]){ 1, 1 }), PROBLEM_ARGS(p), ARG_T(p->tensors.value), clattn_arg_strides4(p->tensors.value), ARG_T(parts), ARG_I32(DECODE_KEYS));
    if (status) return status;
    snprintf(options, sizeof options, "-DWIDTH=%d", width);
    return clattn_run_kernel(call, "attention", "decode_join", options, 1, (size_t[]){ rows }, (size_t[]){ 1 }, ARG_T(parts), ARG_T(p->tensors.out), clattn_arg_strides4(p->tensors.out), ARG_T(p->tensors.lse), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), ARG_I32(p->value_depth), ARG_I32(part_count));
}

static clattn_status enqueue_decode(clattn_call *call, const void *raw) {
    const clattn_attention_args *a = raw;
    problem p = problem_of(call, a);
    tile t;
    clattn_tensor parts;
    choose_tile(call, p.queries, (int)p.depth, (int)p.value_depth, &t);
    const int64_t part_count = p.keys ? (p.keys + DECODE_KEYS - 1) / DECODE_KEYS : 1;
    clattn_status status = pack_tensors(call, &p);
    if (!status) status = clattn_scratch(call, &parts, CLATTN_F32, 2, (int64_t[]){ part_count * p.batches * p.heads * p.queries, (p.value_depth + 15) / 16 * 16 + 16 });
    if (!status) status = run_decode(call, &p, &parts, part_count);
    if (!status && a->weights) status = run_cpu_weights(call, &p, &t, (size_t[]){ 1, (size_t)(p.batches * p.heads) });
    if (!status && a->out && a->out != p.tensors.out) status = clattn_copy(call, a->out, p.tensors.out);
    return status;
}

static const clattn_variant variants[] = {
    { "decode", decode_refusal, enqueue_decode },
    { "cpu", cpu_refusal, enqueue_cpu },
    { "scalar", NULL, enqueue_scalar },
};

/* Pairs inside causal and window; key_lengths are on the device and count as full. */
static double count_pairs(const problem *p) {
    const int64_t diagonal = p->flags & BOTTOM_RIGHT ? p->keys - p->queries : 0;
    double pairs = 0;
    if (p->left >= p->queries + p->keys && p->right >= p->queries + p->keys) return (double)p->queries * (double)p->keys;
    for (int64_t i = 0; i < p->queries; i++) {
        const int64_t first = i + diagonal - p->left, last = i + diagonal + p->right + 1;
        const int64_t from = first > 0 ? first : 0, to = last < p->keys ? last : p->keys;
        pairs += to > from ? (double)(to - from) : 0;
    }
    return pairs;
}

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const problem p = problem_of(call, raw);
    const double heads = (double)(p.batches * p.heads), kv_heads = (double)(p.batches * p.kv_heads), widths = (double)(p.depth + p.value_depth);
    *flops = 2 * heads * count_pairs(&p) * widths;
    *bytes = 4 * widths * (heads * (double)p.queries + kv_heads * (double)p.keys);
    if (p.tensors.weights) *bytes += 4 * heads * (double)p.queries * (double)p.keys;
}

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] -> out weights",
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] mask[70,70] -> out",
    "attention query[1,2,1,64] key[1,2,70,64] value[1,2,70,64] -> out",
    "attention query[1,1,3,257] key[1,1,4,257] value[1,1,4,8] -> out weights",
    NULL,
};
static const clattn_op_code code = { .prepare = prepare, .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_attention, .work = work, .examples = examples };
static const clattn_op op_attention = { "attention", "softmax(scale * Q K^T + bias) V per head", "Vaswani et al. 2017; torch scaled_dot_product_attention, keras Attention (scale=1)", sizeof(ARGS), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(attention)

const clattn_op *const clattn_ops_attention[] = { &op_attention, NULL };
