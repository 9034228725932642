/* What attention_gpu.cl and additive_attention_gpu.cl share: how rows are loaded and stored, and what a group does with a tile of
 * scores.
 *
 * A group holds TQ queries and goes over tiles of TK keys. GROUP = TX * TY items; item (tx, ty) has the scores of MQ queries
 * ty + i * TY with MK keys tx + j * TX, and MQ rows of the result, MV vectors of 4 columns (tx + j * TX) each. Local memory holds
 * rows as they lie, CHUNK columns of queries and keys at a time (rows padded by 4 against bank conflicts), VC rows of values at a
 * time, and the tile's weights. Scores are in units of log2. What is left rolled would take half of a GPU's registers unrolled.
 *
 * With -DDIRECT only the weights and the sums that items exchange go through local memory: queries, keys and values are read from
 * where they are, for devices whose local memory lies there too.
 *
 * -D: WIDTH = columns of values rounded up, TX, TY, MQ, MK, VC; TAIL where sizes are not exact, ALIGNED where every row begins at a
 * multiple of 4 elements. With DIRECT a TAIL is only one of rows whose length is no multiple of 4. */
#include "common.cl"

#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define LOCAL_BARRIER barrier(CLK_LOCAL_MEM_FENCE)

#define LOWEST -3e38f /* below every score that counts */

#ifdef HALF
#define STORED_BYTES 2u
#else
#define STORED_BYTES 4u
#endif

/* 4 elements; where they begin at a multiple of 4, as one load on every vendor's compiler. */
INLINE float4 read4(__global const STORED *p) {
#if defined(HALF) && defined(ALIGNED)
    const ushort4 bits = *(__global const ushort4 *)p;
    return vload_half4(0, (const half *)&bits);
#elif defined(HALF)
    return vload_half4(0, p);
#elif defined(ALIGNED)
    return *(__global const float4 *)p;
#else
    return vload4(0, p);
#endif
}

/* `left` of the 4 columns exist. The offset in bytes is 32 bits wide: AMD then adds it to a scalar base. */
INLINE float4 load4(__global const STORED *p, int at, int left) {
    __global const STORED *from = (__global const STORED *)((__global const char *)p + (uint)at * STORED_BYTES);
#ifdef TAIL
    if (left < 4) return (float4)(left > 0 ? LOAD_1(from) : 0.0f, left > 1 ? LOAD_1(from + 1) : 0.0f, left > 2 ? LOAD_1(from + 2) : 0.0f, 0.0f);
#endif
    return read4(from);
}

INLINE void store4(float4 v, __global STORED *to, int left) {
#ifdef TAIL
    if (left < 4) {
        if (left > 0) STORE_1(v.x, to);
        if (left > 1) STORE_1(v.y, to + 1);
        if (left > 2) STORE_1(v.z, to + 2);
        return;
    }
#endif
#ifdef HALF
    vstore_half4_rte(v, 0, to);
#elif defined(ALIGNED)
    *(__global float4 *)to = v;
#else
    vstore4(v, 0, to);
#endif
}

INLINE bool finite4(float4 v) {
    const float4 zero = v - v;
    return zero.x + zero.y + zero.z + zero.w == 0.0f;
}

#if defined(KERNEL_tile) || defined(KERNEL_values)

#define GROUP (TX * TY)
#define TQ (TY * MQ)
#define TK (TX * MK)
#define CHUNK 32
#define CHUNK4 (CHUNK / 4)
#define ROW4 (CHUNK4 + 1)
#define WIDTH4 (WIDTH / 4)
#define MV (WIDTH4 / TX)
#define SLOT_ROWS (GROUP / CHUNK4) /* rows of a chunk that the group loads at once */
#define KEY4 (TK * ROW4)
#define VALUE4 (VC * WIDTH4)

/* The first step of a tile's softmax: each item's largest scores, for the others. */
INLINE void give_maxima(float s[MQ][MK], __local float *partial, uint tx, uint ty) {
    UNROLL for (int i = 0; i < MQ; i++) {
        float largest = s[i][0];
        UNROLL for (int j = 1; j < MK; j++) largest = fmax(largest, s[i][j]);
        partial[(ty + i * TY) * TX + tx] = largest;
    }
}

/* The second, behind a barrier: the rows' maxima and sums, the tile's weights, and the result so far made relative to the maxima. */
INLINE void give_weights(float s[MQ][MK], float *m, float *l, float4 o[MQ][MV], __local const float4 *partial, __local float *weights, uint tx, uint ty) {
    float factor[MQ];
    UNROLL for (int i = 0; i < MQ; i++) factor[i] = m[i];
    ROLLED for (int j = 0; j < TX / 4; j++)
        UNROLL for (int i = 0; i < MQ; i++) {
            const float4 v = partial[(ty + i * TY) * (TX / 4) + j];
            factor[i] = fmax(factor[i], fmax(fmax(v.x, v.y), fmax(v.z, v.w)));
        }
    UNROLL for (int i = 0; i < MQ; i++) {
        const float before = m[i];
        float sum = 0.0f;
        m[i] = factor[i];
        factor[i] = exp2(before - m[i]);
        UNROLL for (int j = 0; j < MK; j++) {
            const float p = s[i][j] == -INFINITY ? -0.0f : exp2(s[i][j] - m[i]); /* the sign tells what is taken out */
            sum += p;
            weights[(ty + i * TY) * TK + tx + j * TX] = p;
        }
        l[i] = fma(l[i], factor[i], sum);
        UNROLL for (int j = 0; j < MV; j++) o[i][j] *= factor[i];
    }
}

#define ADD_VALUES(part, row)                                                                                          \
    {                                                                                                                  \
        float4 v[MV];                                                                                                  \
        UNROLL for (int j = 0; j < MV; j++) v[j] = VALUE(4 * k + row, j);                                              \
        UNROLL for (int i = 0; i < MQ; i++) UNROLL for (int j = 0; j < MV; j++) o[i][j] = fma((float4)(w[i].part), v[j], o[i][j]); \
    }

/* The third step, behind a barrier: the result with `count` keys' values from the tile's row `first` on. Where `odd`, nothing of what is
 * taken out may be multiplied. VALUE(k, j) is the item's j-th vector of the k-th of them. */
#define ADD_ALL_VALUES(count)                                                                                          \
    if (odd) {                                                                                                         \
        __local const float *row_weights = (__local const float *)weights + ty * TK + first;                           \
        ROLLED for (int k = 0; k < (count); k++) {                                                                     \
            UNROLL for (int i = 0; i < MQ; i++) {                                                                      \
                const float w = row_weights[i * TY * TK + k];                                                          \
                const int4 counts = (int4)(~(as_int(w) >> 31));                                                        \
                UNROLL for (int j = 0; j < MV; j++) o[i][j] = fma((float4)(w), as_float4(as_int4(VALUE(k, j)) & counts), o[i][j]); \
            }                                                                                                          \
        }                                                                                                              \
    } else {                                                                                                           \
        ROLLED for (int k = 0; k < (count) / 4; k++) {                                                                 \
            float4 w[MQ];                                                                                              \
            UNROLL for (int i = 0; i < MQ; i++) w[i] = weights[(ty + i * TY) * (TK / 4) + first / 4 + k];              \
            ADD_VALUES(x, 0)                                                                                           \
            ADD_VALUES(y, 1)                                                                                           \
            ADD_VALUES(z, 2)                                                                                           \
            ADD_VALUES(w, 3)                                                                                           \
        }                                                                                                              \
    }

#ifdef DIRECT
#define VALUE(k, j) load4(value, min(k0 + (k), last) * stride + column[j], width - column[j])
/* All of a tile's values, from where they are; rows and vectors after the last ones repeat these. `odd` where some weight is taken out. */
INLINE void add_values_direct(float4 o[MQ][MV], __local const float4 *weights, __global const STORED *value, int stride, int k0, int last, int width, bool odd, uint tx, uint ty) {
    const int first = 0, last_column = (width - 1) / 4 * 4;
    int column[MV];
    UNROLL for (int j = 0; j < MV; j++) column[j] = min(4 * (int)(tx + j * TX), last_column);
    ADD_ALL_VALUES(TK)
}
#else
/* VC rows of values from `first` on; rows after `last` repeat it. */
INLINE void load_values(__local float4 *to, __global const STORED *value, int stride, int first, int last, int width, uint t, __local int *odd) {
    bool finite = true;
    UNROLL for (int i = 0; i < (VALUE4 + GROUP - 1) / GROUP; i++) {
        const uint e = t + i * GROUP;
        if (VALUE4 % GROUP && e >= VALUE4) continue;
        const int row = min(first + (int)(e / WIDTH4), last), column = 4 * (int)(e % WIDTH4);
        const float4 v = load4(value, row * stride + column, width - column);
        to[e] = v;
        finite = finite && finite4(v);
    }
    if (!finite) *odd = 1;
}

#define VALUE(k, j) from[(k)*WIDTH4 + (j)*TX]
/* VC rows of values; `odd` where some are not finite. */
INLINE void add_values(float4 o[MQ][MV], __local const float4 *weights, __local const float4 *values, int first, bool odd, uint tx, uint ty) {
    __local const float4 *from = values + tx;
    ADD_ALL_VALUES(VC)
}
#endif

/* What the rows' sums are at the end, from those of each item; behind a barrier after all were given. */
INLINE void give_sums(const float *l, __local float *partial, uint tx, uint ty) {
    UNROLL for (int i = 0; i < MQ; i++) partial[(ty + i * TY) * TX + tx] = l[i];
}

INLINE float take_sum(__local const float4 *partial, int i, uint ty) {
    float4 v = (float4)(0.0f);
    UNROLL for (int j = 0; j < TX / 4; j++) v += partial[(ty + i * TY) * (TX / 4) + j];
    return (v.x + v.y) + (v.z + v.w);
}

#endif

#if defined(KERNEL_decode) || defined(KERNEL_few)

/* ---- few queries: a group has ROWS rows of scores with a part of the keys, at most PART ---- */

#define GROUP 128
#define PART 256
#define ROW_ITEMS (GROUP / ROWS)

/* Adds w v to o; a weight whose sign is set is taken out and multiplies nothing. */
INLINE float4 add_value(float4 o, float w, float4 v, bool odd) {
    return fma((float4)(w), odd ? as_float4(as_int4(v) & (int4)(~(as_int(w) >> 31))) : v, o);
}

/* The first `count` scores of each row become weights; of row t / ROW_ITEMS the maximum and the sum. */
INLINE float2 weigh_part(__local float *scores, __local float4 *shared, uint count, uint t) {
    const uint row = t / ROW_ITEMS, start = t % ROW_ITEMS;
    __local float *own = scores + row * PART, *partial = (__local float *)shared;
    __local const float4 *others = shared + row * (ROW_ITEMS / 4);
    float m = LOWEST, l = 0.0f;
    float4 sums = (float4)(0.0f);
    ROLLED for (uint k = start; k < count; k += ROW_ITEMS) m = fmax(m, own[k]);
    partial[t] = m;
    LOCAL_BARRIER;
    ROLLED for (uint i = 0; i < ROW_ITEMS / 4; i++) m = fmax(m, fmax(fmax(others[i].x, others[i].y), fmax(others[i].z, others[i].w)));
    LOCAL_BARRIER;
    ROLLED for (uint k = start; k < count; k += ROW_ITEMS) {
        const float p = own[k] == -INFINITY ? -0.0f : exp2(own[k] - m); /* the sign tells what is taken out */
        own[k] = p;
        l += p;
    }
    partial[t] = l;
    LOCAL_BARRIER;
    ROLLED for (uint i = 0; i < ROW_ITEMS / 4; i++) sums += others[i];
    LOCAL_BARRIER;
    return (float2)(m, (sums.x + sums.y) + (sums.z + sums.w));
}

#endif
