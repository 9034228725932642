#include "attention_tile.cl"

#ifdef KERNEL_cpu_weights
/* What is stored of 16 scores: they themselves, or the weights. */
INLINE float16 shown(float16 score, float16 shift, float16 inverse) {
#ifdef STAGE
    return score * LN2;
#else
    return weight_of(score, shift, inverse);
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
        store_rows(a, weights + kk, stride, rows, nk - kk);
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
        if (any_key) score_tile(S, Qt, KEY_AT(b, h), key_strides.z, (int)widths.x, range, k0, nk, (int)heads.w, unused FETCHED(BIAS_AT(b, h, q0)));
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
