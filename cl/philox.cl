#include "common.cl"

/* Philox 4x32-10 (Salmon et al. 2011). key = the words of seed, low first; counter = the words of index div 4, then those of
 * offset; the element's word is index mod 4. */

#define PHILOX_ROUND(c0, c1, c2, c3, k0, k1, type)                                                                     \
    do {                                                                                                               \
        const type high0 = mul_hi((type)(0xD2511F53u), c0), low0 = c0 * 0xD2511F53u;                                   \
        const type high1 = mul_hi((type)(0xCD9E8D57u), c2), low1 = c2 * 0xCD9E8D57u;                                   \
        c0 = high1 ^ c1 ^ k0;                                                                                          \
        c1 = low1;                                                                                                     \
        c2 = high0 ^ c3 ^ k1;                                                                                          \
        c3 = low0;                                                                                                     \
        k0 += 0x9E3779B9u;                                                                                             \
        k1 += 0xBB67AE85u;                                                                                             \
    } while (0)

/* The four words of one counter: those of the elements 4 * quarter .. 4 * quarter + 3. */
INLINE uint4 philox_4(ulong quarter, ulong offset, ulong seed) {
    uint c0 = (uint)quarter, c1 = (uint)(quarter >> 32), c2 = (uint)offset, c3 = (uint)(offset >> 32), k0 = (uint)seed, k1 = (uint)(seed >> 32);
    for (int i = 0; i < 10; i++) PHILOX_ROUND(c0, c1, c2, c3, k0, k1, uint);
    return (uint4)(c0, c1, c2, c3);
}

INLINE uint philox_1(ulong index, ulong offset, ulong seed) {
    const uint4 words = philox_4(index >> 2, offset, seed);
    const uint word = (uint)index & 3;
    return word < 2 ? (word ? words.y : words.x) : word == 2 ? words.z : words.w;
}

/* The words of 16 elements anywhere. */
INLINE uint16 philox_16(ulong16 index, ulong offset, ulong seed) {
    const ulong16 quarter = index >> (ulong16)(2);
    uint16 c0 = convert_uint16(quarter & (ulong16)(0xFFFFFFFFu)), c1 = convert_uint16(quarter >> (ulong16)(32)), c2 = (uint16)((uint)offset), c3 = (uint16)((uint)(offset >> 32));
    uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
#pragma unroll 1
    for (int i = 0; i < 10; i++) PHILOX_ROUND(c0, c1, c2, c3, k0, k1, uint16);
    const uint16 word = convert_uint16(index & (ulong16)(3));
    const uint16 low = select(c0, c1, word == (uint16)(1)), high = select(c2, c3, word == (uint16)(3));
    return select(low, high, word > (uint16)(1));
}
