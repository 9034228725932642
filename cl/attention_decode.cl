#include "attention_problem.cl"

/* ---- decode: few queries ----
 *
 * One group per (batch, key/value head) and part of the keys: the queries of all heads that read this key/value head go over
 * the part together, so each key and value is read once. Vectors run along the head sizes. Each leaves its maximum, sum and
 * weighted values, which decode_join puts together. The same names as above; Tq * H / Hkv <= ROWS. Keys are read where they are
 * multiplied; values whose sums do not fit the registers some vectors of the width at a time. */

#define ROLLED _Pragma("unroll 1")

/* How many of the values' vectors are summed in registers at a time: all, or VALUE_SUMS of wide values. The last VALUE_SUMS of these begin
 * early enough to be full, and so give some of the sums before them again. */
#ifdef FEW_REGISTERS
#define MOST_SUMS 4
#else
#define MOST_SUMS 16
#endif
#if WIDTH > MOST_SUMS
#define VALUE_SUMS MOST_SUMS
#define SUMS_AT(start) min(start, width - 16 * VALUE_SUMS)
#else
#define VALUE_SUMS WIDTH
#define SUMS_AT(start) 0
#endif
/* Those of four rows at a time. */
#ifdef FEW_REGISTERS
#define JOINT 1
#else
#define JOINT (WIDTH < 4 ? WIDTH : 4)
#endif
#define PART (16 * WIDTH + 16) /* floats of a row's part: its maximum, the sum of its weights, and from 16 on its weighted values */
#define EACH_SUMS ROLLED for (int start = 0; start < 16 * WIDTH; start += 16 * VALUE_SUMS)

#ifdef KERNEL_decode
#define AHEAD_KEYS 32 /* by so many each key is fetched before it is read, its value when the key is */
#define LAST (DEPTH / 16 - 1)
#define TOGETHER 4 /* rows that meet a key or value together */

/* The sums of four vectors, joined while they are halved. */
INLINE float4 sum16_four(const float16 *v) {
    float4 part[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float8 half_sum = v[i].lo + v[i].hi;
        part[i] = half_sum.lo + half_sum.hi;
    }
    const float4 first = (float4)(part[0].lo, part[1].lo) + (float4)(part[0].hi, part[1].hi);
    const float4 second = (float4)(part[2].lo, part[3].lo) + (float4)(part[2].hi, part[3].hi);
    return (float4)(first.even, second.even) + (float4)(first.odd, second.odd);
}

#if DEPTH > 256
#define CHAINS 4 /* sums that do not wait for each other */
/* The row's last vector, whole: zeros stand for what belongs to the one before. */
INLINE float16 load_last(__global const STORED *from, int depth) {
    return select(LOAD_16(from + depth - 16), (float16)(0.0f), lanes16() < (int16)(DEPTH - depth));
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
/* The row's last vector, padded with zeros to DEPTH. */
INLINE float16 load_last(__global const STORED *from, int depth) {
    return depth == DEPTH ? LOAD_16(from + 16 * LAST) : load_some_stored(from + 16 * LAST, depth - 16 * LAST, 0.0f);
}

/* Dot product with one key. */
INLINE float dot_row(__local const float16 *q, __global const STORED *k, int depth) {
    float16 sum = (float16)(0.0f);
#pragma unroll
    for (int t = 0; t < LAST; t++) sum = fma(q[t], LOAD_16(k + 16 * t), sum);
    return sum16(fma(q[LAST], load_last(k, depth), sum));
}
#endif

/* Dot products of TOGETHER rows of queries with one key. */
INLINE float4 dot_rows(__local const float16 *q, __global const STORED *k, int depth) {
    float16 sum[TOGETHER];
#pragma unroll
    for (int i = 0; i < TOGETHER; i++) sum[i] = (float16)(0.0f);
#if DEPTH > 256
    ROLLED
#else
#pragma unroll
#endif
    for (int t = 0; t < LAST; t++) {
        const float16 v = LOAD_16(k + 16 * t);
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) sum[i] = fma(q[i * (DEPTH / 16) + t], v, sum[i]);
    }
    const float16 last = load_last(k, depth);
#pragma unroll
    for (int i = 0; i < TOGETHER; i++) sum[i] = fma(q[i * (DEPTH / 16) + LAST], last, sum[i]);
    return sum16_four(sum);
}

INLINE void load_row(__local float16 *to, __global const STORED *from, int depth, float factor) {
    ROLLED for (int t = 0; t < LAST; t++) to[t] = LOAD_16(from + 16 * t) * factor;
    to[LAST] = load_last(from, depth) * factor;
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

/* Scores become weights relative to the row's maximum, which is given back with their sum. */
INLINE float2 weigh_row(__local float16 *p) {
    float16 m16 = (float16)(-INFINITY), l16 = (float16)(0.0f);
    for (int k = 0; k < BK / 16; k++) m16 = VMAX(m16, p[k]);
    const float m = max16(m16), base = m == -INFINITY ? 0.0f : m;
    for (int k = 0; k < BK / 16; k++) {
        p[k] = exp2_weight(p[k] - base);
        l16 += p[k];
    }
    return (float2)(m, sum16(l16));
}

/* One vector of values; only the last of a row can be cut short. */
INLINE float16 load_value(__global const STORED *v, int left) {
    return left >= 16 ? LOAD_16(v) : load_some_stored(v, left, 0.0f);
}

/* Adds `vectors` vectors of one key's values to the sums of row i where its weight is not 0: what no row attends may be NaN. */
INLINE void add_values(float16 (*sum)[TOGETHER], int i, float p, __global const STORED *v, int vectors, int left) {
    if (p == 0.0f) return;
#pragma unroll
    for (int t = 0; t < vectors; t++) sum[t][i] += p * load_value(v + 16 * t, left - 16 * t);
}

/* `vectors` vectors of `rows` rows' weighted values, which stay in registers; `left`: elements of the values' width from here on. S and
 * `part`: of the first of these rows. */
INLINE void weighted_values(__local const float *S, __global const STORED *v, long stride, int keys, int rows, int vectors, int left, __global float *part) {
    float16 sum[VALUE_SUMS][TOGETHER];
#pragma unroll
    for (int t = 0; t < vectors; t++) {
#pragma unroll
        for (int i = 0; i < rows; i++) sum[t][i] = (float16)(0.0f);
    }
    for (int j = 0; j < keys; j++, v += stride) {
        float p[TOGETHER];
        bool all_weigh = rows > 1;
#pragma unroll
        for (int i = 0; i < rows; i++) {
            p[i] = S[i * BK + j];
            all_weigh = all_weigh && p[i] != 0.0f;
        }
        if (all_weigh) {
#pragma unroll
            for (int t = 0; t < vectors; t++) {
                const float16 value = load_value(v + 16 * t, left - 16 * t);
#pragma unroll
                for (int i = 0; i < rows; i++) sum[t][i] += p[i] * value;
            }
        } else {
#pragma unroll
            for (int i = 0; i < rows; i++) add_values(sum, i, p[i], v, vectors, left);
        }
    }
#pragma unroll
    for (int t = 0; t < vectors; t++) {
#pragma unroll
        for (int i = 0; i < rows; i++) vstore16(sum[t][i], t, part + i * PART);
    }
}

SINGLE void decode(PROBLEM, IN_STORED(value), const long4 value_strides, OUT(parts), OUT(scores), const int part_keys) {
    __local float16 Q[ROWS * (DEPTH / 16)], P[ROWS * (BK / 16)];
    __local float *S = (__local float *)P;
    long first[ROWS], last[ROWS]; /* the keys in reach of each row */
    SHIFT_PROBLEM;
    SHIFT(value);
    SHIFT(parts);
    const long g = get_group_id(1) % heads.y, b = get_group_id(1) / heads.y, group = heads.x / heads.y;
    const int rows = (int)(group * heads.z), depth = (int)widths.x, width = (int)widths.y;
    const long length = length_of(key_lengths, b, heads.w, flags), shift = shift_of(length, heads.z, flags);
    const long from = get_group_id(0) * (long)part_keys, to = min(from + part_keys, length);
    for (int r = 0; r < rows; r++) {
        const long i = r % heads.z;
        load_row(Q + r * (DEPTH / 16), QUERY_AT(b, g * group + r / heads.z, i), depth, scale * LOG2E);
        first[r] = i + shift - widths.z;
        last[r] = i + shift + widths.w;
    }
    key = KEY_AT(b, g * group);
    value += b * value_strides.x + g * value_strides.y;
    parts += (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * rows * PART;
    for (int r = 0; r < rows * BK / 16; r++) P[r] = (float16)(-INFINITY);
    for (long j = from; j < to; j++) {
        for (int r = 0, n; r < rows; r += n) {
            float score[TOGETHER], extra[TOGETHER];
            bool wanted = false;
            n = rows - r < TOGETHER ? 1 : TOGETHER;
            for (int i = 0; i < n; i++) {
                extra[i] = j < first[r + i] || j > last[r + i] ? -INFINITY : 0.0f;
                if (flags & (HAS_MASK | HAS_BIAS) && extra[i] == 0.0f) {
                    const long h = g * group + (r + i) / heads.z, row = (r + i) % heads.z;
                    if (flags & HAS_BIAS) extra[i] = BIAS_AT(b, h, row)[j * bias_strides.w];
                    if ((flags & HAS_MASK) && !MASK_AT(b, h, row)[j * mask_strides.w]) extra[i] = -INFINITY;
                }
                wanted = wanted || extra[i] != -INFINITY;
            }
            if (!wanted) continue;
            if (r == 0) {
                for (int t = 0; t < DEPTH / 16; t++) PREFETCH(key + (j + AHEAD_KEYS) * key_strides.z + 16 * t);
                for (int t = 0; t < WIDTH; t++) PREFETCH(value + j * value_strides.z + 16 * t);
            }
            if (n == TOGETHER) vstore4(dot_rows(Q + r * (DEPTH / 16), key + j * key_strides.z, depth), 0, score);
            else score[0] = dot_row(Q + r * (DEPTH / 16), key + j * key_strides.z, depth);
            for (int i = 0; i < n; i++) {
                if (extra[i] == -INFINITY) continue;
#ifdef FORM
                const long h = g * group + (r + i) / heads.z, row = (r + i) % heads.z;
                if (flags & HAS_CAP) score[i] = cap * LOG2E * tanh(score[i] / (cap * LOG2E));
                score[i] -= SLOPE_AT(b, h) * LOG2E * fabs((float)(row + length - heads.z - j));
#endif
                S[(r + i) * BK + (j - from)] = score[i] + extra[i] * LOG2E;
            }
        }
    }
    if (scores) store_part(P, scores + scores_offset + (b * heads.x + g * group) * heads.z * heads.w + from, heads.w, rows, (int)min((long)part_keys, heads.w - from));
    for (int r = 0; r < rows; r++) vstore2(weigh_row(P + r * (BK / 16)), 0, parts + r * PART);
    parts += 16;
    value += from * value_strides.z;
    const int keys = (int)max(to - from, 0L);
    int r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER) {
        int at = 0;
        for (; at + 16 * JOINT <= width; at += 16 * JOINT) weighted_values(S + r * BK, value + at, value_strides.z, keys, TOGETHER, JOINT, 16 * JOINT, parts + r * PART + at);
        for (; at < width; at += 16) weighted_values(S + r * BK, value + at, value_strides.z, keys, TOGETHER, 1, width - at, parts + r * PART + at);
    }
    for (; r < rows; r++) EACH_SUMS {
        const int at = SUMS_AT(start);
        weighted_values(S + r * BK, value + at, value_strides.z, keys, 1, VALUE_SUMS, width - at, parts + r * PART + at);
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
    const long group = heads.x / heads.y, rows = group * heads.z;
    const float sink = has_sinks ? sinks[h] * LOG2E : -INFINITY;
    float m = sink, l = 0;
    parts += (b * heads.y + h / group) * part_count * rows * PART + (h % group * heads.z + i) * PART;
    out += b * out_strides.x + h * out_strides.y + i * out_strides.z;
    for (int c = 0; c < part_count; c++) m = max(m, parts[c * rows * PART]);
    EACH_SUMS {
        const int at = SUMS_AT(start);
        float16 sum[VALUE_SUMS];
        l = sink == -INFINITY ? 0.0f : exp2(sink - m);
        for (int t = 0; t < VALUE_SUMS; t++) sum[t] = (float16)(0.0f);
        for (int c = 0; c < part_count; c++) {
            __global const float *part = parts + c * rows * PART;
            if (part[1] == 0.0f) continue;
            const float factor = exp2(part[0] - m);
            l += factor * part[1];
            for (int t = 0; t < VALUE_SUMS; t++) sum[t] += factor * vload16(t, part + 16 + at);
        }
        for (int t = 0; t < VALUE_SUMS; t++) {
            const float16 v = l == 0.0f ? (float16)(0.0f) : sum[t] / l;
            if (WIDTH > MOST_SUMS || 16 * t + 16 <= width) STORE_16(v, out + at + 16 * t);
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
