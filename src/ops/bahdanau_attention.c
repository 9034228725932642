/* Bahdanau's attention: both projections, then additive attention with the annotations as values. */
#include "op.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_bahdanau_attention_args, state, "B,Tq,S", 0, "previous decoder states"),
    CLATTN_IN(clattn_bahdanau_attention_args, annotations, "B,Tk,N", 0, "encoder states"),
    CLATTN_IN(clattn_bahdanau_attention_args, w_a, "S,A", CLATTN_FIELD_STRIDED, "state * w_a"),
    CLATTN_IN(clattn_bahdanau_attention_args, u_a, "N,A", CLATTN_FIELD_STRIDED, "annotations * u_a"),
    CLATTN_IN(clattn_bahdanau_attention_args, v_a, "A", 0, "weight of each tanh"),
    CLATTN_IN(clattn_bahdanau_attention_args, projected, "B,Tk,A", CLATTN_FIELD_OPTIONAL, "annotations * u_a, from an earlier call"),
    CLATTN_IN_BOOL(clattn_bahdanau_attention_args, key_mask, "B,Tk", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "true = attend"),
    CLATTN_OUT(clattn_bahdanau_attention_args, context, "context", "B,Tq,N", 0, "weighted sums of the annotations"),
    CLATTN_OUT(clattn_bahdanau_attention_args, weights, "weights", "B,Tq,Tk", CLATTN_FIELD_OPTIONAL, "the alignment"),
    CLATTN_OUT(clattn_bahdanau_attention_args, projected_out, "projected", "B,Tk,A", CLATTN_FIELD_OPTIONAL, "annotations * u_a, to be given again"),
};

/* out = x * w with x's leading axes as rows of one matrix. */
static clattn_status project(clattn_call *call, const clattn_tensor *x, const clattn_tensor *w, const clattn_tensor *out) {
    const int64_t rows = x->shape[0] * x->shape[1];
    const clattn_tensor a = clattn_tensor_reshaped(x, 2, (int64_t[]){ rows, x->shape[2] });
    clattn_tensor to = clattn_tensor_reshaped(out, 2, (int64_t[]){ rows, w->shape[1] });
    return clattn_matmul(call->context, &(clattn_matmul_args){ .a = &a, .b = w, .out = &to });
}

/* The projected annotations: given, or computed into the output or a scratch tensor. */
static clattn_status make_keys(clattn_call *call, const clattn_bahdanau_attention_args *a, clattn_tensor *keys) {
    clattn_status status = CLATTN_OK;
    if (a->projected) {
        *keys = *a->projected;
        return a->projected_out ? clattn_copy(call, a->projected_out, a->projected) : CLATTN_OK;
    }
    if (a->projected_out) *keys = *a->projected_out;
    else status = clattn_scratch(call, keys, CLATTN_F32, 3, (int64_t[]){ clattn_dim(call, "B"), clattn_dim(call, "Tk"), clattn_dim(call, "A") });
    return status ? status : project(call, a->annotations, a->u_a, keys);
}

static clattn_status enqueue(clattn_call *call, const void *raw) {
    const clattn_bahdanau_attention_args *a = raw;
    clattn_tensor keys, queries;
    clattn_status status = make_keys(call, a, &keys);
    if (status || (!a->context && !a->weights)) return status;
    status = clattn_scratch(call, &queries, CLATTN_F32, 3, (int64_t[]){ clattn_dim(call, "B"), clattn_dim(call, "Tq"), clattn_dim(call, "A") });
    if (!status) status = project(call, a->state, a->w_a, &queries);
    if (status) return status;
    return clattn_additive_attention(call->context, &(clattn_additive_attention_args){ .query = &queries, .key = &keys, .value = a->annotations, .scale = a->v_a, .key_mask = a->key_mask, .out = a->context, .weights = a->weights });
}

static const clattn_variant variants[] = { { "composed", NULL, enqueue } };

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_bahdanau_attention_args *a = raw;
    const double b = (double)clattn_dim(call, "B"), q = (double)clattn_dim(call, "Tq"), k = (double)clattn_dim(call, "Tk"), s = (double)clattn_dim(call, "S"), n = (double)clattn_dim(call, "N"), size = (double)clattn_dim(call, "A");
    *flops = b * (2 * q * s * size + (a->projected ? 0 : 2 * k * n * size) + q * k * (5 * size + 2 * n));
    *bytes = 4 * (b * (q * (s + n) + k * n + (a->projected ? k * size : 0)) + s * size + (a->projected ? 0 : n * size));
}

void clattn_reference_bahdanau_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5]", "bahdanau_attention state[2,5,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] -> context weights projected", NULL };
static const clattn_op_code code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_bahdanau_attention, .work = work, .examples = examples };
static const clattn_op op_bahdanau_attention = { "bahdanau_attention", "softmax over annotations of v_a . tanh(state w_a + annotations u_a), times the annotations", "Bahdanau, Cho, Bengio 2014", sizeof(clattn_bahdanau_attention_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(bahdanau_attention)

const clattn_op *const clattn_ops_bahdanau_attention[] = { &op_bahdanau_attention, NULL };
