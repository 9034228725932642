#include "common.cl"
#include "philox.cl"

/* Dropped elements are 0 whatever they held. */

#ifdef KERNEL_rows
/* A group takes `per_group` elements, 16 at a time. */
SINGLE void rows(IN_PLACE_STORED(x), OUT_PLACE_STORED(out), const long count, const long per_group, const long seed, const long offset, const int limit, const float scale) {
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(count, first + per_group);
    const ulong16 lanes = convert_ulong16(lanes16());
    for (long i = first; i < last; i += 16) {
        const int rest = (int)min(16L, last - i);
        const uint16 words = philox_16(lanes + (ulong16)((ulong)i), (ulong)offset, (ulong)seed);
        const float16 v = rest < 16 ? load_some_stored(x + i, rest, 0) : LOAD_16(x + i);
        const float16 kept = select((float16)(0.0f), v * scale, words >= (uint16)((uint)limit));
        if (rest < 16) store_some_stored(kept, rest, out + i);
        else STORE_16(kept, out + i);
    }
}
#endif

#ifdef KERNEL_scalar
/* One work-item per counter: four elements. */
__kernel void scalar(IN_PLACE_STORED(x), OUT_PLACE_STORED(out), const long count, const long seed, const long offset, const int limit, const float scale) {
    const long n = get_global_id(0);
    if (n * 4 >= count) return;
    SHIFT(x);
    SHIFT(out);
    uint words[4];
    vstore4(philox_4((ulong)n, (ulong)offset, (ulong)seed), 0, words);
    const int last = (int)min(4L, count - n * 4);
    for (int i = 0; i < last; i++) {
        float v = 0;
        if (words[i] >= (uint)limit) v = LOAD_1(x + n * 4 + i) * scale;
        STORE_1(v, out + n * 4 + i);
    }
}
#endif
