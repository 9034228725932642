#include "common.cl"

/* Sizes common to all kernels: `sizes` = C, H, W, O, OH, OW, KH, KW; `window` = strides, dilations, padding before, after. */
#define IN_CHANNELS sizes.s0
#define IN_HEIGHT sizes.s1
#define IN_WIDTH sizes.s2
#define OUT_CHANNELS sizes.s3
#define OUT_HEIGHT sizes.s4
#define OUT_WIDTH sizes.s5
#define TAPS_Y sizes.s6
#define TAPS_X sizes.s7

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
/* `tile` = rows and columns of outputs, rows and columns of the input block, channels a pass, groups, channel blocks a
 * group, activation. */
#define TILE_ROWS ((int)tile.s0)
#define TILE_COLS ((int)tile.s1)
#define BLOCK_ROWS ((int)tile.s2)
#define BLOCK_COLS ((int)tile.s3)

INLINE void zero_row(__local float *to, int n) {
    for (int i = 0; i < n; i += 16) vstore16((float16)(0.0f), 0, to + i);
}

INLINE void copy_row(__global const float *from, __local float *to, int n) {
    if (n < 16) {
        for (int i = 0; i < n; i++) to[i] = from[i];
        return;
    }
    for (int i = 0; i + 16 <= n; i += 16) vstore16(vload16(0, from + i), 0, to + i);
    vstore16(vload16(0, from + n - 16), 0, to + n - 16);
}

/* The padded input block of `channels` planes that begins at (y0, x0). Zeros may be written over the following row's
 * beginning, which comes later; the block ends with room for the last. */
INLINE void load_block(__global const float *x, __local float *block, int channels, long y0, long x0, long8 sizes, long8 tile) {
    const int low = (int)clamp(-x0, 0L, (long)BLOCK_COLS), high = (int)clamp(IN_WIDTH - x0, 0L, (long)BLOCK_COLS);
    for (int c = 0; c < channels; c++)
        for (int r = 0; r < BLOCK_ROWS; r++) {
            __local float *to = block + (c * BLOCK_ROWS + r) * BLOCK_COLS;
            const long y = y0 + r;
            if (y < 0 || y >= IN_HEIGHT || low >= high) {
                zero_row(to, BLOCK_COLS);
                continue;
            }
            zero_row(to, low);
            copy_row(x + (c * IN_HEIGHT + y) * IN_WIDTH + x0 + low, to + low, high - low);
            zero_row(to + high, BLOCK_COLS - high);
        }
}

/* ACT is ACT_NONE, ACT_RELU or 0: any `kind`. */
INLINE float16 finish(float16 v, float shift, int kind) {
    v += shift;
#if ACT == ACT_RELU
    v = select(v, (float16)(0.0f), v < 0.0f);
#elif ACT != ACT_NONE
    float t[16];
    vstore16(v, 0, t);
    for (int i = 0; i < 16; i++) t[i] = activate(t[i], kind);
    v = vload16(0, t);
#endif
    return v;
}

#if STRIDE
#define STEP STRIDE
#else
#define STEP step
#endif
#endif

#ifdef KERNEL_blocks
#define WIDTH (16 * NV)

/* Transposes a[16] of float16 in four steps of a perfect shuffle; `b` is room. */
#define SHUFFLE(to, from)                                                                                              \
    _Pragma("unroll") for (int i_ = 0; i_ < 8; i_++) {                                                                 \
        to[2 * i_] = interleave_low(from[i_], from[i_ + 8]);                                                           \
        to[2 * i_ + 1] = interleave_high(from[i_], from[i_ + 8]);                                                      \
    }
#define TRANSPOSE(a, b)                                                                                                \
    do {                                                                                                               \
        SHUFFLE(b, a)                                                                                                  \
        SHUFFLE(a, b)                                                                                                  \
        SHUFFLE(b, a)                                                                                                  \
        SHUFFLE(a, b)                                                                                                  \
    } while (0)

/* Adds to `count` pixels of one row (at most MR) the products of `channels` input channels. */
INLINE void accumulate(__local const float *block, __global const float *w, __local float *sums, int count, int channels, bool first, int step, long8 sizes, long8 window, long8 tile) {
    const int taps_y = (int)TAPS_Y, taps_x = (int)TAPS_X, down = (int)window.s2 * BLOCK_COLS, along = (int)window.s3;
    float16 acc[MR][NV];
    #pragma unroll
    for (int i = 0; i < MR; i++) {
        #pragma unroll
        for (int j = 0; j < NV; j++) acc[i][j] = (float16)(0.0f);
    }
    for (int c = 0; c < channels; c++)
        for (int ky = 0; ky < taps_y; ky++) {
            __local const float *row = block + c * BLOCK_ROWS * BLOCK_COLS + ky * down;
            for (int kx = 0; kx < taps_x; kx++, row += along, w += WIDTH) {
                float16 v[NV];
                #pragma unroll
                for (int j = 0; j < NV; j++) v[j] = vload16(j, w);
                #pragma unroll
                for (int i = 0; i < MR; i++) {
                    const float16 s = (float16)(row[i * STEP]);
                    #pragma unroll
                    for (int j = 0; j < NV; j++) acc[i][j] = fma(s, v[j], acc[i][j]);
                }
            }
        }
    #pragma unroll
    for (int i = 0; i < MR; i++)
        if (i < count) { /* no break: PoCL then warns that it cannot unroll */
            #pragma unroll
            for (int j = 0; j < NV; j++) vstore16(first ? acc[i][j] : acc[i][j] + vload16(i * NV + j, sums), i * NV + j, sums);
        }
}

/* Writes `count` sums of consecutive pixels, 16 channels at a time, to the planes from `out` on; only `channels` exist. */
INLINE void store_planes(__local const float *sums, __global const float *bias, __global float *out, long plane, int count, int channels, int kind) {
    for (int j = 0; j < NV; j++)
        for (int p = 0; p < count; p += 16) {
            const int n = min(16, count), first = min(p, count - n);
            float16 a[16], b[16];
            #pragma unroll
            for (int i = 0; i < 16; i++) a[i] = vload16((first + (i < n ? i : 0)) * NV + j, sums);
            TRANSPOSE(a, b);
            #pragma unroll
            for (int i = 0; i < 16; i++) {
                const int o = j * 16 + i;
                if (o < channels) {
                    const float16 v = finish(a[i], bias ? bias[o] : 0.0f, kind);
                    if (n == 16) vstore16(v, 0, out + o * plane + first);
                    else store_some(v, n, out + o * plane);
                }
            }
        }
}

/* A group computes a tile of outputs of WIDTH channels: vectors along the channels, MR pixels x NV vectors in registers. */
SINGLE void blocks(IN(x), IN(packed), IN(bias), OUT(out), const long8 sizes, const long8 window, const long8 tile, __local float *block, __local float *sums) {
    const long across = (OUT_WIDTH + TILE_COLS - 1) / TILE_COLS, groups = tile.s5, per_group = tile.s6;
    const long down = get_group_id(0) / across, group = get_group_id(1) / per_group, b = get_group_id(2);
    const long oy = down * TILE_ROWS, ox = (get_group_id(0) - down * across) * TILE_COLS, first = (get_group_id(1) - group * per_group) * WIDTH;
    const long inputs = IN_CHANNELS / groups, outputs = OUT_CHANNELS / groups, taps = TAPS_Y * TAPS_X, o = group * outputs + first;
    const int rows = (int)min((long)TILE_ROWS, OUT_HEIGHT - oy), cols = (int)min((long)TILE_COLS, OUT_WIDTH - ox), pass = (int)tile.s4, step = (int)window.s1;
    x += x_offset + (b * IN_CHANNELS + group * inputs) * IN_HEIGHT * IN_WIDTH;
    packed += packed_offset + get_group_id(1) * inputs * taps * WIDTH;
    long c = 0;
    do {
        const int channels = (int)min((long)pass, inputs - c);
        load_block(x + c * IN_HEIGHT * IN_WIDTH, block, channels, oy * window.s0 - window.s4, ox * window.s1 - window.s5, sizes, tile);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < cols; i += MR)
                accumulate(block + r * (int)window.s0 * BLOCK_COLS + i * step, packed + c * taps * WIDTH, sums + (r * cols + i) * WIDTH, cols - i, channels, c == 0, step, sizes, window, tile);
        c += channels;
    } while (c < inputs);
    out += out_offset + ((b * OUT_CHANNELS + o) * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
    if (bias) bias += bias_offset + o;
    const int channels = (int)min((long)WIDTH, outputs - first);
    /* Whole rows lie one after the other in the output too. */
    const int pieces = cols == OUT_WIDTH ? 1 : rows, length = cols == OUT_WIDTH ? rows * cols : cols;
    for (int k = 0; k < pieces; k++) store_planes(sums + k * length * WIDTH, bias, out + k * OUT_WIDTH, OUT_HEIGHT * OUT_WIDTH, length, channels, (int)tile.s7);
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
SINGLE void width(IN(x), IN(weight), IN(bias), OUT(out), const long8 sizes, const long8 window, const long8 tile, __local float *block) {
    const long across = (OUT_WIDTH + TILE_COLS - 1) / TILE_COLS, groups = tile.s5, inputs = IN_CHANNELS / groups;
    const long below = get_group_id(0) / across, oy = below * TILE_ROWS, ox = (get_group_id(0) - below * across) * TILE_COLS, o = get_group_id(1), b = get_group_id(2);
    const int rows = (int)min((long)TILE_ROWS, OUT_HEIGHT - oy), cols = (int)min((long)TILE_COLS, OUT_WIDTH - ox), step = (int)window.s1;
    const int taps_y = (int)TAPS_Y, taps_x = (int)TAPS_X, next = (int)window.s0 * BLOCK_COLS, down = (int)window.s2 * BLOCK_COLS, along = (int)window.s3;
    x += x_offset + (b * IN_CHANNELS + o / (OUT_CHANNELS / groups) * inputs) * IN_HEIGHT * IN_WIDTH;
    out += out_offset + ((b * OUT_CHANNELS + o) * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
    const float shift = bias ? bias[bias_offset + o] : 0.0f;
    load_block(x, block, (int)inputs, oy * window.s0 - window.s4, ox * window.s1 - window.s5, sizes, tile);
    for (int r = 0; r < rows; r += 4)
        for (int i = 0; i < cols; i += 16) {
            __global const float *w = weight + weight_offset + o * inputs * taps_y * taps_x;
            float16 total[4];
            #pragma unroll
            for (int k = 0; k < 4; k++) total[k] = (float16)(0.0f);
            for (int c = 0; c < (int)inputs; c++) {
                float16 acc[4];
                #pragma unroll
                for (int k = 0; k < 4; k++) acc[k] = (float16)(0.0f);
                for (int ky = 0; ky < taps_y; ky++) {
                    __local const float *row = block + c * BLOCK_ROWS * BLOCK_COLS + r * next + ky * down + i * step;
                    for (int kx = 0; kx < taps_x; kx++, row += along) {
                        const float16 v = (float16)(*w++);
                        #pragma unroll
                        for (int k = 0; k < 4; k++) acc[k] = fma(v, load_apart(row + k * next, step), acc[k]);
                    }
                }
                #pragma unroll
                for (int k = 0; k < 4; k++) total[k] += acc[k];
            }
            #pragma unroll
            for (int k = 0; k < 4; k++) {
                if (r + k < rows) {
                    __global float *to = out + (r + k) * OUT_WIDTH + i;
                    const float16 v = finish(total[k], shift, (int)tile.s7);
                    if (cols - i >= 16) vstore16(v, 0, to);
                    else store_some(v, cols - i, to);
                }
            }
        }
}
#endif
