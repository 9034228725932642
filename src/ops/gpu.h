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

/* The family of the call's device; of what is no GPU, or not known, the last row: what fits all. */
const clattn_gpu *clattn_call_gpu(const clattn_call *call);
/* The same for any device. */
const clattn_gpu *clattn_gpu_of(const clattn_device_info *device);

#endif
