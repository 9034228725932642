/* Elements that are only moved: the bits of f32 or, with -DHALF, of either 16-bit type. LINE of them are a cache line. */
#include "stream.cl"

#ifdef HALF
#define MOVED ushort
#define LINE 32

INLINE uint16 load_line(__global const ushort *p) {
    return (uint16)(as_uint8(vload16(0, p)), as_uint8(vload16(1, p)));
}

INLINE void store_line(uint16 v, __global ushort *p) {
    vstore16(as_ushort16(v.lo), 0, p);
    vstore16(as_ushort16(v.hi), 1, p);
}
#else
#define MOVED uint
#define LINE 16
#define load_line(p) vload16(0, p)
#define store_line(v, p) vstore16(v, 0, p)
#endif

#define IN_MOVED(x) __global const MOVED *restrict x, const long x##_offset
#define OUT_MOVED(x) __global MOVED *restrict x, const long x##_offset

#ifndef STREAM_LINE
#define STREAM_LINE(v, p) store_line(v, p)
#define BEFORE_LINE(p) 0L
#endif

/* The rest of a row, fewer than a line. */
#define MOVE_REST(n)                                                                                                   \
    if (rest & (n)) {                                                                                                  \
        vstore##n(vload##n(0, in), 0, out);                                                                            \
        in += n;                                                                                                       \
        out += n;                                                                                                      \
    }

INLINE void move_rest(__global const MOVED *in, __global MOVED *out, int rest) {
#ifdef HALF
    MOVE_REST(16)
#endif
    MOVE_REST(8)
    MOVE_REST(4)
    MOVE_REST(2)
    if (rest & 1) *out = *in;
}

INLINE void move_row(__global const MOVED *in, __global MOVED *out, long n) {
    const long before = min(n, BEFORE_LINE(out)), end = before + (n - before) / LINE * LINE;
    if (before) move_rest(in, out, (int)before);
    for (long i = before; i < end; i += LINE) STREAM_LINE(load_line(in + i), out + i);
    if (end < n) move_rest(in + end, out + end, (int)(n - end));
}

INLINE void fill_row(__global MOVED *out, long n, MOVED value) {
#ifdef HALF
    const uint16 line = (uint16)(value | (uint)value << 16);
#else
    const uint16 line = (uint16)(value);
#endif
    const long whole = n / LINE * LINE;
    for (long i = 0; i < whole; i += LINE) store_line(line, out + i);
    for (long i = whole; i < n; i++) out[i] = value;
}
