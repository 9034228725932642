#include "attention_gpu_tile.cl"

/* score(i,j) = sum_d w_d tanh(z), z = inner (q_d + k_d) + b_d, for GPUs.
 *
 * With L = 2 log2(e) inner and b' = 2 log2(e) b, e^2z = 2^(L q + b') 2^(L k): `powers` takes the exponentials once per element of
 * query and key, not per pair. The weight goes into the query's: 1/w and a = 2^(L q + b') / w make
 *     w / (1 + e^2z) = 1 / u, u = 1/w + a 2^(L k),
 * a multiply-add; and two terms share a reciprocal, 1/u0 + 1/u1 = (u0 + u1) / (u0 u1). At odd columns all signs are turned (of
 * exponents and of 1/w), so that
 *     w tanh z = w - 2 / u at even columns, -w - 2 / u at odd ones,
 * and a sum of equal weights does not drift away from the score, which would cost it its last bits. A weight of 0, and what fills
 * the rows up to a multiple of CHUNK, is a = 0, 1/w = 2^60: it adds nothing.
 *
 * A product u0 u1 is finite as long as the exponents of query and key together stay below a limit that the smallest weight sets:
 * `ranges` has each row's largest exponent. Tiles beyond, and those whose scores are so small that 1 - 2/u would round them away,
 * take tanh of the sum itself, which is right for any values. */

#define TWO_LOG2E 2.88539008177792681f
#define NOTHING 0x1p60f
#define MOST 61.0f     /* u0 u1 is below 2^124 then */
#define LEAST 0.0625f  /* the exponent below which a score is small */

#ifdef EXACT /* a CPU's native_recip may have 12 bits */
#define RECIPROCAL(x) (1.0f / (x))
#define POWER(x) exp2(x)
#else
#define RECIPROCAL(x) native_recip(x)
#define POWER(x) native_exp2(x) /* results below the normal floats do not count here */
#endif

/* tanh z of x = 2 log2(e) z, for any x, accurate near 0 as well. */
INLINE float tanh_log2(float x) {
    const float z = x * (0.5f * LN2), y = z * z;
    const float small = z * fma(y, fma(y, 2.0f / 15, -1.0f / 3), 1.0f), t = fma(-2.0f, RECIPROCAL(1.0f + POWER(x)), 1.0f);
    return fabs(x) < 0.25f ? small : t;
}

#define MASKS IN_BOOL(key_mask), IN_BOOL(query_mask), IN_BOOL(mask), const long4 key_mask_strides, const long4 query_mask_strides, const long4 mask_strides, const int causal
/* Makes the masks those of a batch. */
#define SHIFT_MASKS(b)                                                                                                 \
    if (key_mask) key_mask += key_mask_offset + (b)*key_mask_strides.x;                                                \
    if (query_mask) query_mask += query_mask_offset + (b)*query_mask_strides.x;                                        \
    if (mask) mask += mask_offset + (b)*mask_strides.x
#define KEY_COUNTS(k) key_mask[(k) * (int)key_mask_strides.y]
#define QUERY_COUNTS(q) query_mask[(q) * (int)query_mask_strides.y]
#define PAIR_COUNTS(q, k) mask[(q) * (int)mask_strides.y + (k) * (int)mask_strides.z]

#ifdef KERNEL_powers
#define GROUP 64
#define LANES 16
#define ROWS (GROUP / LANES)

INLINE float weight_at(__global const float *scale, int d, int size) {
    return d >= size ? 0.0f : scale ? scale[d] : 1.0f;
}

/* 1/w with the column's sign. */
INLINE float folded(float w, int d) {
    const float r = w == 0.0f ? NOTHING : 1.0f / w;
    return d & 1 ? -r : r;
}

/* 2^(x factor + b), or its inverse at odd columns, with the exponent in two parts: the power times that of the opposite is 1 to f32. */
INLINE float power(float x, float factor, float b, int d, float *largest) {
    const float product = x * factor, low = fma(x, factor, -product);
    const float sum = product + b, back = sum - product, error = (product - (sum - back)) + (b - back);
    const float sign = d & 1 ? -1.0f : 1.0f;
    *largest = fmax(*largest, fabs(sum) <= MOST ? fabs(sum) : INFINITY);
    return exp2(sign * sum) * fma(sign * (low + error), LN2, 1.0f);
}

/* ROWS rows of queries, then of keys, per group, LANES items to a row: their powers, and in `plain` themselves, in rows of `padded`
 * floats. The last group gives what all tiles need of the weights: 1/w, w and b' in rows of as many, then minus half the sum of the
 * signed weights, and the limit of the exponents. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void powers(IN_STORED(query), IN_STORED(key), IN(scale), IN(bias), OUT(powers), OUT(plain), OUT(ranges), OUT(constants), const long queries, const long rows, const int size, const int padded, const float factor) {
    __local float largests[GROUP], smallests[GROUP], sums[GROUP];
    const bool is_last = get_group_id(0) == get_num_groups(0) - 1;
    const uint t = get_local_id(0), lanes = is_last ? GROUP : LANES, lane = t & (lanes - 1);
    const long asked = (long)get_group_id(0) * ROWS + (long)(t / LANES), row = min(asked, rows - 1);
    const bool is_query = row < queries;
    float largest = 0.0f, smallest = 1.0f, sum = 0.0f;
    constants += constants_offset;
    if (scale) SHIFT(scale);
    if (bias) SHIFT(bias);
    if (is_last) {
        for (int d = (int)t; d < padded; d += GROUP) {
            const float w = weight_at(scale, d, size);
            constants[d] = folded(w, d);
            constants[padded + d] = w;
            constants[2 * padded + d] = bias && d < size ? bias[d] * TWO_LOG2E : 0.0f;
            sum += d & 1 ? 0.5f * w : -0.5f * w;
            smallest = w == 0.0f ? smallest : fmin(smallest, fabs(w));
            largest = fmax(largest, fabs(w) <= NOTHING ? fabs(w) : INFINITY);
        }
    } else {
        __global const STORED *from = is_query ? query + query_offset + row * size : key + key_offset + (row - queries) * size;
        powers += powers_offset + row * padded;
        plain += plain_offset + row * padded;
        for (int d = 4 * (int)lane; d < padded; d += 4 * LANES) {
            const float4 v = load4(from, d, size - d);
            float x[4] = { v.x, v.y, v.z, v.w };
            UNROLL for (int i = 0; i < 4; i++) {
                const float w = weight_at(scale, d + i, size), b = is_query && bias && d + i < size ? bias[d + i] * TWO_LOG2E : 0.0f;
                x[i] = power(x[i], factor, b, d + i, &largest);
                if (is_query) x[i] = w == 0.0f ? 0.0f : x[i] * folded(w, d + i);
            }
            if (asked >= rows) continue;
            vstore4((float4)(x[0], x[1], x[2], x[3]), 0, powers + d);
            vstore4(v, 0, plain + d);
        }
    }
    largests[t] = largest;
    smallests[t] = smallest;
    sums[t] = sum;
    LOCAL_BARRIER;
    if (lane > 0) return;
    for (uint i = 1; i < lanes; i++) {
        largest = fmax(largest, largests[t + i]);
        smallest = fmin(smallest, smallests[t + i]);
        sum += sums[t + i];
    }
    if (is_last) {
        constants[3 * padded] = sum;
        constants[3 * padded + 1] = largest <= NOTHING ? MOST + floor(log2(smallest)) : -1.0f;
    } else if (asked < rows) {
        ranges[ranges_offset + row] = largest;
    }
}
#endif

#ifdef KERNEL_tile

/* CHUNK columns of `rows` rows of `stride` floats from column d and row `first` on; rows after `last` repeat it. */
INLINE void load_rows(__local float4 *to, __global const float *from, int rows, int stride, int first, int last, int d, uint t) {
    UNROLL for (int i = 0; i < (rows + SLOT_ROWS - 1) / SLOT_ROWS; i++) {
        const int r = (int)(t / CHUNK4) + i * SLOT_ROWS, slot = (int)(t % CHUNK4);
        if (rows % SLOT_ROWS && r >= rows) continue;
        to[r * ROW4 + slot] = *(__global const float4 *)((__global const char *)from + (uint)(min(first + r, last) * stride + d + 4 * slot) * 4u);
    }
}

/* Adds a chunk's 1 / u to the sums. */
INLINE void add_pairs(float s[MQ][MK], __local const float4 *q, __local const float4 *k, __local const float4 *inverse_weights) {
    ROLLED for (int c = 0; c < CHUNK4; c++) {
        const float4 w = inverse_weights[c];
        float4 x[MQ], y[MK];
        UNROLL for (int i = 0; i < MQ; i++) x[i] = q[i * TY * ROW4 + c];
        UNROLL for (int j = 0; j < MK; j++) y[j] = k[j * TX * ROW4 + c];
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) {
            const float4 u = fma(x[i], y[j], w);
            s[i][j] = fma(u.x + u.y, RECIPROCAL(u.x * u.y), s[i][j]);
            s[i][j] = fma(u.z + u.w, RECIPROCAL(u.z * u.w), s[i][j]);
        }
    }
}

/* Adds a chunk's w tanh z to an item's sums, for any values. They are in local memory, and taken one at a time: what is rare may not
 * take registers from what is not. */
INLINE void add_any(__local float *sums, __local const float *q, __local const float *k, __local const float *weights, __local const float *biases, float factor) {
    ROLLED for (int i = 0; i < MQ * MK; i++) {
        __local const float *x = q + i / MK * TY * 4 * ROW4, *y = k + i % MK * TX * 4 * ROW4;
        float sum = 0.0f;
        ROLLED for (int c = 0; c < CHUNK; c++) sum = fma(weights[c], tanh_log2(fma(x[c] + y[c], factor, biases[c])), sum);
        sums[i / MK * TY * TK + i % MK * TX] += sum;
    }
}

/* A tile of scores from local memory to an output in rows of `keys`: with an address for each of its scores an item would have no
 * registers left. */
INLINE void store_scores(__local const float *tile, __global float *rows, int row_count, int keys, int k0, float factor, uint t) {
    ROLLED for (uint e = t; e < TQ * TK; e += GROUP) {
        const int q = (int)(e / TK), k = k0 + (int)(e % TK);
        if (q < row_count && k < keys) rows[(long)q * keys + k] = factor * tile[e];
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void tile(IN(powers), IN(plain), IN(ranges), IN(constants), IN_STORED(value), MASKS, OUT_STORED(out), OUT(weights), OUT(lse), OUT(scores),
    const long4 sizes, const int value_size, const int padded, const float factor) {
    __local float4 lq[TQ * ROW4], lkv[KEY4 > VALUE4 ? KEY4 : VALUE4], lw[TQ * TK / 4], lr[TQ * TX / 4], lc[3 * CHUNK4];
    __local int odd, large, usual; /* some value of the tile is not finite, some exponent is too large, not all are small */
    __local float *partial = (__local float *)lr, *tile_scores = (__local float *)lw;
    __local float2 *sums = (__local float2 *)lq; /* of the rows, at the end */
    const uint t = get_local_id(0), tx = t % TX, ty = t / TX;
    __local float *own_scores = tile_scores + ty * TK + tx;
    const long b = get_group_id(1);
    const int queries = (int)sizes.y, keys = (int)sizes.z, column0 = (int)get_group_id(2) * WIDTH;
    const int q0 = (int)(get_num_groups(0) - 1 - get_group_id(0)) * TQ; /* with causal, the longest first */
    const int end = causal ? min(keys, min(q0 + TQ, queries)) : keys, whole = causal ? min(keys, q0 + 1) : keys; /* keys that some query sees, and all */
    const bool attends = out || weights || lse, shows = get_group_id(2) == 0 && (weights || scores);
    const long row0 = b * queries + q0; /* of all batches' queries */
    const long first_query = b * queries * padded, first_key = (sizes.x * queries + b * keys) * padded;
    __global const float *key_ranges = ranges + ranges_offset + sizes.x * queries + b * keys;
    constants += constants_offset;
    powers += powers_offset;
    plain += plain_offset;
    value += value_offset + b * keys * value_size + column0;
    SHIFT_MASKS(b);
    const float start = constants[3 * padded], limit = constants[3 * padded + 1];
    float m[MQ], l[MQ], range = 0.0f;
    float4 o[MQ][MV];
    UNROLL for (int i = 0; i < MQ; i++) {
        m[i] = LOWEST;
        l[i] = 0.0f;
        UNROLL for (int j = 0; j < MV; j++) o[i][j] = (float4)(0.0f);
    }
    if (t < TQ) partial[t] = ranges[ranges_offset + b * queries + min(q0 + (int)t, queries - 1)];
    LOCAL_BARRIER;
    ROLLED for (int i = 0; i < TQ; i++) range = fmax(range, partial[i]);
    LOCAL_BARRIER; /* without a key there is none before the sums go to the same place */
    for (int k0 = 0; k0 < (scores ? keys : end); k0 += TK) {
        float s[MQ][MK];
        if (t == 0) odd = large = usual = 0;
        LOCAL_BARRIER;
        if (t < TK) {
            const float both = range + key_ranges[min(k0 + (int)t, keys - 1)];
            if (!(both <= limit)) large = 1;
            if (both >= LEAST) usual = 1;
        }
        LOCAL_BARRIER;
        const bool fast = usual && !large;
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) {
            s[i][j] = start;
            own_scores[i * TY * TK + j * TX] = 0.0f;
        }
        ROLLED for (int d = 0; d < padded; d += CHUNK) {
            load_rows(lkv, (fast ? powers : plain) + first_key, TK, padded, k0, keys - 1, d, t);
            load_rows(lq, (fast ? powers : plain) + first_query, TQ, padded, q0, queries - 1, d, t);
            if (t < 3 * CHUNK4) lc[t] = vload4(t % CHUNK4, constants + (int)(t / CHUNK4) * padded + d);
            LOCAL_BARRIER;
            if (fast) add_pairs(s, lq + ty * ROW4, lkv + tx * ROW4, lc);
            else add_any(own_scores, (__local const float *)(lq + ty * ROW4), (__local const float *)(lkv + tx * ROW4), (__local const float *)(lc + CHUNK4), (__local const float *)(lc + 2 * CHUNK4), factor);
            LOCAL_BARRIER;
        }
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) {
            __local float *own = own_scores + i * TY * TK + j * TX;
            s[i][j] = fast ? s[i][j] * -TWO_LOG2E : *own * LOG2E;
            if (shows) *own = s[i][j];
        }
#ifdef MASKED
        if (key_mask) {
            UNROLL for (int j = 0; j < MK; j++) {
                const bool counts = KEY_COUNTS(min(k0 + (int)tx + j * TX, keys - 1));
                UNROLL for (int i = 0; i < MQ; i++) s[i][j] = counts ? s[i][j] : -INFINITY;
            }
        }
        if (mask) {
            UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) s[i][j] = PAIR_COUNTS(min(q0 + (int)ty + i * TY, queries - 1), min(k0 + (int)tx + j * TX, keys - 1)) ? s[i][j] : -INFINITY;
        }
#endif
        if (k0 + TK > whole) {
            UNROLL for (int i = 0; i < MQ; i++) {
                const int last = causal ? min(keys - 1, q0 + (int)ty + i * TY) : keys - 1;
                UNROLL for (int j = 0; j < MK; j++) s[i][j] = k0 + (int)tx + j * TX > last ? -INFINITY : s[i][j];
            }
        }
        give_maxima(s, partial, tx, ty);
        LOCAL_BARRIER;
        if (out) load_values(lkv, value, value_size, k0, end - 1, value_size - column0, t, &odd);
        if (scores && shows) store_scores(tile_scores, scores + scores_offset + row0 * keys, queries - q0, keys, k0, LN2, t);
        if (weights && shows) store_scores(tile_scores, weights + weights_offset + row0 * keys, queries - q0, keys, k0, 1.0f, t);
        LOCAL_BARRIER;
        if (attends) give_weights(s, m, l, o, lr, tile_scores, tx, ty);
        ROLLED for (int first = 0; first < TK; first += VC) {
            LOCAL_BARRIER;
            if (out) add_values(o, lw, lkv, first, odd, tx, ty);
            LOCAL_BARRIER;
            if (out && first + VC < TK) load_values(lkv, value, value_size, k0 + first + VC, end - 1, value_size - column0, t, &odd);
        }
    }
    give_sums(l, partial, tx, ty);
    LOCAL_BARRIER;
    UNROLL for (int i = 0; i < MQ; i++) {
        const int q = (int)ty + i * TY;
        const float sum = take_sum(lr, i, ty), inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
        if (tx == 0) sums[q] = (float2)(m[i], inverse);
        if (q0 + q >= queries) continue;
        if (lse && get_group_id(2) == 0 && tx == 0) lse[lse_offset + row0 + q] = sum == 0.0f ? -INFINITY : (m[i] + log2(sum)) * LN2;
        if (!out) continue;
        const bool shown = !query_mask || QUERY_COUNTS(q0 + q);
        UNROLL for (int j = 0; j < MV; j++) {
            const int column = column0 + 4 * (int)(tx + j * TX);
            store4(shown ? o[i][j] * inverse : (float4)(0.0f), out + out_offset + (row0 + q) * value_size + column, value_size - column);
        }
    }
    LOCAL_BARRIER;
    if (!weights || !shows) return;
    weights += weights_offset + row0 * keys;
    ROLLED for (int k0 = 0; k0 < keys; k0 += TK)
        ROLLED for (uint e = t; e < TQ * TK; e += GROUP) { /* by the item that has stored the score there */
            const int q = (int)(e / TK), k = k0 + (int)(e % TK);
            if (q0 + q >= queries || k >= keys) continue;
            const bool counts = k0 < end && (!causal || k <= q0 + q) && (!key_mask || KEY_COUNTS(k)) && (!mask || PAIR_COUNTS(q0 + q, k));
            __global float *at = weights + (long)q * keys + k;
            *at = counts ? exp2(*at - sums[q].x) * sums[q].y : 0.0f;
        }
}
#endif

#ifdef KERNEL_values
/* out from weights that are there already, for values wider than a group of `tile` can have: TQ queries and WIDTH columns a group. A
 * weight of 0 is taken out. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void values(IN(weights), IN_STORED(value), MASKS, OUT_STORED(out), const long4 sizes, const int value_size) {
    __local float4 lv[VALUE4], lw[TQ * TK / 4];
    __local int odd;
    __local float *tile_weights = (__local float *)lw;
    const uint t = get_local_id(0), tx = t % TX, ty = t / TX;
    const long b = get_group_id(1);
    const int queries = (int)sizes.y, keys = (int)sizes.z, column0 = (int)get_group_id(2) * WIDTH, q0 = (int)(get_num_groups(0) - 1 - get_group_id(0)) * TQ;
    const int end = causal ? min(keys, min(q0 + TQ, queries)) : keys;
    const long row0 = b * queries + q0;
    float4 o[MQ][MV];
    UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MV; j++) o[i][j] = (float4)(0.0f);
    weights += weights_offset + row0 * keys;
    value += value_offset + b * keys * value_size + column0;
    SHIFT_MASKS(b);
    if (t == 0) odd = 0;
    LOCAL_BARRIER;
    for (int k0 = 0; k0 < end; k0 += TK) {
        ROLLED for (uint e = t; e < TQ * TK; e += GROUP) {
            const int q = (int)(e / TK), k = k0 + (int)(e % TK);
            const float w = q0 + q < queries && k < end ? weights[(long)q * keys + k] : 0.0f;
            tile_weights[e] = w == 0.0f ? -0.0f : w;
        }
        ROLLED for (int first = 0; first < TK; first += VC) {
            load_values(lv, value, value_size, k0 + first, end - 1, value_size - column0, t, &odd);
            LOCAL_BARRIER;
            add_values(o, lw, lv, first, odd, tx, ty);
            LOCAL_BARRIER;
        }
    }
    UNROLL for (int i = 0; i < MQ; i++) {
        const int q = (int)ty + i * TY;
        if (q0 + q >= queries) continue;
        const bool shown = !query_mask || QUERY_COUNTS(q0 + q);
        UNROLL for (int j = 0; j < MV; j++) {
            const int column = column0 + 4 * (int)(tx + j * TX);
            store4(shown ? o[i][j] : (float4)(0.0f), out + out_offset + (row0 + q) * value_size + column, value_size - column);
        }
    }
}
#endif

/* ---- few queries ----
 *
 * A group has all of a batch's queries (ROWS or fewer) and a part of its keys, so that each key and value is read once, straight into
 * registers. First the scores: LANES items share a key's columns, in steps of KEYS_EACH keys an item, and their sums meet in local
 * memory. Then the weights; then the values, WIDTH columns at a time, each item having 4 columns of every STEP-th key. Nothing is
 * prepared: with so few queries the tanh itself costs less than another pass over the keys. `join` puts the parts together: parts
 * [row][part][columns], and the maximum and sum of each, sums [row][part][2].
 *
 * -D: ROWS, LANES, WIDTH (a power of two from 32 to 512); TAIL where D or Dv is no multiple of 4; ALIGNED, HALF, EXACT. */

#ifdef KERNEL_few

#define KEYS (GROUP / LANES)
#define KEYS_EACH (4 / ROWS)
#define PAIRS (ROWS * KEYS * KEYS_EACH)
#define LANES4 (LANES / 4)
#define WIDTH4 (WIDTH / 4)
#define STEP (GROUP / WIDTH4)
#define AHEAD 4 /* values in flight */
#define SUMS4 (PAIRS * LANES4 + PAIRS * LANES4 / 4)

/* 4 floats from column d on, `other` behind the last. */
INLINE float4 floats4(__global const float *p, int d, int size, float other) {
    if (d + 4 <= size) return vload4(0, p + d);
    return (float4)(d < size ? p[d] : other, d + 1 < size ? p[d + 1] : other, d + 2 < size ? p[d + 2] : other, other);
}

INLINE float4 tanh4(float4 x) {
    return (float4)(tanh_log2(x.x), tanh_log2(x.y), tanh_log2(x.z), tanh_log2(x.w));
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void few(IN_STORED(query), IN_STORED(key), IN_STORED(value), IN(scale), IN(bias), MASKS, OUT(parts), OUT(sums), OUT(weights), OUT(scores), const long4 sizes, const int value_size, const int part, const int columns, const float factor, const int attends) {
    __local float4 lr[SUMS4 > GROUP ? SUMS4 : GROUP];
    __local float part_scores[ROWS * PART];
    __local float *partial = (__local float *)lr, *quarters = partial + PAIRS * LANES;
    const uint t = get_local_id(0), lane = t % LANES, own_key = t / LANES;
    const long b = get_group_id(1);
    const int queries = (int)sizes.y, keys = (int)sizes.z, size = (int)sizes.w;
    const int k0 = (int)get_group_id(0) * part, count = min(part, keys - k0), end = causal ? min(keys, queries) : keys;
    const long row0 = b * queries;
    parts += parts_offset;
    sums += sums_offset;
    if (k0 >= end && !scores) { /* no key for any of the rows */
        if (t < ROWS && (int)t < queries) vstore2((float2)(LOWEST, 0.0f), (row0 + t) * get_num_groups(0) + get_group_id(0), sums);
        return;
    }
    query += query_offset + row0 * size;
    key += key_offset + b * keys * size;
    value += value_offset + b * keys * value_size;
    if (scale) SHIFT(scale);
    if (bias) SHIFT(bias);
    SHIFT_MASKS(b);
    ROLLED for (int done = 0; done < count; done += KEYS * KEYS_EACH) {
        float s[KEYS_EACH][ROWS];
        int from[KEYS_EACH];
        UNROLL for (int j = 0; j < KEYS_EACH; j++) {
            from[j] = (k0 + min(done + (int)own_key + j * KEYS, count - 1)) * size;
            UNROLL for (int g = 0; g < ROWS; g++) s[j][g] = 0.0f;
        }
        ROLLED for (int d = 4 * (int)lane; d < size; d += 4 * LANES) {
            const float4 w = scale ? floats4(scale, d, size, 0.0f) : (float4)(1.0f, d + 1 < size ? 1.0f : 0.0f, d + 2 < size ? 1.0f : 0.0f, d + 3 < size ? 1.0f : 0.0f);
            const float4 c = bias ? TWO_LOG2E * floats4(bias, d, size, 0.0f) : (float4)(0.0f);
            float4 y[KEYS_EACH];
            UNROLL for (int j = 0; j < KEYS_EACH; j++) y[j] = load4(key, from[j] + d, size - d);
            UNROLL for (int g = 0; g < ROWS; g++) {
                const float4 x = load4(query, min(g, queries - 1) * size + d, size - d);
                UNROLL for (int j = 0; j < KEYS_EACH; j++) {
                    const float4 p = w * tanh4(fma(x + y[j], (float4)(factor), c));
                    s[j][g] += (p.x + p.y) + (p.z + p.w);
                }
            }
        }
        UNROLL for (int j = 0; j < KEYS_EACH; j++) UNROLL for (int g = 0; g < ROWS; g++) partial[((g * KEYS_EACH + j) * KEYS + own_key) * LANES + lane] = s[j][g];
        LOCAL_BARRIER;
        ROLLED for (uint e = t; e < PAIRS * LANES4; e += GROUP) {
            const float4 v = lr[e];
            quarters[e] = (v.x + v.y) + (v.z + v.w);
        }
        LOCAL_BARRIER;
        ROLLED for (uint e = t; e < PAIRS; e += GROUP) {
            const int g = (int)(e / (KEYS * KEYS_EACH)), at = done + (int)(e % (KEYS * KEYS_EACH)), k = k0 + at;
            float sum = 0.0f;
            ROLLED for (uint i = 0; i < LANES4; i++) sum += quarters[e * LANES4 + i];
            const bool exists = g < queries;
            if (at >= count) continue;
            if (scores && exists) scores[scores_offset + (row0 + g) * keys + k] = sum;
            if (weights && exists) weights[weights_offset + (row0 + g) * keys + k] = sum * LOG2E;
            const bool counts = exists && (!causal || k <= g) && (!key_mask || KEY_COUNTS(k)) && (!mask || PAIR_COUNTS(g, k));
            part_scores[g * PART + at] = counts ? sum * LOG2E : -INFINITY;
        }
        LOCAL_BARRIER;
    }
    if (!attends) return;
    const float2 of_row = weigh_part(part_scores, lr, (uint)count, t);
    if (t % ROW_ITEMS == 0 && (int)(t / ROW_ITEMS) < queries) vstore2(of_row, (row0 + t / ROW_ITEMS) * get_num_groups(0) + get_group_id(0), sums);
    ROLLED for (int column0 = 0; column0 < columns; column0 += WIDTH) {
        const int column = column0 + 4 * (int)(t % WIDTH4), read = column < value_size ? column : 0;
        float4 o[ROWS];
        UNROLL for (int g = 0; g < ROWS; g++) o[g] = (float4)(0.0f);
        ROLLED for (int k = (int)(t / WIDTH4); k < count; k += AHEAD * STEP) {
            float4 v[AHEAD];
            bool odd = false;
            UNROLL for (int u = 0; u < AHEAD; u++) {
                v[u] = load4(value, (k0 + min(k + u * STEP, count - 1)) * value_size + read, value_size - read);
                odd = odd || !finite4(v[u]);
            }
            UNROLL for (int u = 0; u < AHEAD; u++) {
                const int at = k + u * STEP;
                UNROLL for (int g = 0; g < ROWS; g++) o[g] = add_value(o[g], at < count && g < queries ? part_scores[g * PART + at] : -0.0f, v[u], odd);
            }
        }
        UNROLL for (int g = 0; g < ROWS; g++) {
            LOCAL_BARRIER;
            lr[t] = o[g];
            LOCAL_BARRIER;
            if (t < WIDTH4 && g < queries) {
                float4 v = lr[t];
                ROLLED for (int i = 1; i < STEP; i++) v += lr[t + i * WIDTH4];
                vstore4(v, 0, parts + ((row0 + g) * get_num_groups(0) + get_group_id(0)) * columns + column);
            }
        }
    }
}
#endif

#ifdef KERNEL_join
#define GROUP 64
/* One group per row and 4 * GROUP of its columns; the groups of a row share its weights, which hold scores before. A part whose sum is
 * 0 has no values. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void join(IN(parts), IN(sums), MASKS, OUT_STORED(out), OUT(weights), OUT(lse), const long4 sizes, const int value_size, const int count, const int columns) {
    const long row = get_group_id(0), b = row / sizes.y;
    const int q = (int)(row - b * sizes.y), keys = (int)sizes.z, t = (int)get_local_id(0), blocks = (int)get_num_groups(1), block = (int)get_group_id(1);
    float m = LOWEST, l = 0.0f;
    parts += parts_offset + row * count * columns;
    sums += sums_offset + row * count * 2;
    SHIFT_MASKS(b);
    for (int k = 0; k < count; k++) m = fmax(m, sums[2 * k]);
    for (int k = 0; k < count; k++) l = fma(sums[2 * k + 1], exp2(sums[2 * k] - m), l);
    const float inverse = l == 0.0f ? 0.0f : 1.0f / l;
    const int column = 4 * (block * GROUP + t);
    if (out && column < value_size) {
        float4 v = (float4)(0.0f);
        for (int k = 0; k < count; k++)
            if (sums[2 * k + 1] != 0.0f) v = fma(vload4(0, parts + (long)k * columns + column), (float4)(exp2(sums[2 * k] - m)), v);
        store4(query_mask && !QUERY_COUNTS(q) ? (float4)(0.0f) : v * inverse, out + out_offset + row * value_size + column, value_size - column);
    }
    if (lse && block == 0 && t == 0) lse[lse_offset + row] = l == 0.0f ? -INFINITY : (m + log2(l)) * LN2;
    if (!weights) return;
    weights += weights_offset + row * keys;
    for (int k = block * GROUP + t; k < keys; k += blocks * GROUP) {
        const bool counts = (!causal || k <= q) && (!key_mask || KEY_COUNTS(k)) && (!mask || PAIR_COUNTS(q, k));
        weights[k] = counts ? exp2(weights[k] - m) * inverse : 0.0f;
    }
}
#endif
