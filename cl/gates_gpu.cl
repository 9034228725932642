#include "common.cl"
#include "lanes.cl"
#include "quads.cl"

/* What the gates of squeeze-and-excitation and CBAM need on GPUs beside planes_gpu.cl: the layers of the channel gate, and the
 * convolution of the maps with the product by both gates. -DGROUP: the items of a group. */

#define ROLLED _Pragma("unroll 1")

#ifdef KERNEL_layer
/* -DROWS by -DIMAGES sums are an item's at a time, so that what it reads serves several. */
#define SUMS (ROWS * IMAGES)

/* values[image][row] = sum over the pools of act(w[row] . in[image][pool] + times * bias[row]), -DACT. `lanes` items (at least
 * SUMS, a power of two) share the terms of the sums; a group has GROUP / lanes of such tiles, `row_tiles` of them side by side. Rows
 * and images that are not there are the last ones. in and w have at most 2^30 elements. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void layer(IN(in), IN(w), IN(bias), OUT(values), const int images, const int pool_count, const int length, const int rows, const int row_tiles, const float times, const int lanes) {
    __local float shared[SUMS * GROUP];
    const uint t = (uint)get_local_id(0), lane = lane_of(lanes), tile = (uint)get_group_id(0) * (GROUP / (uint)lanes) + t / (uint)lanes, down = tile / (uint)row_tiles;
    const int row = (int)(tile - down * (uint)row_tiles) * ROWS, image = (int)down * IMAGES;
    const int terms = image < images ? length : 0;
    /* The sum that the item finishes. */
    const int own_row = row + (int)lane % ROWS, own_image = image + (int)lane / ROWS;
    const bool finishes = lane < SUMS && own_row < rows && own_image < images;
    const float shift = bias && finishes ? times * bias[bias_offset + own_row] : 0.0f;
    float value = 0;
    SHIFT(in);
    SHIFT(w);
    for (int pool = 0; pool < pool_count; pool++) {
        float sums[SUMS];
        UNROLL for (int s = 0; s < SUMS; s++) sums[s] = 0;
        for (int c = (int)lane; c < terms; c += lanes) {
            float a[ROWS], b[IMAGES];
            UNROLL for (int r = 0; r < ROWS; r++) a[r] = NEAR_FLOAT(w, (uint)min(row + r, rows - 1) * (uint)length + (uint)c);
            UNROLL for (int i = 0; i < IMAGES; i++) b[i] = NEAR_FLOAT(in, ((uint)min(image + i, images - 1) * (uint)pool_count + (uint)pool) * (uint)length + (uint)c);
            UNROLL for (int s = 0; s < SUMS; s++) sums[s] = fma(a[s % ROWS], b[s / ROWS], sums[s]);
        }
        UNROLL for (int s = 0; s < SUMS; s++) shared[s * GROUP + t] = sums[s];
        for (uint width = (uint)lanes / 2; width > 0; width /= 2) {
            LANES_BARRIER;
            if (lane < width) UNROLL for (int s = 0; s < SUMS; s++) shared[s * GROUP + t] += shared[s * GROUP + t + width];
        }
        LANES_BARRIER;
        if (finishes) value += activate(shared[lane * GROUP + t - lane] + shift, ACT);
        LANES_BARRIER;
    }
    if (finishes) values[values_offset + (long)own_image * rows + own_row] = value;
}
#endif

#ifdef KERNEL_finish
/* A group has a tile of WIDE x (TALL * DOWN) pixels, of which an item has DOWN one below the other, and `share` channels, which
 * BESIDE items take in turns, with -DGATED and -DK at most GROUP (no barrier comes after the sums: Intel's compiler for CPUs loses
 * them at one in a loop). -DK: the convolution's size, whose maps then stand in local memory with a halo of K / 2; without it
 * they are read where they are. -DGATED: there is a channel gate. */
#define BESIDE (GROUP / (WIDE * TALL))
#define AT_ONCE (8 / DOWN) /* channels */
#define OPTIONAL(p, other) ((p) ? (p)[p##_offset] : (other))
/* Where maps are copied to local memory, gates are too. */
#if defined GATED && defined K
#define NEAR_GATES
#define GATES __local const float *
#else
#define GATES __global const float *
#endif
#ifdef NEAR_GATES
#define TIMES_GATE(v, c) ((v) * gate[c])
#elif defined GATED
#define TIMES_GATE(v, c) ((v) * NEAR_FLOAT(gate, c))
#else
#define TIMES_GATE(v, c) (v)
#endif

#ifdef K
#define PITCH (WIDE + K - 1)
#define HEIGHT (TALL * DOWN + K - 1)

/* What both maps have around the tile; zeros around the image. An item reads two rows of both before it puts them away. */
INLINE void fill_maps(__local float *tile, __global const float *maps, int top, int left, int height, int width) {
    const int column = (int)((uint)get_local_id(0) % WIDE), row = (int)((uint)get_local_id(0) / WIDE), step = GROUP / WIDE;
    for (int i = column; i < PITCH; i += WIDE)
        for (int j = row; j < HEIGHT; j += 2 * step) {
            const int x = left + i;
            float v[4];
            UNROLL for (int k = 0; k < 4; k++) {
                const int y = top + j + k / 2 * step;
                v[k] = y >= 0 && y < height && x >= 0 && x < width ? maps[(k % 2 * height + y) * width + x] : 0.0f;
            }
            UNROLL for (int k = 0; k < 4; k++)
                if (j + k / 2 * step < HEIGHT) tile[(k % 2 * HEIGHT + j + k / 2 * step) * PITCH + i] = v[k];
        }
}

/* The rows of a column serve several taps and pixels from registers. */
INLINE void convolve(__local const float *tile, __local const float *taps, float *sums) {
    for (int map = 0; map < 2; map++)
        ROLLED for (int i = 0; i < K; i++) {
            __local const float *p = tile + map * HEIGHT * PITCH + i, *tap = taps + map * K * K + i;
            UNROLL for (int k = 0; k < K; k++)
                UNROLL for (int j = 0; j < DOWN; j++) sums[j] = fma(tap[k * K], p[(j + k) * PITCH], sums[j]);
        }
}
#else
INLINE void convolve_far(__global const float *maps, __global const float *weight, int k, int top, int left, int height, int width, float *sums) {
    for (int map = 0; map < 2; map++)
        for (int n = 0; n < k; n++)
            for (int i = 0; i < k; i++) {
                const float tap = weight[(map * k + n) * k + i];
                const int x = left + i;
                UNROLL for (int j = 0; j < DOWN; j++) {
                    const int y = top + n + j;
                    if (y >= 0 && y < height && x >= 0 && x < width) sums[j] = fma(tap, maps[(map * height + y) * width + x], sums[j]);
                }
            }
}
#endif

/* x and out of an image, in which the item's pixels begin at `pixel` of a plane; `rows` of the DOWN exist. The channels are those
 * from `first` to `last`, whose gates are `gate`'s. */
#define SPOT(i, j) ((uint)(c + (i) * BESIDE) * plane + (pixel + (j) * width))
INLINE void apply(__global const STORED *x, GATES gate, __global STORED *out, const float *spatial, int first, int last, int own, uint plane, uint width, uint pixel, int rows) {
    for (int c = first + own; c < last; c += AT_ONCE * BESIDE) {
        float v[AT_ONCE * DOWN];
        UNROLL for (int i = 0; i < AT_ONCE; i++)
            UNROLL for (int j = 0; j < DOWN; j++) v[i * DOWN + j] = j < rows && c + i * BESIDE < last ? LOAD_1(NEAR(x, SPOT(i, j))) : 0.0f;
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            if (c + i * BESIDE < last) {
                UNROLL for (int j = 0; j < DOWN; j++)
                    if (j < rows) STORE_1(TIMES_GATE(v[i * DOWN + j], c + i * BESIDE - first) * spatial[j], NEAR_OUT(out, SPOT(i, j)));
            }
        }
    }
}

/* The spatial gate of maps [B][2][H][W], then out = x * channel gate * spatial gate. `tiles` = across, down; out or spatial_gate may be
 * missing. Groups go over tiles, then over the shares of the channels, then over images. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(IN_STORED(x), IN(gate), IN(maps), IN(weight), IN(gamma), IN(beta), IN(mean), IN(var), OUT_STORED(out), OUT(spatial_gate), const float eps, const int channels, const int height, const int width, const int k, const int tiles_across, const int tiles_down, const int shares, const int share) {
    const uint t = (uint)get_local_id(0), row = (uint)get_group_id(0) / (uint)tiles_across, block = row / (uint)tiles_down, image = block / (uint)shares;
    const int left = (int)((uint)get_group_id(0) - row * (uint)tiles_across) * WIDE, top = (int)(row - block * (uint)tiles_down) * TALL * DOWN;
    const int column = (int)(t % WIDE), place = (int)(t / WIDE % TALL) * DOWN, own = (int)(t / (WIDE * TALL));
    const int px = left + column, py = top + place, rows = px < width ? height - py : 0, first = (int)(block - image * (uint)shares) * share;
    const long plane = (long)height * width;
    const int pixel = py * width + px;
    float spatial[DOWN];
    UNROLL for (int j = 0; j < DOWN; j++) spatial[j] = 0;
    maps += maps_offset + image * 2 * plane;
    SHIFT(weight);
#ifdef K
    __local float tile[2 * HEIGHT * PITCH], taps[2 * K * K];
    fill_maps(tile, maps, top - K / 2, left - K / 2, height, width);
    for (int i = (int)t; i < 2 * K * K; i += GROUP) taps[i] = weight[i];
#ifdef NEAR_GATES
    __local float gates[GROUP];
    if (out && first + (int)t < channels) gates[t] = gate[gate_offset + (long)image * channels + first + (int)t];
#endif
    LANES_BARRIER;
    convolve(tile + place * PITCH + column, taps, spatial);
#else
    convolve_far(maps, weight, k, py - k / 2, px - k / 2, height, width, spatial);
#endif
    const float scale = var ? OPTIONAL(gamma, 1.0f) / sqrt(var[var_offset] + eps) : 1.0f, centre = OPTIONAL(mean, 0.0f), shift = OPTIONAL(beta, 0.0f);
    UNROLL for (int j = 0; j < DOWN; j++) spatial[j] = sigmoid_1((spatial[j] - centre) * scale + shift);
    if (spatial_gate && first == 0 && own == 0) {
        spatial_gate += spatial_gate_offset + image * plane + pixel;
        UNROLL for (int j = 0; j < DOWN; j++)
            if (j < rows) spatial_gate[j * width] = spatial[j];
    }
    if (!out) return;
    x += x_offset + image * channels * plane;
    out += out_offset + image * channels * plane;
    const int last = min(channels, first + share);
#ifdef NEAR_GATES
    apply(x, gates, out, spatial, first, last, own, (uint)plane, (uint)width, (uint)pixel, rows);
#else
#ifdef GATED
    gate += gate_offset + (long)image * channels + first;
#endif
    apply(x, gate, out, spatial, first, last, own, (uint)plane, (uint)width, (uint)pixel, rows);
#endif
}
#endif
