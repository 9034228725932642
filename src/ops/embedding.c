/* embedding: rows of a table by id. */
#include "op.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_embedding_args, table, "V,E", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "one row per id"),
    CLATTN_IN_INT_LIMITED(clattn_embedding_args, ids, "..", "<V", 0, "any shape; an id outside 0..V-1 gives a zero row"),
    CLATTN_OUT(clattn_embedding_args, out, "out", "..,E", CLATTN_FIELD_STORED, "the rows of the ids"),
    CLATTN_PARAM(clattn_embedding_args, padding_id, "padding_id", CLATTN_FIELD_OPT_INT, -1, -1, INT32_MAX, "its row is read as any other; only its gradient is zero; -1 = none"),
};

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_embedding_args *a = raw;
    if (a->ids->rank < CLATTN_MAX_RANK) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "ids has rank %d, expected at most %d: out has one axis more", a->ids->rank, CLATTN_MAX_RANK - 1);
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_embedding_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    return a->table->strides[1] == 1 ? NULL : "the table's rows are not contiguous";
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_embedding_args *a = raw;
    const int64_t count = clattn_tensor_count(a->ids), width = clattn_dim(call, "E");
    const int64_t per_group = 1 + 8192 / (width + 1);
    const size_t groups = (size_t)((count + per_group - 1) / per_group);
    return clattn_run_kernel(call, "embedding", "rows", clattn_streams(call, a->out) ? "-DSTREAM" : "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->table), ARG_T(a->ids), ARG_T(a->out), ARG_I64(count), ARG_I64(clattn_dim(call, "V")), ARG_I64(width), ARG_I64(a->table->strides[0]), ARG_I64(per_group));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_embedding_args *a = raw;
    const int64_t count = clattn_tensor_count(a->ids), width = clattn_dim(call, "E");
    return clattn_run_kernel(call, "embedding", "scalar", "", 1, (size_t[]){ (size_t)(count * width) }, (size_t[]){ 0 }, ARG_T(a->table), ARG_T(a->ids), ARG_T(a->out), ARG_I64(count), ARG_I64(clattn_dim(call, "V")), ARG_I64(width), clattn_arg_strides4(a->table));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_embedding_args *a = raw;
    const double count = (double)clattn_tensor_count(a->ids);
    *flops = 0;
    *bytes = 4 * count * (1 + 2 * (double)clattn_dim(call, "E"));
}

void clattn_reference_embedding(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "embedding table[5,20] ids[7]<5", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .moves = true, .reference = clattn_reference_embedding, .work = work, .examples = examples };
static const clattn_op op_embedding = { "embedding", "rows of a table by id", "torch.nn.Embedding; a zero row for an id that is not in the table", sizeof(clattn_embedding_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(embedding)

const clattn_op *const clattn_ops_embedding[] = { &op_embedding, NULL };
