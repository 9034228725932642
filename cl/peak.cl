#include "common.cl"

/* What the device can do at best: multiply-adds without memory, copies without arithmetic, and sums of
 * what is read. The loops' results are
 * stored, so that no compiler may drop them. */

#ifdef KERNEL_fma_single
/* CHAINS independent accumulators hide the latency of an FMA: 24 fill the registers of AVX-512, 6 those of AVX2. */
SINGLE void fma_single(OUT(y), const int rounds, const float a, const float b) {
    float16 sum[CHAINS];
    SHIFT(y);
    const float16 va = (float16)(a), vb = (float16)(b);
#pragma unroll
    for (int j = 0; j < CHAINS; j++) sum[j] = (float16)(a * (float)j);
    for (int i = 0; i < rounds; i++) {
#pragma unroll
        for (int j = 0; j < CHAINS; j++) sum[j] = fma(sum[j], va, vb);
    }
    float16 total = sum[0];
#pragma unroll
    for (int j = 1; j < CHAINS; j++) total += sum[j];
    vstore16(total, get_group_id(0), y);
}
#endif

#ifdef KERNEL_fma_fed
/* A tile of ROWS x VECTORS sums, as products of matrices have it, whose factors are read from the level-1 cache: 8 KiB of columns, 1 to 3 of rows. */
#define STEPS (128 / VECTORS)
SINGLE void fma_fed(OUT(y), const int rounds, const float a, const float b) {
    __local float rows[STEPS * ROWS];
    __local float16 columns[STEPS * VECTORS];
    float16 sum[ROWS][VECTORS];
    SHIFT(y);
    for (int i = 0; i < STEPS * ROWS; i++) rows[i] = a;
    for (int i = 0; i < STEPS * VECTORS; i++) columns[i] = (float16)(b);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int j = 0; j < VECTORS; j++) sum[i][j] = (float16)(0.0f);
    }
    for (int round = 0; round < rounds; round++) {
#pragma unroll 1
        for (int k = 0; k < STEPS; k++) {
            float16 column[VECTORS];
#pragma unroll
            for (int j = 0; j < VECTORS; j++) column[j] = columns[k * VECTORS + j];
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
#pragma unroll
                for (int j = 0; j < VECTORS; j++) sum[i][j] = fma((float16)(rows[k * ROWS + i]), column[j], sum[i][j]);
            }
        }
    }
    float16 total = (float16)(0.0f);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int j = 0; j < VECTORS; j++) total += sum[i][j];
    }
    vstore16(total, get_group_id(0), y);
}
#endif

#ifdef KERNEL_fma_items
/* 16 scalar chains for each work-item. */
__kernel void fma_items(OUT(y), const int rounds, const float a, const float b) {
    float4 s0 = (float4)(a), s1 = (float4)(b), s2 = (float4)(a + b), s3 = (float4)(a - b);
    const float4 va = (float4)(a), vb = (float4)(b);
    SHIFT(y);
    for (int i = 0; i < rounds; i++) {
        s0 = fma(s0, va, vb);
        s1 = fma(s1, va, vb);
        s2 = fma(s2, va, vb);
        s3 = fma(s3, va, vb);
    }
    const float4 total = (s0 + s1) + (s2 + s3);
    y[get_global_id(0)] = (total.x + total.y) + (total.z + total.w);
}
#endif

#ifdef KERNEL_copy_single
/* `vectors` float16 for each group. STREAM: stores that do not read the line first, where the compiler has them. */
#if defined(STREAM) && defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#define STORE(v, p) __builtin_nontemporal_store((v), (p))
#endif
#endif
#ifndef STORE
#define STORE(v, p) (*(p) = (v))
#endif
SINGLE void copy_single(IN(x), OUT(y), const int vectors) {
    SHIFT(x);
    SHIFT(y);
    __global const float16 *from = (__global const float16 *)x + (long)get_group_id(0) * vectors;
    __global float16 *to = (__global float16 *)y + (long)get_group_id(0) * vectors;
    for (int i = 0; i < vectors; i += 4) {
        const float16 a = from[i], b = from[i + 1], c = from[i + 2], d = from[i + 3];
        STORE(a, to + i);
        STORE(b, to + i + 1);
        STORE(c, to + i + 2);
        STORE(d, to + i + 3);
    }
}
#endif

#ifdef KERNEL_copy_items
__kernel void copy_items(IN(x), OUT(y), const long count) {
    const long n = get_global_id(0);
    SHIFT(x);
    SHIFT(y);
    if (n < count) ((__global float4 *)y)[n] = ((__global const float4 *)x)[n];
}
#endif

#ifdef KERNEL_read_single
/* The sum of `vectors` float16 for each group; eight sums hide the latency of an addition. */
SINGLE void read_single(IN(x), OUT(y), const int vectors) {
    float16 sum[8];
    SHIFT(x);
    SHIFT(y);
    __global const float16 *from = (__global const float16 *)x + (long)get_group_id(0) * vectors;
#pragma unroll
    for (int j = 0; j < 8; j++) sum[j] = (float16)(0.0f);
    for (int i = 0; i < vectors; i += 8) {
#pragma unroll
        for (int j = 0; j < 8; j++) sum[j] += from[i + j];
    }
    const float16 total = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    vstore16(total, get_group_id(0), y);
}
#endif

#ifdef KERNEL_read_items
/* Neighbouring work-items read neighbouring float4. */
__kernel void read_items(IN(x), OUT(y), const long count) {
    float4 sum = (float4)(0.0f);
    SHIFT(x);
    SHIFT(y);
    for (long n = get_global_id(0); n < count; n += get_global_size(0)) sum += ((__global const float4 *)x)[n];
    y[get_global_id(0)] = (sum.x + sum.y) + (sum.z + sum.w);
}
#endif
