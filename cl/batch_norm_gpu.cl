#include "common.cl"
#include "lanes.cl"
#include "quads.cl"

/* batch_norm on GPUs: the statistics of channels, each of which may be cut into parts, and the normalised planes. */

#if defined KERNEL_measure || defined KERNEL_measure_parts || defined KERNEL_join
/* Some elements less `shift`: how many, their mean, what rounding the mean left over, and the sum of the squares of their distances
 * from it. In one reading, and yet a mean near 0 is right to the last digits as well as an almost constant channel's variance. */
typedef struct moments {
    float count, mean, low, squares;
} moments;

INLINE moments no_moments(void) {
    const moments none = { 0, 0, 0, 0 };
    return none;
}

/* `rest` is what rounding lost of the sum. */
INLINE float sum_exactly(float a, float b, float *rest) {
    const float sum = a + b, of_b = sum - a;
    *rest = (a - (sum - of_b)) + (b - of_b);
    return sum;
}

INLINE moments join_moments(moments a, moments b) {
    if (b.count == 0) return a;
    float apart_rest, rest;
    const float count = a.count + b.count, part = b.count / count, apart = sum_exactly(b.mean, -a.mean, &apart_rest), step = apart * part;
    a.squares += b.squares + apart * apart * a.count * part;
    a.mean = sum_exactly(a.mean, step, &rest);
    a.low += (b.low - a.low + apart_rest) * part + rest;
    a.count = count;
    return a;
}

/* Those of a row's lanes; the first of them has the result. `shared` has room for each of the group's items. */
INLINE moments lanes_join(moments own, __local float4 *shared, int lanes) {
    const uint t = (uint)get_local_id(0), lane = lane_of(lanes);
    shared[t] = (float4)(own.count, own.mean, own.low, own.squares);
    for (uint width = (uint)lanes / 2; width > 0; width /= 2) {
        LANES_BARRIER;
        if (lane < width) {
            const float4 v = shared[t + width];
            const moments other = { v.x, v.y, v.z, v.w };
            own = join_moments(own, other);
            shared[t] = (float4)(own.count, own.mean, own.low, own.squares);
        }
    }
    return own;
}

INLINE float shift_of(__global const STORED *x, long size, long channel, int count) {
    return count > 0 ? LOAD_1(x + channel * size) : 0.0f;
}

INLINE void write_statistics(moments m, float shift, __global float *mean, __global float *low, __global float *var) {
    float rest;
    const float near = sum_exactly(shift, m.mean, &rest), more = rest + m.low, rounded = near + more;
    *mean = m.count > 0 ? rounded : NAN;
    *low = (near - rounded) + more;
    *var = m.squares / m.count;
}
#endif

#if defined KERNEL_measure || defined KERNEL_measure_parts
#define AT_ONCE 8 /* elements that an item reads before it uses them */

/* Of elements first..last-1 of a channel, counted through its planes. */
INLINE moments moments_of(__global const STORED *x, long channels, long channel, uint size, int first, int last, float shift, int lane, int lanes) {
    moments own = no_moments();
    x += channel * size;
    for (int i = first + lane; i < last; i += AT_ONCE * lanes) {
        float v[AT_ONCE], sum = 0;
        moments some = no_moments();
        UNROLL for (int k = 0; k < AT_ONCE; k++) {
            const int at = i + k * lanes;
            const uint image = (uint)at / size;
            v[k] = at < last ? LOAD_1(x + image * channels * size + ((uint)at - image * size)) - shift : 0.0f;
            some.count += at < last;
            sum += v[k];
        }
        some.mean = sum / some.count;
        UNROLL for (int k = 0; k < AT_ONCE; k++) some.squares += i + k * lanes < last ? (v[k] - some.mean) * (v[k] - some.mean) : 0.0f;
        own = join_moments(own, some);
    }
    return own;
}
#endif

#ifdef KERNEL_measure
/* A row is a channel. */
__kernel void measure(IN_STORED(x), OUT(mean), OUT(mean_low), OUT(var), const long channels, const int size, const int count, const int lanes, __local float4 *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), channel = min(asked, channels - 1);
    SHIFT(x);
    const float shift = shift_of(x, size, channel, count);
    const moments m = lanes_join(moments_of(x, channels, channel, (uint)size, 0, asked < channels ? count : 0, shift, lane, lanes), shared, lanes);
    if (lane == 0 && asked < channels) write_statistics(m, shift, mean + mean_offset + channel, mean_low + mean_low_offset + channel, var + var_offset + channel);
}
#endif

#ifdef KERNEL_measure_parts
/* A row is a part of a channel, of `share` elements or what is left of it. */
__kernel void measure_parts(IN_STORED(x), __global float4 *restrict made, const long made_offset, const long channels, const int size, const int count, const int parts, const int share, const int lanes, __local float4 *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, channels * parts - 1), channel = (uint)row / (uint)parts;
    const int first = (int)(row - channel * parts) * share, last = asked == row ? min(count, first + share) : first;
    SHIFT(x);
    const moments m = lanes_join(moments_of(x, channels, channel, (uint)size, first, last, shift_of(x, size, channel, count), lane, lanes), shared, lanes);
    if (lane == 0 && asked == row) made[row] = (float4)(m.count, m.mean, m.low, m.squares);
}
#endif

#ifdef KERNEL_join
/* A row is a channel, of `parts` parts. */
__kernel void join(IN_STORED(x), __global const float4 *restrict made, const long made_offset, OUT(mean), OUT(mean_low), OUT(var), const long channels, const int size, const int count, const int parts, const int lanes, __local float4 *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), channel = min(asked, channels - 1);
    moments own = no_moments();
    for (int i = lane; i < parts; i += lanes) {
        const float4 v = made[channel * parts + i];
        const moments part = { v.x, v.y, v.z, v.w };
        own = join_moments(own, part);
    }
    const moments m = lanes_join(own, shared, lanes);
    if (lane == 0 && asked < channels) write_statistics(m, shift_of(x + x_offset, size, channel, count), mean + mean_offset + channel, mean_low + mean_low_offset + channel, var + var_offset + channel);
}
#endif

#ifdef KERNEL_apply
#include "flat.cl"

/* Of a channel: factor, mean, what rounding the mean left over, and summand. */
#define NORMAL(type, v, t) fma(((v) - (t).y) - (t).z, (type)((t).x), (type)((t).w))
#define TERMS(c) (float4)((gamma ? gamma[gamma_offset + (c)] : 1.0f) / sqrt(var[var_offset + (c)] + eps), mean[mean_offset + (c)], mean_low ? mean_low[mean_low_offset + (c)] : 0.0f, beta ? beta[beta_offset + (c)] : 0.0f)
/* -DTABLE: a group has no more planes than items; their terms stand in local memory. */
#ifdef TABLE
#define TERMS_OF(plane) table[plane]
#else
#define TERMS_OF(plane) TERMS((first_channel + (plane)) - (first_channel + (plane)) / channels * channels)
#endif

/* Each plane of `size` elements by its channel's statistics; `total` elements in all. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void apply(IN_STORED(x), IN(gamma), IN(beta), IN(mean), IN(mean_low), IN(var), OUT_STORED(out), const float eps, const long total, const uint size, const uint channels) {
    const ulong first = (ulong)get_group_id(0) * SHARE, plane = first / size;
    const uint within = (uint)(first - plane * size), first_channel = (uint)(plane - plane / channels * channels);
    const int left = (int)min((ulong)SHARE, (ulong)total - first);
    FLOATS v[AT_ONCE];
    x += x_offset + first;
    out += out_offset + first;
    UNROLL for (int i = 0; i < AT_ONCE; i++) v[i] = load_some_flat(x + ELEMENT(i), left - (int)ELEMENT(i));
#ifdef TABLE
    __local float4 table[GROUP];
    const uint own = (uint)get_local_id(0), channel = first_channel + own;
    if (own <= (within + (uint)left - 1) / size) table[own] = TERMS(channel - channel / channels * channels);
    LANES_BARRIER;
#endif
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
        const int there = left - (int)ELEMENT(i);
        if (there > 0) {
            const UINTS at = planes_at(ELEMENT(i), within, size, there);
            FLOATS normal;
#ifdef ALIGNED
            const float4 t = TERMS_OF(at.x);
            normal = NORMAL(float4, v[i], t);
            if (at.x != at.w) {
                const float4 t1 = TERMS_OF(at.y), t2 = TERMS_OF(at.z), t3 = TERMS_OF(at.w);
                normal.yzw = (float3)(NORMAL(float, v[i].y, t1), NORMAL(float, v[i].z, t2), NORMAL(float, v[i].w, t3));
            }
#else
            const float4 t = TERMS_OF(at);
            normal = NORMAL(float, v[i], t);
#endif
            store_some_flat(normal, out + ELEMENT(i), there);
        }
    }
}
#endif
