#include "common.cl"
#include "lanes.cl"
#include "stream.cl"

/* exp(x * scale) normalised; with -DLOG its logarithm. Rows without a value to count: 0, with LOG -inf. */

/* From the row's largest. In units of log2 a row of large numbers could overflow. */
#define DISTANCE(v) fma((v), (float16)(scale), (float16)(-largest))
#define POWER(v) power(DISTANCE(v))
#define EXPONENT(v) exponent(DISTANCE(v))

/* Exponents of 0 from -127 on, so that -inf needs no care; neither does its distance from a largest of -inf (blocks before the first
 * number), for VMAX takes its second of a NaN. */
INLINE float16 exponent(float16 distance) {
    return VMAX(distance * LOG2E, (float16)(-127.0f));
}

INLINE float16 power(float16 distance) {
    return exp2_inside_16(exponent(distance));
}

#ifdef KERNEL_short_rows
/* Folds a and b in halves, quarters, ... of their lanes: what is joined of 16 vectors by four such steps has a lane for each. */
#define HALVES(op, a, b) op((float16)((a).lo, (b).lo), (float16)((a).hi, (b).hi))
#define QUARTERS(op, a, b) op((float16)((a).s0123, (a).s89ab, (b).s0123, (b).s89ab), (float16)((a).s4567, (a).scdef, (b).s4567, (b).scdef))
#define PAIRS(op, a, b) \
    op((float16)((a).s01, (b).s01, (a).s45, (b).s45, (a).s89, (b).s89, (a).scd, (b).scd), (float16)((a).s23, (b).s23, (a).s67, (b).s67, (a).sab, (b).sab, (a).sef, (b).sef))
#define SINGLES(op, a, b) \
    op((float16)((a).s02, (b).s02, (a).s46, (b).s46, (a).s8a, (b).s8a, (a).sce, (b).sce), (float16)((a).s13, (b).s13, (a).s57, (b).s57, (a).s9b, (b).s9b, (a).sdf, (b).sdf))
/* Lane i: all lanes of parts[i] joined. */
#define JOIN_LANES(op) \
    float16 quarters[4]; \
    _Pragma("unroll") for (int i = 0; i < 4; i++) { \
        const float16 upper = HALVES(op, parts[i], parts[i + 4]), lower = HALVES(op, parts[i + 8], parts[i + 12]); \
        quarters[i] = QUARTERS(op, upper, lower); \
    } \
    const float16 even = PAIRS(op, quarters[0], quarters[1]), odd = PAIRS(op, quarters[2], quarters[3]); \
    return SINGLES(op, even, odd)

/* A NaN of either is kept. */
INLINE float16 larger(float16 a, float16 b) {
    return select(VMAX(a, b), a, a != a);
}

INLINE float16 added(float16 a, float16 b) {
    return a + b;
}

INLINE float16 join_largest(__local const float16 *parts) {
    JOIN_LANES(larger);
}

INLINE float16 join_sums(__local const float16 *parts) {
    JOIN_LANES(added);
}

#define EACH_VECTOR _Pragma("unroll") for (int j = 0; j < VECTORS; j++)
#define EACH_OF_16 _Pragma("unroll 1") for (int i = 0; i < 16; i++)
/* The last vector ends with the row, and begins within the one before it. */
#define PLACE(j) ((j) < VECTORS - 1 ? 16 * (j) : length - 16)

/* Stores a row of exponentials times the factor that makes them a softmax. */
INLINE void store_row(__local const float16 *held, float16 factor, long length, __global STORED *to) {
    if (length == 16 * VECTORS && STREAMS(to)) EACH_VECTOR STREAM_16(held[j] * factor, to + 16 * j);
    else EACH_VECTOR STORE_16(held[j] * factor, to + PLACE(j));
}

/* Rows of VECTORS vectors, 16 rows together (the last ones may be done twice), so that their sums and largest are joined by vectors. Each
 * row is stored when the next 16 come to its place: among their exponentials, as stores in a row would wait for memory. */
SINGLE void short_rows(IN_STORED(x), OUT_STORED(out), const long rows_total, const long length, const long per_group, const float scale) {
    __local float16 held[16 * VECTORS], parts[16], rows[1], factors[1];
    __local const float *of_row = (__local const float *)rows, *factor = (__local const float *)factors;
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group);
    if (first >= last) return;
    const int twice = (int)(16 * VECTORS - length); /* lanes of the last vector that are the one's before it */
    const int16 once = lanes16() >= (int16)(twice);
    for (long r = first; r < last; r += 16) {
        EACH_OF_16 {
            __global const STORED *in = x + min(r + i, last - 1) * length;
            float16 most = (float16)(-INFINITY);
            int16 odd = (int16)(0);
            EACH_VECTOR {
                const float16 v = LOAD_16(in + PLACE(j)) * scale;
                PREFETCH(in + 16 * length + PLACE(j));
                odd |= v != v;
                most = VMAX(most, v);
            }
            parts[i] = select(most, (float16)(NAN), odd);
        }
        const float16 top = join_largest(parts);
        rows[0] = select(top, (float16)(0.0f), top == (float16)(-INFINITY));
        EACH_OF_16 {
            __global const STORED *in = x + min(r + i, last - 1) * length;
            const float largest = of_row[i];
            float16 sum = (float16)(0.0f);
            if (r > first) store_row(held + i * VECTORS, (float16)(factor[i]), length, out + (r - 16 + i) * length);
            EACH_VECTOR {
                const float16 e = POWER(LOAD_16(in + PLACE(j)));
                held[i * VECTORS + j] = e;
                sum += j < VECTORS - 1 ? e : select((float16)(0.0f), e, once);
            }
            parts[i] = sum;
        }
        const float16 sum = join_sums(parts);
        factors[0] = select(select((float16)(NAN), 1.0f / sum, top < (float16)(INFINITY)), (float16)(0.0f), top == (float16)(-INFINITY));
    }
    const long rest = first + (last - 1 - first) / 16 * 16;
    EACH_OF_16 store_row(held + i * VECTORS, (float16)(factor[i]), length, out + min(rest + i, last - 1) * length);
}
#endif

#ifdef KERNEL_rows
#define EACH_ROW _Pragma("unroll 1") for (int i = 0; i < ROWS; i++)
/* Elements of a row that are taken at a time: they and their exponentials stay in the level-1 cache. */
#define BLOCK 2048
/* Vectors whose exponentials are taken together, and sums of them. */
#ifdef FEW_REGISTERS
#define CHAINS 2
#define SUMS 2
#else
#define CHAINS 1
#define SUMS 4
#endif

INLINE bool any_of(int16 a) {
    const int8 b = a.lo | a.hi;
    const long2 c = as_long2(b.lo | b.hi);
    return (c.x | c.y) != 0;
}

/* The largest of x * scale; NaN if there is one. */
INLINE float largest_of(__global const STORED *in, long whole, float16 tail, float scale) {
    const long blocks = whole / 64 * 64;
    float16 m[4];
    int16 odd = isnan(tail);
#pragma unroll
    for (int j = 0; j < 4; j++) m[j] = tail * scale;
    for (long i = 0; i < blocks; i += 64) {
#pragma unroll
        for (int j = 0; j < 4; j += 2) {
            const float16 v = LOAD_16(in + i + 16 * j) * scale, w = LOAD_16(in + i + 16 * j + 16) * scale;
            odd |= (v != v) | (w != w); /* one comparison of the two */
            m[j] = VMAX(v, m[j]);
            m[j + 1] = VMAX(w, m[j + 1]);
        }
    }
    for (long i = blocks; i < whole; i += 16) {
        const float16 v = LOAD_16(in + i) * scale;
        odd |= v != v;
        m[0] = VMAX(v, m[0]);
    }
    return any_of(odd) ? NAN : max16(VMAX(VMAX(m[0], m[1]), VMAX(m[2], m[3])));
}

/* The sum of exponentials, which go to `held` where there is one; what comes `ahead` is fetched meanwhile. */
INLINE float sum_of(__global const STORED *in, long whole, float16 tail, float scale, float largest, long ahead, __local float16 *held) {
    const long blocks = whole / 64 * 64;
    float16 s[SUMS];
    s[0] = POWER(tail);
#pragma unroll
    for (int j = 1; j < SUMS; j++) s[j] = (float16)(0.0f);
    for (long i = 0; i < blocks; i += 64) {
#pragma unroll
        for (int j = 0; j < 4; j += CHAINS) {
            float16 e[CHAINS];
            EACH_OF(CHAINS) e[u] = EXPONENT(LOAD_16(in + i + 16 * (j + u)));
            EXP2_INSIDE(e, CHAINS);
            EACH_OF(CHAINS) {
                if ((j + u) * sizeof(STORED) % 4 == 0) PREFETCH(in + ahead + i + 16 * (j + u));
                s[(j + u) % SUMS] += e[u];
#ifdef HOLD
                held[i / 16 + j + u] = e[u];
#endif
            }
        }
    }
    for (long i = blocks; i < whole; i += 16) {
        const float16 e = POWER(LOAD_16(in + i));
        s[0] += e;
#ifdef HOLD
        held[i / 16] = e;
#endif
    }
#pragma unroll
    for (int j = SUMS / 2; j; j /= 2) EACH_OF(j) s[u] += s[u + j];
    return sum16(s[0]);
}

#ifdef LOG
#define EMPTY -INFINITY
#define RESULT(v, i) (DISTANCE(v) - log_sum)
#else
#define EMPTY 0.0f
#ifdef HOLD
#define RESULT(v, i) (held[(i) / 16] * factor)
#else
#define RESULT(v, i) (POWER(v) * inverse)
#endif
#endif

INLINE void write_row(__global const STORED *in, __global STORED *to, long whole, int rest, float16 tail, float scale, float largest, float sum, __local const float16 *held, __local const float *bases) {
#ifdef LOG
    const float16 log_sum = (float16)(log(sum)), last = DISTANCE(tail) - log_sum;
#else
    const float16 inverse = (float16)(1.0f / sum), last = POWER(tail) * inverse;
#endif
    for (long begin = 0; begin < whole; begin += BLOCK) {
        const long end = min(whole, begin + BLOCK);
#ifdef HOLD
        const float base = bases[begin / BLOCK];
        const float16 factor = base == largest ? inverse : power((float16)(base - largest)) * inverse;
#endif
        if (STREAMS(to))
            for (long i = begin; i < end; i += 16) STREAM_16(RESULT(LOAD_16(in + i), i), to + i);
        else
            for (long i = begin; i < end; i += 16) STORE_16(RESULT(LOAD_16(in + i), i), to + i);
    }
    if (rest) store_some_stored(last, rest, to + whole);
}

INLINE void fill_row(__global STORED *to, long length, float value) {
    for (long i = 0; i < length; i++) STORE_1(value, to + i);
}

/* What is left to do of a row whose sum is known. */
typedef struct {
    __global const STORED *in;
    __global STORED *to;
    float16 tail;
    float largest, sum;
} result;

INLINE void finish_row(result r, long length, long whole, int rest, float scale, __local const float16 *held, __local const float *bases) {
    if (isfinite(r.largest)) write_row(r.in, r.to, whole, rest, r.tail, scale, r.largest, r.sum, held, bases);
    else fill_row(r.to, length, r.largest == -INFINITY ? EMPTY : NAN);
}

/* Vectors along the row; a group takes `per_group` rows, ROWS of them at a time (which is for rows of one block), so that the latency
 * of one's reductions hides behind the others (the last ones may be done twice). A block is read from memory for its maximum, then
 * from cache. With -DHOLD its exponentials, relative to the largest so far, which goes to `bases`, are kept in `held`, `stride`
 * vectors a row; else they are taken twice. With -DBEHIND=1 rows that are held are each written when the next comes to its place,
 * among the exponentials: the stores of all together would wait for memory. */
SINGLE void rows(IN_STORED(x), OUT_STORED(out), const long rows_total, const long length, const long per_group, const float scale, const long stride, __local float16 *held, __local float *bases) {
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group), whole = length / 16 * 16;
    const long ahead = min(ROWS * length, (long)BLOCK);
    const int rest = (int)(length - whole);
    const float nothing = -INFINITY * sign(scale);
    result before[ROWS];
    for (long r = first; r < last; r += ROWS) {
        result now[ROWS];
        float earlier[ROWS];
        EACH_ROW {
            const long row = min(r + i, last - 1);
            now[i].in = x + row * length;
            now[i].to = out + row * length;
            now[i].tail = rest ? load_some_stored(now[i].in + whole, rest, nothing) : (float16)(nothing);
            now[i].largest = -INFINITY;
        }
        for (long begin = 0; begin == 0 || begin < whole; begin += BLOCK) {
            const long n = min(whole - begin, (long)BLOCK);
            EACH_ROW {
                const float most = largest_of(now[i].in + begin, n, begin ? (float16)(nothing) : now[i].tail, scale);
                earlier[i] = now[i].largest;
                now[i].largest = earlier[i] >= most || isnan(earlier[i]) ? earlier[i] : most;
            }
            EACH_ROW {
                const float largest = now[i].largest, kept = begin ? now[i].sum * power((float16)(earlier[i] - largest)).x : 0.0f;
                if (BEHIND && r > first) finish_row(before[i], length, whole, rest, scale, held + i * stride, bases + i);
                now[i].sum = kept + sum_of(now[i].in + begin, n, begin ? (float16)(nothing) : now[i].tail, scale, largest, ahead, held + i * stride + begin / 16);
#ifdef HOLD
                bases[i + begin / BLOCK] = largest;
#endif
            }
        }
        EACH_ROW {
            if (BEHIND) before[i] = now[i];
            else finish_row(now[i], length, whole, rest, scale, held + i * stride, bases + i);
        }
    }
    if (BEHIND && first < last)
        EACH_ROW finish_row(before[i], length, whole, rest, scale, held + i * stride, bases + i);
}
#endif

#ifdef MASK
/* Where the element at a flat index of x stands in the broadcast mask. */
INLINE long mask_index(ulong flat, const long *shape, const long *strides, int rank) {
    long at = 0;
    for (int i = rank - 1; i >= 0; i--) {
        const ulong above = flat / (ulong)shape[i];
        at += (long)(flat - above * (ulong)shape[i]) * strides[i];
        flat = above;
    }
    return at;
}
#endif

#ifdef KERNEL_gpu_row
#ifdef MASK
#define COUNTS(c) row_mask[(c) * step]
#else
#define COUNTS(c) true
#endif
#define AT_ONCE 4 /* elements of a row that an item reads before it uses them */

/* What does not count is -inf, so that nothing of it is left. */
#define ELEMENT(c) ((c) < n && COUNTS(c) ? LOAD_1(in + (c)) * scale : -INFINITY)
#ifdef LOG
#define RESULT(v, c) (s == 0 || !COUNTS(c) ? -INFINITY : (v) - m - log_sum)
#else
#define RESULT(v, c) (COUNTS(c) ? (v) * inverse : 0.0f)
#endif

/* Rows along the last axis. An element is read once where the row can be held, else for its share of the sum and again for its
 * result. -inf and an empty row have a sum of 0; NaN and +inf make it NaN, and with it the row. */
__kernel void gpu_row(IN_STORED(x), IN_BOOL(mask), OUT_STORED(out), const long8 mask_strides, const long8 shape, const int rank, const int axis, const long rows_total, const int length, const int lanes, const float scale, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, rows_total - 1);
    const int n = asked < rows_total ? length : 0;
    __global const STORED *in = x + x_offset + row * length;
    __global STORED *to = out + out_offset + row * length;
#ifdef MASK
    long sizes[8], strides[8];
    vstore8(shape, 0, sizes);
    vstore8(mask_strides, 0, strides);
    const long step = strides[axis];
    __global const uchar *row_mask = mask + mask_offset + mask_index((ulong)(row * length), sizes, strides, rank);
#endif
    float m = -INFINITY, s = 0;
#ifdef HELD
    float v[HELD];
    UNROLL for (int i = 0; i < HELD; i++) {
        v[i] = ELEMENT(lane + i * lanes);
        m = fmax(m, v[i]);
    }
    m = lanes_max(m, shared, lanes);
    const float base = m == -INFINITY ? 0.0f : m;
    UNROLL for (int i = 0; i < HELD; i++) {
        const float e = exp(v[i] - base);
        s += e;
#ifndef LOG
        v[i] = e;
#endif
    }
#else
    for (int c = lane; c < n; c += AT_ONCE * lanes) {
        float v[AT_ONCE], higher = m, sum = 0;
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            v[i] = ELEMENT(c + i * lanes);
            higher = fmax(higher, v[i]);
        }
        const float near = higher == -INFINITY ? 0.0f : higher;
        UNROLL for (int i = 0; i < AT_ONCE; i++) sum += exp(v[i] - near);
        s = s * exp(m - near) + sum;
        m = higher;
    }
    const float own = m;
    m = lanes_max(m, shared, lanes);
    const float base = m == -INFINITY ? 0.0f : m;
    s *= exp(own - base);
#endif
    s = lanes_sum(s, shared, lanes);
#ifdef LOG
    const float log_sum = log(s);
#else
    const float inverse = s == 0 ? 0.0f : 1.0f / s;
#endif
#ifdef HELD
    UNROLL for (int i = 0; i < HELD; i++) {
        const int c = lane + i * lanes;
        if (c < n) STORE_1(RESULT(v[i], c), to + c);
    }
#else
    for (int c = lane; c < n; c += lanes) {
        const float v = ELEMENT(c);
#ifdef LOG
        STORE_1(RESULT(v, c), to + c);
#else
        STORE_1(RESULT(exp(v - base), c), to + c);
#endif
    }
#endif
}
#endif

#ifdef KERNEL_scalar
#ifdef MASK
#define COUNTS(at) mask[mask_index((ulong)(at), sizes, strides, rank)]
#else
#define COUNTS(at) true
#endif

/* One work-item per row, any axis. */
__kernel void scalar(IN_STORED(x), IN_BOOL(mask), OUT_STORED(out), const long8 mask_strides, const long8 shape, const int rank, const int axis, const long outer, const long length, const long inner, const float scale) {
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
        const float v = LOAD_1(x + at) * scale;
        if (COUNTS(at) && (v > m || isnan(v))) m = v; /* NaN sticks */
    }
    for (long i = 0; i < length; i++) {
        const long at = first + i * inner;
        if (COUNTS(at) && m != -INFINITY) s += exp(LOAD_1(x + at) * scale - m);
    }
    for (long i = 0; i < length; i++) {
        const long at = first + i * inner;
        const bool counts = COUNTS(at) && m != -INFINITY;
#ifdef LOG
        STORE_1(counts ? LOAD_1(x + at) * scale - m - log(s) : -INFINITY, out + at);
#else
        STORE_1(counts ? exp(LOAD_1(x + at) * scale - m) / s : 0.0f, out + at);
#endif
    }
}
#endif
