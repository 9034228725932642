#include "common.cl"

#ifdef KERNEL_angles
/* One work-item per position and pair: cos and sin of position * base^(-2i/D). Angles are 64-bit fractions of a turn, which
 * wrap by themselves: exact to f32 for every position. powers[k] = base^(-2/D * 2^k), so that the pair's own power is a
 * product of those of its number's bits. */
__kernel void angles(IN_INT(positions), OUT(cosines), OUT(sines), const long8 low_powers, const long8 high_powers, const long turn, const long count, const long pairs) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(cosines);
    SHIFT(sines);
    long powers[16];
    vstore8(low_powers, 0, powers);
    vstore8(high_powers, 0, powers + 8);
    const long row = n / pairs, pair = n - row * pairs;
    ulong step = (ulong)turn;
    for (int k = 0; k < 16; k++)
        if (pair >> k & 1) step = mul_hi(step, (ulong)powers[k]);
#ifdef POSITIONS
    SHIFT(positions);
    const long position = positions[row];
#else
    const long position = row;
#endif
    const ulong phase = (ulong)position * step;
    const float angle = (float)((long)phase >> 32) * 1.46291807926715968e-9f; /* 2 pi / 2^32 */
    cosines[n] = cos(angle);
    sines[n] = sin(angle);
}
#endif

#ifdef KERNEL_scalar
/* One work-item per pair. The row of the tables is `batch_rows` * b + t, with -DPOSITIONS the position; none outside them. */
__kernel void scalar(IN_PLACE_STORED(x), IN(cosines), IN(sines), IN_INT(positions), OUT_PLACE_STORED(out), const long4 x_strides, const long4 out_strides, const long heads, const long times, const long pairs, const long table_rows, const long batch_rows, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    SHIFT(x);
    SHIFT(cosines);
    SHIFT(sines);
    SHIFT(out);
    const long head_time = n / pairs, i = n - head_time * pairs, head = head_time / times, t = head_time - head * times;
    const long b = head / heads, h = head - b * heads;
#ifdef POSITIONS
    SHIFT(positions);
    const int row = positions[b * times + t]; /* compared as int: made long, rusticl takes a negative one for a positive one */
#else
    const long row = b * batch_rows + t;
#endif
    float c = 0, s = 0;
    const bool inside = row >= 0 && row < table_rows;
    if (inside) {
        c = cosines[row * pairs + i];
        s = sines[row * pairs + i];
    }
#ifdef INTERLEAVED
    const long first = 2 * i, second = 2 * i + 1;
#else
    const long first = i, second = i + pairs;
#endif
    const long from = b * x_strides.x + h * x_strides.y + t * x_strides.z, to = b * out_strides.x + h * out_strides.y + t * out_strides.z;
    const float u = LOAD_1(x + from + first * x_strides.w), v = LOAD_1(x + from + second * x_strides.w);
    STORE_1(inside ? u * c - v * s : 0.0f, out + to + first * out_strides.w);
    STORE_1(inside ? v * c + u * s : 0.0f, out + to + second * out_strides.w);
}
#endif
