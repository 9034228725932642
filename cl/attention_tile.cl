#include "attention_problem.cl"
#include "stream.cl"

/* ---- cpu: one group per head and block of 16 * NVQ queries ----
 *
 * Vectors run along the queries: the block's queries are transposed once (Qt[d][query], scale * log2(e) folded in), a tile of
 * BK keys gives S[key][query] by broadcasting each key's elements, so the softmax is elementwise. Its weights are then
 * broadcast to O[query][d], vectors along d. Scores are in units of log2. Compiled in: the head size of queries and keys
 * rounded up to 16 (DEPTH), that of values in vectors (WIDTH), and whether the last of these is partly filled (TAIL). */

#if defined(KERNEL_cpu) || defined(KERNEL_cpu_weights)

#define BQ (16 * NVQ)
#ifdef FEW_REGISTERS
#define NVS 1
#else
#define NVS NVQ
#endif

/* The stages before bias and masks. */
#if defined(STAGE) && STAGE < BIASED
#define UNMASKED
#undef EXTRA
#endif
#if defined(STAGE) && STAGE == RAW
#undef FORM
#endif

/* Rows of queries from vectors along them: a[i] has key i's values of 16 queries; `rows` and `keys` of them exist. */
INLINE void store_rows(float16 *a, __global float *to, long stride, int rows, int keys) {
    transpose_16(a);
    for (int i = 0; i < 16 && i < rows; i++) {
        if (keys >= 16) vstore16(a[i], 0, to + i * stride);
        else store_some(a[i], keys, to + i * stride);
    }
}

/* Which keys a block of queries attends. */
typedef struct span {
    int query, length, shift, left, right, begin, end; /* the block's first query; the keys that any of its queries attends */
    int far;          /* length - Tq, which distances are counted from */
    float cap, inverse_cap, slope; /* in units of log2; a cap of 0 is none */
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
    s.inverse_cap = 1.0f / s.cap;
    s.slope = slope * LOG2E;
    return s;
}

/* True when some query of the block may not attend some of the keys from..to-1. */
INLINE bool crosses_edge(span s, int from, int to) {
    return to > min(s.length, s.query + s.shift + s.right + 1) || from < s.query + BQ - 1 + s.shift - s.left;
}

INLINE void load_queries(__local float16 *Qt, __global const STORED *query, long stride, int depth, int rows, float factor) {
    for (int j = 0; j < NVQ; j++) {
        for (int d = 0; d < DEPTH; d += 16) {
            float16 a[16];
#pragma unroll
            for (int i = 0; i < 16; i++) {
                __global const STORED *from = query + min(16 * j + i, rows - 1) * stride + d;
                a[i] = (d + 16 <= depth ? LOAD_16(from) : load_some_stored(from, depth - d, 0.0f)) * factor;
            }
            transpose_16(a);
#pragma unroll
            for (int i = 0; i < 16; i++) Qt[(d + i) * NVQ + j] = a[i];
        }
    }
}

#ifdef EXTRA
/* A query's bias of 16 keys, n of them real, in units of log2. */
INLINE float16 bias_row(__global const float *bias, long step, int n) {
    float t[16];
    if (step == 0) return (float16)(bias[0] * LOG2E);
    if (n == 16 && step == 1) return vload16(0, bias) * LOG2E;
    for (int i = 0; i < 16; i++) t[i] = bias[min(i, n - 1) * step] * LOG2E;
    return vload16(0, t);
}

/* -1 where a query attends. */
INLINE int16 mask_row(__global const uchar *mask, long step, int n) {
    int t[16];
    if (step == 0) return (int16)(mask[0] ? -1 : 0);
    if (n == 16 && step == 1) return convert_int16(vload16(0, mask)) != 0;
    for (int i = 0; i < 16; i++) t[i] = mask[min(i, n - 1) * step] ? -1 : 0;
    return vload16(0, t);
}

/* What mask and bias add to one query's scores of 16 keys. */
INLINE float16 extra_row(__global const uchar *mask, __global const float *bias, long mask_step, long bias_step, int n, int flags) {
    const float16 a = flags & HAS_BIAS ? bias_row(bias, bias_step, n) : (float16)(0.0f);
    return flags & HAS_MASK ? select((float16)(-INFINITY), a, mask_row(mask, mask_step, n)) : a;
}

/* The same for 16 queries, of which row(i) is the i-th; transposed: a[i] is what is added to the scores of key i. */
INLINE void extra_block(float16 *a, __global const uchar *mask, __global const float *bias, long4 mask_strides, long4 bias_strides, int first, int rows, int n, int flags) {
    const bool same_for_all = mask_strides.z == 0 && bias_strides.z == 0;
    for (int i = 0; i < 16; i++) {
        const long q = min(first + i, rows - 1);
        a[i] = i && same_for_all ? a[0] : extra_row(mask + q * mask_strides.z, bias + q * bias_strides.z, mask_strides.w, bias_strides.w, n, flags);
    }
    transpose_16(a);
}

/* Fetches the bias of keys from..from+BK-1 for queries first..last-1. */
INLINE void fetch_bias(__global const float *bias, long4 bias_strides, long from, int first, int last) {
    for (int q = first; q < last; q++)
        for (int k = 0; k < BK; k += 16) PREFETCH(bias + q * bias_strides.z + (from + k) * bias_strides.w);
}

/* Fills S with what mask and bias add to each score; false when they take out the whole tile. */
INLINE bool fill_extra(__local float16 *S, __global const uchar *mask, __global const float *bias, long4 mask_strides, long4 bias_strides, int k0, int nk, int rows, int flags) {
    float16 most = (float16)(-INFINITY);
    for (int kk = 0; kk < nk; kk += 16) {
        const long k = k0 + kk;
        for (int j = 0; j < NVQ; j++) {
            float16 a[16];
            extra_block(a, mask + k * mask_strides.w, bias + k * bias_strides.w, mask_strides, bias_strides, 16 * j, rows, min(16, nk - kk), flags);
#pragma unroll
            for (int i = 0; i < 16; i++) {
                S[(kk + i) * NVQ + j] = a[i];
                most = VMAX(most, a[i]);
            }
        }
    }
    return any(most != (float16)(-INFINITY));
}
#endif

#ifdef FORM
INLINE float16 cap_score(float16 score, span range) {
    return select(range.cap * tanh_16(score * range.inverse_cap), score, isnan(score));
}
#endif

#ifdef EXTRA
#define FETCH_ARGS , __global const float *bias, long4 bias_strides
#define FETCHED(bias) , bias, bias_strides
#else
#define FETCH_ARGS
#define FETCHED(bias)
#endif

#if defined(WEIGHTS) || defined(SCORES)
/* Where scores or weights are kept, as rows of the queries. */
typedef struct keeping {
    __global float *rows; /* of the block's first query */
    long stride;
    int queries;   /* of the block that exist */
    bool streamed; /* past the caches: whole vectors, aligned */
} keeping;

/* The block's queries 16 j..16 j + 15, its n keys from the k-th of the tile, times `unit`; the tile begins with key k0. */
INLINE void keep_block(__local const float16 *S, keeping how, int k0, int k, int n, int j, float16 unit) {
    float16 a[16];
    __global float *to = how.rows + 16 * j * how.stride + k0 + k;
    const int rows = how.queries - 16 * j;
    if (rows <= 0 || n <= 0) return;
#pragma unroll
    for (int i = 0; i < 16; i++) a[i] = S[(k + i) * NVQ + j] * unit;
    if (how.streamed && rows >= 16 && n >= 16) {
        transpose_16(a);
#pragma unroll
        for (int i = 0; i < 16; i++) STREAM_16(a[i], to + i * how.stride);
    } else store_rows(a, to, how.stride, rows, n);
}
#endif

#ifdef WEIGHTS
#define FOR_WEIGHTS(...) __VA_ARGS__
#else
#define FOR_WEIGHTS(...)
#endif

#ifdef SCORES
#define FOR_SCORES(...) __VA_ARGS__
#else
#define FOR_SCORES(...)
#endif

/* Weights of more keys than a tile has are kept as scores until the maxima and sums are known. */
#if defined(WEIGHTS) && !defined(WHOLE)
#define FOR_LATER(...) __VA_ARGS__
#else
#define FOR_LATER(...)
#endif

/* Scores are kept while the next ones are made, as stores in a row would wait for memory: those that are read again several lines of a
 * row at a time. */
#if defined(WEIGHTS) && !defined(WHOLE)
#define KEPT_LINES 4
#elif defined(SCORES)
#define KEPT_LINES 1
#endif

#ifdef KEPT_LINES
/* Blocks from..to-1 of 16 keys and 16 queries each: KEPT_LINES of them of the same queries, the next queries', the next keys'. */
INLINE void keep_scores(__local const float16 *S, keeping how, int k0, int nk, int from, int to, float unit) {
#pragma unroll 1
    for (int i = from; i < to; i++) {
        const int k = (i / (KEPT_LINES * NVQ) * KEPT_LINES + i % KEPT_LINES) * 16;
        keep_block(S, how, k0, k, nk - k, i / KEPT_LINES % NVQ, (float16)(unit));
    }
}
#endif

/* S = the scores of keys k0..k0+nk-1, -inf where taken out; `m` takes their maxima. Rows of keys after `limit` are not read. MRS keys
 * and NVS vectors of queries at a time. Scores are kept in `later` in units of log2, in `scores` as they are. */
INLINE void score_tile(__local float16 *S, __local const float16 *Qt, __global const STORED *key, long stride, int depth, span range, int k0, int nk, int limit, float16 *m FETCH_ARGS FOR_LATER(COMMA keeping later) FOR_SCORES(COMMA keeping scores)) {
#ifdef KEPT_LINES
    int kept = 0;
#endif
    for (int kk = 0; kk < nk; kk += MRS) {
#ifdef EXTRA
        if (bias_strides.z) fetch_bias(bias, bias_strides, k0 + BK, kk * BQ / BK, (kk + MRS) * BQ / BK);
#endif
        __global const STORED *rows[MRS];
#pragma unroll
        for (int i = 0; i < MRS; i++) rows[i] = i ? rows[i - 1] + stride : key + (k0 + kk) * stride;
        if (k0 + kk + MRS > limit) { /* only there products of 64 bits, which the sums would wait for */
#pragma unroll
            for (int i = 0; i < MRS; i++) rows[i] = key + min(k0 + kk + i, limit - 1) * stride;
        }
#ifndef UNMASKED
        const bool crosses = crosses_edge(range, k0 + kk, k0 + kk + MRS);
#endif
#pragma unroll 1
        for (int v = 0; v < NVQ; v += NVS) {
            float16 acc[MRS][NVS];
#pragma unroll
            for (int i = 0; i < MRS; i++) {
#pragma unroll
                for (int j = 0; j < NVS; j++) acc[i][j] = (float16)(0.0f);
            }
#pragma unroll 1
            for (int d = 0; d < depth; d++) {
                float16 q[NVS];
#pragma unroll
                for (int j = 0; j < NVS; j++) q[j] = Qt[d * NVQ + v + j];
#pragma unroll
                for (int i = 0; i < MRS; i++) {
                    const float16 k = (float16)(LOAD_1(rows[i] + d));
#pragma unroll
                    for (int j = 0; j < NVS; j++) acc[i][j] = fma(k, q[j], acc[i][j]);
                }
            }
#ifdef FORM
            if (range.cap != 0.0f) {
                for (int i = 0; i < MRS; i++) {
                    for (int j = 0; j < NVS; j++) acc[i][j] = cap_score(acc[i][j], range);
                }
            }
#ifndef UNMASKED
            if (range.slope != 0.0f) { /* what the distance of query and key takes away */
#pragma unroll
                for (int j = 0; j < NVS; j++) {
                    const float16 distance = convert_float16(lanes16() + (range.query + 16 * (v + j) + range.far - (k0 + kk)));
#pragma unroll
                    for (int i = 0; i < MRS; i++) acc[i][j] = fma((float16)(-range.slope), fabs(distance - (float)i), acc[i][j]);
                }
            }
#endif
#endif
#ifdef EXTRA
#pragma unroll
            for (int i = 0; i < MRS; i++) {
#pragma unroll
                for (int j = 0; j < NVS; j++) {
                    const float16 extra = S[(kk + i) * NVQ + v + j];
                    acc[i][j] = select(acc[i][j] + extra, (float16)(-INFINITY), extra == (float16)(-INFINITY));
                }
            }
#endif
#ifndef UNMASKED
            if (crosses) {
#pragma unroll
                for (int i = 0; i < MRS; i++) {
#pragma unroll
                    for (int j = 0; j < NVS; j++) {
                        const int16 diagonal = lanes16() + (range.query + 16 * (v + j) + range.shift);
                        const int16 k = (int16)(k0 + kk + i);
                        acc[i][j] = select(acc[i][j], (float16)(-INFINITY), k < diagonal - range.left || k > diagonal + range.right || k >= (int16)(range.length));
                    }
                }
            }
#endif
#pragma unroll
            for (int i = 0; i < MRS; i++) {
#pragma unroll
                for (int j = 0; j < NVS; j++) {
                    m[v + j] = VMAX(m[v + j], acc[i][j]);
                    S[(kk + i) * NVQ + v + j] = acc[i][j];
                }
            }
        }
#ifdef KEPT_LINES
        const int made = kk + MRS, ready = made < nk ? max(0, made - 16 * KEPT_LINES) * NVQ / 16 : (nk + 16 * KEPT_LINES - 1) / (16 * KEPT_LINES) * KEPT_LINES * NVQ;
        FOR_LATER(keep_scores(S, later, k0, nk, kept, ready, 1.0f);)
        FOR_SCORES(keep_scores(S, scores, k0, nk, kept, ready, LN2);)
        kept = ready;
#endif
    }
}

/* A maximum of -inf stands for "nothing yet"; what is subtracted from the scores is then 0. */
INLINE float16 finite_shift(float16 m) {
    return select(m, (float16)(0.0f), m == (float16)(-INFINITY));
}

/* What is stored of 16 scores: the weights, relative to the rows' maxima and sums. */
INLINE float16 weight_of(float16 score, float16 shift, float16 inverse) {
    return exp2_weight(score - shift) * inverse;
}
#endif
