#include "common.cl"
#include "moved.cl"
#include "walk.cl"

/* x within a border of the bits `value`: element i of an axis of `out` is i - before of x's. */

#ifdef KERNEL_rows
/* Rows along the last axis, contiguous in both; a group takes `per_group` of them. */
SINGLE void rows(IN_MOVED(x), OUT_MOVED(out), const long8 x_strides, const long8 out_strides, const long8 x_shape, const long8 out_shape, const long8 first, const int outer, const long rows_total, const long per_group, const int value) {
    SHIFT(x);
    SHIFT(out);
    long from[8], to[8], sizes[8], wide[8], before[8];
    vstore8(x_strides, 0, from);
    vstore8(out_strides, 0, to);
    vstore8(x_shape, 0, sizes);
    vstore8(out_shape, 0, wide);
    vstore8(first, 0, before);
    const long start = get_group_id(0) * per_group, end = min(rows_total, start + per_group);
    walk at;
    walk_start(&at, out_shape, outer, start);
    for (long r = start; r < end; r++, walk_next(&at)) {
        __global MOVED *row = out + walk_at(&at, to);
        long source = 0;
        bool inside = true;
        for (int i = 0; i < outer; i++) {
            const long index = at.index[i] - before[i];
            inside = inside && index >= 0 && index < sizes[i];
            source += index * from[i];
        }
        if (!inside) {
            fill_row(row, wide[outer], (MOVED)value);
            continue;
        }
        fill_row(row, before[outer], (MOVED)value);
        move_row(x + source, row + before[outer], sizes[outer]);
        fill_row(row + before[outer] + sizes[outer], wide[outer] - before[outer] - sizes[outer], (MOVED)value);
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per element of out. */
__kernel void scalar(IN_MOVED(x), OUT_MOVED(out), const long8 x_strides, const long8 out_strides, const long8 x_shape, const long8 out_shape, const long8 first, const int rank, const long count, const int value) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(x);
    SHIFT(out);
    long from[8], to[8], sizes[8], wide[8], before[8], rest = n, source = 0, target = 0;
    vstore8(x_strides, 0, from);
    vstore8(out_strides, 0, to);
    vstore8(x_shape, 0, sizes);
    vstore8(out_shape, 0, wide);
    vstore8(first, 0, before);
    bool inside = true;
    for (int i = rank - 1; i >= 0; i--) {
        const long above = rest / wide[i], index = rest - above * wide[i];
        rest = above;
        target += index * to[i];
        source += (index - before[i]) * from[i];
        inside = inside && index >= before[i] && index - before[i] < sizes[i];
    }
    MOVED v = (MOVED)value;
    if (inside) v = x[source];
    out[target] = v;
}
#endif
