/* Matrix products by CLBlast. Only clblast.c sees the library; in a build without it every product is refused. */
#ifndef CLATTN_DEVICE_CLBLAST_H
#define CLATTN_DEVICE_CLBLAST_H

#include "device.h"

/* f32 matrices in rows that are contiguous; offset and steps in elements, all below 2^31. */
typedef struct clattn_gemm_matrix {
    clattn_buffer *buffer;
    int64_t offset;
    int64_t row;    /* from one row to the next, at least a row's length */
    int64_t matrix; /* from one matrix of the batch to the next */
    bool transposed;
} clattn_gemm_matrix;

/* out [m,n] = a [m,k] b [k,n] for each of `batches`; transposed factors lie as [k,m] and [n,k]. No size is 0. */
typedef struct clattn_gemm {
    int64_t m, n, k, batches;
    clattn_gemm_matrix a, b, out;
} clattn_gemm;

/* Why there is no CLBlast; NULL when there is. */
const char *clattn_gemm_refusal(void);
/* Enqueues, ordered as any other command. CLBlast builds its kernels at the first call of a process with a cl_context, in
 * seconds, and keeps them itself: the kernel cache does not serve it. Workspace comes from the pool, but for a batch, where
 * CLBlast makes its own. */
clattn_status clattn_gemm_enqueue(clattn_context *context, const clattn_gemm *gemm);
/* Before a context closes: what CLBlast keeps holds on to a cl_context of our own. It forgets everything in the whole process,
 * which other contexts, and an application's own use of CLBlast, build again when they need it. */
void clattn_gemm_forget(const clattn_context *context);

#endif
