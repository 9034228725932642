#include "common.cl"

/* f32 from or to 16-bit storage, any strides. FROM and TO are 32 (f32), 16 (f16) or 17 (bf16). Rounds to nearest even.
 * vload_half and vstore_half are part of every OpenCL C, with or without cl_khr_fp16. */
#if FROM == 32
#define FROM_TYPE float
#define LOAD(p, i) (p)[i]
#define LOAD_VECTOR(p) vload16(0, p)
#elif FROM == 16
#define FROM_TYPE half
#define LOAD(p, i) vload_half(i, p)
#define LOAD_VECTOR(p) vload_half16(0, p)
#else
#define FROM_TYPE ushort
#define LOAD(p, i) as_float((uint)(p)[i] << 16)
#define LOAD_VECTOR(p) as_float16(convert_uint16(vload16(0, p)) << 16)
#endif

#if TO == 32
#define TO_TYPE float
#define STORE(v, p, i) (p)[i] = (v)
#define STORE_VECTOR(v, p) vstore16(v, 0, p)
#elif TO == 16
#define TO_TYPE half
#define STORE(v, p, i) vstore_half_rte(v, i, p)
#define STORE_VECTOR(v, p) vstore_half16_rte(v, 0, p)
#else
#define TO_TYPE ushort
#define STORE(v, p, i) (p)[i] = to_bfloat(v)
#define STORE_VECTOR(v, p) vstore16(to_bfloat_16(v), 0, p)
INLINE ushort16 to_bfloat_16(float16 value) {
    const uint16 bits = as_uint16(value), nan = bits >> 16 | 0x40u, rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return convert_ushort16(select(rounded, nan, (bits & 0x7fffffffu) > 0x7f800000u));
}
INLINE ushort to_bfloat(float value) {
    const uint bits = as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (ushort)(bits >> 16 | 0x40u);
    return (ushort)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
#endif

#ifdef KERNEL_dense
/* A group takes `per_group` elements of two dense tensors. */
SINGLE void dense(__global const FROM_TYPE *restrict from, const long from_offset, __global TO_TYPE *restrict to, const long to_offset, const long count, const long per_group) {
    const long first = get_group_id(0) * per_group, last = min(count, first + per_group);
    long i = first;
    from += from_offset;
    to += to_offset;
    for (; i + 16 <= last; i += 16) STORE_VECTOR(LOAD_VECTOR(from + i), to + i);
    for (; i < last; i++) STORE(LOAD(from, i), to, i);
}
#endif

#ifdef KERNEL_strided
/* One work-item per element. */
__kernel void strided(__global const FROM_TYPE *restrict from, const long from_offset, __global TO_TYPE *restrict to, const long to_offset, const long8 from_strides, const long8 to_strides, const long8 shape, const int rank, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    long sizes[8], a[8], b[8], rest = n, from_at = from_offset, to_at = to_offset;
    vstore8(shape, 0, sizes);
    vstore8(from_strides, 0, a);
    vstore8(to_strides, 0, b);
    for (int i = rank - 1; i >= 0; i--) {
        const long next = rest / sizes[i], index = rest - next * sizes[i];
        rest = next;
        from_at += index * a[i];
        to_at += index * b[i];
    }
    STORE(LOAD(from, from_at), to, to_at);
}
#endif
