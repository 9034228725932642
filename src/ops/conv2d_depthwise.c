/* conv2d of each channel by itself on CPU devices. */
#include "conv2d.h"

/* Outputs that a work-group has at least, for planes are often small. */
#define LEAST_OUTPUTS 2048

const char *clattn_conv2d_depthwise_refusal(const clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (clattn_dim(call, "I") != 1) return "it is not depthwise: a group has other than one input channel";
    if (w.stride[0] != 1 || w.stride[1] != 1 || w.dilation[0] != 1 || w.dilation[1] != 1) return "the stride or the dilation is not 1";
    if (w.kernel[0] != w.kernel[1] || (w.kernel[0] != 3 && w.kernel[0] != 5 && w.kernel[0] != 7)) return "the kernel is not 3x3, 5x5 or 7x7";
    if (clattn_dim(call, "H") > INT32_MAX / 2 || clattn_dim(call, "W") > INT32_MAX / 2) return "a side of the image is above 2^30";
    return NULL;
}

/* Outputs in registers, those that waste and read again least. */
static int choose_rows(int64_t height, int64_t taps) {
    static const int choices[] = { 8, 7, 4 };
    int best = 4;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < CLATTN_COUNT(choices); i++) {
        const int64_t cost = clattn_ceil_div(height, choices[i]) * (choices[i] + taps - 1);
        if (cost >= least) continue;
        least = cost;
        best = choices[i];
    }
    return best;
}

clattn_status clattn_conv2d_depthwise(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    const int64_t outputs = clattn_dim(call, "OH") * clattn_dim(call, "OW"), total = a->x->shape[0] * clattn_dim(call, "O");
    const int64_t planes = clattn_ceil_div(LEAST_OUTPUTS, outputs);
    char options[64];
    snprintf(options, sizeof options, "-DKH=%d -DKW=%d -DROWS=%d -DACT=%d", (int)w.kernel[0], (int)w.kernel[1], choose_rows(clattn_dim(call, "OH"), w.kernel[0]), (int)a->activation);
    return clattn_run_kernel(call, "conv2d_depthwise", "depthwise", options, 1, (size_t[]){ (size_t)clattn_ceil_div(total, planes) }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->weight), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), clattn_window_arg(&w), ARG_I64(clattn_dim(call, "O") / a->groups), ARG_I64(planes), ARG_I64(total), ARG_I64(clattn_tensor_count(a->x)));
}
