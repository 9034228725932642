#include "attention_problem.cl"

/* ---- cpu: one group per head and block of 16 * NVQ queries ----
 *
 * Vectors run along the queries: the block's queries are transposed once (Qt[d][query], scale * log2(e) folded in), a tile of
 * BK keys gives S[key][query] by broadcasting each key's elements, so the softmax is elementwise. Its weights are then
 * broadcast to O[query][d], vectors along d. Scores are in units of log2. Compiled in: the head size of queries and keys
 * rounded up to 16 (DEPTH), that of values in vectors (WIDTH), and whether the last of these is partly filled (TAIL). */

#if defined(KERNEL_cpu) || defined(KERNEL_cpu_weights)

#define BQ (16 * NVQ)

/* The stages before bias and masks. */
#if defined(STAGE) && STAGE < BIASED
#define UNMASKED
#undef EXTRA
#endif
#if defined(STAGE) && STAGE == RAW
#undef FORM
#endif

INLINE void transpose16(float16 *a) {
    float16 b[16];
#pragma unroll
    for (int step = 0; step < 2; step++) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            b[2 * i] = interleave_low(a[i], a[i + 8]);
            b[2 * i + 1] = interleave_high(a[i], a[i + 8]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            a[2 * i] = interleave_low(b[i], b[i + 8]);
            a[2 * i + 1] = interleave_high(b[i], b[i + 8]);
        }
    }
}

/* Which keys a block of queries attends. */
typedef struct span {
    int query, length, shift, left, right, begin, end; /* the block's first query; the keys that any of its queries attends */
    int far;          /* length - Tq, which distances are counted from */
    float cap, slope; /* in units of log2; a cap of 0 is none */
} span;

INLINE span span_of(int query, long4 heads, long4 widths, long length, int flags, float cap, float slope) {
    span s;
    s.query = query;
    s.length = (int)length;
    s.shift = (int)shift_of(length, heads.z, flags);
    s.left = (int)widths.z;
    s.right = (int)widths.w;
    s.begin = max(0, query + s.shift - s.left);
    s.end = min(s.length, min(query + BQ, (int)heads.z) + s.shift + s.right);
    s.far = (int)(length - heads.z);
    s.cap = flags & HAS_CAP ? cap * LOG2E : 0.0f;
    s.slope = slope * LOG2E;
    return s;
}

/* True when some query of the block may not attend some of the keys from..to-1. */
INLINE bool crosses_edge(span s, int from, int to) {
    return to > min(s.length, s.query + s.shift + s.right + 1) || from < s.query + BQ - 1 + s.shift - s.left;
}

INLINE void load_queries(__local float16 *Qt, __global const float *query, long stride, int depth, int rows, float factor) {
    for (int j = 0; j < NVQ; j++) {
        for (int d = 0; d < DEPTH; d += 16) {
            float16 a[16];
#pragma unroll
            for (int i = 0; i < 16; i++) {
                __global const float *from = query + min(16 * j + i, rows - 1) * stride + d;
                a[i] = (d + 16 <= depth ? vload16(0, from) : load_some(from, depth - d, 0.0f)) * factor;
            }
            transpose16(a);
#pragma unroll
            for (int i = 0; i < 16; i++) Qt[(d + i) * NVQ + j] = a[i];
        }
    }
}

#ifdef EXTRA
/* What mask and bias add to one query's scores of 16 keys, n of them real. */
INLINE float16 extra_row(__global const uchar *mask, __global const float *bias, long mask_step, long bias_step, int n, int flags) {
    float t[16];
    float16 a = (float16)(0.0f);
    if (flags & HAS_BIAS) {
        for (int i = 0; i < 16; i++) t[i] = bias[min(i, n - 1) * bias_step] * LOG2E;
        a = n == 16 && bias_step == 1 ? vload16(0, bias) * LOG2E : vload16(0, t);
    }
    if (flags & HAS_MASK) {
        for (int i = 0; i < 16; i++) t[i] = mask[min(i, n - 1) * mask_step] ? 1.0f : 0.0f;
        a = select(a, (float16)(-INFINITY), vload16(0, t) == (float16)(0.0f));
    }
    return a;
}

/* Fills S with what mask and bias add to each score; false when they take out the whole tile. */
INLINE bool fill_extra(__local float16 *S, __global const uchar *mask, __global const float *bias, long4 mask_strides, long4 bias_strides, int k0, int nk, int rows, int flags) {
    const bool same_for_all = mask_strides.z == 0 && bias_strides.z == 0;
    int16 alive = (int16)(0);
    for (int kk = 0; kk < nk; kk += 16) {
        for (int j = 0; j < NVQ; j++) {
            float16 a[16];
            for (int i = 0; i < 16; i++) {
                const long q = min(16 * j + i, rows - 1), k = k0 + kk;
                a[i] = i && same_for_all ? a[0] : extra_row(mask + q * mask_strides.z + k * mask_strides.w, bias + q * bias_strides.z + k * bias_strides.w, mask_strides.w, bias_strides.w, min(16, nk - kk), flags);
            }
            transpose16(a);
            for (int i = 0; i < 16; i++) {
                S[(kk + i) * NVQ + j] = a[i];
                alive |= a[i] != (float16)(-INFINITY);
            }
        }
    }
    return any(alive);
}
#endif

#ifdef FORM
/* The cap, and what the distance takes away; `lanes` = the queries less the key, from the end. */
INLINE float16 shape_score(float16 score, span range, int16 lanes) {
    if (range.cap != 0.0f) score = select(range.cap * tanh_16(score / range.cap), score, isnan(score));
#ifndef UNMASKED
    if (range.slope != 0.0f) score -= range.slope * fabs(convert_float16(lanes));
#endif
    return score;
}
#endif

/* S = the scores of keys k0..k0+nk-1, -inf where taken out; `m` takes their maxima. Rows of keys after `limit` are not read. */
INLINE void score_tile(__local float16 *S, __local const float16 *Qt, __global const float *key, long stride, int depth, span range, int k0, int nk, int limit, float16 *m) {
    for (int kk = 0; kk < nk; kk += MRS) {
        float16 acc[MRS][NVQ];
        __global const float *rows[MRS];
#pragma unroll
        for (int i = 0; i < MRS; i++) {
            rows[i] = key + min(k0 + kk + i, limit - 1) * stride;
#pragma unroll
            for (int j = 0; j < NVQ; j++) acc[i][j] = (float16)(0.0f);
        }
#pragma unroll 1
        for (int d = 0; d < depth; d++) {
            float16 q[NVQ];
#pragma unroll
            for (int j = 0; j < NVQ; j++) q[j] = Qt[d * NVQ + j];
#pragma unroll
            for (int i = 0; i < MRS; i++) {
                const float16 k = (float16)(rows[i][d]);
#pragma unroll
                for (int j = 0; j < NVQ; j++) acc[i][j] = fma(k, q[j], acc[i][j]);
            }
        }
#ifdef FORM
        for (int i = 0; i < MRS; i++) {
            for (int j = 0; j < NVQ; j++) acc[i][j] = shape_score(acc[i][j], range, lanes16() + (range.query + 16 * j + range.far - (k0 + kk + i)));
        }
#endif
#ifdef EXTRA
#pragma unroll
        for (int i = 0; i < MRS; i++) {
#pragma unroll
            for (int j = 0; j < NVQ; j++) {
                const float16 extra = S[(kk + i) * NVQ + j];
                acc[i][j] = select(acc[i][j] + extra, (float16)(-INFINITY), extra == (float16)(-INFINITY));
            }
        }
#endif
#ifndef UNMASKED
        if (crosses_edge(range, k0 + kk, k0 + kk + MRS)) {
#pragma unroll
            for (int i = 0; i < MRS; i++) {
#pragma unroll
                for (int j = 0; j < NVQ; j++) {
                    const int16 diagonal = lanes16() + (range.query + 16 * j + range.shift);
                    const int16 k = (int16)(k0 + kk + i);
                    acc[i][j] = select(acc[i][j], (float16)(-INFINITY), k < diagonal - range.left || k > diagonal + range.right || k >= (int16)(range.length));
                }
            }
        }
#endif
#pragma unroll
        for (int i = 0; i < MRS; i++) {
#pragma unroll
            for (int j = 0; j < NVQ; j++) {
                m[j] = VMAX(m[j], acc[i][j]);
                S[(kk + i) * NVQ + j] = acc[i][j];
            }
        }
    }
}

/* A maximum of -inf stands for "nothing yet"; what is subtracted from the scores is then 0. */
INLINE float16 finite_shift(float16 m) {
    return select(m, (float16)(0.0f), m == (float16)(-INFINITY));
}
#endif
