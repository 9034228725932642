#include "common.cl"
#include "moved.cl"

/* out[o][k][i] = x[o][indices[k]][i], 0 where the index is outside 0..n-1; i < inner. */

#ifdef KERNEL_rows
/* A group takes `per_group` of the rows (o, k), which are numbered in out's order. */
SINGLE void rows(IN_MOVED(x), IN_INT(indices), OUT_MOVED(out), const long rows_total, const long index_count, const long n, const long inner, const long per_group) {
    SHIFT(x);
    SHIFT(indices);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group);
    for (long r = first; r < last; r++) {
        const long o = r / index_count, id = indices[r - o * index_count];
        __global MOVED *to = out + r * inner;
        if (id < 0 || id >= n) fill_row(to, inner, 0);
        else move_row(x + (o * n + id) * inner, to, inner);
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per element of out. */
__kernel void scalar(IN_MOVED(x), IN_INT(indices), OUT_MOVED(out), const long count, const long index_count, const long n, const long inner) {
    const long at = get_global_id(0);
    if (at >= count) return;
    SHIFT(x);
    SHIFT(indices);
    const long row = at / inner, o = row / index_count;
    const int id = indices[row - o * index_count]; /* compared as int: made long, rusticl takes a negative one for a positive one */
    out[out_offset + at] = id < 0 || id >= n ? 0 : x[(o * n + id) * inner + at - row * inner];
}
#endif
