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
#define JOIN(a, v) select(a, v, (v) > (a) || isnan(v))
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

/* The window's rows joined into one padded row: vectors along the width, whatever the stride. */
INLINE void join_rows(__global const STORED *plane, __local float *row, long y0, long8 sizes, long8 window) {
    const long from = first_inside(y0, window.s2), to = last_inside(y0, window.s2, sizes.s4, HEIGHT), whole = WIDTH / 16 * 16;
    for (long i = 0; i < WIDTH; i += 16) {
        float16 a = (float16)(NOTHING);
        for (long k = from; k < to; k++) {
            __global const STORED *p = plane + (y0 + k * window.s2) * WIDTH + i;
            const float16 v = i < whole ? LOAD_16(p) : load_some_stored(p, (int)(WIDTH - i), NOTHING);
            a = JOIN(a, v);
        }
        vstore16(a, 0, row + window.s5 + i);
    }
}

/* 16 values, `apart` from each other. */
INLINE float16 load_apart(__local const float *p, long apart) {
    if (apart == 1) return vload16(0, p);
    if (apart == 2) return (float16)(vload16(0, p).even, vload16(0, p + 15).odd);
    float t[16];
    for (int i = 0; i < 16; i++) t[i] = p[i * apart];
    return vload16(0, t);
}

/* A group makes `per_group` rows of outputs: the window's rows are joined first, then its columns. */
SINGLE void rows(IN_STORED(x), OUT_STORED(out), const long8 sizes, const long8 window, const long rows_total, const long per_group, const long length, __local float *row) {
    const long first = get_group_id(0) * per_group, last = min(rows_total, first + per_group);
    SHIFT(x);
    SHIFT(out);
    for (long i = 0; i < length; i++) row[i] = NOTHING;
#ifdef AVG
    __local float *columns = row + length;
    for (long i = 0; i < (OUT_WIDTH + 15) / 16 * 16; i++) columns[i] = (float)counted(i * window.s1 - window.s5, sizes.s5, window.s3, WIDTH, window.s7, sizes.s6 != 0);
#endif
    for (long r = first; r < last; r++) {
        const long image = r / OUT_HEIGHT, y0 = (r - image * OUT_HEIGHT) * window.s0 - window.s4;
        join_rows(x + image * HEIGHT * WIDTH, row, y0, sizes, window);
#ifdef AVG
        const float high = (float)counted(y0, sizes.s4, window.s2, HEIGHT, window.s6, sizes.s6 != 0);
#endif
        for (long i = 0; i < OUT_WIDTH; i += 16) {
            float16 a = (float16)(NOTHING);
            for (long k = 0; k < sizes.s5; k++) {
                const float16 v = load_apart(row + i * window.s1 + k * window.s3, window.s1);
                a = JOIN(a, v);
            }
#ifdef AVG
            const float16 count = vload16(0, columns + i) * high;
            a = select(a / count, (float16)(0.0f), count == 0.0f);
#endif
            if (OUT_WIDTH - i >= 16) STORE_16(a, out + r * OUT_WIDTH + i);
            else store_some_stored(a, (int)(OUT_WIDTH - i), out + r * OUT_WIDTH + i);
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
