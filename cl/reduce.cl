#include "common.cl"
#include "careful.cl"
#include "lanes.cl"
#include "walk.cl"

/* `out` of row r, part p over elements p * chunk .. of the row's `length`. One of -DMAXIMUM, -DMINIMUM, -DL2, or sums divided
 * by `divisor`. A minimum is the negated maximum of the negated elements. */
#ifdef MINIMUM
#define SIGN(v) (-(v))
#else
#define SIGN(v) (v)
#endif
#if defined(MAXIMUM) || defined(MINIMUM)
#define EXTREME
#define NOTHING SIGN(-INFINITY)
#else
#define NOTHING 0.0f
#endif

/* Squares that leave the range of f32 are summed again with all elements brought nearer to 1. */
#define TOO_LARGE INFINITY
#define TOO_SMALL 0x1p-80f
#define SHRINK 0x1p-70f
#define ENLARGE 0x1p100f

#ifdef KERNEL_rows
#define BLOCK 16384

#ifdef EXTREME
INLINE float16 merge(float16 a, float16 v) {
    return select(a, v, v > a || isnan(v)); /* NaN sticks: it compares false with everything */
}

INLINE float over(__global const STORED *in, long length, float factor) {
    const long whole = length / 64 * 64;
    float16 m[4];
    UNROLL for (int j = 0; j < 4; j++) m[j] = (float16)(-INFINITY);
    for (long i = 0; i < whole; i += 64)
        UNROLL for (int j = 0; j < 4; j++) m[j] = merge(m[j], SIGN(LOAD_16(in + i + 16 * j)));
    for (long i = whole; i < length; i += 16) m[0] = merge(m[0], SIGN(length - i < 16 ? load_some_stored(in + i, (int)(length - i), NOTHING) : LOAD_16(in + i)));
    const float16 all16 = merge(merge(m[0], m[1]), merge(m[2], m[3]));
    return SIGN(any(isnan(all16)) ? NAN : max16(all16));
}
#else
#ifdef L2
#define ADD(s, v) fma((v) * factor, (v) * factor, s)
#else
#define ADD(s, v) ((s) + (v))
#endif
INLINE float over(__global const STORED *in, long length, float factor) {
    careful total = { 0, 0 };
    for (long start = 0; start < length; start += BLOCK) {
        const long end = min(length, start + BLOCK), whole = start + (end - start) / 64 * 64;
        float16 s[4];
        UNROLL for (int j = 0; j < 4; j++) s[j] = (float16)(0.0f);
        for (long i = start; i < whole; i += 64)
            UNROLL for (int j = 0; j < 4; j++) s[j] = ADD(s[j], LOAD_16(in + i + 16 * j));
        for (long i = whole; i < end; i += 16) s[0] = ADD(s[0], (end - i < 16 ? load_some_stored(in + i, (int)(end - i), 0) : LOAD_16(in + i)));
        careful_add(&total, sum16((s[0] + s[1]) + (s[2] + s[3])));
    }
    return careful_sum(&total);
}
#endif

/* Rows that lie one after the other; a group takes `per_group` parts. */
SINGLE void rows(IN_STORED(x), OUT(out), const long parts_total, const long parts, const long chunk, const long length, const long per_group, const float divisor) {
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(parts_total, first + per_group);
    for (long r = first; r < last; r++) {
        const long start = r % parts * chunk, n = min(chunk, length - start);
        __global const STORED *in = x + r / parts * length + start;
        float result = over(in, n, 1);
#ifdef L2
        if (result == TOO_LARGE) result = sqrt(over(in, n, SHRINK)) / SHRINK;
        else if (result < TOO_SMALL) result = sqrt(over(in, n, ENLARGE)) / ENLARGE;
        else result = sqrt(result);
#elif !defined(EXTREME)
        result /= divisor;
#endif
        out[r] = result;
    }
}
#endif

#ifdef KERNEL_gpu_row
/* The careful sum over the lanes of a row: `shared` has two floats per item. Not by sub_group_reduce_add, which drops what large sums
 * of opposite signs leave. */
INLINE float lanes_careful(const careful *own, __local float *shared, uint lanes) {
    const uint t = get_local_id(0), lane = lane_of(lanes);
    __local float *rest = shared + get_local_size(0);
    shared[t] = own->sum;
    rest[t] = own->rest;
    for (uint width = lanes / 2; width > 0; width /= 2) {
        LANES_BARRIER;
        if (lane >= width) continue;
        careful both = { shared[t], rest[t] + rest[t + width] };
        careful_add(&both, shared[t + width]);
        shared[t] = both.sum;
        rest[t] = both.rest;
    }
    LANES_BARRIER;
    const careful total = { shared[t - lane], rest[t - lane] };
    LANES_BARRIER;
    return careful_sum(&total);
}

#ifdef EXTREME
INLINE float over(__global const STORED *in, int n, int lane, int lanes, __local float *shared) {
    float m = -INFINITY;
    for (int c = lane; c < n; c += lanes) m = JOIN_LARGEST(m, SIGN(LOAD_1(in + c)));
    return SIGN(lanes_largest(m, shared, lanes));
}
#elif defined(L2)
/* Three sums in one reading, for squares that leave the range of f32: rows of one group cannot go different ways. */
INLINE float over(__global const STORED *in, int n, int lane, int lanes, __local float *shared) {
    careful total = { 0, 0 };
    float large = 0, small = 0;
    for (int c = lane; c < n; c += lanes) {
        const float v = LOAD_1(in + c), shrunk = v * SHRINK, enlarged = v * ENLARGE;
        careful_add(&total, v * v);
        large = fma(shrunk, shrunk, large);
        small = fma(enlarged, enlarged, small);
    }
    const float sum = lanes_careful(&total, shared, lanes), large_sum = lanes_sum(large, shared, lanes), small_sum = lanes_sum(small, shared, lanes);
    if (sum == TOO_LARGE) return sqrt(large_sum) / SHRINK;
    return sum < TOO_SMALL ? sqrt(small_sum) / ENLARGE : sqrt(sum);
}
#else
INLINE float over(__global const STORED *in, int n, int lane, int lanes, __local float *shared) {
    careful total = { 0, 0 };
    for (int c = lane; c < n; c += lanes) careful_add(&total, LOAD_1(in + c));
    return lanes_careful(&total, shared, lanes);
}
#endif

/* `lanes` items to a part. */
__kernel void gpu_row(IN_STORED(x), OUT(out), const long parts_total, const long parts, const long chunk, const long length, const int lanes, const float divisor, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), r = min(asked, parts_total - 1), row = (long)((ulong)r / (ulong)parts), start = (r - row * parts) * chunk;
    const int n = asked < parts_total ? (int)min(chunk, length - start) : 0;
    const float result = over(x + x_offset + row * length + start, n, lane, lanes, shared);
    if (lane > 0 || asked >= parts_total) return;
#if defined(EXTREME) || defined(L2)
    out[out_offset + r] = result;
#else
    out[out_offset + r] = result / divisor;
#endif
}
#endif

#ifdef KERNEL_scalar
INLINE float over(__global const STORED *x, const long *strides, long8 shape, int rank, long start, long n, float factor) {
    walk at;
    walk_start(&at, shape, rank, start);
    float m = -INFINITY;
    careful total = { 0, 0 };
    for (long i = 0; i < n; i++, walk_next(&at)) {
        const float v = LOAD_1(x + walk_at(&at, strides)) * factor;
#ifdef EXTREME
        if (SIGN(v) > m || isnan(v)) m = SIGN(v);
#elif defined(L2)
        careful_add(&total, v * v);
#else
        careful_add(&total, v);
#endif
    }
#ifdef EXTREME
    return SIGN(m);
#else
    return careful_sum(&total);
#endif
}

/* One work-item per part; kept and reduced axes with any strides. */
__kernel void scalar(IN_STORED(x), OUT(out), const long8 kept_shape, const long8 kept_strides, const int kept_rank, const long8 shape, const long8 x_strides, const int rank, const long parts_total, const long parts, const long chunk, const long length, const float divisor) {
    const long r = get_global_id(0);
    if (r >= parts_total) return;
    SHIFT(x);
    SHIFT(out);
    long strides[8];
    walk row;
    vstore8(kept_strides, 0, strides);
    const long kept = r / parts, start = (r - kept * parts) * chunk, n = min(chunk, length - start);
    walk_start(&row, kept_shape, kept_rank, kept);
    __global const STORED *in = x + walk_at(&row, strides);
    vstore8(x_strides, 0, strides);
    float result = over(in, strides, shape, rank, start, n, 1);
#ifdef L2
    if (result == TOO_LARGE) result = sqrt(over(in, strides, shape, rank, start, n, SHRINK)) / SHRINK;
    else if (result < TOO_SMALL) result = sqrt(over(in, strides, shape, rank, start, n, ENLARGE)) / ENLARGE;
    else result = sqrt(result);
#elif !defined(EXTREME)
    result /= divisor;
#endif
    out[r] = result;
}
#endif
