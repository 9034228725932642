/* conv2d on GPUs: gpu_tile and gpu_depthwise. How a group works stands in conv2d_gpu.cl. */
#include "conv2d.h"
#include "gpu.h"

static int64_t round_up(int64_t value, int64_t step) {
    return (value + step - 1) / step * step;
}

/* Offsets inside one image's group of channels are 32 bits wide, in bytes; a window may lie in the padding. */
#define MOST ((double)(1 << 28))

static const char *refusal(const clattn_call *call, const clattn_conv2d_args *a) {
    const clattn_window w = clattn_conv2d_window(a);
    const double inputs = (double)clattn_dim(call, "I"), height = (double)a->x->shape[2], width = (double)a->x->shape[3];
    if (height == 0 || width == 0) return "the images are empty";
    if (inputs * height * width > MOST || (height + (double)(w.before[0] + w.after[0])) * (width + (double)(w.before[1] + w.after[1])) > MOST) return "an image has more than 2^28 elements in a group's channels, or in one with its padding";
    if (inputs * (double)w.kernel[0] * (double)w.kernel[1] > MOST || (double)a->weight->shape[0] > MOST) return "there are more than 2^28 output channels, or weights for one";
    return NULL;
}

/* Whether items that need all taps of 4 pixels can share what they read: neighbouring windows overlap, or nearly so. */
static bool overlaps(const clattn_window *w, int axis) {
    return w->kernel[axis] <= 7 && w->stride[axis] <= 2 && w->dilation[axis] == 1;
}

static clattn_arg sizes_arg(const clattn_call *call, const clattn_conv2d_args *a) {
    return clattn_arg_i64x8(clattn_dim(call, "I"), a->x->shape[2], a->x->shape[3], a->weight->shape[0] / a->groups, clattn_dim(call, "OH"), clattn_dim(call, "OW"), a->weight->shape[2], a->weight->shape[3]);
}

static const char *activation_option(const clattn_conv2d_args *a, char text[24]) {
    text[0] = '\0';
    if (a->activation > CLATTN_ACTIVATION_NONE) snprintf(text, 24, " -DACT=%d", (int)a->activation);
    return text;
}

/* ---- Without local memory ---- */

#define PIXELS_DOWN 4 /* DOWN in the kernel */

/* With four channels and long columns Intel's registers would not do. */
static int channels_of_item(const clattn_call *call, const clattn_conv2d_args *a) {
    const int64_t outputs = a->weight->shape[0] / a->groups;
    if (outputs <= 2) return outputs == 1 ? 1 : 2;
    return clattn_call_gpu(call)->few_registers && a->weight->shape[2] > 3 ? 2 : 4;
}

static clattn_status run_direct(clattn_call *call, const clattn_conv2d_args *a) {
    const clattn_window w = clattn_conv2d_window(a);
    const int channels = channels_of_item(call, a);
    const int64_t outputs = a->weight->shape[0] / a->groups, blocks = round_up(outputs, channels) / channels;
    const size_t items = (size_t)(round_up(clattn_dim(call, "OH"), PIXELS_DOWN) / PIXELS_DOWN * clattn_dim(call, "OW"));
    size_t local = 64;
    char options[96], columns[32] = "", activation[24];
    clattn_arg weight = ARG_T(a->weight);
    clattn_buffer *packed;
    if (channels > 1) { /* one channel's weights lie as they are wanted */
        const clattn_status status = clattn_conv2d_pack(call, a, channels, &packed);
        if (status) return status;
        weight = ARG_BUFFER(packed);
    }
    if (overlaps(&w, 0) && w.dilation[1] == 1) snprintf(columns, sizeof columns, " -DKH=%d -DSTRIDE=%d", (int)w.kernel[0], (int)w.stride[0]);
    snprintf(options, sizeof options, "-DOUTPUTS=%d%s%s", channels, columns, activation_option(a, activation));
    while (local > 1 && (local / 2 >= items || local > clattn_call_device(call)->max_work_group)) local /= 2;
    return clattn_run_kernel(call, "conv2d_gpu", "direct", options, 3, ((size_t[]){ items, (size_t)(a->groups * blocks), (size_t)a->x->shape[0] }), ((size_t[]){ local, 1, 1 }), ARG_T(a->x), weight, ARG_T(a->bias), ARG_T(a->out), sizes_arg(call, a), clattn_window_arg(&w), clattn_arg_i64x4(a->groups, blocks, a->x->shape[0], 0));
}

const char *clattn_conv2d_gpu_depthwise_refusal(const clattn_call *call, const void *args) {
    const clattn_conv2d_args *a = args;
    return a->weight->shape[0] >= 8 * a->groups ? "there are 8 or more output channels per group" : refusal(call, a);
}

clattn_status clattn_conv2d_gpu_depthwise(clattn_call *call, const void *args) {
    return run_direct(call, args);
}

/* ---- Tiles ---- */

#define LOCAL_LIMIT 16384 /* what any device has; more would leave too few groups at a time */
#define GATHERED_ROWS 16
/* Products; in longer sums some PART_SUM at a time are summed by themselves. */
#define LONG_SUM 512
#define PART_SUM 144

/* A group's part: `fours` * 4 * items_y output channels, rows x cols pixels; its items. With 8 channels an item, GPUs with few
 * registers would spill. */
typedef struct shape {
    int fours, items_y, rows, cols;
    double cost; /* of an output: smaller tiles read more for each */
} shape;

static const shape shapes[] = { { 2, 8, 8, 16, 1.0 }, { 2, 8, 7, 16, 1.0 }, { 2, 8, 8, 8, 1.1 }, { 2, 4, 8, 16, 1.1 }, { 1, 4, 8, 16, 1.4 }, { 2, 4, 4, 8, 1.6 } };
static const shape small_shapes[] = { { 1, 8, 8, 16, 1.0 }, { 1, 8, 8, 8, 1.1 }, { 1, 4, 8, 16, 1.2 }, { 1, 4, 4, 8, 1.6 } };

/* How the work is cut. */
typedef struct cut {
    const shape *shape; /* NULL: nothing fits */
    int channels;       /* input channels a step, with the block under the tile; 0: gathered */
    double cost;
} cut;

static int channels_of(const shape *s) {
    return 4 * s->fours * s->items_y;
}

/* The most input channels whose block and weights fit, a power of two up to 8; 0 if one does not. */
static int block_channels(const clattn_call *call, const clattn_window *w, const shape *s) {
    const int64_t inputs = clattn_dim(call, "I");
    const uint64_t local = clattn_call_device(call)->local_memory;
    const int64_t columns = round_up((s->cols - 1) * w->stride[1] + w->kernel[1], 4), lines = (s->rows - 1) * w->stride[0] + w->kernel[0];
    const int64_t bytes = 4 * (lines * columns + w->kernel[0] * w->kernel[1] * channels_of(s)), room = local < LOCAL_LIMIT ? (int64_t)local : LOCAL_LIMIT;
    int channels = 8;
    while (channels > 1 && channels / 2 >= inputs) channels /= 2;
    while (channels && channels * bytes > room) channels /= 2;
    return channels;
}

static size_t items_of(const shape *s) {
    return (size_t)(s->rows * s->cols / 4 * s->items_y);
}

/* Time, with a block under the tile or without. A unit needs 128 items to be busy, and a group stays in one. */
static double cost_of(const clattn_call *call, const clattn_conv2d_args *a, const shape *s, bool block) {
    const int64_t oh = clattn_dim(call, "OH"), ow = clattn_dim(call, "OW"), images = a->x->shape[0], pixels = s->rows * s->cols;
    const double tiles = block ? (double)images * (double)(round_up(oh, s->rows) / s->rows) * (double)(round_up(ow, s->cols) / s->cols) : ceil((double)images * (double)oh * (double)ow / (double)pixels);
    const double groups = tiles * (double)a->groups * (double)(round_up(a->weight->shape[0] / a->groups, channels_of(s)) / channels_of(s));
    const double items = (double)round_up((int64_t)items_of(s), clattn_call_gpu(call)->wave), each = fmax(1, groups / clattn_call_device(call)->compute_units);
    return fmax(128, each * items) * s->fours * s->cost * (block ? 1 : 1.4);
}

static void consider(const clattn_call *call, const clattn_conv2d_args *a, const shape *s, cut *best) {
    const clattn_window w = clattn_conv2d_window(a);
    const bool block = overlaps(&w, 0) && overlaps(&w, 1) && w.stride[0] == w.stride[1] && w.kernel[0] * w.kernel[1] > 1;
    const int channels = block ? block_channels(call, &w, s) : 0;
    const bool gathers = s->rows != 7 && (double)a->x->shape[0] * (double)clattn_dim(call, "OH") * (double)clattn_dim(call, "OW") <= 4 * MOST;
    const double blocked = channels ? cost_of(call, a, s, true) : INFINITY, gathered = gathers ? cost_of(call, a, s, false) : INFINITY;
    if (items_of(s) > clattn_call_device(call)->max_work_group || fmin(blocked, gathered) >= best->cost) return;
    *best = (cut){ s, blocked <= gathered ? channels : 0, fmin(blocked, gathered) };
}

static cut choose(const clattn_call *call, const clattn_conv2d_args *a) {
    const bool small = clattn_call_gpu(call)->few_registers;
    cut best = { NULL, 0, INFINITY };
    for (size_t i = 0; i < (small ? CLATTN_COUNT(small_shapes) : CLATTN_COUNT(shapes)); i++) consider(call, a, small ? &small_shapes[i] : &shapes[i], &best);
    return best;
}

const char *clattn_conv2d_gpu_tile_refusal(const clattn_call *call, const void *args) {
    const char *why = refusal(call, args);
    if (why || clattn_call_gpu(call)->local_is_memory) return why;
    if (clattn_call_device(call)->local_memory < LOCAL_LIMIT) return "the device has less than 16 KiB of local memory";
    return choose(call, args).shape ? NULL : "the device's work-groups are too small";
}

/* Whether 4 pixels of an item are one vector of `out`; of x too, where that is read so. */
static bool aligned(const clattn_call *call, const clattn_conv2d_args *a, const cut *c) {
    const clattn_window w = clattn_conv2d_window(a);
    const int64_t oh = clattn_dim(call, "OH"), ow = clattn_dim(call, "OW");
    if (a->out->offset % 4 || (c->channels ? ow : oh * ow) % 4) return false;
    if (w.kernel[0] * w.kernel[1] > 1) return true;
    return a->x->offset % 4 == 0 && w.stride[0] == 1 && w.stride[1] == 1 && w.before[0] + w.before[1] + w.after[0] + w.after[1] == 0;
}

static void set_options(char *text, size_t size, const clattn_call *call, const clattn_conv2d_args *a, const cut *c, bool is_long) {
    const clattn_window w = clattn_conv2d_window(a);
    const shape *s = c->shape;
    char mode[96], activation[24];
    if (c->channels)
        snprintf(mode, sizeof mode, "-DROWS=%d -DCOLS=%d -DKH=%d -DKW=%d -DSTRIDE=%d -DCI=%d", s->rows, s->cols, (int)w.kernel[0], (int)w.kernel[1], (int)w.stride[0], c->channels);
    else
        snprintf(mode, sizeof mode, "-DTX=%d -DBK=%d%s", s->rows * s->cols / 4, GATHERED_ROWS, w.kernel[0] * w.kernel[1] == 1 ? " -DPOINT" : "");
    snprintf(text, size, "-DRM=%d -DTY=%d %s%s%s%s", s->fours, s->items_y, mode, is_long ? " -DLONG" : "", aligned(call, a, c) ? " -DALIGNED" : "", activation_option(a, activation));
}

clattn_status clattn_conv2d_gpu_tile(clattn_call *call, const void *args) {
    const clattn_conv2d_args *a = args;
    if (clattn_call_gpu(call)->local_is_memory) return run_direct(call, a);
    const clattn_window w = clattn_conv2d_window(a);
    const cut c = choose(call, a);
    const shape *s = c.shape;
    const int64_t oh = clattn_dim(call, "OH"), ow = clattn_dim(call, "OW"), taps = w.kernel[0] * w.kernel[1], images = a->x->shape[0], pixels = s->rows * s->cols;
    const int64_t blocks = round_up(a->weight->shape[0] / a->groups, channels_of(s)) / channels_of(s), step = c.channels ? c.channels * taps : GATHERED_ROWS;
    const int64_t tiles = c.channels ? round_up(oh, s->rows) / s->rows * (round_up(ow, s->cols) / s->cols) : round_up(images * oh * ow, pixels) / pixels;
    char options[200];
    clattn_buffer *packed;
    const clattn_status status = clattn_conv2d_pack(call, a, channels_of(s), &packed);
    if (status) return status;
    set_options(options, sizeof options, call, a, &c, clattn_dim(call, "I") * taps > LONG_SUM);
    return clattn_run_kernel(call, "conv2d_gpu", c.channels ? "tile" : "columns", options, 3, ((size_t[]){ (size_t)tiles * items_of(s), (size_t)(a->groups * blocks), c.channels ? (size_t)images : 1 }), ((size_t[]){ items_of(s), 1, 1 }), ARG_T(a->x), ARG_BUFFER(packed), ARG_T(a->bias), ARG_T(a->out), sizes_arg(call, a), clattn_window_arg(&w), clattn_arg_i64x4(a->groups, blocks, images, step >= PART_SUM ? step : PART_SUM / step * step));
}
