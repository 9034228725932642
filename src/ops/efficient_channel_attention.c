/* efficient_channel_attention: the channels' means, a convolution along the channels, and a product. */
#include "planes_gpu.h"

#define KERNEL_LIMIT 1048576

static const clattn_field fields[] = {
    CLATTN_IN(clattn_efficient_channel_attention_args, x, "B,C,H,W", CLATTN_FIELD_STRIDED, "images"),
    CLATTN_IN(clattn_efficient_channel_attention_args, weight, "1,1,k", 0, "k odd; the padding is k / 2"),
    CLATTN_OUT(clattn_efficient_channel_attention_args, out, "out", "B,C,H,W", CLATTN_FIELD_STRIDED, "x * gate"),
    CLATTN_OUT(clattn_efficient_channel_attention_args, gate, "gate", "B,C", CLATTN_FIELD_OPTIONAL, "the gate of each channel"),
};

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_efficient_channel_attention_args *a = raw;
    const long long k = (long long)a->weight->shape[2];
    if (k % 2 == 0 || k > KERNEL_LIMIT) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight [1,1,%lld]: expected an odd size of at most %d, found %lld", k, KERNEL_LIMIT, k);
    return CLATTN_OK;
}

/* The gate of the channels' means, which the caller asks for or which is scratch. */
static clattn_status make_gate(clattn_call *call, const clattn_efficient_channel_attention_args *a, const clattn_tensor *means, clattn_tensor *gate) {
    const int64_t channels = a->x->shape[1], count = a->x->shape[0] * channels;
    clattn_status status = CLATTN_OK;
    if (a->gate) *gate = *a->gate;
    else status = clattn_scratch(call, gate, CLATTN_F32, 2, a->x->shape);
    return status ? status : clattn_run_kernel(call, "efficient_channel_attention", "gate", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(means), ARG_T(a->weight), ARG_T(gate), ARG_I64(channels), ARG_I64(a->weight->shape[2]), ARG_I64(count));
}

static clattn_status make_means(clattn_call *call, const clattn_efficient_channel_attention_args *a, clattn_tensor *means) {
    return clattn_scratch(call, means, CLATTN_F32, 4, (int64_t[]){ a->x->shape[0], a->x->shape[1], 1, 1 });
}

/* ---- From the operations that there are ---- */

static clattn_status multiply(clattn_call *call, const clattn_efficient_channel_attention_args *a, clattn_tensor gate) {
    if (!a->out || !clattn_tensor_count(a->x)) return CLATTN_OK;
    /* [B,C] as [B,C,1,1] */
    gate.rank = 4;
    gate.shape[2] = gate.shape[3] = gate.strides[2] = gate.strides[3] = 1;
    return clattn_multiply(call->context, &(clattn_multiply_args){ .a = a->x, .b = &gate, .out = a->out });
}

static clattn_status enqueue_steps(clattn_call *call, const void *raw) {
    const clattn_efficient_channel_attention_args *a = raw;
    clattn_tensor means, gate;
    clattn_status status = make_means(call, a, &means);
    if (!status && clattn_tensor_count(&means)) status = clattn_global_pool2d(call->context, &(clattn_global_pool2d_args){ .x = a->x, .out = &means });
    if (!status) status = make_gate(call, a, &means, &gate);
    return status ? status : multiply(call, a, gate);
}

static const char *cpu_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

/* ---- gpu ---- */

static const char *gpu_refusal(const clattn_call *call, const void *raw) {
    const clattn_efficient_channel_attention_args *a = raw;
    return clattn_tensor_dense(a->x) ? clattn_planes_refusal(call, a->x) : "x is not contiguous";
}

static clattn_status enqueue_gpu(clattn_call *call, const void *raw) {
    const clattn_efficient_channel_attention_args *a = raw;
    clattn_tensor means, gate;
    clattn_status status = make_means(call, a, &means);
    if (!status) status = clattn_planes_pool(call, a->x, 1 << CLATTN_POOL_AVG, &means, false);
    if (!status) status = make_gate(call, a, &means, &gate);
    if (status || !a->out) return status;
    return clattn_tensor_dense(a->out) ? clattn_planes_scale(call, a->x, &gate, a->out) : multiply(call, a, gate);
}

static const clattn_variant variants[] = {
    { "cpu", cpu_refusal, enqueue_steps },
    { "gpu", gpu_refusal, enqueue_gpu },
    { "steps", NULL, enqueue_steps },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_efficient_channel_attention_args *a = raw;
    const double count = (double)clattn_tensor_count(a->x), gates = (double)a->x->shape[0] * (double)a->x->shape[1];
    (void)call;
    *flops = 2 * count + 2 * gates * (double)a->weight->shape[2];
    *bytes = 8 * count;
}

void clattn_reference_efficient_channel_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "efficient_channel_attention x[2,9,5,7] weight[1,1,3] -> out gate", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_efficient_channel_attention, .work = work, .examples = examples };
static const clattn_op op_efficient_channel_attention = { "efficient_channel_attention", "channels scaled by a gate from the means of their neighbours: x * sigmoid(conv1d(mean(x)))", "Wang et al. 2020, ECA-Net", sizeof(clattn_efficient_channel_attention_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(efficient_channel_attention)

const clattn_op *const clattn_ops_efficient_channel_attention[] = { &op_efficient_channel_attention, NULL };
