#include "philox.cl"

/* softmax(scale * Q K^T + bias) V. Query i attends the keys first <= j < last, where the diagonal j = i + shift, the window
 * and the keys' length set the range; mask and bias take keys out of it. What is taken out is never multiplied.
 * A score is cap * tanh(scale * q k / cap) + bias - slope * |i + length - Tq - j|; a sink joins a row's maximum and sum; dropout
 * changes what is multiplied with the values, not the sum. Past keys are joined with the others before, and the window moved.
 * `row_sums` (may be absent) holds each row's maximum and its sum of exponentials relative to that, which the weights are
 * computed from: lse has the rounding of a large score, that changes every weight of its row.
 *
 * -D: FORM where there is a cap or a slope, DROPOUT, and VARLEN where the queries and keys of many sequences stand one after
 * the other (the kernels scalar and cpu). */
#include "attention_problem.cl"
#include "attention_scalar.cl"
#include "attention_tile.cl"
#include "attention_cpu.cl"
#include "attention_weights.cl"
#include "attention_decode.cl"
