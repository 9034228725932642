#include <stdlib.h>

#include "reference.h"

void clattn_reference_lstm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_lstm_cell(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* One direction's weights. */
typedef struct cell {
    const double *w_ih, *w_hh, *b_ih, *b_hh;
    int64_t inputs, units;
} cell;

/* One gate's argument: both biases and both sums. */
static double sum(const cell *w, const double *x, const double *h, int64_t row, clattn_bounds *bounds) {
    double total = (w->b_ih ? w->b_ih[row] : 0) + (w->b_hh ? w->b_hh[row] : 0), squares = total * total;
    for (int64_t k = 0; k < w->inputs; k++) {
        const double term = w->w_ih[row * w->inputs + k] * x[k];
        total += term;
        squares += term * term;
    }
    for (int64_t k = 0; k < w->units; k++) {
        const double term = w->w_hh[row * w->units + k] * h[k];
        total += term;
        squares += term * term;
    }
    if (isfinite(squares)) ref_bound(&bounds->sum, sqrt(squares));
    return total;
}

/* next_h and next_c from h and c. */
static void step(const cell *w, const double *x, const double *h, const double *c, double *next_h, double *next_c, clattn_bounds *bounds) {
    for (int64_t u = 0; u < w->units; u++) {
        const double i = ref_sigmoid(sum(w, x, h, u, bounds)), f = ref_sigmoid(sum(w, x, h, w->units + u, bounds));
        const double g = tanh(sum(w, x, h, 2 * w->units + u, bounds)), o = ref_sigmoid(sum(w, x, h, 3 * w->units + u, bounds));
        next_c[u] = f * c[u] + i * g;
        next_h[u] = o * tanh(next_c[u]);
        if (isfinite(next_c[u])) ref_bound(&bounds->sum, fabs(next_c[u]));
    }
}

/* Where one sequence begins and ends; any may be NULL. */
typedef struct ends {
    const double *h0, *c0;
    double *h_n, *c_n;
} ends;

static void copy(double *to, const double *from, int64_t count) {
    for (int64_t i = 0; i < count && to; i++) to[i] = from ? from[i] : 0;
}

/* One sequence in one direction; `room` holds four times the units. */
static void sequence(const cell *w, const double *x, int64_t steps, int64_t length, bool backward, const ends *e, double *out, int64_t out_step, double *room, clattn_bounds *bounds) {
    double *h = room, *c = h + w->units, *next_h = c + w->units, *next_c = next_h + w->units;
    copy(h, e->h0, w->units);
    copy(c, e->c0, w->units);
    for (int64_t s = 0; s < length; s++) {
        const int64_t t = backward ? length - 1 - s : s;
        step(w, x + t * w->inputs, h, c, next_h, next_c, bounds);
        copy(h, next_h, w->units);
        copy(c, next_c, w->units);
        if (out) copy(out + t * out_step, h, w->units);
    }
    for (int64_t t = length; t < steps && out; t++) copy(out + t * out_step, NULL, w->units);
    copy(e->h_n, h, w->units);
    copy(e->c_n, c, w->units);
}

static double *after(double *values, int64_t offset) {
    return values ? values + offset : NULL;
}

void clattn_reference_lstm(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_lstm_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), steps = clattn_dim(call, "T"), inputs = clattn_dim(call, "I"), units = clattn_dim(call, "H"), directions = a->bidirectional ? 2 : 1;
    double *room = malloc((size_t)(4 * units + 1) * sizeof *room), *out = ref_values(a->out);
    for (int64_t d = 0; d < directions && room; d++) {
        const cell w = { .w_ih = ref_values(a->w_ih) + d * 4 * units * inputs, .w_hh = ref_values(a->w_hh) + d * 4 * units * units, .b_ih = after(ref_values(a->b_ih), d * 4 * units), .b_hh = after(ref_values(a->b_hh), d * 4 * units), .inputs = inputs, .units = units };
        for (int64_t b = 0; b < batches; b++) {
            const double wanted = a->lengths ? ref_values(a->lengths)[b] : (double)steps;
            const int64_t length = (int64_t)fmin(fmax(wanted, 0), (double)steps), state = (d * batches + b) * units;
            const ends e = { after(ref_values(a->h0), state), after(ref_values(a->c0), state), after(ref_values(a->h_n), state), after(ref_values(a->c_n), state) };
            sequence(&w, ref_values(a->x) + b * steps * inputs, steps, length, d == 1, &e, after(out, (b * steps * directions + d) * units), directions * units, room, bounds);
        }
    }
    free(room);
}

void clattn_reference_lstm_cell(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_lstm_cell_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), inputs = clattn_dim(call, "I"), units = clattn_dim(call, "H");
    const cell w = { .w_ih = ref_values(a->w_ih), .w_hh = ref_values(a->w_hh), .b_ih = ref_values(a->b_ih), .b_hh = ref_values(a->b_hh), .inputs = inputs, .units = units };
    double *room = malloc((size_t)(4 * units + 1) * sizeof *room);
    for (int64_t b = 0; b < batches && room; b++) {
        const ends e = { ref_values(a->h) + b * units, ref_values(a->c) + b * units, after(ref_values(a->h_out), b * units), after(ref_values(a->c_out), b * units) };
        sequence(&w, ref_values(a->x) + b * inputs, 1, 1, false, &e, NULL, 0, room, bounds);
    }
    free(room);
}
