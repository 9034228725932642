#include "common.cl"
#include "moved.cl"
#include "walk.cl"

/* Copies of 4-byte elements or, with -DHALF, 2-byte ones between tensors of one shape; src/ops/move.c says when each form serves. */

#ifdef KERNEL_rows
/* Rows contiguous in both tensors; a group takes `per_group` elements in the order of the walk. */
SINGLE void rows(IN_MOVED(from), OUT_MOVED(to), const long8 from_strides, const long8 to_strides, const long8 shape, const int outer, const long length, const long count, const long per_group) {
    SHIFT(from);
    SHIFT(to);
    long a[8], b[8], n = get_group_id(0) * per_group;
    const long end = min(count, n + per_group), first_row = n / length;
    walk w;
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    walk_start(&w, shape, outer, first_row);
    for (long start = n - first_row * length; n < end; start = 0) {
        const long some = min(length - start, end - n);
        move_row(from + walk_at(&w, a) + start, to + walk_at(&w, b) + start, some);
        n += some;
        walk_next(&w);
    }
}
#endif

#ifdef KERNEL_tiles
#define PUT(v, p)                                                                                                      \
    do {                                                                                                               \
        if (past) STREAM_LINE(v, p);                                                                                   \
        else store_line(v, p);                                                                                         \
    } while (0)

/* What lies `ahead` is fetched meanwhile. */
#ifdef HALF
/* Pairs of rows are woven into words, of even columns and of odd ones, which then are transposed as words. Both halves do not fit the
 * registers: unrolled, these loops are slower. */
INLINE void block(__global const ushort *in, long from_pitch, __global ushort *out, long to_pitch, bool past, long ahead) {
    float16 even[16], odd[16];
    for (int i = 0; i < 16; i++) {
        const uint16 a = load_line(in + 2 * i * from_pitch), b = load_line(in + (2 * i + 1) * from_pitch);
        PREFETCH(in + ahead + 2 * i * from_pitch);
        PREFETCH(in + ahead + (2 * i + 1) * from_pitch);
        even[i] = as_float16((a & 0xffffu) | b << 16);
        odd[i] = as_float16(a >> 16 | (b & 0xffff0000u));
    }
    transpose_16(even);
    for (int i = 0; i < 16; i++) PUT(as_uint16(even[i]), out + 2 * i * to_pitch);
    transpose_16(odd);
    for (int i = 0; i < 16; i++) PUT(as_uint16(odd[i]), out + (2 * i + 1) * to_pitch);
}
#else
INLINE void block(__global const uint *in, long from_pitch, __global uint *out, long to_pitch, bool past, long ahead) {
    float16 s[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        s[i] = as_float16(load_line(in + i * from_pitch));
        PREFETCH(in + ahead + i * from_pitch);
    }
    transpose_16(s);
#pragma unroll
    for (int i = 0; i < 16; i++) PUT(as_uint16(s[i]), out + i * to_pitch);
}
#endif

/* out[y][x] = in[x][y] in each plane; a group makes HIGH rows, WIDE wide: of each row on either side it takes several cache lines. */
#define HIGH 64
#define WIDE 64
/* Tiles one below the other that are made before those beside them: they go on in the same pages of the input, and those beside them in
 * the same pages of the output, while the translations of as many addresses last. */
#define BAND 8

SINGLE void tiles(IN_MOVED(from), OUT_MOVED(to), const long8 from_strides, const long8 to_strides, const long8 shape, const int planes_rank, const long height, const long width, const long from_pitch, const long to_pitch, const long across) {
    SHIFT(from);
    SHIFT(to);
    long a[8], b[8];
    const long strips = (height + HIGH - 1) / HIGH, plane = get_group_id(0) / (across * strips), place = get_group_id(0) - plane * across * strips;
    const long band = place / (BAND * across), deep = min((long)BAND, strips - band * BAND), within = place - band * BAND * across;
    const long side = within / deep, x0 = side * WIDE, y0 = (band * BAND + within - side * deep) * HIGH;
    const long columns = min((long)WIDE, width - x0), rows = min((long)HIGH, height - y0), whole_columns = columns / LINE * LINE, whole_rows = rows / LINE * LINE;
    walk w;
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    walk_start(&w, shape, planes_rank, plane);
    from += walk_at(&w, a) + x0 * from_pitch + y0;
    to += walk_at(&w, b) + y0 * to_pitch + x0;
    const bool past = STREAMS(to) && to_pitch % LINE == 0;
    for (long x = 0; x < whole_columns; x += LINE) {
        const long ahead = x + LINE < WIDE ? LINE * from_pitch : HIGH - x * from_pitch;
        for (long y = 0; y < whole_rows; y += LINE) block(from + x * from_pitch + y, from_pitch, to + y * to_pitch + x, to_pitch, past, ahead);
    }
    for (long y = 0; y < rows; y++)
        for (long x = y < whole_rows ? whole_columns : 0; x < columns; x++) to[y * to_pitch + x] = from[x * from_pitch + y];
}
#endif
