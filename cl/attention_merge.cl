#include "common.cl"

/* Parts s of a result over disjoint keys: out = sum of out_s exp(lse_s - lse). A part with lse -inf is not
 * read. Everything is dense. */

#ifdef KERNEL_merge
#define CHUNK 16
/* One work-item per row and CHUNK of its width. */
__kernel void merge(IN(parts), IN(part_lse), OUT(out), OUT(lse), const int count, const long rows, const long width, const int flags, const long items) {
    const long n = get_global_id(0);
    if (n >= items) return;
    SHIFT(parts);
    SHIFT(part_lse);
    SHIFT(out);
    SHIFT(lse);
    const long chunks = width > CHUNK ? (width + CHUNK - 1) / CHUNK : 1, row = n / chunks, start = n % chunks * CHUNK;
    const int some = (int)min((long)CHUNK, width - start);
    float sums[CHUNK], m = -INFINITY, l = 0;
    for (int d = 0; d < CHUNK; d++) sums[d] = 0;
    for (int s = 0; s < count; s++) m = max(m, part_lse[s * rows + row]);
    for (int s = 0; s < count; s++) {
        const float part = part_lse[s * rows + row];
        if (part == -INFINITY) continue;
        const float weight = exp(part - m);
        l += weight;
        for (int d = 0; d < some; d++) sums[d] += weight * parts[(s * rows + row) * width + start + d];
    }
    if (flags & 1) {
        for (int d = 0; d < some; d++) out[row * width + start + d] = l == 0 ? 0.0f : sums[d] / l;
    }
    if ((flags & 2) && start == 0) lse[row] = l == 0 ? -INFINITY : m + log(l);
}
#endif
