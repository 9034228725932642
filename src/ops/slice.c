/* A strided part of a tensor, copied from a view of it. */
#include "walk.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_slice_args, x, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_slice_args, out, "out", "..", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "x[starts:ends:steps]"),
    { .name = "starts", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_slice_args, starts), .text = "the first element of each axis; negative: from the end" },
    { .name = "ends", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_slice_args, ends), .text = "where each axis ends, not included; negative: from the end; default the size" },
    { .name = "steps", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_slice_args, steps), .fallback = 1, .text = "every how many elements; 1 or more" },
};

static int64_t clamped(int64_t position, int64_t size) {
    if (position < 0) position += size;
    return position < 0 ? 0 : position > size ? size : position;
}

static int64_t entry(const clattn_ints *list, int axis, int64_t fallback) {
    return axis < list->count ? list->values[axis] : fallback;
}

/* The part as a view of x. */
static clattn_tensor part(const clattn_slice_args *a) {
    clattn_tensor view = *a->x;
    for (int i = 0; i < view.rank; i++) {
        const int64_t size = view.shape[i], step = entry(&a->steps, i, 1);
        const int64_t start = clamped(entry(&a->starts, i, 0), size), end = clamped(entry(&a->ends, i, size), size);
        view.shape[i] = end > start ? (end - start - 1) / step + 1 : 0;
        view.offset += start * view.strides[i];
        if (view.shape[i] > 1) view.strides[i] *= step;
    }
    return view;
}

static clattn_status check_list(clattn_call *call, const char *name, const clattn_ints *list, int rank) {
    if (list->count <= rank) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values, more than x's rank %d", name, list->count, rank);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_slice_args *a = raw;
    clattn_status status = check_list(call, "starts", &a->starts, a->x->rank);
    if (!status) status = check_list(call, "ends", &a->ends, a->x->rank);
    if (!status) status = check_list(call, "steps", &a->steps, a->x->rank);
    if (status) return status;
    for (int i = 0; i < a->steps.count; i++)
        if (a->steps.values[i] < 1) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "steps holds %lld for axis %d: negative and zero steps are refused", (long long)a->steps.values[i], i);
    const clattn_tensor view = part(a);
    call->dims.rest_rank = view.rank;
    memcpy(call->dims.rest, view.shape, sizeof view.shape);
    return CLATTN_OK;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_slice_args *a = raw;
    const clattn_tensor view = part(a);
    return a->out ? clattn_move_rows_refusal(call, a->out, &view) : NULL;
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_slice_args *a = raw;
    const clattn_tensor view = part(a);
    return clattn_move_rows(call, a->out, &view);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_slice_args *a = raw;
    const clattn_tensor view = part(a);
    return clattn_copy(call, a->out, &view);
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_slice_args *a = raw;
    const clattn_tensor view = part(a);
    (void)call;
    *flops = 0;
    *bytes = 8 * (double)clattn_tensor_count(&view);
}

void clattn_reference_slice(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "slice x[5,40] starts=1,2 ends=4,-1", "slice x[5,40] steps=2,3", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .moves = true, .reference = clattn_reference_slice, .work = work, .examples = examples };
static const clattn_op op_slice = { "slice", "x[starts:ends:steps]", "numpy's basic slicing with positive steps", sizeof(clattn_slice_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(slice)

const clattn_op *const clattn_ops_slice[] = { &op_slice, NULL };
