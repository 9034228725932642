#include "attention_tile.cl"

#ifdef KERNEL_cpu
/* Rows of values that are no whole vectors: the last vector begins `back` elements earlier and overlaps the one before; what both hold is
 * computed and stored twice. Rows of less than a vector are padded with zeros first. */
#if defined(TAIL) && WIDTH == 1
#define PADDED
INLINE void pad_values(__local float *V, __global const float *value, long stride, int width, int nk) {
    for (int k = 0; k < nk; k++) vstore16(load_some(value + k * stride, width, 0.0f), k, V);
}
#define VALUES __local const float *
#else
#define VALUES __global const float *
#endif
#define VECTOR_AT(t, back) (16 * (t) - ((t) == WIDTH - 1 ? (back) : 0))

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
INLINE bool has_nonfinite(VALUES V, long stride, int back, int nk) {
    float16 zero = (float16)(0.0f);
    for (int k = 0; k < nk; k++) {
        for (int t = 0; t < WIDTH; t++) zero = fma(vload16(0, V + k * stride + VECTOR_AT(t, back)), (float16)(0.0f), zero);
    }
    return any(isnan(zero));
}

/* Vectors of the width at a time: NVD, then one fewer where NVD does not divide the width. */
#define CHUNKS ((WIDTH + NVD - 1) / NVD)
#define WHOLE_CHUNKS (WIDTH - CHUNKS * (NVD - 1))

/* MRQ queries and n vectors of the width, from `sums` on; of the last one the values lie `back` elements earlier. */
INLINE void add_chunk(__local float16 *sums, __local const float *weights, __local const float *end_of_weights, VALUES values, long stride, const int n, const int back) {
    float16 acc[MRQ][NVD];
#pragma unroll
    for (int i = 0; i < MRQ; i++) {
#pragma unroll
        for (int t = 0; t < n; t++) acc[i][t] = sums[i * WIDTH + t];
    }
#pragma unroll 1
    for (; weights < end_of_weights; weights += BQ, values += stride) {
        float16 v[NVD];
#pragma unroll
        for (int t = 0; t < n; t++) v[t] = vload16(0, values + 16 * t - (t == n - 1 ? back : 0));
#pragma unroll
        for (int i = 0; i < MRQ; i++) {
            const float16 p = (float16)(weights[i]);
#pragma unroll
            for (int t = 0; t < n; t++) acc[i][t] = fma(p, v[t], acc[i][t]);
        }
    }
#pragma unroll
    for (int i = 0; i < MRQ; i++) {
#pragma unroll
        for (int t = 0; t < n; t++) sums[i * WIDTH + t] = acc[i][t];
    }
}

#if defined(FEW_REGISTERS) && BK % 96 == 0
#define VALUE_KEYS 96
#else
#define VALUE_KEYS 64
#endif

#ifdef WHOLE
#define FOR_WHOLE(...) __VA_ARGS__
/* Of VALUE_KEYS keys: what is kept of their weights, and how many steps add_values takes. */
#define BLOCKS (VALUE_KEYS / 16 * NVQ)
#define STEPS (CHUNKS * (BQ / MRQ))

/* Blocks from..to-1 of the weights of VALUE_KEYS keys from k0 on, the keys of 16 queries after the other. */
INLINE void keep_weights(__local const float16 *S, keeping how, __local const float16 *factor, int begin, int k0, int nk, int from, int to) {
#pragma unroll 1
    for (int i = from; i < to; i++) {
        const int k = k0 + i % (VALUE_KEYS / 16) * 16, j = i / (VALUE_KEYS / 16);
        keep_block(S, how, begin, k, nk - k, j, factor[j]);
    }
}
#else
#define FOR_WHOLE(...)
#endif

/* O += P V, where no weight of 0 may touch a value. */
INLINE void add_values_careful(__local float16 *O, __local const float *P, VALUES V, long stride, int back, int nk FOR_WHOLE(COMMA keeping kept, __local const float16 *factor, int begin)) {
    FOR_WHOLE(for (int k = 0; k < nk; k += VALUE_KEYS) keep_weights((__local const float16 *)P, kept, factor, begin, k, nk, 0, BLOCKS);)
    for (int q = 0; q < BQ; q++) {
        for (int k = 0; k < nk; k++) {
            const float p = P[k * BQ + q];
            if (p == 0.0f) continue;
            for (int t = 0; t < WIDTH; t++) O[q * WIDTH + t] += p * vload16(0, V + k * stride + VECTOR_AT(t, back));
        }
    }
}

/* O += P V, MRQ queries and a chunk of the width at a time, VALUE_KEYS keys after the other: their values and weights then stay in the
 * level-1 cache while all queries meet them. The block's first query attends keys `first` to `end` - 1 at most, the next ones one later.
 * With -DWHOLE the weights are kept in passing, as stores in a row would wait for memory. */
INLINE void add_values(__local float16 *O, __local const float *P, VALUES V, long stride, int back, int nk, int first, int end FOR_WHOLE(COMMA keeping kept, __local const float16 *factor, int begin)) {
    for (int k0 = 0; k0 < nk; k0 += VALUE_KEYS) {
        for (int c = 0, t0 = 0; c < CHUNKS; t0 += c++ < WHOLE_CHUNKS ? NVD : NVD - 1) {
            __local float16 *sums = O + t0;
            for (int q = 0; q < BQ; q += MRQ, sums += MRQ * WIDTH) {
                FOR_WHOLE(const int step = c * (BQ / MRQ) + q / MRQ;)
                FOR_WHOLE(keep_weights((__local const float16 *)P, kept, factor, begin, k0, nk, step * BLOCKS / STEPS, (step + 1) * BLOCKS / STEPS);)
                const int from = max(k0, first + q), to = min(min(k0 + VALUE_KEYS, nk), end + q + MRQ - 1);
                if (from >= to) continue;
                __local const float *weights = P + from * BQ + q, *end_of_weights = P + to * BQ + q;
                VALUES values = V + from * stride + 16 * t0;
                const int nearer = c == CHUNKS - 1 ? back : 0;
                if (WHOLE_CHUNKS == CHUNKS || c < WHOLE_CHUNKS) add_chunk(sums, weights, end_of_weights, values, stride, NVD, nearer);
                else add_chunk(sums, weights, end_of_weights, values, stride, NVD - 1, nearer);
            }
        }
    }
}

/* m and l become the rows' maxima and sums with the sink; what the rows' values are to be multiplied by goes to `factor`, the logarithms
 * of the sums to `lse`. `sink` in units of log2, -inf for none. */
INLINE void finish_sums(__local float16 *m, __local float16 *l, __local float16 *factor, __global float *lse, int rows, float sink) {
    for (int j = 0; j < NVQ && 16 * j < rows; j++) {
        float16 top = m[j], sum = l[j], kept = (float16)(1.0f);
        if (sink != -INFINITY) {
            top = fmax(top, (float16)(sink));
            kept = exp2(m[j] - top);
            sum = sum * kept + exp2(sink - top);
        }
        m[j] = top;
        l[j] = sum;
        factor[j] = select(kept / sum, (float16)(0.0f), sum == (float16)(0.0f));
        store_some(select((top + log2(sum)) * LN2, (float16)(-INFINITY), sum == (float16)(0.0f)), min(16, rows - 16 * j), lse + 16 * j);
    }
}

INLINE void write_rows(__local const float16 *O, __local const float *factor, __local const float *m, __local const float *l, __global float *out, long stride, __global float *row_sums, int width, int back, int rows) {
    for (int q = 0; q < rows; q++) {
        for (int t = 0; t < WIDTH; t++) {
            const float16 v = O[q * WIDTH + t] * factor[q];
#ifdef PADDED
            store_some(v, width, out + q * stride);
#else
            vstore16(v, 0, out + q * stride + VECTOR_AT(t, back));
#endif
        }
        if (row_sums) vstore2((float2)(m[q], l[q]), q, row_sums);
    }
}

#if defined(WEIGHTS) || defined(SCORES)
/* Keys from..to-1 count for none of the rows. */
INLINE void keep_nothing(__global float *at, long stride, int from, int to, int rows, float value) {
    for (int q = 0; q < rows; q++) {
        for (int k = from; k < to; k++) at[q * stride + k] = value;
    }
}
#endif

#if defined(WEIGHTS) && !defined(WHOLE)
/* The kept scores of keys begin..end-1 become weights; the rest are 0. */
INLINE void finish_weights(__global float *weights, long stride, __local const float *m, __local const float *l, int begin, int end, int keys, int rows) {
    keep_nothing(weights, stride, 0, begin, rows, 0.0f);
    for (int q = 0; q < rows; q++) {
        const float16 shift = finite_shift((float16)(m[q])), inverse = (float16)(l[q] == 0.0f ? 0.0f : 1.0f / l[q]);
        __global float *to = weights + q * stride;
        int k = begin;
        for (; k + 16 <= end; k += 16) vstore16(weight_of(vload16(0, to + k), shift, inverse), 0, to + k);
        if (k < end) store_some(weight_of(load_some(to + k, end - k, -INFINITY), shift, inverse), end - k, to + k);
    }
    keep_nothing(weights, stride, end, keys, rows, 0.0f);
}
#endif

/* The latest queries first: with causal they have the most keys. With -DWEIGHTS and -DSCORES each tile's scores are kept as they pass:
 * as what is asked for after bias and masks, and as what the block's weights are made of when its maxima are known. */
SINGLE void cpu(PROBLEM, IN(value), const long4 value_strides, OUT(out), const long4 out_strides, OUT(lse), OUT(row_sums) FOR_WEIGHTS(COMMA OUT(weights)) FOR_SCORES(COMMA OUT(scores)) SEQUENCES) {
    __local float16 Qt[DEPTH * NVQ], S[BK * NVQ], O[BQ * WIDTH], m[NVQ], l[NVQ], factor[NVQ];
#ifdef PADDED
    __local float16 padded[BK];
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
    FOR_WEIGHTS(weights += weights_offset + row * heads.w;)
    FOR_WEIGHTS(const keeping kept_weights = { weights, heads.w, rows, STREAMS(weights) && heads.w % 16 == 0 && range.begin % 16 == 0 };)
    FOR_SCORES(scores += scores_offset + row * heads.w;)
    FOR_SCORES(const keeping kept_scores = { scores, heads.w, rows, STREAMS(scores) && heads.w % 16 == 0 && range.begin % 16 == 0 };)
    const int first = min(range.begin, (int)heads.w), last = max(first, range.end);
    FOR_SCORES(keep_nothing(scores, heads.w, 0, first, rows, -INFINITY);)
    FOR_WHOLE(keep_nothing(weights, heads.w, 0, first, rows, 0.0f);)
    const float sink = flags & HAS_SINKS ? sinks[h] * LOG2E : -INFINITY;
#ifdef TAIL
    const int back = WIDTH > 1 ? 16 * WIDTH - (int)widths.y : 0;
#else
    const int back = 0;
#endif
    bool empty = true;
    for (int k0 = range.begin; k0 < range.end; k0 += BK) {
        const int nk = min(BK, range.end - k0);
        bool careful = crosses_edge(range, k0, k0 + nk);
#ifdef DROPOUT
        careful = true;
#endif
#ifdef EXTRA
        if (!fill_extra(S, MASK_AT(b, h, q0), BIAS_AT(b, h, q0), mask_strides, bias_strides, k0, nk, rows, flags)) {
            FOR_WHOLE(keep_nothing(weights, heads.w, k0, k0 + nk, rows, 0.0f);)
            FOR_LATER(keep_nothing(weights, heads.w, k0, k0 + nk, rows, -INFINITY);)
            FOR_SCORES(keep_nothing(scores, heads.w, k0, k0 + nk, rows, -INFINITY);)
            continue;
        }
        careful = true;
#endif
        float16 new_m[NVQ];
#pragma unroll
        for (int j = 0; j < NVQ; j++) new_m[j] = m[j];
        score_tile(S, Qt, KEY_AT(b, h), key_strides.z, (int)widths.x, range, k0, nk, range.end, new_m FETCHED(BIAS_AT(b, h, q0)) FOR_LATER(COMMA kept_weights) FOR_SCORES(COMMA kept_scores));
        rescale(O, m, l, factor, new_m, empty);
        const dropping how = { pair + k0, heads.w, dropout.x, dropout.y, (uint)dropout.z, kept_factor };
        weigh(S, m, l, nk, how);
        empty = false;
        FOR_WHOLE(finish_sums(m, l, factor, lse + row, rows, sink);)
#ifdef PADDED
        pad_values((__local float *)padded, value + k0 * value_strides.z, value_strides.z, (int)widths.y, nk);
        VALUES V = (__local const float *)padded;
        const long stride = 16;
#else
        VALUES V = value + k0 * value_strides.z;
        const long stride = value_strides.z;
#endif
        if (careful && has_nonfinite(V, stride, back, nk)) add_values_careful(O, (__local const float *)S, V, stride, back, nk FOR_WHOLE(COMMA kept_weights, factor, k0));
        else add_values(O, (__local const float *)S, V, stride, back, nk, range.query + range.shift - range.left - k0, range.query + range.shift + range.right + 1 - k0 FOR_WHOLE(COMMA kept_weights, factor, k0));
    }
    FOR_WHOLE(if (empty)) finish_sums(m, l, factor, lse + row, rows, sink);
    write_rows(O, (__local const float *)factor, (__local const float *)m, (__local const float *)l, out + b * out_strides.x + h * out_strides.y + q0 * out_strides.z, out_strides.z, row_sums ? row_sums + row_sums_offset + 2 * row : 0, (int)widths.y, back, rows);
    FOR_WHOLE(keep_nothing(weights, heads.w, last, (int)heads.w, rows, 0.0f);)
    FOR_LATER(finish_weights(weights, heads.w, (__local const float *)m, (__local const float *)l, first, last, (int)heads.w, rows);)
    FOR_SCORES(keep_nothing(scores, heads.w, last, (int)heads.w, rows, -INFINITY);)
}
#endif
