#include "common.cl"

/* Squeeze-and-excitation and CBAM for CPUs: every kernel is a work-group of one with float16 vectors.
 * -DCHANNEL: there is a channel gate; -DSPATIAL: a spatial one; -DSPECIAL: the lp or the lse pool is used; -DSTREAM: `out` is large enough to bypass the cache.
 * Images are x[C][plane], plane = H * W. Gates and pools lie in global memory, which on a CPU is as near as any.
 *
 * The pair of maps that the convolution reads is padded: [2][slice], slice = rows * pitch, with k / 2 zeros before each
 * row and column and enough after them for whole vectors and blocks of ROWS rows. */

#ifndef STRIP
#define STRIP 1024 /* pixels whose maximum and sum over the channels stay in L1 */
#endif
#define DEPTH 8 /* channels added to a strip at once; a multiple of 4 */
#ifndef POOL_BLOCK
#define POOL_BLOCK 16384 /* elements of one serial sum; a multiple of 64 */
#endif
#define ROWS 4 /* of the spatial gate, convolved together */

/* Pools of an image: [POOLS][C] in the order of clattn_pool_kind; `kinds` has a bit for each one used. */
#ifdef SPECIAL
#define PLANES_VECTORS
#include "planes.cl"
#define POOLS 4
#else
#define POOLS 2
#endif

#include "stream.cl"

/* ---- Pools ---- */

/* Sum and maximum of at most POOL_BLOCK elements; the maximum may miss a NaN. */
INLINE float pool_block(__global const STORED *x, int n, float *largest) {
    float16 s[4], m[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
        s[j] = (float16)(0.0f);
        m[j] = (float16)(-INFINITY);
    }
    int i = 0;
    for (; i + 64 <= n; i += 64) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float16 v = LOAD_16(x + i + 16 * j);
            PREFETCH(x + i + 16 * j + FETCHED_AHEAD);
            s[j] += v;
            m[j] = VMAX(m[j], v);
        }
    }
    for (; i + 16 <= n; i += 16) {
        const float16 v = LOAD_16(x + i);
        s[0] += v;
        m[0] = VMAX(m[0], v);
    }
    if (i < n && n >= 16) { /* the last 16, of which the sum has some already */
        const float16 v = LOAD_16(x + n - 16);
        s[1] += select((float16)(0.0f), v, lanes16() >= (int16)(16 - (n - i)));
        m[1] = VMAX(m[1], v);
        i = n;
    }
    float sum = sum16((s[0] + s[1]) + (s[2] + s[3]));
    float top = max16(VMAX(VMAX(m[0], m[1]), VMAX(m[2], m[3])));
    for (; i < n; i++) {
        const float v = LOAD_1(x + i);
        sum += v;
        top = VMAX(top, v);
    }
    *largest = top;
    return sum;
}

INLINE float max_or_nan(__global const STORED *x, long n) {
    float top = -INFINITY;
    for (long i = 0; i < n; i++) {
        const float v = LOAD_1(x + i);
        top = v > top || isnan(v) ? v : top;
    }
    return top;
}

/* The pools of a plane, `channels` apart. A NaN anywhere makes the sum NaN, so only then the maximum looks for it. */
INLINE void pool_plane(__global const STORED *x, long n, __global float *pools, long channels) {
    float sum = 0, top = -INFINITY;
    for (long at = 0; at < n; at += POOL_BLOCK) {
        float block_top;
        sum += pool_block(x + at, (int)min((long)POOL_BLOCK, n - at), &block_top);
        top = VMAX(top, block_top);
    }
    pools[0] = sum / (float)n;
    pools[channels] = isnan(sum) ? max_or_nan(x, n) : top;
#ifdef SPECIAL
    pools[2 * channels] = plane_lp(x, n);
    pools[3 * channels] = plane_lse(x, n);
#endif
}

/* ---- The channel gate's two layers ---- */

/* The products of the row with `pools` vectors, `apart` from each other. */
INLINE void dot_pools(__global const float *row, __global const float *vectors, long apart, long n, float *sums) {
    float16 s[POOLS][2];
#pragma unroll
    for (int k = 0; k < POOLS; k++) s[k][0] = s[k][1] = (float16)(0.0f);
    long i = 0;
    for (; i + 32 <= n; i += 32) {
        const float16 a = vload16(0, row + i), b = vload16(1, row + i);
#pragma unroll
        for (int k = 0; k < POOLS; k++) {
            s[k][0] = fma(a, vload16(0, vectors + k * apart + i), s[k][0]);
            s[k][1] = fma(b, vload16(1, vectors + k * apart + i), s[k][1]);
        }
    }
    for (; i < n; i += 16) {
        const int rest = (int)min(16L, n - i);
        const float16 a = load_some(row + i, rest, 0.0f);
#pragma unroll
        for (int k = 0; k < POOLS; k++) s[k][0] = fma(a, load_some(vectors + k * apart + i, rest, 0.0f), s[k][0]);
    }
#pragma unroll
    for (int k = 0; k < POOLS; k++) sums[k] = sum16(s[k][0] + s[k][1]);
}

INLINE float dot_rows(__global const float *a, __global const float *b, long n) {
    float16 s = (float16)(0.0f), t = s;
    long i = 0;
    for (; i + 32 <= n; i += 32) {
        s = fma(vload16(0, a + i), vload16(0, b + i), s);
        t = fma(vload16(1, a + i), vload16(1, b + i), t);
    }
    for (; i + 16 <= n; i += 16) s = fma(vload16(0, a + i), vload16(0, b + i), s);
    float sum = n >= 16 ? sum16(s + t) : 0;
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* The hidden values of the pools summed: the second layer is linear. */
INLINE float hidden_value(__global const float *pools, long channels, int kinds, __global const float *row, float bias, int activation) {
    float sum = 0, sums[POOLS];
    dot_pools(row, pools, channels, channels, sums);
    for (int k = 0; k < POOLS; k++)
        if (kinds >> k & 1) sum += activate(sums[k] + bias, activation);
    return sum;
}

/* The gates of `n` channels (at most 16). The second layer's bias counts once for each pool. */
INLINE void channel_gates(__global const float *hidden, long hidden_count, int kinds, __global const float *rows, __global const float *bias, int n, int gate, __global float *to) {
    float sums[16];
    for (int i = 0; i < n; i++) sums[i] = dot_rows(rows + i * hidden_count, hidden, hidden_count) + (bias ? (float)popcount(kinds) * bias[i] : 0.0f);
    ROLL for (int i = n; i < 16; i++) sums[i] = 0.0f;
    const float16 v = activate_16(vload16(0, sums), gate);
    if (n == 16) vstore16(v, 0, to);
    else store_some(v, n, to);
}

/* ---- Maximum and mean over the channels ---- */

#ifdef CHANNEL
#define REFINED(v, c) ((v) * gate[c])
#define SCALED(v, c) ((v) * scale[c])
#else
#define REFINED(v, c) (v)
#define SCALED(v, c) (v)
#endif

/* Sixteen pixels, through all channels; a NaN wins. */
INLINE void reduce_vector(__global const STORED *x, __global const float *gate, long channels, long plane, float *largest, float *sums) {
    float16 m = (float16)(-INFINITY), s = (float16)(0.0f);
    for (long c = 0; c < channels; c++) {
        const float16 v = REFINED(LOAD_16(x + c * plane), c);
        m = select(m, v, v > m || isnan(v));
        s += v;
    }
    vstore16(m, 0, largest);
    vstore16(s, 0, sums);
}

INLINE void reduce_pixel(__global const STORED *x, __global const float *gate, long channels, long plane, float *largest, float *sums) {
    float m = -INFINITY, s = 0;
    for (long c = 0; c < channels; c++) {
        const float v = REFINED(LOAD_1(x + c * plane), c);
        m = v > m || isnan(v) ? v : m;
        s += v;
    }
    *largest = m;
    *sums = s;
}

/* Adds `depth` channels (1 or a multiple of 4) to a strip of n >= 16 pixels, whose last vector may overlap the one before; the maximum
 * may miss a NaN. */
INLINE void reduce_channels(__global const STORED *x, __global const float *gate, int depth, long plane, int n, float *largest, float *sums) {
#ifdef CHANNEL
    float scale[DEPTH];
#pragma unroll
    for (int c = 0; c < depth; c++) scale[c] = gate[c];
#endif
    for (int i = 0; 16 * i < n; i++) {
        __global const STORED *p = x + min(16 * i, n - 16);
        float16 m = vload16(i, largest), s = vload16(i, sums);
        if (depth == 1) {
            const float16 v = SCALED(LOAD_16(p), 0);
            m = VMAX(m, v);
            s += v;
        }
#pragma unroll
        for (int c = 0; c + 4 <= depth; c += 4) {
            const float16 v0 = SCALED(LOAD_16(p + c * plane), c), v1 = SCALED(LOAD_16(p + (c + 1) * plane), c + 1);
            const float16 v2 = SCALED(LOAD_16(p + (c + 2) * plane), c + 2), v3 = SCALED(LOAD_16(p + (c + 3) * plane), c + 3);
            const float16 m01 = VMAX(v0, v1), m23 = VMAX(v2, v3), top = VMAX(m01, m23);
            m = VMAX(m, top);
            s += (v0 + v1) + (v2 + v3);
        }
        vstore16(m, i, largest);
        vstore16(s, i, sums);
    }
}

/* A strip of n <= STRIP pixels. The last channels come first: they were read last. */
INLINE void reduce_strip(__global const STORED *x, __global const float *gate, long channels, long plane, int n, float *largest, float *sums) {
    float ignored[16];
    if (n < 16) {
        for (int i = 0; i < n; i++) reduce_pixel(x + i, gate, channels, plane, largest + i, sums + i);
        return;
    }
    const int vectors = (n + 15) / 16;
    for (int i = 0; i < vectors; i++) {
        vstore16((float16)(-INFINITY), i, largest);
        vstore16((float16)(0.0f), i, sums);
    }
    long c = channels;
    for (; c >= DEPTH; c -= DEPTH) reduce_channels(x + (c - DEPTH) * plane, gate + c - DEPTH, DEPTH, plane, n, largest, sums);
    for (; c > 0; c--) reduce_channels(x + (c - 1) * plane, gate + c - 1, 1, plane, n, largest, sums);
    for (int i = 0; i < vectors; i++)
        if (any(isnan(vload16(i, sums)))) reduce_vector(x + min(16 * i, n - 16), gate, channels, plane, largest + 16 * i, ignored);
    vstore16(vload16(vectors - 1, largest), 0, largest + n - 16);
    vstore16(vload16(vectors - 1, sums), 0, sums + n - 16);
}

/* Puts n values that begin at pixel `first` into a padded map, divided by `divisor`. */
INLINE void place(const float *from, int n, long first, long width, long pitch, float divisor, __global float *map) {
    for (int done = 0; done < n;) {
        const long pixel = first + done, column = pixel % width;
        const int run = (int)min((long)(n - done), width - column);
        __global float *to = map + pixel / width * pitch + column;
        int i = 0;
        for (; i + 16 <= run; i += 16) vstore16(vload16(0, from + done + i) / divisor, 0, to + i);
        for (; i < run; i++) to[i] = from[done + i] / divisor;
        done += run;
    }
}

/* The maps of pixels first..last-1; map_max and map_mean point to pixel 0. */
INLINE void reduce_pixels(__global const STORED *x, __global const float *gate, long channels, long plane, long width, long pitch, long first, long last, __global float *map_max, __global float *map_mean) {
    float largest[STRIP], sums[STRIP];
    const long strips = (last - first + STRIP - 1) / STRIP;
    const long each = strips ? ((last - first + strips - 1) / strips + 15) / 16 * 16 : 16;
    for (long at = first; at < last; at += each) {
        const int n = (int)min(each, last - at);
        reduce_strip(x + at, gate, channels, plane, n, largest, sums);
        place(largest, n, at, width, pitch, 1.0f, map_max);
        place(sums, n, at, width, pitch, (float)channels, map_mean);
    }
}

/* ---- The spatial gate ---- */

typedef struct normalization {
    float scale, mean, beta;
} normalization;

#define IN_NORM IN(gamma), IN(beta), IN(mean), IN(var), const float eps
#define OPTIONAL(p, other) ((p) ? (p)[p##_offset] : (other))
#define READ_NORM                                                                                                      \
    { var ? OPTIONAL(gamma, 1.0f) / sqrt(var[var_offset] + eps) : 1.0f, OPTIONAL(mean, 0.0f), OPTIONAL(beta, 0.0f) }

/* sigmoid_16 loses a NaN. */
INLINE float16 spatial_gate_vector(float16 v, normalization norm) {
    v = (v - norm.mean) * norm.scale + norm.beta;
    return select(sigmoid_16(v), v, isnan(v));
}

/* ROWS rows of 16 columns; maps: at the first tap of the first of them. */
INLINE void convolve(__global const float *maps, long pitch, long slice, __global const float *weight, int k, float16 sums[ROWS]) {
    float16 a[ROWS], b[ROWS];
#pragma unroll
    for (int j = 0; j < ROWS; j++) a[j] = b[j] = (float16)(0.0f);
    for (int y = 0; y < k; y++) {
        for (int i = 0; i < k; i++) {
            const float16 first = (float16)(weight[y * k + i]), second = (float16)(weight[(k + y) * k + i]);
            __global const float *p = maps + y * pitch + i;
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
                a[j] = fma(first, vload16(0, p + j * pitch), a[j]);
                b[j] = fma(second, vload16(0, p + j * pitch + slice), b[j]);
            }
        }
    }
#pragma unroll
    for (int j = 0; j < ROWS; j++) sums[j] = a[j] + b[j];
}

/* Rows first..last-1 of one image's gate. */
INLINE void spatial_gate_rows(__global const float *maps, long pitch, long slice, __global const float *weight, int k, normalization norm, long width, long first, long last, __global float *gate) {
    float16 sums[ROWS];
    for (long row = first; row < last; row += ROWS) {
        for (long column = 0; column < width; column += 16) {
            convolve(maps + row * pitch + column, pitch, slice, weight, k, sums);
            const int n = (int)min(16L, width - column);
            for (int j = 0; j < ROWS && row + j < last; j++) {
                const float16 v = spatial_gate_vector(sums[j], norm);
                __global float *to = gate + (row + j) * width + column;
                if (n == 16) vstore16(v, 0, to);
                else store_some(v, n, to);
            }
        }
    }
}

/* ---- Applying the gates ---- */

#ifdef SPATIAL
#define GATED(v, at) ((v) * spatial[at])
#define GATED_16(v, at) ((v) * vload16(0, spatial + (at)))
#else
#define GATED(v, at) (v)
#define GATED_16(v, at) (v)
#endif

INLINE void apply_plane(__global const STORED *x, __global STORED *out, float channel, __global const float *spatial, long n) {
    long i = 0;
#ifdef STREAM
    const long lead = min(n, (long)(-(ulong)(uintptr_t)out % 64 / sizeof(STORED)));
    for (; i < lead; i++) STORE_1(GATED(LOAD_1(x + i) * channel, i), out + i);
#endif
    for (; i + 64 <= n; i += 64) {
#pragma unroll
        for (int j = 0; j < 64; j += 16) STREAM_16(GATED_16(LOAD_16(x + i + j) * channel, i + j), out + i + j);
    }
    for (; i + 16 <= n; i += 16) STREAM_16(GATED_16(LOAD_16(x + i) * channel, i), out + i);
    if (i < n && n >= 16) { /* the last 16, some of them once more */
        STORE_16(GATED_16(LOAD_16(x + n - 16) * channel, n - 16), out + n - 16);
        return;
    }
    for (; i < n; i++) STORE_1(GATED(LOAD_1(x + i) * channel, i), out + i);
}

#ifdef CHANNEL
#define CHANNEL_GATE(c) channel_gate[c]
#else
#define CHANNEL_GATE(c) 1.0f
#endif

/* ---- One step a launch, for few or large images ---- */

/* Groups take `per_group` planes of x[total][plane], total = B * C; pools: [B][POOLS][C]. */
#ifdef KERNEL_pool
SINGLE void pool(IN_STORED(x), OUT(pools), const long total, const long channels, const long plane, const long per_group) {
    SHIFT(x);
    SHIFT(pools);
    const long first = get_group_id(0) * per_group, last = min(total, first + per_group);
    for (long i = first; i < last; i++) pool_plane(x + i * plane, plane, pools + i / channels * POOLS * channels + i % channels, channels);
}
#endif

/* Groups (which hidden values, image). */
#ifdef KERNEL_hidden
SINGLE void hidden(IN(pools), IN(w1), IN(b1), OUT(values), const long channels, const long count, const int kinds, const int activation, const long per_group) {
    SHIFT(pools);
    SHIFT(w1);
    SHIFT(values);
    const long image = get_group_id(1), first = get_group_id(0) * per_group, last = min(count, first + per_group);
    for (long r = first; r < last; r++) values[image * count + r] = hidden_value(pools + image * POOLS * channels, channels, kinds, w1 + r * channels, b1 ? b1[b1_offset + r] : 0.0f, activation);
}
#endif

/* Groups (which channels, image). */
#ifdef KERNEL_gate
SINGLE void gate(IN(hidden), IN(w2), IN(b2), OUT(channel_gate), const long channels, const long hidden_count, const int kinds, const int gate_kind, const long per_group) {
    SHIFT(hidden);
    SHIFT(w2);
    SHIFT(channel_gate);
    const long image = get_group_id(1), first = get_group_id(0) * per_group, last = min(channels, first + per_group);
    for (long c = first; c < last; c += 16) channel_gates(hidden + image * hidden_count, hidden_count, kinds, w2 + c * hidden_count, b2 ? b2 + b2_offset + c : 0, (int)min(16L, last - c), gate_kind, channel_gate + image * channels + c);
}
#endif

/* Groups (which pixels, image); the maps were filled with zeros. */
#ifdef KERNEL_reduce
SINGLE void reduce(IN_STORED(x), IN(channel_gate), OUT(maps), const long channels, const long plane, const long width, const long pitch, const long slice, const long pad, const int mean_first, const long per_group) {
    SHIFT(x);
#ifdef CHANNEL
    SHIFT(channel_gate);
#endif
    SHIFT(maps);
    const long image = get_group_id(1), first = get_group_id(0) * per_group, last = min(plane, first + per_group);
    __global float *map = maps + image * 2 * slice + pad * pitch + pad;
    reduce_pixels(x + image * channels * plane, channel_gate + image * channels, channels, plane, width, pitch, first, last, map + (mean_first ? slice : 0), map + (mean_first ? 0 : slice));
}
#endif

/* Groups (which rows, image). */
#ifdef KERNEL_spatial
SINGLE void spatial(IN(maps), IN(weight), IN_NORM, OUT(spatial_gate), const long height, const long width, const long pitch, const long slice, const int k, const long per_group) {
    SHIFT(maps);
    SHIFT(weight);
    SHIFT(spatial_gate);
    const normalization norm = READ_NORM;
    const long image = get_group_id(1), first = get_group_id(0) * per_group, last = min(height, first + per_group);
    spatial_gate_rows(maps + image * 2 * slice, pitch, slice, weight, k, norm, width, first, last, spatial_gate + image * height * width);
}
#endif

/* Groups take `per_group` planes of x[total][plane]. */
#ifdef KERNEL_apply
SINGLE void apply(IN_STORED(x), IN(channel_gate), IN(spatial_gate), OUT_STORED(out), const long total, const long channels, const long plane, const long per_group) {
    SHIFT(x);
#ifdef CHANNEL
    SHIFT(channel_gate);
#endif
#ifdef SPATIAL
    SHIFT(spatial_gate);
#endif
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(total, first + per_group);
    for (long i = first; i < last; i++) apply_plane(x + i * plane, out + i * plane, CHANNEL_GATE(i), spatial_gate + i / channels * plane, plane);
}
#endif

/* ---- All steps on one image: a group per image ----
 * Spatial gates are built and applied `band` rows at a time, so that these rows of all channels are still near the core when they are scaled. */

#ifdef KERNEL_image
#define UNTIL_CHANNEL_GATE 1
#define UNTIL_SPATIAL_GATE 2
/* The channels that were read last come first. */
#ifdef SPATIAL
#define NEAR(i, channels) (i)
#else
#define NEAR(i, channels) ((channels) - 1 - (i))
#endif

SINGLE void image(IN_STORED(x), IN(w1), IN(b1), IN(w2), IN(b2), IN(weight), IN_NORM, OUT_STORED(out), OUT(channel_gate), OUT(spatial_gate), OUT(pools), OUT(hidden), OUT(maps), const long channels, const long height, const long width,
                  const long hidden_count, const int k, const long pitch, const long slice, const int mean_first, const int kinds, const int activation, const int gate_kind, const int until, const long band) {
    const long n = get_group_id(0), plane = height * width;
    x += x_offset + n * channels * plane;
#ifdef CHANNEL
    SHIFT(w1);
    SHIFT(w2);
    channel_gate += channel_gate_offset + n * channels;
    pools += pools_offset + n * POOLS * channels;
    hidden += hidden_offset + n * hidden_count;
    for (long c = 0; c < channels; c++) pool_plane(x + c * plane, plane, pools + c, channels);
    for (long r = 0; r < hidden_count; r++) hidden[r] = hidden_value(pools, channels, kinds, w1 + r * channels, b1 ? b1[b1_offset + r] : 0.0f, activation);
    for (long c = 0; c < channels; c += 16) channel_gates(hidden, hidden_count, kinds, w2 + c * hidden_count, b2 ? b2 + b2_offset + c : 0, (int)min(16L, channels - c), gate_kind, channel_gate + c);
#endif
    if (until == UNTIL_CHANNEL_GATE) return;
#ifdef SPATIAL
    SHIFT(weight);
    spatial_gate += spatial_gate_offset + n * plane;
    maps += maps_offset + n * 2 * slice;
    const normalization norm = READ_NORM;
    for (long i = 0; i < 2 * slice; i += 16) vstore16((float16)(0.0f), 0, maps + i);
    __global float *map = maps + k / 2 * pitch + k / 2;
    long reduced = 0; /* rows whose maps are there */
#endif
    out += out_offset + n * channels * plane;
    for (long row = 0; row < height; row += band) {
        const long end = min(height, row + band), at = row * width;
#ifdef SPATIAL
        const long reach = min(height, end + k / 2);
        reduce_pixels(x, channel_gate, channels, plane, width, pitch, reduced * width, reach * width, map + (mean_first ? slice : 0), map + (mean_first ? 0 : slice));
        reduced = reach;
        spatial_gate_rows(maps, pitch, slice, weight, k, norm, width, row, end, spatial_gate);
        if (until == UNTIL_SPATIAL_GATE) continue;
#endif
        for (long i = 0; i < channels; i++) {
            const long c = NEAR(i, channels);
            apply_plane(x + c * plane + at, out + c * plane + at, CHANNEL_GATE(c), spatial_gate + at, (end - row) * width);
        }
    }
}
#endif
