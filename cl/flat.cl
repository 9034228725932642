/* Dense planes walked as they lie in memory, for GPUs: whatever the planes' size, neighbouring items take neighbouring elements.
 * A group has SHARE elements; an item AT_ONCE times STEP of them: a quad where `x` and `out` are ALIGNED, else one. */
#include "lanes.cl"
#include "quads.cl"

#define AT_ONCE 4
#ifdef ALIGNED
#define STEP 4
#define FLOATS float4
#define UINTS uint4
#else
#define STEP 1
#define FLOATS float
#define UINTS uint
#endif
#define SHARE (GROUP * AT_ONCE * STEP)
/* Of an item's i-th elements, the first, counted from the group's. */
#define ELEMENT(i) (((uint)get_local_id(0) + (i) * GROUP) * STEP)

/* STEP elements, of which `left` are there. */
INLINE FLOATS load_some_flat(__global const STORED *p, int left) {
#ifdef ALIGNED
    if (left >= STEP) return LOAD_4(p);
    return (float4)(left > 0 ? LOAD_1(p) : 0.0f, left > 1 ? LOAD_1(p + 1) : 0.0f, left > 2 ? LOAD_1(p + 2) : 0.0f, 0.0f);
#else
    return left > 0 ? LOAD_1(p) : 0.0f;
#endif
}

INLINE void store_some_flat(FLOATS v, __global STORED *p, int left) {
#ifdef ALIGNED
    if (left >= STEP) {
        STORE_4(v, p);
        return;
    }
    if (left > 0) STORE_1(v.x, p);
    if (left > 1) STORE_1(v.y, p + 1);
    if (left > 2) STORE_1(v.z, p + 2);
#else
    if (left > 0) STORE_1(v, p);
#endif
}

/* The planes of STEP elements, counted from that of the group's first element, which is `within` it. What is not there has the
 * last one's. */
INLINE UINTS planes_at(uint element, uint within, uint size, int left) {
    const uint at = within + element, plane = at / size;
#ifdef ALIGNED
    uint rest = at - plane * size;
    uint4 planes = (uint4)(plane);
    if (rest + STEP > size) {
        if (left > 1 && ++rest == size) rest = 0, planes += (uint4)(0, 1, 1, 1);
        if (left > 2 && ++rest == size) rest = 0, planes += (uint4)(0, 0, 1, 1);
        if (left > 3 && ++rest == size) planes += (uint4)(0, 0, 0, 1);
    }
    return planes;
#else
    return plane;
#endif
}

/* p at each index: one access where they are the same. */
INLINE FLOATS pick(__global const float *p, UINTS index) {
#ifdef ALIGNED
    if (index.x == index.w) return (float4)(p[index.x]);
    return (float4)(p[index.x], p[index.y], p[index.z], p[index.w]);
#else
    return p[index];
#endif
}
