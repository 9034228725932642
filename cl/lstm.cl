#include "common.cl"

/* Long short-term memory, gates in the order i, f, g, o. gi = W_ih x + b_ih stands ready, [B,T,4H] of one direction. */

#ifdef KERNEL_advance
/* h and c after a step, c in place. gh [B,4H] holds the recurrent sums. */
__kernel void advance(IN(gi), IN(gh), IN(h), IN_INT(lengths), OUT(cells), OUT(next), OUT(out), const long B, const long T, const long H, const long step, const long out_row, const int backward, const int has_lengths, const int has_out) {
    const long at = get_global_id(0);
    if (at >= B * H) return;
    SHIFT(gi);
    SHIFT(gh);
    const long row = at / H, unit = at % H, length = has_lengths ? clamp((long)lengths[lengths_offset + row], 0L, T) : T;
    const long time = backward && step < length ? length - 1 - step : step;
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
