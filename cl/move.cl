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
/* Interleaves the rows of a 16 x 16 block with those 8 further; four times that is the transpose. */
#define ZIP(to, from)                                                                                                                  \
    for (int i = 0; i < 8; i++) {                                                                                                     \
        to[2 * i] = shuffle2(from[i], from[i + 8], (uint16)(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));                 \
        to[2 * i + 1] = shuffle2(from[i], from[i + 8], (uint16)(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));       \
    }

INLINE void block(__global const float *in, long from_pitch, __global float *out, long to_pitch) {
    float16 s[16], t[16];
    for (int i = 0; i < 16; i++) s[i] = vload16(0, in + i * from_pitch);
    ZIP(t, s)
    ZIP(s, t)
    ZIP(t, s)
    ZIP(s, t)
    for (int i = 0; i < 16; i++) vstore16(s[i], 0, out + i * to_pitch);
}

/* out[y][x] = in[x][y] in each plane; a group makes 16 rows, up to 512 wide. */
#define HIGH 16
#define WIDE 512

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
    for (long y = 0; y < whole_rows; y += 16)
        for (long x = 0; x < whole_columns; x += 16) block(from + x * from_pitch + y, from_pitch, to + y * to_pitch + x, to_pitch);
    for (long y = 0; y < rows; y++)
        for (long x = y < whole_rows ? whole_columns : 0; x < columns; x++) to[y * to_pitch + x] = from[x * from_pitch + y];
}
#endif
