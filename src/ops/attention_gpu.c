/* Attention on GPUs: groups that share tiles in local memory. Scores, weights and sums come from row_sums by the scalar kernels. */
#include "attention.h"

/* How a group is cut, see attention_gpu.cl. The first that serves the value's width in the device's local memory is taken. More
 * rows an item would spill on Intel, and leave AMD and NVIDIA too few groups to hide latency. */
typedef struct gpu_tile {
    int width, items_x, items_y, queries, keys, value_rows; /* keys and queries an item */
} gpu_tile;

static const gpu_tile tiles[] = {
    { 32, 8, 16, 4, 2, 16 },
    { 64, 16, 16, 4, 2, 32 },
    { 128, 16, 16, 2, 4, 16 },
    { 256, 32, 8, 2, 4, 16 },
    { 32, 8, 8, 4, 2, 16 },
    { 64, 16, 8, 4, 2, 16 },
    { 128, 16, 8, 2, 2, 16 },
    { 256, 16, 8, 2, 2, 4 },
    { 0 },
};
static const gpu_tile intel_tiles[] = { { 32, 8, 16, 2, 4, 32 }, { 64, 16, 16, 2, 4, 16 }, { 128, 16, 16, 2, 4, 16 }, { 256, 32, 8, 2, 2, 8 }, { 0 } };

static int rounded_up(int64_t size, int unit) {
    return (int)((size + unit - 1) / unit) * unit;
}

static int tile_width(const gpu_tile *t, const attention_problem *p) {
    return rounded_up(p->value_depth, 4 * t->items_x);
}

static size_t tile_bytes(const gpu_tile *t, const attention_problem *p) {
    const int row = 36, rows = t->items_y * t->queries, keys = t->items_x * t->keys, values = t->value_rows * tile_width(t, p); /* floats */
    return 4 * (size_t)(rows * row + (keys * row > values ? keys * row : values) + rows * keys + rows * t->items_x + 4);
}

static const gpu_tile *tile_of(const clattn_call *call, const attention_problem *p) {
    const clattn_device_info *device = clattn_call_device(call);
    const bool intel = device->kind == CLATTN_DEVICE_GPU && strstr(device->vendor, "Intel");
    for (const gpu_tile *t = intel ? intel_tiles : tiles; t->width; t++)
        if (p->value_depth <= t->width && tile_bytes(t, p) <= device->local_memory && (size_t)(t->items_x * t->items_y) <= device->max_work_group) return t;
    return NULL;
}

/* Offsets inside one head are 32 bits wide, in bytes. */
static bool reaches_far(const clattn_tensor *tensor, int64_t rows) {
    return tensor->strides[2] > 0 && rows > (1 << 28) / tensor->strides[2];
}

/* Those in a mask or bias are so in elements. */
static bool extra_reaches_far(const clattn_tensor *tensor) {
    return tensor && clattn_tensor_span(tensor) > 1 << 30;
}

const char *clattn_attention_gpu_refusal(const clattn_call *call, const attention_problem *p) {
    const clattn_attention_args *a = &p->tensors;
    if (p->dropped_below) return "there is dropout";
    if (p->depth < 1 || p->depth > 256 || p->value_depth < 1 || p->value_depth > 256) return "the head size is outside 1..256";
    if (p->queries > 1 << 28 || p->keys > 1 << 28) return "there are more than 2^28 queries or keys";
    if (reaches_far(a->query, p->queries) || reaches_far(a->key, p->keys) || reaches_far(a->value, p->keys)) return "a head's queries, keys or values reach over more than 2^28 elements";
    if (extra_reaches_far(a->mask) || extra_reaches_far(a->bias)) return "the mask or bias reaches over more than 2^30 elements";
    return tile_of(call, p) ? NULL : "the device's local memory or work-groups are too small for the head size";
}

/* Whether rows begin at multiples of 16 bytes. */
static bool aligned(const clattn_tensor *tensor) {
    return tensor->offset % 4 == 0 && tensor->strides[0] % 4 == 0 && tensor->strides[1] % 4 == 0 && tensor->strides[2] % 4 == 0;
}

static void set_options(char *text, size_t size, const gpu_tile *t, const attention_problem *p) {
    const clattn_attention_args *a = &p->tensors;
    char features[64];
    const int depth = rounded_up(p->depth, 32), width = tile_width(t, p);
    const bool whole = depth == p->depth && width == p->value_depth, in_vectors = aligned(a->query) && aligned(a->key) && aligned(a->value) && aligned(a->out);
    clattn_attention_features(features, sizeof features, p, false);
    snprintf(text, size, "-DDEPTH=%d -DWIDTH=%d -DTX=%d -DTY=%d -DMQ=%d -DMK=%d -DVC=%d%s%s%s", depth, width, t->items_x, t->items_y, t->queries, t->keys, t->value_rows, whole ? "" : " -DTAIL", in_vectors ? " -DALIGNED" : "", features);
}

clattn_status clattn_attention_gpu_run(clattn_call *call, attention_problem *p) {
    char options[200];
    const gpu_tile *t = tile_of(call, p);
    const clattn_attention_args *a = &p->tensors;
    const size_t items = (size_t)(t->items_x * t->items_y), rows = (size_t)(t->items_y * t->queries), blocks = ((size_t)p->queries + rows - 1) / rows;
    set_options(options, sizeof options, t, p);
    return clattn_run_kernel(call, "attention_gpu", "tile", options, 2, ((size_t[]){ blocks * items, (size_t)(p->batches * p->heads) }), ((size_t[]){ items, 1 }), ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(a->mask), ARG_T(a->bias), ARG_T(a->key_lengths), ARG_T(a->alibi_slopes), ARG_T(a->sinks), ARG_T(a->out), ARG_T(a->lse), ARG_T(p->row_sums),
        clattn_arg_strides4(a->query), clattn_arg_strides4(a->key), clattn_arg_strides4(a->value), clattn_arg_strides4(a->out), clattn_attention_extra_strides(p, a->mask), clattn_attention_extra_strides(p, a->bias), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), clattn_arg_i64x4(p->depth, p->value_depth, p->left, p->right), ARG_I32(p->flags), ARG_F32((double)p->scale * 1.4426950408889634), ARG_F32((double)a->softcap * 1.4426950408889634));
}
