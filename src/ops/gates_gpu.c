/* gpu: squeeze_excite, channel_attention, spatial_attention and cbam in a few launches of many items: pools, the two layers, then the
 * product; or with a spatial gate maximum and mean over the channels, then its convolution and the product in one. */
#include "gates.h"
#include "gpu.h"
#include "planes_gpu.h"

#define MOST_LOCAL 16384  /* bytes for the maps of a tile: what any device has */
#define LEAST_CHANNELS 16 /* of a group, which convolves its tile for them */

/* ---- The channel gate ---- */

/* values[images][rows] = sum over the pools of act(w . in[images][pools][length] + times * bias). */
typedef struct gate_layer {
    const clattn_tensor *in, *w, *bias, *values;
    int64_t images, pools, length, rows;
    int times, activation;
} gate_layer;

/* Several images share what is read of a weight; of one image several rows share its pools. */
static clattn_status run_layer(clattn_call *call, const gate_layer *l) {
    const int64_t images = l->images < 4 ? 1 : 4, rows = l->images < 4 ? 4 : 2, row_tiles = clattn_ceil_div(l->rows, rows), tiles = row_tiles * clattn_ceil_div(l->images, images);
    int64_t lanes = rows * images;
    char options[64];
    size_t items;
    snprintf(options, sizeof options, "-DROWS=%d -DIMAGES=%d -DACT=%d", (int)rows, (int)images, l->activation);
    const clattn_status status = clattn_planes_group(call, "gates_gpu", "layer", options, sizeof options, &items);
    if (status) return status;
    while (lanes < (int64_t)items && 8 * lanes < l->length) lanes *= 2;
    const size_t groups = (size_t)clattn_ceil_div(tiles * lanes, (int64_t)items);
    return clattn_run_kernel(call, "gates_gpu", "layer", options, 1, (size_t[]){ groups * items }, (size_t[]){ items }, ARG_T(l->in), ARG_T(l->w), ARG_T(l->bias), ARG_T(l->values), ARG_I32(l->images), ARG_I32(l->pools), ARG_I32(l->length), ARG_I32(l->rows), ARG_I32(row_tiles), ARG_F32(l->times), ARG_I32(lanes));
}

static clattn_status channel_gate(clattn_call *call, const clattn_gates *g, const clattn_tensor *gate) {
    const int64_t images = g->x->shape[0], channels = g->x->shape[1], count = g->w1->shape[0];
    int pools = 0;
    for (int kinds = g->kinds; kinds; kinds >>= 1) pools += kinds & 1;
    clattn_tensor pooled, hidden;
    clattn_status status = clattn_scratch(call, &pooled, CLATTN_F32, 3, (int64_t[]){ images, pools, channels });
    if (!status) status = clattn_scratch(call, &hidden, CLATTN_F32, 2, (int64_t[]){ images, count });
    if (!status) status = clattn_planes_pool(call, g->x, g->kinds, &pooled, false);
    if (!status) status = run_layer(call, &(gate_layer){ &pooled, g->w1, g->b1, &hidden, images, pools, channels, count, 1, g->activation });
    /* The second layer is linear: it takes the sum of the pools' hidden values, and its bias once for each. */
    return status ? status : run_layer(call, &(gate_layer){ &hidden, g->w2, g->b2, gate, images, 1, count, channels, pools, g->gate });
}

/* ---- The spatial gate ---- */

/* A tile of wide x tall * down pixels. */
typedef struct gate_tile {
    int64_t wide, tall, down;
    bool near; /* the maps around it are copied to local memory */
} gate_tile;

static int64_t tile_bytes(const gate_tile *t, int64_t k) {
    return 8 * ((t->tall * t->down + k - 1) * (t->wide + k - 1) + k * k) + 4 * CLATTN_MOST_ITEMS; /* with the gates of as many channels */
}

/* As wide as the image up to 32, and no taller than it. */
static gate_tile tile_of(const clattn_call *call, const clattn_gates *g, int64_t items) {
    const int64_t height = g->x->shape[2], width = g->x->shape[3], k = g->weight->shape[3];
    gate_tile t = { .wide = width > 16 ? 32 : width > 8 ? 16 : 8, .down = 4 };
    t.tall = items / t.wide;
    while (t.tall > 1 && t.tall / 2 >= height) t.tall /= 2;
    while (t.down > 1 && t.tall * t.down / 2 >= height) t.down /= 2;
    const clattn_device_info *device = clattn_call_device(call);
    const int64_t most = device->local_memory < MOST_LOCAL ? (int64_t)device->local_memory : MOST_LOCAL;
    t.near = !clattn_call_gpu(call)->local_is_memory && k <= 31 && tile_bytes(&t, k) <= most;
    return t;
}

/* The largest whose kernel may have so many items; its options. */
static clattn_status choose_tile(clattn_call *call, const clattn_gates *g, gate_tile *t, size_t *items, char *options, size_t size) {
    char near[16] = "";
    size_t limit;
    clattn_status status;
    *items = 2 * clattn_planes_items(call);
    do {
        *items /= 2;
        *t = tile_of(call, g, (int64_t)*items);
        if (t->near) snprintf(near, sizeof near, " -DK=%d", (int)g->weight->shape[3]);
        snprintf(options, size, "-DGROUP=%zu -DWIDE=%d -DTALL=%d -DDOWN=%d%s%s", *items, (int)t->wide, (int)t->tall, (int)t->down, near, g->channel ? " -DGATED" : "");
        status = clattn_call_kernel_items(call, "gates_gpu", "finish", options, &limit);
    } while (!status && *items > limit && *items > CLATTN_LEAST_ITEMS);
    return status;
}

/* How many shares the channels are cut into, so that there are groups enough. */
static int64_t shares_of(const clattn_call *call, int64_t channels, int64_t groups) {
    const int64_t wanted = clattn_ceil_div(clattn_planes_groups(call), groups), most = channels / LEAST_CHANNELS;
    return wanted < most ? wanted : most < 1 ? 1 : most;
}

static clattn_status finish(clattn_call *call, const clattn_gates *g, const clattn_tensor *gate, const clattn_tensor *maps) {
    const int64_t images = g->x->shape[0], channels = g->x->shape[1], height = g->x->shape[2], width = g->x->shape[3], k = g->weight->shape[3];
    char options[96];
    gate_tile t;
    size_t items;
    const clattn_status status = choose_tile(call, g, &t, &items, options, sizeof options);
    if (status) return status;
    const int64_t across = clattn_ceil_div(width, t.wide), down = clattn_ceil_div(height, t.tall * t.down), groups = images * across * down;
    const int64_t even = clattn_ceil_div(clattn_ceil_div(channels, shares_of(call, channels, groups)), 8) * 8;
    const int64_t share = !g->out ? channels : even < (int64_t)items ? even : (int64_t)items; /* a group has the gates of one channel an item */
    const int64_t shares = channels && g->out ? clattn_ceil_div(channels, share) : 1;
    return clattn_run_kernel(call, "gates_gpu", "finish", options, 1, (size_t[]){ (size_t)(groups * shares) * items }, (size_t[]){ items }, ARG_T(g->x), ARG_T(gate), ARG_T(maps), ARG_T(g->weight), ARG_T(g->gamma), ARG_T(g->beta), ARG_T(g->mean), ARG_T(g->var), ARG_T(g->out), ARG_T(g->spatial_gate),
        ARG_F32(g->eps), ARG_I32(channels), ARG_I32(height), ARG_I32(width), ARG_I32(k), ARG_I32(across), ARG_I32(down), ARG_I32(shares), ARG_I32(share));
}

/* ---- Both ---- */

const char *clattn_gates_gpu_refusal(const clattn_call *call, const clattn_gates *g) {
    if (g->channel && (double)g->w1->shape[0] * (double)g->w1->shape[1] > 1 << 30) return "the layers have more than 2^30 weights";
    const char *why = g->spatial ? clattn_planes_channels_refusal(call, g->x) : clattn_planes_refusal(call, g->x);
    if (why || !g->spatial) return why;
    const gate_tile t = tile_of(call, g, CLATTN_LEAST_ITEMS);
    const int64_t blocks = clattn_ceil_div(g->x->shape[3], t.wide) * clattn_ceil_div(g->x->shape[2], t.tall * t.down), shares = g->x->shape[1] / LEAST_CHANNELS + 1;
    if (g->weight->shape[3] > 1 << 14) return "the convolution is larger than 2^14";
    return (double)g->x->shape[0] * (double)blocks * (double)shares > 2147483647.0 ? "there are more than 2^31 tiles" : NULL;
}

clattn_status clattn_gates_gpu(clattn_call *call, const clattn_gates *g) {
    clattn_status status = CLATTN_OK;
    clattn_tensor gate = { 0 }, maps;
    if (g->channel && g->channel_gate) gate = *g->channel_gate;
    else if (g->channel) status = clattn_scratch(call, &gate, CLATTN_F32, 2, g->x->shape);
    if (!status && g->channel) status = channel_gate(call, g, &gate);
    if (status || (!g->out && !(g->spatial && g->spatial_gate)) || g->x->shape[0] * g->x->shape[2] * g->x->shape[3] == 0) return status;
    if (!g->spatial) return clattn_planes_scale(call, g->x, &gate, g->out);
    const clattn_tensor *factors = g->channel ? &gate : NULL;
    status = clattn_scratch(call, &maps, CLATTN_F32, 4, (int64_t[]){ g->x->shape[0], 2, g->x->shape[2], g->x->shape[3] });
    if (!status) status = clattn_planes_channels(call, g->x, factors, &maps, g->mean_first, !g->mean_first, 2);
    return status ? status : finish(call, g, factors, &maps);
}
