#include "common.cl"

/* Squeeze-and-excitation and CBAM with one work-item per result of each step, for any device.
 * -DCHANNEL: there is a channel gate; -DSPATIAL: a spatial one; -DSPECIAL: the lp or the lse pool is used.
 * Images are x[C][plane]; pools: [B][POOLS][C] in the order of clattn_pool_kind; maps: [B][2][plane]. */

#ifdef SPECIAL
#include "planes.cl"
#define POOLS 4
#else
#define POOLS 2
#endif

/* One item per plane. Sums of 256 elements are summed, so that the error stays small on large planes. */
#ifdef KERNEL_pool
__kernel void pool(IN(x), OUT(pools), const long total, const long channels, const long plane) {
    const long n = get_global_id(0);
    if (n >= total) return;
    x += x_offset + n * plane;
    pools += pools_offset + n / channels * POOLS * channels + n % channels;
    float sum = 0, top = -INFINITY;
    for (long first = 0; first < plane; first += 256) {
        const long last = min(plane, first + 256);
        float part = 0;
        for (long i = first; i < last; i++) {
            part += x[i];
            top = x[i] > top || isnan(x[i]) ? x[i] : top;
        }
        sum += part;
    }
    pools[0] = sum / (float)plane;
    pools[channels] = top;
#ifdef SPECIAL
    pools[2 * channels] = plane_lp(x, plane);
    pools[3 * channels] = plane_lse(x, plane);
#endif
}
#endif

/* One item per hidden value: those of the pools in `kinds` summed, for the second layer is linear. */
#ifdef KERNEL_hidden
__kernel void hidden(IN(pools), IN(w1), IN(b1), OUT(values), const long total, const long channels, const long count, const int kinds, const int activation) {
    const long n = get_global_id(0);
    if (n >= total) return;
    const long r = n % count;
    pools += pools_offset + n / count * POOLS * channels;
    w1 += w1_offset + r * channels;
    const float bias = b1 ? b1[b1_offset + r] : 0.0f;
    float sum = 0;
    for (int k = 0; k < POOLS; k++) {
        float dot = 0;
        if ((kinds >> k & 1) == 0) continue;
        for (long c = 0; c < channels; c++) dot += w1[c] * pools[k * channels + c];
        sum += activate(dot + bias, activation);
    }
    values[values_offset + n] = sum;
}
#endif

/* One item per channel of an image; the bias counts once for each pool. */
#ifdef KERNEL_gate
__kernel void gate(IN(hidden), IN(w2), IN(b2), OUT(channel_gate), const long total, const long channels, const long hidden_count, const int kinds, const int gate_kind) {
    const long n = get_global_id(0);
    if (n >= total) return;
    const long c = n % channels;
    hidden += hidden_offset + n / channels * hidden_count;
    w2 += w2_offset + c * hidden_count;
    const float bias = b2 ? b2[b2_offset + c] : 0.0f;
    float sum = (float)popcount(kinds) * bias;
    for (long r = 0; r < hidden_count; r++) sum += w2[r] * hidden[r];
    channel_gate[channel_gate_offset + n] = activate(sum, gate_kind);
}
#endif

/* One item per pixel: maximum and mean over the channels. */
#ifdef KERNEL_reduce
__kernel void reduce(IN(x), IN(channel_gate), OUT(maps), const long total, const long channels, const long plane, const int mean_first) {
    const long n = get_global_id(0);
    if (n >= total) return;
    const long image = n / plane;
    x += x_offset + image * channels * plane + n % plane;
    maps += maps_offset + image * 2 * plane + n % plane;
#ifdef CHANNEL
    channel_gate += channel_gate_offset + image * channels;
#endif
    float sum = 0, top = -INFINITY;
    for (long c = 0; c < channels; c++) {
#ifdef CHANNEL
        const float v = x[c * plane] * channel_gate[c];
#else
        const float v = x[c * plane];
#endif
        sum += v;
        top = v > top || isnan(v) ? v : top;
    }
    maps[mean_first ? plane : 0] = top;
    maps[mean_first ? 0 : plane] = sum / (float)channels;
}
#endif

/* One item per pixel. */
#ifdef KERNEL_spatial
#define OPTIONAL(p, other) ((p) ? (p)[p##_offset] : (other))

__kernel void spatial(IN(maps), IN(weight), IN(gamma), IN(beta), IN(mean), IN(var), const float eps, OUT(spatial_gate), const long total, const long height, const long width, const int k) {
    const long n = get_global_id(0), plane = height * width;
    if (n >= total) return;
    const long row = n % plane / width - k / 2, column = n % plane % width - k / 2;
    maps += maps_offset + n / plane * 2 * plane;
    weight += weight_offset;
    float sum = 0;
    for (int map = 0; map < 2; map++)
        for (int y = 0; y < k; y++)
            for (int i = 0; i < k; i++)
                if (row + y >= 0 && row + y < height && column + i >= 0 && column + i < width) sum += weight[(map * k + y) * k + i] * maps[map * plane + (row + y) * width + column + i];
    const float scale = var ? OPTIONAL(gamma, 1.0f) / sqrt(var[var_offset] + eps) : 1.0f;
    spatial_gate[spatial_gate_offset + n] = sigmoid_1((sum - OPTIONAL(mean, 0.0f)) * scale + OPTIONAL(beta, 0.0f));
}
#endif

/* One item per element. */
#ifdef KERNEL_apply
__kernel void apply(IN(x), IN(channel_gate), IN(spatial_gate), OUT(out), const long total, const long channels, const long plane) {
    const long n = get_global_id(0);
    if (n >= total) return;
    float v = x[x_offset + n];
#ifdef CHANNEL
    v *= channel_gate[channel_gate_offset + n / plane];
#endif
#ifdef SPATIAL
    v *= spatial_gate[spatial_gate_offset + n / (channels * plane) * plane + n % plane];
#endif
    out[out_offset + n] = v;
}
#endif
