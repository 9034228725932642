#include "common.cl"
#include "lanes.cl"
#include "quads.cl"

/* Whole planes on GPUs: the pools of each, the join of its parts' pools, maximum and mean over the channels, and planes times
 * factors. -DGROUP: the items of a group, where a kernel has no `lanes`. -DALIGNED: see quads.cl; for pools and channels it says too that a plane's size is a multiple of 4. */

#if defined KERNEL_pool || defined KERNEL_join
/* -DAVG, -DMAX, -DLP, -DLSE: the pools asked for. -DTO_OUTPUT: they are stored as the operation's output; else f32, which parts
 * are. Sums of squares and of exponentials are relative to the largest value so far, so that neither overflows; NaN sticks to it. */
#ifdef TO_OUTPUT
#define RESULT STORED
#define STORE_RESULT(v, p) STORE_1(v, p)
#else
#define RESULT float
#define STORE_RESULT(v, p) (*(p) = (v))
#endif

typedef struct pools {
#ifdef AVG
    float sum;
#endif
#ifdef MAX
    float most;
#endif
#ifdef LP
    float largest, squares;
#endif
#ifdef LSE
    float top, powers;
#endif
} pools;

INLINE pools no_pools(void) {
    pools p;
#ifdef AVG
    p.sum = 0;
#endif
#ifdef MAX
    p.most = -INFINITY;
#endif
#ifdef LP
    p.largest = p.squares = 0;
#endif
#ifdef LSE
    p.top = -INFINITY;
    p.powers = 0;
#endif
    return p;
}

#ifdef LP
/* Zeros are squared relative to 1. */
INLINE float lp_level(float largest) {
    return largest == 0 ? 1.0f : largest;
}

INLINE void lp_raise(pools *p, float largest) {
    const float factor = p->largest / lp_level(largest);
    p->squares *= factor * factor;
    p->largest = largest;
}

INLINE void lp_add(pools *p, float v) {
    const float part = v / lp_level(p->largest);
    p->squares = fma(part, part, p->squares);
}

INLINE float lp_result(const pools *p) {
    return isnan(p->largest) || isinf(p->largest) ? p->largest : p->largest * sqrt(p->squares);
}
#endif

#ifdef LSE
INLINE float lse_level(float top) {
    return top == -INFINITY ? 0.0f : top;
}

INLINE void lse_raise(pools *p, float top) {
    p->powers *= exp(p->top - lse_level(top));
    p->top = top;
}

INLINE void lse_add(pools *p, float v) {
    p->powers += exp(v - lse_level(p->top));
}

INLINE float lse_result(const pools *p) {
    return isnan(p->top) || isinf(p->top) ? p->top : p->top + log(p->powers);
}
#endif

/* The pools of a row's lanes, joined; each stands `apart` from the one before. */
INLINE void write_pools(pools p, float count, bool writes, __global RESULT *to, long apart, __local float *shared, int lanes) {
#ifdef AVG
    p.sum = lanes_sum(p.sum, shared, lanes);
    if (writes) STORE_RESULT(p.sum / count, to);
    to += apart;
#endif
#ifdef MAX
    p.most = lanes_largest(p.most, shared, lanes);
    if (writes) STORE_RESULT(p.most, to);
    to += apart;
#endif
#ifdef LP
    lp_raise(&p, lanes_largest(p.largest, shared, lanes));
    p.squares = lanes_sum(p.squares, shared, lanes);
    if (writes) STORE_RESULT(lp_result(&p), to);
    to += apart;
#endif
#ifdef LSE
    lse_raise(&p, lanes_largest(p.top, shared, lanes));
    p.powers = lanes_sum(p.powers, shared, lanes);
    if (writes) STORE_RESULT(lse_result(&p), to);
#endif
}

/* Results lie as [rows / inner][pools][inner]. */
INLINE long result_at(uint row, int pool_count, uint inner) {
    const uint outer = row / inner;
    return (long)outer * pool_count * inner + (row - outer * inner);
}
#endif

#ifdef KERNEL_pool
#ifdef ALIGNED
#define STEP 4
#define AT_ONCE 4
#else
#define STEP 1
#if defined LP || defined LSE
#define AT_ONCE 4
#else
#define AT_ONCE 8
#endif
#endif
#define VALUES (AT_ONCE * STEP) /* that an item reads before it uses them */
#define THERE(e) (i + (e) / STEP * lanes < steps)

/* What is not there is 0. */
INLINE void load_values(float *v, __global const STORED *x, int i, int steps, int lanes) {
    UNROLL for (int e = 0; e < VALUES; e += STEP) {
#ifdef ALIGNED
        vstore4(THERE(e) ? LOAD_4(x + (i + e / STEP * lanes) * STEP) : (float4)(0.0f), 0, v + e);
#else
        v[e] = THERE(e) ? LOAD_1(x + i + e * lanes) : 0.0f;
#endif
    }
}

INLINE void take_values(pools *p, const float *v, int i, int steps, int lanes) {
#ifdef AVG
    float sum = 0;
    UNROLL for (int e = 0; e < VALUES; e++) sum += v[e];
    p->sum += sum;
#endif
#ifdef MAX
    UNROLL for (int e = 0; e < VALUES; e++) p->most = THERE(e) ? JOIN_LARGEST(p->most, v[e]) : p->most;
#endif
#ifdef LP
    float largest = p->largest;
    UNROLL for (int e = 0; e < VALUES; e++) largest = JOIN_LARGEST(largest, fabs(v[e]));
    lp_raise(p, largest);
    UNROLL for (int e = 0; e < VALUES; e++) lp_add(p, v[e]);
#endif
#ifdef LSE
    float top = p->top;
    UNROLL for (int e = 0; e < VALUES; e++) top = THERE(e) ? JOIN_LARGEST(top, v[e]) : top;
    lse_raise(p, top);
    UNROLL for (int e = 0; e < VALUES; e++) lse_add(p, THERE(e) ? v[e] : -INFINITY);
#endif
}

/* A row is a part of a plane: `share` of its `size` elements, or what is left of them. Of several parts the mean's are sums. */
__kernel void pool(IN_STORED(x), __global RESULT *restrict out, const long out_offset, const long rows_total, const int size, const int parts, const int share, const int pool_count, const int inner, const int lanes, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, rows_total - 1), plane = (uint)row / (uint)parts;
    const int first = (int)(row - plane * parts) * share, n = asked < rows_total ? min(share, size - first) : 0, steps = n / STEP;
    pools p = no_pools();
    x += x_offset + plane * size + first;
    for (int i = lane; i < steps; i += AT_ONCE * lanes) {
        float v[VALUES];
        load_values(v, x, i, steps, lanes);
        take_values(&p, v, i, steps, lanes);
    }
    write_pools(p, parts > 1 ? 1.0f : (float)size, lane == 0 && asked < rows_total, out + out_offset + result_at((uint)row, pool_count, (uint)inner), inner, shared, lanes);
}
#endif

#ifdef KERNEL_join
/* A row is a plane, of which each pool has `count` parts: [pools][rows][count]. */
__kernel void join(IN(parts), __global RESULT *restrict out, const long out_offset, const long rows_total, const int size, const int count, const int pool_count, const int inner, const int lanes, __local float *shared) {
    const int lane = (int)lane_of(lanes);
    const long asked = row_of(lanes), row = min(asked, rows_total - 1);
    pools p = no_pools();
    parts += parts_offset + row * count;
    for (int i = lane; i < count; i += lanes) {
        __global const float *part = parts + i;
#ifdef AVG
        p.sum += *part;
        part += rows_total * count;
#endif
#ifdef MAX
        p.most = JOIN_LARGEST(p.most, *part);
        part += rows_total * count;
#endif
#ifdef LP
        lp_raise(&p, JOIN_LARGEST(p.largest, *part));
        lp_add(&p, *part);
        part += rows_total * count;
#endif
#ifdef LSE
        lse_raise(&p, JOIN_LARGEST(p.top, *part));
        lse_add(&p, *part);
#endif
    }
    write_pools(p, (float)size, lane == 0 && asked < rows_total, out + out_offset + result_at((uint)row, pool_count, (uint)inner), inner, shared, lanes);
}
#endif

#ifdef KERNEL_channels
#define ALONG (GROUP / ACROSS) /* items that share the channels of the same pixels */
#define LARGER(m, v) select(m, v, (v) > (m) || isnan(v))

#ifdef GATED
#define TIMES_GATE(v, c) ((v) * NEAR_FLOAT(gate, c))
#else
#define TIMES_GATE(v, c) (v)
#endif

/* An item's pixels: a quad; or, where quads are not aligned, four of which each has its neighbours in the neighbouring items. */
#ifdef ALIGNED
#define AT_ONCE 4 /* channels */
#define PIXELS(c) LOAD_4(NEAR(x, (uint)(c) * (uint)plane + (uint)pixel.x))
#define PIXELS_OF(across) (4 * (across) + (int4)(0, 1, 2, 3))
#else
#define AT_ONCE 2 /* each of which takes four addresses */
#define PIXEL(c, i) LOAD_1(NEAR(x, (uint)(c) * (uint)plane + (uint)pixel.i))
#define PIXELS(c) (float4)(PIXEL(c, x), PIXEL(c, y), PIXEL(c, z), PIXEL(c, w))
#define PIXELS_OF(across) ((across) + (int4)(0, ACROSS, 2 * ACROSS, 3 * ACROSS))
#endif

INLINE void put_pixels(__global float *map, float4 v, int4 pixel, int plane) {
#ifdef ALIGNED
    *(__global float4 *)(map + pixel.x) = v;
#else
    if (pixel.x < plane) map[pixel.x] = v.x;
    if (pixel.y < plane) map[pixel.y] = v.y;
    if (pixel.z < plane) map[pixel.z] = v.z;
    if (pixel.w < plane) map[pixel.w] = v.w;
#endif
}

/* Maximum and mean over the channels of each pixel, with -DGATED times the channel's gate: `top_at`, `mean_at` are their planes among
 * the `kinds` that an image has in `maps`, -1 for none. A group takes 4 * ACROSS pixels of an image, which
 * has at most 2^30 elements. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void channels(IN_STORED(x), IN(gate), OUT(maps), const int count, const int plane, const int blocks, const int top_at, const int mean_at, const int kinds) {
    __local float4 tops[GROUP], sums[GROUP];
    const uint t = (uint)get_local_id(0), group = (uint)get_group_id(0), image = group / (uint)blocks, along = t / ACROSS;
    const int4 own = (int)(group - image * (uint)blocks) * 4 * ACROSS + PIXELS_OF((int)(t - along * ACROSS)), pixel = min(own, (int4)(plane - 1));
    const int some = own.x < plane ? count : 0;
    float4 top = (float4)(-INFINITY), sum = (float4)(0.0f);
    int c = (int)along;
    x += x_offset + (long)image * count * plane;
#ifdef GATED
    gate += gate_offset + (long)image * count;
#endif
    for (; c + (AT_ONCE - 1) * ALONG < some; c += AT_ONCE * ALONG) {
        float4 v[AT_ONCE];
        UNROLL for (int i = 0; i < AT_ONCE; i++) v[i] = TIMES_GATE(PIXELS(c + i * ALONG), c + i * ALONG);
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            top = LARGER(top, v[i]);
            sum += v[i];
        }
    }
    for (; c < some; c += ALONG) {
        const float4 v = TIMES_GATE(PIXELS(c), c);
        top = LARGER(top, v);
        sum += v;
    }
    tops[t] = top;
    sums[t] = sum;
    for (uint width = ALONG / 2; width > 0; width /= 2) {
        LANES_BARRIER;
        if (along < width) {
            tops[t] = LARGER(tops[t], tops[t + width * ACROSS]);
            sums[t] += sums[t + width * ACROSS];
        }
    }
    if (along > 0 || own.x >= plane) return;
    maps += maps_offset + (long)image * kinds * plane;
    if (top_at >= 0) put_pixels(maps + (long)top_at * plane, tops[t], own, plane);
    if (mean_at >= 0) put_pixels(maps + (long)mean_at * plane, sums[t] / (float)count, own, plane);
}
#endif

#ifdef KERNEL_scale
#include "flat.cl"

/* Each plane of `size` elements times its factor; `total` elements in all. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void scale(IN_STORED(x), IN(factors), OUT_STORED(out), const long total, const uint size) {
    const ulong first = (ulong)get_group_id(0) * SHARE, plane = first / size;
    const uint within = (uint)(first - plane * size);
    const int left = (int)min((ulong)SHARE, (ulong)total - first);
    FLOATS v[AT_ONCE];
    x += x_offset + first;
    factors += factors_offset + plane;
    out += out_offset + first;
    UNROLL for (int i = 0; i < AT_ONCE; i++) v[i] = load_some_flat(x + ELEMENT(i), left - (int)ELEMENT(i));
    UNROLL for (int i = 0; i < AT_ONCE; i++) {
        const int there = left - (int)ELEMENT(i);
        if (there > 0) store_some_flat(v[i] * pick(factors, planes_at(ELEMENT(i), within, size, there)), out + ELEMENT(i), there);
    }
}
#endif
