/* Host conversions between f32 and the 16-bit storage types, rounding to nearest even. */
#include <string.h>

#include <clattn/tensor.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Drops `shift` bits of a magnitude, to nearest even. */
static uint32_t rounded(uint32_t magnitude, unsigned shift) {
    const uint32_t half = (uint32_t)1 << (shift - 1), odd = magnitude >> shift & 1;
    return (magnitude + half - 1 + odd) >> shift;
}

static uint16_t to_half(float value) {
    const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds beyond 65504 */
    if (magnitude >= 0x38800000) return (uint16_t)(sign | (rounded(magnitude, 13) - (112 << 10)));
    const unsigned exponent = magnitude >> 23; /* subnormal: 2^-24 is one unit */
    if (exponent < 102) return (uint16_t)sign;
    return (uint16_t)(sign | rounded((magnitude & 0x7fffff) | 0x800000, 126 - exponent));
}

static float from_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 31) return float_of(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    const float value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
}

static uint16_t to_bfloat(float value) {
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)rounded(bits, 16);
}

void clattn_floats_store(clattn_dtype dtype, const float *from, void *to, int64_t count) {
    uint16_t *small = to;
    if (dtype == CLATTN_F32) memcpy(to, from, (size_t)count * sizeof *from);
    else if (dtype == CLATTN_F16 || dtype == CLATTN_BF16)
        for (int64_t i = 0; i < count; i++) small[i] = dtype == CLATTN_F16 ? to_half(from[i]) : to_bfloat(from[i]);
}

void clattn_floats_load(clattn_dtype dtype, const void *from, float *to, int64_t count) {
    const uint16_t *small = from;
    if (dtype == CLATTN_F32) memcpy(to, from, (size_t)count * sizeof *to);
    else if (dtype == CLATTN_F16 || dtype == CLATTN_BF16)
        for (int64_t i = 0; i < count; i++) to[i] = dtype == CLATTN_F16 ? from_half(small[i]) : float_of((uint32_t)small[i] << 16);
}
