/* gpu_tile: groups of 256 items with tiles in local memory. */
#include "gpu.h"
#include "matmul.h"

/* 64 x 64 of out a group; where there is work enough for it 128 x 128, except where the registers do not hold that. */
static bool large_tiles(const clattn_call *call, const clattn_product *p) {
    return clattn_call_device(call)->kind == CLATTN_DEVICE_GPU && !clattn_call_gpu(call)->few_registers && p->m >= 1024 && p->n >= 1024;
}

/* `edge` x `edge` of out a group, `depth` values of k at a time. */
typedef struct cut {
    int edge, depth;
} cut;

static cut cut_of(const clattn_call *call, const clattn_product *p) {
    cut c = { .edge = clattn_tuned(call, "edge", large_tiles(call, p) ? 128 : 64) };
    c.depth = clattn_tuned(call, "depth", c.edge == 128 ? 8 : 16);
    return c;
}

const char *clattn_matmul_gpu_refusal(const clattn_call *call, const void *args) {
    const clattn_device_info *device = clattn_call_device(call);
    const clattn_product p = clattn_product_of(call, args);
    const cut c = cut_of(call, &p);
    const size_t bytes = 2 * (size_t)c.depth * ((size_t)c.edge / 4 + 1) * 16; /* la and lb in matmul_gpu.cl */
    if (device->max_work_group < 256) return "the device's work-groups have fewer than 256 items";
    if (c.edge * c.depth < 4 * 256) return "the tile has less than a vector for each item to load";
    return device->local_memory < bytes ? "the device has too little local memory for two tiles" : NULL;
}

/* Whether every vector of 4 along the axis of stride 1 (of `length`) lies within a row and on 16 bytes. */
static bool vectors_aligned(const clattn_tensor *tensor, int64_t stride, int64_t other, int64_t length, const int64_t lead[8]) {
    if (stride != 1 || other % 4 || length % 4 || tensor->offset % 4) return false;
    for (int i = 0; i < 8; i++)
        if (lead[i] % 4) return false;
    return true;
}

clattn_status clattn_matmul_gpu(clattn_call *call, const void *args) {
    char options[160], activation[24] = "";
    const clattn_product p = clattn_product_of(call, args);
    const cut c = cut_of(call, &p);
    const bool along_k = p.a_k == 1, along_n = p.b_n == 1;
    const bool aligned = vectors_aligned(p.a, along_k ? p.a_k : p.a_m, along_k ? p.a_m : p.a_k, along_k ? p.k : p.m, p.a_lead) && vectors_aligned(p.b, along_n ? p.b_n : p.b_k, along_n ? p.b_k : p.b_n, along_n ? p.n : p.k, p.b_lead);
    if (p.activation != CLATTN_ACTIVATION_NONE) snprintf(activation, sizeof activation, " -DACT=%d", p.activation);
    snprintf(options, sizeof options, "-DTX=16 -DTY=16 -DRM=%d -DRN=%d -DBK=%d%s%s%s%s", c.edge / 64, c.edge / 64, c.depth, along_k ? " -DA_K" : "", along_n ? " -DB_N" : "", aligned ? " -DALIGNED" : "", activation);
    return clattn_run_kernel(call, "matmul_gpu", "tile", options, 3, ((size_t[]){ 256 * (size_t)clattn_ceil_div(p.n, c.edge), (size_t)clattn_ceil_div(p.m, c.edge), (size_t)p.batches }), ((size_t[]){ 256, 1, 1 }), ARG_T(p.a), ARG_T(p.b), ARG_T(p.bias), ARG_T(p.out), ARG_I32(p.bias != NULL), ARG_I64(p.m), ARG_I64(p.n), ARG_I64(p.k), clattn_arg_i64x4(p.a_m, p.a_k, p.b_k, p.b_n), clattn_arg_i64x8(p.lead), clattn_arg_i64x8(p.a_lead), clattn_arg_i64x8(p.b_lead));
}
