#include "philox.cl"
#include "attention_flags.cl"

/* Where `scores` is taken. */
#define RAW 0
#define CAPPED 1
#define BIASED 2

/* heads = H, Hkv, Tq, Tk; widths = D, Dv, window to the left, to the right. Strides of mask and bias are those of [B,H,Tq,Tk].
 * dropout = seed, offset, the words below which a weight is dropped. */
#define PROBLEM                                                                                                        \
    IN_STORED(query), IN_STORED(key), IN_BOOL(mask), IN(bias), IN_INT(key_lengths), const long4 query_strides, const long4 key_strides, const long4 mask_strides, \
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

/* 2^x for x <= 0 up to rounding, within 2 ulp; exactly 0 below -100 (so for -inf) and NaN for NaN. Smaller weights would not change a sum,
 * but their products are denormal numbers, each of which takes a CPU a hundred cycles. */
INLINE float16 exp2_weight(float16 x) {
    const float16 magic = (float16)(12582912.0f + 127.0f); /* rounds to integer and adds the exponent's bias */
    const float16 r = x + magic, f = x - (r - magic);
    float16 p = (float16)(1.326472667e-3f);
    p = fma(p, f, (float16)(9.671512677e-3f));
    p = fma(p, f, (float16)(5.550733745e-2f));
    p = fma(p, f, (float16)(2.402224208e-1f));
    p = fma(p, f, (float16)(6.931469776e-1f));
    p = fma(p, f, (float16)(1.0f));
    return select(p * as_float16(as_int16(r) << 23), (float16)(0.0f), x < (float16)(-100.0f));
}
