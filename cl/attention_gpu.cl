#include "attention_gpu_tile.cl"
#include "attention_flags.cl"

/* softmax(scale * Q K^T + bias) V for GPUs, cut as in attention_gpu_tile.cl.
 *
 * -D beside those there: DEPTH = columns of keys rounded up, EXTRA where there is a mask or a bias, FORM where there is a cap or a
 * slope. `scale` and `cap` are in units of log2. */

#ifdef KERNEL_tile

#define ADD_PRODUCTS                                                                                                   \
    UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) {                                          \
        s[i][j] = fma(x[i].x, y[j].x, s[i][j]);                                                                        \
        s[i][j] = fma(x[i].y, y[j].y, s[i][j]);                                                                        \
        s[i][j] = fma(x[i].z, y[j].z, s[i][j]);                                                                        \
        s[i][j] = fma(x[i].w, y[j].w, s[i][j]);                                                                        \
    }

#ifdef DIRECT
/* The sums over all columns; rows after the last ones repeat these. */
INLINE void add_columns(float s[MQ][MK], __global const STORED *query, __global const STORED *key, int query_stride, int key_stride, int q0, int last_query, int k0, int last_key, int depth, uint tx, uint ty) {
    int from_query[MQ], from_key[MK];
    UNROLL for (int i = 0; i < MQ; i++) from_query[i] = min(q0 + (int)ty + i * TY, last_query) * query_stride;
    UNROLL for (int j = 0; j < MK; j++) from_key[j] = min(k0 + (int)tx + j * TX, last_key) * key_stride;
    ROLLED for (int d = 0; d < depth; d += 4) {
        float4 x[MQ], y[MK];
        UNROLL for (int i = 0; i < MQ; i++) x[i] = load4(query, from_query[i] + d, depth - d);
        UNROLL for (int j = 0; j < MK; j++) y[j] = load4(key, from_key[j] + d, depth - d);
        ADD_PRODUCTS
    }
}
#else
/* CHUNK columns of `rows` rows from column d and row `first` on; rows after `last` repeat it. */
INLINE void load_columns(__local float4 *to, __global const STORED *from, int rows, int stride, int first, int last, int d, int depth, uint t) {
    UNROLL for (int i = 0; i < (rows + SLOT_ROWS - 1) / SLOT_ROWS; i++) {
        const int r = (int)(t / CHUNK4) + i * SLOT_ROWS, column = d + 4 * (int)(t % CHUNK4);
        if (rows % SLOT_ROWS && r >= rows) continue;
        to[r * ROW4 + (int)(t % CHUNK4)] = load4(from, min(first + r, last) * stride + column, depth - column);
    }
}

INLINE void add_chunk(float s[MQ][MK], __local const float4 *q, __local const float4 *k) {
    ROLLED for (int c = 0; c < CHUNK4; c++) {
        float4 x[MQ], y[MK];
        UNROLL for (int i = 0; i < MQ; i++) x[i] = q[i * TY * ROW4 + c];
        UNROLL for (int j = 0; j < MK; j++) y[j] = k[j * TX * ROW4 + c];
        ADD_PRODUCTS
    }
}
#endif

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void tile(IN_STORED(query), IN_STORED(key), IN_STORED(value), IN_BOOL(mask), IN(bias), IN_INT(key_lengths), IN(slopes), IN(sinks), OUT_STORED(out), OUT(lse), OUT(row_sums), const long4 query_strides,
    const long4 key_strides, const long4 value_strides, const long4 out_strides, const long4 mask_strides, const long4 bias_strides, const long4 heads, const long4 widths, const int flags, const float scale, const float cap) {
    __local float4 lw[TQ * TK / 4], lr[TQ * TX / 4];
#ifndef DIRECT
    __local float4 lq[TQ * ROW4], lkv[KEY4 > VALUE4 ? KEY4 : VALUE4];
#endif
    __local int odd; /* some value of the tile is not finite; with DIRECT: some score is taken out */
    __local float *weights = (__local float *)lw, *partial = (__local float *)lr;
    const uint t = get_local_id(0), tx = t % TX, ty = t / TX;
    const long head = get_group_id(1), b = head / heads.x, h = head % heads.x, kv_head = h / (heads.x / heads.y);
    const int queries = (int)heads.z, depth = (int)widths.x, width = (int)widths.y, left = (int)widths.z, right = (int)widths.w;
    const int length = (int)(flags & HAS_LENGTHS ? clamp((long)key_lengths[key_lengths_offset + b], 0L, heads.w) : heads.w);
    const int shift = flags & BOTTOM_RIGHT ? length - queries : 0;
    const int q0 = (int)(get_num_groups(0) - 1 - get_group_id(0)) * TQ; /* with causal, the longest first */
    const int begin = max(0, q0 + shift - left), end = min(length, min(q0 + TQ, queries) + shift + right);
    const int whole_from = q0 + TQ - 1 + shift - left, whole_to = min(length, q0 + shift + right + 1); /* keys that all queries see */
    const uint span = (uint)max(0, left + right + 1);
    const int query_stride = (int)query_strides.z, key_stride = (int)key_strides.z, value_stride = (int)value_strides.z;
    query += query_offset + b * query_strides.x + h * query_strides.y;
    key += key_offset + b * key_strides.x + kv_head * key_strides.y;
    value += value_offset + b * value_strides.x + kv_head * value_strides.y;
    out += out_offset + b * out_strides.x + h * out_strides.y;
#ifdef EXTRA
    mask += mask_offset + b * mask_strides.x + h * mask_strides.y;
    bias += bias_offset + b * bias_strides.x + h * bias_strides.y;
#endif
    float m[MQ], l[MQ];
    float4 o[MQ][MV];
    UNROLL for (int i = 0; i < MQ; i++) {
        m[i] = LOWEST;
        l[i] = 0.0f;
        UNROLL for (int j = 0; j < MV; j++) o[i][j] = (float4)(0.0f);
    }
    for (int k0 = begin; k0 < end; k0 += TK) {
        float s[MQ][MK];
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) s[i][j] = 0.0f;
        if (t == 0) odd = 0;
#ifdef DIRECT
        add_columns(s, query, key, query_stride, key_stride, q0, queries - 1, k0, end - 1, depth, tx, ty);
        LOCAL_BARRIER;
#else
        ROLLED for (int d = 0; d < DEPTH; d += CHUNK) {
            load_columns(lkv, key, TK, key_stride, k0, end - 1, d, depth, t);
            load_columns(lq, query, TQ, query_stride, q0, queries - 1, d, depth, t);
            LOCAL_BARRIER;
            add_chunk(s, lq + ty * ROW4, lkv + tx * ROW4);
            LOCAL_BARRIER;
        }
#endif
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) s[i][j] *= scale;
#ifdef FORM
        if (flags & HAS_CAP) {
            UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) s[i][j] = cap * tanh(s[i][j] / cap);
        }
        if (flags & HAS_SLOPES) {
            const float slope = slopes[slopes_offset + (flags & SLOPES_PER_BATCH ? head : h)] * LOG2E; /* here: selected once before the loop, it crashes the compiler of the Intel CPU runtime */
            UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++) s[i][j] -= slope * fabs((float)(q0 + (int)ty + i * TY + length - queries - k0 - (int)tx - j * TX));
        }
#endif
#ifdef EXTRA
        if (flags & HAS_BIAS) {
            UNROLL for (int i = 0; i < MQ; i++) {
                const int row = min(q0 + (int)ty + i * TY, queries - 1) * (int)bias_strides.z;
                UNROLL for (int j = 0; j < MK; j++) {
                    const float extra = bias[row + min(k0 + (int)tx + j * TX, end - 1) * (int)bias_strides.w];
                    s[i][j] = extra == -INFINITY ? extra : fma(extra, LOG2E, s[i][j]);
                }
            }
        }
        if (flags & HAS_MASK) {
            UNROLL for (int i = 0; i < MQ; i++) {
                const int row = min(q0 + (int)ty + i * TY, queries - 1) * (int)mask_strides.z;
                UNROLL for (int j = 0; j < MK; j++) s[i][j] = mask[row + min(k0 + (int)tx + j * TX, end - 1) * (int)mask_strides.w] ? s[i][j] : -INFINITY;
            }
        }
#endif
        if (k0 + TK > whole_to || k0 < whole_from) {
            const int rest = length - k0 - (int)tx, ahead = k0 + (int)tx - q0 - (int)ty - shift + left; /* the first score's key, from the window's start */
            UNROLL for (int i = 0; i < MQ; i++)
                UNROLL for (int j = 0; j < MK; j++) s[i][j] = j * TX >= rest || (uint)(ahead + j * TX - i * TY) >= span ? -INFINITY : s[i][j];
        }
        give_maxima(s, partial, tx, ty);
#ifdef DIRECT
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MK; j++)
            if (s[i][j] == -INFINITY) odd = 1;
        LOCAL_BARRIER;
        give_weights(s, m, l, o, lr, weights, tx, ty);
        LOCAL_BARRIER;
        add_values_direct(o, lw, value, value_stride, k0, end - 1, width, odd, tx, ty);
        LOCAL_BARRIER;
#else
        LOCAL_BARRIER;
        load_values(lkv, value, value_stride, k0, end - 1, width, t, &odd);
        give_weights(s, m, l, o, lr, weights, tx, ty);
        ROLLED for (int first = 0; first < TK; first += VC) {
            LOCAL_BARRIER;
            add_values(o, lw, lkv, first, odd, tx, ty);
            LOCAL_BARRIER;
            if (first + VC < TK) load_values(lkv, value, value_stride, k0 + first + VC, end - 1, width, t, &odd);
        }
#endif
    }
    give_sums(l, partial, tx, ty);
    LOCAL_BARRIER;
    UNROLL for (int i = 0; i < MQ; i++) {
        const int q = q0 + (int)ty + i * TY;
        float sum = take_sum(lr, i, ty), factor = 1.0f;
        if (flags & HAS_SINKS) {
            const float sink = sinks[sinks_offset + h] * LOG2E, largest = fmax(m[i], sink);
            factor = exp2(m[i] - largest);
            sum = fma(sum, factor, exp2(sink - largest));
            m[i] = largest;
        }
        const float inverse = sum == 0.0f ? 0.0f : factor / sum;
        if (q < queries) {
            UNROLL for (int j = 0; j < MV; j++) {
                const int column = 4 * (int)(tx + j * TX);
                if (column < width) store4(o[i][j] * inverse, out + q * out_strides.z + column, width - column);
            }
            if (tx == 0) lse[lse_offset + head * queries + q] = sum == 0.0f ? -INFINITY : (m[i] + log2(sum)) * LN2;
            if (tx == 0 && row_sums) vstore2((float2)(m[i] * LN2, sum), head * queries + q, row_sums + row_sums_offset);
        }
    }
}
#endif

/* ---- few queries ----
 *
 * A group goes over PART keys with ROWS rows: the queries of all heads that read these keys and values, so that each is loaded
 * once, straight into registers. First the scores: LANES items share a key's columns, in steps of KEYS_EACH keys an item, and their
 * sums meet in local memory. Then the weights; then the values, each item having 4 columns of every STEP-th key. What the parts
 * give is joined by `join`: parts [row][part][WIDTH], and the maximum and sum of each, sums [row][part][2].
 *
 * -D: DEPTH, WIDTH = columns of keys rounded up to 32, of values to a power of two from 32; ROWS; TAIL, ALIGNED, EXTRA and FORM as
 * above. */

#ifdef KERNEL_decode

#define LANES 8
#define KEYS (GROUP / LANES)
#define KEYS_EACH 4
#define DEPTH4 (DEPTH / 4)
#define WIDTH4 (WIDTH / 4)
#define STEP (GROUP / WIDTH4)
#define AHEAD 4 /* values in flight */
#define SUMS4 (ROWS * KEYS * LANES / 4)
#define SUM_AT(pair, lane) ((pair)*LANES + ((lane) + (pair) / 4) % LANES) /* turned, against bank conflicts */

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void decode(IN_STORED(query), IN_STORED(key), IN_STORED(value), IN_BOOL(mask), IN(bias), IN_INT(key_lengths), IN(slopes), OUT(parts), OUT(sums), const long4 query_strides, const long4 key_strides,
    const long4 value_strides, const long4 mask_strides, const long4 bias_strides, const long4 heads, const long4 widths, const int flags, const float scale, const float cap) {
    __local float4 lq[ROWS * DEPTH4], lr[SUMS4 > GROUP ? SUMS4 : GROUP];
    __local float weights[ROWS * PART];
    __local float *partial = (__local float *)lr;
    const uint t = get_local_id(0);
    const int queries = (int)heads.z, depth = (int)widths.x, width = (int)widths.y, left = (int)widths.z, right = (int)widths.w;
    const int shared = (int)(heads.x / heads.y), rows = shared * queries, blocks = (rows + ROWS - 1) / ROWS;
    const long kv = get_group_id(1) / blocks, b = kv / heads.y, kv_head = kv % heads.y;
    const int first_row = (int)(get_group_id(1) % blocks) * ROWS; /* of those that share the keys */
    const long first_head = kv_head * shared, row0 = (b * heads.x + first_head) * queries + first_row;
    const int length = (int)(flags & HAS_LENGTHS ? clamp((long)key_lengths[key_lengths_offset + b], 0L, heads.w) : heads.w);
    const int shift = flags & BOTTOM_RIGHT ? length - queries : 0;
    const int k0 = (int)get_group_id(0) * PART, begin = shift - left, end = min(length, queries + shift + right);
    const int count = min(PART, end - k0);
    parts += parts_offset;
    sums += sums_offset;
    if (count <= 0 || k0 + PART <= begin) { /* no key for any of the rows */
        if (t < ROWS && first_row + (int)t < rows) vstore2((float2)(LOWEST, 0.0f), (row0 + t) * get_num_groups(0) + get_group_id(0), sums);
        return;
    }
    const int query_stride = (int)query_strides.z, key_stride = (int)key_strides.z, value_stride = (int)value_strides.z;
    query += query_offset + b * query_strides.x;
    key += key_offset + b * key_strides.x + kv_head * key_strides.y;
    value += value_offset + b * value_strides.x + kv_head * value_strides.y;
    for (uint e = t; e < ROWS * DEPTH4; e += GROUP) {
        const int row = min(first_row + (int)(e / DEPTH4), rows - 1), column = 4 * (int)(e % DEPTH4);
        lq[e] = scale * load4(query + (first_head + row / queries) * query_strides.y, row % queries * query_stride + column, depth - column);
    }
    LOCAL_BARRIER;
    const uint lane = t % LANES, own_key = t / LANES;
    int done = 0;
    ROLLED for (; done < count; done += KEYS * KEYS_EACH) {
        float s[KEYS_EACH][ROWS];
        int from[KEYS_EACH];
        UNROLL for (int j = 0; j < KEYS_EACH; j++) {
            from[j] = (k0 + min(done + (int)own_key + j * KEYS, count - 1)) * key_stride + 4 * (int)lane;
            UNROLL for (int g = 0; g < ROWS; g++) s[j][g] = 0.0f;
        }
        ROLLED for (int c = 0; c < DEPTH; c += 4 * LANES) {
            float4 y[KEYS_EACH];
            UNROLL for (int j = 0; j < KEYS_EACH; j++) y[j] = load4(key, from[j] + c, depth - c - 4 * (int)lane);
            UNROLL for (int g = 0; g < ROWS; g++) {
                const float4 x = lq[g * DEPTH4 + c / 4 + (int)lane];
                UNROLL for (int j = 0; j < KEYS_EACH; j++) s[j][g] = fma(x.x, y[j].x, fma(x.y, y[j].y, fma(x.z, y[j].z, fma(x.w, y[j].w, s[j][g]))));
            }
        }
        UNROLL for (int j = 0; j < KEYS_EACH; j++) {
            LOCAL_BARRIER;
            UNROLL for (int g = 0; g < ROWS; g++) partial[SUM_AT(g * KEYS + own_key, lane)] = s[j][g];
            LOCAL_BARRIER;
            for (uint e = t; e < ROWS * KEYS; e += GROUP) {
                const int at = done + j * KEYS + (int)(e % KEYS), k = k0 + min(at, count - 1);
                const int row = min(first_row + (int)(e / KEYS), rows - 1), i = row % queries;
                const long head = first_head + row / queries;
                float sum = 0.0f;
                ROLLED for (uint x = 0; x < LANES; x++) sum += partial[SUM_AT(e, x)];
#ifdef FORM
                if (flags & HAS_CAP) sum = cap * tanh(sum / cap);
                if (flags & HAS_SLOPES) sum -= slopes[slopes_offset + (flags & SLOPES_PER_BATCH ? b * heads.x : 0) + head] * LOG2E * fabs((float)(i + length - queries - k));
#endif
#ifdef EXTRA
                if (flags & HAS_BIAS) {
                    const float extra = bias[bias_offset + b * bias_strides.x + head * bias_strides.y + i * bias_strides.z + k * bias_strides.w];
                    sum = extra == -INFINITY ? extra : fma(extra, LOG2E, sum);
                }
                if (flags & HAS_MASK) sum = mask[mask_offset + b * mask_strides.x + head * mask_strides.y + i * mask_strides.z + k * mask_strides.w] ? sum : -INFINITY;
#endif
                weights[e / KEYS * PART + at] = at >= count || k < i + shift - left || k > i + shift + right ? -INFINITY : sum;
            }
        }
    }
    LOCAL_BARRIER;
    const float2 of_row = weigh_part(weights, lr, (uint)done, t);
    if (t % ROW_ITEMS == 0 && first_row + (int)(t / ROW_ITEMS) < rows) vstore2(of_row, (row0 + t / ROW_ITEMS) * get_num_groups(0) + get_group_id(0), sums);
    const uint column4 = t % WIDTH4;
    const int column = 4 * (int)column4;
    float4 o[ROWS];
    UNROLL for (int g = 0; g < ROWS; g++) o[g] = (float4)(0.0f);
    ROLLED for (int k = (int)(t / WIDTH4); k < count; k += AHEAD * STEP) {
        float4 v[AHEAD];
        bool odd = false;
        UNROLL for (int u = 0; u < AHEAD; u++) {
            v[u] = load4(value, (k0 + min(k + u * STEP, count - 1)) * value_stride + column, width - column);
            odd = odd || !finite4(v[u]);
        }
        UNROLL for (int u = 0; u < AHEAD; u++) {
            const int at = k + u * STEP;
            UNROLL for (int g = 0; g < ROWS; g++) o[g] = add_value(o[g], at < count ? weights[g * PART + at] : -0.0f, v[u], odd);
        }
    }
    UNROLL for (int g = 0; g < ROWS; g++) {
        LOCAL_BARRIER;
        lr[t] = o[g];
        LOCAL_BARRIER;
        if (t < WIDTH4 && first_row + g < rows) {
            float4 v = lr[t];
            ROLLED for (int x = 1; x < STEP; x++) v += lr[t + x * WIDTH4];
            vstore4(v, 0, parts + ((row0 + g) * get_num_groups(0) + get_group_id(0)) * WIDTH + column);
        }
    }
}
#endif

#ifdef KERNEL_join
#define GROUP 64
/* One group per row. A part whose sum is 0 has no values. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void join(IN(parts), IN(sums), IN(sinks), OUT_STORED(out), OUT(lse), OUT(row_sums), const long4 out_strides, const long4 heads, const int width, const int count, const int flags) {
    const long row = get_group_id(0), i = row % heads.z, h = row / heads.z % heads.x, b = row / heads.z / heads.x;
    float m = -3e38f, l = 0.0f, factor = 1.0f;
    parts += parts_offset + row * count * WIDTH;
    sums += sums_offset + row * count * 2;
    for (int k = 0; k < count; k++) m = fmax(m, sums[2 * k]);
    for (int k = 0; k < count; k++) l = fma(sums[2 * k + 1], exp2(sums[2 * k] - m), l);
    const float own = m;
    if (flags & HAS_SINKS) {
        const float sink = sinks[sinks_offset + h] * LOG2E;
        m = fmax(own, sink);
        factor = exp2(own - m);
        l = fma(l, factor, exp2(sink - m));
    }
    const float inverse = l == 0.0f ? 0.0f : factor / l;
    out += out_offset + b * out_strides.x + h * out_strides.y + i * out_strides.z;
    for (int column = (int)get_local_id(0); column < width; column += GROUP) {
        float sum = 0.0f;
        for (int k = 0; k < count; k++)
            if (sums[2 * k + 1] != 0.0f) sum = fma(parts[(long)k * WIDTH + column], exp2(sums[2 * k] - own), sum);
        STORE_1(sum * inverse, out + column);
    }
    if (get_local_id(0) == 0) lse[lse_offset + row] = l == 0.0f ? -INFINITY : (m + log2(l)) * LN2;
    if (get_local_id(0) == 0 && row_sums) vstore2((float2)(m * LN2, l), row, row_sums + row_sums_offset);
}
#endif
