/* p[i] by a 32-bit offset in bytes from a base that is the same for all items: one register for an address instead of two. */
#define NEAR(p, i) ((__global const STORED *)((__global const char *)(p) + (uint)(i) * (uint)sizeof(STORED)))
#define NEAR_OUT(p, i) ((__global STORED *)((__global char *)(p) + (uint)(i) * (uint)sizeof(STORED)))
#define NEAR_FLOAT(p, i) (*(__global const float *)((__global const char *)(p) + (uint)(i) * 4u))

/* Four neighbouring elements as the caller stores them. -DALIGNED: the host has seen that they begin at a multiple of four; each
 * quad is then one access. f16 goes through its bits, for vload_half4 promises no alignment and becomes four. */
#ifdef ALIGNED
#ifdef HALF
INLINE float4 load_4(__global const half *p) {
    const ushort4 bits = *(__global const ushort4 *)p;
    return vload_half4(0, (const half *)&bits);
}

INLINE void store_4(float4 v, __global half *p) {
    ushort4 bits;
    vstore_half4_rte(v, 0, (half *)&bits);
    *(__global ushort4 *)p = bits;
}

#define LOAD_4(p) load_4(p)
#define STORE_4(v, p) store_4(v, p)
#else
#define LOAD_4(p) (*(__global const float4 *)(p))
#define STORE_4(v, p) (*(__global float4 *)(p) = (v))
#endif
#endif
