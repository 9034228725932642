/* Sum, mean, maximum, minimum and norm over some axes. Few long rows are cut into parts, whose results are reduced again. */
#include "lanes.h"

#define GROUP_ELEMENTS 16384
#define LEAST_CHUNK 1024 /* elements of a part, on devices that want many work-items */
#define MANY_ITEMS 4096
#define MANY_GROUPS 512 /* enough to fill any GPU */

static const char *const kinds[] = { "sum", "mean", "max", "min", "l2", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_reduce_args, x, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_reduce_args, out, "out", "..", 0, "x without the axes, or with 1 in their places"),
    CLATTN_PARAM_WORD(clattn_reduce_args, kind, "kind", kinds, 0, "of nothing: 0, NaN, -inf, inf, 0; l2 = sqrt(sum(x^2))"),
    { .name = "axes", .kind = CLATTN_FIELD_INTS, .offset = offsetof(clattn_reduce_args, axes), .text = "the axes taken together, negative ones from the end; default all" },
    CLATTN_PARAM(clattn_reduce_args, keepdims, "keepdims", CLATTN_FIELD_BOOL, 0, 0, 0, "keep the axes, with size 1"),
};

/* Some axes of a tensor: sizes, strides and how many elements they count. */
typedef struct axes {
    int rank;
    int64_t shape[CLATTN_MAX_RANK], strides[CLATTN_MAX_RANK], count;
} axes;

static bool is_reduced(const clattn_reduce_args *a, int axis) {
    for (int i = 0; i < a->axes.count; i++)
        if (a->axes.values[i] == axis || a->axes.values[i] + a->x->rank == axis) return true;
    return a->axes.count == 0;
}

static axes pick(const clattn_reduce_args *a, bool reduced) {
    axes picked = { .count = 1 };
    for (int i = 0; i < a->x->rank; i++) {
        if (is_reduced(a, i) != reduced) continue;
        picked.shape[picked.rank] = a->x->shape[i];
        picked.strides[picked.rank++] = a->x->strides[i];
        picked.count *= a->x->shape[i];
    }
    return picked;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_reduce_args *a = raw;
    const int rank = a->x->rank;
    unsigned seen = 0;
    for (int i = 0; i < a->axes.count; i++) {
        const int64_t value = a->axes.values[i];
        if (value < -rank || value >= rank) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axes holds %lld, outside x's rank %d", (long long)value, rank);
        const unsigned bit = 1u << (value < 0 ? value + rank : value);
        if (seen & bit) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "axes names axis %lld twice", (long long)value);
        seen |= bit;
    }
    call->dims.rest_rank = 0;
    for (int i = 0; i < rank; i++)
        if (!is_reduced(a, i) || a->keepdims) call->dims.rest[call->dims.rest_rank++] = is_reduced(a, i) ? 1 : a->x->shape[i];
    return CLATTN_OK;
}

/* The reduced axes stand last: after the first of them with more than one element comes no other one that is kept. */
static bool reduces_last(const clattn_reduce_args *a) {
    bool begun = false;
    for (int i = 0; i < a->x->rank; i++) {
        if (a->x->shape[i] == 1) continue;
        if (is_reduced(a, i)) begun = true;
        else if (begun) return false;
    }
    return true;
}

static const char *layout_refusal(const clattn_reduce_args *a) {
    if (!clattn_tensor_dense(a->x)) return "x is not contiguous";
    return reduces_last(a) ? NULL : "the axes are not the last ones";
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    return clattn_call_cpu(call, 0) ? layout_refusal(raw) : "the device is not a CPU";
}

static const char *options_of(const clattn_reduce_args *a) {
    static const char *const options[] = { "", "", "-DMAXIMUM", "-DMINIMUM", "-DL2" };
    return options[a->kind];
}

/* A stage reduces `rows` rows of `length` elements in `parts` parts of `chunk` each. */
typedef struct stage {
    int64_t rows, length, parts, chunk;
} stage;

static stage make_stage(int64_t rows, int64_t length, int64_t items, int64_t least) {
    stage s = { .rows = rows, .length = length, .parts = 1, .chunk = length > 0 ? length : 1 };
    if (rows == 0 || rows >= items || length < 2 * least) return s;
    const int64_t wanted = (items + rows - 1) / rows, most = length / least;
    s.chunk = (length + (wanted < most ? wanted : most) - 1) / (wanted < most ? wanted : most);
    s.parts = (length + s.chunk - 1) / s.chunk;
    return s;
}

static double divisor_of(const clattn_reduce_args *a, int64_t length) {
    return a->kind == CLATTN_REDUCE_MEAN ? (double)length : 1;
}

static clattn_status run_rows(clattn_call *call, const clattn_reduce_args *a, const stage *s, const clattn_tensor *x, clattn_tensor *out, double divisor) {
    const int64_t total = s->rows * s->parts, per_group = 1 + GROUP_ELEMENTS / (s->chunk + 1);
    const size_t groups = (size_t)((total + per_group - 1) / per_group);
    return clattn_run_kernel(call, "reduce", "rows", options_of(a), 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(x), ARG_T(out), ARG_I64(total), ARG_I64(s->parts), ARG_I64(s->chunk), ARG_I64(s->length), ARG_I64(per_group), ARG_F32(divisor));
}

static clattn_arg eight(const int64_t *values) {
    clattn_arg arg = { .kind = CLATTN_ARG_I64X8 };
    memcpy(arg.as.i64, values, sizeof arg.as.i64);
    return arg;
}

static clattn_status run_scalar(clattn_call *call, const clattn_reduce_args *a, const stage *s, const axes *kept, const axes *reduced, const clattn_tensor *x, clattn_tensor *out, double divisor) {
    const int64_t total = s->rows * s->parts;
    return clattn_run_kernel(call, "reduce", "scalar", options_of(a), 1, (size_t[]){ (size_t)total }, (size_t[]){ 0 }, ARG_T(x), ARG_T(out), eight(kept->shape), eight(kept->strides), ARG_I32(kept->rank), eight(reduced->shape), eight(reduced->strides), ARG_I32(reduced->rank), ARG_I64(total), ARG_I64(s->parts), ARG_I64(s->chunk), ARG_I64(s->length), ARG_F32(divisor));
}

static clattn_status run_shared(clattn_call *call, const clattn_reduce_args *a, const stage *s, const clattn_tensor *x, clattn_tensor *out, double divisor, bool subgroups) {
    const int64_t total = s->rows * s->parts;
    clattn_lanes l;
    const clattn_status status = clattn_lanes_choose(call, "reduce", "gpu_row", options_of(a), total, s->chunk, false, subgroups, &l);
    return status ? status : clattn_run_kernel(call, "reduce", "gpu_row", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(x), ARG_T(out), ARG_I64(total), ARG_I64(s->parts), ARG_I64(s->chunk), ARG_I64(s->length), ARG_I32(l.lanes), ARG_F32(divisor), ARG_LOCAL(8 * l.items));
}

static clattn_status run_lanes(clattn_call *call, const clattn_reduce_args *a, const stage *s, const clattn_tensor *x, clattn_tensor *out, double divisor) {
    return run_shared(call, a, s, x, out, divisor, false);
}

static clattn_status run_subgroups(clattn_call *call, const clattn_reduce_args *a, const stage *s, const clattn_tensor *x, clattn_tensor *out, double divisor) {
    return run_shared(call, a, s, x, out, divisor, true);
}

typedef clattn_status stage_fn(clattn_call *call, const clattn_reduce_args *a, const stage *s, const clattn_tensor *x, clattn_tensor *out, double divisor);

/* Rows that lie one after the other, in one stage or two. */
static clattn_status run_stages(clattn_call *call, const clattn_reduce_args *a, int64_t wanted, int64_t least, stage_fn *run) {
    const double divisor = divisor_of(a, pick(a, true).count);
    const stage first = make_stage(pick(a, false).count, pick(a, true).count, wanted, least);
    if (first.parts == 1) return run(call, a, &first, a->x, a->out, divisor);
    clattn_tensor partial;
    clattn_status status = clattn_scratch(call, &partial, CLATTN_F32, 2, (int64_t[]){ first.rows, first.parts });
    if (!status) status = run(call, a, &first, a->x, &partial, 1);
    const stage second = { .rows = first.rows, .length = first.parts, .parts = 1, .chunk = first.parts };
    call->half = false; /* the parts are f32 */
    return status ? status : run(call, a, &second, &partial, a->out, divisor);
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    return run_stages(call, raw, 4 * (int64_t)clattn_call_device(call)->compute_units, GROUP_ELEMENTS, run_rows);
}

static const char *shared_refusal(const clattn_call *call, const clattn_reduce_args *a, bool subgroups) {
    const char *refusal = layout_refusal(a);
    return refusal ? refusal : clattn_lanes_refusal(call, pick(a, false).count, pick(a, true).count, subgroups);
}

static const char *gpu_row_refusal(const clattn_call *call, const void *raw) {
    return shared_refusal(call, raw, false);
}

static const char *gpu_row_subgroup_refusal(const clattn_call *call, const void *raw) {
    return shared_refusal(call, raw, true);
}

static clattn_status enqueue_gpu_row(clattn_call *call, const void *raw) {
    return run_stages(call, raw, MANY_GROUPS, GROUP_ELEMENTS, run_lanes);
}

static clattn_status enqueue_gpu_row_subgroup(clattn_call *call, const void *raw) {
    return run_stages(call, raw, MANY_GROUPS, GROUP_ELEMENTS, run_subgroups);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_reduce_args *a = raw;
    const axes kept = pick(a, false), reduced = pick(a, true);
    const double divisor = divisor_of(a, reduced.count);
    const stage first = make_stage(kept.count, reduced.count, MANY_ITEMS, LEAST_CHUNK);
    if (first.parts == 1) return run_scalar(call, a, &first, &kept, &reduced, a->x, a->out, divisor);
    clattn_tensor partial;
    clattn_status status = clattn_scratch(call, &partial, CLATTN_F32, 2, (int64_t[]){ first.rows, first.parts });
    if (!status) status = run_scalar(call, a, &first, &kept, &reduced, a->x, &partial, 1);
    const stage second = { .rows = first.rows, .length = first.parts, .parts = 1, .chunk = first.parts };
    const axes rows = { .rank = 1, .shape = { first.rows }, .strides = { first.parts } }, parts = { .rank = 1, .shape = { first.parts }, .strides = { 1 } };
    call->half = false;
    return status ? status : run_scalar(call, a, &second, &rows, &parts, &partial, a->out, divisor);
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "gpu_row_subgroup", gpu_row_subgroup_refusal, enqueue_gpu_row_subgroup },
    { "gpu_row", gpu_row_refusal, enqueue_gpu_row },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_reduce_args *a = raw;
    const double count = (double)clattn_tensor_count(a->x);
    (void)call;
    *flops = a->kind == CLATTN_REDUCE_L2 ? 2 * count : count;
    *bytes = 4 * (count + (double)pick(a, false).count);
}

void clattn_reference_reduce(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "reduce x[5,70] axes=1", "reduce x[5,70] axes=0 kind=max", "reduce x[3,4,5] kind=l2 keepdims=true", "reduce x[5,70] axes=1 kind=min", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu_row_subgroup gpu_row scalar", .reference = clattn_reference_reduce, .work = work, .examples = examples };
static const clattn_op op_reduce = { "reduce", "sum, mean, maximum, minimum or norm over some axes", "numpy.sum, mean, max, min, linalg.norm", sizeof(clattn_reduce_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(reduce)

const clattn_op *const clattn_ops_reduce[] = { &op_reduce, NULL };
