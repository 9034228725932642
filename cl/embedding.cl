#include "common.cl"

/* out[i] = table[ids[i]], or zeros for an id outside 0..V-1. */

#ifdef KERNEL_rows
/* Vectors along the row; a group copies `per_group` rows. */
SINGLE void rows(IN(table), IN_INT(ids), OUT(out), const long count, const long V, const long E, const long row_stride, const long per_group) {
    SHIFT(table);
    SHIFT(ids);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(count, first + per_group), whole = E / 16 * 16;
    for (long i = first; i < last; i++) {
        const long id = ids[i];
        const int known = id >= 0 && id < V;
        __global const float *from = table + (known ? id : 0) * row_stride;
        __global float *to = out + i * E;
        for (long e = 0; e < whole; e += 16) vstore16(known ? vload16(0, from + e) : (float16)(0.0f), 0, to + e);
        for (long e = whole; e < E; e++) to[e] = known ? from[e] : 0.0f;
    }
}
#endif

#ifdef KERNEL_scalar
__kernel void scalar(IN(table), IN_INT(ids), OUT(out), const long count, const long V, const long E, const long4 strides) {
    const long i = get_global_id(0);
    if (i >= count * E) return;
    const int id = ids[ids_offset + i / E]; /* compared as int: made long, rusticl takes a negative one for a positive one */
    out[out_offset + i] = id >= 0 && id < V ? table[table_offset + id * strides.s0 + i % E * strides.s1] : 0.0f;
}
#endif
