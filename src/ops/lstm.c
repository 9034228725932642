/* lstm and lstm_cell. The input's part of all gates is one linear; the recurrent part runs in one launch for the whole
 * sequence (CPUs), or as one linear and one kernel a step. */
#include "recurrent.h"

/* What both operations have in common; a cell is a sequence of one step. */
typedef struct unit {
    const clattn_tensor *x, *w_ih, *w_hh, *b_ih, *b_hh, *h0, *c0, *lengths, *out, *h_n, *c_n;
    int64_t directions, b, t, i, h;
} unit;

static unit unit_of_lstm(const clattn_call *call, const clattn_lstm_args *a) {
    return (unit){ .x = a->x, .w_ih = a->w_ih, .w_hh = a->w_hh, .b_ih = a->b_ih, .b_hh = a->b_hh, .h0 = a->h0, .c0 = a->c0, .lengths = a->lengths, .out = a->out, .h_n = a->h_n, .c_n = a->c_n, .directions = a->bidirectional ? 2 : 1, .b = clattn_dim(call, "B"), .t = clattn_dim(call, "T"), .i = clattn_dim(call, "I"), .h = clattn_dim(call, "H") };
}

static unit unit_of_cell(const clattn_call *call, const clattn_lstm_cell_args *a) {
    return (unit){ .x = a->x, .w_ih = a->w_ih, .w_hh = a->w_hh, .b_ih = a->b_ih, .b_hh = a->b_hh, .h0 = a->h, .c0 = a->c, .h_n = a->h_out, .c_n = a->c_out, .directions = 1, .b = clattn_dim(call, "B"), .t = 1, .i = clattn_dim(call, "I"), .h = clattn_dim(call, "H") };
}

static clattn_status project(clattn_call *call, const unit *u, clattn_tensor *gi) {
    return clattn_recurrent_inputs(call, u->x, u->w_ih, u->b_ih, u->directions, u->b * u->t, u->i, 4 * u->h, gi);
}

/* ---- cpu: a few rows of the batch run through the whole sequence in one launch ---- */

static clattn_status run_sequence(clattn_call *call, const unit *u) {
    clattn_tensor gi, state;
    clattn_buffer *packed;
    char options[64];
    const recurrent_cut cut = clattn_recurrent_cut(call, u->b, u->directions);
    const int flags = (u->b_hh ? 1 : 0) | (u->h0 ? 2 : 0) | (u->lengths ? 4 : 0) | (u->out ? 8 : 0) | (u->h_n ? 16 : 0) | (u->c0 ? 32 : 0) | (u->c_n ? 64 : 0);
    clattn_status status = project(call, u, &gi);
    if (!status) status = clattn_recurrent_pack(call, "lstm", u->w_hh, u->directions, 4, u->h, &packed);
    if (!status) status = clattn_recurrent_room(call, &cut, u->directions, 3, u->h, &state);
    if (status) return status;
    snprintf(options, sizeof options, "-DROWS=%d -DMOST_ROWS=%d", (int)cut.rows, CLATTN_RECURRENT_ROWS);
    return clattn_run_kernel(call, "lstm", "sequence", options, 2, ((size_t[]){ (size_t)cut.groups, (size_t)u->directions }), ((size_t[]){ 1, 1 }), ARG_T(&gi), ARG_BUFFER(packed), ARG_T(u->b_hh), ARG_T(u->h0), ARG_T(u->c0), ARG_T(u->lengths), ARG_T(&state), ARG_T(u->out), ARG_T(u->h_n), ARG_T(u->c_n), ARG_I64(u->b), ARG_I64(u->t), ARG_I64(u->h), ARG_I32((int)cut.share), ARG_I32(flags));
}

/* ---- steps: one linear and one kernel a step, for any device ---- */

/* The tensors of one direction's steps. The cells are changed in place. */
typedef struct stepping {
    clattn_tensor gi, gh, state[2], cells, out;
    int64_t direction;
} stepping;

static clattn_status make_room(clattn_call *call, const unit *u, stepping *s) {
    const int64_t shape[2] = { u->b, u->h };
    clattn_status status = clattn_scratch(call, &s->gh, CLATTN_F32, 2, (int64_t[]){ u->b, 4 * u->h });
    for (int i = 0; i < 2 && !status; i++) status = clattn_scratch(call, &s->state[i], CLATTN_F32, 2, shape);
    return status ? status : clattn_scratch(call, &s->cells, CLATTN_F32, 2, shape);
}

/* One direction's rows of the first states or cells; absent = 0. */
static clattn_status begin(clattn_call *call, const unit *u, const clattn_tensor *first, int64_t direction, const clattn_tensor *to) {
    if (!first) return clattn_enqueue_fill(call->context, to->buffer, 0, (size_t)(u->b * u->h) * sizeof(float), 0);
    const clattn_tensor start = clattn_recurrent_part(first, direction, u->b, 0, u->b, u->h);
    return clattn_copy(call, to, &start);
}

static clattn_status end(clattn_call *call, const unit *u, const clattn_tensor *last, int64_t direction, const clattn_tensor *from) {
    if (!last) return CLATTN_OK;
    const clattn_tensor to = clattn_recurrent_part(last, direction, u->b, 0, u->b, u->h);
    return clattn_copy(call, &to, from);
}

static clattn_status run_step(clattn_call *call, const unit *u, stepping *s, int64_t step) {
    clattn_tensor *now = &s->state[step % 2], *next = &s->state[(step + 1) % 2];
    const clattn_status status = clattn_recurrent_sums(call, now, u->w_hh, u->b_hh, s->direction, 4 * u->h, 0, 4 * u->h, &s->gh);
    if (status) return status;
    return clattn_run_kernel(call, "lstm", "advance", "", 1, (size_t[]){ (size_t)(u->b * u->h) }, (size_t[]){ 0 }, ARG_T(&s->gi), ARG_T(&s->gh), ARG_T(now), ARG_T(u->lengths), ARG_T(&s->cells), ARG_T(next), u->out ? ARG_T(&s->out) : ARG_T(NULL), ARG_I64(u->b), ARG_I64(u->t), ARG_I64(u->h), ARG_I64(step), ARG_I64(u->directions * u->h), ARG_I32(s->direction == 1), ARG_I32(u->lengths != NULL), ARG_I32(u->out != NULL));
}

static clattn_status run_direction(clattn_call *call, const unit *u, stepping *s) {
    clattn_status status = begin(call, u, u->h0, s->direction, &s->state[0]);
    if (!status) status = begin(call, u, u->c0, s->direction, &s->cells);
    for (int64_t step = 0; step < u->t && !status; step++) status = run_step(call, u, s, step);
    if (!status) status = end(call, u, u->h_n, s->direction, &s->state[u->t % 2]);
    return status ? status : end(call, u, u->c_n, s->direction, &s->cells);
}

static clattn_status run_steps(clattn_call *call, const unit *u) {
    clattn_tensor gi;
    stepping s = { .direction = 0 };
    clattn_status status = project(call, u, &gi);
    if (!status) status = make_room(call, u, &s);
    for (; s.direction < u->directions && !status; s.direction++) {
        s.gi = clattn_recurrent_part(&gi, s.direction, u->b * u->t, 0, u->b * u->t, 4 * u->h);
        if (u->out) s.out = *u->out;
        s.out.offset += s.direction * u->h;
        status = run_direction(call, u, &s);
    }
    return status;
}

static void count_work(const unit *u, double *flops, double *bytes) {
    const double rows = (double)u->directions * (double)u->b * (double)u->t, gate_sums = 4 * (double)u->h * (double)(u->i + u->h);
    *flops = rows * 2 * gate_sums;
    *bytes = 4 * ((double)u->directions * gate_sums + rows * (double)u->h + (double)clattn_tensor_count(u->x));
}

/* ---- lstm ---- */

static const clattn_field lstm_fields[] = {
    CLATTN_IN(clattn_lstm_args, x, "B,T,I", 0, "the sequence"),
    CLATTN_IN(clattn_lstm_args, w_ih, "4H,I|R,4H,I", 0, "gates in the order i, f, g, o; with bidirectional a first axis of 2"),
    CLATTN_IN(clattn_lstm_args, w_hh, "4H,H|R,4H,H", 0, "of the state; gates i, f, g, o"),
    CLATTN_IN(clattn_lstm_args, b_ih, "4H|R,4H", CLATTN_FIELD_OPTIONAL, "added to the input part"),
    CLATTN_IN(clattn_lstm_args, b_hh, "4H|R,4H", CLATTN_FIELD_OPTIONAL, "added to the state part"),
    CLATTN_IN(clattn_lstm_args, h0, "R,B,H", CLATTN_FIELD_OPTIONAL, "the first states; absent = 0"),
    CLATTN_IN(clattn_lstm_args, c0, "R,B,H", CLATTN_FIELD_OPTIONAL, "the first cells; absent = 0"),
    CLATTN_IN_INT_LIMITED(clattn_lstm_args, lengths, "B", "<=T", CLATTN_FIELD_OPTIONAL, "valid steps; beyond them out is 0, state and cell are kept"),
    CLATTN_OUT(clattn_lstm_args, out, "out", "B,T,H*R", 0, "forward half first"),
    CLATTN_OUT(clattn_lstm_args, h_n, "h_n", "R,B,H", 0, "the last states"),
    CLATTN_OUT(clattn_lstm_args, c_n, "c_n", "R,B,H", 0, "the last cells"),
    CLATTN_PARAM(clattn_lstm_args, bidirectional, "bidirectional", CLATTN_FIELD_BOOL, 0, 0, 0, "a second unit runs backward from the last valid step"),
};

static clattn_status prepare_lstm(clattn_call *call, void *raw) {
    const clattn_lstm_args *a = raw;
    return clattn_recurrent_directions(call, a->bidirectional, a->w_ih, a->w_hh, a->b_ih, a->b_hh);
}

static clattn_status enqueue_lstm_cpu(clattn_call *call, const void *args) {
    const unit u = unit_of_lstm(call, args);
    return run_sequence(call, &u);
}

static clattn_status enqueue_lstm_steps(clattn_call *call, const void *args) {
    const unit u = unit_of_lstm(call, args);
    return run_steps(call, &u);
}

static void work_lstm(const clattn_call *call, const void *args, double *flops, double *bytes) {
    const unit u = unit_of_lstm(call, args);
    count_work(&u, flops, bytes);
}

void clattn_reference_lstm(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_lstm_cell(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const clattn_variant lstm_variants[] = {
    { "cpu", clattn_recurrent_cpu_refusal, enqueue_lstm_cpu },
    { "steps", NULL, enqueue_lstm_steps },
};
static const char *const lstm_examples[] = { "lstm x[1,3,5] w_ih[24,5] w_hh[24,6]", "lstm x[16,3,5] w_ih[24,5] w_hh[24,6]", "lstm x[3,3,5] w_ih[2,24,5] w_hh[2,24,6] lengths[3]<4 bidirectional=true", NULL };
static const clattn_op_code lstm_code = { .prepare = prepare_lstm, .variants = lstm_variants, .variant_count = CLATTN_COUNT(lstm_variants), .reference = clattn_reference_lstm, .work = work_lstm, .examples = lstm_examples };
static const clattn_op op_lstm = { "lstm", "long short-term memory over a sequence", "Hochreiter and Schmidhuber 1997; torch.nn.LSTM, Keras' LSTM", sizeof(clattn_lstm_args), lstm_fields, CLATTN_COUNT(lstm_fields), &lstm_code };
CLATTN_DEFINE_CALL(lstm)

/* ---- lstm_cell ---- */

static const clattn_field cell_fields[] = {
    CLATTN_IN(clattn_lstm_cell_args, x, "B,I", 0, "one step of the sequence"),
    CLATTN_IN(clattn_lstm_cell_args, h, "B,H", 0, "the states before the step"),
    CLATTN_IN(clattn_lstm_cell_args, c, "B,H", 0, "the cells before the step"),
    CLATTN_IN(clattn_lstm_cell_args, w_ih, "4H,I", 0, "gates in the order i, f, g, o"),
    CLATTN_IN(clattn_lstm_cell_args, w_hh, "4H,H", 0, "of the state; gates i, f, g, o"),
    CLATTN_IN(clattn_lstm_cell_args, b_ih, "4H", CLATTN_FIELD_OPTIONAL, "added to the input part"),
    CLATTN_IN(clattn_lstm_cell_args, b_hh, "4H", CLATTN_FIELD_OPTIONAL, "added to the state part"),
    CLATTN_OUT(clattn_lstm_cell_args, h_out, "h", "B,H", 0, "the states after it"),
    CLATTN_OUT(clattn_lstm_cell_args, c_out, "c", "B,H", 0, "the cells after it"),
};

static const char *cell_cpu_refusal(const clattn_call *call, const void *args) {
    const unit u = unit_of_cell(call, args);
    return clattn_recurrent_cell_refusal(call, u.w_hh, u.b);
}

static clattn_status enqueue_cell_cpu(clattn_call *call, const void *args) {
    const unit u = unit_of_cell(call, args);
    return run_sequence(call, &u);
}

static clattn_status enqueue_cell_steps(clattn_call *call, const void *args) {
    const unit u = unit_of_cell(call, args);
    return run_steps(call, &u);
}

static void work_cell(const clattn_call *call, const void *args, double *flops, double *bytes) {
    const unit u = unit_of_cell(call, args);
    count_work(&u, flops, bytes);
}

static const clattn_variant cell_variants[] = {
    { "cpu", cell_cpu_refusal, enqueue_cell_cpu },
    { "steps", NULL, enqueue_cell_steps },
};
static const char *const cell_examples[] = { "lstm_cell x[3,5] h[3,6] c[3,6] w_ih[24,5] w_hh[24,6]", "lstm_cell x[33,5] h[33,6] c[33,6] w_ih[24,5] w_hh[24,6]", NULL };
static const clattn_op_code cell_code = { .variants = cell_variants, .variant_count = CLATTN_COUNT(cell_variants), .reference = clattn_reference_lstm_cell, .work = work_cell, .examples = cell_examples };
static const clattn_op op_lstm_cell = { "lstm_cell", "one step of long short-term memory", "torch.nn.LSTMCell, Keras' LSTMCell", sizeof(clattn_lstm_cell_args), cell_fields, CLATTN_COUNT(cell_fields), &cell_code };
CLATTN_DEFINE_CALL(lstm_cell)

const clattn_op *const clattn_ops_lstm[] = { &op_lstm, &op_lstm_cell, NULL };
