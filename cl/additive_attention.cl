#include "common.cl"

/* score(i,j) = sum_d w_d tanh(z), z = inner (q_d + k_d) + b_d, by tanh z = 1 - 2 / (1 + e^2z).
 *
 * Everything is in units of log2: with L = 2 log2(e) inner and w' = -2 log2(e) w,
 *     log2(e) score = sum_d w'_d / (1 + 2^(L (q_d + k_d) + b'_d)) - w'_d / 2,
 * where e^2z = 2^(L q + b') * 2^(L k): the exponentials are taken once per element of query and key, not per pair. Two
 * terms share a divide, w1/u1 + w2/u2 = (w1 u2 + w2 u1) / (u1 u2), with the u clamped so that their product stays finite:
 * past the clamp tanh is 1 in f32. With 1/w folded in, v = u/w, it is (v1 + v2) / (v1 v2), and where the exponents are small four terms
 * share a divide. The halves w'/2 are taken off per block, so that sums stay small.
 *
 * A power is exact to f32 while its exponent is within +-LIMIT. Rows and blocks with larger (or NaN) elements are marked
 * by the passes before, and pairs with them take the exponential of the sum instead, which is right for any values.
 *
 * prepared: w' in `padded` floats, b' and 1 / w' in as many, then a sum per vector of 16 or 16 sums, one per lane. */

#define TWO_LOG2E 2.88539008177792681f
#define LIMIT 124.0f
#define LARGEST 0x1p60f

/* How a block of queries and a row of keys may meet, the larger of their marks: with the weights folded into the queries' powers, where
 * all exponents are within +-NEAR and the queries' side within FOLDED_MOST, so that the product of two terms stays finite without a clamp,
 * or with CLOSE and QUADS_MOST that of four; clamped; or by the exponential of the sum. */
#define QUADS 0
#define FOLDED 1
#define CLAMPED 2
#define ANY 3
#define CLOSE 13.0f
#define QUADS_MOST 0x1p17f
#define NEAR 24.0f
#define FOLDED_MOST 0x1p36f
/* In the place of 1/w where there is no element: what is left of its term, 2^-30, is the same for every key. */
#define PADDING 0x1p30f

/* A mask's strides are in a long4 from axis 0. */
INLINE bool kept(__global const uchar *mask, long4 strides, long i, long j, long k) {
    return !mask || mask[i * strides.x + j * strides.y + k * strides.z] != 0;
}

/* 1 + 2^x for any x; NaN stays. Past the clamps the result is 1 or LARGEST in effect. */
INLINE float16 one_plus_exp2(float16 x) {
    const float16 u = 1.0f + exp2_16(VMIN(x, (float16)(60.0f)));
    return select(u, x, isnan(x));
}

/* 2^(s - m); 0 for an excluded score, NaN for NaN. */
INLINE float16 weight_16(float16 s, float16 m) {
    float16 p = exp2_16(s - m);
    p = select(p, (float16)(0.0f), s == -INFINITY);
    return select(p, s, isnan(s));
}

#if defined KERNEL_prepare || defined KERNEL_before
/* With `overlap` the last vector covers the last 16 elements (if there are as many), those seen before with weight 0, and
 * the sums are per lane. */
APART void prepare_weights(__global const float *scale, __global const float *bias, __global float *prepared, long size, long vectors, int overlap) {
    const long padded = vectors * 16;
    float16 lanes = (float16)(0.0f);
    ROLL for (long v = 0; v < vectors; v++) {
        const long first = overlap && size >= 16 ? min(v * 16, size - 16) : v * 16;
        float w[16], b[16];
        ROLL for (int i = 0; i < 16; i++) {
            const long d = first + i;
            w[i] = d < v * 16 || d >= size ? 0.0f : scale ? scale[d] * -TWO_LOG2E : -TWO_LOG2E;
            b[i] = d >= size || !bias ? 0.0f : bias[d] * TWO_LOG2E;
        }
        const float16 w16 = vload16(0, w);
        lanes += w16 * -0.5f;
        vstore16(w16, v, prepared);
        vstore16(vload16(0, b), v, prepared + padded);
        vstore16(select(1.0f / w16, (float16)(PADDING), w16 == (float16)(0.0f)), v, prepared + 2 * padded);
        if (!overlap) prepared[3 * padded + v] = -0.5f * sum16(w16);
    }
    if (overlap) vstore16(lanes, 0, prepared + 3 * padded);
}
#endif

#ifdef KERNEL_prepare
SINGLE void prepare(IN(scale), IN(bias), OUT(prepared), const long size, const long vectors) {
    prepare_weights(scale ? scale + scale_offset : 0, bias ? bias + bias_offset : 0, prepared + prepared_offset, size, vectors, 1);
}
#endif

#ifdef KERNEL_before
/* beyond[mark]: where that mark is not enough. */
INLINE int mark_of(const int16 *beyond) {
    return any(beyond[CLAMPED]) ? ANY : any(beyond[FOLDED]) ? CLAMPED : any(beyond[QUADS]) ? FOLDED : QUADS;
}

/* 2^(x L + b) with the exponent in two parts, so that a power times the power of the opposite is 1 to f32. */
INLINE float16 power(float16 x, float factor, float16 b, int16 *beyond) {
    const float16 product = x * factor, low = fma(x, (float16)(factor), -product);
    const float16 sum = product + b, back = sum - product, error = (product - (sum - back)) + (b - back);
    beyond[QUADS] |= !(fabs(sum) <= CLOSE);
    beyond[FOLDED] |= !(fabs(sum) <= NEAR);
    beyond[CLAMPED] |= !(fabs(sum) <= LIMIT);
    return exp2_16(sum) * fma(low + error, (float16)(LN2), (float16)(1.0f));
}

/* One row of keys; rows from `length` on are padding: zeros, never marked. */
APART int key_row(__global const float *from, __global float *to, bool exists, long size, long padded, float factor) {
    int16 beyond[3] = { (int16)(0), (int16)(0), (int16)(0) };
    ROLL for (long d = 0; d < padded; d += 16) {
        const int count = exists ? (int)min(size - d, 16L) : 0;
        const float16 x = count == 16 ? vload16(0, from + d) : load_some(from + d, count, 0.0f);
        const float16 p = power(x, factor, (float16)(0.0f), beyond);
        vstore16(select((float16)(0.0f), p, lanes16() < count), 0, to + d);
    }
    return mark_of(beyond);
}

/* 16 queries transposed to vectors along them: themselves, their powers, and these divided by the weights. */
APART int query_block(__global const float *from, __global const float *scale, __global const float *bias, __global float *powers, __global float *folded, __global float *plain, int rows, long size, long padded, float factor) {
    int16 beyond[3] = { (int16)(0), (int16)(0), (int16)(0) };
    ROLL for (long d = 0; d < padded; d += 16) {
        const int count = (int)min(size - d, 16L);
        float16 a[16];
        ROLL for (int i = 0; i < 16; i++) {
            __global const float *row = from + min(i, rows - 1) * size + d;
            a[i] = count == 16 ? vload16(0, row) : load_some(row, count, 0.0f);
        }
        transpose_16(a);
        ROLL for (int i = 0; i < 16; i++) {
            const float w = i >= count ? 1.0f : scale ? scale[d + i] * -TWO_LOG2E : -TWO_LOG2E, b = i < count && bias ? bias[d + i] * TWO_LOG2E : 0.0f, inverse = 1.0f / w;
            const float16 p = power(a[i], factor, (float16)(b), beyond);
            const float most = fmax(fabs(inverse), fabs(w)); /* a NaN of w stays one of p * inverse */
            beyond[QUADS] |= !(p * fabs(inverse) <= QUADS_MOST) | (int16)(most > QUADS_MOST ? -1 : 0);
            beyond[FOLDED] |= !(p * fabs(inverse) <= FOLDED_MOST) | (int16)(most > FOLDED_MOST ? -1 : 0);
            vstore16(a[i], d + i, plain);
            vstore16(p, d + i, powers);
            vstore16(i < count ? p * inverse : (float16)(0.0f), d + i, folded);
        }
    }
    return mark_of(beyond);
}

/* The first group prepares the weights, the next `key_groups` a row of keys each, the others a block of 16 queries each. */
SINGLE void before(IN(query), IN(key), IN(scale), IN(bias), OUT(prepared), OUT(key_powers), OUT_INT(key_marks), OUT(powers), OUT(folded), OUT(plain), OUT_INT(query_marks), const long queries, const long blocks, const long keys, const long key_rows, const long key_groups, const long size, const long padded, const float factor) {
    if (scale) SHIFT(scale);
    if (bias) SHIFT(bias);
    long n = get_group_id(0);
    if (n == 0) {
        prepare_weights(scale, bias, prepared + prepared_offset, size, padded / 16, 0);
    } else if (n <= key_groups) {
        const long batch = --n / key_rows, k = n - batch * key_rows;
        key_marks[key_marks_offset + n] = key_row(key + key_offset + (batch * keys + k) * size, key_powers + key_powers_offset + n * padded, k < keys, size, padded, factor);
    } else {
        n -= key_groups + 1;
        const long batch = n / blocks, first = (n - batch * blocks) * 16, at = n * padded * 16;
        query_marks[query_marks_offset + n] = query_block(query + query_offset + (batch * queries + first) * size, scale, bias, powers + powers_offset + at, folded + folded_offset + at, plain + plain_offset + at, (int)min(16L, queries - first), size, padded, factor);
    }
}
#endif

#ifdef KERNEL_pad
/* Rows of `size` elements in rows of `padded`, the rest 0; one row per group. */
SINGLE void pad(IN(x), OUT(y), const long size, const long padded) {
    SHIFT(x);
    SHIFT(y);
    x += get_group_id(0) * size;
    y += get_group_id(0) * padded;
    for (long i = 0; i < padded; i++) y[i] = i < size ? x[i] : 0.0f;
}
#endif

#ifdef KERNEL_attend
#define TILE 64 /* keys between two looks at the maximum */
#define ROWS 8  /* keys whose marks are looked at together */
#ifdef FEW_REGISTERS
#define KEYS 2 /* whose sums are in registers together */
#define QUERIES 4 /* the same of values, with VECTORS of them */
#define VECTORS 1
#else
#define KEYS 8
#define QUERIES 8
#define VECTORS 2
#endif

#define UNROLL _Pragma("unroll")
/* Scores of KEYS keys with 16 queries, `step` elements at a time: LOADS once for all keys, TERMS for each, the i-th, whose row begins
 * at `row`. */
#define SCORES(name, step, LOADS, TERMS)                                                                               \
    APART void name(__global const float *q, __global const float *k, __global const float *prepared, long padded, __local float16 *s) { \
        float16 total[KEYS];                                                                                           \
        UNROLL for (int i = 0; i < KEYS; i++) total[i] = (float16)(0.0f);                                              \
        for (long v = 0; v < padded / 16; v++) {                                                                       \
            float16 part[KEYS];                                                                                        \
            UNROLL for (int i = 0; i < KEYS; i++) part[i] = (float16)(prepared[3 * padded + v]);                       \
            for (long d = v * 16; d < v * 16 + 16; d += step) {                                                        \
                LOADS;                                                                                                 \
                UNROLL for (int i = 0; i < KEYS; i++) {                                                                \
                    __global const float *row = k + i * padded + d;                                                    \
                    part[i] += TERMS;                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
            UNROLL for (int i = 0; i < KEYS; i++) total[i] += part[i];                                                 \
        }                                                                                                              \
        UNROLL for (int i = 0; i < KEYS; i++) s[i] = total[i];                                                         \
    }

/* w0 / u0 + w1 / u1, the u = 1 + a product of powers; of the folded ones 1 / v0 + 1 / v1, and two such pairs. */
INLINE float16 clamped_terms(float16 u0, float16 u1, float w0, float w1) {
    u0 = VMIN(u0, (float16)(LARGEST));
    u1 = VMIN(u1, (float16)(LARGEST));
    return fma((float16)(w0), u1, w1 * u0) / (u0 * u1);
}

INLINE float16 two_terms(float16 v0, float16 v1) {
    return (v0 + v1) / (v0 * v1);
}

INLINE float16 four_terms(float16 v0, float16 v1, float16 v2, float16 v3) {
    const float16 first = v0 * v1, second = v2 * v3;
    return fma(v0 + v1, second, (v2 + v3) * first) / (first * second);
}

#define POWERS(d) vload16(d, q)
#define TERM(q, i, w) fma(q, (float16)(row[i]), w)
SCORES(scores_clamped, 2, const float16 q0 = POWERS(d) COMMA q1 = POWERS(d + 1) COMMA one = (float16)(1.0f), clamped_terms(TERM(q0, 0, one), TERM(q1, 1, one), prepared[d], prepared[d + 1]))
#define INVERSE(d) (float16)(prepared[2 * padded + (d)])
SCORES(scores_folded, 2, const float16 q0 = POWERS(d) COMMA q1 = POWERS(d + 1) COMMA w0 = INVERSE(d) COMMA w1 = INVERSE(d + 1), two_terms(TERM(q0, 0, w0), TERM(q1, 1, w1)))
#ifdef FEW_REGISTERS
#define scores_quads scores_folded
#else
SCORES(scores_quads, 4,
       const float16 q0 = POWERS(d) COMMA q1 = POWERS(d + 1) COMMA q2 = POWERS(d + 2) COMMA q3 = POWERS(d + 3) COMMA w0 = INVERSE(d) COMMA w1 = INVERSE(d + 1) COMMA w2 = INVERSE(d + 2) COMMA w3 = INVERSE(d + 3),
       four_terms(TERM(q0, 0, w0), TERM(q1, 1, w1), TERM(q2, 2, w2), TERM(q3, 3, w3)))
#endif

/* Scores of one key with 16 queries for any values. */
APART float16 score_any(__global const float *q, __global const float *k, __global const float *prepared, long size, long padded, float factor) {
    float16 total = (float16)(0.0f);
    for (long v = 0; v < padded / 16; v++) {
        float16 part = (float16)(prepared[3 * padded + v]);
        for (long d = v * 16; d < min(v * 16 + 16, size); d += 2) {
            const float k0 = k[d], k1 = d + 1 < size ? k[d + 1] : 0.0f;
            const float16 u0 = one_plus_exp2(fma(vload16(d, q) + k0, (float16)(factor), (float16)(prepared[padded + d])));
            const float16 u1 = one_plus_exp2(fma(vload16(d + 1, q) + k1, (float16)(factor), (float16)(prepared[padded + d + 1])));
            part += fma((float16)(prepared[d]), u1, prepared[d + 1] * u0) / (u0 * u1);
        }
        total += part;
    }
    return total;
}

/* Which of the 16 queries from q on may attend key k. */
APART int16 allowed(__global const uchar *key_mask, __global const uchar *mask, long4 key_strides, long4 strides, long batch, long q, long k, long queries, long keys, int causal) {
    int lane[16];
    if (k >= keys || !kept(key_mask, key_strides, batch, k, 0)) return (int16)(0);
    if (!mask && (!causal || k <= q)) return (int16)(-1);
    ROLL for (int i = 0; i < 16; i++) lane[i] = -((!causal || k <= q + i) && kept(mask, strides, batch, min(q + i, queries - 1), k));
    return vload16(0, lane);
}

/* sums[..][padded] += p^T v over the tile's keys for QUERIES queries and `vectors` (at most VECTORS) vectors of the value. With `careful`
 * a value that a query may not attend, whose p is exactly 0, is not touched: it may be NaN. */
INLINE void add_block(__local const float *p, __global const float *v, __global float *sums, int count, long padded, int vectors, bool careful) {
    float16 a[QUERIES][VECTORS];
#pragma unroll
    for (int q = 0; q < QUERIES; q++)
#pragma unroll
        for (int t = 0; t < vectors; t++) a[q][t] = vload16(t, sums + q * padded);
    for (int k = 0; k < count; k++) {
        float16 x[VECTORS];
#pragma unroll
        for (int t = 0; t < vectors; t++) x[t] = vload16(t, v + k * padded);
#pragma unroll
        for (int q = 0; q < QUERIES; q++) {
            const float w = p[k * 16 + q];
#pragma unroll
            for (int t = 0; t < vectors; t++) a[q][t] = fma((float16)(w), careful && w == 0.0f ? (float16)(0.0f) : x[t], a[q][t]);
        }
    }
#pragma unroll
    for (int q = 0; q < QUERIES; q++)
#pragma unroll
        for (int t = 0; t < vectors; t++) vstore16(a[q][t], t, sums + q * padded);
}

APART void add_values(__local const float *p, __global const float *v, __global float *sums, int count, long padded, bool careful) {
    ROLL for (int q = 0; q < 16; q += QUERIES) {
        long t = 0;
        if (careful) {
            ROLL for (; t < padded; t += 16) add_block(p + q, v + t, sums + q * padded + t, count, padded, 1, true);
        } else {
            ROLL for (; t + 16 * VECTORS <= padded; t += 16 * VECTORS) add_block(p + q, v + t, sums + q * padded + t, count, padded, VECTORS, false);
            if (t < padded) add_block(p + q, v + t, sums + q * padded + t, count, padded, 1, false);
        }
    }
}

APART void scale_rows(__global float *sums, float16 factors, long padded) {
    float f[16];
    vstore16(factors, 0, f);
    ROLL for (int q = 0; q < 16; q++)
        ROLL for (long t = 0; t < padded; t += 16) vstore16(vload16(0, sums + q * padded + t) * f[q], 0, sums + q * padded + t);
}

/* Turns the scores kept in a row of the weights into weights; keys from `end` on have none. */
APART void finish_weights(__global float *row, float m, float inverse, long end, long keys) {
    ROLL for (long k = 0; k < keys; k += 16) {
        const int count = (int)min(keys - k, 16L);
        float16 s = count == 16 ? vload16(0, row + k) : load_some(row + k, count, -INFINITY);
        s = select(s, (float16)(-INFINITY), lanes16() >= (int16)((int)min(end - k, 16L)));
        const float16 w = select(weight_16(s, (float16)(m)) * inverse, (float16)(0.0f), s == -INFINITY);
        if (count == 16) vstore16(w, 0, row + k);
        else store_some(w, count, row + k);
    }
}

/* 16 queries of one batch per group. `sums` holds 16 rows of value_padded floats per group. */
SINGLE void attend(IN(powers), IN(folded), IN(plain), IN_INT(query_marks), IN(key_powers), IN(key), IN_INT(key_marks), IN(value), IN(prepared), IN_BOOL(key_mask), IN_BOOL(query_mask), IN_BOOL(mask), OUT(sums), OUT(out), OUT(weights), OUT(lse),
                   const long4 key_mask_strides, const long4 query_mask_strides, const long4 mask_strides, const long queries, const long blocks, const long keys, const long key_rows, const long size, const long padded, const long value_size, const long value_padded, const float factor, const int causal) {
    SHIFT(powers); SHIFT(folded); SHIFT(plain); SHIFT(query_marks); SHIFT(key_powers); SHIFT(key); SHIFT(key_marks); SHIFT(value); SHIFT(prepared);
    SHIFT(sums);
    if (key_mask) SHIFT(key_mask);
    if (query_mask) SHIFT(query_mask);
    if (mask) SHIFT(mask);
    if (out) SHIFT(out);
    if (weights) SHIFT(weights);
    if (lse) SHIFT(lse);
    __local float16 tile[TILE];
    __local float16 *s = OWN(tile);
    /* The longest rows of causal attention start first. */
    const long batch = get_group_id(0) / blocks, block = blocks - 1 - get_group_id(0) % blocks, n = batch * blocks + block, q0 = block * 16;
    const int rows = (int)min(queries - q0, 16L);
    const long end = causal ? min(keys, q0 + 16) : keys, first_row = batch * queries + q0;
    powers += n * padded * 16;
    folded += n * padded * 16;
    plain += n * padded * 16;
    sums += n * value_padded * 16;
    ROLL for (long i = 0; i < value_padded; i++) vstore16((float16)(0.0f), i, sums);
    float16 m = (float16)(-INFINITY), l = (float16)(0.0f);
    for (long k0 = 0; k0 < end; k0 += TILE) {
        const int count = (int)min(end - k0, (long)TILE);
        const bool careful = key_mask || mask || (causal && k0 + TILE > q0);
        for (int k = 0; k < count; k += ROWS) {
            const long row = batch * key_rows + k0 + k;
            int mark = query_marks[n];
            ROLL for (int i = 0; i < ROWS; i++) mark = max(mark, key_marks[row + i]);
            if (mark == QUADS) ROLL for (int i = 0; i < ROWS; i += KEYS) scores_quads(folded, key_powers + (row + i) * padded, prepared, padded, s + k + i);
            else if (mark == FOLDED) ROLL for (int i = 0; i < ROWS; i += KEYS) scores_folded(folded, key_powers + (row + i) * padded, prepared, padded, s + k + i);
            else if (mark == CLAMPED) ROLL for (int i = 0; i < ROWS; i += KEYS) scores_clamped(powers, key_powers + (row + i) * padded, prepared, padded, s + k + i);
            else ROLL for (int i = 0; i < ROWS; i++) s[k + i] = score_any(plain, key + (batch * keys + min(k0 + k + i, keys - 1)) * size, prepared, size, padded, factor);
        }
        float16 larger = m;
        for (int k = 0; k < count; k++) {
            if (careful) s[k] = select((float16)(-INFINITY), s[k], allowed(key_mask, mask, key_mask_strides, mask_strides, batch, q0, k0 + k, queries, keys, causal));
            larger = VMAX(s[k], larger);
        }
        if (any(larger > m)) {
            const float16 shrink = exp2_16(m - larger);
            l *= shrink;
            if (out && k0) scale_rows(sums, shrink, value_padded);
            m = larger;
        }
        if (weights)
            ROLL for (int q = 0; q < rows; q++)
                ROLL for (int k = 0; k < count; k++) weights[(first_row + q) * keys + k0 + k] = ((__local const float *)s)[k * 16 + q];
        for (int k = 0; k < count; k++) {
            s[k] = weight_16(s[k], m);
            l += s[k];
        }
        if (out) add_values((__local const float *)s, value + (batch * keys + k0) * value_padded, sums, count, value_padded, careful);
    }
    float maxima[16], totals[16], inverses[16];
    const float16 inverse = select(1.0f / l, (float16)(0.0f), l == 0.0f);
    vstore16(m, 0, maxima);
    vstore16(l, 0, totals);
    vstore16(inverse, 0, inverses);
    ROLL for (int q = 0; q < rows; q++) {
        const bool shown = kept(query_mask, query_mask_strides, batch, q0 + q, 0);
        if (lse) lse[first_row + q] = totals[q] == 0.0f ? -INFINITY : (maxima[q] + log2(totals[q])) * LN2;
        if (weights) finish_weights(weights + (first_row + q) * keys, maxima[q], inverses[q], end, keys);
        ROLL for (long t = 0; out && t < value_size; t += 16) {
            const float16 r = shown ? vload16(0, sums + q * value_padded + t) * inverses[q] : (float16)(0.0f);
            if (t + 16 <= value_size) vstore16(r, 0, out + (first_row + q) * value_size + t);
            else store_some(r, (int)(value_size - t), out + (first_row + q) * value_size + t);
        }
    }
}
#endif

#ifdef KERNEL_few
/* The 16 elements of vector v of a row; the last vector of a row of 16 or more ends with the row. */
INLINE float16 row_vector(__global const float *row, long v, long size) {
    return size >= 16 ? vload16(0, row + min(v * 16, size - 16)) : load_some(row, (int)size, 0.0f);
}

INLINE float step_score(__global const float *q, __global const float *k, __global const float *prepared, long size, long vectors, float factor) {
    __global const float *b = prepared + vectors * 16;
    float16 sum = vload16(3 * vectors, prepared);
    long v = 0;
    for (; v + 1 < vectors; v += 2) {
        const float16 u0 = one_plus_exp2(fma(row_vector(q, v, size) + row_vector(k, v, size), (float16)(factor), vload16(v, b)));
        const float16 u1 = one_plus_exp2(fma(row_vector(q, v + 1, size) + row_vector(k, v + 1, size), (float16)(factor), vload16(v + 1, b)));
        sum += fma(vload16(v, prepared), u1, vload16(v + 1, prepared) * u0) / (u0 * u1);
    }
    if (v < vectors) sum += vload16(v, prepared) / one_plus_exp2(fma(row_vector(q, v, size) + row_vector(k, v, size), (float16)(factor), vload16(v, b)));
    return sum16(sum);
}

/* `count` (at most 4) vectors of out from element `first` on: the rows of value weighted with p. */
INLINE void step_values(__global const float *p, __global const float *value, __global float *out, long keys, long size, long first, int count, float scale) {
    float16 a[4];
    long at[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        a[i] = (float16)(0.0f);
        at[i] = min(first + 16 * i, size - 16);
    }
    for (long k = 0; k < keys; k++) {
        const float w = p[k];
        if (w == 0.0f) continue;
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i < count) a[i] = fma((float16)(w), vload16(0, value + k * size + at[i]), a[i]);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < count) vstore16(a[i] * scale, 0, out + at[i]);
}

/* A row of fewer than 16 values. */
INLINE void step_narrow(__global const float *p, __global const float *value, __global float *out, long keys, int size, float scale) {
    float16 a = (float16)(0.0f);
    for (long k = 0; k < keys; k++)
        if (p[k] != 0.0f) a = fma((float16)(p[k]), load_some(value + k * size, size, 0.0f), a);
    store_some(a * scale, size, out);
}

/* One query per group, vectors along its elements. `scores` holds one row of `keys` floats per query. */
SINGLE void few(IN(query), IN(key), IN(value), IN(prepared), IN_BOOL(key_mask), IN_BOOL(query_mask), IN_BOOL(mask), OUT(scores), OUT(out), OUT(weights), OUT(lse),
                 const long4 key_mask_strides, const long4 query_mask_strides, const long4 mask_strides, const long queries, const long keys, const long size, const long vectors, const long value_size, const float factor, const int causal) {
    SHIFT(query); SHIFT(key); SHIFT(value); SHIFT(prepared); SHIFT(scores);
    if (key_mask) SHIFT(key_mask);
    if (query_mask) SHIFT(query_mask);
    if (mask) SHIFT(mask);
    if (out) SHIFT(out);
    if (weights) SHIFT(weights);
    if (lse) SHIFT(lse);
    const long n = get_group_id(0), batch = n / queries, q = n % queries, end = causal ? min(keys, q + 1) : keys;
    __global float *p = scores + n * keys;
    key += batch * keys * size;
    value += batch * keys * value_size;
    float m = -INFINITY, l = 0.0f;
    for (long k = 0; k < end; k++) {
        const bool counts = kept(key_mask, key_mask_strides, batch, k, 0) && kept(mask, mask_strides, batch, q, k);
        const float s = counts ? step_score(query + n * size, key + k * size, prepared, size, vectors, factor) : -INFINITY;
        p[k] = s;
        m = s > m ? s : m;
    }
    for (long k = 0; k < end; k += 16) {
        const int count = (int)min(end - k, 16L);
        const float16 w = weight_16(count == 16 ? vload16(0, p + k) : load_some(p + k, count, -INFINITY), (float16)(m));
        l += sum16(w);
        if (count == 16) vstore16(w, 0, p + k);
        else store_some(w, count, p + k);
    }
    const float inverse = l == 0.0f ? 0.0f : 1.0f / l;
    if (lse) lse[n] = l == 0.0f ? -INFINITY : (m + log2(l)) * LN2;
    for (long k = 0; weights && k < keys; k++) weights[n * keys + k] = k < end && p[k] != 0.0f ? p[k] * inverse : 0.0f;
    if (!out) return;
    out += n * value_size;
    if (!kept(query_mask, query_mask_strides, batch, q, 0)) {
        for (long i = 0; i < value_size; i++) out[i] = 0.0f;
    } else if (value_size < 16) {
        step_narrow(p, value, out, end, (int)value_size, inverse);
    } else {
        long t = 0;
        for (; t + 64 <= value_size; t += 64) step_values(p, value, out, end, value_size, t, 4, inverse);
        for (; t < value_size; t += 16) step_values(p, value, out, end, value_size, t, 1, inverse);
    }
}
#endif

#ifdef KERNEL_scalar
INLINE float score_1(__global const float *q, __global const float *k, __global const float *scale, __global const float *bias, long size, float inner) {
    float total = 0.0f;
    for (long first = 0; first < size; first += 32) {
        float part = 0.0f;
        for (long d = first; d < min(first + 32, size); d++) part += (scale ? scale[d] : 1.0f) * tanh(fma(inner, q[d] + k[d], bias ? bias[d] : 0.0f));
        total += part;
    }
    return total;
}

/* One query per work-item, online softmax: the row of out is rescaled when the maximum moves. */
__kernel void scalar(IN(query), IN(key), IN(value), IN(scale), IN(bias), IN_BOOL(key_mask), IN_BOOL(query_mask), IN_BOOL(mask), OUT(out), OUT(weights), OUT(lse),
                     const long4 key_mask_strides, const long4 query_mask_strides, const long4 mask_strides, const long batches, const long queries, const long keys, const long size, const long value_size, const float inner, const int causal) {
    const long n = get_global_id(0);
    if (n >= batches * queries) return;
    SHIFT(query); SHIFT(key); SHIFT(value);
    if (scale) SHIFT(scale);
    if (bias) SHIFT(bias);
    if (key_mask) SHIFT(key_mask);
    if (query_mask) SHIFT(query_mask);
    if (mask) SHIFT(mask);
    if (out) SHIFT(out);
    if (weights) SHIFT(weights);
    if (lse) SHIFT(lse);
    const long batch = n / queries, q = n % queries;
    out = out ? out + n * value_size : 0;
    weights = weights ? weights + n * keys : 0;
    for (long t = 0; out && t < value_size; t++) out[t] = 0.0f;
    float m = -INFINITY, l = 0.0f;
    for (long k = 0; k < keys; k++) {
        const bool counts = !(causal && k > q) && kept(key_mask, key_mask_strides, batch, k, 0) && kept(mask, mask_strides, batch, q, k);
        const float s = counts ? score_1(query + n * size, key + (batch * keys + k) * size, scale, bias, size, inner) : -INFINITY;
        if (weights) weights[k] = s;
        if (!counts) continue;
        if (s > m) {
            const float shrink = m == -INFINITY ? 0.0f : exp(m - s);
            l *= shrink;
            for (long t = 0; out && t < value_size; t++) out[t] *= shrink;
            m = s;
        }
        const float p = isnan(s) ? s : exp(s - m);
        l += p;
        for (long t = 0; out && t < value_size; t++) out[t] = fma(p, value[(batch * keys + k) * value_size + t], out[t]);
    }
    const float inverse = l == 0.0f ? 0.0f : 1.0f / l;
    const bool shown = kept(query_mask, query_mask_strides, batch, q, 0);
    if (lse) lse[n] = l == 0.0f ? -INFINITY : m + log(l);
    for (long t = 0; out && t < value_size; t++) out[t] = shown ? out[t] * inverse : 0.0f;
    for (long k = 0; weights && k < keys; k++) weights[k] = weights[k] == -INFINITY ? 0.0f : exp(weights[k] - m) * inverse;
}
#endif

#ifdef KERNEL_unmasked
/* The scores of all pairs, masked or not. */
__kernel void unmasked(IN(query), IN(key), IN(scale), IN(bias), OUT(scores), const long count, const long queries, const long keys, const long size, const float inner) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(query);
    SHIFT(key);
    if (scale) SHIFT(scale);
    if (bias) SHIFT(bias);
    SHIFT(scores);
    query += n / keys * size;
    key += (n / keys / queries * keys + n % keys) * size;
    float sum = 0.0f;
    for (long d = 0; d < size; d++) {
        const float t = tanh(fma(inner, query[d] + key[d], bias ? bias[d] : 0.0f));
        sum = fma(scale ? scale[d] : 1.0f, t, sum);
    }
    scores[n] = sum;
}
#endif
