#include "common.cl"

#ifdef KERNEL_mask
/* true for the keys before each batch's length. */
__kernel void mask(IN_INT(lengths), __global uchar *restrict kept, const long kept_offset, const long batches, const long keys) {
    const long n = get_global_id(0);
    if (n >= batches * keys) return;
    SHIFT(lengths);
    SHIFT(kept);
    kept[n] = n % keys < lengths[n / keys];
}
#endif

#ifdef KERNEL_windowed
/* Sums in four parts: shorter chains, and f32 accuracy for long rows. */
INLINE float dot_1(__global const float *a, __global const float *b, long size) {
    float4 s = (float4)(0.0f);
    long i = 0;
    for (; i + 4 <= size; i += 4) s = fma(vload4(0, a + i), vload4(0, b + i), s);
    float rest = 0.0f;
    for (; i < size; i++) rest = fma(a[i], b[i], rest);
    return ((s.x + s.z) + (s.y + s.w)) + rest;
}

/* v . tanh(a + b) */
INLINE float additive_1(__global const float *a, __global const float *b, __global const float *v, long size) {
    float total = 0.0f;
    for (long first = 0; first < size; first += 32) {
        float part = 0.0f;
        for (long i = first; i < min(first + 32, size); i++) part = fma(v[i], tanh(a[i] + b[i]), part);
        total += part;
    }
    return total;
}

/* A position as its floor and the rest in 0..1: the rest stays exact where the position is large. */
typedef struct {
    long centre;
    float rest;
} place;

/* (length - 1) sigmoid(x). For x > 0 the distance from the end is computed, which is small and never 0: the floor is that
 * of the real number even where its f32 is the last key. From x = 36.7 on it is in double as well. */
INLINE place predicted(float x, long length) {
    place p;
    const float last = (float)(length - 1), e = exp(-fabs(x)), small = last * (x > 36.7f ? 0.0f : e / (1.0f + e));
    if (isnan(x)) {
        p.centre = 0;
        p.rest = x;
    } else if (x > 0.0f) {
        p.centre = length - 1 - (long)ceil(small);
        p.rest = ceil(small) - small;
    } else {
        p.centre = (long)floor(small);
        p.rest = small - floor(small);
    }
    return p;
}

/* One target position per work-item. query: the target, or its projection; keys: the source, or its projection;
 * hidden (local_p): tanh(w_p target); v_a (concat): additive scores. scores: `room` floats per item. steepness: 1 / sigma. */
__kernel void windowed(IN(query), IN(keys), IN(source), IN(v_a), IN(hidden), IN(v_p), IN_INT(lengths), OUT(scores), OUT(context), OUT(weights), OUT(positions),
                    const long batches, const long steps, const long count, const long size, const long width, const long hidden_size, const long room, const long window, const long first_step, const float steepness) {
    const long n = get_global_id(0);
    if (n >= batches * steps) return;
    SHIFT(query);
    SHIFT(keys);
    SHIFT(source);
    if (v_a) SHIFT(v_a);
    if (hidden) SHIFT(hidden);
    if (v_p) SHIFT(v_p);
    if (lengths) SHIFT(lengths);
    SHIFT(scores);
    if (context) SHIFT(context);
    if (weights) SHIFT(weights);
    if (positions) SHIFT(positions);
    const long batch = n / steps, length = lengths ? clamp((long)lengths[batch], 0L, count) : count;
    place p;
    p.centre = clamp(first_step + n % steps, 0L, max(length - 1, 0L));
    p.rest = 0.0f;
    if (hidden && length > 0) p = predicted(dot_1(hidden + n * hidden_size, v_p, hidden_size), length);
    const long first = max(p.centre - window, 0L), end = min(p.centre + window + 1, length);
    if (positions) positions[n] = (float)p.centre + p.rest;

    __global float *s = scores + n * room;
    float m = -INFINITY, l = 0.0f;
    for (long k = first; k < end; k++) {
        __global const float *q = query + n * size, *key = keys + (batch * count + k) * size;
        s[k - first] = v_a ? additive_1(q, key, v_a, size) : dot_1(q, key, size);
        m = s[k - first] > m ? s[k - first] : m;
    }
    for (long k = first; k < end; k++) l += s[k - first] = exp(s[k - first] - m);
    for (long k = first; k < end; k++) {
        const float distance = ((float)(k - p.centre) - p.rest) * steepness;
        s[k - first] = s[k - first] / l * (hidden ? exp(-0.5f * distance * distance) : 1.0f);
    }
    for (long k = 0; weights && k < count; k++) weights[n * count + k] = k >= first && k < end ? s[k - first] : 0.0f;
    for (long i = 0; context && i < width; i++) {
        float sum = 0.0f;
        for (long k = first; k < end; k++) sum = fma(s[k - first], source[(batch * count + k) * width + i], sum);
        context[n * width + i] = sum;
    }
}
#endif
