#include "common.cl"
#include "lanes.cl"
#include "quads.cl"
#include "moments.cl"

/* batch_norm on GPUs: the statistics of channels, each of which may be cut into parts, and the normalised planes. */

#if defined KERNEL_measure || defined KERNEL_measure_parts || defined KERNEL_join
/* Elements of x less this are small where the channel's are near each other. */
INLINE float shift_of(__global const STORED *x, long size, long channel, int count) {
    return count > 0 ? LOAD_1(x + channel * size) : 0.0f;
}

/* `low` is what rounding the mean left over. */
INLINE void write_statistics(float shift, float rest, float square, __global float *mean, __global float *low, __global float *var) {
    const float rounded = shift + rest;
    *mean = rounded;
    *low = (shift - rounded) + rest;
    *var = square;
}
#endif

#if defined KERNEL_measure || defined KERNEL_measure_parts
#define AT_ONCE 8 /* elements that an item reads before it uses them */

/* Of elements first..last-1 of a channel, counted through its planes. */
INLINE moments moments_of(__global const STORED *x, long channels, long channel, uint size, int first, int last, float shift, int lane, int lanes) {
    moments own = { 0, 0, 0 };
    x += channel * size;
    for (int i = first + lane; i < last; i += AT_ONCE * lanes) {
        float v[AT_ONCE];
        UNROLL for (int k = 0; k < AT_ONCE; k++) {
            const uint at = (uint)(i + k * lanes), image = at / size;
            v[k] = at < (uint)last ? LOAD_1(x + image * channels * size + (at - image * size)) - shift : 0.0f;
        }
        join_elements(&own, v, AT_ONCE, min(AT_ONCE, (last - i + lanes - 1) / lanes));
    }
    return own;
}
#endif

#ifdef KERNEL_measure
/* A row is a channel. */
__kernel void measure(IN_STORED(x), OUT(mean), OUT(mean_low), OUT(var), const long channels, const int size, const int count, const int lanes, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), channel = min(asked, channels - 1);
    float rest;
    SHIFT(x);
    const float shift = shift_of(x, size, channel, count);
    const moments own = moments_of(x, channels, channel, (uint)size, 0, asked < channels ? count : 0, shift, lane, lanes);
    const float square = lanes_moments(own, (float)count, &rest, shared, lanes);
    if (lane == 0 && asked < channels) write_statistics(shift, rest, square, mean + mean_offset + channel, mean_low + mean_low_offset + channel, var + var_offset + channel);
}
#endif

#ifdef KERNEL_measure_parts
/* A row is a part of a channel, of `share` elements or what is left of it. made: the count, mean and mean square of each. */
__kernel void measure_parts(IN_STORED(x), OUT(made), const long channels, const int size, const int count, const int parts, const int share, const int lanes, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, channels * parts - 1), channel = (uint)row / (uint)parts;
    const int first = (int)(row - channel * parts) * share, last = min(count, first + share);
    float rest;
    SHIFT(x);
    const moments own = moments_of(x, channels, channel, (uint)size, first, asked < channels * parts ? last : first, shift_of(x, size, channel, count), lane, lanes);
    const float square = lanes_moments(own, (float)(last - first), &rest, shared, lanes);
    if (lane > 0 || asked > row) return;
    made += made_offset + 3 * row;
    made[0] = (float)(last - first);
    made[1] = rest;
    made[2] = square * made[0];
}
#endif

#ifdef KERNEL_join
/* A row is a channel of `parts` parts. */
__kernel void join(IN_STORED(x), IN(made), OUT(mean), OUT(mean_low), OUT(var), const long channels, const int size, const int count, const int parts, const int lanes, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), channel = min(asked, channels - 1);
    moments own = { 0, 0, 0 };
    float rest;
    made += made_offset + 3 * channel * parts;
    for (int i = lane; i < parts; i += lanes) join_moments(&own, made[3 * i], made[3 * i + 1], made[3 * i + 2]);
    const float square = lanes_moments(own, (float)count, &rest, shared, lanes);
    if (lane == 0 && asked < channels) write_statistics(shift_of(x + x_offset, size, channel, count), rest, square, mean + mean_offset + channel, mean_low + mean_low_offset + channel, var + var_offset + channel);
}
#endif

#ifdef KERNEL_apply
#include "flat.cl"

/* Of a channel: factor, mean, what rounding the mean left over, and summand. */
#define NORMAL(type, v, t) fma(((v) - (t).y) - (t).z, (type)((t).x), (type)((t).w))

/* Each plane of `size` elements by its channel's statistics; `total` elements in all. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void apply(IN_STORED(x), IN(gamma), IN(beta), IN(mean), IN(mean_low), IN(var), OUT_STORED(out), const float eps, const long total, const uint size, const uint channels) {
#define TERMS(c) (float4)((gamma ? gamma[gamma_offset + (c)] : 1.0f) / sqrt(var[var_offset + (c)] + eps), mean[mean_offset + (c)], mean_low ? mean_low[mean_low_offset + (c)] : 0.0f, beta ? beta[beta_offset + (c)] : 0.0f)
    const ulong first = (ulong)get_group_id(0) * SHARE, plane = first / size;
    const uint within = (uint)(first - plane * size), first_channel = (uint)(plane - plane / channels * channels);
    const int left = (int)min((ulong)SHARE, (ulong)total - first);
    FLOATS v[AT_ONCE];
    x += x_offset + first;
    out += out_offset + first;
    UNROLL for (int i = 0; i < AT_ONCE; i++) v[i] = load_some_flat(x + ELEMENT(i), left - (int)ELEMENT(i));
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
        const int there = left - (int)ELEMENT(i);
        if (there > 0) {
            const UINTS at = first_channel + planes_at(ELEMENT(i), within, size, there);
            FLOATS normal;
#ifdef ALIGNED
            if (at.x == at.w) {
                const uint c = at.x - at.x / channels * channels;
                const float4 t = TERMS(c);
                normal = NORMAL(float4, v[i], t);
            } else {
                const uint4 c = at - at / channels * channels;
                const float4 t0 = TERMS(c.x), t1 = TERMS(c.y), t2 = TERMS(c.z), t3 = TERMS(c.w);
                normal = (float4)(NORMAL(float, v[i].x, t0), NORMAL(float, v[i].y, t1), NORMAL(float, v[i].z, t2), NORMAL(float, v[i].w, t3));
            }
#else
            const uint c = at - at / channels * channels;
            const float4 t = TERMS(c);
            normal = NORMAL(float, v[i], t);
#endif
            store_some_flat(normal, out + ELEMENT(i), there);
        }
    }
}
#endif
