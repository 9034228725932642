#include "common.cl"
#include "careful.cl"
#include "lanes.cl"

/* loss = (largest - x[t]) + log(sum of exp(x - largest)) - smoothing * mean of (x - x[t]); x[t] is the target's logit.
 * 0 for a target that is `ignored` or outside the row; inf where x[t] has no probability. */

INLINE float loss_of(float largest, float sum, float at_target, float mean_distance, float smoothing) {
    if (isnan(largest) || largest == INFINITY) return NAN;
    if (at_target == -INFINITY) return INFINITY;
    const float loss = (largest - at_target) + log(sum);
    return smoothing == 0 ? loss : loss - smoothing * mean_distance;
}

#ifdef KERNEL_rows
#define BLOCK 2048 /* stays in the first cache: read for its maximum, then for the exponentials */

typedef struct {
    float largest;
    float16 sum, distance;
} state;

INLINE float16 load_16(__global const STORED *in, long i, long length, float other) {
    return length - i < 16 ? load_some_stored(in + i, (int)(length - i), other) : LOAD_16(in + i);
}

INLINE void add_block(state *s, __global const STORED *in, long start, long length, float at_target) {
    const long end = min(length, start + BLOCK);
    float16 m = (float16)(-INFINITY);
    int16 bad = (int16)(0);
    for (long i = start; i < end; i += 16) {
        const float16 v = load_16(in, i, end, -INFINITY);
        bad |= isnan(v);
        m = VMAX(m, v);
    }
    const float block = any(bad) ? NAN : max16(m);
    if (block == -INFINITY) {
        s->distance += -INFINITY;
        return;
    }
    if (!(block <= s->largest)) {
        s->sum *= exp(s->largest - block);
        s->largest = isnan(s->largest) ? NAN : block;
    }
    float16 sum = (float16)(0.0f), distance = (float16)(0.0f);
    for (long i = start; i < end; i += 16) {
        sum += exp_16(load_16(in, i, end, -INFINITY) - s->largest);
#ifdef SMOOTH
        distance += load_16(in, i, end, at_target) - at_target;
#endif
    }
    s->sum += sum;
    s->distance += distance;
}

SINGLE void rows(IN_STORED(logits), IN_INT(targets), OUT(losses), const long rows_total, const long length, const long per_group, const int ignored, const float smoothing) {
    SHIFT(logits);
    SHIFT(targets);
    SHIFT(losses);
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group);
    for (long r = first; r < last; r++) {
        const int t = targets[r];
        float loss = 0;
        if (t != ignored && t >= 0 && t < length) {
            __global const STORED *in = logits + r * length;
            const float at_target = LOAD_1(in + t);
            state s = { -INFINITY, (float16)(0.0f), (float16)(0.0f) };
            for (long i = 0; i < length; i += BLOCK) add_block(&s, in, i, length, at_target);
            loss = loss_of(s.largest, sum16(s.sum), at_target, sum16(s.distance) / length, smoothing);
        }
        losses[r] = loss;
    }
}
#endif

#ifdef KERNEL_gpu_row
#define AT_ONCE 4 /* logits that an item reads before it uses them */

/* `lanes` items to a row, which is read once: the sum is brought to a larger maximum as it is found. */
__kernel void gpu_row(IN_STORED(logits), IN_INT(targets), OUT(losses), const long rows_total, const int length, const int lanes, const int ignored, const float smoothing, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, rows_total - 1);
    const int t = targets[targets_offset + row];
    const bool counts = t != ignored && t >= 0 && t < length;
    const int n = counts && asked < rows_total ? length : 0;
    __global const STORED *in = logits + logits_offset + row * length;
    const float at_target = counts ? LOAD_1(in + t) : 0.0f;
    float m = -INFINITY, s = 0, distance = 0;
    for (int c = lane; c < n; c += AT_ONCE * lanes) {
        float v[AT_ONCE], higher = m, sum = 0;
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            const bool in_row = c + i * lanes < n;
            v[i] = in_row ? LOAD_1(in + c + i * lanes) : -INFINITY;
            higher = fmax(higher, v[i]);
#ifdef SMOOTH
            distance += in_row ? v[i] - at_target : 0.0f;
#endif
        }
        const float near = higher == -INFINITY ? 0.0f : higher;
        UNROLL for (int i = 0; i < AT_ONCE; i++) sum += exp(v[i] - near);
        s = s * exp(m - near) + sum;
        m = higher;
    }
    const float largest = lanes_max(m, shared, lanes);
    s = lanes_sum(s * exp(m - (largest == -INFINITY ? 0.0f : largest)), shared, lanes);
#ifdef SMOOTH
    distance = lanes_sum(distance, shared, lanes);
#endif
    if (lane > 0 || asked >= rows_total) return;
    losses[losses_offset + row] = counts ? loss_of(isnan(s) ? NAN : largest, s, at_target, distance / length, smoothing) : 0.0f;
}
#endif

#ifdef KERNEL_scalar
/* One work-item per row. */
__kernel void scalar(IN_STORED(logits), IN_INT(targets), OUT(losses), const long rows_total, const long length, const int ignored, const float smoothing) {
    const long r = get_global_id(0);
    if (r >= rows_total) return;
    SHIFT(logits);
    SHIFT(targets);
    SHIFT(losses);
    const int t = targets[r];
    float loss = 0;
    if (t != ignored && t >= 0 && t < length) {
        __global const STORED *in = logits + r * length;
        const float at_target = LOAD_1(in + t);
        float largest = -INFINITY;
        careful sum = { 0, 0 }, distance = { 0, 0 };
        for (long i = 0; i < length; i++)
            if (!(LOAD_1(in + i) <= largest)) largest = LOAD_1(in + i);
        for (long i = 0; i < length; i++) {
            careful_add(&sum, exp(LOAD_1(in + i) - largest));
#ifdef SMOOTH
            careful_add(&distance, LOAD_1(in + i) - at_target);
#endif
        }
        loss = loss_of(largest, careful_sum(&sum), at_target, careful_sum(&distance) / length, smoothing);
    }
    losses[r] = loss;
}
#endif

/* The mean over the targets that are not ignored, in two steps: `parts` sums with their counts, then the whole. */
#ifdef KERNEL_partial
__kernel void partial(IN(losses), IN_INT(targets), OUT(parts), const long rows_total, const long parts_total, const long chunk, const int ignored) {
    const long p = get_global_id(0);
    if (p >= parts_total) return;
    SHIFT(losses);
    SHIFT(targets);
    SHIFT(parts);
    careful sum = { 0, 0 };
    long count = 0;
    for (long r = p * chunk; r < min(rows_total, p * chunk + chunk); r++) {
        careful_add(&sum, losses[r]);
        count += targets[r] != ignored;
    }
    parts[2 * p] = careful_sum(&sum);
    parts[2 * p + 1] = count;
}
#endif

#ifdef KERNEL_mean
SINGLE void mean(IN(parts), OUT(out), const long parts_total) {
    SHIFT(parts);
    SHIFT(out);
    careful sum = { 0, 0 };
    float count = 0;
    for (long p = 0; p < parts_total; p++) {
        careful_add(&sum, parts[2 * p]);
        count += parts[2 * p + 1];
    }
    out[0] = count == 0 ? NAN : careful_sum(&sum) / count;
}
#endif
