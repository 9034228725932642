#include "common.cl"
#include "stream.cl"
#include "walk.cl"

/* RESULT on scalars or vectors. x != x finds NaN in the operand that a comparison would drop; an operand may be out. */
#ifdef ADD
#define RESULT(x, y) ((x) + (y))
#elif defined(SUBTRACT)
#define RESULT(x, y) ((x) - (y))
#elif defined(MULTIPLY)
#define RESULT(x, y) ((x) * (y))
#elif defined(DIVIDE)
#define RESULT(x, y) ((x) / (y))
#elif defined(MAXIMUM)
#define RESULT(x, y) ((x) > (y) || (x) != (x) ? (x) : (y))
#else
#define RESULT(x, y) ((x) < (y) || (x) != (x) ? (x) : (y))
#endif

#ifdef KERNEL_rows
/* Both operands contiguous along the row, or one constant (step 0). A group takes `per_group` elements of the walk. */
#define ROW(x16, y16, x1, y1)                                                                                          \
    {                                                                                                                  \
        if (STREAMS(to))                                                                                               \
            for (long i = 0; i < whole; i += 16) {                                                                     \
                PREFETCH(x + i + FETCHED_AHEAD);                                                                       \
                PREFETCH(y + i + FETCHED_AHEAD);                                                                       \
                STREAM_16(RESULT(x16, y16), to + i);                                                                   \
            }                                                                                                          \
        else                                                                                                           \
            for (long i = 0; i < whole; i += 16) STORE_16(RESULT(x16, y16), to + i);                                   \
        for (long i = whole; i < some; i++) STORE_1(RESULT(x1, y1), to + i);                                           \
    }

SINGLE void rows(IN_PLACE_STORED(a), IN_PLACE_STORED(b), OUT_PLACE_STORED(out), const long8 a_strides, const long8 b_strides, const long8 out_strides, const long8 shape, const int outer, const int a_step, const int b_step, const long length, const long count, const long per_group) {
    SHIFT(a);
    SHIFT(b);
    SHIFT(out);
    long sa[8], sb[8], so[8], n = get_group_id(0) * per_group;
    const long end = min(count, n + per_group), first_row = n / length;
    walk w;
    vstore8(a_strides, 0, sa);
    vstore8(b_strides, 0, sb);
    vstore8(out_strides, 0, so);
    walk_start(&w, shape, outer, first_row);
    for (long start = n - first_row * length; n < end; start = 0) {
        const long some = min(length - start, end - n), whole = some / 16 * 16;
        __global const STORED *x = a + walk_at(&w, sa) + start * a_step, *y = b + walk_at(&w, sb) + start * b_step;
        __global STORED *to = out + walk_at(&w, so) + start;
        /* What an operand that does not move along the row holds. */
        const float x0 = LOAD_1(x), y0 = LOAD_1(y);
        const float16 xs = (float16)(x0), ys = (float16)(y0);
        if (a_step && b_step) ROW(LOAD_16(x + i), LOAD_16(y + i), LOAD_1(x + i), LOAD_1(y + i))
        else if (a_step) ROW(LOAD_16(x + i), ys, LOAD_1(x + i), y0)
        else if (b_step) ROW(xs, LOAD_16(y + i), x0, LOAD_1(y + i))
        else ROW(xs, ys, x0, y0)
        n += some;
        walk_next(&w);
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per element, any strides. */
__kernel void scalar(IN_PLACE_STORED(a), IN_PLACE_STORED(b), OUT_PLACE_STORED(out), const long8 a_strides, const long8 b_strides, const long8 out_strides, const long8 shape, const int rank, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    long sa[8], sb[8], so[8];
    walk w;
    vstore8(a_strides, 0, sa);
    vstore8(b_strides, 0, sb);
    vstore8(out_strides, 0, so);
    walk_start(&w, shape, rank, n);
    const float x = LOAD_1(a + a_offset + walk_at(&w, sa)), y = LOAD_1(b + b_offset + walk_at(&w, sb));
    STORE_1(RESULT(x, y), out + out_offset + walk_at(&w, so));
}
#endif
