/* What the variants of matmul and linear share. */
#ifndef CLATTN_OPS_MATMUL_H
#define CLATTN_OPS_MATMUL_H

#include "op.h"

/* out[b][m][n] = act(sum_k a[b](m,k) b[b](k,n) + bias[n]); out is dense. */
typedef struct clattn_product {
    const clattn_tensor *a, *b, *bias, *out;
    int64_t batches, m, n, k;
    int64_t a_m, a_k, b_k, b_n;            /* strides */
    int64_t lead[8], a_lead[8], b_lead[8]; /* leading axes, right-aligned, and the strides along them */
    int activation;
} clattn_product;

clattn_product clattn_product_of(const clattn_call *call, const void *args);

static inline clattn_arg clattn_arg_i64x8(const int64_t values[8]) {
    clattn_arg arg = { .kind = CLATTN_ARG_I64X8 };
    memcpy(arg.as.i64, values, 8 * sizeof values[0]);
    return arg;
}

/* Tiles in local memory (matmul_gpu.cl). */
const char *clattn_matmul_gpu_refusal(const clattn_call *call, const void *args);
clattn_status clattn_matmul_gpu(clattn_call *call, const void *args);

/* CLBlast: never on CPUs, and on GPUs for large products, unless it is asked for. */
const char *clattn_matmul_clblast_refusal(const clattn_call *call, const void *args);
const char *clattn_matmul_reserve(const clattn_call *call, const void *args, const clattn_variant *variant);
clattn_status clattn_matmul_clblast(clattn_call *call, const void *args);

#endif
