/* Whole planes on GPUs (cl/planes_gpu.cl), for the operations that pool or scale them. Tensors are dense, x is [B,C,H,W]. */
#ifndef CLATTN_OPS_PLANES_GPU_H
#define CLATTN_OPS_PLANES_GPU_H

#include "op.h"

/* Why x cannot be taken so; NULL when it can. */
const char *clattn_planes_refusal(const clattn_call *call, const clattn_tensor *x);
const char *clattn_planes_channels_refusal(const clattn_call *call, const clattn_tensor *x);

/* Items of a group: few enough for many groups to be under way, each at its own step; fewer than the least are not worth it. */
#define CLATTN_MOST_ITEMS 128
#define CLATTN_LEAST_ITEMS 32
/* As many of them as the device allows. */
size_t clattn_planes_items(const clattn_call *call);
/* The same as far as the kernel allows too: adds -DGROUP to `options`. */
clattn_status clattn_planes_group(clattn_call *call, const char *source, const char *kernel, char *options, size_t size, size_t *items);

/* Work-groups that fill the device and hide how unevenly they end. */
int64_t clattn_planes_groups(const clattn_call *call);
/* Whether the planes can be read, or a tensor walked, in vectors of four. */
bool clattn_planes_aligned(const clattn_tensor *tensor, int64_t plane);

/* The pools of each plane, as f32 [B][pools][C] in the order of clattn_pool_kind; `kinds` has a bit 1 << kind for each. With
 * `to_output` results is an output of the operation and stored as such. */
clattn_status clattn_planes_pool(clattn_call *call, const clattn_tensor *x, int kinds, const clattn_tensor *results, bool to_output);
/* Maximum and mean over the channels, times gate [B][C] where there is one, as f32 [B][kinds][H][W]; -1 for what is not wanted. */
clattn_status clattn_planes_channels(clattn_call *call, const clattn_tensor *x, const clattn_tensor *gate, const clattn_tensor *maps, int top_at, int mean_at, int kinds);
/* How flat.cl walks x and out: its options, and the elements of a vector. */
int64_t clattn_planes_flat(const clattn_tensor *x, const clattn_tensor *out, char *options, size_t size);
/* out = x * factors [B][C]. */
clattn_status clattn_planes_scale(clattn_call *call, const clattn_tensor *x, const clattn_tensor *factors, const clattn_tensor *out);

#endif
