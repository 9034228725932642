/* dropout: the random bits are fixed by seed, offset and index (rule 9 of the operations), equal on every device. */
#include "op.h"

#define GROUP_ELEMENTS 4096

static const clattn_field fields[] = {
    CLATTN_IN(clattn_dropout_args, x, "..", CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_dropout_args, out, "out", "..", CLATTN_FIELD_STORED | CLATTN_FIELD_IN_PLACE, "as x; may be x itself"),
    CLATTN_PARAM(clattn_dropout_args, rate, "rate", CLATTN_FIELD_OPT_FLOAT, 0.5, 0, 0.99999994039535522, "how likely an element is dropped; the others are divided by 1 - rate"),
    CLATTN_PARAM(clattn_dropout_args, seed, "seed", CLATTN_FIELD_U64, 0, 0, 0, "the key of the random bits"),
    CLATTN_PARAM(clattn_dropout_args, offset, "offset", CLATTN_FIELD_U64, 0, 0, 0, "the second half of the counter: another one for each independent call"),
};

/* Words below it drop their element. */
static uint32_t limit_of(const clattn_dropout_args *a) {
    return (uint32_t)ceil(ldexp((double)a->rate.value, 32));
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_dropout_args *a = raw;
    const int64_t count = clattn_tensor_count(a->x);
    const size_t groups = (size_t)((count + GROUP_ELEMENTS - 1) / GROUP_ELEMENTS);
    return clattn_run_kernel(call, "dropout", "rows", "", 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(count), ARG_I64(GROUP_ELEMENTS), ARG_I64(a->seed), ARG_I64(a->offset), ARG_I32(limit_of(a)), ARG_F32(1 / (1 - (double)a->rate.value)));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_dropout_args *a = raw;
    const int64_t count = clattn_tensor_count(a->x);
    return clattn_run_kernel(call, "dropout", "scalar", "", 1, (size_t[]){ (size_t)((count + 3) / 4) }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(count), ARG_I64(a->seed), ARG_I64(a->offset), ARG_I32(limit_of(a)), ARG_F32(1 / (1 - (double)a->rate.value)));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_dropout_args *a = raw;
    (void)call;
    *flops = (double)clattn_tensor_count(a->x);
    *bytes = 8 * (double)clattn_tensor_count(a->x);
}

void clattn_reference_dropout(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "dropout x[5,7] seed=1", NULL };
static const clattn_op_code code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .reference = clattn_reference_dropout, .work = work, .examples = examples };
static const clattn_op op_dropout = { "dropout", "elements set to 0 at random, the others scaled up", "Srivastava et al. 2014; the bits of Philox 4x32-10 (Salmon et al. 2011)", sizeof(clattn_dropout_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(dropout)

const clattn_op *const clattn_ops_dropout[] = { &op_dropout, NULL };
