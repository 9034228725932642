/* Philox 4x32-10 (Salmon et al. 2011), as rule 9 of the operations uses it. */
#ifndef CLATTN_REFERENCE_PHILOX_H
#define CLATTN_REFERENCE_PHILOX_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static inline void ref_philox_round(uint32_t c[4], const uint32_t k[2]) {
    const uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
    const uint32_t next[] = { (uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a };
    for (int i = 0; i < 4; i++) c[i] = next[i];
}

/* The word of one element. */
static inline uint32_t ref_philox(uint64_t index, uint64_t offset, uint64_t seed) {
    uint32_t c[] = { (uint32_t)(index / 4), (uint32_t)(index / 4 >> 32), (uint32_t)offset, (uint32_t)(offset >> 32) }, k[] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    for (int i = 0; i < 10; i++) {
        ref_philox_round(c, k);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c[index % 4];
}

static inline bool ref_dropped(uint64_t index, uint64_t offset, uint64_t seed, float rate) {
    return ref_philox(index, offset, seed) < ceil((double)rate * 4294967296.0);
}

#endif
