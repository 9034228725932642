#include "common.cl"
#include "lanes.cl"

/* max_pool2d and avg_pool2d on GPUs: what the windows of a tile of outputs cover is read once, neighbours by neighbouring items, into
 * local memory. -DMAX or -DAVG; -DINDEX: the maximum's place is asked for. `sizes`, `window`: as in pool2d.cl.
 *
 * A group has WIDE x (TALL * down) outputs in each of BESIDE planes. */
#define BESIDE (GROUP / (WIDE * TALL))
#define AT_ONCE 4 /* elements that an item reads before it puts them away */

/* The first and one past the last of a window's taps along an axis that lie before `end`, of which the first is at `first`. */
INLINE int taps_from(int first, int apart) {
    return first >= 0 ? 0 : (int)((uint)(-first + apart - 1) / (uint)apart);
}

INLINE int taps_to(int first, int apart, int taps, int end) {
    return first >= end ? 0 : min(taps, (int)((uint)(end - first + apart - 1) / (uint)apart));
}

/* `rows` of `pitch` elements from (x0, y0) on; those outside the plane stay as they are, for no tap is taken there. */
INLINE void fill_tile(__local float *tile, __global const STORED *plane, int rows, int pitch, int x0, int y0, int column, int line, int8 sizes) {
    for (int i = column; i < pitch; i += WIDE) {
        const int x = x0 + i;
        for (int j = line; j < rows && x >= 0 && x < sizes.s1; j += AT_ONCE * TALL) {
            float v[AT_ONCE];
            UNROLL for (int k = 0; k < AT_ONCE; k++) {
                const int row = j + k * TALL, y = y0 + row;
                v[k] = row < rows && y >= 0 && y < sizes.s0 ? LOAD_1(plane + y * sizes.s1 + x) : 0.0f;
            }
            UNROLL for (int k = 0; k < AT_ONCE; k++)
                if (j + k * TALL < rows) tile[(j + k * TALL) * pitch + i] = v[k];
        }
    }
}

#ifdef KERNEL_gpu
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void gpu(IN_STORED(x), OUT_STORED(out), OUT_INT(indices), const long8 sizes_long, const long8 window_long, const long planes, const int down, const int rows, const int pitch, const int tiles_across, const int tiles_down, __local float *shared) {
    const int8 sizes = convert_int8(sizes_long), window = convert_int8(window_long);
    const uint t = (uint)get_local_id(0), strip = (uint)get_group_id(0) / (uint)tiles_across, block = strip / (uint)tiles_down;
    const int column = (int)(t % WIDE), line = (int)(t / WIDE % TALL), own = (int)(t / (WIDE * TALL));
    const int left = (int)((uint)get_group_id(0) - strip * (uint)tiles_across) * WIDE, top = (int)(strip - block * (uint)tiles_down) * TALL * down;
    const int x0 = left * window.s1 - window.s5, y0 = top * window.s0 - window.s4, out_x = left + column, first_x = x0 + column * window.s1;
    const long plane = (long)block * BESIDE + own;
    const bool there = plane < planes && out_x < sizes.s3;
    __local float *tile = shared + own * rows * pitch;
    if (plane < planes) fill_tile(tile, x + x_offset + plane * sizes.s0 * sizes.s1, rows, pitch, x0, y0, column, line, sizes);
    LANES_BARRIER;
    const int from_x = taps_from(first_x, window.s3), to_x = taps_to(first_x, window.s3, sizes.s5, sizes.s1);
    for (int d = 0; d < down; d++) {
        const int row = d * TALL + line, out_y = top + row, first_y = y0 + row * window.s0;
        const int from_y = taps_from(first_y, window.s2), to_y = taps_to(first_y, window.s2, sizes.s4, sizes.s0);
        const long at = (plane * sizes.s2 + out_y) * sizes.s3 + out_x;
        __local const float *p = tile + row * window.s0 * pitch + column * window.s1;
        if (!there || out_y >= sizes.s2) continue;
#ifdef AVG
        float total = 0;
        for (int i = from_y; i < to_y; i++) {
            float sum = 0;
            for (int j = from_x; j < to_x; j++) sum += p[i * window.s2 * pitch + j * window.s3];
            total += sum;
        }
        const int high = sizes.s6 ? taps_to(first_y, window.s2, sizes.s4, sizes.s0 + window.s6) : to_y - from_y;
        const int wide = sizes.s6 ? taps_to(first_x, window.s3, sizes.s5, sizes.s1 + window.s7) : to_x - from_x;
        STORE_1(high > 0 && wide > 0 ? total / ((float)high * (float)wide) : 0.0f, out + out_offset + at);
#else
        float most = -INFINITY;
#ifdef INDEX
        int where = -1;
        for (int i = from_y; i < to_y; i++)
            for (int j = from_x; j < to_x; j++) {
                const float v = p[i * window.s2 * pitch + j * window.s3];
                const bool beats = where < 0 || v > most || (isnan(v) && !isnan(most));
                most = beats ? v : most;
                where = beats ? (first_y + i * window.s2) * sizes.s1 + first_x + j * window.s3 : where;
            }
        indices[indices_offset + at] = where;
        if (out) STORE_1(most, out + out_offset + at);
#else
        for (int i = from_y; i < to_y; i++)
            for (int j = from_x; j < to_x; j++) most = JOIN_LARGEST(most, p[i * window.s2 * pitch + j * window.s3]);
        STORE_1(most, out + out_offset + at);
#endif
#endif
    }
}
#endif
