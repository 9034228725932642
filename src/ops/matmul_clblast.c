/* clblast: large products on GPUs, and bias and activation after it. */
#include "../device/clblast.h"
#include "matmul.h"

/* Below this size of m, n and k one launch of gpu_tile is ahead of the copies and transpositions that CLBlast makes before and
 * after its own kernel; from there on these are less than a hundredth of the work, and its parameters are tuned for the
 * device. A setting that a measurement on the device gave (clattn/tuning.h) comes before this. */
#define LEAST 512

/* The strides of a factor's two axes as rows of contiguous elements, the right way round or transposed. */
static bool rows_of(const clattn_tensor *tensor, int64_t rows, int64_t columns, int64_t row_stride, int64_t column_stride, clattn_gemm_matrix *matrix) {
    *matrix = (clattn_gemm_matrix){ .buffer = tensor->buffer, .offset = tensor->offset };
    if (columns == 1 || column_stride == 1) matrix->row = rows == 1 ? columns : row_stride;
    if (matrix->row >= columns) return true;
    if (rows == 1 || row_stride == 1) matrix->row = columns == 1 ? rows : column_stride;
    matrix->transposed = true;
    return matrix->row >= rows;
}

/* The leading axes as one with steps for a and b; false where there is none that does it. */
static bool one_lead(const clattn_product *p, int64_t *a_step, int64_t *b_step) {
    int64_t count = 1;
    *a_step = *b_step = 0;
    for (int i = 7; i >= 0; i--) {
        if (p->lead[i] == 1) continue;
        if (count == 1) {
            *a_step = p->a_lead[i];
            *b_step = p->b_lead[i];
        } else if (p->a_lead[i] != count * *a_step || p->b_lead[i] != count * *b_step)
            return false;
        count *= p->lead[i];
    }
    return true;
}

static bool gemm_of(const clattn_product *p, clattn_gemm *gemm) {
    *gemm = (clattn_gemm){ .m = p->m, .n = p->n, .k = p->k, .batches = p->batches };
    gemm->out = (clattn_gemm_matrix){ .row = p->n, .matrix = p->m * p->n };
    return rows_of(p->a, p->m, p->k, p->a_m, p->a_k, &gemm->a) && rows_of(p->b, p->k, p->n, p->b_k, p->b_n, &gemm->b) && one_lead(p, &gemm->a.matrix, &gemm->b.matrix);
}

/* CLBlast's kernels count in 32 bits. */
static bool reaches_far(const clattn_tensor *tensor) {
    return tensor->offset + clattn_tensor_span(tensor) > INT32_MAX;
}

const char *clattn_matmul_clblast_refusal(const clattn_call *call, const void *args) {
    const clattn_product p = clattn_product_of(call, args);
    const char *refusal = clattn_gemm_refusal();
    clattn_gemm gemm;
    if (refusal) return refusal;
    if (p.k == 0) return "K is 0";
    if (!gemm_of(&p, &gemm)) return "the rows of a or b are not contiguous, or no one step leads from matrix to matrix";
    return reaches_far(p.a) || reaches_far(p.b) || p.batches * p.m * p.n > INT32_MAX ? "a tensor reaches beyond 2^31 elements" : NULL;
}

const char *clattn_matmul_reserve(const clattn_call *call, const void *args, const clattn_variant *variant) {
    if (variant->enqueue != clattn_matmul_clblast) return NULL;
    const clattn_product p = clattn_product_of(call, args);
    if (clattn_call_device(call)->kind != CLATTN_DEVICE_GPU) return "the device is not a GPU: CLBlast is slow there, and runs only when it is asked for";
    return p.m < LEAST || p.n < LEAST || p.k < LEAST ? "a size of the product is below 512" : NULL;
}

/* out = act(out + bias) */
static clattn_status finish(clattn_call *call, const clattn_product *p) {
    char options[32] = "";
    const int64_t count = p->batches * p->m * p->n;
    if (p->activation != CLATTN_ACTIVATION_NONE) snprintf(options, sizeof options, "-DACT=%d", p->activation);
    return clattn_run_kernel(call, "matmul", "finish", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(p->bias), ARG_T(p->out), ARG_I32(p->bias != NULL), ARG_I64(p->n), ARG_I64(count));
}

clattn_status clattn_matmul_clblast(clattn_call *call, const void *args) {
    const clattn_product p = clattn_product_of(call, args);
    clattn_gemm gemm;
    if (!gemm_of(&p, &gemm)) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "CLBlast cannot take these strides");
    gemm.out.buffer = p.out->buffer;
    gemm.out.offset = p.out->offset;
    const clattn_status status = clattn_gemm_enqueue(call->context, &gemm);
    return status || (!p.bias && p.activation == CLATTN_ACTIVATION_NONE) ? status : finish(call, &p);
}
