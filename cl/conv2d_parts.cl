/* What the convolutions on vectors share. `sizes` = C, H, W, O, OH, OW, KH, KW; `window` = strides, dilations, padding before, after. */
#include "conv_sizes.cl"

#define UNROLL _Pragma("unroll")

/* 16 values of a row from `at` on, which counts from the tensor's beginning; those before `low` and from `high` on are
 * padding: 0. A vector that is not all inside of the tensor is not loaded as one. */
INLINE float16 load_padded(__global const float *x, long at, int low, int high, long count) {
    if (at >= 0 && at + 16 <= count) return select((float16)(0.0f), vload16(0, x + at), lanes16() >= low && lanes16() < high);
    float t[16];
    ROLL for (int i = 0; i < 16; i++) t[i] = i >= low && i < high ? x[at + i] : 0.0f;
    return vload16(0, t);
}

#ifdef ACT
INLINE float16 finish(float16 v, float16 shift) {
    return activate_16(v + shift, ACT);
}
#endif
