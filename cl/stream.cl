/* STREAM_16(v, p) stores 16 floats. With -DSTREAM it does so past the caches, which saves reading the lines first; p must then lie
 * on 64 bytes (STREAMS(p)). Only where the output is larger than the caches: what is read again soon is twice slower so. */
#define STREAM_16(v, p) vstore16(v, 0, p)
#define STREAMS(p) false
#if defined(STREAM) && defined(__has_builtin)
#if __has_builtin(__builtin_nontemporal_store)
#undef STREAM_16
#undef STREAMS
#define STREAM_16(v, p) __builtin_nontemporal_store((float16)(v), (__global float16 *)(p))
#define STREAMS(p) (((ulong)(p) & 63) == 0)
#endif
#endif
