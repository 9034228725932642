#include "common.cl"
#include "moved.cl"

/* out[i] = table[ids[i]], or zeros for an id outside 0..V-1. */

#ifdef KERNEL_rows
/* A group copies `per_group` rows. */
SINGLE void rows(IN_MOVED(table), IN_INT(ids), OUT_MOVED(out), const long count, const long V, const long E, const long row_stride, const long per_group) {
    SHIFT(table);
    SHIFT(ids);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(count, first + per_group);
    for (long i = first; i < last; i++) {
        const long id = ids[i];
        if (id >= 0 && id < V) move_row(table + id * row_stride, out + i * E, E);
        else fill_row(out + i * E, E, 0);
    }
}
#endif

#ifdef KERNEL_scalar
__kernel void scalar(IN_MOVED(table), IN_INT(ids), OUT_MOVED(out), const long count, const long V, const long E, const long4 strides) {
    const long i = get_global_id(0);
    if (i >= count * E) return;
    const int id = ids[ids_offset + i / E]; /* compared as int: made long, rusticl takes a negative one for a positive one */
    out[out_offset + i] = id >= 0 && id < V ? table[table_offset + id * strides.s0 + i % E * strides.s1] : 0;
}
#endif
