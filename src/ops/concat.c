/* Tensors joined along one axis: each is copied to its place in out. */
#include "dims.h"
#include "walk.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_concat_args, x, "*", CLATTN_FIELD_LIST | CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "equal sizes except along the axis"),
    CLATTN_OUT(clattn_concat_args, out, "out", "..", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "their sizes along the axis added"),
    CLATTN_PARAM(clattn_concat_args, axis, "axis", CLATTN_FIELD_OPT_INT, -1, -CLATTN_MAX_RANK, CLATTN_MAX_RANK - 1, "the axis along which they are joined"),
};

static int count_of(const clattn_concat_args *a) {
    int count = 0;
    while (count < CLATTN_MAX_CONCAT && a->x[count]) count++;
    return count;
}

static clattn_status check_sizes(clattn_call *call, const clattn_concat_args *a, int k, int axis) {
    char found[160], first[160];
    bool same = a->x[k]->rank == a->x[0]->rank;
    for (int i = 0; i < a->x[0]->rank && same; i++) same = i == axis || a->x[k]->shape[i] == a->x[0]->shape[i];
    if (same) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x%d %s does not fit x0 %s: all sizes but that of axis %d must be equal", k, clattn_shape_text(a->x[k], found, sizeof found), clattn_shape_text(a->x[0], first, sizeof first), axis);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_concat_args *a = raw;
    const int rank = a->x[0]->rank, count = count_of(a);
    const int64_t axis = a->axis.value < 0 ? a->axis.value + rank : a->axis.value;
    int64_t size = 0;
    if (axis < 0 || axis >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axis %lld is outside x0's rank %d", (long long)a->axis.value, rank);
    for (int k = 0; k < count; k++) {
        const clattn_status status = check_sizes(call, a, k, (int)axis);
        if (status) return status;
        size += a->x[k]->shape[axis];
    }
    clattn_dim_set(call, "axis", axis);
    call->dims.rest_rank = rank;
    memcpy(call->dims.rest, a->x[0]->shape, sizeof call->dims.rest);
    call->dims.rest[axis] = size;
    return CLATTN_OK;
}

/* Where input k goes. */
static clattn_tensor place(const clattn_call *call, const clattn_concat_args *a, int k) {
    const int axis = (int)clattn_dim(call, "axis");
    int64_t start = 0;
    for (int i = 0; i < k; i++) start += a->x[i]->shape[axis];
    return clattn_tensor_sliced(a->out, axis, start, a->x[k]->shape[axis]);
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_concat_args *a = raw;
    const int count = a->out ? count_of(a) : 0;
    for (int k = 0; k < count; k++) {
        const clattn_tensor view = place(call, a, k);
        const char *refusal = clattn_tensor_count(&view) ? clattn_move_rows_refusal(call, &view, a->x[k]) : NULL;
        if (refusal) return refusal;
    }
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static clattn_status enqueue(clattn_call *call, const clattn_concat_args *a, clattn_status (*copy)(clattn_call *, const clattn_tensor *, const clattn_tensor *)) {
    const int count = count_of(a);
    for (int k = 0; k < count; k++) {
        const clattn_tensor view = place(call, a, k);
        const clattn_status status = clattn_tensor_count(&view) ? copy(call, &view, a->x[k]) : CLATTN_OK;
        if (status) return status;
    }
    return CLATTN_OK;
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    return enqueue(call, raw, clattn_move_rows);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    return enqueue(call, raw, clattn_copy);
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_concat_args *a = raw;
    const int count = count_of(a);
    (void)call;
    *flops = *bytes = 0;
    for (int k = 0; k < count; k++) *bytes += 8 * (double)clattn_tensor_count(a->x[k]);
}

void clattn_reference_concat(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "concat x0[3,20] x1[3,5]", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .moves = true, .reference = clattn_reference_concat, .work = work, .examples = examples };
static const clattn_op op_concat = { "concat", "tensors joined along an axis", "torch.cat", sizeof(clattn_concat_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(concat)

const clattn_op *const clattn_ops_concat[] = { &op_concat, NULL };
