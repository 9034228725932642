/* FETCH(p) and FETCH_TO_WRITE(p) bring the line at p near before it is needed, where the compiler can; p may lie anywhere. OpenCL's
 * own prefetch() does nothing on PoCL. */
#define FETCH(p) (void)0
#define FETCH_TO_WRITE(p) (void)0
#ifdef __has_builtin
#if __has_builtin(__builtin_prefetch)
#undef FETCH
#undef FETCH_TO_WRITE
#define FETCH(p) __builtin_prefetch((p), 0, 3)
#define FETCH_TO_WRITE(p) __builtin_prefetch((p), 1, 3)
#endif
#endif
