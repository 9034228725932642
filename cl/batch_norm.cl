#include "common.cl"

#ifdef KERNEL_scalar
/* One work-item per value. `mean_low`, where there is one, is what rounding the mean to f32 left over. */
__kernel void scalar(IN_STORED(x), IN(gamma), IN(beta), IN(mean), IN(mean_low), IN(var), OUT_STORED(out), const float eps, const long channels, const long size, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    const long c = n / size % channels;
    const float factor = (gamma ? gamma[gamma_offset + c] : 1.0f) / sqrt(var[var_offset + c] + eps);
    const float low = mean_low ? mean_low[mean_low_offset + c] : 0.0f, shift = beta ? beta[beta_offset + c] : 0.0f;
    STORE_1(fma((LOAD_1(x + x_offset + n) - mean[mean_offset + c]) - low, factor, shift), out + out_offset + n);
}
#endif

#ifdef KERNEL_planes
/* A group takes `per_group` planes. */
SINGLE void planes(IN_STORED(x), IN(gamma), IN(beta), IN(mean), IN(mean_low), IN(var), OUT_STORED(out), const float eps, const long planes_total, const long channels, const long size, const long per_group) {
    const long first = get_group_id(0) * per_group, last = min(planes_total, first + per_group), whole = size / 16 * 16;
    for (long n = first; n < last; n++) {
        const long c = n % channels;
        const float factor = (gamma ? gamma[gamma_offset + c] : 1.0f) / sqrt(var[var_offset + c] + eps);
        const float centre = mean[mean_offset + c], low = mean_low ? mean_low[mean_low_offset + c] : 0.0f, shift = beta ? beta[beta_offset + c] : 0.0f;
        __global const STORED *from = x + x_offset + n * size;
        __global STORED *to = out + out_offset + n * size;
        for (long i = 0; i < whole; i += 16) STORE_16(fma((LOAD_16(from + i) - centre) - low, (float16)(factor), (float16)(shift)), to + i);
        for (long i = whole; i < size; i++) STORE_1(fma((LOAD_1(from + i) - centre) - low, factor, shift), to + i);
    }
}
#endif

#if defined KERNEL_measure || defined KERNEL_measure_scalar
/* Sums of values and of squares, in blocks, as errors grow with a sum's length. */
typedef struct moments {
    float sum, squares;
} moments;

#ifdef KERNEL_measure
#define BLOCK 4096
INLINE moments part(__global const STORED *p, long count, float shift) {
    float16 a = (float16)(0.0f), b = a, c = a, d = a;
    long i = 0;
    for (; i + 32 <= count; i += 32) {
        const float16 v = LOAD_16(p + i) - shift, w = LOAD_16(p + i + 16) - shift;
        a += v;
        b += w;
        c = fma(v, v, c);
        d = fma(w, w, d);
    }
    for (; i < count; i += 16) {
        const float16 v = (count - i >= 16 ? LOAD_16(p + i) : load_some_stored(p + i, (int)(count - i), shift)) - shift;
        a += v;
        c = fma(v, v, c);
    }
    const moments m = { sum16(a + b), sum16(c + d) };
    return m;
}
#else
#define BLOCK 256
INLINE moments part(__global const STORED *p, long count, float shift) {
    moments m = { 0, 0 };
    for (long i = 0; i < count; i++) {
        const float v = LOAD_1(p + i) - shift;
        m.sum += v;
        m.squares = fma(v, v, m.squares);
    }
    return m;
}
#endif

/* Over one channel of all images, of x - shift. */
INLINE moments total(__global const STORED *x, long images, long channels, long size, long c, float shift) {
    moments m = { 0, 0 };
    for (long b = 0; b < images; b++) {
        moments image = { 0, 0 };
        for (long first = 0; first < size; first += BLOCK) {
            const moments p = part(x + (b * channels + c) * size + first, min((long)BLOCK, size - first), shift);
            image.sum += p.sum;
            image.squares += p.squares;
        }
        m.sum += image.sum;
        m.squares += image.squares;
    }
    return m;
}

/* Two passes: a mean, then moments about it. What the second pass finds left of the mean corrects both results. */
INLINE void measure_channel(__global const STORED *x, __global float *mean, __global float *low, __global float *var, long images, long channels, long size, long c) {
    const float n = (float)(images * size), centre = total(x, images, channels, size, c, 0.0f).sum / n;
    const moments m = total(x, images, channels, size, c, centre);
    const float rest = m.sum / n, rounded = centre + rest;
    *mean = rounded;
    *low = (centre - rounded) + rest;
    const float spread = m.squares / n - rest * rest;
    *var = spread < 0.0f ? 0.0f : spread; /* NaN stays */
}

#ifdef KERNEL_measure
/* A group takes one channel. */
SINGLE void measure(IN_STORED(x), OUT(mean), OUT(mean_low), OUT(var), const long images, const long channels, const long size) {
    const long c = get_group_id(0);
    measure_channel(x + x_offset, mean + mean_offset + c, mean_low + mean_low_offset + c, var + var_offset + c, images, channels, size, c);
}
#else
/* One work-item per channel. */
__kernel void measure_scalar(IN_STORED(x), OUT(mean), OUT(mean_low), OUT(var), const long images, const long channels, const long size) {
    const long c = get_global_id(0);
    if (c >= channels) return;
    measure_channel(x + x_offset, mean + mean_offset + c, mean_low + mean_low_offset + c, var + var_offset + c, images, channels, size, c);
}
#endif
#endif
