#include "common.cl"

/* What stands between the projections and attention: extra keys, masks that know of them, the mean over heads. */

#ifdef KERNEL_extra_rows
/* rows[b, given + r, :] = the learned row for r = 0 (when there is one), else 0. */
__kernel void extra_rows(IN(learned), OUT(rows), const int has_learned, const long given, const long extra, const long width, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(learned);
    SHIFT(rows);
    const long w = n % width, r = n / width % extra, b = n / width / extra;
    rows[(b * (given + extra) + given + r) * width + w] = has_learned && r == 0 ? learned[w] : 0.0f;
}
#endif

#ifdef KERNEL_join_masks
#define HAS_MASK 1
#define HAS_KEY_MASK 2
#define CAUSAL 4
/* Keys from `keys` on are extra ones and always attended. */
__kernel void join_masks(IN_BOOL(mask), IN_BOOL(key_mask), __global uchar *restrict joined, const long joined_offset, const long4 mask_strides, const long4 key_mask_strides, const long4 shape, const int flags, const long keys, const long shift, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(mask);
    SHIFT(key_mask);
    SHIFT(joined);
    const long j = n % shape.w, i = n / shape.w % shape.z, h = n / shape.w / shape.z % shape.y, b = n / shape.w / shape.z / shape.y;
    int attend = 1;
    if (j < keys) {
        if (flags & HAS_MASK) attend = mask[b * mask_strides.x + h * mask_strides.y + i * mask_strides.z + j * mask_strides.w] != 0;
        if (flags & HAS_KEY_MASK) attend = attend && key_mask[b * key_mask_strides.x + j * key_mask_strides.y];
        if (flags & CAUSAL) attend = attend && j <= i + shift;
    }
    joined[n] = (uchar)attend;
}
#endif

#ifdef KERNEL_widen_bias
__kernel void widen_bias(IN(bias), OUT(wide), const long4 strides, const long4 shape, const long keys, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(bias);
    SHIFT(wide);
    const long j = n % shape.w, i = n / shape.w % shape.z, h = n / shape.w / shape.z % shape.y, b = n / shape.w / shape.z / shape.y;
    wide[n] = j < keys ? bias[b * strides.x + h * strides.y + i * strides.z + j * strides.w] : 0.0f;
}
#endif

#ifdef KERNEL_average
/* all [B,heads,plane] to its mean over the heads. */
__kernel void average(IN(all), OUT(mean), const long heads, const long plane, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(all);
    SHIFT(mean);
    const long at = n % plane, b = n / plane;
    float sum = 0;
    for (long h = 0; h < heads; h++) sum += all[(b * heads + h) * plane + at];
    mean[n] = sum / heads;
}
#endif
