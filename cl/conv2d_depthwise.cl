#include "common.cl"

/* Convolution of each channel by itself, stride 1, on CPUs: vectors along the rows, ROWS of them in registers, straight from x. */
#include "conv2d_parts.cl"

#define LOADED (ROWS + KH - 1)

/* ROWS x 16 outputs from the inputs at `at` on. They lie at (y, left) of a plane, whose rows are 0 outside of it; `inner`: no row is
 * outside, and no vector is outside of the tensor. */
INLINE void convolve(__global const float *x, long at, int y, int left, const float *w, int height, int width, bool inner, long count, float16 *acc) {
    UNROLL for (int i = 0; i < ROWS; i++) acc[i] = (float16)(0.0f);
#if KW <= 3
    UNROLL
#endif
    for (int kx = 0; kx < KW; kx++) {
        const int low = -left - kx, high = width - left - kx;
        float16 v[LOADED];
        UNROLL for (int r = 0; r < LOADED; r++) {
            const long from = at + r * (long)width + kx;
            if (inner) v[r] = select((float16)(0.0f), vload16(0, x + from), lanes16() >= low && lanes16() < high);
            else v[r] = y + r < 0 || y + r >= height ? (float16)(0.0f) : load_padded(x, from, low, high, count);
        }
        UNROLL for (int ky = 0; ky < KH; ky++) {
            const float16 s = (float16)(w[ky * KW + kx]);
            UNROLL for (int i = 0; i < ROWS; i++) acc[i] = fma(s, v[i + ky], acc[i]);
        }
    }
}

/* A row of outputs: 16, or the `width` that it has. What a short row's vector writes beyond it is written again by the rows below;
 * `left`: outputs from here to the plane's end. */
INLINE void store_row(float16 v, __global float *to, int width, long left) {
    if (width >= 16 || left >= 16) vstore16(v, 0, to);
    else store_some(v, width, to);
}

/* A work-group does `planes` planes of the output, one after the other. `count`: elements of x. */
SINGLE void depthwise(IN(x), IN(weight), IN(bias), OUT(out), const long8 sizes, const long8 window, const long multiplier, const long planes, const long total, const long count) {
    const int height = (int)IN_HEIGHT, width = (int)IN_WIDTH, out_height = (int)OUT_HEIGHT, out_width = (int)OUT_WIDTH;
    const long first = get_group_id(0) * planes, last = min(total, first + planes);
    SHIFT(x);
    for (long n = first; n < last; n++) {
        const long b = n / OUT_CHANNELS, o = n - b * OUT_CHANNELS, plane = (b * IN_CHANNELS + o / multiplier) * IN_HEIGHT * IN_WIDTH;
        const float shift = bias ? bias[bias_offset + o] : 0.0f;
        __global float *to = out + out_offset + n * OUT_HEIGHT * OUT_WIDTH;
        float w[KH * KW];
        for (int i = 0; i < KH * KW; i++) w[i] = weight[weight_offset + o * KH * KW + i];
        for (int row = 0; row < out_height; row += ROWS) {
            const int oy = max(min(row, out_height - ROWS), 0), y = oy - (int)window.s4;
            for (int col = 0; col < out_width; col += 16) {
                const int ox = max(min(col, out_width - 16), 0), left = ox - (int)window.s5;
                const long at = plane + (long)y * width + left, end = at + (long)(LOADED - 1) * width + KW + 15;
                float16 acc[ROWS];
                UNROLL for (int i = 0; i < ROWS; i++) {
                    PREFETCH(x + at + (long)(ROWS + i) * width);
                    PREFETCH(to + (long)(oy + ROWS + i) * out_width + ox);
                }
                if (y >= 0 && y + LOADED <= height && at >= 0 && end <= count) convolve(x, at, y, left, w, height, width, true, count, acc);
                else convolve(x, at, y, left, w, height, width, false, count, acc);
                UNROLL for (int i = 0; i < ROWS; i++)
                    if (oy + i < out_height) store_row(finish(acc[i], shift), to + (long)(oy + i) * out_width + ox, out_width, (long)(out_height - oy - i) * out_width);
            }
        }
    }
}
