/* Gated recurrent units, gates in the order r, z, n. gi = W_ih x + b_ih stands ready, [direction][B,T,3H]. */
#define GATES 3
#include "recurrent.cl"

#ifdef KERNEL_sequence
INLINE float16 blend_16(float16 z, float16 h, float16 n, int keep_new) {
    const float16 k = keep_new ? 1.0f - z : z;
    return k * h + (1.0f - k) * n;
}

/* `state` is each group's room: the states before and after a step, and with RESET_BEFORE r*h and z. */
#define SEQUENCE(P) P##_IN(gi), P##_IN(packed), P##_IN(b_hh), P##_IN(h0), P##_IN_INT(lengths), P##_OUT(state), P##_OUT(out), P##_OUT(h_n), P##_AS(long, B), P##_AS(long, T), P##_AS(long, H), P##_AS(int, share), P##_AS(int, flags), P##_AS(int, keep_new)
APART void run_sequence(const long group, const long groups, const long direction, const long directions, SEQUENCE(GIVEN)) {
    const long first_row = group * (long)share;
    const long blocks = (H + 15) / 16, width = blocks * 16;
    const int rows = rows_of(first_row, share, B);
    SHIFT(gi);
    SHIFT(packed);
    SHIFT(state);
    gi += direction * B * T * 3 * H;
    packed += direction * blocks * GATES * H * 16;
    if (flags & HAS_BIAS) b_hh += b_hh_offset + direction * 3 * H;
    if (flags & HAS_OUT) out += out_offset + direction * H;
    state += (direction * groups + group) * 4 * share * width;
#ifdef RESET_BEFORE
    __global float *gated = state + 2 * share * width, *updates = state + 3 * share * width;
#endif
    float sums[MOST_ROWS * GATES * 16];
    long length[MOST_ROWS];
    const long steps = begin_lengths(length, flags & HAS_LENGTHS ? lengths + lengths_offset : 0, rows, first_row, B, T);
    begin_states(state, flags & HAS_START ? h0 + h0_offset + direction * B * H : 0, rows, first_row, B, H, width);
    for (long step = 0; step < steps; step++) {
        __global float *now = state + step % 2 * share * width, *next = state + (step + 1) % 2 * share * width;
        __global const float *inputs[MOST_ROWS];
        for (int i = 0; i < rows; i++) inputs[i] = gi + ((first_row + i) * T + time_of(step, length[i], direction == 1)) * 3 * H;
#ifdef RESET_BEFORE
        for (long unit = 0; unit < width; unit += 16) {
            __global const float *block = packed + unit * GATES * H;
            SUMS(2, 0, now)
            ROLLED for (int i = 0; i < rows; i++) {
                if (step >= length[i]) continue;
                const float16 r = gate_16(SUM(i, 0) + load_units(inputs[i], unit, H)), z = gate_16(SUM(i, 1) + load_units(inputs[i] + H, unit, H));
                vstore16(r * vload16(0, now + i * width + unit), 0, gated + i * width + unit);
                vstore16(z, 0, updates + i * width + unit);
            }
        }
#endif
        for (long unit = 0; unit < width; unit += 16) {
            __global const float *block = packed + unit * GATES * H;
#ifdef RESET_BEFORE
            SUMS(1, 2, gated)
#else
            SUMS(3, 0, now)
#endif
            ROLLED for (int i = 0; i < rows; i++) {
                float16 h = vload16(0, now + i * width + unit);
                if (step < length[i]) {
                    const float16 input = load_units(inputs[i] + 2 * H, unit, H);
#ifdef RESET_BEFORE
                    const float16 z = vload16(0, updates + i * width + unit), n = candidate_16(input + SUM(i, 2));
#else
                    const float16 r = gate_16(SUM(i, 0) + load_units(inputs[i], unit, H)), z = gate_16(SUM(i, 1) + load_units(inputs[i] + H, unit, H));
                    const float16 n = candidate_16(fma(r, SUM(i, 2), input));
#endif
                    h = blend_16(z, h, n, keep_new);
                    if (flags & HAS_OUT) store_units(h, out + ((first_row + i) * T + time_of(step, length[i], direction == 1)) * directions * H, unit, H);
                }
                vstore16(h, 0, next + i * width + unit);
            }
        }
    }
    if (flags & HAS_OUT) clear_rest(length, out, directions * H, rows, first_row, B, T, H);
    if (flags & HAS_LAST) end_states(state + steps % 2 * share * width, h_n + h_n_offset + direction * B * H, rows, first_row, B, H, width);
}

SINGLE void sequence(SEQUENCE(GIVEN)) {
    run_sequence(get_group_id(0), get_num_groups(0), get_group_id(1), get_num_groups(1), SEQUENCE(PASSED));
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
