/* Attention over sequences that stand one after the other. The kernels are those of attention, with VARLEN. */
#include "attention.h"

#include <stdlib.h>

static const char *const causal_words[] = { "none", "top_left", "bottom_right", NULL };

#define ARGS clattn_attention_varlen_args
enum { STRIDED = CLATTN_FIELD_STRIDED };
static const clattn_field fields[] = {
    CLATTN_IN(ARGS, query, "Nq,H,D", STRIDED, "the queries of all sequences"),
    CLATTN_IN(ARGS, key, "Nk,Hkv,D", STRIDED, "keys; query head h reads key/value head h / (H / Hkv)"),
    CLATTN_IN(ARGS, value, "Nk,Hkv,Dv", STRIDED, "values"),
    CLATTN_IN_INT_LIMITED(ARGS, cu_query, "B+1", "<=Nq", 0, "where each sequence's queries begin, and where the last one's end; rising"),
    CLATTN_IN_INT_LIMITED(ARGS, cu_key, "B+1", "<=Nk", 0, "the same of the keys"),
    CLATTN_OUT(ARGS, out, "out", "Nq,H,Dv", STRIDED, "softmax-weighted values; 0 where no key may be attended"),
    CLATTN_OUT(ARGS, lse, "lse", "H,Nq", CLATTN_FIELD_OPTIONAL, "natural logarithm of the sum of exponentials of the scores; -inf for no key"),
    CLATTN_PARAM(ARGS, scale, "scale", CLATTN_FIELD_FLOAT, 0, 0, 0, "multiplies the scores; 0 = 1/sqrt(D)"),
    CLATTN_PARAM(ARGS, softcap, "softcap", CLATTN_FIELD_FLOAT, 0, 0, 3e38, "c * tanh(score / c); 0 = off"),
    CLATTN_PARAM_WORD(ARGS, causal, "causal", causal_words, 0, "within each sequence; top_left: key <= query; bottom_right: counted from its last key"),
    CLATTN_PARAM(ARGS, window_left, "window_left", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys before the diagonal that count; -1 = all"),
    CLATTN_PARAM(ARGS, window_right, "window_right", CLATTN_FIELD_OPT_INT, -1, -1, 9e15, "keys after the diagonal that count; -1 = all"),
    CLATTN_PARAM(ARGS, dropout, "dropout", CLATTN_FIELD_FLOAT, 0, 0, 1 - 0x1p-24, "rate at which weights are dropped for out; at least 0, below 1"),
    CLATTN_PARAM(ARGS, seed, "seed", CLATTN_FIELD_U64, 0, 0, 0, "of dropout"),
    CLATTN_PARAM(ARGS, offset, "offset", CLATTN_FIELD_U64, 0, 0, 0, "of dropout; another for each call that is to be independent"),
};

static clattn_status infer(clattn_call *call, const void *args) {
    const int64_t heads = clattn_dim(call, "H"), kv_heads = clattn_dim(call, "Hkv");
    (void)args;
    if (kv_heads == 0 ? heads != 0 : heads % kv_heads != 0)
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "query has %lld heads, which is not a multiple of the %lld heads of key and value", (long long)heads, (long long)kv_heads);
    return CLATTN_OK;
}

/* One call as a problem with one batch: [N,H,D] seen as [1,H,N,D]. */
typedef struct packed_problem {
    attention_problem p;
    clattn_tensor query, key, value, out;
} packed_problem;

static clattn_tensor heads_first(const clattn_tensor *packed) {
    clattn_tensor view = *packed;
    const int from[] = { 1, 0, 2 };
    view.rank = 4;
    view.shape[0] = 1;
    view.strides[0] = 0;
    for (int i = 0; i < 3; i++) {
        view.shape[i + 1] = packed->shape[from[i]];
        view.strides[i + 1] = packed->strides[from[i]];
    }
    return view;
}

/* The result points into itself: it is filled in place. */
static void set_problem(packed_problem *s, const clattn_call *call, const ARGS *a) {
    clattn_attention_args plain = { .query = &s->query, .key = &s->key, .value = &s->value, .lse = a->lse, .scale = a->scale, .softcap = a->softcap, .causal = a->causal, .window_left = a->window_left, .window_right = a->window_right, .dropout = a->dropout, .seed = a->seed, .offset = a->offset };
    *s = (packed_problem){ .query = heads_first(a->query), .key = heads_first(a->key), .value = heads_first(a->value) };
    if (a->out) {
        s->out = heads_first(a->out);
        plain.out = &s->out;
    }
    s->p = (attention_problem){ .batches = 1, .heads = clattn_dim(call, "H"), .kv_heads = clattn_dim(call, "Hkv"), .queries = clattn_dim(call, "Nq"), .keys = clattn_dim(call, "Nk"), .depth = clattn_dim(call, "D"), .value_depth = clattn_dim(call, "Dv"), .varlen = true };
    clattn_attention_set(&s->p, &plain, 0);
}

#define SEQUENCE_ARGS(a, call) ARG_T((a)->cu_query), ARG_T((a)->cu_key), ARG_I32(clattn_dim(call, "B"))

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const ARGS *a = raw;
    packed_problem s;
    char features[64];
    set_problem(&s, call, a);
    const int64_t items = s.p.heads * s.p.queries * clattn_attention_chunks(&s.p);
    clattn_attention_features(features, sizeof features, &s.p, true);
    const clattn_status status = clattn_attention_add_results(call, &s.p);
    return status ? status : clattn_run_kernel(call, "attention", "scalar", features, 1, (size_t[]){ (size_t)items }, (size_t[]){ 0 }, ATTENTION_ARGS(&s.p), ATTENTION_RESULTS(&s.p), ARG_I64(items), SEQUENCE_ARGS(a, call));
}

static const char *cpu_refusal(const clattn_call *call, const void *raw) {
    packed_problem s;
    set_problem(&s, call, raw);
    return clattn_attention_cpu_refusal(call, &s.p);
}

/* Each sequence may begin a block that is not full, and so may what lies before the first and after the last. */
static clattn_status enqueue_cpu(clattn_call *call, const void *raw) {
    const ARGS *a = raw;
    packed_problem s;
    char options[200];
    set_problem(&s, call, a);
    const attention_tile t = clattn_attention_tile(call, &s.p);
    const int64_t blocks = s.p.queries / (16 * t.vectors) + clattn_dim(call, "B") + 2;
    clattn_attention_options(options, sizeof options, &s.p, &t, true);
    clattn_status status = clattn_attention_gather(call, &s.p, clattn_dim(call, "B"));
    if (!status) status = clattn_attention_pack(call, &s.p);
    if (!status) status = clattn_run_kernel(call, "attention", "cpu", options, 2, ((size_t[]){ (size_t)blocks, (size_t)s.p.heads }), ((size_t[]){ 1, 1 }), ATTENTION_ARGS(&s.p), ATTENTION_RESULTS(&s.p), SEQUENCE_ARGS(a, call));
    if (!status && a->out && s.p.tensors.out != &s.out) status = clattn_copy(call, &s.out, s.p.tensors.out);
    return status;
}

static const clattn_variant variants[] = {
    { "cpu", cpu_refusal, enqueue_cpu },
    { "scalar", NULL, enqueue_scalar },
};

/* The lengths are read back; where they cannot be, sequences of equal lengths are assumed. */
static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const ARGS *a = raw;
    packed_problem s;
    set_problem(&s, call, a);
    const int64_t count = clattn_dim(call, "B") > 0 ? clattn_dim(call, "B") : 1, queries = s.p.queries, keys = s.p.keys;
    const double heads = (double)s.p.heads, kv_heads = (double)s.p.kv_heads, widths = (double)(s.p.depth + s.p.value_depth);
    int32_t *from_query = clattn_attention_read_lengths(call, a->cu_query), *from_key = clattn_attention_read_lengths(call, a->cu_key);
    *bytes = 4 * widths * (heads * (double)queries + kv_heads * (double)keys);
    *flops = 0;
    for (int64_t i = 0; i < count; i++) {
        s.p.queries = from_query ? from_query[i + 1] - from_query[i] : queries / count;
        s.p.keys = from_key ? from_key[i + 1] - from_key[i] : keys / count;
        if (s.p.queries > 0 && s.p.keys > 0) *flops += 2 * heads * clattn_attention_pairs(&s.p) * widths;
    }
    free(from_query);
    free(from_key);
}

void clattn_reference_attention_varlen(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "attention_varlen query[150,2,64] key[150,2,64] value[150,2,64] cu_query[4]:0,50,51,150 cu_key[4]:0,50,51,150 causal=top_left -> out lse",
    "attention_varlen query[5,1,257] key[6,1,257] value[6,1,8] cu_query[3]:0,2,5 cu_key[3]:0,4,6 -> out",
    NULL,
};
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_attention_varlen, .work = work, .examples = examples };
static const clattn_op op_attention_varlen = { "attention_varlen", "attention within each of many sequences that stand one after the other", "flash_attn_varlen_func (Dao 2023)", sizeof(ARGS), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(attention_varlen)

const clattn_op *const clattn_ops_attention_varlen[] = { &op_attention_varlen, NULL };
