/* softmax and log_softmax along one axis. */
#include "lanes.h"

#define SHARE 16384 /* elements of a group, rounded up to whole rows */
#define MOST_HELD ((size_t)512 << 10) /* bytes of a row that the caches near a core keep */
#define SHORT_ROW 256   /* the latency of the reductions shows up to here: four rows at a time */
#define PAIRED_ROW 1024 /* and still up to here: two, which stay in the level-1 cache */
#define BEHIND_FROM 128 /* elements of a row that waits to be written until the next ones' exponentials are taken */
#define MOST_VECTORS 8 /* of a row that is one of 16 taken together */
#define BLOCK 2048 /* as in cl/softmax.cl */

static const clattn_field fields[] = {
    CLATTN_IN(clattn_softmax_args, x, "..", CLATTN_FIELD_STORED, "any shape"),
    CLATTN_IN_BOOL(clattn_softmax_args, mask, "*", CLATTN_FIELD_OPTIONAL | CLATTN_FIELD_STRIDED, "broadcast from the right to x; true = counts"),
    CLATTN_OUT(clattn_softmax_args, out, "out", "..", CLATTN_FIELD_STORED, "as x"),
    CLATTN_PARAM(clattn_softmax_args, axis, "axis", CLATTN_FIELD_OPT_INT, -1, -CLATTN_MAX_RANK, CLATTN_MAX_RANK - 1, "the axis that sums to 1"),
    { .name = "temperature", .kind = CLATTN_FIELD_OPT_FLOAT, .offset = offsetof(clattn_softmax_args, temperature), .flags = CLATTN_FIELD_NOT_ZERO, .fallback = 1, .text = "divides x; not 0" },
};

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_softmax_args *a = raw;
    const int rank = a->x->rank;
    int64_t axis = a->axis.value < 0 ? a->axis.value + rank : a->axis.value;
    if (axis < 0 || axis >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axis %lld is outside x's rank %d", (long long)a->axis.value, rank);
    int64_t inner = 1, outer = 1;
    for (int64_t i = 0; i < axis; i++) outer *= a->x->shape[i];
    for (int64_t i = axis + 1; i < rank; i++) inner *= a->x->shape[i];
    clattn_dim_set(call, "axis", axis);
    clattn_dim_set(call, "outer", outer);
    clattn_dim_set(call, "length", a->x->shape[axis]);
    clattn_dim_set(call, "inner", inner);
    return a->mask ? clattn_check_broadcast(call, "mask", a->mask, "x", a->x) : CLATTN_OK;
}

/* Rows along the last axis without a mask: one group per few rows, vectors along the row. */
static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_softmax_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (clattn_dim(call, "inner") != 1) return "the axis is not the innermost";
    return a->mask ? "there is a mask" : NULL;
}

static const char *options_of(const clattn_call *call, const clattn_softmax_args *a) {
    const bool logarithm = strcmp(call->op->name, "log_softmax") == 0;
    if (logarithm) return a->mask ? "-DLOG -DMASK" : "-DLOG";
    return a->mask ? "-DMASK" : "";
}

/* What a group takes: whole steps of `step` rows. */
static int64_t rows_of_group(const clattn_call *call, int64_t length, int64_t step) {
    return clattn_ceil_div(1 + clattn_tuned(call, "share", SHARE) / (length + 1), step) * step;
}

/* Rows whose sums and largest are joined 16 at a time. */
static bool are_short(const clattn_call *call, int64_t length) {
    return strcmp(call->op->name, "softmax") == 0 && length >= 16 && length <= 16 * MOST_VECTORS && !clattn_few_registers(clattn_call_device(call));
}

static clattn_status run_short_rows(clattn_call *call, const clattn_softmax_args *a, int64_t rows, int64_t length) {
    const int64_t per_group = rows_of_group(call, length, 16);
    const size_t groups = (size_t)clattn_ceil_div(rows, per_group);
    char options[64];
    snprintf(options, sizeof options, "-DVECTORS=%d%s", (int)(length + 15) / 16, clattn_streams_rows(call, a->out) ? " -DSTREAM" : "");
    return clattn_run_kernel(call, "softmax", "short_rows", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(rows), ARG_I64(length), ARG_I64(per_group), ARG_F32(1 / (double)a->temperature.value));
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_softmax_args *a = raw;
    const int64_t rows = clattn_dim(call, "outer"), length = clattn_dim(call, "length");
    if (are_short(call, length)) return run_short_rows(call, a, rows, length);
    const int64_t per_group = rows_of_group(call, length, 1);
    const size_t groups = (size_t)clattn_ceil_div(rows, per_group);
    const int at_once = length <= SHORT_ROW ? 4 : length <= PAIRED_ROW ? 2 : 1;
    const size_t vectors = (size_t)(length + 15) / 16, held = 64 * vectors * (size_t)at_once, bases = 4 * ((size_t)at_once + (size_t)length / BLOCK);
    const bool holds = strcmp(call->op->name, "softmax") == 0 && held <= MOST_HELD && held + bases <= clattn_call_device(call)->local_memory;
    const bool behind = holds && at_once > 1 && length > BEHIND_FROM;
    char options[96];
    snprintf(options, sizeof options, "%s -DROWS=%d -DBEHIND=%d%s%s", options_of(call, a), at_once, behind, holds ? " -DHOLD" : "", clattn_streams_rows(call, a->out) ? " -DSTREAM" : "");
    return clattn_run_kernel(call, "softmax", "rows", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(rows), ARG_I64(length), ARG_I64(per_group), ARG_F32(1 / (double)a->temperature.value), ARG_I64(vectors), ARG_LOCAL(holds ? held : 64), ARG_LOCAL(holds ? bases : 4));
}

/* Rows along the last axis, shared among the items of groups. */
static const char *shared_refusal(const clattn_call *call, bool subgroups) {
    if (clattn_dim(call, "inner") != 1) return "the axis is not the innermost";
    return clattn_lanes_refusal(call, clattn_dim(call, "outer"), clattn_dim(call, "length"), subgroups);
}

static const char *gpu_row_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return shared_refusal(call, false);
}

static const char *gpu_row_subgroup_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return shared_refusal(call, true);
}

static clattn_status run_shared(clattn_call *call, const clattn_softmax_args *a, bool subgroups) {
    const int64_t rows = clattn_dim(call, "outer"), length = clattn_dim(call, "length");
    clattn_lanes l;
    const clattn_status status = clattn_lanes_choose(call, "softmax", "gpu_row", options_of(call, a), rows, length, true, subgroups, &l);
    return status ? status : clattn_run_kernel(call, "softmax", "gpu_row", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(a->x), ARG_T(a->mask), ARG_T(a->out), clattn_arg_broadcast8(a->mask, a->x->rank, a->x->shape), clattn_arg_shape8(a->x), ARG_I32(a->x->rank), ARG_I32(clattn_dim(call, "axis")), ARG_I64(rows), ARG_I32(length), ARG_I32(l.lanes), ARG_F32(1 / (double)a->temperature.value), ARG_LOCAL(4 * l.items));
}

static clattn_status enqueue_gpu_row(clattn_call *call, const void *raw) {
    return run_shared(call, raw, false);
}

static clattn_status enqueue_gpu_row_subgroup(clattn_call *call, const void *raw) {
    return run_shared(call, raw, true);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_softmax_args *a = raw;
    const int64_t outer = clattn_dim(call, "outer"), inner = clattn_dim(call, "inner");
    return clattn_run_kernel(call, "softmax", "scalar", options_of(call, a), 1, (size_t[]){ (size_t)(outer * inner) }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->mask), ARG_T(a->out), clattn_arg_broadcast8(a->mask, a->x->rank, a->x->shape), clattn_arg_shape8(a->x), ARG_I32(a->x->rank), ARG_I32(clattn_dim(call, "axis")), ARG_I64(outer), ARG_I64(clattn_dim(call, "length")), ARG_I64(inner), ARG_F32(1 / (double)a->temperature.value));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "gpu_row_subgroup", gpu_row_subgroup_refusal, enqueue_gpu_row_subgroup },
    { "gpu_row", gpu_row_refusal, enqueue_gpu_row },
    { "scalar", NULL, enqueue_scalar },
};

static const clattn_tunable tunables[] = { { "rows", "share", "elements of a group, in whole rows", { 4096, 8192, 16384, 32768, 65536 } }, { .name = NULL } };

static void shape_class(const clattn_call *call, const void *raw, char *text, size_t size) {
    (void)raw;
    snprintf(text, size, "rows%lld length%lld", (long long)clattn_class_size(clattn_dim(call, "outer")), (long long)clattn_class_size(clattn_dim(call, "length")));
}

#define TUNING .tunables = tunables, .shape_class = shape_class, .kernels = "softmax"

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_softmax_args *a = raw;
    (void)call;
    *flops = 5 * (double)clattn_tensor_count(a->x);
    *bytes = 8 * (double)clattn_tensor_count(a->x);
}

void clattn_reference_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_log_softmax(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const softmax_examples[] = { "softmax x[3,40]", "softmax x[3,9]", "softmax x[2,5,7] mask[5,7] axis=1", NULL };
static const char *const softmax_tuning[] = { "softmax x[65536,64]", "softmax x[6144,512]", "softmax x[2048,4096]", NULL };
static const clattn_op_code softmax_code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_softmax, .work = work, .examples = softmax_examples, TUNING, .tuning_cases = softmax_tuning };
static const clattn_op op_softmax = { "softmax", "exp(x/temperature) normalised along an axis", "torch.softmax; a row without any finite or unmasked value is 0", sizeof(clattn_softmax_args), fields, CLATTN_COUNT(fields), &softmax_code };
CLATTN_DEFINE_CALL(softmax)

static const char *const log_softmax_examples[] = { "log_softmax x[3,40]", "log_softmax x[2,5,7] axis=1", NULL };
static const char *const log_softmax_tuning[] = { "log_softmax x[6144,512]", NULL };
static const clattn_op_code log_softmax_code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_log_softmax, .work = work, .examples = log_softmax_examples, TUNING, .tuning_cases = log_softmax_tuning };
static const clattn_op op_log_softmax = { "log_softmax", "the logarithm of softmax", "torch.log_softmax; -inf where softmax has no value to count", sizeof(clattn_log_softmax_args), fields, CLATTN_COUNT(fields), &log_softmax_code };
CLATTN_DEFINE_CALL(log_softmax)

const clattn_op *const clattn_ops_softmax[] = { &op_softmax, &op_log_softmax, NULL };
