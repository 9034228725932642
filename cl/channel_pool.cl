#include "common.cl"

/* Sums of up to BLOCK channels are added to the others, as errors grow with a sum's length. */
#define BLOCK 64

#ifdef KERNEL_scalar
/* One work-item per pixel. `max_at`, `mean_at`: the output's plane of each, -1 for none; `kinds` planes an image. */
__kernel void scalar(IN_STORED(x), OUT(out), const long channels, const long pixels, const int max_at, const int mean_at, const int kinds, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    const long b = n / pixels, p = n - b * pixels;
    x += x_offset + b * channels * pixels + p;
    out += out_offset + b * kinds * pixels + p;
    float most = -INFINITY, total = 0;
    for (long first = 0; first < channels; first += BLOCK) {
        float part = 0;
        for (long c = first; c < min(channels, first + BLOCK); c++) {
            const float v = LOAD_1(x + c * pixels);
            part += v;
            if (v > most || isnan(v)) most = v;
        }
        total += part;
    }
    if (max_at >= 0) out[max_at * pixels] = most;
    if (mean_at >= 0) out[mean_at * pixels] = total / (float)channels;
}
#endif

#ifdef KERNEL_strips
/* The maxima and sums of a strip so far, a vector of pixels each. */
typedef struct strip {
    __local float *most, *part, *total;
} strip;

INLINE void clear(strip s, int vectors) {
    for (int i = 0; i < vectors; i++) {
        vstore16((float16)(-INFINITY), i, s.most);
        vstore16((float16)(0.0f), i, s.part);
        vstore16((float16)(0.0f), i, s.total);
    }
}

INLINE void add_block(strip s, int vectors) {
    for (int i = 0; i < vectors; i++) {
        vstore16(vload16(i, s.total) + vload16(i, s.part), i, s.total);
        vstore16((float16)(0.0f), i, s.part);
    }
}

/* NaN sticks: it compares false with everything. */
INLINE float16 larger(float16 m, float16 v) {
    return select(m, v, v > m || isnan(v));
}

/* Takes in two channels (or one, twice the same pointer and `both` false) of `count` pixels. */
INLINE void take(strip s, __global const STORED *a, __global const STORED *b, bool both, int count) {
    const int whole = count / 16;
    for (int i = 0; i < whole; i++) {
        const float16 v = LOAD_16(a + 16 * i), w = LOAD_16(b + 16 * i);
        vstore16(larger(larger(vload16(i, s.most), v), w), i, s.most);
        vstore16(vload16(i, s.part) + (both ? v + w : v), i, s.part);
    }
    for (int i = whole * 16; i < count; i++) {
        const float v = LOAD_1(a + i), w = LOAD_1(b + i);
        float m = s.most[i];
        if (v > m || isnan(v)) m = v;
        if (w > m || isnan(w)) m = w;
        s.most[i] = m;
        s.part[i] += both ? v + w : v;
    }
}

INLINE void write(__local const float *from, __global float *to, int count, float divisor) {
    const int whole = count / 16 * 16;
    for (int i = 0; i < whole; i += 16) vstore16(vload16(0, from + i) / divisor, 0, to + i);
    for (int i = whole; i < count; i++) to[i] = from[i] / divisor;
}

/* A group takes STRIP pixels of an image, channels outermost: long contiguous reads, results in the level-1 cache. */
SINGLE void strips(IN_STORED(x), OUT(out), const long channels, const long pixels, const int max_at, const int mean_at, const int kinds) {
    __local float most[STRIP], part[STRIP], total[STRIP];
    const strip s = { most, part, total };
    const long p = get_group_id(0) * STRIP, b = get_group_id(1);
    const int count = (int)min((long)STRIP, pixels - p), vectors = (count + 15) / 16;
    x += x_offset + b * channels * pixels + p;
    out += out_offset + b * kinds * pixels + p;
    clear(s, vectors);
    for (long c = 0; c < channels; c += 2) {
        const bool both = c + 1 < channels;
        take(s, x + c * pixels, x + (both ? c + 1 : c) * pixels, both, count);
        if (c % BLOCK == BLOCK - 2) add_block(s, vectors);
    }
    add_block(s, vectors);
    if (max_at >= 0) write(most, out + max_at * pixels, count, 1.0f);
    if (mean_at >= 0) write(total, out + mean_at * pixels, count, (float)channels);
}
#endif
