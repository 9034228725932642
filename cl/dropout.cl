#include "common.cl"
#include "philox.cl"

/* One work-item per counter: four elements. Dropped ones are 0 whatever they held. */
__kernel void scalar(IN_PLACE(x), OUT_PLACE(out), const long count, const long seed, const long offset, const int limit, const float scale) {
    const long n = get_global_id(0);
    if (n * 4 >= count) return;
    SHIFT(x);
    SHIFT(out);
    uint words[4];
    vstore4(philox_4((ulong)n, (ulong)offset, (ulong)seed), 0, words);
    const int last = (int)min(4L, count - n * 4);
    for (int i = 0; i < last; i++) {
        float v = 0;
        if (words[i] >= (uint)limit) v = x[n * 4 + i] * scale;
        out[n * 4 + i] = v;
    }
}
