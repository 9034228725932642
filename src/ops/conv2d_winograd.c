/* conv2d by Winograd's F(4x4,3x3) on CPU devices: how the work is cut. */
#include "conv2d.h"

#define POSITIONS 36
#define WIDTH 16
/* Tiles of a strip at most: what is read again for each block of channels, and the sums of one block, stay in the level-2 cache. */
#define MOST_TILES 56
/* Of local memory: transformed inputs of a strip and the sums. */
#define LOCAL_LIMIT (240 << 10)
/* The weights that a strip reads whole; larger ones are read once for many tiles instead. */
#define CACHED_WEIGHTS (640 << 10)
/* Transformed inputs of as many images as the last cache may hold at once. */
#define CACHED_INPUTS (16 << 20)
/* Channels that a work-group transforms. */
#define CHANNELS 16
/* What it costs to transform a tile of one channel, there or back, in products. */
#define TRANSFORM 200

typedef struct plan {
    bool fused, fits;                 /* one launch: a work-group transforms its strip for itself; local memory is enough */
    int segment, tiles;               /* of the kernels: SEGMENT, MR */
    int64_t rows, cols, down, across; /* a strip's tiles, an image's strips */
    int64_t pitch, step, blocks;      /* transformed inputs: from a channel and a position to the next; blocks of channels */
    int64_t v_bytes, sums_bytes;      /* of a strip */
} plan;

/* Strips of nearly equal size of at most `most` tiles: whole rows if they fit. */
static void cut_strips(plan *p, int64_t down, int64_t across, int64_t most) {
    p->across = clattn_ceil_div(across, most);
    p->cols = clattn_ceil_div(across, p->across);
    p->across = clattn_ceil_div(across, p->cols);
    p->down = p->across > 1 ? down : clattn_ceil_div(down, most / p->cols);
    p->rows = clattn_ceil_div(down, p->down);
    p->down = clattn_ceil_div(down, p->rows);
}

/* Vectors of tiles, with what it costs to store them in pieces. */
static double vectors_of(const plan *p, int segment) {
    const double pieces = 16.0 / segment;
    return ceil((double)(p->rows * clattn_ceil_div(p->cols, segment)) / pieces) * (1 + 0.08 * (pieces - 1));
}

/* Tiles in registers: the last ones of a strip overlap those before, so that no strip may have fewer. */
static int choose_tiles(const plan *p, int64_t down, int64_t across, int sums) {
    static const int choices[] = { 14, 16, 12, 10, 8, 7, 6, 5, 4 };
    const int64_t most = p->rows * p->cols, last_rows = down - (p->down - 1) * p->rows, last_cols = across - (p->across - 1) * p->cols, least = last_rows * last_cols;
    int best = 1;
    int64_t lowest = INT64_MAX;
    for (size_t i = 0; i < CLATTN_COUNT(choices); i++) {
        const int n = choices[i];
        const int64_t cost = clattn_ceil_div(most, n) * (n + 3);
        if (n > least || n > sums || cost >= lowest) continue;
        lowest = cost;
        best = n;
    }
    return best;
}

static plan plan_strips(const clattn_call *call, int64_t most, int64_t blocks) {
    const int64_t down = clattn_ceil_div(clattn_dim(call, "OH"), 4), across = clattn_ceil_div(clattn_dim(call, "OW"), 4);
    plan p = { .segment = 16, .blocks = blocks };
    cut_strips(&p, down, across, most);
    for (int segment = 8; segment >= 4; segment /= 2)
        if (vectors_of(&p, segment) < vectors_of(&p, p.segment)) p.segment = segment;
    p.tiles = choose_tiles(&p, down, across, clattn_call_sums(call));
    p.pitch = clattn_ceil_div((p.rows - 1) * p.cols + clattn_ceil_div(p.cols, p.segment) * p.segment, 4) * 4;
    /* The 36 positions of a channel are written together: not all into the same sets of the level-1 cache. */
    p.step = p.pitch * clattn_dim(call, "I") + 16;
    p.v_bytes = POSITIONS * p.step * 4;
    p.sums_bytes = POSITIONS * (p.rows * p.cols + 1) * WIDTH * 4;
    return p;
}

static plan make_plan(const clattn_call *call, const clattn_conv2d_args *a) {
    const int64_t inputs = clattn_dim(call, "I"), blocks = clattn_ceil_div(clattn_dim(call, "O") / a->groups, WIDTH), images = a->groups * a->x->shape[0];
    const int64_t room = (int64_t)clattn_call_device(call)->local_memory, limit = room < LOCAL_LIMIT ? room : LOCAL_LIMIT;
    const int64_t wanted = 4 * (int64_t)clattn_call_device(call)->compute_units; /* work-groups */
    const bool light = POSITIONS * inputs * blocks * WIDTH * 4 <= CACHED_WEIGHTS;
    plan p;
    for (int64_t most = 28; most >= 7 && light; most -= 7) {
        p = plan_strips(call, most, blocks);
        p.fused = p.fits = p.v_bytes + p.sums_bytes <= limit;
        if (p.fits && p.down * p.across * images >= wanted) return p;
    }
    for (int64_t most = MOST_TILES; most >= 1; most /= 2) {
        p = plan_strips(call, most, blocks);
        p.fits = p.sums_bytes <= limit;
        if (p.fits && (most <= 14 || p.down * p.across * images * blocks >= wanted)) break;
    }
    return p;
}

const char *clattn_conv2d_winograd_refusal(const clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    if (a->precision != CLATTN_PRECISION_FAST) return "precision is exact";
    if (w.kernel[0] != 3 || w.kernel[1] != 3) return "the kernel is not 3x3";
    if (w.stride[0] != 1 || w.stride[1] != 1) return "the stride is not 1";
    if (w.dilation[0] != 1 || w.dilation[1] != 1) return "the dilation is not 1";
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (clattn_dim(call, "I") < 1 || clattn_dim(call, "I") > INT32_MAX / (POSITIONS * 128)) return "there are no channels, or more than 400,000";
    return make_plan(call, a).fits ? NULL : "the sums of one tile do not fit local memory";
}

const char *clattn_conv2d_winograd_slow(const clattn_call *call, const clattn_conv2d_args *a) {
    const double inputs = (double)clattn_dim(call, "I"), outputs = (double)(clattn_dim(call, "O") / a->groups), pixels = (double)(clattn_dim(call, "OH") * clattn_dim(call, "OW"));
    const double tiles = (double)(clattn_ceil_div(clattn_dim(call, "OH"), 4) * clattn_ceil_div(clattn_dim(call, "OW"), 4));
    return tiles * (POSITIONS * inputs * outputs + TRANSFORM * (inputs + outputs)) < 9 * pixels * inputs * outputs ? NULL : "it would not be faster";
}

static clattn_status pack(clattn_call *call, const clattn_conv2d_args *a, const plan *p, clattn_buffer **packed) {
    const int64_t inputs = clattn_dim(call, "I"), outputs = clattn_dim(call, "O") / a->groups;
    char key[64];
    bool fresh;
    snprintf(key, sizeof key, "conv2d winograd g%lld", (long long)a->groups);
    const clattn_status status = clattn_packed(call, a->weight, key, (size_t)(a->groups * p->blocks * WIDTH * POSITIONS * inputs) * 4, packed, &fresh);
    if (status || !fresh) return status;
    return clattn_run_kernel(call, "conv2d_winograd", "weights", "", 2, ((size_t[]){ (size_t)p->blocks, (size_t)a->groups }), ((size_t[]){ 1, 1 }), ARG_T(a->weight), ARG_BUFFER(*packed), ARG_I64(outputs), ARG_I64(inputs));
}

/* Some images at a time: their transformed inputs, then the products. */
static clattn_status run_in_two(clattn_call *call, const clattn_conv2d_args *a, const plan *p, clattn_buffer *packed, const char *options, clattn_arg window, clattn_arg shape) {
    const size_t strips = (size_t)(p->down * p->across), parts = (size_t)(a->groups * clattn_ceil_div(clattn_dim(call, "I"), CHANNELS));
    const int64_t image_bytes = (int64_t)strips * a->groups * p->v_bytes, images = a->x->shape[0];
    int64_t at_once = CACHED_INPUTS / image_bytes;
    if (at_once < 1) at_once = 1;
    if (at_once > images) at_once = images;
    clattn_tensor v;
    clattn_status status = clattn_scratch(call, &v, CLATTN_F32, 2, (int64_t[]){ at_once, image_bytes / 4 });
    for (int64_t first = 0; first < images && !status; first += at_once) {
        const size_t count = (size_t)(images - first < at_once ? images - first : at_once);
        status = clattn_run_kernel(call, "conv2d_winograd", "transform", options, 3, ((size_t[]){ strips, parts, count }), ((size_t[]){ 1, 1, 1 }), ARG_T(a->x), ARG_T(&v), clattn_conv2d_sizes(call, a), window, shape, ARG_I64(CHANNELS), ARG_I64(first));
        if (!status) status = clattn_run_kernel(call, "conv2d_winograd", "multiply", options, 3, ((size_t[]){ strips, (size_t)(a->groups * p->blocks), count }), ((size_t[]){ 1, 1, 1 }), ARG_T(&v), ARG_BUFFER(packed), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), shape, ARG_I64(first), ARG_LOCAL((size_t)p->sums_bytes));
    }
    return status;
}

clattn_status clattn_conv2d_winograd(clattn_call *call, const void *raw) {
    const clattn_conv2d_args *a = raw;
    const clattn_window w = clattn_conv2d_window(a);
    const plan p = make_plan(call, a);
    clattn_buffer *packed;
    char options[96];
    const clattn_status status = pack(call, a, &p, &packed);
    if (status) return status;
    const clattn_arg window = clattn_window_arg(&w), shape = clattn_arg_i64x8(p.rows, p.cols, p.pitch, p.step, a->groups, p.blocks, clattn_tensor_count(a->x), 0);
    snprintf(options, sizeof options, "-DSPACE=%s -DSEGMENT=%d%s -DMR=%d -DACT=%d", p.fused ? "__local" : "__global", p.segment, p.cols >= p.segment ? " -DBEYOND" : "", p.tiles, (int)a->activation);
    if (!p.fused) return run_in_two(call, a, &p, packed, options, window, shape);
    return clattn_run_kernel(call, "conv2d_winograd", "fused", options, 3, ((size_t[]){ (size_t)(p.down * p.across), (size_t)a->groups, (size_t)a->x->shape[0] }), ((size_t[]){ 1, 1, 1 }), ARG_T(a->x), ARG_BUFFER(packed), ARG_T(a->bias), ARG_T(a->out), clattn_conv2d_sizes(call, a), window, shape, ARG_LOCAL((size_t)p.v_bytes), ARG_LOCAL((size_t)p.sums_bytes));
}
