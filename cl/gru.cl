#include "common.cl"

/* Gated recurrent units, gates in the order r, z, n. gi = W_ih x + b_ih stands ready, [direction][B,T,3H]. */

#if defined(KERNEL_pack) || defined(KERNEL_sequence)
#define UNROLL _Pragma("unroll")
/* What is done once per row goes through memory in a loop: unrolled it would be most of the program and of its build. */
#define ROLLED _Pragma("unroll 1")
#define ROW 48 /* floats of packed W_hh that belong to one k: three gates of 16 units */

INLINE float16 load_units(__global const float *p, long unit, long H) {
    return unit + 16 <= H ? vload16(0, p + unit) : load_some(p + unit, (int)(H - unit), 0.0f);
}

INLINE void store_units(float16 v, __global float *p, long unit, long H) {
    if (unit + 16 <= H) vstore16(v, 0, p + unit);
    else store_some(v, (int)(H - unit), p + unit);
}
#endif

#ifdef KERNEL_pack
/* W_hh [3H,H] as [unit / 16][k][gate][16], zeros beyond H. One group: one block of units of one direction. */
SINGLE void pack(IN(w), OUT(packed), const long H) {
    SHIFT(w);
    SHIFT(packed);
    const long unit = get_group_id(0) * 16, blocks = get_num_groups(0), direction = get_group_id(1);
    w += direction * 3 * H * H;
    packed += (direction * blocks + get_group_id(0)) * H * ROW;
    for (int gate = 0; gate < 3; gate++)
        for (long k = 0; k < H; k++)
            for (long i = 0; i < 16; i++) packed[k * ROW + gate * 16 + i] = unit + i < H ? w[(gate * H + unit + i) * H + k] : 0.0f;
}
#endif

#ifdef KERNEL_sequence
#define HAS_BIAS 1
#define HAS_START 2
#define HAS_LENGTHS 4
#define HAS_OUT 8
#define HAS_LAST 16

INLINE float16 gate_16(float16 x) {
    return select(sigmoid_16(x), x, isnan(x));
}

INLINE float16 candidate_16(float16 x) {
    return select(tanh_16(x), x, isnan(x));
}

INLINE float16 blend_16(float16 z, float16 h, float16 n, int keep_new) {
    const float16 k = keep_new ? 1.0f - z : z;
    return k * h + (1.0f - k) * n;
}

/* sums[i][j] = bias + sum_k x[i][k] W[first + j][k] for ROWS rows and `gates` gates of the 16 units of `block`. */
#define SUMS(acc, gates, first, x)                                                                                     \
    UNROLL for (int j = 0; j < gates; j++) {                                                                           \
        const float16 start = flags & HAS_BIAS ? load_units(b_hh + (first + j) * H, unit, H) : (float16)(0.0f);        \
        UNROLL for (int i = 0; i < ROWS; i++) acc[i][j] = start;                                                       \
    }                                                                                                                  \
    for (long k = 0; k < H; k++) {                                                                                     \
        float16 weight[gates];                                                                                         \
        UNROLL for (int j = 0; j < gates; j++) weight[j] = vload16(first + j, block + k * ROW);                        \
        UNROLL for (int i = 0; i < ROWS; i++)                                                                          \
            UNROLL for (int j = 0; j < gates; j++) acc[i][j] = fma((float16)((x)[i * width + k]), weight[j], acc[i][j]); \
    }                                                                                                                  \
    UNROLL for (int i = 0; i < ROWS; i++)                                                                              \
        UNROLL for (int j = 0; j < gates; j++) vstore16(acc[i][j], i * gates + j, sums);
#define SUM(i, gates, j) vload16((i) * (gates) + (j), sums)

/* One group runs ROWS rows of the batch in one direction through the whole sequence: steps need no barrier. `state` is its
 * room: the states before and after a step, and with RESET_BEFORE r*h and z, each [ROWS][width]. */
SINGLE void sequence(IN(gi), IN(packed), IN(b_hh), IN(h0), IN_INT(lengths), OUT(state), OUT(out), OUT(h_n), const long B, const long T, const long H, const int flags, const int keep_new) {
    const long first_row = get_group_id(0) * ROWS, direction = get_group_id(1), directions = get_num_groups(1);
    const long blocks = (H + 15) / 16, width = blocks * 16;
    SHIFT(gi);
    SHIFT(packed);
    SHIFT(state);
    gi += direction * B * T * 3 * H;
    packed += direction * blocks * H * ROW;
    if (flags & HAS_BIAS) b_hh += b_hh_offset + direction * 3 * H;
    state += (direction * get_num_groups(0) + get_group_id(0)) * 4 * ROWS * width;
    __global float *now = state, *next = state + ROWS * width;
#ifdef RESET_BEFORE
    __global float *gated = state + 2 * ROWS * width, *updates = state + 3 * ROWS * width;
#endif
    float sums[ROWS * 3 * 16];
    long length[ROWS], steps = 0;
    for (int i = 0; i < ROWS; i++) {
        const long row = first_row + i;
        length[i] = row >= B ? 0 : flags & HAS_LENGTHS ? clamp((long)lengths[lengths_offset + row], 0L, T) : T;
        steps = max(steps, length[i]);
        for (long unit = 0; unit < width; unit += 16)
            vstore16(row < B && (flags & HAS_START) ? load_units(h0 + h0_offset + (direction * B + row) * H, unit, H) : (float16)(0.0f), 0, now + i * width + unit);
    }
    for (long step = 0; step < steps; step++) {
        __global const float *inputs[ROWS];
        for (int i = 0; i < ROWS; i++) inputs[i] = gi + ((first_row + i) * T + (direction ? length[i] - 1 - step : step)) * 3 * H;
#ifdef RESET_BEFORE
        for (long unit = 0; unit < width; unit += 16) {
            __global const float *block = packed + unit / 16 * H * ROW;
            float16 acc[ROWS][2];
            SUMS(acc, 2, 0, now)
            ROLLED for (int i = 0; i < ROWS; i++) {
                if (step >= length[i]) continue;
                const float16 r = gate_16(SUM(i, 2, 0) + load_units(inputs[i], unit, H)), z = gate_16(SUM(i, 2, 1) + load_units(inputs[i] + H, unit, H));
                vstore16(r * vload16(0, now + i * width + unit), 0, gated + i * width + unit);
                vstore16(z, 0, updates + i * width + unit);
            }
        }
#endif
        for (long unit = 0; unit < width; unit += 16) {
            __global const float *block = packed + unit / 16 * H * ROW;
#ifdef RESET_BEFORE
            float16 acc[ROWS][1];
            SUMS(acc, 1, 2, gated)
#else
            float16 acc[ROWS][3];
            SUMS(acc, 3, 0, now)
#endif
            ROLLED for (int i = 0; i < ROWS; i++) {
                float16 h = vload16(0, now + i * width + unit);
                if (step < length[i]) {
                    const float16 input = load_units(inputs[i] + 2 * H, unit, H);
#ifdef RESET_BEFORE
                    const float16 z = vload16(0, updates + i * width + unit), n = candidate_16(input + SUM(i, 1, 0));
#else
                    const float16 r = gate_16(SUM(i, 3, 0) + load_units(inputs[i], unit, H)), z = gate_16(SUM(i, 3, 1) + load_units(inputs[i] + H, unit, H));
                    const float16 n = candidate_16(fma(r, SUM(i, 3, 2), input));
#endif
                    h = blend_16(z, h, n, keep_new);
                    if (flags & HAS_OUT) store_units(h, out + out_offset + (((first_row + i) * T + (direction ? length[i] - 1 - step : step)) * directions + direction) * H, unit, H);
                }
                vstore16(h, 0, next + i * width + unit);
            }
        }
        __global float *swap = now;
        now = next;
        next = swap;
    }
    for (int i = 0; i < ROWS && first_row + i < B; i++) {
        const long row = first_row + i;
        for (long unit = 0; unit < width; unit += 16) {
            for (long t = length[i]; t < T && (flags & HAS_OUT); t++) store_units((float16)(0.0f), out + out_offset + ((row * T + t) * directions + direction) * H, unit, H);
            if (flags & HAS_LAST) store_units(vload16(0, now + i * width + unit), h_n + h_n_offset + (direction * B + row) * H, unit, H);
        }
    }
}
#endif

#if defined(KERNEL_reset) || defined(KERNEL_finish)
/* The row's length and the time of `step`; past the length time is `step` itself. */
INLINE long length_of(__global const int *lengths, long lengths_offset, long row, long T, int has_lengths) {
    return has_lengths ? clamp((long)lengths[lengths_offset + row], 0L, T) : T;
}

INLINE long time_of(long step, long length, int backward) {
    return backward && step < length ? length - 1 - step : step;
}
#endif

#ifdef KERNEL_reset
/* gated[b,u] = r * h; gh [B,2H] holds the recurrent sums of r and z. */
__kernel void reset(IN(gi), IN(gh), IN(h), IN_INT(lengths), OUT(gated), const long B, const long T, const long H, const long step, const int backward, const int has_lengths) {
    const long n = get_global_id(0);
    if (n >= B * H) return;
    SHIFT(gi);
    SHIFT(gh);
    const long row = n / H, unit = n % H, length = length_of(lengths, lengths_offset, row, T, has_lengths);
    gated[gated_offset + n] = step < length ? sigmoid_1(gi[(row * T + time_of(step, length, backward)) * 3 * H + unit] + gh[row * 2 * H + unit]) * h[h_offset + n] : 0.0f;
}
#endif

#ifdef KERNEL_finish
/* The state after a step. gh holds the recurrent sums of r and z in rows of gh_row floats, gn those of the candidate. */
__kernel void finish(IN(gi), IN(gh), IN(gn), IN(h), IN_INT(lengths), OUT(next), OUT(out), const long B, const long T, const long H, const long step, const int backward, const int has_lengths, const long gh_row, const long gn_row, const long out_row, const int reset_before, const int keep_new, const int has_out) {
    const long at = get_global_id(0);
    if (at >= B * H) return;
    SHIFT(gi);
    SHIFT(gh);
    SHIFT(gn);
    const long row = at / H, unit = at % H, length = length_of(lengths, lengths_offset, row, T, has_lengths), time = time_of(step, length, backward);
    float state = h[h_offset + at];
    if (step < length) {
        gi += (row * T + time) * 3 * H + unit;
        gh += row * gh_row + unit;
        const float r = reset_before ? 1.0f : sigmoid_1(gi[0] + gh[0]), z = sigmoid_1(gi[H] + gh[H]);
        const float n = tanh(fma(r, gn[row * gn_row + unit], gi[2 * H])), k = keep_new ? 1.0f - z : z;
        state = k * state + (1.0f - k) * n;
    }
    next[next_offset + at] = state;
    if (has_out) out[out_offset + (row * T + time) * out_row + unit] = step < length ? state : 0.0f;
}
#endif
