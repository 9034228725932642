#include "common.cl"

/* exp(x * scale) normalised; with -DLOG its logarithm. Rows without a value to count: 0, with LOG -inf. */

#ifdef KERNEL_rows
#define RESULT(v) (v)
/* Vectors along the row; a group takes `per_group` rows. The row is read three times, from cache after the first. */
SINGLE void rows(IN(x), OUT(out), const long rows_total, const long length, const long per_group, const float scale) {
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group);
    const long whole = length / 16 * 16;
    const int rest = (int)(length - whole);
    for (long r = first; r < last; r++) {
        __global const float *in = x + r * length;
        __global float *to = out + r * length;
        const float16 tail = load_some(in + whole, rest, -INFINITY * sign(scale)) * scale;
        float16 m16 = tail;
        for (long i = 0; i < whole; i += 16) {
            const float16 v = vload16(0, in + i) * scale;
            /* NaN sticks: it compares false with everything. */
            m16 = select(m16, v, v > m16 || isnan(v));
        }
        const float m = any(isnan(m16)) ? NAN : max16(m16);
        float16 s16 = select((float16)(0.0f), exp_16(tail - m), tail > -INFINITY);
        for (long i = 0; i < whole; i += 16) {
            const float16 v = vload16(0, in + i) * scale;
            s16 += select((float16)(0.0f), exp_16(v - m), v > -INFINITY);
        }
        const bool empty = m == -INFINITY;
        const float s = isnan(m) ? NAN : sum16(s16);
#ifdef LOG
        const float shift = m + log(s);
#define VALUE(v) (empty ? (float16)(-INFINITY) : (v)-shift)
#else
        const float inverse = empty ? 0.0f : 1.0f / s;
#define VALUE(v) (empty ? (float16)(0.0f) : select((float16)(0.0f), exp_16((v)-m), (v) > -INFINITY) * inverse)
#endif
        for (long i = 0; i < whole; i += 16) vstore16(VALUE(vload16(0, in + i) * scale), 0, to + i);
        store_some(VALUE(tail), rest, to + whole);
    }
}
#endif

#ifdef KERNEL_scalar
#ifdef MASK
/* Where the element at a flat index of x stands in the broadcast mask. */
INLINE long mask_index(long flat, const long *shape, const long *strides, int rank) {
    long at = 0;
    for (int i = rank - 1; i >= 0; i--) {
        at += flat % shape[i] * strides[i];
        flat /= shape[i];
    }
    return at;
}
#define COUNTS(at) mask[mask_index(at, sizes, strides, rank)]
#else
#define COUNTS(at) true
#endif

/* One work-item per row, any axis. */
__kernel void scalar(IN(x), IN_BOOL(mask), OUT(out), const long8 mask_strides, const long8 shape, const int rank, const int axis, const long outer, const long length, const long inner, const float scale) {
    const long n = get_global_id(0);
    if (n >= outer * inner) return;
    SHIFT(x);
    SHIFT(out);
#ifdef MASK
    SHIFT(mask);
    long sizes[8], strides[8];
    vstore8(shape, 0, sizes);
    vstore8(mask_strides, 0, strides);
#endif
    const long first = n / inner * length * inner + n % inner;
    float m = -INFINITY, s = 0;
    for (long i = 0; i < length; i++) {
        const long at = first + i * inner;
        const float v = x[at] * scale;
        if (COUNTS(at) && !(v <= m)) m = v;
    }
    for (long i = 0; i < length; i++) {
        const long at = first + i * inner;
        if (COUNTS(at) && m != -INFINITY) s += exp(x[at] * scale - m);
    }
    for (long i = 0; i < length; i++) {
        const long at = first + i * inner;
        const bool counts = COUNTS(at) && m != -INFINITY;
#ifdef LOG
        out[at] = counts ? x[at] * scale - m - log(s) : -INFINITY;
#else
        out[at] = counts ? exp(x[at] * scale - m) / s : 0.0f;
#endif
    }
}
#endif
