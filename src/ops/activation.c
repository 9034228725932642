/* Activation functions. */
#include "op.h"

/* Elements per work-group: enough to pay for its start, few enough to share among the cores. */
#define GROUP_ELEMENTS 8192

static const clattn_field fields[] = {
    CLATTN_IN(clattn_activation_args, x, "..", CLATTN_FIELD_STORED, "any shape"),
    CLATTN_OUT(clattn_activation_args, out, "out", "..", CLATTN_FIELD_STORED | CLATTN_FIELD_IN_PLACE, "as x; may be x itself"),
    CLATTN_PARAM_WORD(clattn_activation_args, kind, "kind", clattn_activation_words, CLATTN_ACTIVATION_RELU, "the function"),
};

static const char *vectors_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static clattn_status enqueue_vectors(clattn_call *call, const void *raw) {
    const clattn_activation_args *a = raw;
    const int64_t count = clattn_tensor_count(a->x);
    const size_t groups = (size_t)((count + GROUP_ELEMENTS - 1) / GROUP_ELEMENTS);
    char options[48];
    snprintf(options, sizeof options, "-DKIND=%d%s", (int)a->kind, clattn_streams(call, a->out) ? " -DSTREAM" : "");
    return clattn_run_kernel(call, "activation", "vectors", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(count), ARG_I64(GROUP_ELEMENTS));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_activation_args *a = raw;
    const int64_t count = clattn_tensor_count(a->x);
    char options[32];
    snprintf(options, sizeof options, "-DKIND=%d", (int)a->kind);
    return clattn_run_kernel(call, "activation", "scalar", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "vectors", vectors_refusal, enqueue_vectors },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_activation_args *a = raw;
    (void)call;
    *flops = (double)clattn_tensor_count(a->x);
    *bytes = 8 * (double)clattn_tensor_count(a->x);
}

void clattn_reference_activation(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "activation x[40]", "activation x[40] kind=gelu", "activation x[40] kind=gelu_tanh", "activation x[40] kind=silu", "activation x[40] kind=sigmoid",
    "activation x[40] kind=hard_sigmoid", "activation x[40] kind=tanh", "activation x[40] kind=leaky_relu", NULL };
static const clattn_op_code code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "vectors scalar", .reference = clattn_reference_activation, .work = work, .examples = examples };
static const clattn_op op_activation = { "activation", "an activation function on each element", "torch.nn.functional: relu, gelu, silu, sigmoid, hardsigmoid, tanh, leaky_relu", sizeof(clattn_activation_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(activation)

const clattn_op *const clattn_ops_activation[] = { &op_activation, NULL };
