#include "common.cl"

/* Winograd's F(4x4,3x3), on CPUs: 4x4 outputs of a channel take 36 products for each input channel instead of 144,
 *     out = A' [(G w G') * (B' d B)] A,    d = the 6x6 inputs around them, * = elementwise, summed over the channels.
 * Each of the 36 positions is a product of matrices, [output channels x channels] [channels x tiles]. Vectors lie along tiles while
 * d is transformed, and along the output channels afterwards, so that no lane idles in the products.
 *
 * A strip is a rectangle of tiles of an image. Its transformed inputs are [position][channel][pitch]. `shape` = rows and columns of
 * a strip, pitch, step from a position to the next, groups, blocks of 16 channels of a group, elements of x. */
#include "conv2d_parts.cl"

#define WIDTH 16
#define STRIP_ROWS ((int)shape.s0)
#define STRIP_COLS ((int)shape.s1)
#define PITCH ((int)shape.s2)
#define STEP ((int)shape.s3)
#define GROUPS shape.s4
#define BLOCKS shape.s5
#define ELEMENTS shape.s6
#define TILES_DOWN ((OUT_HEIGHT + 3) / 4)
#define TILES_ACROSS ((OUT_WIDTH + 3) / 4)

#ifdef KERNEL_weights
/* G w, with the six results `step` apart. */
INLINE void spread_weights(float16 a, float16 b, float16 c, float16 *to, int step) {
    const float16 s = (a + c) * (-1.0f / 6), t = b * (-1.0f / 6), u = a * (1.0f / 24) + c * (1.0f / 6), v = b * (1.0f / 12);
    to[0] = a * 0.25f;
    to[step] = s + t;
    to[2 * step] = s - t;
    to[3 * step] = u + v;
    to[4 * step] = u - v;
    to[5 * step] = c;
}

/* weight [O,I,3,3] -> [group][block][position][I][WIDTH], zeros beyond a group's last channel. A work-group does a block. */
SINGLE void weights(IN(weight), OUT(packed), const long outputs, const long inputs) {
    const long blocks = get_num_groups(0), block = get_group_id(0), group = get_group_id(1);
    const int channels = (int)min(outputs - block * WIDTH, (long)WIDTH);
    weight += weight_offset + (group * outputs + block * WIDTH) * inputs * 9;
    packed += packed_offset + (group * blocks + block) * 36 * inputs * WIDTH;
    for (long c = 0; c < inputs; c++) {
        float taps[9 * 16];
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 9; k++) taps[k * 16 + i] = i < channels ? weight[(i * inputs + c) * 9 + k] : 0.0f;
        float16 half_way[18], all[36];
        UNROLL for (int y = 0; y < 3; y++) spread_weights(vload16(y * 3, taps), vload16(y * 3 + 1, taps), vload16(y * 3 + 2, taps), half_way + y * 6, 1);
        UNROLL for (int x = 0; x < 6; x++) spread_weights(half_way[x], half_way[6 + x], half_way[12 + x], all + x, 6);
        UNROLL for (int k = 0; k < 36; k++) vstore16(all[k], 0, packed + (k * inputs + c) * WIDTH);
    }
}
#endif

#if defined KERNEL_transform || defined KERNEL_fused
/* B' d, with the six results `step` apart. */
INLINE void spread(float16 d0, float16 d1, float16 d2, float16 d3, float16 d4, float16 d5, float16 *to, int step) {
    const float16 a = fma((float16)(-4.0f), d2, d4), b = fma((float16)(-4.0f), d1, d3), c = d4 - d2, e = 2.0f * (d3 - d1);
    to[0] = fma((float16)(4.0f), d0, fma((float16)(-5.0f), d2, d4));
    to[step] = a + b;
    to[2 * step] = a - b;
    to[3 * step] = c + e;
    to[4 * step] = c - e;
    to[5 * step] = fma((float16)(4.0f), d1, fma((float16)(-5.0f), d3, d5));
}

/* A vector of tiles is 16 / SEGMENT segments, each of SEGMENT neighbours in a row of tiles. */
#define SEGMENTS (16 / SEGMENT)
#define CHUNKS (SEGMENT / 4) /* vectors of inputs that a segment begins with; two more columns follow */

typedef struct segment {
    long at;       /* of its first input in a plane */
    int low, high; /* columns that lie in the image, from there */
    int top, end;  /* rows, of six */
    int slot;
} segment;

INLINE segment find_segment(int index, long ty, long tx, int rows, int cols, long8 sizes, long8 window) {
    const int across = (cols + SEGMENT - 1) / SEGMENT, row = index / across, col = (index - row * across) * SEGMENT;
    const long y = (ty + row) * 4 - window.s4, left = (tx + col) * 4 - window.s5;
    segment s;
    s.at = y * IN_WIDTH + left;
    s.low = (int)clamp(-left, 0L, 128L);
    s.high = (int)clamp(IN_WIDTH - left, 0L, 128L);
    s.top = (int)clamp(-y, 0L, 6L);
    s.end = row < rows ? (int)clamp(IN_HEIGHT - y, 0L, 6L) : 0;
    s.slot = row < rows ? row * cols + col : -1;
    return s;
}

INLINE float16 load_segment(__global const float *x, long plane, segment s, int row, int column, long8 sizes, long count) {
    if (row < s.top || row >= s.end) return (float16)(0.0f);
    return load_padded(x, plane + s.at + row * IN_WIDTH + column, s.low - column, s.high - column, count);
}

/* One channel of up to 16 tiles. */
INLINE void spread_tiles(__global const float *x, long plane, const segment *s, SPACE float *to, int step, long8 sizes, long count) {
    float16 t[6][5];
    UNROLL for (int k = 0; k < 4; k++) {
        const segment from = s[k / CHUNKS];
        const int column = k % CHUNKS * 16;
        float16 r[6], o[6];
        UNROLL for (int i = 0; i < 6; i++) r[i] = load_segment(x, plane, from, i, column, sizes, count);
        spread(r[0], r[1], r[2], r[3], r[4], r[5], o, 1);
        UNROLL for (int i = 0; i < 6; i++) t[i][k] = o[i];
    }
#ifdef BEYOND
    {
        float16 r[6], o[6];
        UNROLL for (int i = 0; i < 6; i++) {
            r[i] = load_segment(x, plane, s[0], i, SEGMENT * 4, sizes, count);
#if SEGMENT == 8
            r[i].s23 = load_segment(x, plane, s[1], i, SEGMENT * 4, sizes, count).s01;
#elif SEGMENT == 4
            r[i].s23 = load_segment(x, plane, s[1], i, SEGMENT * 4, sizes, count).s01;
            r[i].s45 = load_segment(x, plane, s[2], i, SEGMENT * 4, sizes, count).s01;
            r[i].s67 = load_segment(x, plane, s[3], i, SEGMENT * 4, sizes, count).s01;
#endif
        }
        spread(r[0], r[1], r[2], r[3], r[4], r[5], o, 1);
        UNROLL for (int i = 0; i < 6; i++) t[i][4] = o[i];
    }
#endif
    UNROLL for (int y = 0; y < 6; y++) {
        float16 o[6];
        const float16 e01 = (float16)(t[y][0].even, t[y][1].even), o01 = (float16)(t[y][0].odd, t[y][1].odd);
        const float16 e23 = (float16)(t[y][2].even, t[y][3].even), o23 = (float16)(t[y][2].odd, t[y][3].odd);
        const float16 d0 = (float16)(e01.even, e23.even), d2 = (float16)(e01.odd, e23.odd), d1 = (float16)(o01.even, o23.even), d3 = (float16)(o01.odd, o23.odd);
#ifdef BEYOND
        const float16 f = t[y][4];
#else
        const float16 f = (float16)(0.0f);
#endif
#if SEGMENT == 16
        const float16 d4 = (float16)(d0.s1234, d0.s5678, d0.s9abc, d0.sde, d0.sf, f.s0), d5 = (float16)(d1.s1234, d1.s5678, d1.s9abc, d1.sde, d1.sf, f.s1);
#elif SEGMENT == 8
        const float16 d4 = (float16)(d0.s1234, d0.s567, f.s0, d0.s9abc, d0.sdef, f.s2), d5 = (float16)(d1.s1234, d1.s567, f.s1, d1.s9abc, d1.sdef, f.s3);
#else
        const float16 d4 = (float16)(d0.s123, f.s0, d0.s567, f.s2, d0.s9ab, f.s4, d0.sdef, f.s6), d5 = (float16)(d1.s123, f.s1, d1.s567, f.s3, d1.s9ab, f.s5, d1.sdef, f.s7);
#endif
        spread(d0, d1, d2, d3, d4, d5, o, 1);
        UNROLL for (int i = 0; i < 6; i++) {
            SPACE float *p = to + (y * 6 + i) * step;
#if SEGMENT == 16
            vstore16(o[i], 0, p + s[0].slot);
#elif SEGMENT == 8
            vstore8(o[i].lo, 0, p + s[0].slot);
            if (s[1].slot >= 0) vstore8(o[i].hi, 0, p + s[1].slot);
#else
            vstore4(o[i].s0123, 0, p + s[0].slot);
            if (s[1].slot >= 0) vstore4(o[i].s4567, 0, p + s[1].slot);
            if (s[2].slot >= 0) vstore4(o[i].s89ab, 0, p + s[2].slot);
            if (s[3].slot >= 0) vstore4(o[i].scdef, 0, p + s[3].slot);
#endif
        }
    }
}

/* `channels` planes from the one at `plane` on, of the strip whose first tile is (ty, tx). A segment may write beyond its row,
 * into what the next one overwrites. */
INLINE void spread_strip(__global const float *x, long plane, int channels, SPACE float *to, long ty, long tx, long8 sizes, long8 window, long8 shape) {
    const int rows = (int)min((long)STRIP_ROWS, TILES_DOWN - ty), cols = (int)min((long)STRIP_COLS, TILES_ACROSS - tx);
    const int total = rows * ((cols + SEGMENT - 1) / SEGMENT);
    for (int i = 0; i < total; i += SEGMENTS) {
        segment s[SEGMENTS];
        UNROLL for (int k = 0; k < SEGMENTS; k++) s[k] = find_segment(i + k, ty, tx, rows, cols, sizes, window);
        for (int c = 0; c < channels; c++) spread_tiles(x, plane + c * IN_HEIGHT * IN_WIDTH, s, to + c * PITCH, STEP, sizes, ELEMENTS);
    }
}
#endif

#if defined KERNEL_multiply || defined KERNEL_fused
/* One position of MR tiles x WIDTH channels. */
INLINE void accumulate(SPACE const float *v, __global const float *u, __local float *to, long channels, int pitch) {
    float16 acc[MR];
    UNROLL for (int i = 0; i < MR; i++) acc[i] = (float16)(0.0f);
    for (long c = 0; c < channels; c++, v += pitch, u += WIDTH) {
        const float16 w = vload16(0, u);
        UNROLL for (int i = 0; i < MR; i++) acc[i] = fma((float16)(v[i]), w, acc[i]);
    }
    UNROLL for (int i = 0; i < MR; i++) vstore16(acc[i], i, to);
}

/* A' m, with the four results `step` apart. */
INLINE void gather(float16 m0, float16 m1, float16 m2, float16 m3, float16 m4, float16 m5, float16 *to, int step) {
    const float16 s = m1 + m2, d = m1 - m2, p = m3 + m4, q = m3 - m4;
    to[0] = m0 + s + p;
    to[step] = fma((float16)(2.0f), q, d);
    to[2 * step] = fma((float16)(4.0f), p, s);
    to[3 * step] = fma((float16)(8.0f), q, d) + m5;
}

/* Four neighbours of 4x4 outputs that may end at the image's border. */
INLINE void store_piece(float4 v, int n, __global float *to) {
    if (n >= 4) {
        vstore4(v, 0, to);
        return;
    }
    if (n > 0) to[0] = v.x;
    if (n > 1) to[1] = v.y;
    if (n > 2) to[2] = v.z;
}

/* One tile's outputs of up to 16 channels, of which `rows` x `cols` exist. */
INLINE void gather_tile(__local const float *m, int step, float16 shift, __global float *out, long plane, long width, int channels, int rows, int cols) {
    float16 t[24], a[16];
    UNROLL for (int x = 0; x < 6; x++) gather(vload16(0, m + x * step), vload16(0, m + (6 + x) * step), vload16(0, m + (12 + x) * step), vload16(0, m + (18 + x) * step), vload16(0, m + (24 + x) * step), vload16(0, m + (30 + x) * step), t + x, 6);
    UNROLL for (int y = 0; y < 4; y++) gather(t[y * 6], t[y * 6 + 1], t[y * 6 + 2], t[y * 6 + 3], t[y * 6 + 4], t[y * 6 + 5], a + y * 4, 1);
    UNROLL for (int i = 0; i < 16; i++) a[i] = finish(a[i], shift);
    transpose_16(a);
    if (channels == 16 && rows == 4 && cols == 4) {
        UNROLL for (int i = 0; i < 16; i++) {
            vstore4(a[i].s0123, 0, out + i * plane);
            vstore4(a[i].s4567, 0, out + i * plane + width);
            vstore4(a[i].s89ab, 0, out + i * plane + 2 * width);
            vstore4(a[i].scdef, 0, out + i * plane + 3 * width);
        }
        return;
    }
    float all[256];
    UNROLL for (int i = 0; i < 16; i++) vstore16(a[i], i, all);
    for (int i = 0; i < channels; i++)
        for (int y = 0; y < rows; y++) store_piece(vload4(i * 4 + y, all), cols, out + i * plane + y * width);
}

/* One block of the strip whose first tile is (ty, tx) from its transformed inputs. `out` is the block's first plane; `sums` has room
 * for the 36 products. */
INLINE void multiply_block(SPACE const float *v, __global const float *u, __global const float *bias, __global float *out, __local float *sums, long ty, long tx, long inputs, int channels, long8 sizes, long8 shape) {
    const int rows = (int)min((long)STRIP_ROWS, TILES_DOWN - ty), cols = (int)min((long)STRIP_COLS, TILES_ACROSS - tx);
    const int tiles = rows * cols, step = tiles * WIDTH + 16;
    const float16 shift = !bias ? (float16)(0.0f) : channels == WIDTH ? vload16(0, bias) : load_some(bias, channels, 0.0f);
    for (int k = 0; k < 36; k++)
        for (int i = 0; i < tiles; i += MR) {
            const int tile = min(i, tiles - MR);
            accumulate(v + k * STEP + tile, u + k * inputs * WIDTH, sums + k * step + tile * WIDTH, inputs, PITCH);
        }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const long oy = (ty + r) * 4, ox = (tx + c) * 4;
            gather_tile(sums + (r * cols + c) * WIDTH, step, shift, out + oy * OUT_WIDTH + ox, OUT_HEIGHT * OUT_WIDTH, OUT_WIDTH, channels, (int)min(4L, OUT_HEIGHT - oy), (int)min(4L, OUT_WIDTH - ox));
        }
}
#endif

#define STRIPS_ACROSS ((TILES_ACROSS + STRIP_COLS - 1) / STRIP_COLS)

#ifdef KERNEL_fused
/* A work-group does a strip of one image and group of channels from inputs to outputs. */
SINGLE void fused(IN(x), IN(packed), IN(bias), OUT(out), const long8 sizes, const long8 window, const long8 shape, __local float *v, __local float *sums) {
    const long down = get_group_id(0) / STRIPS_ACROSS, ty = down * STRIP_ROWS, tx = (get_group_id(0) - down * STRIPS_ACROSS) * STRIP_COLS;
    const long group = get_group_id(1), b = get_group_id(2), inputs = IN_CHANNELS / GROUPS, outputs = OUT_CHANNELS / GROUPS;
    spread_strip(x + x_offset, (b * IN_CHANNELS + group * inputs) * IN_HEIGHT * IN_WIDTH, (int)inputs, v, ty, tx, sizes, window, shape);
    packed += packed_offset + group * BLOCKS * 36 * inputs * WIDTH;
    for (long o = 0; o < outputs; o += WIDTH) {
        const long plane = group * outputs + o;
        multiply_block(v, packed + o * 36 * inputs, bias ? bias + bias_offset + plane : bias, out + out_offset + (b * OUT_CHANNELS + plane) * OUT_HEIGHT * OUT_WIDTH, sums, ty, tx, inputs, (int)min((long)WIDTH, outputs - o), sizes, shape);
    }
}
#endif

#ifdef KERNEL_transform
/* A work-group transforms `channels` planes of a strip of image `image` + its third id. */
SINGLE void transform(IN(x), OUT(v), const long8 sizes, const long8 window, const long8 shape, const long channels, const long image) {
    const long down = get_group_id(0) / STRIPS_ACROSS, ty = down * STRIP_ROWS, tx = (get_group_id(0) - down * STRIPS_ACROSS) * STRIP_COLS;
    const long inputs = IN_CHANNELS / GROUPS, parts = (inputs + channels - 1) / channels;
    const long group = get_group_id(1) / parts, first = (get_group_id(1) - group * parts) * channels, b = get_group_id(2);
    v += v_offset + ((b * GROUPS + group) * get_num_groups(0) + get_group_id(0)) * 36 * STEP + first * PITCH;
    spread_strip(x + x_offset, ((image + b) * IN_CHANNELS + group * inputs + first) * IN_HEIGHT * IN_WIDTH, (int)min(channels, inputs - first), v, ty, tx, sizes, window, shape);
}
#endif

#ifdef KERNEL_multiply
/* A work-group makes a block of a strip's outputs. */
SINGLE void multiply(IN(v), IN(packed), IN(bias), OUT(out), const long8 sizes, const long8 shape, const long image, __local float *sums) {
    const long down = get_group_id(0) / STRIPS_ACROSS, ty = down * STRIP_ROWS, tx = (get_group_id(0) - down * STRIPS_ACROSS) * STRIP_COLS;
    const long group = get_group_id(1) / BLOCKS, o = (get_group_id(1) - group * BLOCKS) * WIDTH, b = get_group_id(2);
    const long inputs = IN_CHANNELS / GROUPS, outputs = OUT_CHANNELS / GROUPS, plane = group * outputs + o;
    v += v_offset + ((b * GROUPS + group) * get_num_groups(0) + get_group_id(0)) * 36 * STEP;
    packed += packed_offset + (group * BLOCKS * WIDTH + o) * 36 * inputs;
    multiply_block(v, packed, bias ? bias + bias_offset + plane : bias, out + out_offset + ((image + b) * OUT_CHANNELS + plane) * OUT_HEIGHT * OUT_WIDTH, sums, ty, tx, inputs, (int)min((long)WIDTH, outputs - o), sizes, shape);
}
#endif
