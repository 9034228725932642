#include "common.cl"

/* conv2d for GPUs. `sizes` = input channels of a group, H, W, output channels of a group, OH, OW, KH, KW; `window` = strides,
 * dilations, padding before, after; `cut` = groups, blocks of output channels in each, images, and for LONG the rows of the
 * weight whose products are summed by themselves. */
#define GROUPS cut.s0
#define BLOCKS cut.s1

#include "blocks_gpu.cl"

/* The offset in bytes is 32 bits wide: AMD then adds it to a scalar base. */
INLINE float load_at(__global const STORED *x, uint at) {
    return LOAD_1((__global const STORED *)((__global const char *)x + at * (uint)sizeof(STORED)));
}

#if defined KERNEL_tile || defined KERNEL_columns
/* ---- Products of matrices through local memory ----
 *
 * A group computes BM output channels of 4 * TX pixels; an item has 4 * RM of the channels (in fours, TY * 4 apart) of 4
 * neighbouring pixels. The packed weight is a matrix, with a row of BM channels for each input channel and tap. STEP rows of it
 * at a time are in local memory, beside the input that they are multiplied with. ALIGNED where an item's pixels may be written
 * as one vector. LONG where the sum is made of the sums of cut.s3 rows, for errors grow with a sum's length. */

#ifdef KERNEL_tile
#define TX (ROWS * COLS / 4)
#define STEP (CI * KH * KW)
#else
#define STEP BK
#endif
#define GROUP (TX * TY)
#define BM4 (TY * RM)
#define BM (4 * BM4)
#define W_LOADS ((STEP * BM4 + GROUP - 1) / GROUP)

#ifdef HALF
#define LOAD_4(p) vload_half4(0, p)
#define STORE_4(v, p) vstore_half4_rte(v, 0, p)
#else
#define LOAD_4(p) (*(__global const float4 *)(p))
#define STORE_4(v, p) (*(__global float4 *)(p) = (v))
#endif

/* What an item of a group reads. */
typedef struct source {
    __global const float4 *weights; /* of the next step; so is x where it is walked through */
    __global const STORED *x;
    long8 sizes, window;
    int height, width, rows; /* of the images; of the weight */
    int y, at;               /* the first line and column to load from */
    uint t, own_w, own_x;    /* the item; where its channels and pixels are in local memory */
    __local int4 *steps;
} source;

#define CLEAR(a) UNROLL for (int i_ = 0; i_ < 4 * RM; i_++) a[i_] = (float4)(0.0f)

/* sums += four channels of `row` times four pixels. */
#define ADD_CHANNEL(part, i) sums[4 * r + i] = fma((float4)(w.part), pixels, sums[4 * r + i]);
#define ADD_PRODUCTS(row, pixels)                                                                                      \
    UNROLL for (int r = 0; r < RM; r++) {                                                                              \
        const float4 w = (row)[r * TY];                                                                                \
        ADD_CHANNEL(x, 0) ADD_CHANNEL(y, 1) ADD_CHANNEL(z, 2) ADD_CHANNEL(w, 3)                                        \
    }

#ifdef KERNEL_tile
/* The input under ROWS x COLS outputs, border included, of CI channels: read once for all KH x KW taps, STRIDE apart. An item
 * takes a line of it from local memory once for the KW taps of its 4 pixels. */
#define SPAN ((COLS - 1) * STRIDE + KW)
#define LINE4 ((SPAN + 3) / 4) /* vectors in local memory that hold the columns under the tile, and those under 4 pixels */
#define PIECE4 ((3 * STRIDE + KW + 3) / 4)
#define LINES ((ROWS - 1) * STRIDE + KH)
#define X_VECTORS (CI * LINES * LINE4)
#define X_LOADS ((CI * LINES * SPAN + GROUP - 1) / GROUP)

/* Vectors of the weight and values of the input that an item has under way at once, some 20 floats. */
#define BATCHES ((4 * W_LOADS + X_LOADS + 19) / 20)
#define W_AHEAD ((W_LOADS + BATCHES - 1) / BATCHES)
#define X_AHEAD ((X_LOADS + BATCHES - 1) / BATCHES)

/* Value e of the block, in lines of SPAN; 0 outside of the image. No branches: with them the compilers wait for one load before
 * the next, and NVIDIA's takes half as many registers again. */
INLINE float block_at(const source *s, uint e, int channels) {
    const uint line = e / SPAN, c = line / LINES;
    const int y = s->y + (int)(line - c * LINES), at = s->at + (int)(e - line * SPAN), own_y = clamp(y, 0, s->height - 1), own_at = clamp(at, 0, s->width - 1);
    const float v = load_at(s->x, (uint)((min((int)c, channels - 1) * s->height + own_y) * s->width + own_at));
    return y == own_y && at == own_at ? v : 0.0f;
}

/* Items that have nothing left to load repeat what is there. */
INLINE void load_step(const source *s, __local float4 *lw, __local float *lx, int rows) {
    ROLLED for (uint b = 0; b < BATCHES; b++) {
        const uint e_w = s->t + b * (W_AHEAD * GROUP), e_x = s->t + b * (X_AHEAD * GROUP);
        float4 w[W_AHEAD];
        float x[X_AHEAD];
        UNROLL for (uint i = 0; i < W_AHEAD; i++) w[i] = s->weights[min(e_w + i * GROUP, (uint)rows * BM4 - 1)];
        UNROLL for (uint i = 0; i < X_AHEAD; i++) x[i] = block_at(s, e_x + i * GROUP, rows / (KH * KW));
        UNROLL for (uint i = 0; i < W_AHEAD; i++)
            if (e_w + i * GROUP < STEP * BM4) lw[e_w + i * GROUP] = w[i];
        UNROLL for (uint i = 0; i < X_AHEAD; i++) {
            const uint e = e_x + i * GROUP;
            if (e < CI * LINES * SPAN) lx[e + e / SPAN * (4 * LINE4 - SPAN)] = x[i];
        }
    }
}

INLINE void multiply(float4 *sums, __local const float4 *weights, __local const float4 *lines, int channels) {
    ROLLED for (int c = 0; c < channels; c++) {
        ROLLED for (int ky = 0; ky < KH; ky++) {
            float v[4 * PIECE4];
            UNROLL for (int i = 0; i < PIECE4; i++) vstore4(lines[ky * LINE4 + i], i, v);
            UNROLL for (int kx = 0; kx < KW; kx++) {
                const float4 pixels = (float4)(v[kx], v[kx + STRIDE], v[kx + 2 * STRIDE], v[kx + 3 * STRIDE]);
                ADD_PRODUCTS(weights, pixels)
                weights += BM4;
            }
        }
        lines += LINES * LINE4;
    }
}

/* Adds what rows from..to-1 of the weight, whole channels, are multiplied with. */
INLINE void add_rows(float4 *sums, source *s, __local float4 *lw, __local float4 *lx, int from, int to) {
    ROLLED for (int k0 = from; k0 < to; k0 += STEP) {
        const int rows = min(STEP, to - k0);
        LOCAL_BARRIER; /* the last step's are used up */
        load_step(s, lw, (__local float *)lx, rows);
        s->weights += STEP * BM4;
        s->x += CI * s->sizes.s1 * s->sizes.s2;
        LOCAL_BARRIER;
        multiply(sums, lw + s->own_w, lx + s->own_x, rows / (KH * KW));
    }
}
#endif

#ifdef KERNEL_columns
/* For any window: BK values of the input, one for each row of the weight, gathered for pixels that are counted through all
 * images. POINT where there is one tap: then rows are channels, and ALIGNED says that pixels may be read in vectors, too. */
#define BN (4 * TX)
#define X_VECTORS (BK * TX)

#if defined POINT && defined ALIGNED
#define PIECE float4
#define PIECES TX
#else
#define PIECE float
#define PIECES BN
#endif

#define NOWHERE (-(1 << 30)) /* two of it are outside of any image, too */

/* For row k of the weight: how far its values lie from those of the first row, and their lines and columns. */
INLINE int4 step_of(const source *s, int k) {
    const uint taps_x = (uint)s->sizes.s7, taps = (uint)s->sizes.s6 * taps_x, c = (uint)k / taps, tap = (uint)k - c * taps, ky = tap / taps_x;
    const int y = (int)ky * (int)s->window.s2, x = (int)(tap - ky * taps_x) * (int)s->window.s3;
    return (int4)(((int)c * s->height + y) * s->width + x, k < s->rows ? y : NOWHERE, x, 0);
}

/* The value of a step's row k. */
INLINE PIECE gathered(const source *s, int k, int rows) {
#ifndef POINT
    const int4 step = s->steps[k];
    return (uint)(s->y + step.y) < (uint)s->height && (uint)(s->at + step.z) < (uint)s->width ? LOAD_1(s->x + step.x) : 0.0f;
#elif defined ALIGNED
    return s->y != NOWHERE && k < rows ? LOAD_4(s->x + k * s->sizes.s1 * s->sizes.s2) : (float4)(0.0f);
#else
    return s->y != NOWHERE && k < rows ? load_at(s->x, (uint)(k * s->height * s->width)) : 0.0f;
#endif
}

INLINE void add_rows(float4 *sums, source *s, __local float4 *lw, __local float4 *lx, int from, int to) {
    ROLLED for (int k0 = from; k0 < to; k0 += STEP) {
        const int rows = min(STEP, to - k0);
        LOCAL_BARRIER; /* the last step's are used up */
        UNROLL for (uint i = 0; i < W_LOADS; i++) {
            const uint e = s->t + i * GROUP;
            if (e < STEP * BM4) lw[e] = e < (uint)rows * BM4 ? s->weights[e] : (float4)(0.0f);
        }
        UNROLL for (uint i = 0; i < BK * PIECES / GROUP; i++) {
            const uint e = s->t + i * GROUP;
            ((__local PIECE *)lx)[e] = gathered(s, (int)(e / PIECES), rows);
        }
        s->weights += STEP * BM4;
        LOCAL_BARRIER;
#ifdef POINT
        s->x += STEP * s->sizes.s1 * s->sizes.s2;
#else
        if (s->t < BK) s->steps[s->t] = step_of(s, k0 + BK + (int)s->t);
#endif
        __local const float4 *weights = lw + s->own_w, *columns = lx + s->own_x;
        _Pragma("unroll 4") for (int k = 0; k < BK; k++) {
            const float4 pixels = columns[k * TX];
            ADD_PRODUCTS(weights, pixels)
            weights += BM4;
        }
    }
}
#endif

INLINE void sum_up(float4 *sums, source *s, __local float4 *lw, __local float4 *lx, int part) {
    CLEAR(sums);
#ifdef LONG
    ROLLED for (int from = 0; from < s->rows; from += part) {
        float4 some[4 * RM];
        CLEAR(some);
        add_rows(some, s, lw, lx, from, min(s->rows, from + part));
        UNROLL for (int i = 0; i < 4 * RM; i++) sums[i] += some[i];
    }
#else
    add_rows(sums, s, lw, lx, 0, s->rows);
#endif
}

#define CHANNEL(i) ((i) / 4 * TY * 4 + (int)ty * 4 + (i) % 4)

/* Writes the `left` first of an item's pixels, which lie at `to` in the planes of the group's channels, `outputs` of which exist. */
INLINE void finish(float4 *sums, __global const float *bias, __global STORED *out, const long *to, int left, uint ty, int outputs, long out_plane) {
    if (bias) UNROLL for (int i = 0; i < 4 * RM; i++) sums[i] += bias[min(CHANNEL(i), outputs - 1)];
    UNROLL for (int i = 0; i < 4 * RM; i++) {
        if (CHANNEL(i) >= outputs) continue;
        const float4 v = sums[i];
        __global STORED *own = out + CHANNEL(i) * out_plane;
#ifdef ALIGNED
        if (left > 0) STORE_4(((float4)(ACTIVATE(v.x), ACTIVATE(v.y), ACTIVATE(v.z), ACTIVATE(v.w))), own + to[0]);
#else
        if (left > 0) STORE_1(ACTIVATE(v.x), own + to[0]);
        if (left > 1) STORE_1(ACTIVATE(v.y), own + to[1]);
        if (left > 2) STORE_1(ACTIVATE(v.z), own + to[2]);
        if (left > 3) STORE_1(ACTIVATE(v.w), own + to[3]);
#endif
    }
}

/* The same for all items of a group: which channels it computes, and from what. */
#define BEGIN                                                                                                          \
    __local float4 lw[STEP * BM4], lx[X_VECTORS];                                                                      \
    const uint t = get_local_id(0), ty = t / TX, tx = t - ty * TX, block = get_group_id(1), group = block / (uint)BLOCKS; \
    const int first = (int)(block - group * (uint)BLOCKS) * BM;                                                        \
    const long o0 = group * sizes.s3 + first, in_planes = GROUPS * sizes.s0 * sizes.s1 * sizes.s2, out_plane = sizes.s4 * sizes.s5; \
    source s;                                                                                                          \
    s.sizes = sizes, s.window = window;                                                                                \
    s.height = (int)sizes.s1, s.width = (int)sizes.s2, s.rows = (int)(sizes.s0 * sizes.s6 * sizes.s7);                 \
    s.weights = (__global const float4 *)(packed + packed_offset) + (long)block * s.rows * BM4;                        \
    s.x = x + x_offset + group * sizes.s0 * sizes.s1 * sizes.s2;                                                       \
    s.t = t, s.own_w = ty;                                                                                             \
    out += out_offset + o0 * out_plane;                                                                                \
    if (bias) bias += bias_offset + o0;

#define TILED(name) __kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void name(IN_STORED(x), IN(packed), IN(bias), OUT_STORED(out), const long8 sizes, const long8 window, const long4 cut)

#ifdef KERNEL_tile
TILED(tile) {
    BEGIN
    const uint out_width = (uint)sizes.s5, across = (out_width + COLS - 1) / COLS, number = get_group_id(0), down = number / across;
    const uint line = tx / (COLS / 4), piece = tx - line * (COLS / 4), oy0 = down * ROWS, ox0 = (number - down * across) * COLS, oy = oy0 + line, ox = ox0 + 4 * piece;
    const long image = get_group_id(2);
    s.y = (int)oy0 * STRIDE - (int)window.s4;
    s.at = (int)ox0 * STRIDE - (int)window.s5;
    s.x += image * in_planes;
    s.own_x = line * (STRIDE * LINE4) + piece * STRIDE;
    float4 sums[4 * RM];
    sum_up(sums, &s, lw, lx, (int)cut.s3);
    long to[4];
    UNROLL for (uint j = 0; j < 4; j++) to[j] = oy * out_width + ox + j;
    out += image * GROUPS * sizes.s3 * out_plane;
    finish(sums, bias, out, to, oy < (uint)sizes.s4 ? (int)out_width - (int)ox : 0, ty, (int)sizes.s3 - first, out_plane);
}
#endif

#ifdef KERNEL_columns
TILED(columns) {
    BEGIN
    const uint n0 = (uint)get_group_id(0) * BN, pixels = (uint)(cut.s2 * out_plane), out_size = (uint)out_plane, out_width = (uint)sizes.s5;
    const uint n = n0 + t % PIECES * (BN / PIECES), image = n / out_size, pixel = n - image * out_size, oy = pixel / out_width;
    const int y = (int)oy * (int)window.s0 - (int)window.s4;
    s.at = (int)(pixel - oy * out_width) * (int)window.s1 - (int)window.s5;
    s.x += image * in_planes + (y * s.width + s.at);
    s.own_x = tx;
#ifdef POINT
    s.y = n < pixels && (uint)y < (uint)s.height && (uint)s.at < (uint)s.width ? y : NOWHERE;
#else
    __local int4 steps[BK];
    s.y = n < pixels ? y : NOWHERE;
    s.steps = steps;
    if (t < BK) steps[t] = step_of(&s, (int)t);
#endif
    float4 sums[4 * RM];
    sum_up(sums, &s, lw, lx, (int)cut.s3);
    long to[4];
    UNROLL for (uint j = 0; j < 4; j++) {
        const uint own = n0 + 4 * tx + j, own_image = own / out_size;
        to[j] = own_image * GROUPS * sizes.s3 * out_plane + (own - own_image * out_size);
    }
    finish(sums, bias, out, to, (int)(pixels - n0) - 4 * (int)tx, ty, (int)sizes.s3 - first, out_plane);
}
#endif
#endif

#ifdef KERNEL_direct
/* Without local memory: an item computes -DOUTPUTS channels of DOWN pixels, one below the other, so that neighbours read what
 * lies beside each other; what is read again comes from the caches. With -DKH, STRIDE it takes a column of the input once
 * for the taps of all its pixels. The weight is packed with a row of OUTPUTS channels for each input channel and tap. */
#define DOWN 4
#define UNDER ((DOWN - 1) * STRIDE + KH)
#if OUTPUTS == 1
#define CHANNELS float
#elif OUTPUTS == 2
#define CHANNELS float2
#else
#define CHANNELS float4
#endif
#define PART 16 /* input channels whose products are summed by themselves */

__kernel void direct(IN_STORED(x), IN(weight), IN(bias), OUT_STORED(out), const long8 sizes, const long8 window, const long4 cut) {
    const int height = (int)sizes.s1, width = (int)sizes.s2, out_height = (int)sizes.s4, out_width = (int)sizes.s5;
    const uint n = get_global_id(0), line = n / (uint)out_width, block = get_group_id(1), group = block / (uint)BLOCKS;
    const int oy = (int)line * DOWN, ox = (int)(n - line * (uint)out_width);
    if (oy >= out_height) return;
    const int y0 = oy * (int)window.s0 - (int)window.s4, x0 = ox * (int)window.s1 - (int)window.s5;
    const int inputs = (int)sizes.s0, first = (int)(block - group * (uint)BLOCKS) * OUTPUTS, outputs = (int)sizes.s3 - first, taps_y = (int)sizes.s6, taps_x = (int)sizes.s7;
    const long image = get_group_id(2), plane = sizes.s1 * sizes.s2, out_plane = sizes.s4 * sizes.s5, o0 = group * sizes.s3 + first;
    __global const CHANNELS *w = (__global const CHANNELS *)(weight + weight_offset) + (long)block * inputs * taps_y * taps_x;
    x += x_offset + (image * GROUPS + group) * inputs * plane;
#ifdef KH
    uint lines[UNDER];
    UNROLL for (int i = 0; i < UNDER; i++) lines[i] = (uint)(clamp(y0 + i, 0, height - 1) * width);
#endif
    CHANNELS sums[DOWN];
    UNROLL for (int j = 0; j < DOWN; j++) sums[j] = (CHANNELS)(0.0f);
    for (int c0 = 0; c0 < inputs; c0 += PART) {
        CHANNELS part[DOWN];
        UNROLL for (int j = 0; j < DOWN; j++) part[j] = (CHANNELS)(0.0f);
        ROLLED for (int c = c0; c < min(inputs, c0 + PART); c++) {
#ifdef KH
            ROLLED for (int kx = 0; kx < taps_x; kx++) {
                const int at = x0 + kx;
                const uint column = (uint)clamp(at, 0, width - 1);
                const bool inside = at == (int)column;
                float v[UNDER];
                UNROLL for (int i = 0; i < UNDER; i++) {
                    const float own = load_at(x, lines[i] + column);
                    v[i] = inside && (uint)(y0 + i) < (uint)height ? own : 0.0f;
                }
                UNROLL for (int ky = 0; ky < KH; ky++) UNROLL for (int j = 0; j < DOWN; j++) part[j] = fma((CHANNELS)(v[j * STRIDE + ky]), w[ky * taps_x + kx], part[j]);
            }
#else
            ROLLED for (int ky = 0; ky < taps_y; ky++)
                ROLLED for (int kx = 0; kx < taps_x; kx++) {
                    const int y = y0 + ky * (int)window.s2, at = x0 + kx * (int)window.s3;
                    UNROLL for (int j = 0; j < DOWN; j++) {
                        const int own = y + j * (int)window.s0;
                        const float v = (uint)at < (uint)width && (uint)own < (uint)height ? load_at(x, (uint)(own * width + at)) : 0.0f;
                        part[j] = fma((CHANNELS)(v), w[ky * taps_x + kx], part[j]);
                    }
                }
#endif
            x += plane;
            w += taps_y * taps_x;
        }
        UNROLL for (int j = 0; j < DOWN; j++) sums[j] += part[j];
    }
    out += out_offset + (image * GROUPS * sizes.s3 + o0) * out_plane + (oy * out_width + ox);
    if (bias) bias += bias_offset + o0;
    UNROLL for (int j = 0; j < DOWN; j++) {
        if (oy + j >= out_height) continue;
#define STORE_CHANNEL(v, o)                                                                                            \
    if (o < outputs) STORE_1(ACTIVATE(v + (bias ? bias[o] : 0.0f)), out + (o * out_plane + j * out_width));
#if OUTPUTS == 1
        STORE_CHANNEL(sums[j], 0)
#else
        STORE_CHANNEL(sums[j].s0, 0)
        STORE_CHANNEL(sums[j].s1, 1)
#endif
#if OUTPUTS == 4
        STORE_CHANNEL(sums[j].s2, 2)
        STORE_CHANNEL(sums[j].s3, 3)
#endif
    }
}
#endif
