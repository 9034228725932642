/* channel_pool: maximum and mean over the channels of each pixel. */
#include "planes_gpu.h"

static const char *const kind_words[] = { "mean", "max", NULL }; /* clattn_pool_kind: avg, max; it has no others */

static const clattn_field fields[] = {
    CLATTN_IN(clattn_channel_pool_args, x, "B,C,H,W", 0, "images"),
    CLATTN_OUT(clattn_channel_pool_args, out, "out", "B,K,H,W", 0, "the pools in the order of kinds; of no channels: mean NaN, max -inf"),
    CLATTN_PARAM_WORDS(clattn_channel_pool_args, kinds, "kinds", kind_words, "max+mean by default"),
};

static clattn_status prepare(clattn_call *call, void *raw) {
    clattn_channel_pool_args *a = raw;
    (void)call;
    if (a->kinds.count == 0) a->kinds = (clattn_pools){ .count = 2, .kinds = { CLATTN_POOL_MAX, CLATTN_POOL_AVG } };
    return CLATTN_OK;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_channel_pool_args *a = raw;
    clattn_dim_set(call, "K", a->kinds.count);
    return CLATTN_OK;
}

/* Which of the output's planes holds a kind; -1: none. */
static int plane_of(const clattn_channel_pool_args *a, int kind) {
    for (int i = 0; i < a->kinds.count; i++)
        if (a->kinds.kinds[i] == kind) return i;
    return -1;
}

static const char *strips_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 16384) ? NULL : "the device is not a CPU with 16 KiB of local memory";
}

/* Pixels a group: the strip's sums and maxima stay in the level-1 cache. */
#define STRIP 448

static clattn_status enqueue_strips(clattn_call *call, const void *raw) {
    const clattn_channel_pool_args *a = raw;
    const int64_t pixels = a->x->shape[2] * a->x->shape[3], strips = (pixels + STRIP - 1) / STRIP;
    return clattn_run_kernel(call, "channel_pool", "strips", "-DSTRIP=448", 2, ((size_t[]){ (size_t)strips, (size_t)a->x->shape[0] }), ((size_t[]){ 1, 1 }), ARG_T(a->x), ARG_T(a->out), ARG_I64(a->x->shape[1]), ARG_I64(pixels), ARG_I32(plane_of(a, CLATTN_POOL_MAX)), ARG_I32(plane_of(a, CLATTN_POOL_AVG)), ARG_I32(a->kinds.count));
}

static const char *gpu_refusal(const clattn_call *call, const void *raw) {
    const clattn_channel_pool_args *a = raw;
    return clattn_planes_channels_refusal(call, a->x);
}

static clattn_status enqueue_gpu(clattn_call *call, const void *raw) {
    const clattn_channel_pool_args *a = raw;
    return clattn_planes_channels(call, a->x, NULL, a->out, plane_of(a, CLATTN_POOL_MAX), plane_of(a, CLATTN_POOL_AVG), a->kinds.count);
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_channel_pool_args *a = raw;
    const int64_t pixels = a->x->shape[2] * a->x->shape[3], count = a->x->shape[0] * pixels;
    return clattn_run_kernel(call, "channel_pool", "scalar", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(a->x->shape[1]), ARG_I64(pixels), ARG_I32(plane_of(a, CLATTN_POOL_MAX)), ARG_I32(plane_of(a, CLATTN_POOL_AVG)), ARG_I32(a->kinds.count), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "strips", strips_refusal, enqueue_strips },
    { "gpu", gpu_refusal, enqueue_gpu },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_channel_pool_args *a = raw;
    const double count = (double)clattn_tensor_count(a->x), pixels = (double)(a->x->shape[0] * a->x->shape[2] * a->x->shape[3]);
    (void)call;
    *flops = count * a->kinds.count;
    *bytes = 4 * (count + pixels * a->kinds.count);
}

void clattn_reference_channel_pool(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "channel_pool x[2,16,14,15]", NULL };
static const clattn_op_code code = { .prepare = prepare, .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_channel_pool, .work = work, .examples = examples };
static const clattn_op op_channel_pool = { "channel_pool", "maximum and mean over the channels", "the ChannelPool of CBAM (Woo et al. 2018)", sizeof(clattn_channel_pool_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(channel_pool)

const clattn_op *const clattn_ops_channel_pool[] = { &op_channel_pool, NULL };
