/* resize2d: interpolation of images.
 *
 * Positions are fractions of integers. With f32 they would be wrong by 1e-4 of a pixel in the thousandth column, and on the
 * wrong side of an integer where nearest takes the floor; a scale like 0.7 is the fraction 7/10 that was meant. */
#include "resize2d.h"

static const char *const mode_words[] = { "nearest", "linear", "cubic", NULL };
static const char *const coordinate_words[] = { "half_pixel", "align_corners", "asymmetric", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_resize2d_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_OUT(clattn_resize2d_args, out, "out", "B,C,OH,OW", CLATTN_FIELD_STORED, "OH,OW = size, or H,W times scale rounded down"),
    CLATTN_PARAM(clattn_resize2d_args, size, "size", CLATTN_FIELD_INTS, 0, 1, CLATTN_RESIZE_LIMIT, "of out: one value or height,width; either this or scale"),
    CLATTN_PARAM(clattn_resize2d_args, scale, "scale", CLATTN_FIELD_DOUBLES, 0, 1e-6, 1e6, "of out to x: one value or vertical,horizontal; positions are computed with it, not with the sizes"),
    CLATTN_PARAM_WORD(clattn_resize2d_args, mode, "mode", mode_words, CLATTN_RESIZE_NEAREST, "cubic with a = -0.75; edges are repeated"),
    CLATTN_PARAM_WORD(clattn_resize2d_args, coordinates, "coordinates", coordinate_words, CLATTN_RESIZE_HALF_PIXEL, "where out's pixel i lies, s = 1 / scale: (i + 0.5) s - 0.5, i (H - 1) / (OH - 1) or i s; nearest has floor(i s) for half_pixel too"),
};

/* ---- Sizes and positions ---- */

static double scale_of(const clattn_resize2d_args *a, int axis) {
    return a->scale.values[a->scale.count == 1 ? 0 : axis];
}

static clattn_status infer_axis(clattn_call *call, const clattn_resize2d_args *a, int axis, int64_t *outputs) {
    const char *const name = axis ? "width" : "height";
    const int64_t inputs = a->x->shape[2 + axis];
    double size = a->size.count ? (double)a->size.values[a->size.count == 1 ? 0 : axis] : floor((double)inputs * scale_of(a, axis));
    if (inputs > CLATTN_RESIZE_LIMIT || size > (double)CLATTN_RESIZE_LIMIT) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "a %s of %.9g is more than %lld", name, inputs > CLATTN_RESIZE_LIMIT ? (double)inputs : size, (long long)CLATTN_RESIZE_LIMIT);
    if (inputs == 0 && size > 0) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has the %s 0: there is nothing to make %.9g pixels of", name, size);
    if (inputs > 0 && size < 1) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "scale = %.9g leaves nothing of a %s of %lld", scale_of(a, axis), name, (long long)inputs);
    *outputs = (int64_t)size;
    return CLATTN_OK;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_resize2d_args *a = raw;
    static const char *const names[] = { "OH", "OW" };
    if (!a->size.count == !a->scale.count) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, a->size.count ? "size and scale are both given; expected one of them" : "size or scale is missing");
    if (a->size.count > 2 || a->scale.count > 2) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values; expected 1 or 2 (vertical,horizontal)", a->size.count ? "size" : "scale", a->size.count ? a->size.count : a->scale.count);
    for (int axis = 0; axis < 2; axis++) {
        int64_t outputs = 0;
        const clattn_status status = infer_axis(call, a, axis, &outputs);
        if (status) return status;
        clattn_dim_set(call, names[axis], outputs);
    }
    return CLATTN_OK;
}

/* The simplest fraction that is `value` to double precision (continued fractions), both numbers within the limit. */
static void to_fraction(double value, int64_t *numerator, int64_t *denominator) {
    int64_t p = 1, q = 0, last_p = 0, last_q = 1;
    double rest = value;
    for (;;) {
        const double whole = floor(rest);
        if (whole > (double)CLATTN_RESIZE_LIMIT) break;
        const int64_t n = (int64_t)whole, next_p = n * p + last_p, next_q = n * q + last_q;
        if (next_p > CLATTN_RESIZE_LIMIT || next_q > CLATTN_RESIZE_LIMIT) break;
        last_p = p, last_q = q, p = next_p, q = next_q;
        if (fabs((double)p / (double)q - value) <= 4e-16 * value || rest == whole) break;
        rest = 1 / (rest - whole);
    }
    *numerator = p;
    *denominator = q;
}

clattn_resize_axis clattn_resize_axis_of(const clattn_call *call, const clattn_resize2d_args *a, int axis) {
    clattn_resize_axis r = { .inputs = a->x->shape[2 + axis], .outputs = clattn_dim(call, axis ? "OW" : "OH") };
    if (a->coordinates == CLATTN_RESIZE_ALIGN_CORNERS) {
        r.step = r.outputs > 1 ? r.inputs - 1 : 0;
        r.parts = r.outputs > 1 ? r.outputs - 1 : 1;
        return r;
    }
    r.step = r.inputs;
    r.parts = r.outputs > 0 ? r.outputs : 1;
    if (a->scale.count) to_fraction(scale_of(a, axis), &r.parts, &r.step);
    if (a->coordinates == CLATTN_RESIZE_ASYMMETRIC || a->mode == CLATTN_RESIZE_NEAREST) return r;
    /* (i + 1/2) step / parts - 1/2 = (2 i step + step - parts) / (2 parts) */
    return (clattn_resize_axis){ r.inputs, r.outputs, 2 * r.step, r.step - r.parts, 2 * r.parts };
}

/* ---- Variants ---- */

static const char *options_of(const clattn_resize2d_args *a) {
    static const char *const options[] = { "-DTAPS=1", "-DTAPS=2", "-DTAPS=4" };
    return options[a->mode];
}

static clattn_arg axis_arg(const clattn_resize_axis *r) {
    return clattn_arg_i64x4(r->step, r->start, r->parts, r->inputs);
}

/* Groups of rows; the columns' positions are computed once for each group. */
static size_t columns_bytes(const clattn_call *call) {
    return (size_t)(clattn_dim(call, "OW") + 16) * 4 * 2 * 4;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_resize2d_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (a->x->shape[3] >= (int64_t)1 << 28) return "the rows are longer than 2^28";
    return clattn_dim(call, "OW") < (int64_t)1 << 24 && clattn_call_cpu(call, columns_bytes(call)) ? NULL : "the weights of a row do not fit local memory";
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_resize2d_args *a = raw;
    const clattn_resize_axis y = clattn_resize_axis_of(call, a, 0), x = clattn_resize_axis_of(call, a, 1);
    const int64_t rows = a->x->shape[0] * a->x->shape[1] * y.outputs;
    int64_t per_group = (rows + 15) / 16;
    const int64_t most = 8 + 65536 / (x.outputs + 1);
    if (per_group > most) per_group = most;
    if (rows == 0 || x.outputs == 0) return CLATTN_OK;
    return clattn_run_kernel(call, "resize2d", "rows", options_of(a), 1, (size_t[]){ (size_t)((rows + per_group - 1) / per_group) }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), axis_arg(&y), axis_arg(&x), ARG_I64(y.outputs), ARG_I64(x.outputs), ARG_I64(rows), ARG_I64(per_group), ARG_LOCAL(columns_bytes(call)));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_resize2d_args *a = raw;
    const clattn_resize_axis y = clattn_resize_axis_of(call, a, 0), x = clattn_resize_axis_of(call, a, 1);
    const int64_t count = clattn_tensor_count(a->out);
    return clattn_run_kernel(call, "resize2d", "scalar", options_of(a), 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), axis_arg(&y), axis_arg(&x), ARG_I64(y.outputs), ARG_I64(x.outputs), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_resize2d_args *a = raw;
    static const double products[] = { 0, 4, 16 };
    const double inputs = (double)clattn_tensor_count(a->x), outputs = (double)a->x->shape[0] * (double)a->x->shape[1] * (double)clattn_dim(call, "OH") * (double)clattn_dim(call, "OW");
    *flops = 2 * outputs * products[a->mode];
    *bytes = 4 * (inputs + outputs);
}

void clattn_reference_resize2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "resize2d x[2,3,7,9] scale=2", "resize2d x[2,3,7,9] size=13,20 mode=linear", "resize2d x[1,3,7,9] scale=1.5,2 mode=cubic", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .reference = clattn_reference_resize2d, .work = work, .examples = examples };
static const clattn_op op_resize2d = { "resize2d", "images interpolated at another size: nearest, linear or cubic", "torch.nn.functional.interpolate; asymmetric with linear and cubic: ONNX Resize", sizeof(clattn_resize2d_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(resize2d)

const clattn_op *const clattn_ops_resize2d[] = { &op_resize2d, NULL };
