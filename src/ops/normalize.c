/* layer_norm, rms_norm and group_norm: rows normalised by their own statistics. */
#include "dims.h"
#include "gpu.h"
#include "lanes.h"

#define SHARE 16384 /* elements of a group, rounded up to whole rows */

#define EPS_FIELD(type) \
    { .name = "eps", .kind = CLATTN_FIELD_FLOAT, .offset = offsetof(type, eps), .flags = CLATTN_FIELD_NOT_ZERO, .fallback = 1e-5, .low = 0, .high = 3.4e38, .text = "added to the variance; 0 is refused (in C it is the default)" }

static const clattn_field layer_fields[] = {
    CLATTN_IN(clattn_layer_norm_args, x, "..", CLATTN_FIELD_STORED, "any shape"),
    CLATTN_IN(clattn_layer_norm_args, gamma, "*", CLATTN_FIELD_OPTIONAL, "factor, of x's shape from axis on; absent = 1"),
    CLATTN_IN(clattn_layer_norm_args, beta, "*", CLATTN_FIELD_OPTIONAL, "summand, of x's shape from axis on; absent = 0"),
    CLATTN_OUT(clattn_layer_norm_args, out, "out", "..", CLATTN_FIELD_STORED, "as x"),
    CLATTN_PARAM(clattn_layer_norm_args, axis, "axis", CLATTN_FIELD_OPT_INT, -1, -CLATTN_MAX_RANK, CLATTN_MAX_RANK - 1, "the first of the axes normalised together"),
    EPS_FIELD(clattn_layer_norm_args),
};

static const clattn_field group_fields[] = {
    CLATTN_IN(clattn_group_norm_args, x, "*", CLATTN_FIELD_STORED, "[B,C,..]: channels on the second axis"),
    CLATTN_IN(clattn_group_norm_args, gamma, "C", CLATTN_FIELD_OPTIONAL, "factor per channel; absent = 1"),
    CLATTN_IN(clattn_group_norm_args, beta, "C", CLATTN_FIELD_OPTIONAL, "summand per channel; absent = 0"),
    CLATTN_OUT(clattn_group_norm_args, out, "out", "..", CLATTN_FIELD_STORED, "as x"),
    { .name = "groups", .kind = CLATTN_FIELD_INT, .offset = offsetof(clattn_group_norm_args, groups), .flags = CLATTN_FIELD_REQUIRED, .low = 1, .high = INT32_MAX, .text = "equal groups of channels, each normalised with all its pixels" },
    EPS_FIELD(clattn_group_norm_args),
};

/* What both kernels take: rows of `length`, factors per `area` elements, the same for every groups-th row. */
typedef struct rows {
    const clattn_tensor *x, *gamma, *beta;
    clattn_tensor *out;
    int64_t count, length, area, groups;
    float eps;
} rows;

static rows rows_of(const clattn_call *call, const void *raw) {
    const bool grouped = strcmp(call->op->name, "group_norm") == 0;
    const clattn_group_norm_args *g = raw;
    const clattn_layer_norm_args *l = raw;
    rows r = { .count = clattn_dim(call, "rows"), .length = clattn_dim(call, "length"), .area = clattn_dim(call, "area"), .groups = grouped ? g->groups : 1 };
    r.x = grouped ? g->x : l->x;
    r.gamma = grouped ? g->gamma : l->gamma;
    r.beta = grouped ? g->beta : l->beta;
    r.out = grouped ? g->out : l->out;
    r.eps = grouped ? g->eps : l->eps;
    return r;
}

static void bind(clattn_call *call, int64_t count, int64_t length, int64_t area) {
    clattn_dim_set(call, "rows", count);
    clattn_dim_set(call, "length", length);
    clattn_dim_set(call, "area", area);
}

static int64_t product(const clattn_tensor *tensor, int first, int last) {
    int64_t result = 1;
    for (int i = first; i < last; i++) result *= tensor->shape[i];
    return result;
}

static clattn_status check_factors(clattn_call *call, const char *name, const clattn_tensor *factors, const clattn_tensor *x, int axis) {
    char found[160], expected[160];
    clattn_tensor rest = { .rank = x->rank - axis };
    memcpy(rest.shape, x->shape + axis, sizeof *rest.shape * (size_t)rest.rank);
    bool same = !factors || factors->rank == rest.rank;
    for (int i = 0; factors && i < rest.rank && same; i++) same = factors->shape[i] == rest.shape[i];
    if (same) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s is %s, expected %s: x's shape from axis %d on", name, clattn_shape_text(factors, found, sizeof found), clattn_shape_text(&rest, expected, sizeof expected), axis);
}

static clattn_status infer_layer(clattn_call *call, const void *raw) {
    const clattn_layer_norm_args *a = raw;
    const int rank = a->x->rank;
    const int64_t axis = a->axis.value < 0 ? a->axis.value + rank : a->axis.value;
    if (axis < 0 || axis >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axis %lld is outside x's rank %d", (long long)a->axis.value, rank);
    bind(call, product(a->x, 0, (int)axis), product(a->x, (int)axis, rank), 1);
    const clattn_status status = check_factors(call, "gamma", a->gamma, a->x, (int)axis);
    return status ? status : check_factors(call, "beta", a->beta, a->x, (int)axis);
}

static clattn_status prepare_group(clattn_call *call, void *raw) {
    const clattn_group_norm_args *a = raw;
    if (!a->x || a->x->rank < 0 || a->x->rank > CLATTN_MAX_RANK) return CLATTN_OK; /* refused by the checks that follow */
    if (a->x->rank < 2) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has rank %d, expected [B,C,..]", a->x->rank);
    clattn_dim_set(call, "C", a->x->shape[1]);
    return CLATTN_OK;
}

static clattn_status infer_group(clattn_call *call, const void *raw) {
    const clattn_group_norm_args *a = raw;
    const int64_t channels = a->x->shape[1], area = product(a->x, 2, a->x->rank);
    if (channels % a->groups) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x's %lld channels are not a multiple of groups = %lld", (long long)channels, (long long)a->groups);
    call->dims.rest_rank = a->x->rank;
    memcpy(call->dims.rest, a->x->shape, sizeof call->dims.rest);
    bind(call, a->x->shape[0] * a->groups, channels / a->groups * area, area);
    return CLATTN_OK;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static const char *options_of(const clattn_call *call, const rows *r, bool spans, char *text, size_t size) {
    snprintf(text, size, "%s%s%s%s", strcmp(call->op->name, "rms_norm") == 0 ? "-DRMS " : "", r->gamma ? "-DGAMMA " : "", r->beta ? "-DBETA " : "", spans && r->area > 1 ? "-DCHANNELS" : "");
    return text;
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const rows r = rows_of(call, raw);
    const int64_t per_group = 1 + clattn_tuned(call, "share", SHARE) / (r.length + 1);
    const size_t groups = (size_t)((r.count + per_group - 1) / per_group);
    char options[64];
    options_of(call, &r, true, options, sizeof options);
    if (clattn_streams_rows(call, r.out)) strcat(options, " -DSTREAM");
    return clattn_run_kernel(call, "normalize", "rows", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(r.x), ARG_T(r.gamma), ARG_T(r.beta), ARG_T(r.out), ARG_I64(r.count), ARG_I64(r.length), ARG_I64(r.area), ARG_I64(r.groups), ARG_I64(per_group), ARG_F32(r.eps));
}

static const char *gpu_row_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_lanes_refusal(call, clattn_dim(call, "rows"), clattn_dim(call, "length"), false);
}

static const char *gpu_row_subgroup_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_lanes_refusal(call, clattn_dim(call, "rows"), clattn_dim(call, "length"), true);
}

#define FEWEST_LANES 32 /* that rows of so many elements are given */

static clattn_status run_shared(clattn_call *call, const void *raw, bool subgroups) {
    const rows r = rows_of(call, raw);
    char options[64];
    clattn_lanes l;
    options_of(call, &r, true, options, sizeof options);
    const bool few = r.area > 1 && r.length >= FEWEST_LANES && r.length / r.area <= FEWEST_LANES && (r.gamma || r.beta);
    const bool near = few && clattn_call_device(call)->max_work_group >= FEWEST_LANES && !clattn_call_gpu(call)->local_is_memory;
    if (near) strcat(options, " -DNEAR_FACTORS");
    clattn_status status = clattn_lanes_choose(call, "normalize", "gpu_row", options, r.count, r.length, true, subgroups, &l);
    if (!status && near && l.lanes < FEWEST_LANES) status = clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "gpu_row: the kernel is granted %zu items", l.items);
    return status ? status : clattn_run_kernel(call, "normalize", "gpu_row", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(r.x), ARG_T(r.gamma), ARG_T(r.beta), ARG_T(r.out), ARG_I64(r.count), ARG_I32(r.length), ARG_I32(r.area), ARG_I64(r.groups), ARG_I32(l.lanes), ARG_F32(r.eps), ARG_LOCAL((near ? 12 : 4) * l.items));
}

static clattn_status enqueue_gpu_row(clattn_call *call, const void *raw) {
    return run_shared(call, raw, false);
}

static clattn_status enqueue_gpu_row_subgroup(clattn_call *call, const void *raw) {
    return run_shared(call, raw, true);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const rows r = rows_of(call, raw);
    char options[64];
    return clattn_run_kernel(call, "normalize", "scalar", options_of(call, &r, false, options, sizeof options), 1, (size_t[]){ (size_t)r.count }, (size_t[]){ 0 }, ARG_T(r.x), ARG_T(r.gamma), ARG_T(r.beta), ARG_T(r.out), ARG_I64(r.count), ARG_I64(r.length), ARG_I64(r.area), ARG_I64(r.groups), ARG_F32(r.eps));
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
    snprintf(text, size, "rows%lld length%lld", (long long)clattn_class_size(clattn_dim(call, "rows")), (long long)clattn_class_size(clattn_dim(call, "length")));
}

#define TUNING .tunables = tunables, .shape_class = shape_class, .kernels = "normalize"

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const double count = (double)clattn_dim(call, "rows") * (double)clattn_dim(call, "length");
    (void)raw;
    *flops = 7 * count;
    *bytes = 8 * count;
}

void clattn_reference_layer_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_rms_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_group_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const layer_examples[] = { "layer_norm x[5,70] gamma[70] beta[70]", "layer_norm x[5,70]", NULL };
static const char *const layer_tuning[] = { "layer_norm x[8192,768] gamma[768] beta[768]", NULL };
static const clattn_op_code layer_code = { .infer = infer_layer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_layer_norm, .work = work, .examples = layer_examples, TUNING, .tuning_cases = layer_tuning };
static const clattn_op op_layer_norm = { "layer_norm", "rows to mean 0 and variance 1, times gamma plus beta", "Ba et al. 2016; torch.nn.functional.layer_norm", sizeof(clattn_layer_norm_args), layer_fields, CLATTN_COUNT(layer_fields), &layer_code };
CLATTN_DEFINE_CALL(layer_norm)

static const char *const rms_examples[] = { "rms_norm x[5,70] gamma[70]", "rms_norm x[5,70]", NULL };
static const char *const rms_tuning[] = { "rms_norm x[8192,768] gamma[768]", NULL };
static const clattn_op_code rms_code = { .infer = infer_layer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_rms_norm, .work = work, .examples = rms_examples, TUNING, .tuning_cases = rms_tuning };
static const clattn_op op_rms_norm = { "rms_norm", "rows to a mean square of 1, times gamma plus beta", "Zhang and Sennrich 2019; torch.nn.functional.rms_norm", sizeof(clattn_rms_norm_args), layer_fields, CLATTN_COUNT(layer_fields), &rms_code };
CLATTN_DEFINE_CALL(rms_norm)

static const char *const group_examples[] = { "group_norm x[2,6,5,7] gamma[6] beta[6] groups=3", NULL };
static const char *const group_tuning[] = { "group_norm x[8,64,56,56] gamma[64] beta[64] groups=32", NULL };
static const clattn_op_code group_code = { .prepare = prepare_group, .infer = infer_group, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_group_norm, .work = work, .examples = group_examples, TUNING, .tuning_cases = group_tuning };
static const clattn_op op_group_norm = { "group_norm", "groups of channels to mean 0 and variance 1, times gamma plus beta", "Wu and He 2018; torch.nn.functional.group_norm", sizeof(clattn_group_norm_args), group_fields, CLATTN_COUNT(group_fields), &group_code };
CLATTN_DEFINE_CALL(group_norm)

const clattn_op *const clattn_ops_normalize[] = { &op_layer_norm, &op_rms_norm, &op_group_norm, NULL };
