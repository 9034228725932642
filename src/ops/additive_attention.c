/* Additive attention: softmax over keys of sum_d scale_d tanh(inner_scale (q_d + k_d) + bias_d), times the values. */
#include "op.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_additive_attention_args, query, "B,Tq,D", 0, "queries"),
    CLATTN_IN(clattn_additive_attention_args, value, "B,Tk,Dv", 0, "values"),
    CLATTN_IN(clattn_additive_attention_args, key, "B,Tk,D", CLATTN_FIELD_OPTIONAL, "keys; absent = value"),
    CLATTN_IN(clattn_additive_attention_args, scale, "D", CLATTN_FIELD_OPTIONAL, "weight of each tanh; absent = ones"),
    CLATTN_IN(clattn_additive_attention_args, bias, "D", CLATTN_FIELD_OPTIONAL, "added inside the tanh"),
    CLATTN_IN_BOOL(clattn_additive_attention_args, key_mask, "B,Tk", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "true = attend this key"),
    CLATTN_IN_BOOL(clattn_additive_attention_args, query_mask, "B,Tq", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "false zeroes the row of out only"),
    CLATTN_IN_BOOL(clattn_additive_attention_args, mask, "B,Tq,Tk", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "true = attend"),
    CLATTN_OUT(clattn_additive_attention_args, out, "out", "B,Tq,Dv", 0, "weighted sums of the values"),
    CLATTN_OUT(clattn_additive_attention_args, weights, "weights", "B,Tq,Tk", CLATTN_FIELD_OPTIONAL, "softmax of the scores"),
    CLATTN_OUT(clattn_additive_attention_args, lse, "lse", "B,Tq", CLATTN_FIELD_OPTIONAL, "logarithm of the sum of the scores' exponentials"),
    CLATTN_OUT(clattn_additive_attention_args, scores, "scores", "B,Tq,Tk", CLATTN_FIELD_OPTIONAL, "of all pairs, masked or not"),
    CLATTN_PARAM(clattn_additive_attention_args, causal, "causal", CLATTN_FIELD_BOOL, 0, 0, 0, "query i attends keys 0..i"),
    CLATTN_PARAM(clattn_additive_attention_args, inner_scale, "inner_scale", CLATTN_FIELD_OPT_FLOAT, 1, 0, 0, "factor of query + key inside the tanh"),
};

static clattn_status prepare(clattn_call *call, void *raw) {
    clattn_additive_attention_args *a = raw;
    (void)call;
    if (!a->key) a->key = a->value;
    return CLATTN_OK;
}

/* The sizes of a call. */
typedef struct additive_sizes {
    int64_t batches, queries, keys, size, value_size;
    int64_t blocks, key_rows, vectors, padded, value_padded; /* rounded up: queries by 16, keys by 8, elements by 16 */
    float factor; /* exponents of 2 per unit of query + key */
} additive_sizes;

static int64_t round_up(int64_t value, int64_t step) {
    return (value + step - 1) / step * step;
}

static additive_sizes sizes_of(const clattn_call *call, const clattn_additive_attention_args *a) {
    additive_sizes s = { .batches = clattn_dim(call, "B"), .queries = clattn_dim(call, "Tq"), .keys = clattn_dim(call, "Tk"), .size = clattn_dim(call, "D"), .value_size = clattn_dim(call, "Dv") };
    s.blocks = (s.queries + 15) / 16;
    s.key_rows = round_up(s.keys, 8);
    s.padded = round_up(s.size, 16);
    s.vectors = s.padded / 16;
    s.value_padded = round_up(s.value_size, 16);
    s.factor = (float)(2 / log(2.0) * (double)a->inner_scale.value);
    return s;
}

/* ---- Passes before the attention ---- */

/* Weights, biases, inverse weights, and a sum per vector or 16 of them. */
static clattn_status add_prepared(clattn_call *call, const additive_sizes *s, clattn_tensor *prepared) {
    return clattn_scratch(call, prepared, CLATTN_F32, 1, (int64_t[]){ 3 * s->padded + s->vectors + 16 });
}

/* What the attention reads: the weights, the powers of keys and queries, and which of these are too large for which form. */
typedef struct additive_powers {
    clattn_tensor prepared, keys, key_marks, queries, folded, plain, query_marks;
} additive_powers;

static clattn_status add_powers(clattn_call *call, const additive_sizes *s, additive_powers *p) {
    const int64_t queries[4] = { s->batches, s->blocks, s->padded, 16 };
    clattn_status status = add_prepared(call, s, &p->prepared);
    if (!status) status = clattn_scratch(call, &p->keys, CLATTN_F32, 3, (int64_t[]){ s->batches, s->key_rows, s->padded });
    if (!status) status = clattn_scratch(call, &p->key_marks, CLATTN_I32, 2, (int64_t[]){ s->batches, s->key_rows });
    if (!status) status = clattn_scratch(call, &p->queries, CLATTN_F32, 4, queries);
    if (!status) status = clattn_scratch(call, &p->folded, CLATTN_F32, 4, queries);
    if (!status) status = clattn_scratch(call, &p->plain, CLATTN_F32, 4, queries);
    return status ? status : clattn_scratch(call, &p->query_marks, CLATTN_I32, 2, queries);
}

static clattn_status make_powers(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, additive_powers *p) {
    const int64_t key_groups = s->batches * s->key_rows;
    const clattn_status status = add_powers(call, s, p);
    if (status) return status;
    return clattn_run_kernel(call, "additive_attention", "before", "", 1, (size_t[]){ (size_t)(1 + key_groups + s->batches * s->blocks) }, (size_t[]){ 1 }, ARG_T(a->query), ARG_T(a->key), ARG_T(a->scale), ARG_T(a->bias), ARG_T(&p->prepared), ARG_T(&p->keys), ARG_T(&p->key_marks), ARG_T(&p->queries), ARG_T(&p->folded), ARG_T(&p->plain), ARG_T(&p->query_marks),
        ARG_I64(s->queries), ARG_I64(s->blocks), ARG_I64(s->keys), ARG_I64(s->key_rows), ARG_I64(key_groups), ARG_I64(s->size), ARG_I64(s->padded), ARG_F32(s->factor));
}

/* Values in rows that are a multiple of 16 long: the input itself when it is so already. */
static clattn_status make_values(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, clattn_tensor *values) {
    *values = *a->value;
    if (s->value_padded == s->value_size) return CLATTN_OK;
    const clattn_status status = clattn_scratch(call, values, CLATTN_F32, 3, (int64_t[]){ s->batches, s->keys, s->value_padded });
    if (status) return status;
    return clattn_run_kernel(call, "additive_attention", "pad", "", 1, (size_t[]){ (size_t)(s->batches * s->keys) }, (size_t[]){ 1 }, ARG_T(a->value), ARG_T(values), ARG_I64(s->value_size), ARG_I64(s->value_padded));
}

/* The scores by a pass of their own: those of the attention are made where masks and exponents of 2 come in. */
static clattn_status write_scores(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s) {
    const int64_t count = s->batches * s->queries * s->keys;
    if (!a->scores) return CLATTN_OK;
    return clattn_run_kernel(call, "additive_attention", "unmasked", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->query), ARG_T(a->key), ARG_T(a->scale), ARG_T(a->bias), ARG_T(a->scores), ARG_I64(count), ARG_I64(s->queries), ARG_I64(s->keys), ARG_I64(s->size), ARG_F32(a->inner_scale.value));
}

static bool only_scores(const clattn_additive_attention_args *a) {
    return !a->out && !a->weights && !a->lse;
}

/* ---- Variants ---- */

static const char *cpu_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

/* Vectors along 16 queries take an exponential per element only; with idle lanes they win from 5 queries on. */
static const char *step_refusal(const clattn_call *call, const void *raw) {
    if (clattn_dim(call, "Tq") > 4) return "there are more than 4 queries";
    return cpu_refusal(call, raw);
}

static clattn_status attend_cpu(clattn_call *call, const void *raw) {
    const clattn_additive_attention_args *a = raw;
    const additive_sizes s = sizes_of(call, a);
    additive_powers p;
    clattn_tensor values, sums;
    clattn_status status = make_powers(call, a, &s, &p);
    if (!status) status = make_values(call, a, &s, &values);
    if (!status) status = clattn_scratch(call, &sums, CLATTN_F32, 4, (int64_t[]){ s.batches, s.blocks, 16, s.value_padded });
    if (status) return status;
    return clattn_run_kernel(call, "additive_attention", "attend", "", 1, (size_t[]){ (size_t)(s.batches * s.blocks) }, (size_t[]){ 1 },
        ARG_T(&p.queries), ARG_T(&p.folded), ARG_T(&p.plain), ARG_T(&p.query_marks), ARG_T(&p.keys), ARG_T(a->key), ARG_T(&p.key_marks), ARG_T(&values), ARG_T(&p.prepared), ARG_T(a->key_mask), ARG_T(a->query_mask), ARG_T(a->mask), ARG_T(&sums), ARG_T(a->out), ARG_T(a->weights), ARG_T(a->lse),
        clattn_arg_strides4(a->key_mask), clattn_arg_strides4(a->query_mask), clattn_arg_strides4(a->mask), ARG_I64(s.queries), ARG_I64(s.blocks), ARG_I64(s.keys), ARG_I64(s.key_rows), ARG_I64(s.size), ARG_I64(s.padded), ARG_I64(s.value_size), ARG_I64(s.value_padded), ARG_F32(s.factor), ARG_I32(a->causal));
}

static clattn_status attend_step(clattn_call *call, const void *raw) {
    const clattn_additive_attention_args *a = raw;
    const additive_sizes s = sizes_of(call, a);
    clattn_tensor prepared, scores;
    clattn_status status = add_prepared(call, &s, &prepared);
    if (!status) status = clattn_run_kernel(call, "additive_attention", "prepare", "", 1, (size_t[]){ 1 }, (size_t[]){ 1 }, ARG_T(a->scale), ARG_T(a->bias), ARG_T(&prepared), ARG_I64(s.size), ARG_I64(s.vectors));
    if (!status) status = clattn_scratch(call, &scores, CLATTN_F32, 3, (int64_t[]){ s.batches, s.queries, s.keys });
    if (status) return status;
    return clattn_run_kernel(call, "additive_attention", "few", "", 1, (size_t[]){ (size_t)(s.batches * s.queries) }, (size_t[]){ 1 },
        ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(&prepared), ARG_T(a->key_mask), ARG_T(a->query_mask), ARG_T(a->mask), ARG_T(&scores), ARG_T(a->out), ARG_T(a->weights), ARG_T(a->lse),
        clattn_arg_strides4(a->key_mask), clattn_arg_strides4(a->query_mask), clattn_arg_strides4(a->mask), ARG_I64(s.queries), ARG_I64(s.keys), ARG_I64(s.size), ARG_I64(s.vectors), ARG_I64(s.value_size), ARG_F32(s.factor), ARG_I32(a->causal));
}

static clattn_status attend_scalar(clattn_call *call, const void *raw) {
    const clattn_additive_attention_args *a = raw;
    const additive_sizes s = sizes_of(call, a);
    return clattn_run_kernel(call, "additive_attention", "scalar", "", 1, (size_t[]){ (size_t)(s.batches * s.queries) }, (size_t[]){ 0 },
        ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(a->scale), ARG_T(a->bias), ARG_T(a->key_mask), ARG_T(a->query_mask), ARG_T(a->mask), ARG_T(a->out), ARG_T(a->weights), ARG_T(a->lse),
        clattn_arg_strides4(a->key_mask), clattn_arg_strides4(a->query_mask), clattn_arg_strides4(a->mask), ARG_I64(s.batches), ARG_I64(s.queries), ARG_I64(s.keys), ARG_I64(s.size), ARG_I64(s.value_size), ARG_F32(a->inner_scale.value), ARG_I32(a->causal));
}

static clattn_status enqueue(clattn_call *call, const void *raw, clattn_status (*attend)(clattn_call *, const void *)) {
    const additive_sizes s = sizes_of(call, raw);
    const clattn_status status = write_scores(call, raw, &s);
    return status || only_scores(raw) ? status : attend(call, raw);
}

static clattn_status enqueue_cpu(clattn_call *call, const void *raw) {
    return enqueue(call, raw, attend_cpu);
}

static clattn_status enqueue_step(clattn_call *call, const void *raw) {
    return enqueue(call, raw, attend_step);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    return enqueue(call, raw, attend_scalar);
}

static const clattn_variant variants[] = {
    { "cpu_step", step_refusal, enqueue_step },
    { "cpu", cpu_refusal, enqueue_cpu },
    { "scalar", NULL, enqueue_scalar },
};

/* Two multiply-adds and a reciprocal per element, and the values' multiply-adds. */
static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const additive_sizes s = sizes_of(call, raw);
    const double pairs = (double)s.batches * (double)s.queries * (double)s.keys;
    *flops = pairs * (5 * (double)s.size + 2 * (double)s.value_size);
    *bytes = 4 * (double)s.batches * (double)(s.queries + s.keys) * (double)(s.size + s.value_size);
}

void clattn_reference_additive_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "additive_attention query[1,2,20] value[1,9,20] scale[20]", "additive_attention query[1,17,20] value[1,9,20] scale[20] bias[20]", "additive_attention query[1,2,20] value[1,9,20] -> scores", NULL };
static const clattn_op_code code = { .prepare = prepare, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_additive_attention, .work = work, .examples = examples };
static const clattn_op op_additive_attention = { "additive_attention", "softmax over keys of sum_d scale tanh(inner_scale (query + key) + bias), times the values", "Keras AdditiveAttention, Attention(score_mode=\"concat\")", sizeof(clattn_additive_attention_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(additive_attention)

const clattn_op *const clattn_ops_additive_attention[] = { &op_additive_attention, NULL };
