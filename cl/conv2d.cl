#include "common.cl"

#include "conv2d_parts.cl"

#ifdef KERNEL_scalar
/* One work-item per output. Sums of up to 16 channels are added to the others, as errors grow with a sum's length. */
__kernel void scalar(IN(x), IN(weight), IN(bias), OUT(out), const long8 sizes, const long8 window, const long groups, const int activation, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(x);
    SHIFT(weight);
    SHIFT(out);
    /* Without the operator %: Oclgrind cannot run what compilers make of it next to a division. */
    const long row = n / OUT_WIDTH, plane_out = row / OUT_HEIGHT, b = plane_out / OUT_CHANNELS;
    const long ox = n - row * OUT_WIDTH, oy = row - plane_out * OUT_HEIGHT, o = plane_out - b * OUT_CHANNELS;
    const long inputs = IN_CHANNELS / groups, plane = IN_HEIGHT * IN_WIDTH, y0 = oy * window.s0 - window.s4, x0 = ox * window.s1 - window.s5;
    x += (b * IN_CHANNELS + o / (OUT_CHANNELS / groups) * inputs) * plane;
    weight += o * inputs * TAPS_Y * TAPS_X;
    float total = 0, part = 0;
    for (long c = 0; c < inputs; c++) {
        for (long ky = 0; ky < TAPS_Y; ky++) {
            const long y = y0 + ky * window.s2;
            if (y < 0 || y >= IN_HEIGHT) continue;
            for (long kx = 0; kx < TAPS_X; kx++) {
                const long at = x0 + kx * window.s3;
                if (at >= 0 && at < IN_WIDTH) part += x[c * plane + y * IN_WIDTH + at] * weight[(c * TAPS_Y + ky) * TAPS_X + kx];
            }
        }
        if (c % 16 == 15) {
            total += part;
            part = 0;
        }
    }
    total += part;
    out[n] = activate(bias ? total + bias[bias_offset + o] : total, activation);
}
#endif

#ifdef KERNEL_pack
/* weight [O,I,taps] -> [group][channel block][I][tap][width], zeros beyond a group's last channel. One item per value. */
__kernel void pack(IN(weight), OUT(packed), const long outputs, const long inputs, const long taps, const long width, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    const long blocks = (outputs + width - 1) / width, row = n / width, plane = row / taps, block = plane / inputs, group = block / blocks;
    const long lane = n - row * width, tap = row - plane * taps, c = plane - block * inputs, o = (block - group * blocks) * width + lane;
    packed[packed_offset + n] = o < outputs ? weight[weight_offset + ((group * outputs + o) * inputs + c) * taps + tap] : 0.0f;
}
#endif

#if defined KERNEL_blocks || defined KERNEL_width
/* `tile` = rows and columns of outputs; rows, pitch and plane of the input block; channels in it; elements of x. */
#define TILE_ROWS ((int)tile.s0)
#define TILE_COLS ((int)tile.s1)
#define BLOCK_ROWS ((int)tile.s2)
#define BLOCK_PITCH ((int)tile.s3)
#define BLOCK_PLANE ((int)tile.s4)
#define BLOCK_CHANNELS ((int)tile.s5)
#define ELEMENTS tile.s6

/* The padded input block of `channels` planes from `plane` on that begins at (y0, x0), in columns of vectors. */
APART void load_block(__global const float *x, __local float *block, long plane, int channels, long y0, long x0, long8 sizes, long8 tile) {
    const int above = (int)clamp(-y0, 0L, (long)BLOCK_ROWS), below = (int)clamp(IN_HEIGHT - y0, (long)above, (long)BLOCK_ROWS);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < BLOCK_PITCH; i += 16) {
            const int low = (int)clamp(-x0 - i, 0L, 16L), high = (int)clamp(IN_WIDTH - x0 - i, 0L, 16L);
            const int16 kept = lanes16() >= low && lanes16() < high;
            __local float *to = block + c * BLOCK_PLANE + i;
            long at = plane + (c * IN_HEIGHT + y0 + above) * IN_WIDTH + x0 + i;
            const bool safe = at >= 0 && at + (below - above) * IN_WIDTH + 16 <= ELEMENTS;
            int r = 0;
            for (; r < above; r++, to += BLOCK_PITCH) vstore16((float16)(0.0f), 0, to);
            if (safe)
                for (; r < below; r++, to += BLOCK_PITCH, at += IN_WIDTH) vstore16(select((float16)(0.0f), vload16(0, x + at), kept), 0, to);
            for (; r < below; r++, to += BLOCK_PITCH, at += IN_WIDTH) vstore16(load_padded(x, at, low, high, ELEMENTS), 0, to);
            for (; r < BLOCK_ROWS; r++, to += BLOCK_PITCH) vstore16((float16)(0.0f), 0, to);
        }
}

#if STRIDE
#define STEP STRIDE
#else
#define STEP step
#endif
#endif

#ifdef KERNEL_blocks
#define WIDTH (16 * NV)

/* One tap of the pixels begin .. end - 1. */
#define TAP(begin, end)                                                                                                \
    do {                                                                                                               \
        float16 v[NV];                                                                                                 \
        UNROLL for (int j = 0; j < NV; j++) v[j] = vload16(j, w);                                                      \
        UNROLL for (int i = begin; i < end; i++) {                                                                     \
            const float16 s = (float16)(row[i * STEP]);                                                                \
            UNROLL for (int j = 0; j < NV; j++) acc[i][j] = fma(s, v[j], acc[i][j]);                                   \
        }                                                                                                              \
    } while (0)

/* Adds to MR pixels of one row the products of `channels` input channels with the taps' rows top .. end - 1.
 * The first pixel lies in the padding for taps before `left`, the last for those from `right` on. With -DKW, the taps of a row, those of
 * pixels away from the edges are unrolled: counting them is a third of the instructions where registers are few. */
APART void accumulate(__local const float *block, __global const float *w, __local float *sums, int channels, bool first, int top, int end, int left, int right, int step, long8 sizes, long8 window, long8 tile) {
    const int taps_y = (int)TAPS_Y, taps_x = (int)TAPS_X, down = (int)window.s2 * BLOCK_PITCH, along = (int)window.s3;
    float16 acc[MR][NV];
    UNROLL for (int i = 0; i < MR; i++)
        UNROLL for (int j = 0; j < NV; j++) acc[i][j] = (float16)(0.0f);
    for (int c = 0; c < channels; c++, w += taps_y * taps_x * WIDTH, block += BLOCK_PLANE)
        for (int ky = top; ky < end; ky++) {
            __local const float *row = block + ky * down;
            __global const float *from = w;
            w += ky * taps_x * WIDTH;
#ifdef KW
            if (left == 0 && right == KW) {
                UNROLL for (int kx = 0; kx < KW; kx++, row += along, w += WIDTH) TAP(0, MR);
                w = from;
                continue;
            }
#endif
            for (int kx = 0; kx < taps_x; kx++, row += along, w += WIDTH) {
                if (kx < left) TAP(1, MR);
                else if (kx < right) TAP(0, MR);
                else TAP(0, MR - 1);
            }
            w = from;
        }
    if (!first)
        UNROLL for (int i = 0; i < MR; i++)
            UNROLL for (int j = 0; j < NV; j++) acc[i][j] += vload16(i * NV + j, sums);
    UNROLL for (int i = 0; i < MR; i++)
        UNROLL for (int j = 0; j < NV; j++) vstore16(acc[i][j], i * NV + j, sums);
}

/* Writes the sums of `count` consecutive pixels, at most 16, of up to 16 channels to their planes. */
INLINE void store_square(__local const float *sums, __global const float *bias, __global float *out, long plane, int count, int channels) {
    float16 a[16];
    if (count == 16 && channels == 16) {
        UNROLL for (int i = 0; i < 16; i++) a[i] = vload16(i * NV, sums);
        transpose_16(a);
        UNROLL for (int i = 0; i < 16; i++) vstore16(finish(a[i], bias ? bias[i] : 0.0f), 0, out + i * plane);
        return;
    }
    for (int i = 0; i < channels; i++) {
        float t[16];
        for (int k = 0; k < 16; k++) t[k] = sums[min(k, count - 1) * WIDTH + i];
        store_some(finish(vload16(0, t), bias ? bias[i] : 0.0f), count, out + i * plane);
    }
}

/* Writes the sums of rows x cols pixels to the planes from `out` on, of which only `channels` exist. Whole rows lie one after the
 * other there too. The last 16 pixels may overlap those before. */
APART void store_rows(__local const float *sums, __global const float *bias, __global float *out, int rows, int cols, int channels, long8 sizes) {
    const bool whole = cols == OUT_WIDTH;
    const int pieces = whole ? 1 : rows, count = whole ? rows * cols : cols;
    for (int k = 0; k < pieces; k++)
        for (int j = 0; j < NV && j * 16 < channels; j++)
            for (int p = 0; p < count; p += 16) {
                const int first = max(min(p, count - 16), 0);
                store_square(sums + (k * count + first) * WIDTH + j * 16, bias ? bias + j * 16 : bias, out + j * 16 * OUT_HEIGHT * OUT_WIDTH + k * OUT_WIDTH + first, OUT_HEIGHT * OUT_WIDTH, min(16, count), min(16, channels - j * 16));
            }
}

/* A group computes a tile of outputs of some channel blocks: vectors along the channels, MR pixels x NV vectors in registers.
 * `cut` = groups, channel blocks of a group, blocks of a work-group, channels a pass; `kept`: rows whose sums have room. */
SINGLE void blocks(IN(x), IN(packed), IN(bias), OUT(out), const long8 sizes, const long8 window, const long8 tile, const long4 cut, const int kept, __local float *block, __local float *sums) {
    const long across = (OUT_WIDTH + TILE_COLS - 1) / TILE_COLS, groups = cut.s0, parts = (cut.s1 + cut.s2 - 1) / cut.s2;
    const long down = get_group_id(0) / across, group = get_group_id(1) / parts, b = get_group_id(2);
    const long oy = down * TILE_ROWS, ox = (get_group_id(0) - down * across) * TILE_COLS, first_block = (get_group_id(1) - group * parts) * cut.s2, last_block = min(cut.s1, first_block + cut.s2);
    const long inputs = IN_CHANNELS / groups, outputs = OUT_CHANNELS / groups, taps = TAPS_Y * TAPS_X, y0 = oy * window.s0 - window.s4, x0 = ox * window.s1 - window.s5;
    const int rows = (int)min((long)TILE_ROWS, OUT_HEIGHT - oy), cols = (int)min((long)TILE_COLS, OUT_WIDTH - ox), pass = (int)cut.s3, step = (int)window.s1;
    for (long n = first_block; n < last_block; n++) {
        __global const float *w = packed + packed_offset + (group * cut.s1 + n) * inputs * taps * WIDTH;
        const long o = group * outputs + n * WIDTH;
        const int existing = (int)min((long)WIDTH, outputs - n * WIDTH);
        __global float *to = out + out_offset + ((b * OUT_CHANNELS + o) * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
        long c = 0;
        do {
            const int channels = (int)min((long)BLOCK_CHANNELS, inputs - c);
            if (n == first_block || channels < inputs) load_block(x + x_offset, block, (b * IN_CHANNELS + group * inputs + c) * IN_HEIGHT * IN_WIDTH, channels, y0, x0, sizes, tile);
            for (int r = 0; r < rows; r++) {
                const long y = y0 + r * window.s0;
                const int top = (int)clamp((window.s2 - 1 - y) / window.s2, 0L, TAPS_Y), end = (int)clamp((IN_HEIGHT - y + window.s2 - 1) / window.s2, 0L, TAPS_Y), full = r % kept + 1;
                int k = 0;
                do { /* a pass's weights stay in the level-1 cache for the whole row */
                    for (int i = 0; i < cols; i += MR) {
                        const long from = x0 + i * window.s1, till = from + (MR - 1) * window.s1;
                        const int left = from < 0 ? (int)clamp((window.s3 - 1 - from) / window.s3, 0L, TAPS_X) : 0, right = (int)clamp((IN_WIDTH - till + window.s3 - 1) / window.s3, 0L, TAPS_X);
                        accumulate(block + k * BLOCK_PLANE + r * (int)window.s0 * BLOCK_PITCH + i * step, w + (c + k) * taps * WIDTH, sums + ((full - 1) * cols + i) * WIDTH, min(pass, channels - k), c + k == 0, top, end, left, right, step, sizes, window, tile);
                    }
                    k += pass;
                } while (k < channels);
                if (c + channels == inputs && (full == kept || r + 1 == rows)) store_rows(sums, bias ? bias + bias_offset + o : bias, to + (r + 1 - full) * OUT_WIDTH, full, cols, existing, sizes);
            }
            c += channels;
        } while (c < inputs);
    }
}
#endif

#ifdef KERNEL_width
/* 16 values, STEP apart. */
INLINE float16 load_apart(__local const float *p, int step) {
#if STRIDE == 1
    return vload16(0, p);
#elif STRIDE == 2
    return (float16)(vload16(0, p).even, vload16(0, p + 15).odd);
#else
    float t[16];
    for (int i = 0; i < 16; i++) t[i] = p[i * step];
    return vload16(0, t);
#endif
}

/* A group computes a tile of one output channel from all its input channels: vectors along the row, four rows at once. */
SINGLE void width(IN(x), IN(weight), IN(bias), OUT(out), const long8 sizes, const long8 window, const long8 tile, const long groups, __local float *block) {
    const long across = (OUT_WIDTH + TILE_COLS - 1) / TILE_COLS, inputs = IN_CHANNELS / groups;
    const long below = get_group_id(0) / across, oy = below * TILE_ROWS, ox = (get_group_id(0) - below * across) * TILE_COLS, o = get_group_id(1), b = get_group_id(2);
    const int rows = (int)min((long)TILE_ROWS, OUT_HEIGHT - oy), cols = (int)min((long)TILE_COLS, OUT_WIDTH - ox), step = (int)window.s1;
    const int taps_y = (int)TAPS_Y, taps_x = (int)TAPS_X, next = (int)window.s0 * BLOCK_PITCH, down = (int)window.s2 * BLOCK_PITCH, along = (int)window.s3;
    out += out_offset + ((b * OUT_CHANNELS + o) * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
    const float shift = bias ? bias[bias_offset + o] : 0.0f;
    load_block(x + x_offset, block, (b * IN_CHANNELS + o / (OUT_CHANNELS / groups) * inputs) * IN_HEIGHT * IN_WIDTH, (int)inputs, oy * window.s0 - window.s4, ox * window.s1 - window.s5, sizes, tile);
    for (int r = 0; r < rows; r += 4)
        for (int i = 0; i < cols; i += 16) {
            __global const float *w = weight + weight_offset + o * inputs * taps_y * taps_x;
            float16 total[4];
            UNROLL
            for (int k = 0; k < 4; k++) total[k] = (float16)(0.0f);
            for (int c = 0; c < (int)inputs; c++) {
                float16 acc[4];
                UNROLL
                for (int k = 0; k < 4; k++) acc[k] = (float16)(0.0f);
                for (int ky = 0; ky < taps_y; ky++) {
                    __local const float *row = block + c * BLOCK_PLANE + r * next + ky * down + i * step;
                    for (int kx = 0; kx < taps_x; kx++, row += along) {
                        const float16 v = (float16)(*w++);
                        UNROLL
                        for (int k = 0; k < 4; k++) acc[k] = fma(v, load_apart(row + k * next, step), acc[k]);
                    }
                }
                UNROLL
                for (int k = 0; k < 4; k++) total[k] += acc[k];
            }
            UNROLL
            for (int k = 0; k < 4; k++) {
                if (r + k < rows) {
                    __global float *to = out + (r + k) * OUT_WIDTH + i;
                    const float16 v = finish(total[k], shift);
                    if (cols - i >= 16) vstore16(v, 0, to);
                    else store_some(v, cols - i, to);
                }
            }
        }
}
#endif
