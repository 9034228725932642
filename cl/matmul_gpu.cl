#include "common.cl"

/* out[b][m][n] = act(sum_k a[b](m,k) b[b](k,n) + bias[n]) for GPUs, any strides: a group has BM x BN of out and goes over k in steps
 * of BK through local memory; an item has RM * 4 rows (in fours, TY * 4 apart) and RN * 4 columns (TX * 4 apart).
 *
 * -D: TX, TY, RM, RN, BK; A_K, B_N where a lies along k, b along n (else along m, k); ALIGNED where both may be read in vectors of
 * 16 bytes: their rows begin at multiples of that and are as long. ACT as in matmul.cl. */

#ifdef KERNEL_tile

#include "blocks_gpu.cl"

#define GROUP (TX * TY)
#define BM (TY * 4 * RM)
#define BN (TX * 4 * RN)
#define LA4 (BM / 4 + 1) /* local rows run along m and n, padded by 4 against bank conflicts */
#define LB4 (BN / 4 + 1)
#define A_LOADS (BM * BK / 4 / GROUP)
#define B_LOADS (BN * BK / 4 / GROUP)

INLINE long lead_offset(long batch, long8 lead, long8 strides) {
    long at = 0;
#define LEAD(axis)                                                                                                     \
    at += batch % lead.axis * strides.axis;                                                                            \
    batch /= lead.axis;
    if (batch > 0) { LEAD(s7) LEAD(s6) LEAD(s5) LEAD(s4) LEAD(s3) LEAD(s2) LEAD(s1) LEAD(s0) }
    return at;
}

/* 4 elements `step` apart, `left` of which exist; none of a row that does not. */
INLINE float4 load4(__global const float *p, long step, long left, bool row) {
#ifdef ALIGNED
    return row && left > 0 ? *(__global const float4 *)p : (float4)(0.0f);
#else
    float4 v = (float4)(0.0f);
    if (!row) return v;
    if (left > 0) v.x = p[0];
    if (left > 1) v.y = p[step];
    if (left > 2) v.z = p[2 * step];
    if (left > 3) v.w = p[3 * step];
    return v;
#endif
}

/* 4 values along a local row, or one in each of 4 rows. */
INLINE void put4(__local float4 *to, int row, int column4, float4 v, int row4) {
    to[row * row4 + column4] = v;
}
INLINE void put_across(__local float4 *to, int row, int column, float4 v, int row4) {
    __local float *at = (__local float *)to + row * 4 * row4 + column;
    at[0] = v.x;
    at[4 * row4] = v.y;
    at[8 * row4] = v.z;
    at[12 * row4] = v.w;
}

#define ADD_ROW(part, i)                                                                                               \
    UNROLL for (int j = 0; j < RN; j++) sums[4 * r + i][j] = fma((float4)(x[r].part), y[j], sums[4 * r + i][j]);

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void tile(IN(a), IN(b), IN(bias), OUT(out), const int has_bias, const long M, const long N, const long K, const long4 strides, const long8 lead, const long8 a_lead, const long8 b_lead) {
    __local float4 la[BK * LA4], lb[BK * LB4];
    const int t = (int)get_local_id(0), tx = (int)((uint)t % TX), ty = (int)((uint)t / TX);
    const long n0 = get_group_id(0) * BN, m0 = get_group_id(1) * BM, batch = get_group_id(2);
    a += a_offset + lead_offset(batch, lead, a_lead);
    b += b_offset + lead_offset(batch, lead, b_lead);
    out += out_offset + batch * M * N;
    float4 sums[4 * RM][RN];
    UNROLL for (int i = 0; i < 4 * RM; i++) UNROLL for (int j = 0; j < RN; j++) sums[i][j] = (float4)(0.0f);
    for (long k0 = 0; k0 < K; k0 += BK) {
        float4 from_a[A_LOADS], from_b[B_LOADS];
        UNROLL for (int i = 0; i < A_LOADS; i++) {
            const uint e = (uint)(t + i * GROUP);
#ifdef A_K
            const long m = m0 + e / (BK / 4), k = k0 + e % (BK / 4) * 4;
            from_a[i] = load4(a + m * strides.s0 + k * strides.s1, strides.s1, K - k, m < M);
#else
            const long m = m0 + e % (BM / 4) * 4, k = k0 + e / (BM / 4);
            from_a[i] = load4(a + m * strides.s0 + k * strides.s1, strides.s0, M - m, k < K);
#endif
        }
        UNROLL for (int i = 0; i < B_LOADS; i++) {
            const uint e = (uint)(t + i * GROUP);
#ifdef B_N
            const long n = n0 + e % (BN / 4) * 4, k = k0 + e / (BN / 4);
            from_b[i] = load4(b + k * strides.s2 + n * strides.s3, strides.s3, N - n, k < K);
#else
            const long n = n0 + e / (BK / 4), k = k0 + e % (BK / 4) * 4;
            from_b[i] = load4(b + k * strides.s2 + n * strides.s3, strides.s2, K - k, n < N);
#endif
        }
        LOCAL_BARRIER; /* the last step's tile is used up */
        UNROLL for (int i = 0; i < A_LOADS; i++) {
            const int e = t + i * GROUP;
#ifdef A_K
            put_across(la, (int)((uint)e % (BK / 4)) * 4, (int)((uint)e / (BK / 4)), from_a[i], LA4);
#else
            put4(la, (int)((uint)e / (BM / 4)), (int)((uint)e % (BM / 4)), from_a[i], LA4);
#endif
        }
        UNROLL for (int i = 0; i < B_LOADS; i++) {
            const int e = t + i * GROUP;
#ifdef B_N
            put4(lb, (int)((uint)e / (BN / 4)), (int)((uint)e % (BN / 4)), from_b[i], LB4);
#else
            put_across(lb, (int)((uint)e % (BK / 4)) * 4, (int)((uint)e / (BK / 4)), from_b[i], LB4);
#endif
        }
        LOCAL_BARRIER;
        _Pragma("unroll 4") for (int k = 0; k < BK; k++) {
            float4 x[RM], y[RN];
            UNROLL for (int i = 0; i < RM; i++) x[i] = la[k * LA4 + ty + i * TY];
            UNROLL for (int j = 0; j < RN; j++) y[j] = lb[k * LB4 + tx + j * TX];
            UNROLL for (int r = 0; r < RM; r++) { ADD_ROW(x, 0) ADD_ROW(y, 1) ADD_ROW(z, 2) ADD_ROW(w, 3) }
        }
    }
    UNROLL for (int i = 0; i < 4 * RM; i++) {
        const long m = m0 + i / 4 * TY * 4 + ty * 4 + i % 4;
        if (m >= M) continue;
        UNROLL for (int j = 0; j < RN; j++) {
            const long n = n0 + (tx + j * TX) * 4;
            const float4 v = sums[i][j];
#define STORE(part, c)                                                                                                 \
    if (n + c < N) out[m * N + n + c] = ACTIVATE(v.part + (has_bias ? bias[bias_offset + n + c] : 0.0f));
            STORE(x, 0) STORE(y, 1) STORE(z, 2) STORE(w, 3)
        }
    }
}
#endif
