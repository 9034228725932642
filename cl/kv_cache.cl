#include "common.cl"

/* Eight sequences at a time, for their places come as two vectors of arguments: nothing is read back or uploaded. */

#ifdef KERNEL_append
/* Row l of sequence first + s goes to row starts[s] + l when l < counts[s]. sizes = first sequence, heads, rows, width. */
__kernel void append(IN(rows), const long4 row_strides, OUT(cache), const long4 cache_strides, const long4 sizes, const long8 starts, const long8 counts, const long items) {
    const long n = get_global_id(0);
    if (n >= items) return;
    SHIFT(rows);
    SHIFT(cache);
    const long d = n % sizes.w, l = n / sizes.w % sizes.z, h = n / sizes.w / sizes.z % sizes.y, s = n / sizes.w / sizes.z / sizes.y, b = sizes.x + s;
    long start[8], count[8];
    vstore8(starts, 0, start);
    vstore8(counts, 0, count);
    if (l < count[s]) cache[b * cache_strides.x + h * cache_strides.y + (start[s] + l) * cache_strides.z + d] = rows[b * row_strides.x + h * row_strides.y + l * row_strides.z + d * row_strides.w];
}
#endif

#ifdef KERNEL_set_lengths
__kernel void set_lengths(OUT_INT(lengths), const long first, const long8 values, const int count) {
    const int n = get_global_id(0);
    if (n >= count) return;
    SHIFT(lengths);
    long value[8];
    vstore8(values, 0, value);
    lengths[first + n] = (int)value[n];
}
#endif
