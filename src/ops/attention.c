/* Scaled dot-product attention. */
#include "attention.h"

#include <stdlib.h>

static const char *const causal_words[] = { "none", "top_left", "bottom_right", NULL };
static const char *const stage_words[] = { "raw", "softcap", "bias", "softmax", NULL };

enum { STRIDED = CLATTN_FIELD_STRIDED, OPTIONAL = CLATTN_FIELD_OPTIONAL, STORED = CLATTN_FIELD_STORED };

#define ARGS clattn_attention_args
static const clattn_field fields[] = {
    CLATTN_IN(ARGS, query, "B,H,Tq,D", STRIDED | STORED, "queries; [B,Tq,H,D] is a choice of strides"),
    CLATTN_IN(ARGS, key, "B,Hkv,L,D", STRIDED | STORED, "keys; query head h reads key/value head h / (H / Hkv)"),
    CLATTN_IN(ARGS, value, "B,Hkv,L,Dv", STRIDED | STORED, "values"),
    CLATTN_IN_BOOL(ARGS, mask, "~B,H,Tq,P+L", OPTIONAL | STRIDED, "true = attend; broadcast from the right, rank 1-4"),
    CLATTN_IN(ARGS, bias, "~B,H,Tq,P+L", OPTIONAL | STRIDED, "added to the scaled scores; -inf excludes"),
    CLATTN_IN(ARGS, alibi_slopes, "H|B,H", OPTIONAL, "adds -slope * distance"),
    CLATTN_IN_INT_LIMITED(ARGS, key_lengths, "B", "<=P+L", OPTIONAL, "keys from there on are excluded; clamped to 0..Tk"),
    CLATTN_IN(ARGS, sinks, "H", OPTIONAL, "a logit per head that joins the denominator"),
    CLATTN_IN(ARGS, past_key, "B,Hkv,P,D", OPTIONAL | STRIDED | STORED, "keys before `key`"),
    CLATTN_IN(ARGS, past_value, "B,Hkv,P,Dv", OPTIONAL | STRIDED | STORED, "values before `value`"),
    CLATTN_OUT(ARGS, out, "out", "B,H,Tq,Dv", STRIDED | STORED, "softmax-weighted values; 0 where no key may be attended"),
    CLATTN_OUT(ARGS, lse, "lse", "B,H,Tq", OPTIONAL, "natural logarithm of the sum of exponentials of the scores; -inf for no key"),
    CLATTN_OUT(ARGS, weights, "weights", "B,H,Tq,P+L", OPTIONAL, "the softmax"),
    CLATTN_OUT(ARGS, scores, "scores", "B,H,Tq,P+L", OPTIONAL, "the scores at scores_stage"),
    CLATTN_OUT(ARGS, key_sums, "key_sums", "B,H,P+L", OPTIONAL, "the weights' sums over the queries"),
    CLATTN_OUT(ARGS, present_key, "present_key", "B,Hkv,P+L,D", OPTIONAL | STRIDED | STORED, "past_key and key joined"),
    CLATTN_OUT(ARGS, present_value, "present_value", "B,Hkv,P+L,Dv", OPTIONAL | STRIDED | STORED, "past_value and value joined"),
    CLATTN_PARAM(ARGS, scale, "scale", CLATTN_FIELD_FLOAT, 0, 0, 0, "multiplies the scores; 0 = 1/sqrt(D)"),
    CLATTN_PARAM(ARGS, softcap, "softcap", CLATTN_FIELD_FLOAT, 0, 0, 3e38, "c * tanh(score / c), before the bias; 0 = off"),
    CLATTN_PARAM_WORD(ARGS, causal, "causal", causal_words, 0, "top_left: key <= query; bottom_right: counted from the last key"),
    CLATTN_PARAM(ARGS, window_left, "window_left", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys before the diagonal that count; -1 = all"),
    CLATTN_PARAM(ARGS, window_right, "window_right", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys after the diagonal that count; -1 = all"),
    CLATTN_PARAM(ARGS, dropout, "dropout", CLATTN_FIELD_FLOAT, 0, 0, 1 - 0x1p-24, "rate at which weights are dropped for out; at least 0, below 1"),
    CLATTN_PARAM(ARGS, seed, "seed", CLATTN_FIELD_U64, 0, 0, 0, "of dropout"),
    CLATTN_PARAM(ARGS, offset, "offset", CLATTN_FIELD_U64, 0, 0, 0, "of dropout; another for each call that is to be independent"),
    CLATTN_PARAM_WORD(ARGS, scores_stage, "scores_stage", stage_words, 0, "where scores is taken: raw = scaled, unmasked; softcap; bias = after bias, slopes and masks, -inf where excluded; softmax = the weights"),
};

static clattn_status prepare(clattn_call *call, void *args) {
    const clattn_attention_args *a = args;
    clattn_dim_set(call, "P", a->past_key && a->past_key->rank == 4 ? a->past_key->shape[2] : 0);
    return CLATTN_OK;
}

static clattn_status infer(clattn_call *call, const void *args) {
    const clattn_attention_args *a = args;
    const int64_t heads = clattn_dim(call, "H"), kv_heads = clattn_dim(call, "Hkv");
    if (kv_heads == 0 ? heads != 0 : heads % kv_heads != 0)
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "query has %lld heads, which is not a multiple of the %lld heads of key and value", (long long)heads, (long long)kv_heads);
    if (!a->past_key != !a->past_value) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is given, %s is missing", a->past_key ? "past_key" : "past_value", a->past_key ? "past_value" : "past_key");
    return CLATTN_OK;
}

/* ---- What the kernels are told ---- */

/* A query's diagonal is key i (of the kernels) or i + n_b - Tq; past keys move it by moving the window. */
static void set_window(attention_problem *p, const clattn_attention_args *a, int64_t past) {
    const int64_t all = p->queries + p->keys;
    p->left = a->window_left.value < 0 || a->window_left.value > all ? all : a->window_left.value;
    p->right = a->window_right.value < 0 || a->window_right.value > all ? all : a->window_right.value;
    if (a->causal != CLATTN_CAUSAL_NONE) p->right = 0;
    if (a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT) {
        p->flags |= ATTENTION_BOTTOM_RIGHT;
    } else {
        p->left -= p->left < all ? past : 0;
        p->right += p->right < all ? past : 0;
    }
}

void clattn_attention_set(attention_problem *p, const clattn_attention_args *a, int64_t past) {
    p->tensors = *a;
    p->flags = (a->mask ? ATTENTION_MASK : 0) | (a->bias ? ATTENTION_BIAS : 0) | (a->key_lengths ? ATTENTION_LENGTHS : 0) | (a->sinks ? ATTENTION_SINKS : 0) | (a->softcap != 0 ? ATTENTION_CAP : 0);
    if (a->alibi_slopes) p->flags |= ATTENTION_SLOPES | (a->alibi_slopes->rank == 2 ? ATTENTION_SLOPES_PER_BATCH : 0);
    p->scale = a->scale != 0 ? a->scale : p->depth ? (float)(1 / sqrt((double)p->depth)) : 1;
    p->dropped_below = (uint64_t)ceil((double)a->dropout * 4294967296.0);
    set_window(p, a, past);
}

static attention_problem problem_of(const clattn_call *call, const clattn_attention_args *a) {
    const int64_t past = clattn_dim(call, "P");
    attention_problem p = { .batches = clattn_dim(call, "B"), .heads = clattn_dim(call, "H"), .kv_heads = clattn_dim(call, "Hkv"), .queries = clattn_dim(call, "Tq"), .keys = past + clattn_dim(call, "L"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv") };
    clattn_attention_set(&p, a, past);
    return p;
}

/* How the kernels store queries, keys, values and the result. */
static clattn_dtype stored_type(const clattn_call *call) {
    return call->half ? CLATTN_F16 : CLATTN_F32;
}

/* Whether an output is made of the weights. */
static bool makes_weights(const clattn_attention_args *a) {
    return a->weights || a->key_sums || (a->scores && a->scores_stage == CLATTN_SCORES_SOFTMAX);
}

clattn_status clattn_attention_add_results(clattn_call *call, attention_problem *p) {
    clattn_status status = CLATTN_OK;
    if (!p->tensors.out) {
        clattn_tensor *own = &p->own[p->own_count++];
        status = clattn_scratch(call, own, stored_type(call), 4, (int64_t[]){ p->batches, p->heads, p->queries, p->value_depth });
        p->tensors.out = own;
    }
    if (!status && !p->tensors.lse) {
        clattn_tensor *own = &p->own[p->own_count++];
        status = clattn_scratch(call, own, CLATTN_F32, 3, (int64_t[]){ p->batches, p->heads, p->queries });
        p->tensors.lse = own;
    }
    if (!status && makes_weights(&p->tensors)) {
        p->row_sums = &p->own[p->own_count++];
        status = clattn_scratch(call, p->row_sums, CLATTN_F32, 4, (int64_t[]){ p->batches, p->heads, p->queries, 2 });
    }
    return status;
}

clattn_arg clattn_attention_extra_strides(const attention_problem *p, const clattn_tensor *tensor) {
    return clattn_arg_broadcast4(tensor, 4, (int64_t[]){ p->batches, p->heads, p->queries, p->keys });
}

/* ---- Past and present ---- */

/* Puts `past` and `now`, one after the other along the keys, into `present` (scratch when it is NULL) and that in now's place. */
static clattn_status join(clattn_call *call, attention_problem *p, const clattn_tensor *past, const clattn_tensor **now, clattn_tensor *present) {
    clattn_status status = CLATTN_OK;
    const clattn_tensor *last = *now;
    if (!past && !present) return status;
    if (!present) {
        present = &p->own[p->own_count++];
        status = clattn_scratch(call, present, stored_type(call), 4, (int64_t[]){ p->batches, p->kv_heads, p->keys, last->shape[3] });
    }
    const clattn_tensor end = clattn_tensor_sliced(present, 2, p->keys - last->shape[2], last->shape[2]);
    if (!status && past) {
        const clattn_tensor start = clattn_tensor_sliced(present, 2, 0, past->shape[2]);
        status = clattn_copy(call, &start, past);
    }
    if (!status) status = clattn_copy(call, &end, last);
    if (past) *now = present;
    return status;
}

static clattn_status join_past(clattn_call *call, attention_problem *p) {
    clattn_attention_args *a = &p->tensors;
    const clattn_status status = join(call, p, a->past_key, &a->key, a->present_key);
    return status ? status : join(call, p, a->past_value, &a->value, a->present_value);
}

/* ---- scalar: any sizes, any strides ---- */

int64_t clattn_attention_chunks(const attention_problem *p) {
    const int64_t chunk = 32; /* CHUNK in attention_scalar.cl */
    return p->value_depth > chunk ? (p->value_depth + chunk - 1) / chunk : 1;
}

void clattn_attention_features(char *text, size_t size, const attention_problem *p, bool values) {
    snprintf(text, size, "%s%s%s%s", p->flags & (ATTENTION_CAP | ATTENTION_SLOPES) ? " -DFORM" : "", p->flags & (ATTENTION_MASK | ATTENTION_BIAS) ? " -DEXTRA" : "", values && p->dropped_below ? " -DDROPOUT" : "", p->varlen ? " -DVARLEN" : "");
}

static clattn_status run_scalar_pairs(clattn_call *call, const attention_problem *p, clattn_tensor *result, clattn_scores_stage stage) {
    const int64_t pairs = p->batches * p->heads * p->queries * p->keys;
    return clattn_run_kernel(call, "attention", "scalar_weights", "", 1, (size_t[]){ (size_t)pairs }, (size_t[]){ 0 }, ATTENTION_ARGS(p), ARG_T(p->row_sums), ARG_T(result), ARG_I32(stage), ARG_I64(pairs));
}

static clattn_status run_scalar_sums(clattn_call *call, const attention_problem *p) {
    const int64_t count = p->batches * p->heads * p->keys;
    return clattn_run_kernel(call, "attention", "scalar_key_sums", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ATTENTION_ARGS(p), ARG_T(p->row_sums), ARG_T(p->tensors.key_sums), ARG_I64(count));
}

/* What is asked for besides out and lse, from row_sums. */
static clattn_status run_scalar_rest(clattn_call *call, const attention_problem *p) {
    const clattn_attention_args *a = &p->tensors;
    clattn_status status = a->weights ? run_scalar_pairs(call, p, a->weights, CLATTN_SCORES_SOFTMAX) : CLATTN_OK;
    if (!status && a->scores) status = run_scalar_pairs(call, p, a->scores, a->scores_stage);
    return status || !a->key_sums ? status : run_scalar_sums(call, p);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_attention_args *a = raw;
    attention_problem p = problem_of(call, a);
    const int64_t items = p.batches * p.heads * p.queries * clattn_attention_chunks(&p);
    clattn_status status = join_past(call, &p);
    if (!status) status = clattn_attention_add_results(call, &p);
    if (!status) status = clattn_run_kernel(call, "attention", "scalar", p.dropped_below ? "-DDROPOUT" : "", 1, (size_t[]){ (size_t)items }, (size_t[]){ 0 }, ATTENTION_ARGS(&p), ATTENTION_RESULTS(&p), ARG_I64(items));
    return status ? status : run_scalar_rest(call, &p);
}

/* ---- gpu_decode and gpu_tile: see attention_gpu.c ---- */

static const char *gpu_refusal(const clattn_call *call, const void *raw) {
    const attention_problem p = problem_of(call, raw);
    return clattn_attention_gpu_refusal(call, &p);
}

static const char *gpu_decode_refusal(const clattn_call *call, const void *raw) {
    const attention_problem p = problem_of(call, raw);
    return clattn_attention_gpu_decode_refusal(call, &p);
}

static clattn_status run_gpu(clattn_call *call, const clattn_attention_args *a, clattn_status (*run)(clattn_call *, attention_problem *)) {
    attention_problem p = problem_of(call, a);
    clattn_status status = join_past(call, &p);
    if (!status) status = clattn_attention_pack(call, &p);
    if (!status) status = run(call, &p);
    if (!status) status = run_scalar_rest(call, &p);
    if (!status && a->out && a->out != p.tensors.out) status = clattn_copy(call, a->out, p.tensors.out);
    return status;
}

static clattn_status enqueue_gpu(clattn_call *call, const void *raw) {
    return run_gpu(call, raw, clattn_attention_gpu_run);
}

static clattn_status enqueue_gpu_decode(clattn_call *call, const void *raw) {
    return run_gpu(call, raw, clattn_attention_gpu_decode_run);
}

/* ---- cpu: work-groups of one, vectors along the queries ---- */

enum { WIDEST_TILE = 256 };

static size_t tile_bytes(const attention_tile *t, const attention_problem *p) {
    const size_t queries = 16 * (size_t)t->vectors, padded = (size_t)(p->depth + 15) / 16 * 16, width = (size_t)(p->value_depth + 15) / 16 * 16;
    return 4 * (queries * (padded + (size_t)t->keys + width + 3) + (p->value_depth < 16 ? (size_t)t->keys * width : 0));
}

/* Vectors of the value at a time: as few chunks as the accumulators allow, of equal or nearly equal widths. */
static void choose_chunk(attention_tile *t, const clattn_call *call, int value_vectors) {
    static const int rows[] = { 0, 16, 8, 8, 4, 4 };
    const int chunks = (value_vectors + 2) / 3;
    t->chunk = clattn_tuned(call, "chunk", (value_vectors + chunks - 1) / chunks);
    t->rows = clattn_tuned(call, "rows", rows[t->chunk]);
}

/* Keys of a tile: few for wide heads, whole steps of the keys whose scores are in registers together. */
static int tile_keys(const clattn_call *call, const attention_problem *p, bool sixes) {
    const int keys = sixes ? 192 : 256;
    return clattn_tuned(call, "keys", p->depth <= 64 && p->value_depth <= 64 ? keys : keys / 2);
}

static attention_tile wide_tile(const clattn_call *call, const attention_problem *p) {
    attention_tile t = { .vectors = p->queries <= 16 ? 1 : p->queries <= 32 ? 2 : 4 };
    choose_chunk(&t, call, (int)(p->value_depth + 15) / 16);
    t.vectors = clattn_tuned(call, "vectors", t.rows == 6 ? 3 : t.vectors);
    t.score_keys = clattn_tuned(call, "score_keys", t.vectors < 4 ? 8 : p->depth > 128 ? 6 : 4);
    t.keys = tile_keys(call, p, t.score_keys == 6);
    return t;
}

/* Few registers: six sums at a time where blocks of 48 queries leave little empty, else four, which have as many products but more loads. */
static attention_tile narrow_tile(const clattn_call *call, const attention_problem *p) {
    const bool sixes = 9 * 48 * clattn_ceil_div(p->queries, 48) <= 10 * 64 * clattn_ceil_div(p->queries, 64);
    attention_tile t = { .chunk = clattn_tuned(call, "chunk", 1) };
    t.vectors = clattn_tuned(call, "vectors", clattn_tuned(call, "rows", 0) == 6 ? 3 : p->queries <= 16 ? 1 : p->queries <= 32 ? 2 : sixes ? 3 : 4);
    t.rows = clattn_tuned(call, "rows", t.vectors == 3 ? 6 : 4);
    t.keys = tile_keys(call, p, clattn_tuned(call, "score_keys", 6) == 6);
    t.score_keys = clattn_tuned(call, "score_keys", t.keys % 6 ? 4 : 6);
    return t;
}

attention_tile clattn_attention_tile(const clattn_call *call, const attention_problem *p) {
    const size_t local = clattn_call_device(call)->local_memory;
    attention_tile t = clattn_few_registers(clattn_call_device(call)) ? narrow_tile(call, p) : wide_tile(call, p);
    while (t.keys > 16 && tile_bytes(&t, p) > local) {
        t.keys = t.keys == 48 ? 32 : t.keys / 2;
        if (t.keys % t.score_keys) t.score_keys = 4;
    }
    return t;
}

const char *clattn_attention_cpu_refusal(const clattn_call *call, const attention_problem *p) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (p->depth < 1 || p->depth > WIDEST_TILE || p->value_depth < 1 || p->value_depth > WIDEST_TILE) return "the head size is outside 1..256";
    if (p->queries > 1 << 28 || p->keys > 1 << 28) return "there are more than 2^28 queries or keys";
    const attention_tile t = clattn_attention_tile(call, p);
    const int value_vectors = (int)(p->value_depth + 15) / 16;
    if (value_vectors < (value_vectors + t.chunk - 1) / t.chunk * (t.chunk - 1)) return "the chunk is too wide for the width of the values";
    const int sums = clattn_call_sums(call), scores = t.score_keys * (sums < 16 ? 1 : t.vectors);
    if (scores > sums || t.chunk * t.rows > sums) return "the tile has more sums than there are registers";
    if (t.keys % t.score_keys || t.keys % 16 || 16 * t.vectors % t.rows) return "the tile's rows or keys are not whole steps";
    return tile_bytes(&t, p) <= clattn_call_device(call)->local_memory ? NULL : "the device's local memory is too small for the head size";
}

static const char *cpu_refusal(const clattn_call *call, const void *raw) {
    const attention_problem p = problem_of(call, raw);
    return clattn_attention_cpu_refusal(call, &p);
}

/* A copy of a tensor's rows, one after the other, in its place. */
static clattn_status copy_rows(clattn_call *call, attention_problem *p, const clattn_tensor **tensor) {
    clattn_tensor *own = &p->own[p->own_count++];
    clattn_status status = clattn_scratch(call, own, stored_type(call), 4, (*tensor)->shape);
    if (!status) status = clattn_copy(call, own, *tensor);
    *tensor = own;
    return status;
}

/* Vector loads need a last stride of 1. */
static clattn_status pack_rows(clattn_call *call, attention_problem *p, const clattn_tensor **tensor) {
    return (*tensor)->strides[3] == 1 || (*tensor)->shape[3] == 1 ? CLATTN_OK : copy_rows(call, p, tensor);
}

clattn_status clattn_attention_pack(clattn_call *call, attention_problem *p) {
    clattn_status status = pack_rows(call, p, &p->tensors.query);
    if (!status) status = pack_rows(call, p, &p->tensors.key);
    if (!status) status = pack_rows(call, p, &p->tensors.value);
    const clattn_tensor *out = p->tensors.out;
    if (!status && out && out->strides[3] != 1 && p->value_depth > 1) p->tensors.out = NULL; /* add_results makes a dense one */
    return status ? status : clattn_attention_add_results(call, p);
}

enum {
    SETS_BYTES = 4096,  /* after which a CPU's level-1 cache comes to its first set again */
    GATHERED_FROM = 512 /* queries that meet each key: copying one and its value takes as long as 30 of them */
};

/* Whether a head's rows leave sets of the cache unused, as those of [B,T,H,D] do where H D is a multiple of a large power of two. */
static bool rows_collide(const clattn_tensor *tensor) {
    const uint64_t step = 4 * (uint64_t)tensor->strides[2];
    const uint64_t apart = step & (~step + 1); /* the largest power of two in it, at whose multiples the rows begin */
    return tensor->strides[3] == 1 && step != 0 && 4 * (uint64_t)tensor->shape[3] < (apart < SETS_BYTES ? apart : SETS_BYTES);
}

clattn_status clattn_attention_gather(clattn_call *call, attention_problem *p, int64_t sequences) {
    const int64_t queries = p->kv_heads ? p->queries * (p->heads / p->kv_heads) / (sequences > 0 ? sequences : 1) : 0;
    const int64_t window = p->left + p->right + 1;
    clattn_status status = CLATTN_OK;
    if (queries < GATHERED_FROM || window < GATHERED_FROM) return status;
    if (rows_collide(p->tensors.key)) status = copy_rows(call, p, &p->tensors.key);
    return status || !rows_collide(p->tensors.value) ? status : copy_rows(call, p, &p->tensors.value);
}

void clattn_attention_options(char *text, size_t size, const attention_problem *p, const attention_tile *t, bool values) {
    char features[64];
    clattn_attention_features(features, sizeof features, p, values);
    const size_t used = (size_t)snprintf(text, size, "-DDEPTH=%d -DNVQ=%d -DMRS=%d -DBK=%d%s", (int)(p->depth + 15) / 16 * 16, t->vectors, t->score_keys, t->keys, features);
    if (values) snprintf(text + used, size - used, " -DWIDTH=%d -DNVD=%d -DMRQ=%d%s", (int)(p->value_depth + 15) / 16, t->chunk, t->rows, p->value_depth % 16 ? " -DTAIL" : "");
}

/* One kernel that goes over the scores again, for what `more` makes of them. */
static clattn_status run_pairs(clattn_call *call, const attention_problem *p, const attention_tile *t, const size_t groups[2], const char *more, clattn_tensor *result) {
    char options[200];
    clattn_attention_options(options, sizeof options, p, t, false);
    const size_t used = strlen(options);
    snprintf(options + used, sizeof options - used, "%s", more);
    return clattn_run_kernel(call, "attention", "cpu_weights", options, 2, groups, ((size_t[]){ 1, 1 }), ATTENTION_ARGS(p), ARG_T(p->row_sums), ARG_T(result));
}

static clattn_status run_sums(clattn_call *call, const attention_problem *p, const attention_tile *t, const size_t groups[2]) {
    clattn_tensor parts;
    const int64_t count = p->batches * p->heads * p->keys;
    clattn_status status = clattn_scratch(call, &parts, CLATTN_F32, 2, (int64_t[]){ (int64_t)groups[0], count });
    if (!status) status = run_pairs(call, p, t, groups, " -DSUMS", &parts);
    return status ? status : clattn_run_kernel(call, "attention", "cpu_key_sums", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(&parts), ARG_T(p->tensors.key_sums), ARG_I32(groups[0]), ARG_I64(count));
}

/* What is asked for besides out and lse, from row_sums. */
static clattn_status run_rest(clattn_call *call, const attention_problem *p, const attention_tile *t) {
    static const char *const stages[] = { " -DSTAGE=0", " -DSTAGE=1", " -DSTAGE=2", "" };
    const clattn_attention_args *a = &p->tensors;
    const int64_t block = 16 * t->vectors;
    const size_t groups[] = { (size_t)((p->queries + block - 1) / block), (size_t)(p->batches * p->heads) };
    clattn_status status = a->weights ? run_pairs(call, p, t, groups, "", a->weights) : CLATTN_OK;
    if (!status && a->scores) status = run_pairs(call, p, t, groups, stages[a->scores_stage], a->scores);
    return status || !a->key_sums ? status : run_sums(call, p, t, groups);
}

/* Whether no score is changed or taken out, so that all stages before the softmax are one. */
static bool is_plain(const attention_problem *p) {
    return !(p->flags & ~ATTENTION_SINKS) && p->left >= p->queries + p->keys && p->right >= p->queries + p->keys;
}

/* Takes from `rest` what the first pass over the scores can give: weights, and scores where their stage is that of the pass. */
static void keep_in_passing(const attention_problem *p, clattn_attention_args *rest, clattn_tensor **weights, clattn_tensor **scores) {
    const bool softmax = rest->scores_stage == CLATTN_SCORES_SOFTMAX, late = rest->scores_stage == CLATTN_SCORES_BIAS || is_plain(p);
    clattn_tensor **kept_weights = rest->weights ? &rest->weights : softmax ? &rest->scores : NULL;
    *weights = *scores = NULL;
    if (kept_weights) {
        *weights = *kept_weights;
        *kept_weights = NULL;
    }
    if (!softmax && late) {
        *scores = rest->scores;
        rest->scores = NULL;
    }
}

/* Arguments that a program without them does not have. */
static size_t add_kept(clattn_arg *args, size_t count, clattn_tensor *weights, clattn_tensor *scores) {
    if (weights) args[count++] = ARG_T(weights);
    if (scores) args[count++] = ARG_T(scores);
    return count;
}

enum { WHOLE_KEYS = 4096 }; /* whose scores mostly stay in a core's level-2 cache */

/* Makes the tile hold all keys, so that weights are final when they are made. False when the device has no room for that, and where
 * dropout changes the weights that the values meet. */
static bool hold_all_keys(const clattn_call *call, const attention_problem *p, attention_tile *tile) {
    attention_tile whole = *tile;
    if (p->keys > WHOLE_KEYS || p->dropped_below) return false;
    while (whole.keys < p->keys) whole.keys *= 2; /* few sizes: each is a program */
    if (tile_bytes(&whole, p) > clattn_call_device(call)->local_memory) return false;
    *tile = whole;
    return true;
}

static clattn_status run_cpu(clattn_call *call, attention_problem *p, const attention_tile *t) {
    char options[240];
    clattn_tensor *weights, *scores;
    attention_tile first = *t; /* the first pass's */
    const int64_t block = 16 * t->vectors;
    const size_t groups[] = { (size_t)((p->queries + block - 1) / block), (size_t)(p->batches * p->heads) };
    keep_in_passing(p, &p->tensors, &weights, &scores);
    const bool whole = weights && hold_all_keys(call, p, &first);
    clattn_attention_options(options, sizeof options, p, &first, true);
    const size_t used = strlen(options);
    const bool streams = (whole && clattn_streams(call, weights)) || (scores && clattn_streams(call, scores));
    snprintf(options + used, sizeof options - used, "%s%s%s%s", weights ? " -DWEIGHTS" : "", whole ? " -DWHOLE" : "", scores ? " -DSCORES" : "", streams ? " -DSTREAM" : "");
    clattn_arg args[] = { ATTENTION_ARGS(p), ATTENTION_RESULTS(p), ARG_I32(0), ARG_I32(0) };
    const size_t count = add_kept(args, CLATTN_COUNT(args) - 2, weights, scores);
    const clattn_status status = clattn_run_kernel_list(call, "attention", "cpu", options, 2, groups, (size_t[]){ 1, 1 }, args, count);
    return status ? status : run_rest(call, p, t);
}

static clattn_status enqueue_cpu(clattn_call *call, const void *raw) {
    const clattn_attention_args *a = raw;
    attention_problem p = problem_of(call, a);
    const attention_tile t = clattn_attention_tile(call, &p);
    clattn_status status = join_past(call, &p);
    if (!status) status = clattn_attention_gather(call, &p, 1);
    if (!status) status = clattn_attention_pack(call, &p);
    if (!status) status = run_cpu(call, &p, &t);
    if (!status && a->out && a->out != p.tensors.out) status = clattn_copy(call, a->out, p.tensors.out);
    return status;
}

/* ---- decode: few queries, the keys split into parts ---- */

enum { DECODE_KEYS = 256, DECODE_ROWS = 16, WIDEST_DECODE = 4096 };

static bool wide(const attention_problem *p) {
    return p->depth > WIDEST_TILE || p->value_depth > WIDEST_TILE;
}

/* Rows of queries that the kernel has room for. Those of wide heads fill the local memory: no more than are needed. */
static int decode_rows(const attention_problem *p) {
    int rows = DECODE_ROWS;
    while (wide(p) && rows > 1 && p->heads * p->queries <= rows / 2 * p->kv_heads) rows /= 2;
    return rows;
}

static const char *decode_size_refusal(const clattn_call *call, const attention_problem *p) {
    if (!wide(p)) return clattn_attention_cpu_refusal(call, p);
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (p->depth < 1 || p->depth > WIDEST_DECODE || p->value_depth < 1 || p->value_depth > WIDEST_DECODE) return "the head size is outside 1..4096";
    return p->keys > 1 << 28 ? "there are more than 2^28 keys" : NULL;
}

static const char *decode_refusal(const clattn_call *call, const void *raw) {
    const attention_problem p = problem_of(call, raw);
    const char *refusal = decode_size_refusal(call, &p);
    if (refusal) return refusal;
    if (p.queries > 4) return "there are more than 4 queries";
    if (p.dropped_below) return "there is dropout";
    if (p.heads * p.queries > DECODE_ROWS * p.kv_heads) return "more than 16 queries read one key/value head";
    const size_t row = 4 * ((size_t)(p.depth + 15) / 16 * 16 + DECODE_KEYS);
    return clattn_call_cpu(call, (size_t)decode_rows(&p) * row) ? NULL : "the device's local memory is too small for the queries' rows";
}

/* `scores` may be NULL. */
static clattn_status run_decode(clattn_call *call, attention_problem *p, clattn_tensor *parts, clattn_tensor *scores, int64_t part_count) {
    char options[160];
    const int width = (int)(p->value_depth + 15) / 16;
    const size_t rows = (size_t)(p->batches * p->heads * p->queries);
    snprintf(options, sizeof options, "-DDEPTH=%d -DWIDTH=%d -DBK=%d -DROWS=%d%s", (int)(p->depth + 15) / 16 * 16, width, DECODE_KEYS, decode_rows(p), p->flags & (ATTENTION_CAP | ATTENTION_SLOPES) ? " -DFORM" : "");
    clattn_status status = clattn_run_kernel(call, "attention", "decode", options, 2, ((size_t[]){ (size_t)part_count, (size_t)(p->batches * p->kv_heads) }), ((size_t[]){ 1, 1 }), ATTENTION_ARGS(p), ARG_T(p->tensors.value), clattn_arg_strides4(p->tensors.value), ARG_T(parts), ARG_T(scores), ARG_I32(DECODE_KEYS));
    if (status) return status;
    snprintf(options, sizeof options, "-DWIDTH=%d", width);
    return clattn_run_kernel(call, "attention", "decode_join", options, 1, (size_t[]){ rows }, (size_t[]){ 1 }, ARG_T(parts), ARG_T(p->tensors.out), clattn_arg_strides4(p->tensors.out), ARG_T(p->tensors.lse), ARG_T(p->row_sums), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), ARG_I32(p->value_depth), ARG_I32(part_count), ARG_T(p->tensors.sinks), ARG_I32(p->tensors.sinks != NULL));
}

/* What the queries' scores after bias and masks are turned into. */
static clattn_status run_decode_weights(clattn_call *call, const attention_problem *p, clattn_tensor *scores, clattn_tensor *result, int64_t part_count, const char *stage) {
    char options[40];
    const size_t groups[] = { (size_t)part_count, (size_t)(p->batches * p->heads * p->queries) };
    if (!result) return CLATTN_OK;
    snprintf(options, sizeof options, "-DBK=%d%s", DECODE_KEYS, stage);
    return clattn_run_kernel(call, "attention", "decode_weights", options, 2, groups, ((size_t[]){ 1, 1 }), ARG_T(scores), ARG_T(p->row_sums), ARG_T(result), ARG_I64(p->keys));
}

static clattn_status run_decode_sums(clattn_call *call, const attention_problem *p, clattn_tensor *scores, int64_t part_count) {
    char options[40];
    const size_t groups[] = { (size_t)part_count, (size_t)(p->batches * p->heads) };
    if (!p->tensors.key_sums) return CLATTN_OK;
    snprintf(options, sizeof options, "-DBK=%d", DECODE_KEYS);
    return clattn_run_kernel(call, "attention", "decode_key_sums", options, 2, groups, ((size_t[]){ 1, 1 }), ARG_T(scores), ARG_T(p->row_sums), ARG_T(p->tensors.key_sums), ARG_I32(p->queries), ARG_I64(p->keys));
}

/* What is asked for besides out and lse; scores before bias and masks come from the keys. */
static clattn_status run_decode_rest(clattn_call *call, const attention_problem *p, clattn_tensor *scores, int64_t part_count) {
    const clattn_attention_args *a = &p->tensors;
    attention_problem before = *p;
    clattn_status status = run_decode_weights(call, p, scores, a->weights, part_count, "");
    if (!status) status = run_decode_sums(call, p, scores, part_count);
    if (status || !a->scores) return status;
    if (a->scores_stage >= CLATTN_SCORES_BIAS) return run_decode_weights(call, p, scores, a->scores, part_count, a->scores_stage == CLATTN_SCORES_BIAS ? " -DSTAGE" : "");
    if (wide(p)) return run_scalar_pairs(call, p, a->scores, a->scores_stage);
    before.tensors.weights = before.tensors.key_sums = NULL;
    const attention_tile t = clattn_attention_tile(call, p);
    return run_rest(call, &before, &t);
}

/* Scratch for the scores where they are asked for after bias and masks, or the weights; else *scores = NULL. */
static clattn_status add_decode_scores(clattn_call *call, const attention_problem *p, clattn_tensor **scores) {
    const clattn_attention_args *a = &p->tensors;
    if (makes_weights(a) || (a->scores && a->scores_stage == CLATTN_SCORES_BIAS)) return clattn_scratch(call, *scores, CLATTN_F32, 4, (int64_t[]){ p->batches, p->heads, p->queries, p->keys });
    *scores = NULL;
    return CLATTN_OK;
}

static clattn_status enqueue_decode(clattn_call *call, const void *raw) {
    const clattn_attention_args *a = raw;
    attention_problem p = problem_of(call, a);
    clattn_tensor parts, own_scores, *scores = &own_scores;
    const int64_t part_count = p.keys ? (p.keys + DECODE_KEYS - 1) / DECODE_KEYS : 1;
    clattn_status status = join_past(call, &p);
    if (!status) status = clattn_attention_pack(call, &p);
    if (!status) status = clattn_scratch(call, &parts, CLATTN_F32, 2, (int64_t[]){ part_count * p.batches * p.heads * p.queries, (p.value_depth + 15) / 16 * 16 + 16 });
    if (!status) status = add_decode_scores(call, &p, &scores);
    if (!status) status = run_decode(call, &p, &parts, scores, part_count);
    if (!status) status = run_decode_rest(call, &p, scores, part_count);
    if (!status && a->out && a->out != p.tensors.out) status = clattn_copy(call, a->out, p.tensors.out);
    return status;
}

static const clattn_variant variants[] = {
    { "decode", decode_refusal, enqueue_decode },
    { "cpu", cpu_refusal, enqueue_cpu },
    { "gpu_decode", gpu_decode_refusal, enqueue_gpu_decode },
    { "gpu_tile", gpu_refusal, enqueue_gpu },
    { "scalar", NULL, enqueue_scalar },
};

static const clattn_tunable tunables[] = {
    { "cpu", "vectors", "of 16 queries in a block", { 1, 2, 3, 4 } },
    { "cpu", "score_keys", "keys whose scores are in registers at a time", { 4, 6, 8 } },
    { "cpu", "keys", "in a tile", { 32, 64, 96, 128, 192, 256, 512 } },
    { "cpu", "chunk", "vectors of a value in registers at a time", { 1, 2, 3, 4, 5 } },
    { "cpu", "rows", "queries whose chunk is in registers at a time", { 4, 6, 8, 16 } },
    { "gpu_tile", "cut", "the row of the device's table of tiles", { 1, 2, 3, 4, 5, 6, 7, 8 } },
    { .name = NULL },
};

static void shape_class(const clattn_call *call, const void *raw, char *text, size_t size) {
    const clattn_attention_args *a = raw;
    const attention_problem p = problem_of(call, a);
    const bool window = a->window_left.value >= 0 || a->window_right.value >= 0;
    snprintf(text, size, "h%lld D%lld Tq%lld Tk%lld%s", (long long)clattn_class_size(p.batches * p.heads), (long long)clattn_class_size(p.depth), (long long)clattn_class_size(p.queries), (long long)clattn_class_size(p.keys), window ? " window" : a->causal != CLATTN_CAUSAL_NONE ? " causal" : "");
}

static const char *const tuning_cases[] = {
    "attention query[1,8,512,64] key[1,8,512,64] value[1,8,512,64]",
    "attention query[1,8,1024,64] key[1,8,1024,64] value[1,8,1024,64] causal=top_left",
    "attention query[1,8,1024,128] key[1,8,1024,128] value[1,8,1024,128]",
    "attention query[8,12,128,64] key[8,12,128,64] value[8,12,128,64]",
    "attention query[8,12,64,64] key[8,12,64,64] value[8,12,64,64]",
    NULL,
};

double clattn_attention_pairs(const attention_problem *p) {
    const int64_t diagonal = p->flags & ATTENTION_BOTTOM_RIGHT ? p->keys - p->queries : 0;
    double pairs = 0;
    if (p->left >= p->queries + p->keys && p->right >= p->queries + p->keys) return (double)p->queries * (double)p->keys;
    for (int64_t i = 0; i < p->queries; i++) {
        const int64_t first = i + diagonal - p->left, last = i + diagonal + p->right + 1;
        const int64_t from = first > 0 ? first : 0, to = last < p->keys ? last : p->keys;
        pairs += to > from ? (double)(to - from) : 0;
    }
    return pairs;
}

int32_t *clattn_attention_read_lengths(const clattn_call *call, const clattn_tensor *tensor) {
    int32_t *lengths = malloc(((size_t)clattn_tensor_count(tensor) + 1) * sizeof *lengths);
    if (lengths && clattn_tensor_read(call->context, tensor, lengths) == CLATTN_OK) return lengths;
    free(lengths);
    return NULL;
}

/* Pairs of all heads of a batch, summed over the batches. */
static double all_pairs(const clattn_call *call, const attention_problem *p) {
    int32_t *lengths = p->tensors.key_lengths ? clattn_attention_read_lengths(call, p->tensors.key_lengths) : NULL;
    double pairs = 0;
    for (int64_t b = 0; lengths && b < p->batches; b++) {
        attention_problem one = *p;
        one.keys = lengths[b] < p->keys ? lengths[b] : p->keys;
        pairs += one.keys > 0 ? clattn_attention_pairs(&one) : 0;
    }
    if (!lengths) pairs = (double)p->batches * clattn_attention_pairs(p);
    free(lengths);
    return pairs;
}

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const attention_problem p = problem_of(call, raw);
    const double heads = (double)(p.batches * p.heads), kv_heads = (double)(p.batches * p.kv_heads), widths = (double)(p.depth + p.value_depth), pairs = heads * (double)p.queries * (double)p.keys;
    *flops = 2 * (double)p.heads * all_pairs(call, &p) * widths;
    *bytes = 4 * widths * (heads * (double)p.queries + kv_heads * (double)p.keys);
    if (p.tensors.weights) *bytes += 4 * pairs;
    if (p.tensors.scores) *bytes += 4 * pairs;
    if (p.tensors.present_key) *bytes += 4 * kv_heads * (double)p.keys * (double)p.depth;
    if (p.tensors.present_value) *bytes += 4 * kv_heads * (double)p.keys * (double)p.value_depth;
}

void clattn_reference_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] -> out weights",
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] mask[70,70] -> out",
    "attention query[1,2,1,64] key[1,2,70,64] value[1,2,70,64] -> out",
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] alibi_slopes[2] softcap=20 sinks[2] -> out scores key_sums",
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] dropout=0.1 -> out",
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] dropout=0.1 -> out weights",
    "attention query[1,1,5,257] key[1,1,4,257] value[1,1,4,8] -> out weights key_sums",
    "attention query[1,1,1,300] key[1,1,70,300] value[1,1,70,300] -> out",
    NULL,
};
static const clattn_op_code code = { .prepare = prepare, .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "decode gpu_decode gpu_tile scalar", .reference = clattn_reference_attention, .work = work, .examples = examples,
    .tunables = tunables, .shape_class = shape_class, .kernels = "attention attention_gpu", .tuning_cases = tuning_cases };
static const clattn_op op_attention = { "attention", "softmax(scale * Q K^T + bias) V per head", "Vaswani et al. 2017; torch scaled_dot_product_attention, keras Attention (scale=1)", sizeof(ARGS), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(attention)

const clattn_op *const clattn_ops_attention[] = { &op_attention, NULL };
