/* Attention on GPUs: groups that share tiles in local memory. Scores, weights and sums come from row_sums by the scalar kernels. */
#include "attention.h"
#include "gpu.h"

#define LOG2_UNITS(x) ARG_F32((double)(x)*1.4426950408889634)

/* How a group is cut, see attention_gpu.cl. The first that serves the value's width in the device's local memory is taken. More
 * rows an item would spill on Intel, and leave AMD and NVIDIA too few groups to hide latency. */
typedef struct gpu_tile {
    int width, items_x, items_y, queries, keys, value_rows; /* keys and queries an item */
    bool simple; /* not with a mask or bias and also a softcap or slopes: its registers are full */
} gpu_tile;

static const gpu_tile tiles[] = {
    { 32, 8, 16, 4, 2, 16, false },
    { 64, 16, 16, 4, 2, 32, false },
    { 128, 16, 16, 2, 4, 16, false },
    { 256, 32, 8, 2, 4, 16, false },
    { 32, 8, 8, 4, 2, 16, false },
    { 64, 16, 8, 4, 2, 16, false },
    { 128, 16, 8, 2, 2, 16, false },
    { 256, 16, 8, 2, 2, 4, false },
    { 0, 0, 0, 0, 0, 0, false },
};
/* For the families with few registers. */
static const gpu_tile small_tiles[] = { { 32, 8, 16, 2, 4, 32, false }, { 64, 16, 16, 2, 4, 16, false }, { 128, 16, 16, 2, 4, 16, true }, { 256, 32, 8, 2, 2, 8, false }, { 0, 0, 0, 0, 0, 0, false } };

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
    const int row = clattn_tuned(call, "cut", 0);
    int at = 0;
    const bool simple = !(p->flags & (ATTENTION_MASK | ATTENTION_BIAS)) || !(p->flags & (ATTENTION_CAP | ATTENTION_SLOPES));
    for (const gpu_tile *t = clattn_call_gpu(call)->few_registers ? small_tiles : tiles; t->width; t++)
        if ((++at == row || !row) && p->value_depth <= t->width && (simple || !t->simple) && tile_bytes(t, p) <= device->local_memory && (size_t)(t->items_x * t->items_y) <= device->max_work_group) return t;
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

/* What both kernels ask for. */
static const char *refusal(const attention_problem *p) {
    const clattn_attention_args *a = &p->tensors;
    if (p->dropped_below) return "there is dropout";
    if (p->depth < 1 || p->depth > 256 || p->value_depth < 1 || p->value_depth > 256) return "the head size is outside 1..256";
    if (p->queries > 1 << 28 || p->keys > 1 << 28) return "there are more than 2^28 queries or keys";
    if (reaches_far(a->query, p->queries) || reaches_far(a->key, p->keys) || reaches_far(a->value, p->keys)) return "a head's queries, keys or values reach over more than 2^28 elements";
    return NULL;
}

const char *clattn_attention_gpu_refusal(const clattn_call *call, const attention_problem *p) {
    const char *why = refusal(p);
    if (why) return why;
    if (extra_reaches_far(p->tensors.mask) || extra_reaches_far(p->tensors.bias)) return "the mask or bias reaches over more than 2^30 elements";
    return tile_of(call, p) ? NULL : "the device's local memory or work-groups are too small for the head size";
}

/* Whether rows begin at multiples of 16 bytes. */
static bool aligned(const clattn_tensor *tensor) {
    return tensor->offset % 4 == 0 && tensor->strides[0] % 4 == 0 && tensor->strides[1] % 4 == 0 && tensor->strides[2] % 4 == 0;
}

/* How both kernels are compiled; `cut` is what else they are cut by. */
static void set_options(char *text, size_t size, const attention_problem *p, int width, const char *cut) {
    const clattn_attention_args *a = &p->tensors;
    char features[64];
    const int depth = rounded_up(p->depth, 32);
    const bool whole = depth == p->depth && width == p->value_depth, in_vectors = aligned(a->query) && aligned(a->key) && aligned(a->value) && aligned(a->out);
    clattn_attention_features(features, sizeof features, p, false);
    snprintf(text, size, "-DDEPTH=%d -DWIDTH=%d %s%s%s%s", depth, width, cut, whole ? "" : " -DTAIL", in_vectors ? " -DALIGNED" : "", features);
}

clattn_status clattn_attention_gpu_run(clattn_call *call, attention_problem *p) {
    char options[200], cut[80];
    const gpu_tile *t = tile_of(call, p);
    const clattn_attention_args *a = &p->tensors;
    const size_t items = (size_t)(t->items_x * t->items_y), rows = (size_t)(t->items_y * t->queries), blocks = ((size_t)p->queries + rows - 1) / rows;
    snprintf(cut, sizeof cut, "-DTX=%d -DTY=%d -DMQ=%d -DMK=%d -DVC=%d", t->items_x, t->items_y, t->queries, t->keys, t->value_rows);
    set_options(options, sizeof options, p, tile_width(t, p), cut);
    return clattn_run_kernel(call, "attention_gpu", "tile", options, 2, ((size_t[]){ blocks * items, (size_t)(p->batches * p->heads) }), ((size_t[]){ items, 1 }), ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(a->mask), ARG_T(a->bias), ARG_T(a->key_lengths), ARG_T(a->alibi_slopes), ARG_T(a->sinks), ARG_T(a->out), ARG_T(a->lse), ARG_T(p->row_sums),
        clattn_arg_strides4(a->query), clattn_arg_strides4(a->key), clattn_arg_strides4(a->value), clattn_arg_strides4(a->out), clattn_attention_extra_strides(p, a->mask), clattn_attention_extra_strides(p, a->bias), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), clattn_arg_i64x4(p->depth, p->value_depth, p->left, p->right), ARG_I32(p->flags), LOG2_UNITS(p->scale), LOG2_UNITS(a->softcap));
}

/* ---- Few queries: the keys are split into parts ---- */

enum { PART = 256, DECODE_ITEMS = 128 }; /* PART and GROUP in attention_gpu.cl */

/* Queries that read the same keys and values. */
static int64_t shared_rows(const attention_problem *p) {
    return p->kv_heads ? p->heads / p->kv_heads * p->queries : 0;
}

static int decode_width(const attention_problem *p) {
    int width = 32;
    while (width < p->value_depth) width *= 2;
    return width;
}

/* How many of these rows a group takes: all up to 8 (4 where 8 would spill), as far as 16 KiB of local memory go, for with more
 * too few groups run at a time; 0 = none. */
static int decode_rows(const clattn_call *call, const attention_problem *p) {
    const clattn_device_info *device = clattn_call_device(call);
    const int most = clattn_call_gpu(call)->few_registers ? 4 : 8;
    int rows = 1;
    while (rows < most && rows < shared_rows(p)) rows *= 2;
    for (; rows; rows /= 2) {
        const int sums = 128 * rows; /* of 16 keys by 8 items */
        const size_t floats = (size_t)(rows * (rounded_up(p->depth, 32) + PART) + (sums > 4 * DECODE_ITEMS ? sums : 4 * DECODE_ITEMS));
        if (4 * floats <= 16384 && 4 * floats <= device->local_memory) return rows;
    }
    return 0;
}

const char *clattn_attention_gpu_decode_refusal(const clattn_call *call, const attention_problem *p) {
    const char *why = refusal(p);
    if (why) return why;
    if (p->queries > 4) return "there are more than 4 queries";
    if (clattn_call_device(call)->max_work_group < DECODE_ITEMS) return "the device's work-groups are smaller than 128";
    return decode_rows(call, p) ? NULL : "the device's local memory is too small for the head size";
}

clattn_status clattn_attention_gpu_decode_run(clattn_call *call, attention_problem *p) {
    char options[200], cut[16];
    clattn_tensor parts, sums;
    const clattn_attention_args *a = &p->tensors;
    const int rows = decode_rows(call, p), width = decode_width(p);
    const int64_t part_count = p->keys ? (p->keys + PART - 1) / PART : 1, blocks = (shared_rows(p) + rows - 1) / rows, all = p->batches * p->heads * p->queries;
    clattn_status status = clattn_scratch(call, &parts, CLATTN_F32, 3, (int64_t[]){ all, part_count, width });
    if (!status) status = clattn_scratch(call, &sums, CLATTN_F32, 3, (int64_t[]){ all, part_count, 2 });
    if (status) return status;
    snprintf(cut, sizeof cut, "-DROWS=%d", rows);
    set_options(options, sizeof options, p, width, cut);
    status = clattn_run_kernel(call, "attention_gpu", "decode", options, 2, ((size_t[]){ (size_t)part_count * DECODE_ITEMS, (size_t)(blocks * p->batches * p->kv_heads) }), ((size_t[]){ DECODE_ITEMS, 1 }), ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(a->mask), ARG_T(a->bias), ARG_T(a->key_lengths), ARG_T(a->alibi_slopes), ARG_T(&parts), ARG_T(&sums),
        clattn_arg_strides4(a->query), clattn_arg_strides4(a->key), clattn_arg_strides4(a->value), clattn_attention_extra_strides(p, a->mask), clattn_attention_extra_strides(p, a->bias), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), clattn_arg_i64x4(p->depth, p->value_depth, p->left, p->right), ARG_I32(p->flags), LOG2_UNITS(p->scale), LOG2_UNITS(a->softcap));
    if (status) return status;
    snprintf(options, sizeof options, "-DWIDTH=%d", width);
    return clattn_run_kernel(call, "attention_gpu", "join", options, 1, ((size_t[]){ (size_t)all * 64 }), ((size_t[]){ 64 }), ARG_T(&parts), ARG_T(&sums), ARG_T(a->sinks), ARG_T(a->out), ARG_T(a->lse), ARG_T(p->row_sums), clattn_arg_strides4(a->out), clattn_arg_i64x4(p->heads, p->kv_heads, p->queries, p->keys), ARG_I32(p->value_depth), ARG_I32(part_count), ARG_I32(p->flags));
}
