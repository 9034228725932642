#include "reference.h"

void clattn_reference_matmul(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_linear(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* sum_i a[i * a_step] b[i * b_step] + start. */
static double dot(const double *a, int64_t a_step, const double *b, int64_t b_step, int64_t n, double start, clattn_bounds *bounds) {
    double sum = start, squares = start * start;
    for (int64_t i = 0; i < n; i++) {
        const double term = a[i * a_step] * b[i * b_step];
        sum += term;
        squares += term * term;
    }
    if (isfinite(squares)) ref_bound(&bounds->sum, sqrt(squares));
    return sum;
}

/* The first element of the matrix of `tensor` that takes part in the product number `batch`. */
static const double *matrix(const clattn_call *call, const clattn_tensor *tensor, int64_t batch) {
    int64_t index[CLATTN_MAX_RANK] = { 0 };
    const int rank = call->dims.rest_rank;
    for (int i = rank - 1; i >= 0; i--) {
        index[i] = batch % call->dims.rest[i];
        batch /= call->dims.rest[i];
    }
    clattn_tensor lead = *tensor;
    lead.rank -= 2;
    return ref_values(tensor) + ref_broadcast_index(&lead, rank, index) * ref_size(tensor, lead.rank) * ref_size(tensor, lead.rank + 1);
}

void clattn_reference_matmul(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_matmul_args *p = args;
    const int64_t rows = clattn_dim(call, "M"), columns = clattn_dim(call, "N"), n = clattn_dim(call, "K");
    const int64_t a_m = p->transpose_a ? 1 : n, a_k = p->transpose_a ? rows : 1, b_k = p->transpose_b ? 1 : columns, b_n = p->transpose_b ? n : 1;
    const int64_t batches = rows && columns ? clattn_tensor_count(p->out) / (rows * columns) : 0;
    double *out = ref_values(p->out);
    for (int64_t batch = 0; batch < batches; batch++) {
        const double *a = matrix(call, p->a, batch), *b = matrix(call, p->b, batch);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) *out++ = dot(a + i * a_m, a_k, b + j * b_n, b_k, n, 0, bounds);
    }
}

void clattn_reference_linear(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_linear_args *p = args;
    const int64_t inputs = clattn_dim(call, "I"), outputs = clattn_dim(call, "O");
    const int64_t rows = outputs ? clattn_tensor_count(p->out) / outputs : 0;
    const double *bias = ref_values(p->bias);
    double *out = ref_values(p->out);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t o = 0; o < outputs; o++)
            *out++ = ref_activation((int)p->activation, dot(ref_values(p->x) + i * inputs, 1, ref_values(p->weight) + o * inputs, 1, inputs, bias ? bias[o] : 0, bounds));
}
