/* What is known of the families of GPUs: the one table from which the variants for GPUs are cut. */
#ifndef CLATTN_OPS_GPU_H
#define CLATTN_OPS_GPU_H

#include "op.h"

typedef struct clattn_gpu {
    const char *family;
    const char *words;    /* separated by '|': a part of the vendor's or the device's name that tells it */
    int wave;             /* items that run in step: fewer in a group leave lanes idle */
    bool local_is_memory; /* local memory is as far as any: what a group reads twice stays in the cache, nothing is copied there */
    bool few_registers;   /* the compiler spills private arrays above 32 floats an item */
    const char *reason;   /* why it is cut so */
} clattn_gpu;

/* How a group of the kernels on attention_gpu_tile.cl is cut: items along keys and along queries, the queries and keys of an item, the
 * rows of values at a time; `width` is the widest value served. A table of them ends with a width of 0. */
typedef struct clattn_gpu_tile {
    int width, items_x, items_y, queries, keys, value_rows;
} clattn_gpu_tile;

/* The columns of its result: `size` rounded up. */
int clattn_gpu_tile_width(const clattn_gpu_tile *tile, int64_t size);
/* Whether the call's device has the local memory and work-groups for it. */
bool clattn_gpu_tile_fits(const clattn_call *call, const clattn_gpu_tile *tile, int64_t size);
/* -D of the cut. */
void clattn_gpu_tile_options(char *text, size_t capacity, const clattn_gpu_tile *tile, int64_t size);

/* The family of the call's device; of what is no GPU, or not known, the last row: what fits all. */
const clattn_gpu *clattn_call_gpu(const clattn_call *call);
/* The same for any device. */
const clattn_gpu *clattn_gpu_of(const clattn_device_info *device);

#endif
