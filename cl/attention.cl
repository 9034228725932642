#include "philox.cl"

/* softmax(scale * Q K^T + bias) V. Query i attends the keys first <= j < last, where the diagonal j = i + shift, the window
 * and the keys' length set the range; mask and bias take keys out of it. What is taken out is never multiplied.
 * A score is cap * tanh(scale * q k / cap) + bias - slope * |i + length - Tq - j|; a sink joins a row's maximum and sum; dropout
 * changes what is multiplied with the values, not the sum. Past keys are joined with the others before, and the window moved.
 * `row_sums` (may be absent) holds each row's maximum and its sum of exponentials relative to that, which the weights are
 * computed from: lse has the rounding of a large score, that changes every weight of its row.
 *
 * -D: FORM where there is a cap or a slope, DROPOUT, and VARLEN where the queries and keys of many sequences stand one after
 * the other (the kernels scalar and cpu). */

#define HAS_MASK 1
#define HAS_BIAS 2
#define HAS_LENGTHS 4
#define BOTTOM_RIGHT 8
#define HAS_SLOPES 16
#define SLOPES_PER_BATCH 32
#define HAS_SINKS 64
#define HAS_CAP 128

/* Where `scores` is taken. */
#define RAW 0
#define CAPPED 1
#define BIASED 2

/* heads = H, Hkv, Tq, Tk; widths = D, Dv, window to the left, to the right. Strides of mask and bias are those of [B,H,Tq,Tk].
 * dropout = seed, offset, the words below which a weight is dropped. */
#define PROBLEM                                                                                                        \
    IN(query), IN(key), IN_BOOL(mask), IN(bias), IN_INT(key_lengths), const long4 query_strides, const long4 key_strides, const long4 mask_strides,  \
        const long4 bias_strides, const long4 heads, const long4 widths, const int flags, const float scale, IN(slopes), IN(sinks), const float cap,   \
        const long4 dropout, const float kept_factor
#define SHIFT_PROBLEM                                                                                                  \
    SHIFT(query);                                                                                                      \
    SHIFT(key);                                                                                                        \
    SHIFT(mask);                                                                                                       \
    SHIFT(bias);                                                                                                       \
    SHIFT(key_lengths);                                                                                                \
    SHIFT(slopes);                                                                                                     \
    SHIFT(sinks)

INLINE long length_of(__global const int *key_lengths, long batch, long keys, int flags) {
    return flags & HAS_LENGTHS ? clamp((long)key_lengths[batch], 0L, keys) : keys;
}

INLINE long shift_of(long length, long queries, int flags) {
    return flags & BOTTOM_RIGHT ? length - queries : 0;
}

/* Where query row (b, h, i), its head's keys and its mask and bias begin. */
#define QUERY_AT(b, h, i) (query + (b)*query_strides.x + (h)*query_strides.y + (i)*query_strides.z)
#define KEY_AT(b, h) (key + (b)*key_strides.x + (h) / (heads.x / heads.y) * key_strides.y)
#define MASK_AT(b, h, i) (mask + (flags & HAS_MASK ? (b)*mask_strides.x + (h)*mask_strides.y + (i)*mask_strides.z : 0))
#define BIAS_AT(b, h, i) (bias + (flags & HAS_BIAS ? (b)*bias_strides.x + (h)*bias_strides.y + (i)*bias_strides.z : 0))

#define SLOPE_AT(b, h) (flags & HAS_SLOPES ? slopes[flags & SLOPES_PER_BATCH ? (b)*heads.x + (h) : (h)] : 0.0f)

#ifdef VARLEN
/* `cu_query` and `cu_key` hold where the sequences begin, and where the last ends; they are made rising and clamped to what
 * there is. What lies before the first and after the last are sequences without keys. */
#define SEQUENCES , IN_INT(cu_query), IN_INT(cu_key), const int count
typedef struct place {
    long query, queries, key, keys, block; /* the sequence's first query and key among all; the block within it */
} place;

/* The sequence and block of the wanted-th block of `size` queries, counted through all sequences; queries = 0 past the last. */
INLINE place place_of(__global const int *cu_query, __global const int *cu_key, int count, long4 heads, long size, long wanted) {
    place p = { 0, 0, 0, 0, 0 };
    long key_end = 0;
    for (int b = -1; b <= count; b++) {
        const long end = b < count ? max(p.query, min((long)cu_query[b + 1], heads.z)) : heads.z;
        key_end = b < count ? max(p.key, min((long)cu_key[b + 1], heads.w)) : p.key;
        const long blocks = (end - p.query + size - 1) / size;
        if (wanted < blocks) {
            p.queries = end - p.query;
            p.keys = b < 0 ? 0 : key_end - p.key;
            p.block = wanted;
            return p;
        }
        wanted -= blocks;
        p.query = end;
        p.key = key_end;
    }
    return p;
}

/* Makes a kernel's sizes and pointers those of the sequence. */
#define ENTER_SEQUENCE(at)                                                                                             \
    query += (at).query * query_strides.z;                                                                             \
    key += (at).key * key_strides.z;                                                                                   \
    value += (at).key * value_strides.z;                                                                               \
    out += (at).query * out_strides.z;                                                                                 \
    sizes.z = (at).queries;                                                                                            \
    sizes.w = (at).keys
#else
#define SEQUENCES
#endif

/* 2^x for x <= 0 up to rounding, within 2 ulp; exactly 0 below -126 (so for -inf) and NaN for NaN. */
INLINE float16 exp2_weight(float16 x) {
    const float16 magic = (float16)(12582912.0f + 127.0f); /* rounds to integer and adds the exponent's bias */
    const float16 r = x + magic, f = x - (r - magic);
    float16 p = (float16)(1.326472667e-3f);
    p = fma(p, f, (float16)(9.671512677e-3f));
    p = fma(p, f, (float16)(5.550733745e-2f));
    p = fma(p, f, (float16)(2.402224208e-1f));
    p = fma(p, f, (float16)(6.931469776e-1f));
    p = fma(p, f, (float16)(1.0f));
    return select(p * as_float16(as_int16(r) << 23), (float16)(0.0f), x < (float16)(-126.0f));
}

/* ---- scalar ---- */

#if defined(KERNEL_scalar) || defined(KERNEL_scalar_weights) || defined(KERNEL_scalar_key_sums)
/* The score of one pair; -inf where mask or bias takes it out. */
INLINE float pair_score(__global const float *q, long q_step, __global const float *k, long k_step, long depth, __global const uchar *mask, __global const float *bias, int flags, float scale, float cap, float slope, long distance) {
    float sum = 0;
    if ((flags & HAS_MASK) && !*mask) return -INFINITY;
    const float b = flags & HAS_BIAS ? *bias : 0.0f;
    if (b == -INFINITY) return b;
    for (long d = 0; d < depth; d++) sum += q[d * q_step] * k[d * k_step];
    sum *= scale;
    if (flags & HAS_CAP) sum = cap * tanh(sum / cap);
    sum += b;
    return flags & HAS_SLOPES ? sum - slope * fabs((float)distance) : sum;
}
/* Under `shown`, the flags that count; `end` = length - Tq. */
#define SCORE(b, h, i, j, shown, slope, end)                                                                           \
    pair_score(QUERY_AT(b, h, i), query_strides.w, KEY_AT(b, h) + (j)*key_strides.z, key_strides.w, widths.x, MASK_AT(b, h, i) + (j)*mask_strides.w, BIAS_AT(b, h, i) + (j)*bias_strides.w, shown, scale, cap, slope, (i) + (end) - (j))

INLINE float weight_of(float score, long row, __global const float *row_sums) {
    return score == -INFINITY ? 0.0f : exp(score - row_sums[2 * row]) / row_sums[2 * row + 1];
}
#endif

#ifdef KERNEL_scalar
#define CHUNK 32
/* One work-item per row and CHUNK of the value's width; the softmax is online. */
__kernel void scalar(PROBLEM, IN(value), const long4 value_strides, OUT(out), const long4 out_strides, OUT(lse), OUT(row_sums), const long items SEQUENCES) {
    const long n = get_global_id(0);
    if (n >= items) return;
    SHIFT_PROBLEM;
    SHIFT(value);
    SHIFT(out);
    SHIFT(lse);
    const long chunks = widths.y > CHUNK ? (widths.y + CHUNK - 1) / CHUNK : 1, row = n / chunks, start = n % chunks * CHUNK;
    const long h = row / heads.z % heads.x, b = row / heads.z / heads.x;
    long i = row % heads.z, pair = row * heads.w;
    long4 sizes = heads;
#ifdef VARLEN
    SHIFT(cu_query);
    SHIFT(cu_key);
    const place at = place_of(cu_query, cu_key, count, heads, 1, i);
    ENTER_SEQUENCE(at);
    i = at.block;
    pair += at.key;
#endif
    const long length = length_of(key_lengths, b, sizes.w, flags), diagonal = i + shift_of(length, sizes.z, flags);
    const long first = max(0L, diagonal - widths.z), last = min(length, diagonal + widths.w + 1);
    const int width = (int)min((long)CHUNK, widths.y - start);
    const float slope = SLOPE_AT(b, h);
    float sums[CHUNK], m = -INFINITY, l = 0;
    for (int d = 0; d < CHUNK; d++) sums[d] = 0;
    if (flags & HAS_SINKS) {
        m = sinks[h];
        l = m == -INFINITY ? 0.0f : 1.0f;
    }
    value += b * value_strides.x + h / (heads.x / heads.y) * value_strides.y + start * value_strides.w;
    for (long j = first; j < last; j++) {
        const float s = SCORE(b, h, i, j, flags, slope, length - sizes.z);
        if (s == -INFINITY) continue;
        if (s > m) {
            const float old = exp(m - s);
            for (int d = 0; d < width; d++) sums[d] *= old;
            l *= old;
            m = s;
        }
        float p = exp(s - m);
        l += p;
#ifdef DROPOUT
        if (philox_1((ulong)(pair + j), (ulong)dropout.y, (ulong)dropout.x) < (uint)dropout.z) continue;
        p *= kept_factor;
#endif
        for (int d = 0; d < width; d++) sums[d] += p * value[j * value_strides.z + d * value_strides.w];
    }
    out += b * out_strides.x + h * out_strides.y + i * out_strides.z + start * out_strides.w;
    for (int d = 0; d < width; d++) out[d * out_strides.w] = l == 0 ? 0.0f : sums[d] / l;
    if (start > 0) return;
    lse[row] = l == 0 ? -INFINITY : m + log(l);
    if (row_sums) vstore2((float2)(m, l), row, row_sums + row_sums_offset);
}
#endif

#ifdef KERNEL_scalar_weights
/* The weights, or the scores at `stage`. */
__kernel void scalar_weights(PROBLEM, IN(row_sums), OUT(weights), const int stage, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT_PROBLEM;
    SHIFT(row_sums);
    SHIFT(weights);
    const long j = n % heads.w, row = n / heads.w;
    const long i = row % heads.z, h = row / heads.z % heads.x, b = row / heads.z / heads.x;
    const long length = length_of(key_lengths, b, heads.w, flags), diagonal = i + shift_of(length, heads.z, flags);
    const bool inside = stage < BIASED || (j >= diagonal - widths.z && j < min(length, diagonal + widths.w + 1));
    const int shown = stage == RAW ? 0 : stage == CAPPED ? flags & HAS_CAP : flags;
    const float s = inside ? SCORE(b, h, i, j, shown, SLOPE_AT(b, h), length - heads.z) : -INFINITY;
    weights[n] = stage <= BIASED ? s : weight_of(s, row, row_sums);
}
#endif

#ifdef KERNEL_scalar_key_sums
__kernel void scalar_key_sums(PROBLEM, IN(row_sums), OUT(key_sums), const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT_PROBLEM;
    SHIFT(row_sums);
    SHIFT(key_sums);
    const long j = n % heads.w, h = n / heads.w % heads.x, b = n / heads.w / heads.x;
    const long length = length_of(key_lengths, b, heads.w, flags), shift = shift_of(length, heads.z, flags);
    const float slope = SLOPE_AT(b, h);
    float sum = 0;
    for (long i = 0; i < heads.z && j < length; i++) {
        if (j < i + shift - widths.z || j > i + shift + widths.w) continue;
        sum += weight_of(SCORE(b, h, i, j, flags, slope, length - heads.z), (b * heads.x + h) * heads.z + i, row_sums);
    }
    key_sums[n] = sum;
}
#endif

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

#ifdef KERNEL_cpu
#ifdef TAIL
/* Rows of the value padded with zeros to whole vectors. */
INLINE void pack_values(__local float16 *V, __global const float *value, long stride, int tail, int nk) {
    for (int k = 0; k < nk; k++) {
        for (int t = 0; t < WIDTH - 1; t++) V[k * WIDTH + t] = vload16(t, value + k * stride);
        V[k * WIDTH + WIDTH - 1] = load_some(value + k * stride + (WIDTH - 1) * 16, tail, 0.0f);
    }
}
#define VALUES __local const float16 *V
#define VALUE(k, t) V[(k)*WIDTH + (t)]
#else
#define VALUES __global const float *V
#define VALUE(k, t) vload16(t, V + (k)*stride)
#endif

/* The block's running maxima, sums and weighted values. */
INLINE void rescale(__local float16 *O, __local float16 *m, __local float16 *l, __local float16 *factor, const float16 *new_m, bool empty) {
    int moved = 0;
#pragma unroll
    for (int j = 0; j < NVQ; j++) moved |= any(new_m[j] > m[j]);
    if (!moved) return;
#pragma unroll
    for (int j = 0; j < NVQ; j++) {
        factor[j] = exp2_weight(m[j] - finite_shift(new_m[j]));
        l[j] *= factor[j];
        m[j] = new_m[j];
    }
    if (empty) return;
    __local const float *factors = (__local const float *)factor;
    for (int q = 0; q < BQ; q++) {
        for (int t = 0; t < WIDTH; t++) O[q * WIDTH + t] *= factors[q];
    }
}

/* What dropout is told: the index of the tile's first pair, how far the next query's lies. */
typedef struct dropping {
    long pair, step, seed, offset;
    uint below;
    float factor;
} dropping;

#ifdef DROPOUT
INLINE float16 drop(float16 p, dropping how, int k, int j) {
    const ulong16 pair = (ulong16)((ulong)(how.pair + k)) + convert_ulong16(lanes16() + 16 * j) * (ulong16)((ulong)how.step);
    const uint16 word = philox_16(pair, (ulong)how.offset, (ulong)how.seed);
    return select(p * how.factor, (float16)(0.0f), word < (uint16)(how.below));
}
#endif

/* Scores become weights relative to the maxima, and are summed. */
INLINE void weigh(__local float16 *S, __local const float16 *m, __local float16 *l, int nk, dropping how) {
    float16 sum[NVQ], shift[NVQ];
#pragma unroll
    for (int j = 0; j < NVQ; j++) {
        sum[j] = l[j];
        shift[j] = finite_shift(m[j]);
    }
    for (int k = 0; k < nk; k++) {
#pragma unroll
        for (int j = 0; j < NVQ; j++) {
            const float16 p = exp2_weight(S[k * NVQ + j] - shift[j]);
            sum[j] += p;
#ifdef DROPOUT
            S[k * NVQ + j] = drop(p, how, k, j);
#else
            S[k * NVQ + j] = p;
#endif
        }
    }
#pragma unroll
    for (int j = 0; j < NVQ; j++) l[j] = sum[j];
}

/* True when a value is NaN or infinite. */
INLINE bool has_nonfinite(VALUES, long stride, int nk) {
    float16 zero = (float16)(0.0f);
    for (int k = 0; k < nk; k++) {
        for (int t = 0; t < WIDTH; t++) zero = fma(VALUE(k, t), (float16)(0.0f), zero);
    }
    return any(isnan(zero));
}

/* O += P V, where no weight of 0 may touch a value. */
INLINE void add_values_careful(__local float16 *O, __local const float *P, VALUES, long stride, int nk) {
    for (int q = 0; q < BQ; q++) {
        for (int k = 0; k < nk; k++) {
            const float p = P[k * BQ + q];
            if (p == 0.0f) continue;
            for (int t = 0; t < WIDTH; t++) O[q * WIDTH + t] += p * VALUE(k, t);
        }
    }
}

/* O += P V, MRQ queries and NVD vectors of the width at a time. */
INLINE void add_values(__local float16 *O, __local const float *P, VALUES, long stride, int nk) {
    for (int t0 = 0; t0 < WIDTH; t0 += NVD) {
        for (int q = 0; q < BQ; q += MRQ) {
            float16 acc[MRQ][NVD];
#pragma unroll
            for (int i = 0; i < MRQ; i++) {
#pragma unroll
                for (int t = 0; t < NVD; t++) acc[i][t] = O[(q + i) * WIDTH + t0 + t];
            }
#pragma unroll 1
            for (int k = 0; k < nk; k++) {
                float16 v[NVD];
#pragma unroll
                for (int t = 0; t < NVD; t++) v[t] = VALUE(k, t0 + t);
#pragma unroll
                for (int i = 0; i < MRQ; i++) {
                    const float16 p = (float16)(P[k * BQ + q + i]);
#pragma unroll
                    for (int t = 0; t < NVD; t++) acc[i][t] = fma(p, v[t], acc[i][t]);
                }
            }
#pragma unroll
            for (int i = 0; i < MRQ; i++) {
#pragma unroll
                for (int t = 0; t < NVD; t++) O[(q + i) * WIDTH + t0 + t] = acc[i][t];
            }
        }
    }
}

/* `sink` in units of log2, -inf for none. */
INLINE void write_rows(__local const float16 *O, __local const float *m, __local const float *l, __global float *out, long stride, __global float *lse, __global float *row_sums, int width, int rows, float sink) {
    for (int q = 0; q < rows; q++) {
        float top = m[q], sum = l[q], factor = 1.0f;
        if (sink != -INFINITY) {
            top = fmax(top, sink);
            factor = exp2(m[q] - top);
            sum = sum * factor + exp2(sink - top);
        }
        const float inverse = sum == 0.0f ? 0.0f : factor / sum;
        for (int t = 0; t < WIDTH; t++) {
            const float16 v = O[q * WIDTH + t] * inverse;
            if (16 * t + 16 <= width) vstore16(v, t, out + q * stride);
            else store_some(v, width - 16 * t, out + q * stride + 16 * t);
        }
        lse[q] = sum == 0.0f ? -INFINITY : (top + log2(sum)) * LN2;
        if (row_sums) vstore2((float2)(top, sum), q, row_sums);
    }
}

/* The latest queries first: with causal they have the most keys. */
SINGLE void cpu(PROBLEM, IN(value), const long4 value_strides, OUT(out), const long4 out_strides, OUT(lse), OUT(row_sums) SEQUENCES) {
    __local float16 Qt[DEPTH * NVQ], S[BK * NVQ], O[BQ * WIDTH], m[NVQ], l[NVQ], factor[NVQ];
#ifdef TAIL
    __local float16 V[BK * WIDTH];
#endif
    SHIFT_PROBLEM;
    SHIFT(value);
    SHIFT(out);
    SHIFT(lse);
    const long h = get_group_id(1) % heads.x, b = get_group_id(1) / heads.x;
    long4 sizes = heads;
    long block = get_num_groups(0) - 1 - get_group_id(0), row = (b * heads.x + h) * heads.z, pair = 0;
#ifdef VARLEN
    SHIFT(cu_query);
    SHIFT(cu_key);
    const place at = place_of(cu_query, cu_key, count, heads, BQ, block);
    if (at.queries == 0) return;
    ENTER_SEQUENCE(at);
    block = at.block;
    row += at.query;
    pair = at.key;
#endif
    const int q0 = (int)block * BQ, rows = min(BQ, (int)sizes.z - q0);
    const span range = span_of(q0, sizes, widths, length_of(key_lengths, b, sizes.w, flags), flags, cap, SLOPE_AT(b, h));
    row += q0;
    pair += row * heads.w;
    load_queries(Qt, QUERY_AT(b, h, q0), query_strides.z, (int)widths.x, rows, scale * LOG2E);
    for (int i = 0; i < BQ * WIDTH; i++) O[i] = (float16)(0.0f);
    for (int j = 0; j < NVQ; j++) {
        m[j] = (float16)(-INFINITY);
        l[j] = (float16)(0.0f);
    }
    value += b * value_strides.x + h / (heads.x / heads.y) * value_strides.y;
    bool empty = true;
    for (int k0 = range.begin; k0 < range.end; k0 += BK) {
        const int nk = min(BK, range.end - k0);
        bool careful = crosses_edge(range, k0, k0 + nk);
#ifdef DROPOUT
        careful = true;
#endif
#ifdef EXTRA
        if (!fill_extra(S, MASK_AT(b, h, q0), BIAS_AT(b, h, q0), mask_strides, bias_strides, k0, nk, rows, flags)) continue;
        careful = true;
#endif
        float16 new_m[NVQ];
#pragma unroll
        for (int j = 0; j < NVQ; j++) new_m[j] = m[j];
        score_tile(S, Qt, KEY_AT(b, h), key_strides.z, (int)widths.x, range, k0, nk, range.end, new_m);
        rescale(O, m, l, factor, new_m, empty);
        const dropping how = { pair + k0, heads.w, dropout.x, dropout.y, (uint)dropout.z, kept_factor };
        weigh(S, m, l, nk, how);
        empty = false;
#ifdef TAIL
        pack_values(V, value + k0 * value_strides.z, value_strides.z, (int)widths.y % 16, nk);
#else
        __global const float *V = value + k0 * value_strides.z;
#endif
        if (careful && has_nonfinite(V, value_strides.z, nk)) add_values_careful(O, (__local const float *)S, V, value_strides.z, nk);
        else add_values(O, (__local const float *)S, V, value_strides.z, nk);
    }
    write_rows(O, (__local const float *)m, (__local const float *)l, out + b * out_strides.x + h * out_strides.y + q0 * out_strides.z, out_strides.z, lse + row, row_sums ? row_sums + row_sums_offset + 2 * row : 0, (int)widths.y, rows, flags & HAS_SINKS ? sinks[h] * LOG2E : -INFINITY);
}
#endif

#ifdef KERNEL_cpu_weights
/* What is stored of 16 scores: they themselves, or the weights. */
INLINE float16 shown(float16 score, float16 shift, float16 inverse) {
#ifdef STAGE
    return score * LN2;
#else
    return exp2_weight(score - shift) * inverse;
#endif
}

#ifdef SUMS
/* The sums over the block's queries of a tile's weights. */
INLINE void store_sums(__local const float16 *S, const float16 *shift, const float16 *inverse, __global float *sums, int nk, int rows) {
    for (int k = 0; k < nk; k++) {
        float16 sum = (float16)(0.0f);
        for (int j = 0; j < NVQ; j++) sum += select((float16)(0.0f), shown(S[k * NVQ + j], shift[j], inverse[j]), lanes16() + 16 * j < (int16)(rows));
        sums[k] = sum16(sum);
    }
}
#else
/* Turns a tile of S into the rows of 16 queries. */
INLINE void store_weights(__local const float16 *S, float16 shift, float16 inverse, int j, __global float *weights, long stride, int nk, int rows) {
    for (int kk = 0; kk < nk; kk += 16) {
        float16 a[16];
#pragma unroll
        for (int i = 0; i < 16; i++) a[i] = shown(S[(kk + i) * NVQ + j], shift, inverse);
        transpose16(a);
        for (int i = 0; i < 16 && i < rows; i++) {
            if (nk - kk >= 16) vstore16(a[i], 0, weights + i * stride + kk);
            else store_some(a[i], nk - kk, weights + i * stride + kk);
        }
    }
}
#endif

/* A second pass over the scores: the weights, with STAGE the scores there, with SUMS each block's part of
 * the weights' sums over the queries, [block][b,h][key]. */
SINGLE void cpu_weights(PROBLEM, IN(row_sums), OUT(weights)) {
    __local float16 Qt[DEPTH * NVQ], S[BK * NVQ];
    SHIFT_PROBLEM;
    SHIFT(weights);
    const int q0 = (int)get_group_id(0) * BQ, rows = min(BQ, (int)heads.z - q0);
    const long h = get_group_id(1) % heads.x, b = get_group_id(1) / heads.x, row = (b * heads.x + h) * heads.z + q0;
    const span range = span_of(q0, heads, widths, length_of(key_lengths, b, heads.w, flags), flags, cap, SLOPE_AT(b, h));
    float16 shift[NVQ], inverse[NVQ], unused[NVQ];
    load_queries(Qt, QUERY_AT(b, h, q0), query_strides.z, (int)widths.x, rows, scale * LOG2E);
    for (int j = 0; j < NVQ; j++) {
        float maxima[16], inverses[16];
        for (int i = 0; i < 16; i++) {
            const float2 sums = row_sums ? vload2(row + min(16 * j + i, rows - 1), row_sums + row_sums_offset) : (float2)(0.0f);
            maxima[i] = sums.x;
            inverses[i] = sums.y == 0.0f ? 0.0f : 1.0f / sums.y;
        }
        shift[j] = finite_shift(vload16(0, maxima));
        inverse[j] = vload16(0, inverses);
        unused[j] = (float16)(0.0f);
    }
    for (int k0 = 0; k0 < (int)heads.w; k0 += BK) {
        const int nk = min(BK, (int)heads.w - k0);
        bool any_key = k0 < range.end && k0 + nk > range.begin;
#ifdef UNMASKED
        any_key = true;
#endif
#ifdef EXTRA
        any_key = any_key && fill_extra(S, MASK_AT(b, h, q0), BIAS_AT(b, h, q0), mask_strides, bias_strides, k0, nk, rows, flags);
#endif
        if (any_key) score_tile(S, Qt, KEY_AT(b, h), key_strides.z, (int)widths.x, range, k0, nk, (int)heads.w, unused);
        else
            for (int i = 0; i < BK * NVQ; i++) S[i] = (float16)(-INFINITY);
#ifdef SUMS
        store_sums(S, shift, inverse, weights + (get_group_id(0) * get_num_groups(1) + get_group_id(1)) * heads.w + k0, nk, rows);
#else
        for (int j = 0; j < NVQ && 16 * j < rows; j++) store_weights(S, shift[j], inverse[j], j, weights + (row + 16 * j) * heads.w + k0, heads.w, nk, rows - 16 * j);
#endif
    }
}
#endif

#ifdef KERNEL_cpu_key_sums
/* The sums of the blocks' parts. */
__kernel void cpu_key_sums(IN(parts), OUT(key_sums), const int blocks, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(parts);
    SHIFT(key_sums);
    float sum = 0;
    for (int i = 0; i < blocks; i++) sum += parts[i * count + n];
    key_sums[n] = sum;
}
#endif

/* ---- decode: few queries ----
 *
 * One group per (batch, key/value head) and part of the keys: the queries of all heads that read this key/value head go over
 * the part together, so each key and value is read once. Vectors run along the head sizes. Each leaves its maximum, sum and
 * weighted values, which decode_join puts together. The same names as above; Tq * H / Hkv <= ROWS. */

#ifdef KERNEL_decode
/* The queries' rows, padded with zeros to DEPTH. */
INLINE void load_row(__local float16 *to, __global const float *from, int depth, float factor) {
    for (int t = 0; t < DEPTH / 16; t++) to[t] = (16 * t + 16 <= depth ? vload16(t, from) : load_some(from + 16 * t, depth - 16 * t, 0.0f)) * factor;
}

/* Dot products of one key, whose vectors are in k. */
INLINE float dot_row(__local const float16 *q, const float16 *k) {
    float16 sum = q[0] * k[0];
#pragma unroll
    for (int t = 1; t < DEPTH / 16; t++) sum = fma(q[t], k[t], sum);
    return sum16(sum);
}

/* The rows' scores of this part, for the kernel decode_weights. */
INLINE void store_part(__local const float16 *P, __global float *scores, long stride, int rows, int keys) {
    for (int r = 0; r < rows; r++) {
        for (int k = 0; k < keys; k += 16) {
            const float16 s = P[(r * BK + k) / 16];
            if (k + 16 <= keys) vstore16(s, 0, scores + r * stride + k);
            else store_some(s, keys - k, scores + r * stride + k);
        }
    }
}

SINGLE void decode(PROBLEM, IN(value), const long4 value_strides, OUT(parts), OUT(scores), const int part_keys) {
    __local float16 Q[ROWS * (DEPTH / 16)], P[ROWS * (BK / 16)];
    __local float *S = (__local float *)P;
    SHIFT_PROBLEM;
    SHIFT(value);
    SHIFT(parts);
    const long g = get_group_id(1) % heads.y, b = get_group_id(1) / heads.y, group = heads.x / heads.y;
    const int rows = (int)(group * heads.z), depth = (int)widths.x, width = (int)widths.y;
    const long length = length_of(key_lengths, b, heads.w, flags), shift = shift_of(length, heads.z, flags);
    const long from = get_group_id(0) * (long)part_keys, to = min(from + part_keys, length);
    for (int r = 0; r < rows; r++) load_row(Q + r * (DEPTH / 16), QUERY_AT(b, g * group + r / heads.z, r % heads.z), depth, scale * LOG2E);
    key = KEY_AT(b, g * group);
    value += b * value_strides.x + g * value_strides.y;
    parts += (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * rows * (16 * WIDTH + 16);
    for (int r = 0; r < rows * BK; r++) S[r] = -INFINITY;
    for (long j = from; j < to; j++) {
        float16 k[DEPTH / 16];
#pragma unroll
        for (int t = 0; t < DEPTH / 16; t++) k[t] = 16 * t + 16 <= depth ? vload16(t, key + j * key_strides.z) : load_some(key + j * key_strides.z + 16 * t, depth - 16 * t, 0.0f);
        for (int r = 0; r < rows; r++) {
            const long h = g * group + r / heads.z, i = r % heads.z;
            if (j < i + shift - widths.z || j > i + shift + widths.w) continue;
            if ((flags & HAS_MASK) && !MASK_AT(b, h, i)[j * mask_strides.w]) continue;
            const float extra = flags & HAS_BIAS ? BIAS_AT(b, h, i)[j * bias_strides.w] : 0.0f;
            if (extra == -INFINITY) continue;
            float score = dot_row(Q + r * (DEPTH / 16), k);
#ifdef FORM
            if (flags & HAS_CAP) score = cap * LOG2E * tanh(score / (cap * LOG2E));
            score -= SLOPE_AT(b, h) * LOG2E * fabs((float)(i + length - heads.z - j));
#endif
            S[r * BK + (j - from)] = score + extra * LOG2E;
        }
    }
    if (scores) store_part(P, scores + scores_offset + (b * heads.x + g * group) * heads.z * heads.w + from, heads.w, rows, (int)min((long)part_keys, heads.w - from));
    for (int r = 0; r < rows; r++) {
        float16 m16 = (float16)(-INFINITY), l16 = (float16)(0.0f), sum[WIDTH];
        for (int k = 0; k < BK / 16; k++) m16 = VMAX(m16, P[r * (BK / 16) + k]);
        const float m = max16(m16), base = m == -INFINITY ? 0.0f : m;
        for (int k = 0; k < BK / 16; k++) {
            P[r * (BK / 16) + k] = exp2_weight(P[r * (BK / 16) + k] - base);
            l16 += P[r * (BK / 16) + k];
        }
#pragma unroll
        for (int t = 0; t < WIDTH; t++) sum[t] = (float16)(0.0f);
        for (long j = from; j < to; j++) {
            const float p = S[r * BK + (j - from)];
            __global const float *v = value + j * value_strides.z;
            if (p == 0.0f) continue;
#pragma unroll
            for (int t = 0; t < WIDTH; t++) sum[t] += p * (16 * t + 16 <= width ? vload16(t, v) : load_some(v + 16 * t, width - 16 * t, 0.0f));
        }
        __global float *part = parts + r * (16 * WIDTH + 16);
        part[0] = m;
        part[1] = sum16(l16);
#pragma unroll
        for (int t = 0; t < WIDTH; t++) vstore16(sum[t], t, part + 16);
    }
}
#endif

#ifdef KERNEL_decode_join
/* One group per row: the parts' sums brought to the common maximum. */
SINGLE void decode_join(IN(parts), OUT(out), const long4 out_strides, OUT(lse), OUT(row_sums), const long4 heads, const int width, const int part_count, IN(sinks), const int has_sinks) {
    SHIFT(parts);
    SHIFT(sinks);
    SHIFT(out);
    SHIFT(lse);
    const long row = get_group_id(0), i = row % heads.z, h = row / heads.z % heads.x, b = row / heads.z / heads.x;
    const long group = heads.x / heads.y, rows = group * heads.z, size = 16 * WIDTH + 16;
    float m = -INFINITY, l = 0;
    float16 sum[WIDTH];
    parts += (b * heads.y + h / group) * part_count * rows * size + (h % group * heads.z + i) * size;
    for (int c = 0; c < part_count; c++) m = max(m, parts[c * rows * size]);
    for (int t = 0; t < WIDTH; t++) sum[t] = (float16)(0.0f);
    for (int c = 0; c < part_count; c++) {
        __global const float *part = parts + c * rows * size;
        if (part[1] == 0.0f) continue;
        const float factor = exp2(part[0] - m);
        l += factor * part[1];
        for (int t = 0; t < WIDTH; t++) sum[t] += factor * vload16(t, part + 16);
    }
    const float sink = has_sinks ? sinks[h] * LOG2E : -INFINITY;
    if (sink != -INFINITY) {
        const float top = fmax(m, sink), factor = exp2(m - top);
        l = l * factor + exp2(sink - top);
        m = top;
        for (int t = 0; t < WIDTH; t++) sum[t] *= factor;
    }
    out += b * out_strides.x + h * out_strides.y + i * out_strides.z;
    for (int t = 0; t < WIDTH; t++) {
        const float16 v = l == 0.0f ? (float16)(0.0f) : sum[t] / l;
        if (16 * t + 16 <= width) vstore16(v, t, out);
        else store_some(v, width - 16 * t, out + 16 * t);
    }
    lse[row] = l == 0.0f ? -INFINITY : (m + log2(l)) * LN2;
    if (row_sums) vstore2((float2)(m, l), row, row_sums + row_sums_offset);
}
#endif

#if defined(KERNEL_decode_weights) || defined(KERNEL_decode_key_sums)
/* The weight of a score in units of log2. */
INLINE float16 decoded(float16 score, __global const float *row_sums, long row) {
    const float2 sums = vload2(row, row_sums);
    return exp2_weight(score - (sums.x == -INFINITY ? 0.0f : sums.x)) * (sums.y == 0.0f ? 0.0f : 1.0f / sums.y);
}
#endif

#ifdef KERNEL_decode_weights
/* One group per part of BK keys and row: the weights, or with STAGE the scores. */
SINGLE void decode_weights(IN(scores), IN(row_sums), OUT(weights), const long keys) {
    const long row = get_group_id(1), from = get_group_id(0) * (long)BK, to = min(from + BK, keys);
    scores += scores_offset + row * keys;
    weights += weights_offset + row * keys;
    for (long k = from; k < to; k += 16) {
        const float16 s = k + 16 <= to ? vload16(0, scores + k) : load_some(scores + k, (int)(to - k), 0.0f);
#ifdef STAGE
        const float16 w = s * LN2;
#else
        const float16 w = decoded(s, row_sums + row_sums_offset, row);
#endif
        if (k + 16 <= to) vstore16(w, 0, weights + k);
        else store_some(w, (int)(to - k), weights + k);
    }
}
#endif

#ifdef KERNEL_decode_key_sums
/* One group per part of BK keys and (batch, head). */
SINGLE void decode_key_sums(IN(scores), IN(row_sums), OUT(key_sums), const int queries, const long keys) {
    const long head = get_group_id(1), from = get_group_id(0) * (long)BK, to = min(from + BK, keys);
    scores += scores_offset + head * queries * keys;
    key_sums += key_sums_offset + head * keys;
    for (long k = from; k < to; k += 16) {
        float16 sum = (float16)(0.0f);
        for (int i = 0; i < queries; i++) sum += decoded(k + 16 <= to ? vload16(0, scores + i * keys + k) : load_some(scores + i * keys + k, (int)(to - k), 0.0f), row_sums + row_sums_offset, head * queries + i);
        if (k + 16 <= to) vstore16(sum, 0, key_sums + k);
        else store_some(sum, (int)(to - k), key_sums + k);
    }
}
#endif
