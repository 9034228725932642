#ifdef KERNEL_planes_special
#define PLANES_VECTORS
#endif
#include "common.cl"
#include "planes.cl"

/* -DMAX, -DAVG or (scalar only) -DINDEX. `sizes` = H, W, OH, OW, kernel (2), padding counts; `window` = strides, dilations,
 * padding before, after. */
#define HEIGHT sizes.s0
#define WIDTH sizes.s1
#define OUT_HEIGHT sizes.s2
#define OUT_WIDTH sizes.s3

/* True where `v` takes the place of the maximum `m` so far: larger, or the first NaN. */
#define BEATS(v, m) ((v) > (m) || (isnan(v) && !isnan(m)))

#ifdef AVG
#define NOTHING 0.0f
#define JOIN(a, v) ((a) + (v))
#else
#define NOTHING (-INFINITY)
#define JOIN(a, v) select(a, v, (v) > (a) || (v) != (v))
#endif

/* How many of `taps` positions from `first` on count towards the mean along an axis: those of the input or, with padding
 * counted, those before the padding's end. */
INLINE long counted(long first, long taps, long apart, long size, long after, bool padding) {
    const long low = padding ? LONG_MIN : 0, high = padding ? size + after : size;
    long n = 0;
    for (long k = 0; k < taps; k++) n += first + k * apart >= low && first + k * apart < high;
    return n;
}

#ifdef KERNEL_scalar
#ifdef INDEX
#define RESULT OUT_INT(out)
#else
#define RESULT OUT_STORED(out)
#endif
/* One work-item per output. */
__kernel void scalar(IN_STORED(x), RESULT, const long8 sizes, const long8 window, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(x);
    SHIFT(out);
    /* Without the operator %: Oclgrind cannot run what compilers make of it next to a division. */
    const long line = n / OUT_WIDTH, image = line / OUT_HEIGHT;
    const long x0 = (n - line * OUT_WIDTH) * window.s1 - window.s5, y0 = (line - image * OUT_HEIGHT) * window.s0 - window.s4;
    __global const STORED *plane = x + image * HEIGHT * WIDTH;
    float best = NOTHING;
    long where = -1;
    for (long ky = 0; ky < sizes.s4; ky++) {
        const long y = y0 + ky * window.s2;
        if (y < 0 || y >= HEIGHT) continue;
        float row = 0;
        for (long kx = 0; kx < sizes.s5; kx++) {
            const long at = x0 + kx * window.s3;
            if (at < 0 || at >= WIDTH) continue;
            const float v = LOAD_1(plane + y * WIDTH + at);
#ifdef AVG
            row += v;
#else
            if (where >= 0 && !BEATS(v, best)) continue;
            best = v;
            where = y * WIDTH + at;
#endif
        }
#ifdef AVG
        best += row;
#endif
    }
#ifdef INDEX
    out[n] = (int)where;
#elif defined MAX
    STORE_1(best, out + n);
#else
    const long rows = counted(y0, sizes.s4, window.s2, HEIGHT, window.s6, sizes.s6 != 0), columns = counted(x0, sizes.s5, window.s3, WIDTH, window.s7, sizes.s6 != 0);
    STORE_1(rows * columns ? best / (float)(rows * columns) : 0.0f, out + n);
#endif
}
#endif

#ifdef KERNEL_rows
/* The first and one past the last tap of a column of windows that lie inside the input. */
INLINE long first_inside(long y0, long apart) {
    return y0 >= 0 ? 0 : (-y0 + apart - 1) / apart;
}

INLINE long last_inside(long y0, long apart, long taps, long height) {
    return y0 >= height ? 0 : min(taps, (height - y0 + apart - 1) / apart);
}

/* A padded row in local memory: as it is or, where outputs are 2 apart, the even places before the odd ones, which begin at `half`: what
 * neighbouring outputs take then lies side by side. */
INLINE void put_16(float16 a, __local float *row, long place, bool by_two, long half_length) {
    if (!by_two) {
        vstore16(a, 0, row + place);
        return;
    }
    vstore8(a.even, 0, row + (place & 1) * half_length + place / 2);
    vstore8(a.odd, 0, row + (~place & 1) * half_length + (place + 1) / 2);
}

/* Joins a value for each k < taps; straight code for a constant number up to 3, as PoCL unrolls no loop by itself. */
#define JOIN_TAP(value)                                                                                                \
    do {                                                                                                               \
        const float16 v = value;                                                                                       \
        a = JOIN(a, v);                                                                                                \
    } while (0)
#define JOIN_TAPS(value)                                                                                               \
    do {                                                                                                               \
        long k = 0;                                                                                                    \
        if (taps > 0) a = value;                                                                                       \
        k = 1;                                                                                                         \
        if (taps > 1) JOIN_TAP(value);                                                                                 \
        k = 2;                                                                                                         \
        if (taps > 2) JOIN_TAP(value);                                                                                 \
        for (k = 3; k < taps; k++) JOIN_TAP(value);                                                                    \
    } while (0)

/* `taps` rows of the input joined into one, vectors along the width, whatever the stride; the last vector may overlap another. */
INLINE void join_rows(__global const STORED *p, long pitch, long taps, long width, __local float *row, long before, bool by_two, long half_length) {
    for (long i = 0; i < width; i += 16) {
        const long at = max(0L, min(i, width - 16));
        float16 a = (float16)(NOTHING);
        if (width >= 16) JOIN_TAPS(LOAD_16(p + k * pitch + at));
        else JOIN_TAPS(load_some_stored(p + k * pitch, (int)width, NOTHING));
        put_16(a, row, before + at, by_two, half_length);
    }
}

/* 16 values, `apart` from each other. */
INLINE float16 load_apart(__local const float *p, long apart) {
    if (apart == 1) return vload16(0, p);
    float t[16];
    for (int i = 0; i < 16; i++) t[i] = p[i * apart];
    return vload16(0, t);
}

/* A row of outputs from the joined one. `counts`, along the row, times `high` is what a sum is divided by. */
INLINE void join_columns(__local const float *row, __global STORED *out, long outputs, long taps, long dilation, long stride, long half_length, __local const float *counts, float high) {
    for (long i = 0; i < outputs; i += 16) {
        const long at = max(0L, min(i, outputs - 16));
        float16 a = (float16)(NOTHING);
        if (stride == 2) JOIN_TAPS(vload16(0, row + (k * dilation & 1) * half_length + k * dilation / 2 + at));
        else JOIN_TAPS(load_apart(row + at * stride + k * dilation, stride));
#ifdef AVG
        const float16 count = vload16(0, counts + at) * high;
        a = select(a / count, (float16)(0.0f), count == 0.0f);
#endif
        if (outputs >= 16) STORE_16(a, out + at);
        else store_some_stored(a, (int)outputs, out);
    }
}

/* A group makes `per_group` rows of outputs, `at_once` of them together: the window's rows are joined first, then its columns, of rows
 * that have left the way into the cache since. */
SINGLE void rows(IN_STORED(x), OUT_STORED(out), const long8 sizes, const long8 window, const long rows_total, const long per_group, const long length, const long at_once, __local float *row) {
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group), half_length = length / 2;
    const long pitch = window.s2 * WIDTH;
    const bool near = window.s3 == 1, by_two = window.s1 == 2;
    SHIFT(x);
    SHIFT(out);
    for (long i = 0; i < at_once * length; i++) row[i] = NOTHING;
    __local float *counts = row + at_once * length;
#ifdef AVG
    for (long i = 0; i < (OUT_WIDTH + 15) / 16 * 16; i++) counts[i] = (float)counted(i * window.s1 - window.s5, sizes.s5, window.s3, WIDTH, window.s7, sizes.s6 != 0);
#endif
    for (long start = first; start < last; start += at_once) {
        const long end = min(last, start + at_once);
        for (long r = start; r < end; r++) {
            const long image = r / OUT_HEIGHT, y0 = (r - image * OUT_HEIGHT) * window.s0 - window.s4;
            const long from = first_inside(y0, window.s2), taps = last_inside(y0, window.s2, sizes.s4, HEIGHT) - from;
            __global const STORED *p = x + (image * HEIGHT + y0 + from * window.s2) * WIDTH;
            __local float *joined = row + (r - start) * length;
            if (by_two && taps == 2 && WIDTH >= 16) join_rows(p, pitch, 2, WIDTH, joined, window.s5, true, half_length);
            else if (by_two && taps == 3 && WIDTH >= 16) join_rows(p, pitch, 3, WIDTH, joined, window.s5, true, half_length);
            else join_rows(p, pitch, taps, WIDTH, joined, window.s5, by_two, half_length);
        }
        for (long r = start; r < end; r++) {
            const long image = r / OUT_HEIGHT, y0 = (r - image * OUT_HEIGHT) * window.s0 - window.s4;
            __local const float *joined = row + (r - start) * length;
            __global STORED *to = out + r * OUT_WIDTH;
#ifdef AVG
            const float high = (float)counted(y0, sizes.s4, window.s2, HEIGHT, window.s6, sizes.s6 != 0);
#else
            const float high = 1;
#endif
            if (by_two && near && sizes.s5 == 2) join_columns(joined, to, OUT_WIDTH, 2, 1, 2, half_length, counts, high);
            else if (by_two && near && sizes.s5 == 3) join_columns(joined, to, OUT_WIDTH, 3, 1, 2, half_length, counts, high);
            else join_columns(joined, to, OUT_WIDTH, sizes.s5, window.s3, window.s1, half_length, counts, high);
        }
    }
}
#endif

#ifdef KERNEL_planes
INLINE float reduce(float16 v) {
#ifdef AVG
    return sum16(v);
#else
    return any(isnan(v)) ? NAN : max16(v);
#endif
}

/* Sums are made in blocks of 4096 values, so that their error does not grow with the plane. */
SINGLE void planes(IN_STORED(x), OUT_STORED(out), const long planes_total, const long size, const long per_group) {
    const long first = get_group_id(0) * per_group, last = min(planes_total, first + per_group);
    SHIFT(x);
    SHIFT(out);
    for (long n = first; n < last; n++) {
        __global const STORED *p = x + n * size;
        float total = NOTHING;
        for (long begin = 0; begin < size; begin += 4096) {
            const long end = min(size, begin + 4096);
            float16 a[4];
            #pragma unroll
            for (int j = 0; j < 4; j++) a[j] = (float16)(NOTHING);
            long i = begin;
            for (; i + 64 <= end; i += 64) {
                #pragma unroll
                for (int j = 0; j < 4; j++) {
                    const float16 v = LOAD_16(p + i + 16 * j);
                    a[j] = JOIN(a[j], v);
                }
            }
            for (; i < end; i += 16) {
                const float16 v = end - i >= 16 ? LOAD_16(p + i) : load_some_stored(p + i, (int)(end - i), NOTHING);
                a[0] = JOIN(a[0], v);
            }
            a[0] = JOIN(a[0], a[1]);
            a[2] = JOIN(a[2], a[3]);
            a[0] = JOIN(a[0], a[2]);
            const float part = reduce(a[0]);
#ifdef AVG
            total += part;
#else
            if (BEATS(part, total)) total = part;
#endif
        }
#ifdef AVG
        total = total / (float)size;
#endif
        STORE_1(total, out + n);
    }
}
#endif

#ifdef KERNEL_planes_scalar
/* One work-item per plane. */
__kernel void planes_scalar(IN_STORED(x), OUT_STORED(out), const long planes_total, const long size) {
    const long n = get_global_id(0);
    if (n >= planes_total) return;
    __global const STORED *p = x + x_offset + n * size;
    float total = NOTHING;
    for (long begin = 0; begin < size; begin += 256) {
        const long end = min(size, begin + 256);
#ifdef AVG
        float part = 0;
        for (long i = begin; i < end; i++) part += LOAD_1(p + i);
        total += part;
#else
        for (long i = begin; i < end; i++) {
            const float v = LOAD_1(p + i);
            if (BEATS(v, total)) total = v;
        }
#endif
    }
#ifdef AVG
    total = total / (float)size;
#endif
    STORE_1(total, out + out_offset + n);
}
#endif

/* -DLP or -DLSE. */
#ifdef LP
#define SPECIAL plane_lp
#else
#define SPECIAL plane_lse
#endif

#ifdef KERNEL_planes_special
SINGLE void planes_special(IN_STORED(x), OUT_STORED(out), const long planes_total, const long size, const long per_group) {
    const long first = get_group_id(0) * per_group, last = min(planes_total, first + per_group);
    SHIFT(x);
    SHIFT(out);
    for (long n = first; n < last; n++) STORE_1(SPECIAL(x + n * size, size), out + n);
}
#endif

#ifdef KERNEL_planes_special_scalar
/* One work-item per plane. */
__kernel void planes_special_scalar(IN_STORED(x), OUT_STORED(out), const long planes_total, const long size) {
    const long n = get_global_id(0);
    if (n < planes_total) STORE_1(SPECIAL(x + x_offset + n * size, size), out + out_offset + n);
}
#endif
