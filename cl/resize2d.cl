#include "common.cl"

/* -DTAPS=1 (nearest), 2 (linear) or 4 (cubic). An axis is (step, start, parts, inputs): output i lies at the position
 * (i * step + start) / parts of the input. */
#define STEP s0
#define START s1
#define PARTS s2
#define INPUTS s3

/* The whole part of a position, and the rest in 0..1. */
INLINE long position(long4 axis, long i, float *fraction) {
    const long exact = i * axis.STEP + axis.START;
    long whole = exact / axis.PARTS;
    if (whole * axis.PARTS > exact) whole--;
    *fraction = (float)(exact - whole * axis.PARTS) / (float)axis.PARTS;
    return whole;
}

/* Keys' cubic convolution with a = -0.75, at a distance in 0..1 and in 1..2. */
INLINE float cubic_near(float d) {
    return (1.25f * d - 2.25f) * d * d + 1.0f;
}

INLINE float cubic_far(float d) {
    return ((-0.75f * d + 3.75f) * d - 6.0f) * d + 3.0f;
}

INLINE void weights_of(float f, float *w) {
#if TAPS == 1
    w[0] = 1.0f;
#elif TAPS == 2
    w[0] = 1.0f - f;
    w[1] = f;
#else
    w[0] = cubic_far(1.0f + f);
    w[1] = cubic_near(f);
    w[2] = cubic_near(1.0f - f);
    w[3] = cubic_far(2.0f - f);
#endif
}

/* The element under tap k; edges are repeated. */
INLINE long tap(long whole, int k, long inputs) {
    return clamp(whole + k - (TAPS == 4), 0L, inputs - 1);
}

#ifdef KERNEL_scalar
/* One work-item per output. */
__kernel void scalar(IN_STORED(x), OUT_STORED(out), const long4 axis_y, const long4 axis_x, const long out_height, const long out_width, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    const long row = n / out_width, plane = row / out_height;
    float wy[TAPS], wx[TAPS], fy, fx;
    const long y = position(axis_y, row - plane * out_height, &fy), at = position(axis_x, n - row * out_width, &fx);
    x += x_offset + plane * axis_y.INPUTS * axis_x.INPUTS;
    weights_of(fy, wy);
    weights_of(fx, wx);
#if TAPS == 1
    STORE_1(LOAD_1(x + tap(y, 0, axis_y.INPUTS) * axis_x.INPUTS + tap(at, 0, axis_x.INPUTS)), out + out_offset + n);
#else
    float sum = 0;
    for (int j = 0; j < TAPS; j++) {
        __global const STORED *p = x + tap(y, j, axis_y.INPUTS) * axis_x.INPUTS;
        float part = 0;
        for (int k = 0; k < TAPS; k++) part += wx[k] * LOAD_1(p + tap(at, k, axis_x.INPUTS));
        sum += wy[j] * part;
    }
    STORE_1(sum, out + out_offset + n);
#endif
}
#endif

#ifdef KERNEL_rows
/* The elements in 16 places. */
#ifdef HALF
INLINE float16 load_from(__global const half *p, __local const int *at) {
    __global const ushort *bits = (__global const ushort *)p;
    ushort v[16];
    for (int i = 0; i < 16; i++) v[i] = bits[at[i]];
    return vload_half16(0, (const half *)v);
}
#else
INLINE float16 load_from(__global const float *p, __local const int *at) {
    float v[16];
    for (int i = 0; i < 16; i++) v[i] = p[at[i]];
    return vload16(0, v);
}
#endif

/* 16 outputs of one row of the input. */
INLINE float16 along_row(__global const STORED *p, __local const int *at, __local const float *weights, long pitch) {
    float16 sum = (float16)(0.0f);
#pragma unroll
    for (int k = 0; k < TAPS; k++) {
        const float16 v = load_from(p, at + k * pitch);
#if TAPS == 1
        sum = v;
#else
        sum = fma(v, vload16(0, weights + k * pitch), sum);
#endif
    }
    return sum;
}

/* Groups make `per_group` rows of outputs. local: for each tap the columns' places and weights, `pitch` of them. */
SINGLE void rows(IN_STORED(x), OUT_STORED(out), const long4 axis_y, const long4 axis_x, const long out_height, const long out_width, const long total, const long per_group, __local int *at) {
    const long first = get_group_id(0) * per_group, last = min(total, first + per_group), pitch = (out_width + 15) / 16 * 16;
    __local float *weights = (__local float *)(at + TAPS * pitch);
    SHIFT(x);
    SHIFT(out);
    for (long i = 0; i < pitch; i++) {
        float w[TAPS], f;
        const long whole = position(axis_x, min(i, out_width - 1), &f);
        weights_of(f, w);
        for (int k = 0; k < TAPS; k++) {
            at[k * pitch + i] = (int)tap(whole, k, axis_x.INPUTS);
            weights[k * pitch + i] = w[k];
        }
    }
    for (long r = first; r < last; r++) {
        const long plane = r / out_height;
        float w[TAPS], f;
        const long y = position(axis_y, r - plane * out_height, &f);
        weights_of(f, w);
        for (long i = 0; i < out_width; i += 16) {
            float16 sum = (float16)(0.0f);
            for (int j = 0; j < TAPS; j++) {
                const float16 part = along_row(x + (plane * axis_y.INPUTS + tap(y, j, axis_y.INPUTS)) * axis_x.INPUTS, at + i, weights + i, pitch);
#if TAPS == 1
                sum = part;
#else
                sum = fma((float16)(w[j]), part, sum);
#endif
            }
            if (out_width - i >= 16) STORE_16(sum, out + r * out_width + i);
            else store_some_stored(sum, (int)(out_width - i), out + r * out_width + i);
        }
    }
}
#endif
