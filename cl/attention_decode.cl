#include "attention_problem.cl"

/* ---- decode: few queries ----
 *
 * One group per (batch, key/value head) and part of the keys: the queries of all heads that read this key/value head go over
 * the part together, so each key and value is read once. Vectors run along the head sizes. Each leaves its maximum, sum and
 * weighted values, which decode_join puts together. The same names as above; Tq * H / Hkv <= ROWS. Heads of more than 256 do
 * not fit the registers: such keys are read where they are multiplied, such values some vectors of the width at a time. */

#define ROLLED _Pragma("unroll 1")

/* How many of the values' vectors are summed in registers at a time: all, or SUMS of wide values. The last SUMS of these begin
 * early enough to be full, and so give some of the sums before them again. */
#if WIDTH > 16
#define SUMS 16
#define SUMS_AT(start) min(start, width - 16 * SUMS)
#else
#define SUMS WIDTH
#define SUMS_AT(start) 0
#endif
#define EACH_SUMS ROLLED for (int start = 0; start < 16 * WIDTH; start += 16 * SUMS)

#ifdef KERNEL_decode
#if DEPTH > 256
#define LAST (DEPTH / 16 - 1)
#define CHAINS 4 /* sums that do not wait for each other */
/* The row's last vector, whole: zeros stand for what belongs to the one before. */
INLINE float16 load_last(__global const STORED *from, int depth) {
    return select(LOAD_16(from + depth - 16), (float16)(0.0f), lanes16() < (int16)(DEPTH - depth));
}

INLINE void load_row(__local float16 *to, __global const STORED *from, int depth, float factor) {
    ROLLED for (int t = 0; t < LAST; t++) to[t] = LOAD_16(from + 16 * t) * factor;
    to[LAST] = load_last(from, depth) * factor;
}

/* Dot product with one key. */
INLINE float dot_row(__local const float16 *q, __global const STORED *k, int depth) {
    float16 sum[CHAINS];
#pragma unroll
    for (int i = 0; i < CHAINS; i++) sum[i] = (float16)(0.0f);
    ROLLED for (int t = 0; t + CHAINS <= LAST; t += CHAINS) {
#pragma unroll
        for (int i = 0; i < CHAINS; i++) sum[i] = fma(q[t + i], LOAD_16(k + 16 * (t + i)), sum[i]);
    }
#pragma unroll
    for (int t = LAST / CHAINS * CHAINS; t < LAST; t++) sum[t % CHAINS] = fma(q[t], LOAD_16(k + 16 * t), sum[t % CHAINS]);
    sum[CHAINS - 1] = fma(q[LAST], load_last(k, depth), sum[CHAINS - 1]);
    return sum16((sum[0] + sum[1]) + (sum[2] + sum[3]));
}
#else
/* The queries' rows, padded with zeros to DEPTH. */
INLINE void load_row(__local float16 *to, __global const STORED *from, int depth, float factor) {
    for (int t = 0; t < DEPTH / 16; t++) to[t] = (16 * t + 16 <= depth ? LOAD_16(from + 16 * t) : load_some_stored(from + 16 * t, depth - 16 * t, 0.0f)) * factor;
}

/* Dot products of one key, whose vectors are in k. */
INLINE float dot_row(__local const float16 *q, const float16 *k, int depth) {
    float16 sum = q[0] * k[0];
#pragma unroll
    for (int t = 1; t < DEPTH / 16; t++) sum = fma(q[t], k[t], sum);
    return sum16(sum);
}
#endif

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

SINGLE void decode(PROBLEM, IN_STORED(value), const long4 value_strides, OUT(parts), OUT(scores), const int part_keys) {
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
#if DEPTH > 256
        __global const STORED *k = key + j * key_strides.z;
#else
        float16 k[DEPTH / 16];
#pragma unroll
        for (int t = 0; t < DEPTH / 16; t++) k[t] = 16 * t + 16 <= depth ? LOAD_16(key + j * key_strides.z + 16 * t) : load_some_stored(key + j * key_strides.z + 16 * t, depth - 16 * t, 0.0f);
#endif
        for (int r = 0; r < rows; r++) {
            const long h = g * group + r / heads.z, i = r % heads.z;
            if (j < i + shift - widths.z || j > i + shift + widths.w) continue;
            if ((flags & HAS_MASK) && !MASK_AT(b, h, i)[j * mask_strides.w]) continue;
            const float extra = flags & HAS_BIAS ? BIAS_AT(b, h, i)[j * bias_strides.w] : 0.0f;
            if (extra == -INFINITY) continue;
            float score = dot_row(Q + r * (DEPTH / 16), k, depth);
#ifdef FORM
            if (flags & HAS_CAP) score = cap * LOG2E * tanh(score / (cap * LOG2E));
            score -= SLOPE_AT(b, h) * LOG2E * fabs((float)(i + length - heads.z - j));
#endif
            S[r * BK + (j - from)] = score + extra * LOG2E;
        }
    }
    if (scores) store_part(P, scores + scores_offset + (b * heads.x + g * group) * heads.z * heads.w + from, heads.w, rows, (int)min((long)part_keys, heads.w - from));
    for (int r = 0; r < rows; r++) {
        float16 m16 = (float16)(-INFINITY), l16 = (float16)(0.0f);
        __global float *part = parts + r * (16 * WIDTH + 16);
        for (int k = 0; k < BK / 16; k++) m16 = VMAX(m16, P[r * (BK / 16) + k]);
        const float m = max16(m16), base = m == -INFINITY ? 0.0f : m;
        for (int k = 0; k < BK / 16; k++) {
            P[r * (BK / 16) + k] = exp2_weight(P[r * (BK / 16) + k] - base);
            l16 += P[r * (BK / 16) + k];
        }
        part[0] = m;
        part[1] = sum16(l16);
        EACH_SUMS {
            const int at = SUMS_AT(start);
            float16 sum[SUMS];
#pragma unroll
            for (int t = 0; t < SUMS; t++) sum[t] = (float16)(0.0f);
            for (long j = from; j < to; j++) {
                const float p = S[r * BK + (j - from)];
                __global const STORED *v = value + j * value_strides.z + at;
                if (p == 0.0f) continue;
#pragma unroll
                for (int t = 0; t < SUMS; t++) sum[t] += p * (WIDTH > 16 || 16 * t + 16 <= width ? LOAD_16(v + 16 * t) : load_some_stored(v + 16 * t, width - 16 * t, 0.0f));
            }
#pragma unroll
            for (int t = 0; t < SUMS; t++) vstore16(sum[t], t, part + 16 + at);
        }
    }
}
#endif

#ifdef KERNEL_decode_join
/* One group per row: the parts' sums brought to the common maximum. */
SINGLE void decode_join(IN(parts), OUT_STORED(out), const long4 out_strides, OUT(lse), OUT(row_sums), const long4 heads, const int width, const int part_count, IN(sinks), const int has_sinks) {
    SHIFT(parts);
    SHIFT(sinks);
    SHIFT(out);
    SHIFT(lse);
    const long row = get_group_id(0), i = row % heads.z, h = row / heads.z % heads.x, b = row / heads.z / heads.x;
    const long group = heads.x / heads.y, rows = group * heads.z, size = 16 * WIDTH + 16;
    const float sink = has_sinks ? sinks[h] * LOG2E : -INFINITY;
    float m = sink, l = 0;
    parts += (b * heads.y + h / group) * part_count * rows * size + (h % group * heads.z + i) * size;
    out += b * out_strides.x + h * out_strides.y + i * out_strides.z;
    for (int c = 0; c < part_count; c++) m = max(m, parts[c * rows * size]);
    EACH_SUMS {
        const int at = SUMS_AT(start);
        float16 sum[SUMS];
        l = sink == -INFINITY ? 0.0f : exp2(sink - m);
        for (int t = 0; t < SUMS; t++) sum[t] = (float16)(0.0f);
        for (int c = 0; c < part_count; c++) {
            __global const float *part = parts + c * rows * size;
            if (part[1] == 0.0f) continue;
            const float factor = exp2(part[0] - m);
            l += factor * part[1];
            for (int t = 0; t < SUMS; t++) sum[t] += factor * vload16(t, part + 16 + at);
        }
        for (int t = 0; t < SUMS; t++) {
            const float16 v = l == 0.0f ? (float16)(0.0f) : sum[t] / l;
            if (WIDTH > 16 || 16 * t + 16 <= width) STORE_16(v, out + at + 16 * t);
            else store_some_stored(v, width - 16 * t, out + 16 * t);
        }
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
