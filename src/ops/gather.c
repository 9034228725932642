/* Slices of x by index along one axis. */
#include "dims.h"

#define GROUP_ELEMENTS 16384

static const clattn_field fields[] = {
    CLATTN_IN(clattn_gather_args, x, "*", CLATTN_FIELD_STORED, "any shape"),
    CLATTN_IN_INT_LIMITED(clattn_gather_args, indices, "*", "<n", 0, "any shape; an index outside 0..n-1, n the size of the axis, gives zeros"),
    CLATTN_OUT(clattn_gather_args, out, "out", "..", CLATTN_FIELD_STORED, "x with the axis replaced by the shape of indices"),
    CLATTN_PARAM(clattn_gather_args, axis, "axis", CLATTN_FIELD_INT, 0, -CLATTN_MAX_RANK, CLATTN_MAX_RANK - 1, "the axis that indices count"),
};

static void append(clattn_dims *dims, const int64_t *sizes, int64_t first, int64_t last) {
    for (int64_t i = first; i < last; i++) dims->rest[dims->rest_rank++] = sizes[i];
}

static int64_t product(const int64_t *sizes, int64_t first, int64_t last) {
    int64_t result = 1;
    for (int64_t i = first; i < last; i++) result *= sizes[i];
    return result;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_gather_args *a = raw;
    char x[160], indices[160];
    const int rank = a->x->rank;
    const int64_t axis = a->axis < 0 ? a->axis + rank : a->axis;
    if (axis < 0 || axis >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axis %lld is outside x's rank %d", (long long)a->axis, rank);
    if (rank - 1 + a->indices->rank > CLATTN_MAX_RANK)
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x %s by indices %s gives rank %d, more than %d", clattn_shape_text(a->x, x, sizeof x), clattn_shape_text(a->indices, indices, sizeof indices), rank - 1 + a->indices->rank, CLATTN_MAX_RANK);
    call->dims.rest_rank = 0;
    append(&call->dims, a->x->shape, 0, axis);
    append(&call->dims, a->indices->shape, 0, a->indices->rank);
    append(&call->dims, a->x->shape, axis + 1, rank);
    clattn_dim_set(call, "n", a->x->shape[axis]);
    clattn_dim_set(call, "outer", product(a->x->shape, 0, axis));
    clattn_dim_set(call, "inner", product(a->x->shape, axis + 1, rank));
    return CLATTN_OK;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

/* A row is what one index takes: `inner` elements. */
static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_gather_args *a = raw;
    const int64_t inner = clattn_dim(call, "inner"), count = clattn_tensor_count(a->indices), rows = clattn_dim(call, "outer") * count;
    const int64_t per_group = 1 + GROUP_ELEMENTS / (inner + 1);
    const size_t groups = (size_t)((rows + per_group - 1) / per_group);
    return clattn_run_kernel(call, "gather", "rows", clattn_streams(call, a->out) ? "-DSTREAM" : "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->indices), ARG_T(a->out), ARG_I64(rows), ARG_I64(count), ARG_I64(clattn_dim(call, "n")), ARG_I64(inner), ARG_I64(per_group));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_gather_args *a = raw;
    const int64_t inner = clattn_dim(call, "inner"), count = clattn_tensor_count(a->indices), total = clattn_dim(call, "outer") * count * inner;
    return clattn_run_kernel(call, "gather", "scalar", "", 1, (size_t[]){ (size_t)total }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->indices), ARG_T(a->out), ARG_I64(total), ARG_I64(count), ARG_I64(clattn_dim(call, "n")), ARG_I64(inner));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_gather_args *a = raw;
    const double count = (double)clattn_tensor_count(a->indices), results = count * (double)(clattn_dim(call, "outer") * clattn_dim(call, "inner"));
    *flops = 0;
    *bytes = 8 * results + 4 * count;
}

void clattn_reference_gather(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "gather x[7,20] indices[5]<7", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .moves = true, .reference = clattn_reference_gather, .work = work, .examples = examples };
static const clattn_op op_gather = { "gather", "slices of x by index along an axis", "numpy.take, ONNX Gather; zeros for an index outside the axis", sizeof(clattn_gather_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(gather)

const clattn_op *const clattn_ops_gather[] = { &op_gather, NULL };
