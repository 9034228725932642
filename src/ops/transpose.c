/* The axes in another order, copied from a view. */
#include "walk.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_transpose_args, x, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_transpose_args, out, "out", "..", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "axis i is x's axis axes[i]"),
    { .name = "axes", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_transpose_args, axes), .text = "a permutation of x's axes, negative ones from the end; default all reversed" },
};

/* Which axis of x is axis i of out. */
static int source_axis(const clattn_transpose_args *a, int i) {
    if (a->axes.count == 0) return a->x->rank - 1 - i;
    return (int)(a->axes.values[i] < 0 ? a->axes.values[i] + a->x->rank : a->axes.values[i]);
}

static clattn_tensor turned(const clattn_transpose_args *a) {
    int axes[CLATTN_MAX_RANK];
    for (int i = 0; i < a->x->rank; i++) axes[i] = source_axis(a, i);
    return clattn_tensor_transposed(a->x, axes);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const int rank = a->x->rank;
    unsigned seen = 0;
    if (a->axes.count && a->axes.count != rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axes has %d values, x has rank %d", a->axes.count, rank);
    for (int i = 0; i < a->axes.count; i++) {
        const int64_t value = a->axes.values[i];
        if (value < -rank || value >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axes holds %lld, outside x's rank %d", (long long)value, rank);
        if (seen & 1u << source_axis(a, i)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axes names axis %lld twice", (long long)value);
        seen |= 1u << source_axis(a, i);
    }
    const clattn_tensor view = turned(a);
    call->dims.rest_rank = rank;
    memcpy(call->dims.rest, view.shape, sizeof view.shape);
    return CLATTN_OK;
}

static const char *tiles_refusal(const clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const clattn_tensor view = turned(a);
    return a->out ? clattn_move_tiles_refusal(call, a->out, &view) : NULL;
}

static clattn_status enqueue_tiles(clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const clattn_tensor view = turned(a);
    return clattn_move_tiles(call, a->out, &view);
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const clattn_tensor view = turned(a);
    return a->out ? clattn_move_rows_refusal(call, a->out, &view) : NULL;
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const clattn_tensor view = turned(a);
    return clattn_move_rows(call, a->out, &view);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_transpose_args *a = raw;
    const clattn_tensor view = turned(a);
    return clattn_copy(call, a->out, &view);
}

static const clattn_variant variants[] = {
    { "tiles", tiles_refusal, enqueue_tiles },
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_transpose_args *a = raw;
    (void)call;
    *flops = 0;
    *bytes = 8 * (double)clattn_tensor_count(a->x);
}

void clattn_reference_transpose(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "transpose x[20,40]", "transpose x[2,5,3,16] axes=0,2,1,3", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "tiles rows scalar", .moves = true, .reference = clattn_reference_transpose, .work = work, .examples = examples };
static const clattn_op op_transpose = { "transpose", "x with its axes in another order", "torch.permute, numpy.transpose", sizeof(clattn_transpose_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(transpose)

const clattn_op *const clattn_ops_transpose[] = { &op_transpose, NULL };
