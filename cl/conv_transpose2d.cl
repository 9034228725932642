#include "common.cl"

/* `sizes` = C, H, W, O, OH, OW, kernel (2); `window` = strides, dilations, padding before, after. */
#include "conv_sizes.cl"

#ifdef KERNEL_scalar
/* The sum over a group's channels of one tap; up to 16 products are added before they join the others. */
INLINE float over_channels(__global const float *x, __global const float *weight, long channels, long plane, long step) {
    float total = 0, part = 0;
    for (long c = 0; c < channels; c++) {
        part += x[c * plane] * weight[c * step];
        if (c % 16 == 15) {
            total += part;
            part = 0;
        }
    }
    return total + part;
}

/* One work-item per output: it gathers from the inputs that are spread over it. */
__kernel void scalar(IN(x), IN(weight), IN(bias), OUT(out), const long8 sizes, const long8 window, const long groups, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(x);
    SHIFT(weight);
    SHIFT(out);
    /* Without the operator %: Oclgrind cannot run what compilers make of it next to a division. */
    const long row = n / OUT_WIDTH, plane_out = row / OUT_HEIGHT, b = plane_out / OUT_CHANNELS;
    const long ox = n - row * OUT_WIDTH, oy = row - plane_out * OUT_HEIGHT, o = plane_out - b * OUT_CHANNELS;
    const long inputs = IN_CHANNELS / groups, outputs = OUT_CHANNELS / groups, group = o / outputs, plane = IN_HEIGHT * IN_WIDTH, taps = TAPS_Y * TAPS_X;
    x += (b * IN_CHANNELS + group * inputs) * plane;
    weight += (group * inputs * outputs + o - group * outputs) * taps;
    float total = bias ? bias[bias_offset + o] : 0.0f;
    for (long ky = 0; ky < TAPS_Y; ky++) {
        const long from_y = oy + window.s4 - ky * window.s2, y = from_y / window.s0;
        if (from_y < 0 || y >= IN_HEIGHT || y * window.s0 != from_y) continue;
        for (long kx = 0; kx < TAPS_X; kx++) {
            const long from_x = ox + window.s5 - kx * window.s3, at = from_x / window.s1;
            if (from_x < 0 || at >= IN_WIDTH || at * window.s1 != from_x) continue;
            total += over_channels(x + y * IN_WIDTH + at, weight + ky * TAPS_X + kx, inputs, plane, outputs * taps);
        }
    }
    out[n] = total;
}
#endif

#ifdef KERNEL_add_columns
/* The first input column whose output, `stride` times it plus `shift`, is not before the row's start, and one past the
 * last that is not behind its end. */
INLINE long first_column(long shift, long stride) {
    return shift >= 0 ? 0 : (-shift + stride - 1) / stride;
}

INLINE long last_column(long shift, long stride, long columns, long width) {
    return shift >= width ? 0 : min(columns, (width - shift + stride - 1) / stride);
}

/* Adds a row of products to every `stride`-th output. */
INLINE void add_row(__global const float *from, __global float *to, long first, long last, long stride) {
    long i = first;
    if (stride == 1)
        for (; i + 16 <= last; i += 16) vstore16(vload16(0, to + i) + vload16(0, from + i), 0, to + i);
    else if (stride == 2)
        for (; i + 16 < last; i += 16) {
            const float16 v = vload16(0, from + i), low = vload16(0, to + 2 * i), high = vload16(0, to + 2 * i + 16);
            vstore16((float16)(low.s0 + v.s0, low.s1, low.s2 + v.s1, low.s3, low.s4 + v.s2, low.s5, low.s6 + v.s3, low.s7, low.s8 + v.s4, low.s9, low.sa + v.s5, low.sb, low.sc + v.s6, low.sd, low.se + v.s7, low.sf), 0, to + 2 * i);
            vstore16((float16)(high.s0 + v.s8, high.s1, high.s2 + v.s9, high.s3, high.s4 + v.sa, high.s5, high.s6 + v.sb, high.s7, high.s8 + v.sc, high.s9, high.sa + v.sd, high.sb, high.sc + v.se, high.sd, high.se + v.sf, high.sf), 0, to + 2 * i + 16);
        }
    for (; i < last; i++) to[i * stride] += from[i];
}

/* Groups make `per_group` of the O * OH rows of one image from columns[O][tap][H * W]. */
SINGLE void add_columns(IN(columns), IN(bias), OUT(out), const long8 sizes, const long8 window, const long rows, const long per_group) {
    const long begin = get_group_id(0) * per_group, end = min(rows, begin + per_group), plane = IN_HEIGHT * IN_WIDTH;
    SHIFT(columns);
    SHIFT(out);
    for (long r = begin; r < end; r++) {
        const long o = r / OUT_HEIGHT, oy = r - o * OUT_HEIGHT;
        __global float *row = out + r * OUT_WIDTH;
        const float start = bias ? bias[bias_offset + o] : 0.0f;
        for (long i = 0; i < OUT_WIDTH; i++) row[i] = start;
        for (long ky = 0; ky < TAPS_Y; ky++) {
            const long from_y = oy + window.s4 - ky * window.s2, y = from_y / window.s0;
            if (from_y < 0 || y >= IN_HEIGHT || y * window.s0 != from_y) continue;
            for (long kx = 0; kx < TAPS_X; kx++) {
                const long shift = kx * window.s3 - window.s5;
                __global const float *from = columns + ((o * TAPS_Y + ky) * TAPS_X + kx) * plane + y * IN_WIDTH;
                add_row(from, row + shift, first_column(shift, window.s1), last_column(shift, window.s1, IN_WIDTH, OUT_WIDTH), window.s1);
            }
        }
    }
}
#endif
