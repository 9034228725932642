/* The variants of additive_attention for GPUs: see additive_attention_gpu.c. */
#ifndef CLATTN_OPS_ADDITIVE_ATTENTION_H
#define CLATTN_OPS_ADDITIVE_ATTENTION_H

#include "op.h"

const char *clattn_additive_gpu_refusal(const clattn_call *call, const void *args);
clattn_status clattn_additive_gpu(clattn_call *call, const void *args);
/* The same for few queries. */
const char *clattn_additive_gpu_step_refusal(const clattn_call *call, const void *args);
clattn_status clattn_additive_gpu_step(clattn_call *call, const void *args);

#endif
