/* A border of one value around a tensor. */
#include "op.h"

#define GROUP_ELEMENTS 16384
#define LARGEST_SIZE (INT64_MAX / 16)

static const clattn_field fields[] = {
    CLATTN_IN(clattn_pad_args, x, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_pad_args, out, "out", "..", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "x's sizes plus before plus after"),
    { .name = "before", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_pad_args, before), .low = 0, .high = INT32_MAX, .text = "elements put before each axis; a shorter list leaves the other axes" },
    { .name = "after", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_pad_args, after), .low = 0, .high = INT32_MAX, .text = "elements put after each axis; a shorter list leaves the other axes" },
    CLATTN_PARAM(clattn_pad_args, value, "value", CLATTN_FIELD_FLOAT, 0, 0, 0, "what the border holds"),
};

static int64_t entry(const clattn_ints *list, int axis) {
    return axis < list->count ? list->values[axis] : 0;
}

static clattn_status check_list(clattn_call *call, const char *name, const clattn_ints *list, int rank) {
    if (list->count <= rank) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values, more than x's rank %d", name, list->count, rank);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_pad_args *a = raw;
    clattn_status status = check_list(call, "before", &a->before, a->x->rank);
    if (!status) status = check_list(call, "after", &a->after, a->x->rank);
    if (status) return status;
    call->dims.rest_rank = a->x->rank;
    for (int i = 0; i < a->x->rank; i++) {
        const int64_t border = entry(&a->before, i) + entry(&a->after, i);
        if (a->x->shape[i] > LARGEST_SIZE - border) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "axis %d becomes larger than any memory", i);
        call->dims.rest[i] = a->x->shape[i] + border;
    }
    return CLATTN_OK;
}

static bool contiguous_rows(const clattn_tensor *tensor) {
    const int last = tensor->rank - 1;
    return tensor->shape[last] <= 1 || tensor->strides[last] == 1;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_pad_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (a->x->rank == 0) return "x has no axis";
    return contiguous_rows(a->x) && (!a->out || contiguous_rows(a->out)) ? NULL : "the last axis is not contiguous";
}

static clattn_arg before_of(const clattn_pad_args *a) {
    clattn_arg arg = { .kind = CLATTN_ARG_I64X8 };
    for (int i = 0; i < a->x->rank; i++) arg.as.i64[i] = entry(&a->before, i);
    return arg;
}

/* The value's bits as the tensors hold it. */
static clattn_arg stored_value(const clattn_pad_args *a) {
    const float value = (float)a->value;
    uint16_t half;
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (a->out->dtype == CLATTN_F32) return ARG_I32(bits);
    clattn_floats_store(a->out->dtype, &value, &half, 1);
    return ARG_I32(half);
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_pad_args *a = raw;
    const int outer = a->x->rank - 1;
    const int64_t width = a->out->shape[outer], rows = clattn_tensor_count(a->out) / width, per_group = 1 + GROUP_ELEMENTS / (width + 1);
    const size_t groups = (size_t)((rows + per_group - 1) / per_group);
    return clattn_run_kernel(call, "pad", "rows", clattn_streams(call, a->out) ? "-DSTREAM" : "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), clattn_arg_strides8(a->x), clattn_arg_strides8(a->out), clattn_arg_shape8(a->x), clattn_arg_shape8(a->out), before_of(a), ARG_I32(outer), ARG_I64(rows), ARG_I64(per_group), stored_value(a));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_pad_args *a = raw;
    const int64_t count = clattn_tensor_count(a->out);
    return clattn_run_kernel(call, "pad", "scalar", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), clattn_arg_strides8(a->x), clattn_arg_strides8(a->out), clattn_arg_shape8(a->x), clattn_arg_shape8(a->out), before_of(a), ARG_I32(a->x->rank), ARG_I64(count), stored_value(a));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_pad_args *a = raw;
    double count = 1;
    for (int i = 0; i < call->dims.rest_rank; i++) count *= (double)call->dims.rest[i];
    *flops = 0;
    *bytes = 4 * ((double)clattn_tensor_count(a->x) + count);
}

void clattn_reference_pad(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "pad x[5,40] before=1,2 after=0,19 value=0.5", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .moves = true, .reference = clattn_reference_pad, .work = work, .examples = examples };
static const clattn_op op_pad = { "pad", "x within a border of one value", "numpy.pad with mode constant", sizeof(clattn_pad_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(pad)

const clattn_op *const clattn_ops_pad[] = { &op_pad, NULL };
