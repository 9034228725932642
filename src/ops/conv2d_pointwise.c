/* conv2d with a 1x1 kernel on CPU devices: how the work is cut. */
#include "conv2d.h"

/* Vectors of pixels that a work-group has at most, and tiles of channels, for the sums of both stay in the level-1 cache's reach. */
#define MOST_VECTORS 8
#define MOST_VECTORS_FEW 4 /* where few tiles' sums are in registers and x is read again for each: it stays in the level-1 cache */
#define MOST_TILES 8
/* Sums in registers: 14 channels of 2 vectors, or 6 of 1. */
#define MOST_CHANNELS 14
#define TOGETHER 2
#define MOST_CHANNELS_FEW 6
#define TOGETHER_FEW 1
/* Products that are summed before they are added to the other sums: errors grow with a sum's length, and the pixels of so many channels are
 * read again for each tile, from the level-1 cache if they fit. */
#define MOST_PRODUCTS 64
/* Work-groups wanted at least. */
#define FEW_GROUPS 16

typedef struct plan {
    int channels, together; /* of a tile, and vectors whose sums are in registers with them */
    int64_t vectors, strips, tiles, tiles_per_group, parts, pass;
    int64_t tile_bytes; /* of the sums of one tile */
} plan;

static plan make_plan(const clattn_call *call, const clattn_conv2d_args *a) {
    const int64_t inputs = clattn_dim(call, "I"), outputs = clattn_dim(call, "O") / a->groups, total = clattn_ceil_div(clattn_dim(call, "OH") * clattn_dim(call, "OW"), 16);
    const bool few = clattn_few_registers(clattn_call_device(call));
    const int64_t most = few ? MOST_CHANNELS_FEW : MOST_CHANNELS;
    plan p = { .channels = (int)clattn_ceil_div(outputs, clattn_ceil_div(outputs, most)), .together = few ? TOGETHER_FEW : TOGETHER };
    p.strips = clattn_ceil_div(total, few ? MOST_VECTORS_FEW : MOST_VECTORS);
    p.vectors = clattn_ceil_div(total, p.strips);
    p.tiles = clattn_ceil_div(outputs, p.channels);
    p.tile_bytes = p.channels * p.vectors * 64;
    const int64_t fitting = (int64_t)clattn_call_device(call)->local_memory / p.tile_bytes;
    p.parts = clattn_ceil_div(p.tiles, fitting < 1 ? 1 : fitting < MOST_TILES ? fitting : MOST_TILES);
    while (p.parts < p.tiles && p.strips * a->groups * p.parts * a->x->shape[0] < FEW_GROUPS) p.parts *= 2;
    if (p.parts > p.tiles) p.parts = p.tiles;
    p.tiles_per_group = clattn_ceil_div(p.tiles, p.parts);
    p.parts = clattn_ceil_div(p.tiles, p.tiles_per_group);
    p.pass = clattn_ceil_div(inputs, clattn_ceil_div(inputs, MOST_PRODUCTS));
    return p;
}

const char *clattn_conv2d_pointwise_refusal(const clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    for (int axis = 0; axis < 2; axis++)
        if (w.kernel[axis] != 1 || w.stride[axis] != 1 || w.before[axis] || w.after[axis]) return "it is not 1x1 with stride 1 and no padding";
    if (clattn_dim(call, "H") * clattn_dim(call, "W") < 16) return "a plane has fewer than 16 pixels";
    if (clattn_dim(call, "I") < 1 || clattn_dim(call, "O") < 1) return "there are no channels";
    if (make_plan(call, a).tile_bytes > (int64_t)clattn_call_device(call)->local_memory) return "the sums of one tile do not fit local memory";
    return NULL;
}

clattn_status clattn_conv2d_pointwise(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const plan p = make_plan(call, a);
    char options[64];
    clattn_buffer *packed;
    const clattn_status status = clattn_conv2d_pack(call, a, p.channels, &packed);
    if (status) return status;
    snprintf(options, sizeof options, "-DMR=%d -DVECTORS=%d -DACT=%d", p.channels, p.together, (int)a->activation);
    const clattn_arg cut = clattn_arg_i64x8(p.vectors, p.pass, a->groups, p.tiles, p.tiles_per_group, 0, 0, 0);
    return clattn_run_kernel(call, "conv2d_pointwise", "pointwise", options, 3, ((size_t[]){ (size_t)p.strips, (size_t)(a->groups * p.parts), (size_t)a->x->shape[0] }), ((size_t[]){ 1, 1, 1 }), ARG_T(a->x), ARG_BUFFER(packed), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), cut, ARG_LOCAL((size_t)(p.tiles_per_group * p.tile_bytes)));
}
