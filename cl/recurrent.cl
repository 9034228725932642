#include "common.cl"

/* What recurrent units have in common. The including file defines GATES: how many gates of H rows W_hh holds. */

#if defined(KERNEL_pack) || defined(KERNEL_sequence)
#define UNROLL _Pragma("unroll")
/* What is done once per row goes through memory in a loop: unrolled it would be most of the program and of its build. */
#define ROLLED _Pragma("unroll 1")
#endif

#ifdef KERNEL_pack
/* W_hh [GATES*H,H] as [unit / 16][gate][k][16], zeros beyond H. One group: one block of units of one direction. */
SINGLE void pack(IN(w), OUT(packed), const long H) {
    SHIFT(w);
    SHIFT(packed);
    const long unit = get_group_id(0) * 16, blocks = get_num_groups(0), direction = get_group_id(1);
    w += direction * GATES * H * H;
    packed += (direction * blocks + get_group_id(0)) * GATES * H * 16;
    for (int gate = 0; gate < GATES; gate++)
        for (long k = 0; k < H; k++)
            ROLL for (long i = 0; i < 16; i++) packed[(gate * H + k) * 16 + i] = unit + i < H ? w[(gate * H + unit + i) * H + k] : 0.0f;
}
#endif

#ifndef KERNEL_pack
/* The time of `step` in a row of that length; past the length it is `step` itself. */
INLINE long time_of(long step, long length, int backward) {
    return backward && step < length ? length - 1 - step : step;
}
#endif

#ifdef KERNEL_sequence
/* One group runs at most `share` (a multiple of ROWS, at most MOST_ROWS, which -D gives) rows of the batch, from `first_row` on, in one direction through the
 * whole sequence: steps need no barrier. The sums of ROWS of them are in registers at a time; a block of W_hh stays in the level-1 cache
 * while all of them meet it. The states lie in global memory, each [share][width] with width = H rounded up to 16. */
#define HAS_BIAS 1
#define HAS_START 2
#define HAS_LENGTHS 4
#define HAS_OUT 8
#define HAS_LAST 16

INLINE float16 load_units(__global const float *p, long unit, long H) {
    return unit + 16 <= H ? vload16(0, p + unit) : load_some(p + unit, (int)(H - unit), 0.0f);
}

INLINE void store_units(float16 v, __global float *p, long unit, long H) {
    if (unit + 16 <= H) vstore16(v, 0, p + unit);
    else store_some(v, (int)(H - unit), p + unit);
}

INLINE float16 gate_16(float16 x) {
    return select(sigmoid_16(x), x, isnan(x));
}

INLINE float16 candidate_16(float16 x) {
    return select(tanh_16(x), x, isnan(x));
}

/* The rows of the group that begins at first_row: whole blocks of ROWS, the last perhaps with rows beyond B. */
INLINE int rows_of(long first_row, int share, long B) {
    return (int)min((long)share, (B - first_row + ROWS - 1) / ROWS * ROWS);
}

/* Each row's length, T without `lengths`, 0 beyond B; returns the longest. */
INLINE long begin_lengths(long *length, __global const int *lengths, int rows, long first_row, long B, long T) {
    long steps = 0;
    for (int i = 0; i < rows; i++) {
        const long row = first_row + i;
        length[i] = row >= B ? 0 : lengths ? clamp((long)lengths[row], 0L, T) : T;
        steps = max(steps, length[i]);
    }
    return steps;
}

/* The group's rows of `from` [B,H], zeros without it and beyond B. */
INLINE void begin_states(__global float *states, __global const float *from, int rows, long first_row, long B, long H, long width) {
    for (int i = 0; i < rows; i++)
        for (long unit = 0; unit < width; unit += 16)
            vstore16(from && first_row + i < B ? load_units(from + (first_row + i) * H, unit, H) : (float16)(0.0f), 0, states + i * width + unit);
}

/* The group's rows of `to` [B,H]. */
INLINE void end_states(__global const float *states, __global float *to, int rows, long first_row, long B, long H, long width) {
    for (int i = 0; i < rows && first_row + i < B; i++)
        for (long unit = 0; unit < width; unit += 16) store_units(vload16(0, states + i * width + unit), to + (first_row + i) * H, unit, H);
}

/* The group's rows of `out` [B,T,out_row] beyond each one's length. */
INLINE void clear_rest(const long *length, __global float *out, long out_row, int rows, long first_row, long B, long T, long H) {
    for (int i = 0; i < rows && first_row + i < B; i++)
        for (long t = length[i]; t < T; t++)
            for (long unit = 0; unit < H; unit += 16) store_units((float16)(0.0f), out + ((first_row + i) * T + t) * out_row, unit, H);
}

/* SUM(i, first + j) = bias + sum_k x[i][k] W[first + j][k] for the group's rows and `gates` gates of the 16 units of `block`: at once, or where
 * registers are few one by one. PART values of k at a time, whose weights stay in the level-1 cache while all rows meet them. The
 * inputs, which are needed when the sums are made, are fetched tile by tile: all at once they would be more than can be under way. */
#ifdef FEW_REGISTERS
#define SUMS(gates, first, x) ROLLED for (int gate = (first); gate < (first) + (gates); gate++) SUMS_AT_ONCE(1, gate, x)
#else
#define SUMS(gates, first, x) SUMS_AT_ONCE(gates, first, x)
#endif
#define PART 256
#define NEXT_WEIGHTS 24 /* values of k fetched ahead */
#define SUMS_AT_ONCE(gates, first, x)                                                                                  \
    ROLLED for (long part = 0; part == 0 || part < H; part += PART)                                                    \
    ROLLED for (int row = 0; row < rows; row += ROWS) {                                                                \
        __global const float *from = (x) + row * width, *weights = block + (first) * H * 16;                           \
        const long end = min(part + PART, H);                                                                          \
        float16 acc[ROWS][gates];                                                                                      \
        UNROLL for (int j = 0; j < gates; j++) {                                                                       \
            const float16 start = flags & HAS_BIAS ? load_units(b_hh + ((first) + j) * H, unit, H) : (float16)(0.0f);  \
            UNROLL for (int i = 0; i < ROWS; i++) acc[i][j] = part ? SUM(row + i, (first) + j) : start;                \
            if (part == 0) UNROLL for (int i = 0; i < ROWS; i++) PREFETCH(inputs[row + i] + ((first) + j) * H + unit); \
        }                                                                                                              \
        for (long k = part; k < end; k++) {                                                                            \
            float16 weight[gates];                                                                                     \
            UNROLL for (int j = 0; j < gates; j++) weight[j] = vload16(j * H + k, weights);                            \
            UNROLL for (int j = 0; j < gates; j++) PREFETCH(weights + (j * H + k + NEXT_WEIGHTS) * 16);                \
            UNROLL for (int i = 0; i < ROWS; i++)                                                                      \
                UNROLL for (int j = 0; j < gates; j++) acc[i][j] = fma((float16)(from[i * width + k]), weight[j], acc[i][j]); \
        }                                                                                                              \
        UNROLL for (int i = 0; i < ROWS; i++)                                                                          \
            UNROLL for (int j = 0; j < gates; j++) vstore16(acc[i][j], (row + i) * GATES + (first) + j, sums);         \
    }
#define SUM(i, gate) vload16((i) * GATES + (gate), sums)
#endif

#if !defined(KERNEL_pack) && !defined(KERNEL_sequence)
/* One step a launch: the row's length. */
INLINE long length_of(__global const int *lengths, long lengths_offset, long row, long T, int has_lengths) {
    return has_lengths ? clamp((long)lengths[lengths_offset + row], 0L, T) : T;
}
#endif
