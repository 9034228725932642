/* conv_transpose2d: each input value is spread over the outputs whose windows it lies in. */
#include "window.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_conv_transpose2d_args, x, "B,C,H,W", 0, "images"),
    CLATTN_IN(clattn_conv_transpose2d_args, weight, "C,I,KH,KW", 0, "I = O / groups"),
    CLATTN_IN(clattn_conv_transpose2d_args, bias, "O", CLATTN_FIELD_OPTIONAL, "added to each output channel"),
    CLATTN_OUT(clattn_conv_transpose2d_args, out, "out", "B,O,OH,OW", 0, "OH = (H - 1) stride - padding + dilation (KH - 1) + output_padding + 1, the padding of both sides"),
    CLATTN_PARAM(clattn_conv_transpose2d_args, stride, "stride", CLATTN_FIELD_INTS, 1, 1, CLATTN_WINDOW_LIMIT, "one value or vertical,horizontal"),
    CLATTN_PARAM(clattn_conv_transpose2d_args, padding, "padding", CLATTN_FIELD_INTS, 0, 0, CLATTN_WINDOW_LIMIT, "rows and columns of the result left out: one value, vertical,horizontal or top,left,bottom,right"),
    CLATTN_PARAM(clattn_conv_transpose2d_args, output_padding, "output_padding", CLATTN_FIELD_INTS, 0, 0, CLATTN_WINDOW_LIMIT, "added at the bottom and right, less than stride or dilation: one value or vertical,horizontal"),
    CLATTN_PARAM(clattn_conv_transpose2d_args, dilation, "dilation", CLATTN_FIELD_INTS, 1, 1, CLATTN_WINDOW_LIMIT, "one value or vertical,horizontal"),
    CLATTN_PARAM(clattn_conv_transpose2d_args, groups, "groups", CLATTN_FIELD_INT, 1, 1, 2147483647, "C is divisible by it"),
};

static clattn_window window_of(const clattn_conv_transpose2d_args *a) {
    return clattn_window_read(&a->weight->shape[2], &a->stride, &a->padding, &a->dilation, NULL);
}

/* ---- Checks ---- */

/* The bias is compared with the number of outputs, which the weight and the groups give. */
static clattn_status prepare(clattn_call *call, void *raw) {
    const clattn_conv_transpose2d_args *a = raw;
    if (!a->weight || a->weight->rank != 4 || a->weight->shape[1] < 0) return CLATTN_OK; /* refused when matched */
    if (a->weight->shape[1] > INT64_MAX / 16 / a->groups) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "out would have more channels than any memory");
    clattn_dim_set(call, "O", a->weight->shape[1] * a->groups);
    return CLATTN_OK;
}

static clattn_status check_lists(clattn_call *call, const clattn_conv_transpose2d_args *a) {
    clattn_status status = clattn_window_check_list(call, "stride", &a->stride, false);
    if (!status) status = clattn_window_check_list(call, "padding", &a->padding, true);
    if (!status) status = clattn_window_check_list(call, "output_padding", &a->output_padding, false);
    if (!status) status = clattn_window_check_list(call, "dilation", &a->dilation, false);
    return status;
}

static clattn_status infer_axis(clattn_call *call, const clattn_conv_transpose2d_args *a, const clattn_window *w, int axis, int64_t *outputs) {
    const char *const name = axis ? "width" : "height";
    const int64_t size = a->x->shape[2 + axis], extra = clattn_window_value(&a->output_padding, axis, 0);
    if (w->kernel[axis] < 1 || w->kernel[axis] > CLATTN_WINDOW_LIMIT) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight has a kernel of %lld along the %s; expected 1..%d", (long long)w->kernel[axis], name, CLATTN_WINDOW_LIMIT);
    if (extra >= w->stride[axis] && extra >= w->dilation[axis])
        return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "output_padding = %lld along the %s is neither less than stride = %lld nor than dilation = %lld", (long long)extra, name, (long long)w->stride[axis], (long long)w->dilation[axis]);
    if (size > INT64_MAX / 4 / w->stride[axis]) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "out would be larger than any memory");
    *outputs = (size - 1) * w->stride[axis] - w->before[axis] - w->after[axis] + clattn_window_span(w, axis) + extra;
    if (*outputs > 0) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "padding = %lld,%lld leaves nothing of the result's %s", (long long)w->before[axis], (long long)w->after[axis], name);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_conv_transpose2d_args *a = raw;
    static const char *const names[] = { "OH", "OW" };
    clattn_status status = check_lists(call, a);
    if (status) return status;
    if (a->x->shape[1] % a->groups) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has %lld channels, not divisible by groups = %lld", (long long)a->x->shape[1], (long long)a->groups);
    const clattn_window w = window_of(a);
    for (int axis = 0; axis < 2; axis++) {
        int64_t outputs = 0;
        if ((status = infer_axis(call, a, &w, axis, &outputs))) return status;
        clattn_dim_set(call, names[axis], outputs);
    }
    return CLATTN_OK;
}

static clattn_arg sizes_arg(const clattn_call *call, const clattn_conv_transpose2d_args *a) {
    return clattn_arg_i64x8(a->x->shape[1], a->x->shape[2], a->x->shape[3], clattn_dim(call, "O"), clattn_dim(call, "OH"), clattn_dim(call, "OW"), a->weight->shape[2], a->weight->shape[3]);
}

/* ---- columns: one matrix product makes every product of an image, which are then added where they belong ---- */

/* Products of one image at most. */
#define COLUMNS_LIMIT ((int64_t)256 << 20)

static int64_t columns_count(const clattn_call *call, const clattn_conv_transpose2d_args *a) {
    return clattn_dim(call, "O") * a->weight->shape[2] * a->weight->shape[3] * a->x->shape[2] * a->x->shape[3];
}

static const char *columns_refusal(const clattn_call *call, const void *raw) {
    const clattn_conv_transpose2d_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    const double count = (double)clattn_dim(call, "O") * (double)a->weight->shape[2] * (double)a->weight->shape[3] * (double)a->x->shape[2] * (double)a->x->shape[3];
    return count * 4 <= (double)COLUMNS_LIMIT ? NULL : "the products of one image take more than 256 MiB";
}

static clattn_tensor matrices(const clattn_tensor *tensor, int64_t offset, int64_t groups, int64_t rows, int64_t columns) {
    return (clattn_tensor){ .buffer = tensor->buffer, .dtype = CLATTN_F32, .rank = 3, .offset = tensor->offset + offset, .shape = { groups, rows, columns }, .strides = { rows * columns, columns, 1 } };
}

/* columns[g] = weight[g]^T x[g]: [O/g * taps, H * W] for each group of one image. */
static clattn_status multiply(clattn_call *call, const clattn_conv_transpose2d_args *a, int64_t image, const clattn_tensor *columns) {
    const int64_t channels = a->x->shape[1] / a->groups, pixels = a->x->shape[2] * a->x->shape[3], rows = a->weight->shape[1] * a->weight->shape[2] * a->weight->shape[3];
    const clattn_tensor weight = matrices(a->weight, 0, a->groups, channels, rows), x = matrices(a->x, image * a->x->shape[1] * pixels, a->groups, channels, pixels);
    clattn_tensor out = matrices(columns, 0, a->groups, rows, pixels);
    return clattn_matmul(call->context, &(clattn_matmul_args){ .a = &weight, .b = &x, .out = &out, .transpose_a = true });
}

static clattn_status enqueue_columns(clattn_call *call, const void *raw) {
    const clattn_conv_transpose2d_args *a = raw;
    const clattn_window w = window_of(a);
    const int64_t count = columns_count(call, a), channels = clattn_dim(call, "O"), rows = channels * clattn_dim(call, "OH");
    const int64_t per_group = 1 + 16384 / clattn_dim(call, "OW");
    clattn_tensor columns;
    clattn_status status = clattn_scratch(call, &columns, CLATTN_F32, 1, &count);
    for (int64_t image = 0; image < a->x->shape[0] && !status; image++) {
        clattn_tensor out = *a->out;
        out.offset += image * rows * clattn_dim(call, "OW");
        if (count) status = multiply(call, a, image, &columns);
        if (!status) status = clattn_run_kernel(call, "conv_transpose2d", "add_columns", "", 1, (size_t[]){ (size_t)((rows + per_group - 1) / per_group) }, (size_t[]){ 1 }, ARG_T(&columns), ARG_T(a->bias), ARG_T(&out), sizes_arg(call, a), clattn_window_arg(&w), ARG_I64(rows), ARG_I64(per_group));
    }
    return status;
}

/* ---- scalar ---- */

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_conv_transpose2d_args *a = raw;
    const clattn_window w = window_of(a);
    const int64_t count = clattn_tensor_count(a->out);
    return clattn_run_kernel(call, "conv_transpose2d", "scalar", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->weight), ARG_T(a->bias), ARG_T(a->out), sizes_arg(call, a), clattn_window_arg(&w), ARG_I64(a->groups), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "columns", columns_refusal, enqueue_columns },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_conv_transpose2d_args *a = raw;
    const double inputs = (double)clattn_tensor_count(a->x), outputs = (double)a->x->shape[0] * (double)clattn_dim(call, "O") * (double)clattn_dim(call, "OH") * (double)clattn_dim(call, "OW");
    *flops = 2 * inputs * (double)a->weight->shape[1] * (double)a->weight->shape[2] * (double)a->weight->shape[3];
    *bytes = 4 * (inputs + outputs + (double)clattn_tensor_count(a->weight));
}

void clattn_reference_conv_transpose2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "conv_transpose2d x[2,8,7,9] weight[8,6,2,2] bias[6] stride=2", "conv_transpose2d x[1,4,7,9] weight[4,2,3,3] groups=2 padding=1 output_padding=1 stride=2", NULL };
static const clattn_op_code code = { .prepare = prepare, .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_conv_transpose2d, .work = work, .examples = examples };
static const clattn_op op_conv_transpose2d = { "conv_transpose2d", "the transpose of a 2-D convolution: each value is spread over a window", "torch.nn.functional.conv_transpose2d", sizeof(clattn_conv_transpose2d_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(conv_transpose2d)

const clattn_op *const clattn_ops_conv_transpose2d[] = { &op_conv_transpose2d, NULL };
