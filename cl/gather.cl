#include "common.cl"

/* out[o][k][i] = x[o][indices[k]][i], 0 where the index is outside 0..n-1; i < inner. */

#ifdef KERNEL_rows
/* A group takes `per_group` of the rows (o, k), which are numbered in out's order. */
SINGLE void rows(IN(x), IN_INT(indices), OUT(out), const long rows_total, const long index_count, const long n, const long inner, const long per_group) {
    SHIFT(x);
    SHIFT(indices);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group), whole = inner / 16 * 16;
    for (long r = first; r < last; r++) {
        const long o = r / index_count, id = indices[r - o * index_count];
        __global float *to = out + r * inner;
        if (id < 0 || id >= n) {
            for (long i = 0; i < inner; i++) to[i] = 0;
            continue;
        }
        __global const float *from = x + (o * n + id) * inner;
        for (long i = 0; i < whole; i += 16) vstore16(vload16(0, from + i), 0, to + i);
        for (long i = whole; i < inner; i++) to[i] = from[i];
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per element of out. */
__kernel void scalar(IN(x), IN_INT(indices), OUT(out), const long count, const long index_count, const long n, const long inner) {
    const long at = get_global_id(0);
    if (at >= count) return;
    SHIFT(x);
    SHIFT(indices);
    const long row = at / inner, o = row / index_count;
    const int id = indices[row - o * index_count]; /* compared as int: made long, rusticl takes a negative one for a positive one */
    out[out_offset + at] = id < 0 || id >= n ? 0.0f : x[(o * n + id) * inner + at - row * inner];
}
#endif
