/* cross_entropy: a loss per row, and their mean over the targets that count. */
#include "lanes.h"

#define GROUP_ELEMENTS 16384
#define MOST_PARTS 1024
#define LEAST_CHUNK 64

static const clattn_field fields[] = {
    CLATTN_IN(clattn_cross_entropy_args, logits, "N,V", CLATTN_FIELD_STORED, "one row of scores per target"),
    { .name = "targets", .kind = CLATTN_FIELD_INPUT, .offset = offsetof(clattn_cross_entropy_args, targets), .element = CLATTN_ELEMENT_INT, .shape = "N", .value_limit = "<V", .value_exception = "ignore_id", .text = "the right class of each row; outside 0..V-1 the loss is 0" },
    CLATTN_OUT(clattn_cross_entropy_args, out, "out", "1", 0, "the mean over the targets that are not ignore_id; NaN if there is none"),
    CLATTN_OUT(clattn_cross_entropy_args, losses, "losses", "N", CLATTN_FIELD_OPTIONAL, "each row's loss; 0 where the target is ignore_id"),
    CLATTN_PARAM(clattn_cross_entropy_args, label_smoothing, "label_smoothing", CLATTN_FIELD_FLOAT, 0, 0, 1, "the part of the target that is spread evenly over all classes"),
    CLATTN_PARAM(clattn_cross_entropy_args, ignore_id, "ignore_id", CLATTN_FIELD_OPT_INT, -100, INT32_MIN, INT32_MAX, "a target that does not count"),
};

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static const char *options_of(const clattn_cross_entropy_args *a) {
    return a->label_smoothing != 0 ? "-DSMOOTH" : "";
}

static clattn_status losses_by_rows(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses) {
    const int64_t rows = clattn_dim(call, "N"), length = clattn_dim(call, "V"), per_group = 1 + GROUP_ELEMENTS / (length + 1);
    const size_t groups = (size_t)((rows + per_group - 1) / per_group);
    return clattn_run_kernel(call, "cross_entropy", "rows", options_of(a), 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->logits), ARG_T(a->targets), ARG_T(losses), ARG_I64(rows), ARG_I64(length), ARG_I64(per_group), ARG_I32(a->ignore_id.value), ARG_F32(a->label_smoothing));
}

static clattn_status losses_by_items(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses) {
    const int64_t rows = clattn_dim(call, "N");
    return clattn_run_kernel(call, "cross_entropy", "scalar", options_of(a), 1, (size_t[]){ (size_t)rows }, (size_t[]){ 0 }, ARG_T(a->logits), ARG_T(a->targets), ARG_T(losses), ARG_I64(rows), ARG_I64(clattn_dim(call, "V")), ARG_I32(a->ignore_id.value), ARG_F32(a->label_smoothing));
}

static const char *gpu_row_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_lanes_refusal(call, clattn_dim(call, "N"), clattn_dim(call, "V"), false);
}

static const char *gpu_row_subgroup_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_lanes_refusal(call, clattn_dim(call, "N"), clattn_dim(call, "V"), true);
}

static clattn_status losses_shared(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses, bool subgroups) {
    const int64_t rows = clattn_dim(call, "N"), length = clattn_dim(call, "V");
    clattn_lanes l;
    const clattn_status status = clattn_lanes_choose(call, "cross_entropy", "gpu_row", options_of(a), rows, length, false, subgroups, &l);
    return status ? status : clattn_run_kernel(call, "cross_entropy", "gpu_row", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(a->logits), ARG_T(a->targets), ARG_T(losses), ARG_I64(rows), ARG_I32(length), ARG_I32(l.lanes), ARG_I32(a->ignore_id.value), ARG_F32(a->label_smoothing), ARG_LOCAL(4 * l.items));
}

static clattn_status losses_by_lanes(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses) {
    return losses_shared(call, a, losses, false);
}

static clattn_status losses_by_subgroups(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses) {
    return losses_shared(call, a, losses, true);
}

static clattn_status mean(clattn_call *call, const clattn_cross_entropy_args *a, const clattn_tensor *losses) {
    const int64_t rows = clattn_dim(call, "N"), spread = (rows + MOST_PARTS - 1) / MOST_PARTS;
    const int64_t chunk = spread < LEAST_CHUNK ? LEAST_CHUNK : spread, parts = (rows + chunk - 1) / chunk;
    clattn_tensor sums;
    clattn_status status = clattn_scratch(call, &sums, CLATTN_F32, 2, (int64_t[]){ parts, 2 });
    if (!status) status = clattn_run_kernel(call, "cross_entropy", "partial", "", 1, (size_t[]){ (size_t)parts }, (size_t[]){ 0 }, ARG_T(losses), ARG_T(a->targets), ARG_T(&sums), ARG_I64(rows), ARG_I64(parts), ARG_I64(chunk), ARG_I32(a->ignore_id.value));
    return status ? status : clattn_run_kernel(call, "cross_entropy", "mean", "", 1, (size_t[]){ 1 }, (size_t[]){ 1 }, ARG_T(&sums), ARG_T(a->out), ARG_I64(parts));
}

static clattn_status enqueue(clattn_call *call, const clattn_cross_entropy_args *a, clattn_status (*fill)(clattn_call *, const clattn_cross_entropy_args *, const clattn_tensor *)) {
    clattn_tensor scratch;
    const clattn_tensor *losses = a->losses ? a->losses : &scratch;
    clattn_status status = a->losses ? CLATTN_OK : clattn_scratch(call, &scratch, CLATTN_F32, 1, (int64_t[]){ clattn_dim(call, "N") });
    if (!status) status = fill(call, a, losses);
    call->half = false; /* the losses are f32 */
    return status || !a->out ? status : mean(call, a, losses);
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    return enqueue(call, raw, losses_by_rows);
}

static clattn_status enqueue_gpu_row(clattn_call *call, const void *raw) {
    return enqueue(call, raw, losses_by_lanes);
}

static clattn_status enqueue_gpu_row_subgroup(clattn_call *call, const void *raw) {
    return enqueue(call, raw, losses_by_subgroups);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    return enqueue(call, raw, losses_by_items);
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "gpu_row_subgroup", gpu_row_subgroup_refusal, enqueue_gpu_row_subgroup },
    { "gpu_row", gpu_row_refusal, enqueue_gpu_row },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const double rows = (double)clattn_dim(call, "N"), count = rows * (double)clattn_dim(call, "V");
    (void)raw;
    *flops = 4 * count;
    *bytes = 4 * (count + 2 * rows + 1);
}

void clattn_reference_cross_entropy(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "cross_entropy logits[5,70] targets[5]<70 -> out losses", "cross_entropy logits[5,70] targets[5]<70 label_smoothing=0.1", NULL };
static const clattn_op_code code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_cross_entropy, .work = work, .examples = examples };
static const clattn_op op_cross_entropy = { "cross_entropy", "the negative logarithm of the target's softmax, and its mean", "torch.nn.functional.cross_entropy", sizeof(clattn_cross_entropy_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(cross_entropy)

const clattn_op *const clattn_ops_cross_entropy[] = { &op_cross_entropy, NULL };
