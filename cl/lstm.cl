/* Long short-term memory, gates in the order i, f, g, o. gi = W_ih x + b_ih stands ready, [direction][B,T,4H]. */
#define GATES 4
#include "recurrent.cl"

#ifdef KERNEL_sequence
#define HAS_CELLS 32
#define HAS_LAST_CELLS 64
/* Gates summed at once: all, unless the sums of ROWS rows would then fill every vector register. */
#ifndef TOGETHER
#define TOGETHER (ROWS < 8 ? 4 : 2)
#endif

/* `state` is each group's room: the states before and after a step and the cells, which change in place. */
#define SEQUENCE(P) P##_IN(gi), P##_IN(packed), P##_IN(b_hh), P##_IN(h0), P##_IN(c0), P##_IN_INT(lengths), P##_OUT(state), P##_OUT(out), P##_OUT(h_n), P##_OUT(c_n), P##_AS(long, B), P##_AS(long, T), P##_AS(long, H), P##_AS(int, share), P##_AS(int, flags)
APART void run_sequence(const long group, const long groups, const long direction, const long directions, SEQUENCE(GIVEN)) {
    const long first_row = group * (long)share;
    const long blocks = (H + 15) / 16, width = blocks * 16;
    const int rows = rows_of(first_row, share, B);
    SHIFT(gi);
    SHIFT(packed);
    SHIFT(state);
    gi += direction * B * T * 4 * H;
    packed += direction * blocks * GATES * H * 16;
    if (flags & HAS_BIAS) b_hh += b_hh_offset + direction * 4 * H;
    if (flags & HAS_OUT) out += out_offset + direction * H;
    state += (direction * groups + group) * 3 * share * width;
    __global float *cells = state + 2 * share * width;
    float sums[MOST_ROWS * GATES * 16];
    long length[MOST_ROWS];
    const long steps = begin_lengths(length, flags & HAS_LENGTHS ? lengths + lengths_offset : 0, rows, first_row, B, T);
    begin_states(state, flags & HAS_START ? h0 + h0_offset + direction * B * H : 0, rows, first_row, B, H, width);
    begin_states(cells, flags & HAS_CELLS ? c0 + c0_offset + direction * B * H : 0, rows, first_row, B, H, width);
    for (long step = 0; step < steps; step++) {
        __global float *now = state + step % 2 * share * width, *next = state + (step + 1) % 2 * share * width;
        __global const float *inputs[MOST_ROWS];
        for (int i = 0; i < rows; i++) inputs[i] = gi + ((first_row + i) * T + time_of(step, length[i], direction == 1)) * 4 * H;
        for (long unit = 0; unit < width; unit += 16) {
            __global const float *block = packed + unit * GATES * H;
            ROLLED for (int first = 0; first < GATES; first += TOGETHER) SUMS(TOGETHER, first, now)
            ROLLED for (int i = 0; i < rows; i++) {
                float16 h = vload16(0, now + i * width + unit);
                if (step < length[i]) {
                    const float16 in = gate_16(SUM(i, 0) + load_units(inputs[i], unit, H)), forget = gate_16(SUM(i, 1) + load_units(inputs[i] + H, unit, H));
                    const float16 g = candidate_16(SUM(i, 2) + load_units(inputs[i] + 2 * H, unit, H)), o = gate_16(SUM(i, 3) + load_units(inputs[i] + 3 * H, unit, H));
                    const float16 c = fma(forget, vload16(0, cells + i * width + unit), in * g);
                    vstore16(c, 0, cells + i * width + unit);
                    h = o * candidate_16(c);
                    if (flags & HAS_OUT) store_units(h, out + ((first_row + i) * T + time_of(step, length[i], direction == 1)) * directions * H, unit, H);
                }
                vstore16(h, 0, next + i * width + unit);
            }
        }
    }
    if (flags & HAS_OUT) clear_rest(length, out, directions * H, rows, first_row, B, T, H);
    if (flags & HAS_LAST) end_states(state + steps % 2 * share * width, h_n + h_n_offset + direction * B * H, rows, first_row, B, H, width);
    if (flags & HAS_LAST_CELLS) end_states(cells, c_n + c_n_offset + direction * B * H, rows, first_row, B, H, width);
}

SINGLE void sequence(SEQUENCE(GIVEN)) {
    run_sequence(get_group_id(0), get_num_groups(0), get_group_id(1), get_num_groups(1), SEQUENCE(PASSED));
}
#endif

#ifdef KERNEL_advance
/* h and c after a step of one direction, c in place. gh [B,4H] holds the recurrent sums. */
__kernel void advance(IN(gi), IN(gh), IN(h), IN_INT(lengths), OUT(cells), OUT(next), OUT(out), const long B, const long T, const long H, const long step, const long out_row, const int backward, const int has_lengths, const int has_out) {
    const long at = get_global_id(0);
    if (at >= B * H) return;
    SHIFT(gi);
    SHIFT(gh);
    const long row = at / H, unit = at % H, length = length_of(lengths, lengths_offset, row, T, has_lengths), time = time_of(step, length, backward);
    float state = h[h_offset + at];
    if (step < length) {
        gi += (row * T + time) * 4 * H + unit;
        gh += row * 4 * H + unit;
        const float i = sigmoid_1(gi[0] + gh[0]), f = sigmoid_1(gi[H] + gh[H]), g = tanh(gi[2 * H] + gh[2 * H]), o = sigmoid_1(gi[3 * H] + gh[3 * H]);
        const float c = fma(f, cells[cells_offset + at], i * g);
        cells[cells_offset + at] = c;
        state = o * tanh(c);
    }
    next[next_offset + at] = state;
    if (has_out) out[out_offset + (row * T + time) * out_row + unit] = step < length ? state : 0.0f;
}
#endif
