/* Additive attention on GPUs: tiles in local memory, see additive_attention_gpu.cl. */
#include "additive_attention.h"
#include "gpu.h"

#define COLUMN_STEP 32                  /* CHUNK in attention_gpu_tile.cl */
#define WIDEST 256                      /* value that a group has the sums of */
#define MOST_WEIGHTS ((int64_t)1 << 26) /* that are kept for wider ones; else each WIDEST columns make the scores anew */
#define REACH (1 << 28)                 /* offsets inside one batch are 32 bits wide, in bytes */

/* See attention_gpu.c. More queries an item leave AMD too few registers, with the reciprocals' operands. */
static const clattn_gpu_tile tiles[] = {
    { 32, 8, 32, 2, 4, 16 },
    { 64, 16, 16, 2, 4, 16 },
    { 128, 16, 16, 2, 4, 16 },
    { 256, 32, 8, 2, 2, 8 },
    { 32, 8, 16, 2, 4, 16 },
    { 64, 16, 8, 2, 4, 16 },
    { 128, 16, 8, 2, 2, 8 },
    { 256, 32, 4, 2, 2, 4 },
    { 0, 0, 0, 0, 0, 0 },
};

typedef struct additive_sizes {
    int64_t batches, queries, keys, size, value_size, padded;
    float factor; /* exponents of 2 per unit of query + key */
} additive_sizes;

static additive_sizes sizes_of(const clattn_call *call, const clattn_additive_attention_args *a) {
    additive_sizes s = { .batches = clattn_dim(call, "B"), .queries = clattn_dim(call, "Tq"), .keys = clattn_dim(call, "Tk"), .size = clattn_dim(call, "D"), .value_size = clattn_dim(call, "Dv") };
    s.padded = (s.size + COLUMN_STEP - 1) / COLUMN_STEP * COLUMN_STEP;
    s.factor = (float)(2 / log(2.0) * (double)a->inner_scale.value);
    return s;
}

/* The columns of the values that a group has at a time. */
static int64_t width_of(const additive_sizes *s) {
    return s->value_size < 1 ? 1 : s->value_size < WIDEST ? s->value_size : WIDEST;
}

static const clattn_gpu_tile *tile_of(const clattn_call *call, const additive_sizes *s) {
    for (const clattn_gpu_tile *t = tiles; t->width; t++)
        if (width_of(s) <= t->width && clattn_gpu_tile_fits(call, t, width_of(s))) return t;
    return NULL;
}

static bool reaches_far(int64_t rows, int64_t size) {
    return size > 0 && rows > REACH / size;
}

static bool mask_reaches_far(const clattn_tensor *mask) {
    return mask && clattn_tensor_span(mask) > 1 << 30;
}

/* What both variants ask for. */
static const char *size_refusal(const clattn_additive_attention_args *a, const additive_sizes *s) {
    if (s->queries > REACH || s->keys > REACH || s->size > REACH || s->value_size > REACH) return "a size is above 2^28";
    if (reaches_far(s->queries, s->padded) || reaches_far(s->keys, s->padded) || reaches_far(s->keys, s->value_size)) return "a batch's queries, keys or values have more than 2^28 elements";
    return mask_reaches_far(a->key_mask) || mask_reaches_far(a->query_mask) || mask_reaches_far(a->mask) ? "a mask reaches over more than 2^30 elements" : NULL;
}

const char *clattn_additive_gpu_refusal(const clattn_call *call, const void *args) {
    const additive_sizes s = sizes_of(call, args);
    const char *why = size_refusal(args, &s);
    return why ? why : tile_of(call, &s) ? NULL : "the device's local memory or work-groups are too small";
}

/* What every kernel here is compiled with beside its cut: CPUs get an exact division. */
static const char *accuracy(const clattn_call *call) {
    return clattn_call_device(call)->kind == CLATTN_DEVICE_GPU ? "" : " -DEXACT";
}

/* Whether rows of `size` begin at multiples of 4 elements. */
static bool aligned(const clattn_tensor *tensor, int64_t size) {
    return !tensor || (tensor->offset % 4 == 0 && size % 4 == 0);
}

/* What the prepass makes: rows of powers, the same rows as f32 and their largest exponents, queries before keys, and what all tiles
 * need of the weights. */
typedef struct prepared {
    clattn_tensor powers, plain, ranges, constants;
} prepared;

static clattn_status make_powers(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, prepared *p) {
    char options[64];
    const int64_t queries = s->batches * s->queries, rows = queries + s->batches * s->keys, per_group = 4; /* ROWS */
    clattn_status status = clattn_scratch(call, &p->powers, CLATTN_F32, 2, (int64_t[]){ rows, s->padded });
    if (!status) status = clattn_scratch(call, &p->plain, CLATTN_F32, 2, (int64_t[]){ rows, s->padded });
    if (!status) status = clattn_scratch(call, &p->ranges, CLATTN_F32, 1, (int64_t[]){ rows });
    if (!status) status = clattn_scratch(call, &p->constants, CLATTN_F32, 1, (int64_t[]){ 3 * s->padded + 2 });
    if (status) return status;
    snprintf(options, sizeof options, "%s%s", s->size == s->padded ? "" : "-DTAIL ", aligned(a->query, s->size) && aligned(a->key, s->size) ? "-DALIGNED" : "");
    const size_t groups = (size_t)((rows + per_group - 1) / per_group) + 1;
    return clattn_run_kernel(call, "additive_attention_gpu", "powers", options, 1, (size_t[]){ groups * 64 }, (size_t[]){ 64 }, ARG_T(a->query), ARG_T(a->key), ARG_T(a->scale), ARG_T(a->bias), ARG_T(&p->powers), ARG_T(&p->plain), ARG_T(&p->ranges), ARG_T(&p->constants), ARG_I64(queries), ARG_I64(rows), ARG_I32(s->size), ARG_I32(s->padded), ARG_F32(s->factor));
}

/* How the kernels that read the values are compiled. */
static void set_options(char *text, size_t capacity, const clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, const clattn_gpu_tile *t) {
    char cut[96];
    const bool whole = s->value_size % clattn_gpu_tile_width(t, width_of(s)) == 0;
    const bool in_vectors = aligned(a->value, s->value_size) && aligned(a->out, s->value_size);
    clattn_gpu_tile_options(cut, sizeof cut, t, width_of(s));
    snprintf(text, capacity, "%s%s%s%s%s", cut, whole ? "" : " -DTAIL", in_vectors ? " -DALIGNED" : "", a->key_mask || a->mask ? " -DMASKED" : "", accuracy(call));
}

static size_t ceil_of(int64_t count, int64_t step) {
    return (size_t)((count + step - 1) / step);
}

/* MASKS in additive_attention_gpu.cl. */
#define MASK_ARGS(a) ARG_T((a)->key_mask), ARG_T((a)->query_mask), ARG_T((a)->mask), clattn_arg_strides4((a)->key_mask), clattn_arg_strides4((a)->query_mask), clattn_arg_strides4((a)->mask), ARG_I32((a)->causal)

/* `out` may be NULL. */
static clattn_status run_tiles(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, const prepared *p, const clattn_tensor *out, const clattn_tensor *weights) {
    char options[200];
    const clattn_gpu_tile *t = tile_of(call, s);
    const size_t items = (size_t)(t->items_x * t->items_y), blocks = ceil_of(s->queries, t->items_y * t->queries), columns = out ? ceil_of(s->value_size, clattn_gpu_tile_width(t, width_of(s))) : 1;
    set_options(options, sizeof options, call, a, s, t);
    return clattn_run_kernel(call, "additive_attention_gpu", "tile", options, 3, ((size_t[]){ blocks * items, (size_t)s->batches, columns }), ((size_t[]){ items, 1, 1 }),
        ARG_T(&p->powers), ARG_T(&p->plain), ARG_T(&p->ranges), ARG_T(&p->constants), ARG_T(a->value), MASK_ARGS(a), ARG_T(out), ARG_T(weights), ARG_T(a->lse), ARG_T(a->scores),
        clattn_arg_i64x4(s->batches, s->queries, s->keys, s->size), ARG_I32(s->value_size), ARG_I32(s->padded), ARG_F32(s->factor));
}

/* ---- Values wider than a group has them: the weights are kept, and the values a product of their own ---- */

static const clattn_gpu_tile value_tile = { 128, 16, 16, 4, 2, 8 }; /* 12 KiB of local memory */

/* Scores of one step of columns are made as fast as read. */
static bool keeps_weights(const additive_sizes *s) {
    return s->value_size > WIDEST && s->size > COLUMN_STEP && s->batches * s->queries <= MOST_WEIGHTS / (s->keys ? s->keys : 1);
}

static clattn_status run_values(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, const clattn_tensor *weights) {
    char cut[96], options[160];
    const clattn_gpu_tile *t = &value_tile;
    const size_t items = (size_t)(t->items_x * t->items_y), blocks = ceil_of(s->queries, t->items_y * t->queries);
    clattn_gpu_tile_options(cut, sizeof cut, t, t->width);
    snprintf(options, sizeof options, "%s%s%s", cut, s->value_size % t->width ? " -DTAIL" : "", aligned(a->value, s->value_size) && aligned(a->out, s->value_size) ? " -DALIGNED" : "");
    return clattn_run_kernel(call, "additive_attention_gpu", "values", options, 3, ((size_t[]){ blocks * items, (size_t)s->batches, ceil_of(s->value_size, t->width) }), ((size_t[]){ items, 1, 1 }),
        ARG_T(weights), ARG_T(a->value), MASK_ARGS(a), ARG_T(a->out), clattn_arg_i64x4(s->batches, s->queries, s->keys, s->size), ARG_I32(s->value_size));
}

static clattn_status run_wide(clattn_call *call, const clattn_additive_attention_args *a, const additive_sizes *s, const prepared *p) {
    clattn_tensor own;
    const clattn_tensor *weights = a->weights;
    clattn_status status = CLATTN_OK;
    if (!weights) {
        status = clattn_scratch(call, &own, CLATTN_F32, 3, (int64_t[]){ s->batches, s->queries, s->keys });
        weights = &own;
    }
    if (!status) status = run_tiles(call, a, s, p, NULL, weights);
    return status ? status : run_values(call, a, s, weights);
}

clattn_status clattn_additive_gpu(clattn_call *call, const void *args) {
    const clattn_additive_attention_args *a = args;
    const additive_sizes s = sizes_of(call, a);
    prepared p;
    const clattn_status status = make_powers(call, a, &s, &p);
    if (status) return status;
    return a->out && keeps_weights(&s) ? run_wide(call, a, &s, &p) : run_tiles(call, a, &s, &p, s.value_size ? a->out : NULL, a->weights);
}

/* ---- Few queries: the keys are split into parts ---- */

enum { STEP_ITEMS = 128, LARGEST_PART = 256, PART_UNIT = 16 }; /* GROUP, PART and the keys of a group's step in additive_attention_gpu.cl */

const char *clattn_additive_gpu_step_refusal(const clattn_call *call, const void *args) {
    const clattn_additive_attention_args *a = args;
    const additive_sizes s = sizes_of(call, a);
    const char *why = size_refusal(a, &s);
    if (why) return why;
    if (s.queries > 4) return "there are more than 4 queries";
    if (clattn_call_device(call)->max_work_group < STEP_ITEMS) return "the device's work-groups are smaller than 128";
    return clattn_call_device(call)->local_memory < 8192 ? "the device has less than 8 KiB of local memory" : NULL;
}

/* Keys of a part: as many as leave four groups to each of the device's units. */
static int64_t part_of(const clattn_call *call, const additive_sizes *s) {
    const int64_t wanted = 4 * (int64_t)clattn_call_device(call)->compute_units, parts = s->batches < wanted ? wanted / (s->batches ? s->batches : 1) : 1;
    const int64_t part = ((int64_t)ceil_of(s->keys, parts) + PART_UNIT - 1) / PART_UNIT * PART_UNIT;
    return part < PART_UNIT ? PART_UNIT : part > LARGEST_PART ? LARGEST_PART : part;
}

/* The columns of a pass over the values: a power of two. */
static int step_width(const additive_sizes *s) {
    int width = 32;
    while (width < s->value_size && width < 4 * STEP_ITEMS) width *= 2;
    return width;
}

clattn_status clattn_additive_gpu_step(clattn_call *call, const void *args) {
    char options[160];
    clattn_tensor parts, sums;
    const clattn_additive_attention_args *a = args;
    const additive_sizes s = sizes_of(call, a);
    const int width = step_width(&s), rows = s.queries > 2 ? 4 : s.queries > 1 ? 2 : 1, attends = a->out || a->weights || a->lse;
    const int64_t part = part_of(call, &s), part_count = s.keys ? (int64_t)ceil_of(s.keys, part) : 1, all = s.batches * s.queries, columns = a->out ? (int64_t)ceil_of(s.value_size, width) * width : 0;
    const bool in_vectors = aligned(a->query, s.size) && aligned(a->key, s.size) && aligned(a->value, s.value_size), tail = s.size % 4 || s.value_size % 4;
    clattn_status status = clattn_scratch(call, &parts, CLATTN_F32, 3, (int64_t[]){ all, part_count, columns });
    if (!status) status = clattn_scratch(call, &sums, CLATTN_F32, 3, (int64_t[]){ all, part_count, 2 });
    if (status) return status;
    snprintf(options, sizeof options, "-DROWS=%d -DLANES=%d -DWIDTH=%d%s%s%s", rows, s.size < 128 ? 8 : 32, width, tail ? " -DTAIL" : "", in_vectors ? " -DALIGNED" : "", accuracy(call));
    status = clattn_run_kernel(call, "additive_attention_gpu", "few", options, 2, ((size_t[]){ (size_t)part_count * STEP_ITEMS, (size_t)s.batches }), ((size_t[]){ STEP_ITEMS, 1 }),
        ARG_T(a->query), ARG_T(a->key), ARG_T(a->value), ARG_T(a->scale), ARG_T(a->bias), MASK_ARGS(a), ARG_T(&parts), ARG_T(&sums), ARG_T(a->weights), ARG_T(a->scores),
        clattn_arg_i64x4(s.batches, s.queries, s.keys, s.size), ARG_I32(s.value_size), ARG_I32(part), ARG_I32(columns), ARG_F32(s.factor), ARG_I32(attends));
    if (status || !attends) return status;
    snprintf(options, sizeof options, "%s%s", tail ? "-DTAIL " : "", aligned(a->out, s.value_size) ? "-DALIGNED" : "");
    const size_t blocks = a->out && s.value_size ? ceil_of(s.value_size, 256) : 1;
    return clattn_run_kernel(call, "additive_attention_gpu", "join", options, 2, ((size_t[]){ (size_t)all * 64, blocks }), ((size_t[]){ 64, 1 }), ARG_T(&parts), ARG_T(&sums), MASK_ARGS(a), ARG_T(a->out), ARG_T(a->weights), ARG_T(a->lse),
        clattn_arg_i64x4(s.batches, s.queries, s.keys, s.size), ARG_I32(s.value_size), ARG_I32(part_count), ARG_I32(columns));
}
