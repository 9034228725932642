#include "common.cl"
#include "stream.cl"
#include "walk.cl"

/* Copies of 4-byte elements between tensors of one shape; src/ops/move.c says when each form serves. */

#ifdef KERNEL_rows
/* Rows contiguous in both tensors; a group takes `per_group` elements in the order of the walk. */
SINGLE void rows(IN(from), OUT(to), const long8 from_strides, const long8 to_strides, const long8 shape, const int outer, const long length, const long count, const long per_group) {
    SHIFT(from);
    SHIFT(to);
    long a[8], b[8], n = get_group_id(0) * per_group;
    const long end = min(count, n + per_group), first_row = n / length;
    walk w;
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    walk_start(&w, shape, outer, first_row);
    for (long start = n - first_row * length; n < end; start = 0) {
        const long some = min(length - start, end - n), whole = some / 16 * 16;
        __global const float *in = from + walk_at(&w, a) + start;
        __global float *out = to + walk_at(&w, b) + start;
        if (STREAMS(out))
            for (long i = 0; i < whole; i += 16) STREAM_16(vload16(0, in + i), out + i);
        else
            for (long i = 0; i < whole; i += 16) vstore16(vload16(0, in + i), 0, out + i);
        for (long i = whole; i < some; i++) out[i] = in[i];
        n += some;
        walk_next(&w);
    }
}
#endif

#ifdef KERNEL_tiles
#define PUT(v, p)                                                                                                      \
    do {                                                                                                               \
        if (past) STREAM_16(v, p);                                                                                     \
        else vstore16(v, 0, p);                                                                                        \
    } while (0)

INLINE void block(__global const float *in, long from_pitch, __global float *out, long to_pitch, bool past) {
    float16 s[16];
    for (int i = 0; i < 16; i++) s[i] = vload16(0, in + i * from_pitch);
    transpose_16(s);
    for (int i = 0; i < 16; i++) PUT(s[i], out + i * to_pitch);
}

/* out[y][x] = in[x][y] in each plane; a group makes HIGH rows, WIDE wide: of each row on either side it takes several cache lines. */
#define HIGH 64
#define WIDE 64

SINGLE void tiles(IN(from), OUT(to), const long8 from_strides, const long8 to_strides, const long8 shape, const int planes_rank, const long height, const long width, const long from_pitch, const long to_pitch, const long across) {
    SHIFT(from);
    SHIFT(to);
    long a[8], b[8];
    const long down = get_group_id(0) / across, x0 = (get_group_id(0) - down * across) * WIDE;
    const long strips = (height + HIGH - 1) / HIGH, plane = down / strips, y0 = (down - plane * strips) * HIGH;
    const long columns = min((long)WIDE, width - x0), rows = min((long)HIGH, height - y0), whole_columns = columns / 16 * 16, whole_rows = rows / 16 * 16;
    walk w;
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    walk_start(&w, shape, planes_rank, plane);
    from += walk_at(&w, a) + x0 * from_pitch + y0;
    to += walk_at(&w, b) + y0 * to_pitch + x0;
    const bool past = STREAMS(to) && to_pitch % 16 == 0;
    for (long x = 0; x < whole_columns; x += 16)
        for (long y = 0; y < whole_rows; y += 16) block(from + x * from_pitch + y, from_pitch, to + y * to_pitch + x, to_pitch, past);
    for (long y = 0; y < rows; y++)
        for (long x = y < whole_rows ? whole_columns : 0; x < columns; x++) to[y * to_pitch + x] = from[x * from_pitch + y];
}
#endif
