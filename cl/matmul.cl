#include "common.cl"

/* out[b][m][n] = act(sum_k a[b](m,k) b[b](k,n) + bias[n]). The strides of one matrix are (a_m, a_k, b_k, b_n); `lead` holds the
 * sizes of the leading axes, right-aligned, and a_lead, b_lead the strides along them. */

#ifdef ACT
#define ACTIVATE(x) activate(x, ACT)
#else
#define ACTIVATE(x) (x)
#endif

INLINE long lead_offset(long batch, long8 lead, long8 lead_strides) {
    long sizes[8], strides[8], at = 0;
    vstore8(lead, 0, sizes);
    vstore8(lead_strides, 0, strides);
    for (int i = 7; batch > 0 && i >= 0; i--) {
        at += batch % sizes[i] * strides[i];
        batch /= sizes[i];
    }
    return at;
}

#ifdef KERNEL_scalar
__kernel void scalar(IN(a), IN(b), IN(bias), OUT(out), const long batches, const long M, const long N, const long K, const long4 strides, const long8 lead, const long8 a_lead, const long8 b_lead) {
    const long i = get_global_id(0);
    if (i >= batches * M * N) return;
    SHIFT(a);
    SHIFT(b);
    SHIFT(out);
    const long n = i % N, m = i / N % M, batch = i / N / M;
    a += lead_offset(batch, lead, a_lead) + m * strides.s0;
    b += lead_offset(batch, lead, b_lead) + n * strides.s3;
    float sum = 0;
    for (long k = 0; k < K; k++) sum = fma(a[k * strides.s1], b[k * strides.s2], sum);
#ifdef BIAS
    sum += bias[bias_offset + n];
#endif
    out[i] = ACTIVATE(sum);
}
#endif
