#include <stdlib.h>

#include "reference.h"

void clattn_reference_gru(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_gru_cell(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* One direction's weights. */
typedef struct cell {
    const double *w_ih, *w_hh, *b_ih, *b_hh;
    int64_t inputs, units;
    bool reset_before, keep_new;
} cell;

/* bias + sum_k x[k] factor[k] w[k]; factor NULL = 1. */
static double sum(const double *w, const double *x, const double *factor, int64_t n, const double *bias, clattn_bounds *bounds) {
    double total = bias ? *bias : 0, squares = total * total;
    for (int64_t k = 0; k < n; k++) {
        const double term = w[k] * x[k] * (factor ? factor[k] : 1);
        total += term;
        squares += term * term;
    }
    if (isfinite(squares)) ref_bound(&bounds->sum, sqrt(squares));
    return total;
}

static double input_sum(const cell *c, const double *x, int64_t row, clattn_bounds *bounds) {
    return sum(c->w_ih + row * c->inputs, x, NULL, c->inputs, c->b_ih ? c->b_ih + row : NULL, bounds);
}

static double state_sum(const cell *c, const double *h, const double *factor, int64_t row, clattn_bounds *bounds) {
    return sum(c->w_hh + row * c->units, h, factor, c->units, c->b_hh ? c->b_hh + row : NULL, bounds);
}

/* next from h; `r` is room for the reset gates. */
static void step(const cell *c, const double *x, const double *h, double *next, double *r, clattn_bounds *bounds) {
    const int64_t units = c->units;
    for (int64_t u = 0; u < units; u++) r[u] = ref_sigmoid(input_sum(c, x, u, bounds) + state_sum(c, h, NULL, u, bounds));
    for (int64_t u = 0; u < units; u++) {
        const double z = ref_sigmoid(input_sum(c, x, units + u, bounds) + state_sum(c, h, NULL, units + u, bounds));
        const double recurrent = c->reset_before ? state_sum(c, h, r, 2 * units + u, bounds) : r[u] * state_sum(c, h, NULL, 2 * units + u, bounds);
        const double n = tanh(input_sum(c, x, 2 * units + u, bounds) + recurrent);
        next[u] = c->keep_new ? z * n + (1 - z) * h[u] : z * h[u] + (1 - z) * n;
    }
}

/* One sequence in one direction; `room` holds three times the units. */
static void sequence(const cell *c, const double *x, int64_t steps, int64_t length, bool backward, const double *h0, double *out, int64_t out_step, double *h_n, double *room, clattn_bounds *bounds) {
    double *h = room, *next = room + c->units, *r = next + c->units;
    for (int64_t u = 0; u < c->units; u++) h[u] = h0 ? h0[u] : 0;
    for (int64_t s = 0; s < length; s++) {
        const int64_t t = backward ? length - 1 - s : s;
        step(c, x + t * c->inputs, h, next, r, bounds);
        for (int64_t u = 0; u < c->units; u++) h[u] = next[u];
        for (int64_t u = 0; u < c->units && out; u++) out[t * out_step + u] = h[u];
    }
    for (int64_t t = length; t < steps; t++)
        for (int64_t u = 0; u < c->units && out; u++) out[t * out_step + u] = 0;
    for (int64_t u = 0; u < c->units && h_n; u++) h_n[u] = h[u];
}

static const double *after(const double *values, int64_t offset) {
    return values ? values + offset : NULL;
}

void clattn_reference_gru(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gru_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), steps = clattn_dim(call, "T"), inputs = clattn_dim(call, "I"), units = clattn_dim(call, "H"), directions = a->bidirectional ? 2 : 1;
    double *room = malloc((size_t)(3 * units + 1) * sizeof *room), *out = ref_values(a->out), *h_n = ref_values(a->h_n);
    for (int64_t d = 0; d < directions && room; d++) {
        const cell c = { .w_ih = ref_values(a->w_ih) + d * 3 * units * inputs, .w_hh = ref_values(a->w_hh) + d * 3 * units * units, .b_ih = after(ref_values(a->b_ih), d * 3 * units), .b_hh = after(ref_values(a->b_hh), d * 3 * units), .inputs = inputs, .units = units, .reset_before = a->reset == CLATTN_RESET_BEFORE, .keep_new = a->keep == CLATTN_KEEP_NEW };
        for (int64_t b = 0; b < batches; b++) {
            const double wanted = a->lengths ? ref_values(a->lengths)[b] : (double)steps;
            const int64_t length = (int64_t)fmin(fmax(wanted, 0), (double)steps), state = (d * batches + b) * units;
            sequence(&c, ref_values(a->x) + b * steps * inputs, steps, length, d == 1, after(ref_values(a->h0), state), out ? out + (b * steps * directions + d) * units : NULL, directions * units, h_n ? h_n + state : NULL, room, bounds);
        }
    }
    free(room);
}

void clattn_reference_gru_cell(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gru_cell_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), inputs = clattn_dim(call, "I"), units = clattn_dim(call, "H");
    const cell c = { .w_ih = ref_values(a->w_ih), .w_hh = ref_values(a->w_hh), .b_ih = ref_values(a->b_ih), .b_hh = ref_values(a->b_hh), .inputs = inputs, .units = units, .reset_before = a->reset == CLATTN_RESET_BEFORE, .keep_new = a->keep == CLATTN_KEEP_NEW };
    double *room = malloc((size_t)(units + 1) * sizeof *room);
    for (int64_t b = 0; b < batches && room; b++) step(&c, ref_values(a->x) + b * inputs, ref_values(a->h) + b * units, ref_values(a->h_out) + b * units, room, bounds);
    free(room);
}
