/* conv2d: direct convolution. */
#include "conv2d.h"

static const char *const precision_words[] = { "exact", "fast", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_conv2d_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_IN(clattn_conv2d_args, weight, "O,I,KH,KW", 0, "I = C / groups"),
    CLATTN_IN(clattn_conv2d_args, bias, "O", CLATTN_FIELD_OPTIONAL, "added to each output channel"),
    CLATTN_OUT(clattn_conv2d_args, out, "out", "B,O,OH,OW", CLATTN_FIELD_STORED, "OH = (H + padding - dilation (KH - 1) - 1) / stride + 1, rounded down"),
    CLATTN_PARAM(clattn_conv2d_args, stride, "stride", CLATTN_FIELD_INTS, 1, 1, CLATTN_WINDOW_LIMIT, "one value or vertical,horizontal"),
    CLATTN_PARAM(clattn_conv2d_args, padding, "padding", CLATTN_FIELD_INTS, 0, 0, CLATTN_WINDOW_LIMIT, "zeros: one value, vertical,horizontal or top,left,bottom,right"),
    CLATTN_PARAM(clattn_conv2d_args, dilation, "dilation", CLATTN_FIELD_INTS, 1, 1, CLATTN_WINDOW_LIMIT, "one value or vertical,horizontal"),
    CLATTN_PARAM(clattn_conv2d_args, groups, "groups", CLATTN_FIELD_INT, 1, 1, 2147483647, "C and O are divisible by it"),
    CLATTN_PARAM_WORD(clattn_conv2d_args, activation, "activation", clattn_activation_words, CLATTN_ACTIVATION_NONE, "of the result"),
    CLATTN_PARAM_WORD(clattn_conv2d_args, precision, "precision", precision_words, CLATTN_PRECISION_EXACT, "fast allows Winograd: errors of up to 1e-4 of the largest output; a NaN or infinity of x reaches the 4x4 outputs around"),
};

clattn_window clattn_conv2d_window(const clattn_conv2d_args *a) {
    return clattn_window_read(&a->weight->shape[2], &a->stride, &a->padding, &a->dilation, NULL);
}

/* ---- Checks ---- */

static clattn_status check_lists(clattn_call *call, const clattn_conv2d_args *a) {
    clattn_status status = clattn_window_check_list(call, "stride", &a->stride, false);
    if (!status) status = clattn_window_check_list(call, "padding", &a->padding, true);
    if (!status) status = clattn_window_check_list(call, "dilation", &a->dilation, false);
    return status;
}

static clattn_status check_groups(clattn_call *call, const clattn_conv2d_args *a) {
    const int64_t c = clattn_dim(call, "C"), o = clattn_dim(call, "O"), inputs = clattn_dim(call, "I");
    if (c % a->groups) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has %lld channels, not divisible by groups = %lld", (long long)c, (long long)a->groups);
    if (o % a->groups) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight has %lld output channels, not divisible by groups = %lld", (long long)o, (long long)a->groups);
    if (inputs == c / a->groups) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight has %lld input channels, expected %lld: x has %lld and groups = %lld", (long long)inputs, (long long)(c / a->groups), (long long)c, (long long)a->groups);
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    static const char *const names[] = { "OH", "OW" };
    clattn_status status = check_lists(call, a);
    if (!status) status = check_groups(call, a);
    if (status) return status;
    const clattn_window w = clattn_conv2d_window(a);
    for (int axis = 0; axis < 2; axis++) {
        int64_t outputs;
        if (w.kernel[axis] < 1 || w.kernel[axis] > CLATTN_WINDOW_LIMIT) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight has a kernel of %lld along the %s; expected 1..%d", (long long)w.kernel[axis], axis ? "width" : "height", CLATTN_WINDOW_LIMIT);
        if ((status = clattn_window_outputs(call, &w, axis, a->x->shape[2 + axis], false, &outputs))) return status;
        clattn_dim_set(call, names[axis], outputs);
    }
    return CLATTN_OK;
}

/* ---- How a CPU variant cuts the work ---- */

/* Inputs in local memory at most: they are read kernel-size times and have to stay in the level-2 cache. */
#define LOCAL_LIMIT (192 << 10)
/* Products that are summed before they are added to the other sums: errors grow with a sum's length. */
#define MOST_PRODUCTS 128

/* A work-group's part: `rows` x `cols` outputs of some channel blocks (or of one channel), summed over `pass` input channels at a
 * time from a padded input block of `channels` in local memory. */
typedef struct plan {
    int vectors, pixels; /* the register tile of `blocks`: vectors of 16 channels x pixels */
    int64_t rows, cols, channels, pass, in_rows, pitch, plane;
    int64_t blocks, blocks_per_group, kept; /* of `blocks`: channel blocks; rows whose sums are kept before they are written */
    int64_t x_bytes, y_bytes;
    bool fits;
} plan;

static int64_t round_up(int64_t value, int64_t step) {
    return clattn_ceil_div(value, step) * step;
}

/* Whole vectors of 16 pixels where a few rows make them. With channels that do not fit at once the sums of all rows stay. */
static int64_t rows_kept(const plan *p, int64_t inputs) {
    if (p->channels < inputs) return p->rows;
    for (int64_t k = 1; k < 4 && k < p->rows; k *= 2)
        if (k * p->cols % 16 == 0) return k;
    return p->rows < 4 ? p->rows : 4;
}

/* The input block of a plan whose columns are computed in steps of `step`. Planes that lie a multiple of 1 KiB apart would
 * compete for few sets of the level-1 cache. */
static void measure(plan *p, const clattn_window *w, int step, int64_t inputs) {
    p->in_rows = (p->rows - 1) * w->stride[0] + clattn_window_span(w, 0);
    p->pitch = round_up((round_up(p->cols, step) - 1) * w->stride[1] + clattn_window_span(w, 1), 16);
    p->plane = p->in_rows * p->pitch;
    if (p->plane % 256 == 0) p->plane += 16;
    p->kept = rows_kept(p, inputs);
    p->x_bytes = (p->channels * p->plane + 32) * 4;
    p->y_bytes = (p->kept * p->cols + p->pixels) * p->vectors * 64;
}

/* Shrinks a plan until it fits local memory. */
static void fit(plan *p, const clattn_call *call, const clattn_window *w, int step, int row_step) {
    const int64_t room = clattn_call_cpu(call, LOCAL_LIMIT) ? LOCAL_LIMIT : (int64_t)clattn_call_device(call)->local_memory;
    for (;;) {
        measure(p, w, step, clattn_dim(call, "I"));
        p->fits = p->x_bytes + p->y_bytes <= room;
        if (p->fits) return;
        if (p->rows > row_step) p->rows = round_up(p->rows / 2, row_step);
        else if (p->vectors && p->channels > p->pass) p->channels = round_up((p->channels + 1) / 2, p->pass);
        else if (p->vectors && p->channels > 1) p->channels = p->pass = (p->channels + 1) / 2;
        else if (p->cols > step) p->cols = round_up(p->cols / 2, step);
        else return;
    }
}

static int64_t tiles(const clattn_call *call, const plan *p) {
    return clattn_ceil_div(clattn_dim(call, "OH"), p->rows) * clattn_ceil_div(clattn_dim(call, "OW"), p->cols);
}

/* ---- blocks: vectors along output channels ---- */

/* Register tiles, pixels x vectors: each vector of weights is used for many pixels, and with two of them each pixel twice, as a core
 * with two FMA a cycle has no more loads than that: not by Intel's runtime, whose compiler then leaves sums in memory. What a row's end
 * and the last channels waste decides, among those that a setting leaves. */
static void choose_tile(plan *p, const clattn_call *call, int64_t cols, int64_t outputs) {
    static const int tiles[][2] = { { 14, 2 }, { 12, 2 }, { 10, 2 }, { 14, 1 }, { 16, 1 }, { 12, 1 }, { 10, 1 }, { 8, 2 }, { 8, 1 }, { 7, 2 }, { 7, 1 }, { 6, 1 }, { 5, 1 }, { 4, 4 }, { 4, 2 }, { 4, 1 } };
    const int wanted_pixels = clattn_tuned(call, "pixels", 0), wanted_vectors = clattn_tuned(call, "vectors", 0);
    const int sums = strstr(clattn_call_device(call)->platform, "Intel") && clattn_call_sums(call) > 16 ? 16 : clattn_call_sums(call);
    int64_t least = INT64_MAX;
    p->pixels = wanted_pixels ? wanted_pixels : 16; /* refused where no tile of the list fits */
    p->vectors = wanted_vectors ? wanted_vectors : 1;
    for (size_t i = 0; i < CLATTN_COUNT(tiles); i++) {
        const int pixels = tiles[i][0], vectors = tiles[i][1];
        if (pixels * vectors > sums) continue;
        if ((wanted_pixels && pixels != wanted_pixels) || (wanted_vectors && vectors != wanted_vectors)) continue;
        const int64_t cost = clattn_ceil_div(cols, pixels) * clattn_ceil_div(outputs, 16 * vectors) * (pixels * vectors + vectors + 2);
        if (cost >= least) continue;
        least = cost;
        p->pixels = pixels;
        p->vectors = vectors;
    }
}

/* Estimated cycles of the whole: of a vector of inputs copied, of a vector of weights that a work-group reads for the first time,
 * of 16 x 16 outputs stored. */
#define LOAD_CYCLES 12
#define WEIGHT_CYCLES 1
#define STORE_CYCLES 200

static double cycles(const clattn_call *call, const clattn_conv2d_args *a, const clattn_window *w, const plan *p) {
    const double units = clattn_call_device(call)->compute_units, inputs = (double)clattn_dim(call, "I"), vectors = (double)(p->blocks_per_group * p->vectors);
    const double weights = vectors * inputs * (double)(w->kernel[0] * w->kernel[1]), products = (double)(p->rows * round_up(p->cols, p->pixels)) * weights;
    const double loads = inputs * (double)(p->in_rows * p->pitch / 16) * (p->channels < clattn_dim(call, "I") ? (double)p->blocks_per_group : 1);
    const double group = products + WEIGHT_CYCLES * weights + LOAD_CYCLES * loads + STORE_CYCLES * vectors * (double)(p->rows * p->cols) / 16;
    const double groups = (double)(tiles(call, p) * a->groups * clattn_ceil_div(p->blocks, p->blocks_per_group) * a->x->shape[0]);
    /* Groups do not begin together, and the last ones are waited for. */
    return group * (ceil(groups / units) + 0.1);
}

/* Tries how many rows and channel blocks a work-group should have. */
static plan plan_blocks(const clattn_call *call, const clattn_conv2d_args *a) {
    const clattn_window w = clattn_conv2d_window(a);
    const int64_t oh = clattn_dim(call, "OH"), ow = clattn_dim(call, "OW"), outputs = clattn_dim(call, "O") / a->groups, inputs = clattn_dim(call, "I"), area = clattn_tuned(call, "area", 0);
    plan p = { .cols = ow <= 112 ? ow : 56, .channels = inputs }, best = p;
    choose_tile(&p, call, p.cols, outputs);
    p.pass = MOST_PRODUCTS / (w.kernel[0] * w.kernel[1]);
    if (p.pass < 1) p.pass = 1;
    if (inputs > 0) p.pass = clattn_ceil_div(inputs, clattn_ceil_div(inputs, p.pass));
    p.blocks = clattn_ceil_div(outputs, 16 * p.vectors);
    const int64_t most_rows = !area || area / p.cols > oh ? oh : area < p.cols ? 1 : area / p.cols, most_strips = area ? 1 : oh;
    double least = INFINITY;
    for (int64_t strips = 1; strips <= most_strips; strips++) {
        plan q = p;
        q.rows = clattn_ceil_div(most_rows, strips);
        if (strips > 1 && q.rows == clattn_ceil_div(most_rows, strips - 1)) continue;
        fit(&q, call, &w, p.pixels, 1);
        for (int64_t parts = 1; parts <= p.blocks; parts *= 2) {
            q.blocks_per_group = clattn_ceil_div(p.blocks, parts);
            const double cost = cycles(call, a, &w, &q);
            if (cost >= least) continue;
            least = cost;
            best = q;
        }
    }
    return best;
}

static const char *blocks_refusal(const clattn_call *call, const void *raw) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    const plan p = plan_blocks(call, raw);
    if (p.vectors * p.pixels > clattn_call_sums(call)) return "the tile has more sums than there are registers";
    return p.fits ? NULL : "the input block of one tile does not fit local memory";
}

clattn_status clattn_conv2d_pack(clattn_call *call, const clattn_conv2d_args *a, int64_t width, clattn_buffer **packed) {
    const int64_t inputs = clattn_dim(call, "I"), taps = a->weight->shape[2] * a->weight->shape[3], outputs = clattn_dim(call, "O") / a->groups;
    const int64_t count = a->groups * round_up(outputs, width) * inputs * taps;
    char key[64];
    bool fresh;
    snprintf(key, sizeof key, "conv2d %lld g%lld", (long long)width, (long long)a->groups);
    const clattn_status status = clattn_packed(call, a->weight, key, (size_t)(count ? count : 1) * 4, packed, &fresh);
    if (status || !fresh) return status;
    return clattn_run_kernel(call, "conv2d", "pack", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->weight), ARG_BUFFER(*packed), ARG_I64(outputs), ARG_I64(inputs), ARG_I64(taps), ARG_I64(width), ARG_I64(count));
}

/* Small strides are modes of the kernel; others come as arguments, so that few programs are built. With few registers, and so few products
 * a tap, three taps are a mode too. */
static void write_options(char *text, size_t size, const clattn_call *call, const clattn_conv2d_args *a, const clattn_window *w, const plan *p) {
    const int length = snprintf(text, size, "-DSTRIDE=%d -DACT=%d -DNV=%d -DMR=%d", w->stride[1] <= 2 ? (int)w->stride[1] : 0, (int)a->activation, p->vectors, p->pixels);
    if (w->kernel[1] == 3 && clattn_few_registers(clattn_call_device(call))) snprintf(text + length, size - (size_t)length, " -DKW=3");
}

clattn_arg clattn_conv2d_sizes(const clattn_call *call, const clattn_conv2d_args *a) {
    return clattn_arg_i64x8(a->x->shape[1], a->x->shape[2], a->x->shape[3], a->weight->shape[0], clattn_dim(call, "OH"), clattn_dim(call, "OW"), a->weight->shape[2], a->weight->shape[3]);
}

/* What the kernels on vectors know of a plan. */
static clattn_arg tile_arg(const clattn_conv2d_args *a, const plan *p) {
    return clattn_arg_i64x8(p->rows, p->cols, p->in_rows, p->pitch, p->plane, p->channels, clattn_tensor_count(a->x), 0);
}

static clattn_status enqueue_blocks(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    const plan p = plan_blocks(call, a);
    char options[96];
    clattn_buffer *packed;
    const clattn_status status = clattn_conv2d_pack(call, a, 16 * p.vectors, &packed);
    if (status) return status;
    write_options(options, sizeof options, call, a, &w, &p);
    return clattn_run_kernel(call, "conv2d", "blocks", options, 3, ((size_t[]){ (size_t)tiles(call, &p), (size_t)(a->groups * clattn_ceil_div(p.blocks, p.blocks_per_group)), (size_t)a->x->shape[0] }), ((size_t[]){ 1, 1, 1 }), ARG_T(a->x), ARG_BUFFER(packed), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), clattn_window_arg(&w), tile_arg(a, &p), clattn_arg_i64x4(a->groups, p.blocks, p.blocks_per_group, p.pass), ARG_I32(p.kept), ARG_LOCAL((size_t)p.x_bytes), ARG_LOCAL((size_t)p.y_bytes));
}

/* ---- width: vectors along the output's rows, one output channel a group; for depthwise and few output channels ---- */

static plan plan_width(const clattn_call *call, const clattn_conv2d_args *a) {
    const clattn_window w = clattn_conv2d_window(a);
    const int64_t oh = clattn_dim(call, "OH"), ow = clattn_dim(call, "OW");
    plan p = { .channels = clattn_dim(call, "I") };
    p.cols = ow <= 128 ? round_up(ow, 16) : 64;
    p.rows = round_up(896 / p.cols < oh ? 896 / p.cols : oh, 4);
    fit(&p, call, &w, 16, 4);
    return p;
}

static const char *width_refusal(const clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (clattn_dim(call, "O") >= 8 * a->groups) return "there are 8 or more output channels per group";
    return plan_width(call, raw).fits ? NULL : "the input block of one tile does not fit local memory";
}

static clattn_status enqueue_width(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    const plan p = plan_width(call, a);
    char options[96];
    write_options(options, sizeof options, call, a, &w, &p);
    return clattn_run_kernel(call, "conv2d", "width", options, 3, ((size_t[]){ (size_t)tiles(call, &p), (size_t)a->weight->shape[0], (size_t)a->x->shape[0] }), ((size_t[]){ 1, 1, 1 }), ARG_T(a->x), ARG_T(a->weight), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), clattn_window_arg(&w), tile_arg(a, &p), ARG_I64(a->groups), ARG_LOCAL((size_t)p.x_bytes));
}

/* ---- scalar ---- */

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    const int64_t count = clattn_tensor_count(a->out);
    return clattn_run_kernel(call, "conv2d", "scalar", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->weight), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), clattn_window_arg(&w), ARG_I64(a->groups), ARG_I32(a->activation), ARG_I64(count));
}

static const char *reserve(const clattn_call *call, const void *args, const clattn_variant *variant) {
    return strcmp(variant->name, "winograd") == 0 ? clattn_conv2d_winograd_slow(call, args) : NULL;
}

static const clattn_variant variants[] = {
    { "winograd", clattn_conv2d_winograd_refusal, clattn_conv2d_winograd },
    { "pointwise", clattn_conv2d_pointwise_refusal, clattn_conv2d_pointwise },
    { "depthwise", clattn_conv2d_depthwise_refusal, clattn_conv2d_depthwise },
    { "width", width_refusal, enqueue_width },
    { "blocks", blocks_refusal, enqueue_blocks },
    { "gpu_depthwise", clattn_conv2d_gpu_depthwise_refusal, clattn_conv2d_gpu_depthwise },
    { "gpu_tile", clattn_conv2d_gpu_tile_refusal, clattn_conv2d_gpu_tile },
    { "scalar", NULL, enqueue_scalar },
};

static const clattn_tunable tunables[] = {
    { "blocks", "vectors", "of 16 output channels in a block", { 1, 2, 4 } },
    { "blocks", "pixels", "whose sums with a block's channels are in registers", { 4, 5, 6, 7, 8, 14, 16 } },
    { "blocks", "area", "pixels of a group at most, in whole rows", { 56, 112, 224, 448, 896 } },
    { .name = NULL },
};

static void shape_class(const clattn_call *call, const void *raw, char *text, size_t size) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    snprintf(text, size, "b%lld g%lld i%lld o%lld %lldx%lld/%lld to %lldx%lld", (long long)clattn_class_size(a->x->shape[0]), (long long)clattn_class_size(a->groups), (long long)clattn_class_size(clattn_dim(call, "I")), (long long)clattn_class_size(clattn_dim(call, "O") / a->groups),
        (long long)w.kernel[0], (long long)w.kernel[1], (long long)w.stride[1], (long long)clattn_class_size(clattn_dim(call, "OH")), (long long)clattn_class_size(clattn_dim(call, "OW")));
}

static const char *const tuning_cases[] = {
    "conv2d x[1,64,56,56] weight[64,64,3,3] padding=1", "conv2d x[1,128,28,28] weight[128,128,3,3] padding=1", "conv2d x[1,256,14,14] weight[256,256,3,3] padding=1",
    "conv2d x[8,256,56,56] weight[64,256,1,1]", "conv2d x[1,3,224,224] weight[64,3,7,7] stride=2 padding=3", NULL };

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_conv2d_args *a = raw;
    const double outputs = (double)a->x->shape[0] * (double)clattn_dim(call, "O") * (double)clattn_dim(call, "OH") * (double)clattn_dim(call, "OW");
    *flops = 2 * outputs * (double)clattn_dim(call, "I") * (double)clattn_dim(call, "KH") * (double)clattn_dim(call, "KW");
    *bytes = 4 * (outputs + (double)clattn_tensor_count(a->x) + (double)clattn_tensor_count(a->weight));
}

void clattn_reference_conv2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = {
    "conv2d x[1,1,28,28] weight[16,1,3,3] bias[16] padding=1", "conv2d x[1,16,28,28] weight[32,16,3,3] bias[32] padding=1 activation=relu",
    "conv2d x[2,9,11,10] weight[24,9,3,3] bias[24] padding=2 dilation=2", "conv2d x[1,16,14,14] weight[32,16,1,1] bias[32]", "conv2d x[1,32,14,14] weight[64,32,3,3] bias[64] padding=1", "conv2d x[1,4,17,17] weight[4,1,3,3] groups=4 padding=1", "conv2d x[1,16,14,14] weight[32,16,3,3] bias[32] padding=1 precision=fast", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "gpu_depthwise gpu_tile", .reserve = reserve, .reference = clattn_reference_conv2d, .work = work, .examples = examples,
    .tunables = tunables, .shape_class = shape_class, .kernels = "conv2d conv2d_depthwise conv2d_gpu conv2d_pointwise conv2d_winograd", .tuning_cases = tuning_cases };
static const clattn_op op_conv2d = { "conv2d", "2-D cross-correlation with zero padding", "torch.nn.functional.conv2d", sizeof(clattn_conv2d_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(conv2d)

const clattn_op *const clattn_ops_conv2d[] = { &op_conv2d, NULL };
