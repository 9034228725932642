/* Luong's attention: global by the dot-product and additive operations, local by a kernel over each step's window. */
#include "op.h"

static const char *const scores[] = { "dot", "general", "concat", NULL };
static const char *const modes[] = { "global", "local_m", "local_p", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_luong_attention_args, target, "B,Tq,D", 0, "decoder states"),
    CLATTN_IN(clattn_luong_attention_args, source, "B,Tk,N", 0, "encoder states; N = D for dot"),
    CLATTN_IN(clattn_luong_attention_args, w_a, "*", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "general [D,N]; concat [A,D+N]"),
    CLATTN_IN(clattn_luong_attention_args, v_a, "*", CLATTN_FIELD_OPTIONAL, "concat [A]"),
    CLATTN_IN(clattn_luong_attention_args, w_c, "Dout,N+D", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "for attentional; the context's columns first"),
    CLATTN_IN(clattn_luong_attention_args, w_p, "P,D", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "local_p"),
    CLATTN_IN(clattn_luong_attention_args, v_p, "P", CLATTN_FIELD_OPTIONAL, "local_p"),
    CLATTN_IN_INT_LIMITED(clattn_luong_attention_args, key_lengths, "B", "<=Tk", CLATTN_FIELD_OPTIONAL, "keys from there on are excluded; clamped to 0..Tk"),
    CLATTN_OUT(clattn_luong_attention_args, context, "context", "B,Tq,N", 0, "weighted sums of the source"),
    CLATTN_OUT(clattn_luong_attention_args, weights, "weights", "B,Tq,Tk", CLATTN_FIELD_OPTIONAL, "those that multiply the source, after the Gaussian"),
    CLATTN_OUT(clattn_luong_attention_args, attentional, "attentional", "B,Tq,Dout", CLATTN_FIELD_OPTIONAL, "tanh(w_c [context; target])"),
    /* "steps" is Tq, bound in the local modes only. */
    CLATTN_OUT(clattn_luong_attention_args, positions, "positions", "B,steps", CLATTN_FIELD_OPTIONAL, "p_t, 0-based and real; local modes only (steps = Tq)"),
    CLATTN_PARAM_WORD(clattn_luong_attention_args, score, "score", scores, CLATTN_LUONG_DOT, "dot: target . source; general: target w_a . source; concat: v_a . tanh(w_a [target; source])"),
    CLATTN_PARAM_WORD(clattn_luong_attention_args, mode, "mode", modes, CLATTN_LUONG_GLOBAL, "all keys, or a window about p_t"),
    CLATTN_PARAM(clattn_luong_attention_args, window, "window", CLATTN_FIELD_OPT_INT, 10, 0, 0x1p40, "keys on either side of floor(p_t); local_p: at least 1"),
    CLATTN_PARAM(clattn_luong_attention_args, first_step, "first_step", CLATTN_FIELD_INT, 0, -0x1p40, 0x1p40, "p_t of the first target of local_m"),
};

/* ---- Checks ---- */

static clattn_status need(clattn_call *call, const clattn_tensor *tensor, const char *name, const char *why) {
    return tensor ? CLATTN_OK : clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing: %s needs it", name, why);
}

static clattn_status check_mode(clattn_call *call, const clattn_luong_attention_args *a) {
    if (a->mode == CLATTN_LUONG_GLOBAL) return a->positions ? clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "the output positions exists only with mode=local_m or local_p") : CLATTN_OK;
    clattn_dim_set(call, "steps", clattn_dim(call, "Tq"));
    if (a->mode == CLATTN_LUONG_LOCAL_M) return CLATTN_OK;
    clattn_status status = need(call, a->w_p, "w_p", "mode=local_p");
    if (!status) status = need(call, a->v_p, "v_p", "mode=local_p");
    if (!status && a->window.value == 0) status = clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "window = 0 has no Gaussian: mode=local_p needs at least 1");
    return status;
}

/* w_a is [rows, columns]; rows -1 = any. */
static clattn_status check_w_a(clattn_call *call, const clattn_luong_attention_args *a, int64_t rows, int64_t columns, const char *text) {
    const clattn_status status = need(call, a->w_a, "w_a", a->score == CLATTN_LUONG_GENERAL ? "score=general" : "score=concat");
    if (status) return status;
    if (a->w_a->rank != 2) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "w_a has rank %d, expected %s", a->w_a->rank, text);
    if ((rows < 0 || a->w_a->shape[0] == rows) && a->w_a->shape[1] == columns) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "w_a [%lld,%lld] does not fit %s: expected [%lld,%lld]", (long long)a->w_a->shape[0], (long long)a->w_a->shape[1], text, (long long)(rows < 0 ? a->w_a->shape[0] : rows), (long long)columns);
}

static clattn_status check_score(clattn_call *call, const clattn_luong_attention_args *a) {
    const int64_t d = clattn_dim(call, "D"), n = clattn_dim(call, "N");
    if (a->score == CLATTN_LUONG_DOT) return d == n ? CLATTN_OK : clattn_call_fail(call, CLATTN_ERROR_SHAPE, "score=dot needs a source as wide as the target: N is %lld, D %lld", (long long)n, (long long)d);
    if (a->score == CLATTN_LUONG_GENERAL) return check_w_a(call, a, d, n, "[D,N] of score=general");
    clattn_status status = check_w_a(call, a, -1, d + n, "[A,D+N] of score=concat");
    if (!status) status = need(call, a->v_a, "v_a", "score=concat");
    if (!status && (a->v_a->rank != 1 || a->v_a->shape[0] != a->w_a->shape[0]))
        status = clattn_call_fail(call, CLATTN_ERROR_SHAPE, "v_a has rank %d and %lld elements, expected [A] = [%lld], the rows of w_a", a->v_a->rank, (long long)clattn_tensor_count(a->v_a), (long long)a->w_a->shape[0]);
    return status;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_luong_attention_args *a = raw;
    if (a->attentional && !a->w_c) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "w_c is missing: the output attentional needs it");
    const clattn_status status = check_mode(call, a);
    return status ? status : check_score(call, a);
}

/* ---- Parts ---- */

static clattn_tensor as_rows(const clattn_tensor *x) {
    return clattn_tensor_reshaped(x, 2, (int64_t[]){ x->shape[0] * x->shape[1], x->shape[2] });
}

static clattn_status scratch_3(clattn_call *call, clattn_tensor *tensor, int64_t a, int64_t b, int64_t c) {
    return clattn_scratch(call, tensor, CLATTN_F32, 3, (int64_t[]){ a, b, c });
}

/* out = act(x weight^T) into a scratch tensor of x's leading axes. */
static clattn_status project(clattn_call *call, const clattn_tensor *x, const clattn_tensor *weight, clattn_activation_kind activation, clattn_tensor *out) {
    const clattn_status status = scratch_3(call, out, x->shape[0], x->shape[1], weight->shape[0]);
    const clattn_tensor rows = as_rows(x);
    clattn_tensor to = as_rows(out);
    return status ? status : clattn_linear(call->context, &(clattn_linear_args){ .x = &rows, .weight = weight, .out = &to, .activation = activation });
}

/* What is compared: target and source themselves, or their projections by w_a. */
static clattn_status make_sides(clattn_call *call, const clattn_luong_attention_args *a, clattn_tensor *query, clattn_tensor *keys) {
    const int64_t d = clattn_dim(call, "D"), n = clattn_dim(call, "N");
    *query = *a->target;
    *keys = *a->source;
    if (a->score == CLATTN_LUONG_DOT) return CLATTN_OK;
    if (a->score == CLATTN_LUONG_GENERAL) {
        const clattn_tensor transposed = clattn_tensor_transposed(a->w_a, (const int[]){ 1, 0 });
        return project(call, a->target, &transposed, CLATTN_ACTIVATION_NONE, query);
    }
    const clattn_tensor left = clattn_tensor_sliced(a->w_a, 1, 0, d), right = clattn_tensor_sliced(a->w_a, 1, d, n);
    const clattn_status status = project(call, a->target, &left, CLATTN_ACTIVATION_NONE, query);
    return status ? status : project(call, a->source, &right, CLATTN_ACTIVATION_NONE, keys);
}

/* [B,T,X] as [B,1,T,X]. */
static clattn_tensor one_head(const clattn_tensor *x) {
    return clattn_tensor_reshaped(x, 4, (int64_t[]){ x->shape[0], 1, x->shape[1], x->shape[2] });
}

static clattn_status attend_dot(clattn_call *call, const clattn_luong_attention_args *a, const clattn_tensor *query, const clattn_tensor *context) {
    const clattn_tensor q = one_head(query), k = one_head(a->source);
    clattn_tensor out, weights;
    if (context) out = one_head(context);
    if (a->weights) weights = one_head(a->weights);
    return clattn_attention(call->context, &(clattn_attention_args){ .query = &q, .key = &k, .value = &k, .key_lengths = a->key_lengths, .out = context ? &out : NULL, .weights = a->weights ? &weights : NULL, .scale = 1 });
}

static clattn_status attend_concat(clattn_call *call, const clattn_luong_attention_args *a, const clattn_tensor *query, const clattn_tensor *keys, clattn_tensor *context) {
    clattn_tensor mask;
    clattn_status status = CLATTN_OK;
    if (a->key_lengths) {
        const int64_t batches = keys->shape[0], count = keys->shape[1];
        status = clattn_scratch(call, &mask, CLATTN_U8, 2, (int64_t[]){ batches, count });
        if (!status) status = clattn_run_kernel(call, "luong_attention", "mask", "", 1, (size_t[]){ (size_t)(batches * count) }, (size_t[]){ 0 }, ARG_T(a->key_lengths), ARG_T(&mask), ARG_I64(batches), ARG_I64(count));
    }
    if (status) return status;
    return clattn_additive_attention(call->context, &(clattn_additive_attention_args){ .query = query, .key = keys, .value = a->source, .scale = a->v_a, .key_mask = a->key_lengths ? &mask : NULL, .out = context, .weights = a->weights });
}

static clattn_status attend_local(clattn_call *call, const clattn_luong_attention_args *a, const clattn_tensor *query, const clattn_tensor *keys, const clattn_tensor *context) {
    const int64_t batches = clattn_dim(call, "B"), steps = clattn_dim(call, "Tq"), count = clattn_dim(call, "Tk");
    const int64_t window = a->window.value < count ? a->window.value : count, room = 2 * window + 1 < count ? 2 * window + 1 : count;
    const bool predicted = a->mode == CLATTN_LUONG_LOCAL_P, concat = a->score == CLATTN_LUONG_CONCAT;
    clattn_tensor hidden, kept;
    clattn_status status = scratch_3(call, &kept, batches, steps, room);
    if (!status && predicted) status = project(call, a->target, a->w_p, CLATTN_ACTIVATION_TANH, &hidden);
    if (status) return status;
    return clattn_run_kernel(call, "luong_attention", "windowed", "", 1, (size_t[]){ (size_t)(batches * steps) }, (size_t[]){ 0 },
        ARG_T(query), ARG_T(keys), ARG_T(a->source), ARG_T(concat ? a->v_a : NULL), ARG_T(predicted ? &hidden : NULL), ARG_T(predicted ? a->v_p : NULL), ARG_T(a->key_lengths), ARG_T(&kept), ARG_T(context), ARG_T(a->weights), ARG_T(a->positions),
        ARG_I64(batches), ARG_I64(steps), ARG_I64(count), ARG_I64(query->shape[2]), ARG_I64(a->source->shape[2]), ARG_I64(predicted ? a->w_p->shape[0] : 0), ARG_I64(room), ARG_I64(window), ARG_I64(a->first_step), ARG_F32(2 / (double)(a->window.value ? a->window.value : 1)));
}

/* tanh(w_c [context; target]) */
static clattn_status make_attentional(clattn_call *call, const clattn_luong_attention_args *a, const clattn_tensor *context) {
    const int64_t n = clattn_dim(call, "N"), d = clattn_dim(call, "D");
    clattn_tensor joined;
    clattn_status status = scratch_3(call, &joined, clattn_dim(call, "B"), clattn_dim(call, "Tq"), n + d);
    if (status) return status;
    const clattn_tensor left = clattn_tensor_sliced(&joined, 2, 0, n), right = clattn_tensor_sliced(&joined, 2, n, d), rows = as_rows(&joined);
    clattn_tensor out = as_rows(a->attentional);
    status = clattn_copy(call, &left, context);
    if (!status) status = clattn_copy(call, &right, a->target);
    return status ? status : clattn_linear(call->context, &(clattn_linear_args){ .x = &rows, .weight = a->w_c, .out = &out, .activation = CLATTN_ACTIVATION_TANH });
}

static clattn_status enqueue(clattn_call *call, const void *raw) {
    const clattn_luong_attention_args *a = raw;
    clattn_tensor query, keys, scratch, *context = a->context;
    clattn_status status = make_sides(call, a, &query, &keys);
    if (!status && !context && a->attentional) {
        context = &scratch;
        status = scratch_3(call, &scratch, clattn_dim(call, "B"), clattn_dim(call, "Tq"), clattn_dim(call, "N"));
    }
    if (status) return status;
    if (a->mode != CLATTN_LUONG_GLOBAL) status = attend_local(call, a, &query, &keys, context);
    else if (a->score == CLATTN_LUONG_CONCAT) status = attend_concat(call, a, &query, &keys, context);
    else status = attend_dot(call, a, &query, context);
    return status || !a->attentional ? status : make_attentional(call, a, context);
}

static const clattn_variant variants[] = { { "composed", NULL, enqueue } };

static double weight_count(const clattn_tensor *weight) {
    return weight ? (double)clattn_tensor_count(weight) : 0;
}

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_luong_attention_args *a = raw;
    const double b = (double)clattn_dim(call, "B"), q = (double)clattn_dim(call, "Tq"), k = (double)clattn_dim(call, "Tk"), d = (double)clattn_dim(call, "D"), n = (double)clattn_dim(call, "N");
    const double reach = 2 * (double)a->window.value + 1, seen = a->mode == CLATTN_LUONG_GLOBAL || reach > k ? k : reach;
    const double size = a->score == CLATTN_LUONG_CONCAT ? (double)a->w_a->shape[0] : n;
    *flops = b * q * seen * (size * (a->score == CLATTN_LUONG_CONCAT ? 5 : 2) + 2 * n);
    if (a->score == CLATTN_LUONG_GENERAL) *flops += 2 * b * q * d * n;
    if (a->score == CLATTN_LUONG_CONCAT) *flops += 2 * b * size * (q * d + k * n);
    if (a->w_c) *flops += 2 * b * q * (n + d) * (double)a->w_c->shape[0];
    *bytes = 4 * (b * (q * (d + n) + k * n) + weight_count(a->w_a) + weight_count(a->w_c) + weight_count(a->w_p));
}

void clattn_reference_luong_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "luong_attention target[2,5,8] source[2,7,8] key_lengths[2]<8 w_c[6,16] -> context attentional", "luong_attention target[2,5,8] source[2,7,6] w_a[8,6] score=general",
    "luong_attention target[2,5,8] source[2,7,6] w_a[5,14] v_a[5] key_lengths[2]<8 score=concat", "luong_attention target[2,5,8] source[2,17,8] w_p[6,8] v_p[6] mode=local_p window=3", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_luong_attention, .work = work, .examples = examples };
static const clattn_op op_luong_attention = { "luong_attention", "global or local attention with the scores dot, general or concat, and the attentional vector", "Luong, Pham, Manning 2015", sizeof(clattn_luong_attention_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(luong_attention)

const clattn_op *const clattn_ops_luong_attention[] = { &op_luong_attention, NULL };
