/* STREAM_16(v, p) stores 16 elements as STORE_16 does. With -DSTREAM it does so past the caches, which saves reading the lines first; p
 * must then be a multiple of 16 elements from a multiple of 64 bytes (STREAMS(p) says so of a row's beginning). Only where the output
 * is larger than the caches: what is read again soon is twice slower so. */
#define STREAM_16(v, p) STORE_16(v, p)
#define STREAMS(p) false
#if defined(STREAM) && defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#undef STREAM_16
#undef STREAMS
#ifdef HALF
INLINE void stream_16(float16 v, __global half *p) {
    ushort16 bits;
    vstore_half16_rte(v, 0, (half *)&bits);
    __builtin_nontemporal_store(bits, (__global ushort16 *)p);
}
#define STREAM_16(v, p) stream_16(v, p)
#else
#define STREAM_16(v, p) __builtin_nontemporal_store((float16)(v), (__global float16 *)(p))
#endif
#define STREAMS(p) (((ulong)(p) & 63) == 0)
#endif
#endif
