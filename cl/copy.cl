#include "common.cl"

/* Copies between tensors of the same shape and any strides. One work-item per element. */
#if ELEMENT_BYTES == 4
typedef uint element;
#elif ELEMENT_BYTES == 2
typedef ushort element;
#else
typedef uchar element;
#endif

__kernel void copy_strided(__global const element *restrict from, const long from_offset, __global element *restrict to, const long to_offset, const long8 from_strides, const long8 to_strides, const long8 shape, const int rank, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    long sizes[8], a[8], b[8], rest = n, from_at = from_offset, to_at = to_offset;
    vstore8(shape, 0, sizes);
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    for (int i = rank - 1; i >= 0; i--) {
        const long above = rest / sizes[i], index = rest - above * sizes[i];
        rest = above;
        from_at += index * a[i];
        to_at += index * b[i];
    }
    to[to_at] = from[from_at];
}
