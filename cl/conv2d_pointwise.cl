#include "common.cl"

/* 1x1 convolution on CPUs, a product of matrices: vectors along the pixels, straight from x and to out. */
#include "conv2d_parts.cl"

/* Adds to VECTORS vectors of 16 pixels of MR channels, whose sums are `pitch` vectors apart, the products of `depth` input channels; `at`: where
 * the vectors begin in a plane, `slot`: in a row of sums. Meanwhile the lines at `ahead` of `fetched` channels from first_fetched are fetched, and those of the first `written` channels at `out`. */
INLINE void accumulate(__global const float *x, __global const float *w, __local float *sums, const int *slot, const long *at, int pitch, int depth, long plane, bool first, __global const float *ahead, int first_fetched, uint fetched, __global float *out, int written) {
    float16 acc[MR][VECTORS];
    UNROLL for (int i = 0; i < MR; i++)
        UNROLL for (int j = 0; j < VECTORS; j++) acc[i][j] = (float16)(0.0f);
    for (int k = 0; k < depth; k++, x += plane, w += MR) {
        float16 v[VECTORS];
        UNROLL for (int j = 0; j < VECTORS; j++) v[j] = vload16(0, x + at[j]);
        if ((uint)(k - first_fetched) < fetched)
            UNROLL for (int j = 0; j < VECTORS; j++) PREFETCH(ahead + k * plane + 16 * j);
        if (k < written)
            UNROLL for (int j = 0; j < VECTORS; j++) PREFETCH(out + k * plane + at[j]);
        UNROLL for (int i = 0; i < MR; i++)
            UNROLL for (int j = 0; j < VECTORS; j++) acc[i][j] = fma((float16)(w[i]), v[j], acc[i][j]);
    }
    UNROLL for (int i = 0; i < MR; i++) {
        UNROLL for (int j = 0; j < VECTORS; j++) {
            if (!first) acc[i][j] += vload16(i * pitch, sums + slot[j]);
        }
        UNROLL for (int j = 0; j < VECTORS; j++) vstore16(acc[i][j], i * pitch, sums + slot[j]);
    }
}

/* `packed` is [group][tile of MR channels][input channel][MR]. A group computes `vectors` vectors of pixels of some tiles of channels; the last vector of a plane overlaps the one before.
 * `cut` = vectors, channels a pass, groups, tiles of a group, tiles of a work-group. */
SINGLE void pointwise(IN(x), IN(packed), IN(bias), OUT(out), const long8 sizes, const long8 cut, __local float *sums) {
    const long plane = OUT_HEIGHT * OUT_WIDTH, groups = cut.s2, parts = (cut.s3 + cut.s4 - 1) / cut.s4;
    const long group = get_group_id(1) / parts, first_tile = (get_group_id(1) - group * parts) * cut.s4, last_tile = min(cut.s3, first_tile + cut.s4), b = get_group_id(2);
    const long inputs = IN_CHANNELS / groups, outputs = OUT_CHANNELS / groups, first_pixel = get_group_id(0) * cut.s0 * 16, last_pixel = plane - 16;
    const int vectors = (int)min(cut.s0, (plane - first_pixel + 15) / 16), pitch = (int)cut.s0;
    x += x_offset + (b * IN_CHANNELS + group * inputs) * plane;
    packed += packed_offset + group * cut.s3 * inputs * MR;
    out += out_offset + (b * OUT_CHANNELS + group * outputs) * plane;
    long k = 0;
    do {
        const int depth = (int)min(cut.s1, inputs - k);
        const bool last = k + depth >= inputs;
        __global const float *ahead = last ? x + first_pixel + vectors * 16 : x + (k + depth) * plane + first_pixel;
        for (long tile = first_tile; tile < last_tile; tile++) {
            __local float *to = sums + (tile - first_tile) * MR * pitch * 16;
            const int channels = (int)min((long)MR, outputs - tile * MR);
            /* Each tile its share of what comes next: memory is then read all the time, and each line asked for once. */
            const int share = (int)((depth + last_tile - first_tile - 1) / (last_tile - first_tile)), first_fetched = (int)(tile - first_tile) * share;
            for (int n = 0; n < vectors; n += VECTORS) {
                int slot[VECTORS];
                long at[VECTORS];
                UNROLL for (int j = 0; j < VECTORS; j++) {
                    slot[j] = min(n + j, vectors - 1) * 16;
                    at[j] = min(first_pixel + slot[j], last_pixel);
                }
                accumulate(x + k * plane, packed + (tile * inputs + k) * MR, to, slot, at, pitch, depth, plane, k == 0, ahead + n * 16, first_fetched, (uint)clamp(depth - first_fetched, 0, share), out + tile * MR * plane, last ? channels : 0);
            }
            for (int i = 0; last && i < channels; i++) {
                const float shift = bias ? bias[bias_offset + group * outputs + tile * MR + i] : 0.0f;
                for (int n = 0; n < vectors; n++) vstore16(finish(vload16(i * pitch + n, to), shift), 0, out + (tile * MR + i) * plane + min(first_pixel + n * 16, last_pixel));
            }
        }
        k += depth;
    } while (k < inputs);
}
