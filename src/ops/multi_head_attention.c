/* Multi-head attention: projections, attention over views of them, output projection. */
#include "op.h"

static const char *const causal_words[] = { "none", "top_left", "bottom_right", NULL };

enum { STRIDED = CLATTN_FIELD_STRIDED, OPTIONAL = CLATTN_FIELD_OPTIONAL };

#define ARGS clattn_multi_head_attention_args
static const clattn_field fields[] = {
    CLATTN_IN(ARGS, query, "B,Tq,E", STRIDED, "what attends"),
    CLATTN_IN(ARGS, key, "B,Tk,Ek", OPTIONAL | STRIDED, "absent = query"),
    CLATTN_IN(ARGS, value, "B,Tk,Ev", OPTIONAL | STRIDED, "absent = key"),
    CLATTN_IN(ARGS, w_q, "H*D,E", STRIDED, "weights are [out,in] as in PyTorch"),
    CLATTN_IN(ARGS, w_k, "Hkv*D,Ek", STRIDED, "makes the keys"),
    CLATTN_IN(ARGS, w_v, "Hkv*Dv,Ev", STRIDED, "makes the values"),
    CLATTN_IN(ARGS, w_o, "Eo,H*Dv", STRIDED, "joins the heads"),
    CLATTN_IN(ARGS, b_q, "H*D", OPTIONAL, "added to the queries"),
    CLATTN_IN(ARGS, b_k, "Hkv*D", OPTIONAL, "added to the keys"),
    CLATTN_IN(ARGS, b_v, "Hkv*Dv", OPTIONAL, "added to the values"),
    CLATTN_IN(ARGS, b_o, "Eo", OPTIONAL, "added to the output"),
    CLATTN_IN(ARGS, bias_k, "Hkv*D", OPTIONAL, "one learned extra key; with bias_v"),
    CLATTN_IN(ARGS, bias_v, "Hkv*Dv", OPTIONAL, "its value"),
    CLATTN_IN_BOOL(ARGS, key_mask, "B,Tk", OPTIONAL | STRIDED, "true = attend (PyTorch's key_padding_mask inverted)"),
    CLATTN_IN_BOOL(ARGS, mask, "~B,H,Tq,Tk", OPTIONAL | STRIDED, "true = attend; broadcast from the right, rank 1-4"),
    CLATTN_IN(ARGS, bias, "~B,H,Tq,Tk", OPTIONAL | STRIDED, "added to the scores; -inf excludes"),
    CLATTN_OUT(ARGS, out, "out", "B,Tq,Eo", STRIDED, "after the output projection"),
    CLATTN_OUT(ARGS, weights, "weights", "B,H,Tq,X|B,Tq,X", OPTIONAL, "the softmax over X = Tk + extra keys; its mean over the heads with average_weights"),
    { .name = "heads", .kind = CLATTN_FIELD_INT, .offset = offsetof(ARGS, heads), .flags = CLATTN_FIELD_REQUIRED, .low = 1, .high = 1 << 20, .text = "H" },
    CLATTN_PARAM(ARGS, kv_heads, "kv_heads", CLATTN_FIELD_INT, 0, 1, 1 << 20, "Hkv; default heads"),
    CLATTN_PARAM_WORD(ARGS, causal, "causal", causal_words, 0, "as in attention, over the keys given; extra keys are always attended"),
    CLATTN_PARAM(ARGS, scale, "scale", CLATTN_FIELD_FLOAT, 0, 0, 0, "multiplies the scores; 0 = 1/sqrt(D)"),
    CLATTN_PARAM(ARGS, average_weights, "average_weights", CLATTN_FIELD_BOOL, 0, 0, 0, "weights [B,Tq,X]"),
    CLATTN_PARAM(ARGS, zero_key, "zero_key", CLATTN_FIELD_BOOL, 0, 0, 0, "one extra key and value of zeros, the last"),
};

static clattn_status prepare(clattn_call *call, void *raw) {
    ARGS *a = raw;
    if (!a->key) a->key = a->query;
    if (!a->value) a->value = a->key;
    if (a->kv_heads == 0) a->kv_heads = a->heads;
    if (a->heads % a->kv_heads != 0) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "heads = %lld is not a multiple of kv_heads = %lld", (long long)a->heads, (long long)a->kv_heads);
    clattn_dim_set(call, "H", a->heads);
    clattn_dim_set(call, "Hkv", a->kv_heads);
    return CLATTN_OK;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const ARGS *a = raw;
    if (!a->bias_k != !a->bias_v) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is given without %s", a->bias_k ? "bias_k" : "bias_v", a->bias_k ? "bias_v" : "bias_k");
    clattn_dim_set(call, "X", clattn_dim(call, "Tk") + (a->bias_k != NULL) + a->zero_key);
    clattn_dim_set(call, "alt", a->average_weights);
    return CLATTN_OK;
}

/* ---- Projections ---- */

/* [B,T,heads*width] seen as [B,heads,T,width]. */
static clattn_tensor heads_of(const clattn_tensor *rows, int64_t heads) {
    const int64_t width = rows->shape[2] / heads;
    clattn_tensor view = { .buffer = rows->buffer, .offset = rows->offset, .dtype = rows->dtype, .rank = 4 };
    const int64_t shape[] = { rows->shape[0], heads, rows->shape[1], width };
    const int64_t strides[] = { rows->strides[0], width, rows->strides[1], 1 };
    memcpy(view.shape, shape, sizeof shape);
    memcpy(view.strides, strides, sizeof strides);
    return view;
}

/* The last rows of each batch: the learned one, if any, before zeros. */
static clattn_status add_extra_rows(clattn_call *call, const clattn_tensor *rows, int64_t given, const clattn_tensor *learned) {
    const int64_t extra = rows->shape[1] - given, width = rows->shape[2], count = rows->shape[0] * extra * width;
    return clattn_run_kernel(call, "multi_head_attention", "extra_rows", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(learned), ARG_T(rows), ARG_I32(learned != NULL), ARG_I64(given), ARG_I64(extra), ARG_I64(width), ARG_I64(count));
}

/* x weight^T + bias into scratch, followed by extra rows up to `total`. */
static clattn_status project(clattn_call *call, clattn_tensor *rows, const clattn_tensor *x, const clattn_tensor *weight, const clattn_tensor *bias, int64_t total, const clattn_tensor *learned) {
    clattn_status status = clattn_scratch(call, rows, CLATTN_F32, 3, (int64_t[]){ x->shape[0], total, weight->shape[0] });
    if (status) return status;
    clattn_tensor given = clattn_tensor_sliced(rows, 1, 0, x->shape[1]);
    status = clattn_linear(call->context, &(clattn_linear_args){ .x = x, .weight = weight, .bias = bias, .out = &given });
    return status || total == x->shape[1] ? status : add_extra_rows(call, rows, x->shape[1], learned);
}

/* ---- Masks and biases over the extra keys ---- */

/* The size of a [B,H,Tq,Tk] broadcast along one axis: what the tensor (may be NULL) has there, else 1. */
static int64_t size_at(const clattn_tensor *tensor, int axis) {
    const int from = tensor ? tensor->rank - 4 + axis : -1;
    return from >= 0 ? tensor->shape[from] : 1;
}

static clattn_status join_masks(clattn_call *call, const ARGS *a, bool fold_causal, clattn_tensor *joined) {
    const int64_t batches = clattn_dim(call, "B"), queries = clattn_dim(call, "Tq"), keys = clattn_dim(call, "Tk"), total = clattn_dim(call, "X");
    const int64_t shape[] = { a->key_mask ? batches : size_at(a->mask, 0), size_at(a->mask, 1), fold_causal ? queries : size_at(a->mask, 2), total };
    const int64_t full[] = { batches, clattn_dim(call, "H"), queries, keys }, count = shape[0] * shape[1] * shape[2] * shape[3];
    const int flags = (a->mask ? 1 : 0) | (a->key_mask ? 2 : 0) | (fold_causal ? 4 : 0);
    const int64_t shift = a->causal == CLATTN_CAUSAL_BOTTOM_RIGHT ? keys - queries : 0;
    const clattn_status status = clattn_scratch(call, joined, CLATTN_U8, 4, shape);
    if (status) return status;
    return clattn_run_kernel(call, "multi_head_attention", "join_masks", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->mask), ARG_T(a->key_mask), ARG_T(joined), clattn_arg_broadcast4(a->mask, 4, full), clattn_arg_strides4(a->key_mask), clattn_arg_i64x4(shape[0], shape[1], shape[2], total), ARG_I32(flags), ARG_I64(keys), ARG_I64(shift), ARG_I64(count));
}

static clattn_status widen_bias(clattn_call *call, const ARGS *a, clattn_tensor *wide) {
    const int64_t keys = clattn_dim(call, "Tk"), total = clattn_dim(call, "X");
    const int64_t shape[] = { size_at(a->bias, 0), size_at(a->bias, 1), size_at(a->bias, 2), total }, count = shape[0] * shape[1] * shape[2] * total;
    const int64_t full[] = { clattn_dim(call, "B"), clattn_dim(call, "H"), clattn_dim(call, "Tq"), keys };
    const clattn_status status = clattn_scratch(call, wide, CLATTN_F32, 4, shape);
    if (status) return status;
    return clattn_run_kernel(call, "multi_head_attention", "widen_bias", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->bias), ARG_T(wide), clattn_arg_broadcast4(a->bias, 4, full), clattn_arg_i64x4(shape[0], shape[1], shape[2], total), ARG_I64(keys), ARG_I64(count));
}

/* What attention is to see; `own` holds what is made here. Extra keys are always attended, so causal then moves into the mask. */
static clattn_status set_masks(clattn_call *call, const ARGS *a, clattn_attention_args *inner, clattn_tensor own[2]) {
    const bool extra = clattn_dim(call, "X") != clattn_dim(call, "Tk"), fold_causal = extra && a->causal != CLATTN_CAUSAL_NONE;
    clattn_status status = CLATTN_OK;
    inner->mask = a->mask;
    inner->bias = a->bias;
    inner->causal = extra ? CLATTN_CAUSAL_NONE : a->causal;
    if (a->key_mask || fold_causal || (extra && a->mask)) {
        status = join_masks(call, a, fold_causal, &own[0]);
        inner->mask = &own[0];
    }
    if (!status && extra && a->bias) {
        status = widen_bias(call, a, &own[1]);
        inner->bias = &own[1];
    }
    return status;
}

/* ---- The whole ---- */

static clattn_status average(clattn_call *call, const clattn_tensor *all, const clattn_tensor *mean) {
    const int64_t count = clattn_tensor_count(mean);
    return clattn_run_kernel(call, "multi_head_attention", "average", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(all), ARG_T(mean), ARG_I64(all->shape[1]), ARG_I64(all->shape[2] * all->shape[3]), ARG_I64(count));
}

static clattn_status attend(clattn_call *call, const ARGS *a, const clattn_tensor *q, const clattn_tensor *k, const clattn_tensor *v, const clattn_tensor *context) {
    clattn_tensor query = heads_of(q, a->heads), key = heads_of(k, a->kv_heads), value = heads_of(v, a->kv_heads), out = heads_of(context, a->heads), own[2], all;
    clattn_attention_args inner = { .query = &query, .key = &key, .value = &value, .out = &out, .weights = a->weights, .scale = a->scale };
    clattn_status status = set_masks(call, a, &inner, own);
    const bool mean = a->weights && a->average_weights;
    if (!status && mean) {
        status = clattn_scratch(call, &all, CLATTN_F32, 4, (int64_t[]){ query.shape[0], a->heads, query.shape[2], key.shape[2] });
        inner.weights = &all;
    }
    if (!status) status = clattn_attention(call->context, &inner);
    return status || !mean ? status : average(call, &all, a->weights);
}

static clattn_status enqueue(clattn_call *call, const void *raw) {
    const ARGS *a = raw;
    const int64_t queries = clattn_dim(call, "Tq"), total = clattn_dim(call, "X");
    clattn_tensor q, k, v, context;
    clattn_status status = project(call, &q, a->query, a->w_q, a->b_q, queries, NULL);
    if (!status) status = project(call, &k, a->key, a->w_k, a->b_k, total, a->bias_k);
    if (!status) status = project(call, &v, a->value, a->w_v, a->b_v, total, a->bias_v);
    if (!status) status = clattn_scratch(call, &context, CLATTN_F32, 3, (int64_t[]){ q.shape[0], queries, a->w_o->shape[1] });
    if (!status) status = attend(call, a, &q, &k, &v, &context);
    if (status || !a->out) return status;
    return clattn_linear(call->context, &(clattn_linear_args){ .x = &context, .weight = a->w_o, .bias = a->b_o, .out = a->out });
}

static const clattn_variant variants[] = { { "composed", NULL, enqueue } };

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const ARGS *a = raw;
    const double queries = (double)(clattn_dim(call, "B") * clattn_dim(call, "Tq")), keys = (double)(clattn_dim(call, "B") * clattn_dim(call, "Tk"));
    const double pairs = queries * (double)clattn_dim(call, "X") * (double)a->heads, widths = (double)(clattn_dim(call, "D") + clattn_dim(call, "Dv"));
    const double q = (double)clattn_tensor_count(a->w_q), k = (double)clattn_tensor_count(a->w_k), v = (double)clattn_tensor_count(a->w_v), o = (double)clattn_tensor_count(a->w_o);
    *flops = 2 * (queries * (q + o) + keys * (k + v) + pairs * widths);
    *bytes = 4 * (q + k + v + o + queries * (double)(a->query->shape[2] + a->w_o->shape[0]) + keys * (double)(a->key->shape[2] + (a->value == a->key ? 0 : a->value->shape[2])));
    if (a->weights) *bytes += 4 * (a->average_weights ? pairs / (double)a->heads : pairs);
}

void clattn_reference_multi_head_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

#define EXAMPLE "multi_head_attention query[1,5,8] w_q[8,8] w_k[8,8] w_v[8,8] w_o[8,8] heads=2 "
static const char *const examples[] = { EXAMPLE "-> out", EXAMPLE "bias_k[8] bias_v[8] zero_key=true causal=top_left bias[5] average_weights=true -> out weights", NULL };
static const clattn_op_code code = { .prepare = prepare, .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_multi_head_attention, .work = work, .examples = examples };
static const clattn_op op_multi_head_attention = { "multi_head_attention", "attention between learned projections, heads joined by a last one", "Vaswani et al. 2017; torch.nn.MultiheadAttention, keras MultiHeadAttention and GroupQueryAttention", sizeof(ARGS), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(multi_head_attention)

const clattn_op *const clattn_ops_multi_head_attention[] = { &op_multi_head_attention, NULL };
