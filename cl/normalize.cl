#include "common.cl"
#include "lanes.cl"
#include "stream.cl"

/* Rows of `length` elements normalised by their own statistics, then times gamma plus beta. gamma and beta have one entry per
 * element of the `groups` rows that share them; with -DCHANNELS one per `area` elements. -DRMS: the mean is not taken off. */

#ifdef KERNEL_rows
/* The sums of x - shift and of its square. */
INLINE float2 sums_about(__global const STORED *in, long length, float shift) {
    const long whole = length / 64 * 64;
    float16 s[4], q[4];
#pragma unroll
    for (int j = 0; j < 4; j++) s[j] = q[j] = (float16)(0.0f);
    for (long i = 0; i < whole; i += 64) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float16 d = LOAD_16(in + i + 16 * j) - shift;
            s[j] += d;
            q[j] = fma(d, d, q[j]);
        }
    }
    for (long i = whole; i < length; i += 16) {
        const float16 d = (length - i < 16 ? load_some_stored(in + i, (int)(length - i), shift) : LOAD_16(in + i)) - shift;
        s[0] += d;
        q[0] = fma(d, d, q[0]);
    }
    return (float2)(sum16((s[0] + s[1]) + (s[2] + s[3])), sum16((q[0] + q[1]) + (q[2] + q[3])));
}

/* 16 normalised values; `g` and `b` point to their factors, which with CHANNELS is one for all. */
INLINE float16 finish(float16 x, float mean, float more, float scale, float16 g, float16 b) {
    float16 v = ((x - mean) - more) * scale;
#ifdef GAMMA
    v *= g;
#endif
#ifdef BETA
    v += b;
#endif
    return v;
}

#ifdef CHANNELS
#define FACTORS(p, i, n) ((float16)(*(p)))
#else
#define FACTORS(p, i, n) ((n) < 16 ? load_some((p) + (i), (int)(n), 0) : vload16(0, (p) + (i)))
#endif
#ifdef GAMMA
#define GAMMAS(i, n) FACTORS(g, i, n)
#else
#define GAMMAS(i, n) (float16)(1.0f)
#endif
#ifdef BETA
#define BETAS(i, n) FACTORS(b, i, n)
#else
#define BETAS(i, n) (float16)(0.0f)
#endif

/* Meanwhile the next row is fetched. */
INLINE void finish_span(__global const STORED *in, __global STORED *to, long length, float mean, float more, float scale, __global const float *g, __global const float *b) {
    long i = 0;
    if (STREAMS(to))
        for (; i + 16 <= length; i += 16) {
            PREFETCH(in + i + FETCHED_AHEAD);
            STREAM_16(finish(LOAD_16(in + i), mean, more, scale, GAMMAS(i, 16), BETAS(i, 16)), to + i);
        }
    else
        for (; i + 16 <= length; i += 16) {
            PREFETCH(in + i + FETCHED_AHEAD);
            STORE_16(finish(LOAD_16(in + i), mean, more, scale, GAMMAS(i, 16), BETAS(i, 16)), to + i);
        }
    if (i < length) store_some_stored(finish(load_some_stored(in + i, (int)(length - i), 0), mean, more, scale, GAMMAS(i, length - i), BETAS(i, length - i)), (int)(length - i), to + i);
}

/* A group takes `per_group` rows. What rounding left of the mean is found in the second reading and taken off too: an almost
 * constant row, divided by a tiny deviation, stays right. */
SINGLE void rows(IN_STORED(x), IN(gamma), IN(beta), OUT_STORED(out), const long rows_total, const long length, const long area, const long groups, const long per_group, const float eps) {
    SHIFT(x);
    SHIFT(gamma);
    SHIFT(beta);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group), entries = length / area;
    for (long r = first; r < last; r++) {
        __global const STORED *in = x + r * length;
        __global const float *g = gamma + r % groups * entries, *b = beta + r % groups * entries;
#ifdef RMS
        const float mean = 0, more = 0, square = sums_about(in, length, 0).y / length;
#else
        const float mean = sums_about(in, length, 0).x / length;
        const float2 sums = sums_about(in, length, mean) / (float)length;
        const float more = sums.x, left = sums.y - more * more, square = left < 0 ? 0 : left;
#endif
        const float scale = 1.0f / sqrt(square + eps);
#ifdef CHANNELS
        for (long c = 0; c < entries; c++) finish_span(in + c * area, out + r * length + c * area, area, mean, more, scale, g + c, b + c);
#else
        finish_span(in, out + r * length, length, mean, more, scale, g, b);
#endif
    }
}
#endif

#ifdef KERNEL_gpu_row
#define AT_ONCE 8 /* elements of a row that an item reads before it uses them */

#ifdef HELD
/* The row's elements in `v` become their distances from the mean; `more` is what rounding left of it. Returns their mean square. */
INLINE float centre_held(float *v, int n, int length, int lane, int lanes, float *more, __local float *shared) {
    float s = 0, q = 0;
#ifndef RMS
    UNROLL for (int i = 0; i < HELD; i++) s += v[i];
    const float mean = lanes_sum(s, shared, lanes) / length;
    s = 0;
    UNROLL for (int i = 0; i < HELD; i++) {
        v[i] = lane + i * lanes < n ? v[i] - mean : 0.0f;
        s += v[i];
    }
    *more = lanes_sum(s, shared, lanes) / length;
#endif
    UNROLL for (int i = 0; i < HELD; i++) {
        const float d = v[i] - *more;
        q = lane + i * lanes < n ? fma(d, d, q) : q;
    }
    return lanes_sum(q, shared, lanes) / length;
}
#else
/* Some elements: how many, their mean and the sum of the squares of their distances from it. */
typedef struct {
    float count, mean, squares;
} moments;

INLINE void join(moments *a, float count, float mean, float squares) {
    const float total = a->count + count, apart = mean - a->mean, part = count / total;
    a->squares += squares + apart * apart * a->count * part;
    a->mean = fma(apart, part, a->mean);
    a->count = total;
}

/* Of the elements c, c + lanes .. of a row, less `shift`. Distances are kept small: an almost constant row stays right. */
INLINE void join_some(moments *a, __global const STORED *in, int c, int n, int lanes, float shift) {
    float d[AT_ONCE], sum = 0, count = 0, squares = 0;
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
        const bool in_row = c + i * lanes < n;
        d[i] = in_row ? LOAD_1(in + c + i * lanes) - shift : 0.0f;
        sum += d[i];
        count += in_row;
    }
    const float mean = sum / count;
    UNROLL for (int i = 0; i < AT_ONCE; i++) squares += i < (int)count ? (d[i] - mean) * (d[i] - mean) : 0.0f;
    join(a, count, mean, squares);
}

/* The same in one reading. */
INLINE float centre(__global const STORED *in, int n, int length, int lane, int lanes, float shift, float *more, __local float *shared) {
#ifdef RMS
    float q = 0;
    for (int c = lane; c < n; c += lanes) {
        const float v = LOAD_1(in + c);
        q = fma(v, v, q);
    }
    return lanes_sum(q, shared, lanes) / length;
#else
    moments own = { 0, 0, 0 };
    for (int c = lane; c < n; c += AT_ONCE * lanes) join_some(&own, in, c, n, lanes, shift);
    *more = lanes_sum(own.mean * own.count, shared, lanes) / length;
    const float apart = own.mean - *more;
    return lanes_sum(fma(apart * apart, own.count, own.squares), shared, lanes) / length;
#endif
}
#endif

#ifdef CHANNELS
#define ENTRY(c) ((uint)(c) / (uint)area)
#else
#define ENTRY(c) (c)
#endif
/* -DNEAR_FACTORS: a row has no more channels than lanes; their factors are read once and lie behind what the reductions share. */
#ifdef NEAR_FACTORS
#define GAMMA_AT(c) gammas[ENTRY(c)]
#define BETA_AT(c) betas[ENTRY(c)]
#else
#define GAMMA_AT(c) g[ENTRY(c)]
#define BETA_AT(c) b[ENTRY(c)]
#endif

/* An element is read once where the row can be held, else for the statistics and again for its result. */
__kernel void gpu_row(IN_STORED(x), IN(gamma), IN(beta), OUT_STORED(out), const long rows_total, const int length, const int area, const long groups, const int lanes, const float eps, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, rows_total - 1);
    const int n = asked < rows_total ? length : 0;
    const long entry = (long)((ulong)row % (ulong)groups) * (length / area);
    __global const STORED *in = x + x_offset + row * length;
    __global const float *g = gamma + gamma_offset + entry, *b = beta + beta_offset + entry;
    __global STORED *to = out + out_offset + row * length;
    float more = 0;
#ifdef NEAR_FACTORS
    __local float *gammas = shared + get_local_size(0) + (get_local_id(0) - lane), *betas = gammas + get_local_size(0);
    if (lane < length / area) {
#ifdef GAMMA
        gammas[lane] = g[lane];
#endif
#ifdef BETA
        betas[lane] = b[lane];
#endif
    }
#endif
#ifdef HELD
    float v[HELD];
    UNROLL for (int i = 0; i < HELD; i++) v[i] = lane + i * lanes < n ? LOAD_1(in + lane + i * lanes) : 0.0f;
    const float square = centre_held(v, n, length, lane, lanes, &more, shared);
#else
#ifdef RMS
    const float shift = 0;
#else
    const float shift = LOAD_1(in);
#endif
    const float square = centre(in, n, length, lane, lanes, shift, &more, shared);
#endif
    const float scale = 1.0f / sqrt(square + eps);
#ifdef HELD
    UNROLL for (int i = 0; i < HELD; i++) {
        const int c = lane + i * lanes;
        if (c >= n) continue;
        float result = (v[i] - more) * scale;
#else
    for (int c = lane; c < n; c += lanes) {
        float result = ((LOAD_1(in + c) - shift) - more) * scale;
#endif
#ifdef GAMMA
        result *= GAMMA_AT(c);
#endif
#ifdef BETA
        result += BETA_AT(c);
#endif
        STORE_1(result, to + c);
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per row. */
__kernel void scalar(IN_STORED(x), IN(gamma), IN(beta), OUT_STORED(out), const long rows_total, const long length, const long area, const long groups, const float eps) {
    const long r = get_global_id(0);
    if (r >= rows_total) return;
    SHIFT(x);
    SHIFT(gamma);
    SHIFT(beta);
    SHIFT(out);
    const long first = r * length, entry = r % groups * (length / area);
    float mean = 0, more = 0, square = 0;
#ifndef RMS
    for (long i = 0; i < length; i++) mean += LOAD_1(x + first + i);
    mean /= length;
    for (long i = 0; i < length; i++) more += LOAD_1(x + first + i) - mean;
    more /= length;
#endif
    for (long i = 0; i < length; i++) {
        const float d = (LOAD_1(x + first + i) - mean) - more;
        square = fma(d, d, square);
    }
    const float scale = 1.0f / sqrt(square / length + eps);
    for (long i = 0; i < length; i++) {
        float v = ((LOAD_1(x + first + i) - mean) - more) * scale;
#ifdef GAMMA
        v *= gamma[entry + i / area];
#endif
#ifdef BETA
        v += beta[entry + i / area];
#endif
        STORE_1(v, out + first + i);
    }
}
#endif
