#include "attention_problem.cl"

/* ---- scalar ---- */

#if defined(KERNEL_scalar) || defined(KERNEL_scalar_weights) || defined(KERNEL_scalar_key_sums)
/* The score of one pair; -inf where mask or bias takes it out. */
INLINE float pair_score(__global const STORED *q, long q_step, __global const STORED *k, long k_step, long depth, __global const uchar *mask, __global const float *bias, int flags, float scale, float cap, float slope, long distance) {
    float sum = 0;
    if ((flags & HAS_MASK) && !*mask) return -INFINITY;
    const float b = flags & HAS_BIAS ? *bias : 0.0f;
    if (b == -INFINITY) return b;
    for (long d = 0; d < depth; d++) sum += LOAD_1(q + d * q_step) * LOAD_1(k + d * k_step);
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
__kernel void scalar(PROBLEM, IN_STORED(value), const long4 value_strides, OUT_STORED(out), const long4 out_strides, OUT(lse), OUT(row_sums), const long items SEQUENCES) {
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
        for (int d = 0; d < width; d++) sums[d] += p * LOAD_1(value + j * value_strides.z + d * value_strides.w);
    }
    out += b * out_strides.x + h * out_strides.y + i * out_strides.z + start * out_strides.w;
    for (int d = 0; d < width; d++) STORE_1(l == 0 ? 0.0f : sums[d] / l, out + d * out_strides.w);
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
