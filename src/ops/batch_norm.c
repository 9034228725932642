/* batch_norm: with running statistics, or with the batch's own. */
#include "gpu.h"
#include "lanes.h"
#include "planes_gpu.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_batch_norm_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_IN(clattn_batch_norm_args, gamma, "C", CLATTN_FIELD_OPTIONAL, "factor; absent = 1"),
    CLATTN_IN(clattn_batch_norm_args, beta, "C", CLATTN_FIELD_OPTIONAL, "summand; absent = 0"),
    CLATTN_IN(clattn_batch_norm_args, mean, "C", CLATTN_FIELD_OPTIONAL, "running mean; absent with training"),
    CLATTN_IN(clattn_batch_norm_args, var, "C", CLATTN_FIELD_OPTIONAL, "running variance; absent with training"),
    CLATTN_OUT(clattn_batch_norm_args, out, "out", "B,C,H,W", CLATTN_FIELD_STORED, "as x"),
    /* S = C is bound in training only: otherwise these outputs do not exist. */
    CLATTN_OUT(clattn_batch_norm_args, mean_out, "mean", "S", CLATTN_FIELD_OPTIONAL, "the batch's mean; training only"),
    CLATTN_OUT(clattn_batch_norm_args, var_out, "var", "S", CLATTN_FIELD_OPTIONAL, "the batch's biased variance; training only"),
    { .name = "eps", .kind = CLATTN_FIELD_FLOAT, .offset = offsetof(clattn_batch_norm_args, eps), .flags = CLATTN_FIELD_NOT_ZERO, .fallback = 1e-5, .low = 0, .high = 3.4e38, .text = "added to the variance; 0 is refused (in C it is the default)" },
    CLATTN_PARAM(clattn_batch_norm_args, training, "training", CLATTN_FIELD_BOOL, 0, 0, 0, "normalise with the batch's own statistics"),
};

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_batch_norm_args *a = raw;
    const char *odd = NULL;
    if (a->training) odd = a->mean ? "mean" : a->var ? "var" : NULL;
    if (odd) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is given with training, where the batch's own counts", odd);
    if (!a->training) odd = !a->mean ? "mean" : !a->var ? "var" : NULL;
    if (odd) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing (only training does without)", odd);
    if (a->training) clattn_dim_set(call, "S", clattn_dim(call, "C"));
    return CLATTN_OK;
}

/* Where out's statistics come from; `low` is what the mean's rounding left over. */
typedef struct statistics {
    const clattn_tensor *mean, *low, *var;
} statistics;

static bool empty(const clattn_tensor *tensor) {
    return !tensor || clattn_tensor_count(tensor) == 0;
}

/* Where the batch's statistics go: the caller's tensors where it asks for them. */
static clattn_status make_statistics(clattn_call *call, const clattn_batch_norm_args *a, clattn_tensor scratch[3], statistics *s) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < 3 && !status; i++) status = clattn_scratch(call, &scratch[i], CLATTN_F32, 1, &a->x->shape[1]);
    *s = (statistics){ a->mean_out ? a->mean_out : &scratch[0], &scratch[1], a->var_out ? a->var_out : &scratch[2] };
    return status;
}

/* `kernel` takes one channel a group or item. */
static clattn_status measure(clattn_call *call, const clattn_batch_norm_args *a, const char *kernel, size_t local, clattn_tensor scratch[3], statistics *s) {
    const int64_t channels = a->x->shape[1];
    const clattn_status status = make_statistics(call, a, scratch, s);
    return status ? status : clattn_run_kernel(call, "batch_norm", kernel, "", 1, (size_t[]){ (size_t)channels }, (size_t[]){ local }, ARG_T(a->x), ARG_T(s->mean), ARG_T(s->low), ARG_T(s->var), ARG_I64(a->x->shape[0]), ARG_I64(channels), ARG_I64(a->x->shape[2] * a->x->shape[3]));
}

static const char *planes_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static clattn_status enqueue_planes(clattn_call *call, const void *raw) {
    const clattn_batch_norm_args *a = raw;
    const int64_t planes = a->x->shape[0] * a->x->shape[1], size = a->x->shape[2] * a->x->shape[3], per_group = 1 + 16384 / (size + 1);
    statistics s = { a->mean, NULL, a->var };
    clattn_tensor scratch[3];
    const clattn_status status = a->training ? measure(call, a, "measure", 1, scratch, &s) : CLATTN_OK;
    if (status || empty(a->out)) return status;
    return clattn_run_kernel(call, "batch_norm", "planes", "", 1, (size_t[]){ (size_t)((planes + per_group - 1) / per_group) }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->gamma), ARG_T(a->beta), ARG_T(s.mean), ARG_T(s.low), ARG_T(s.var), ARG_T(a->out), ARG_F32(a->eps), ARG_I64(planes), ARG_I64(a->x->shape[1]), ARG_I64(size), ARG_I64(per_group));
}

/* ---- gpu ---- */

enum { AT_ONCE = 4 };    /* as in flat.cl */
#define LEAST_SHARE 4096 /* elements of a part: less is not worth the launch that joins them */

/* A channel's parts, so that there are groups enough. */
static int64_t parts_of(const clattn_call *call, int64_t channels, int64_t count, int64_t *share) {
    const int64_t wanted = channels ? clattn_planes_groups(call) / channels : 0, most = count / LEAST_SHARE, parts = wanted < most ? wanted : most;
    *share = parts > 1 ? clattn_ceil_div(count, parts) : count;
    return parts > 1 ? clattn_ceil_div(count, *share) : 1;
}

static const char *gpu_refusal(const clattn_call *call, const void *raw) {
    const clattn_batch_norm_args *a = raw;
    const int64_t channels = a->x->shape[1], size = a->x->shape[2] * a->x->shape[3];
    int64_t share;
    if (clattn_call_device(call)->max_work_group < CLATTN_LEAST_ITEMS) return "the device's work-groups have fewer than 32 items";
    if (channels > 1 << 30 || size > 1 << 30) return "there are more than 2^30 channels or pixels";
    if (!a->training) return NULL;
    if ((double)size * (double)a->x->shape[0] > 1 << 30) return "a channel has more than 2^30 elements";
    const int64_t parts = parts_of(call, channels, size * a->x->shape[0], &share);
    return clattn_lanes_refusal(call, channels * parts, share, false);
}

static clattn_status gpu_measure_parts(clattn_call *call, const clattn_batch_norm_args *a, const statistics *s, int64_t parts, int64_t share) {
    const int64_t channels = a->x->shape[1], size = a->x->shape[2] * a->x->shape[3], count = a->x->shape[0] * size;
    clattn_tensor made;
    clattn_lanes l;
    clattn_status status = clattn_scratch(call, &made, CLATTN_F32, 2, (int64_t[]){ channels * parts, 4 });
    if (!status) status = clattn_lanes_choose(call, "batch_norm_gpu", "measure_parts", "", channels * parts, share, false, false, &l);
    if (!status) status = clattn_run_kernel(call, "batch_norm_gpu", "measure_parts", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(a->x), ARG_T(&made), ARG_I64(channels), ARG_I32(size), ARG_I32(count), ARG_I32(parts), ARG_I32(share), ARG_I32(l.lanes), ARG_LOCAL(16 * l.items));
    if (!status) status = clattn_lanes_choose(call, "batch_norm_gpu", "join", "", channels, parts, false, false, &l);
    return status ? status : clattn_run_kernel(call, "batch_norm_gpu", "join", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(a->x), ARG_T(&made), ARG_T(s->mean), ARG_T(s->low), ARG_T(s->var), ARG_I64(channels), ARG_I32(size), ARG_I32(count), ARG_I32(parts), ARG_I32(l.lanes), ARG_LOCAL(16 * l.items));
}

static clattn_status gpu_measure(clattn_call *call, const clattn_batch_norm_args *a, clattn_tensor scratch[3], statistics *s) {
    const int64_t channels = a->x->shape[1], size = a->x->shape[2] * a->x->shape[3], count = a->x->shape[0] * size;
    int64_t share;
    clattn_lanes l;
    const int64_t parts = parts_of(call, channels, count, &share);
    clattn_status status = make_statistics(call, a, scratch, s);
    if (!status && parts > 1) return gpu_measure_parts(call, a, s, parts, share);
    if (!status) status = clattn_lanes_choose(call, "batch_norm_gpu", "measure", "", channels, count, false, false, &l);
    return status ? status : clattn_run_kernel(call, "batch_norm_gpu", "measure", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(a->x), ARG_T(s->mean), ARG_T(s->low), ARG_T(s->var), ARG_I64(channels), ARG_I32(size), ARG_I32(count), ARG_I32(l.lanes), ARG_LOCAL(16 * l.items));
}

static clattn_status enqueue_gpu(clattn_call *call, const void *raw) {
    const clattn_batch_norm_args *a = raw;
    const int64_t total = clattn_tensor_count(a->x);
    statistics s = { a->mean, NULL, a->var };
    clattn_tensor scratch[3];
    char options[40];
    size_t items;
    clattn_status status = a->training ? gpu_measure(call, a, scratch, &s) : CLATTN_OK;
    if (status || empty(a->out)) return status;
    const int64_t size = a->x->shape[2] * a->x->shape[3], each = AT_ONCE * clattn_planes_flat(a->x, a->out, options, sizeof options);
    /* A group of so many elements an item then has fewer planes than items. */
    if (size > 2 * each && !clattn_call_gpu(call)->local_is_memory) strcat(options, " -DTABLE");
    status = clattn_planes_group(call, "batch_norm_gpu", "apply", options, sizeof options, &items);
    if (status) return status;
    const size_t groups = (size_t)clattn_ceil_div(total, each * (int64_t)items);
    return clattn_run_kernel(call, "batch_norm_gpu", "apply", options, 1, (size_t[]){ groups * items }, (size_t[]){ items }, ARG_T(a->x), ARG_T(a->gamma), ARG_T(a->beta), ARG_T(s.mean), ARG_T(s.low), ARG_T(s.var), ARG_T(a->out), ARG_F32(a->eps), ARG_I64(total), ARG_I32(size), ARG_I32(a->x->shape[1]));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_batch_norm_args *a = raw;
    const int64_t count = clattn_tensor_count(a->x);
    statistics s = { a->mean, NULL, a->var };
    clattn_tensor scratch[3];
    const clattn_status status = a->training ? measure(call, a, "measure_scalar", 0, scratch, &s) : CLATTN_OK;
    if (status || empty(a->out)) return status;
    return clattn_run_kernel(call, "batch_norm", "scalar", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->gamma), ARG_T(a->beta), ARG_T(s.mean), ARG_T(s.low), ARG_T(s.var), ARG_T(a->out), ARG_F32(a->eps), ARG_I64(a->x->shape[1]), ARG_I64(a->x->shape[2] * a->x->shape[3]), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "planes", planes_refusal, enqueue_planes },
    { "gpu", gpu_refusal, enqueue_gpu },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_batch_norm_args *a = raw;
    const double count = (double)clattn_tensor_count(a->x);
    (void)call;
    *flops = (a->training ? 6 : 2) * count;
    *bytes = 8 * count;
}

void clattn_reference_batch_norm(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "batch_norm x[2,5,7,7] gamma[5] beta[5] mean[5] var[5]:1,2", "batch_norm x[2,5,7,7] training=true -> out mean var", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "planes gpu scalar", .reference = clattn_reference_batch_norm, .work = work, .examples = examples };
static const clattn_op op_batch_norm = { "batch_norm", "(x - mean) / sqrt(var + eps) * gamma + beta per channel", "torch.nn.functional.batch_norm", sizeof(clattn_batch_norm_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(batch_norm)

const clattn_op *const clattn_ops_batch_norm[] = { &op_batch_norm, NULL };
