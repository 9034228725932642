/* gru and gru_cell. The input's part of all gates is one linear; the recurrent part runs in one launch for the whole
 * sequence (CPUs), or as one linear and one kernel a step. */
#include "recurrent.h"

/* What both operations have in common; a cell is a sequence of one step. */
typedef struct unit {
    const clattn_tensor *x, *w_ih, *w_hh, *b_ih, *b_hh, *h0, *lengths, *out, *h_n;
    int64_t directions, b, t, i, h;
    clattn_gru_reset reset;
    clattn_gru_keep keep;
} unit;

static unit unit_of_gru(const clattn_call *call, const clattn_gru_args *a) {
    return (unit){ .x = a->x, .w_ih = a->w_ih, .w_hh = a->w_hh, .b_ih = a->b_ih, .b_hh = a->b_hh, .h0 = a->h0, .lengths = a->lengths, .out = a->out, .h_n = a->h_n, .directions = a->bidirectional ? 2 : 1, .b = clattn_dim(call, "B"), .t = clattn_dim(call, "T"), .i = clattn_dim(call, "I"), .h = clattn_dim(call, "H"), .reset = a->reset, .keep = a->keep };
}

static unit unit_of_cell(const clattn_call *call, const clattn_gru_cell_args *a) {
    return (unit){ .x = a->x, .w_ih = a->w_ih, .w_hh = a->w_hh, .b_ih = a->b_ih, .b_hh = a->b_hh, .h0 = a->h, .h_n = a->h_out, .directions = 1, .b = clattn_dim(call, "B"), .t = 1, .i = clattn_dim(call, "I"), .h = clattn_dim(call, "H"), .reset = a->reset, .keep = a->keep };
}

/* Sums of rows first..first+rows of one direction's W_hh. */
static clattn_status gates(clattn_call *call, const unit *u, const clattn_tensor *x, int64_t direction, int64_t first, int64_t rows, clattn_tensor *out) {
    return clattn_recurrent_sums(call, x, u->w_hh, u->b_hh, direction, 3 * u->h, first, rows, out);
}

static clattn_status project(clattn_call *call, const unit *u, clattn_tensor *gi) {
    return clattn_recurrent_inputs(call, u->x, u->w_ih, u->b_ih, u->directions, u->b * u->t, u->i, 3 * u->h, gi);
}

/* ---- cpu: a few rows of the batch run through the whole sequence in one launch ---- */

static clattn_status run_sequence(clattn_call *call, const unit *u) {
    clattn_tensor gi, state;
    clattn_buffer *packed;
    char options[64];
    const recurrent_cut cut = clattn_recurrent_cut(call, u->b, u->directions);
    const int flags = (u->b_hh ? 1 : 0) | (u->h0 ? 2 : 0) | (u->lengths ? 4 : 0) | (u->out ? 8 : 0) | (u->h_n ? 16 : 0);
    clattn_status status = project(call, u, &gi);
    if (!status) status = clattn_recurrent_pack(call, "gru", u->w_hh, u->directions, 3, u->h, &packed);
    if (!status) status = clattn_recurrent_room(call, &cut, u->directions, 4, u->h, &state);
    if (status) return status;
    snprintf(options, sizeof options, "-DROWS=%d -DMOST_ROWS=%d%s", (int)cut.rows, CLATTN_RECURRENT_ROWS, u->reset == CLATTN_RESET_BEFORE ? " -DRESET_BEFORE" : "");
    return clattn_run_kernel(call, "gru", "sequence", options, 2, ((size_t[]){ (size_t)cut.groups, (size_t)u->directions }), ((size_t[]){ 1, 1 }), ARG_T(&gi), ARG_BUFFER(packed), ARG_T(u->b_hh), ARG_T(u->h0), ARG_T(u->lengths), ARG_T(&state), ARG_T(u->out), ARG_T(u->h_n), ARG_I64(u->b), ARG_I64(u->t), ARG_I64(u->h), ARG_I32((int)cut.share), ARG_I32(flags), ARG_I32(u->keep == CLATTN_KEEP_NEW));
}

/* ---- steps: one linear and one kernel a step, for any device ---- */

/* The tensors of one direction's steps. */
typedef struct stepping {
    clattn_tensor gi, gh, gn, gated, state[2], out;
    int64_t direction;
} stepping;

static clattn_status make_room(clattn_call *call, const unit *u, stepping *s) {
    const bool before = u->reset == CLATTN_RESET_BEFORE;
    clattn_status status = clattn_scratch(call, &s->gh, CLATTN_F32, 2, (int64_t[]){ u->b, before ? 2 * u->h : 3 * u->h });
    for (int i = 0; i < 2 && !status; i++) status = clattn_scratch(call, &s->state[i], CLATTN_F32, 2, (int64_t[]){ u->b, u->h });
    if (status) return status;
    if (before) {
        status = clattn_scratch(call, &s->gn, CLATTN_F32, 2, (int64_t[]){ u->b, u->h });
        return status ? status : clattn_scratch(call, &s->gated, CLATTN_F32, 2, (int64_t[]){ u->b, u->h });
    }
    s->gn = s->gh;
    s->gn.offset += 2 * u->h;
    return CLATTN_OK;
}

static clattn_status begin_state(clattn_call *call, const unit *u, stepping *s) {
    if (!u->h0) return clattn_enqueue_fill(call->context, s->state[0].buffer, 0, (size_t)(u->b * u->h) * sizeof(float), 0);
    const clattn_tensor start = clattn_recurrent_part(u->h0, s->direction, u->b, 0, u->b, u->h);
    return clattn_copy(call, &s->state[0], &start);
}

static clattn_status run_step(clattn_call *call, const unit *u, stepping *s, int64_t step) {
    clattn_tensor *now = &s->state[step % 2], *next = &s->state[(step + 1) % 2];
    const bool before = u->reset == CLATTN_RESET_BEFORE;
    const size_t items = (size_t)(u->b * u->h);
    const int backward = s->direction == 1, has_lengths = u->lengths != NULL;
    clattn_status status = gates(call, u, now, s->direction, 0, before ? 2 * u->h : 3 * u->h, &s->gh);
    if (before && !status) status = clattn_run_kernel(call, "gru", "reset", "", 1, (size_t[]){ items }, (size_t[]){ 0 }, ARG_T(&s->gi), ARG_T(&s->gh), ARG_T(now), ARG_T(u->lengths), ARG_T(&s->gated), ARG_I64(u->b), ARG_I64(u->t), ARG_I64(u->h), ARG_I64(step), ARG_I32(backward), ARG_I32(has_lengths));
    if (before && !status) status = gates(call, u, &s->gated, s->direction, 2 * u->h, u->h, &s->gn);
    if (status) return status;
    return clattn_run_kernel(call, "gru", "finish", "", 1, (size_t[]){ items }, (size_t[]){ 0 }, ARG_T(&s->gi), ARG_T(&s->gh), ARG_T(&s->gn), ARG_T(now), ARG_T(u->lengths), ARG_T(next), u->out ? ARG_T(&s->out) : ARG_T(NULL), ARG_I64(u->b), ARG_I64(u->t), ARG_I64(u->h), ARG_I64(step), ARG_I32(backward), ARG_I32(has_lengths), ARG_I64(s->gh.strides[0]), ARG_I64(s->gn.strides[0]), ARG_I64(u->directions * u->h), ARG_I32(before), ARG_I32(u->keep == CLATTN_KEEP_NEW), ARG_I32(u->out != NULL));
}

static clattn_status run_direction(clattn_call *call, const unit *u, stepping *s) {
    clattn_status status = begin_state(call, u, s);
    for (int64_t step = 0; step < u->t && !status; step++) status = run_step(call, u, s, step);
    if (status || !u->h_n) return status;
    const clattn_tensor last = clattn_recurrent_part(u->h_n, s->direction, u->b, 0, u->b, u->h);
    return clattn_copy(call, &last, &s->state[u->t % 2]);
}

static clattn_status run_steps(clattn_call *call, const unit *u) {
    clattn_tensor gi;
    stepping s = { .direction = 0 };
    clattn_status status = project(call, u, &gi);
    if (!status) status = make_room(call, u, &s);
    for (; s.direction < u->directions && !status; s.direction++) {
        s.gi = clattn_recurrent_part(&gi, s.direction, u->b * u->t, 0, u->b * u->t, 3 * u->h);
        if (u->out) s.out = *u->out;
        s.out.offset += s.direction * u->h;
        status = run_direction(call, u, &s);
    }
    return status;
}

/* ---- gru ---- */

static const char *const reset_words[] = { "after", "before", NULL };
static const char *const keep_words[] = { "old", "new", NULL };

static const clattn_field gru_fields[] = {
    CLATTN_IN(clattn_gru_args, x, "B,T,I", 0, "the sequence"),
    CLATTN_IN(clattn_gru_args, w_ih, "3H,I|R,3H,I", 0, "gates in the order r, z, n; with bidirectional a first axis of 2"),
    CLATTN_IN(clattn_gru_args, w_hh, "3H,H|R,3H,H", 0, "of the state; gates r, z, n"),
    CLATTN_IN(clattn_gru_args, b_ih, "3H|R,3H", CLATTN_FIELD_OPTIONAL, "added to the input part"),
    CLATTN_IN(clattn_gru_args, b_hh, "3H|R,3H", CLATTN_FIELD_OPTIONAL, "added to the state part"),
    CLATTN_IN(clattn_gru_args, h0, "R,B,H", CLATTN_FIELD_OPTIONAL, "the first states; absent = 0"),
    CLATTN_IN_INT_LIMITED(clattn_gru_args, lengths, "B", "<=T", CLATTN_FIELD_OPTIONAL, "valid steps; beyond them out is 0 and the state is kept"),
    CLATTN_OUT(clattn_gru_args, out, "out", "B,T,H*R", 0, "forward half first"),
    CLATTN_OUT(clattn_gru_args, h_n, "h_n", "R,B,H", 0, "the last states"),
    CLATTN_PARAM(clattn_gru_args, bidirectional, "bidirectional", CLATTN_FIELD_BOOL, 0, 0, 0, "a second unit runs backward from the last valid step"),
    CLATTN_PARAM_WORD(clattn_gru_args, reset, "reset", reset_words, CLATTN_RESET_AFTER, "whether r multiplies U h (PyTorch) or h (Bahdanau)"),
    CLATTN_PARAM_WORD(clattn_gru_args, keep, "keep", keep_words, CLATTN_KEEP_OLD, "what z keeps: the old state (PyTorch) or the new (Bahdanau)"),
};

static clattn_status prepare_gru(clattn_call *call, void *raw) {
    const clattn_gru_args *a = raw;
    return clattn_recurrent_directions(call, a->bidirectional, a->w_ih, a->w_hh, a->b_ih, a->b_hh);
}

static clattn_status enqueue_gru_cpu(clattn_call *call, const void *args) {
    const unit u = unit_of_gru(call, args);
    return run_sequence(call, &u);
}

static clattn_status enqueue_gru_steps(clattn_call *call, const void *args) {
    const unit u = unit_of_gru(call, args);
    return run_steps(call, &u);
}

static void count_work(const unit *u, double *flops, double *bytes) {
    const double rows = (double)u->directions * (double)u->b * (double)u->t, gate_sums = 3 * (double)u->h * (double)(u->i + u->h);
    *flops = rows * 2 * gate_sums;
    *bytes = 4 * ((double)u->directions * gate_sums + rows * (double)u->h + (double)clattn_tensor_count(u->x));
}

static void work_gru(const clattn_call *call, const void *args, double *flops, double *bytes) {
    const unit u = unit_of_gru(call, args);
    count_work(&u, flops, bytes);
}

void clattn_reference_gru(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_gru_cell(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const clattn_variant gru_variants[] = {
    { "cpu", clattn_recurrent_cpu_refusal, enqueue_gru_cpu },
    { "steps", NULL, enqueue_gru_steps },
};
static const char *const gru_examples[] = {
    "gru x[1,3,5] w_ih[18,5] w_hh[18,6]", "gru x[16,3,5] w_ih[18,5] w_hh[18,6]", "gru x[1,3,5] w_ih[2,18,5] w_hh[2,18,6] bidirectional=true reset=before keep=new", "gru x[8,3,5] w_ih[2,18,5] w_hh[2,18,6] bidirectional=true reset=before keep=new", NULL };
static const clattn_op_code gru_code = { .prepare = prepare_gru, .variants = gru_variants, .variant_count = CLATTN_COUNT(gru_variants), .reference = clattn_reference_gru, .work = work_gru, .examples = gru_examples };
static const clattn_op op_gru = { "gru", "gated recurrent unit over a sequence", "Cho et al. 2014; torch.nn.GRU, Keras' GRU, Bahdanau's", sizeof(clattn_gru_args), gru_fields, CLATTN_COUNT(gru_fields), &gru_code };
CLATTN_DEFINE_CALL(gru)

/* ---- gru_cell ---- */

static const clattn_field cell_fields[] = {
    CLATTN_IN(clattn_gru_cell_args, x, "B,I", 0, "one step of the sequence"),
    CLATTN_IN(clattn_gru_cell_args, h, "B,H", 0, "the states before the step"),
    CLATTN_IN(clattn_gru_cell_args, w_ih, "3H,I", 0, "gates in the order r, z, n"),
    CLATTN_IN(clattn_gru_cell_args, w_hh, "3H,H", 0, "of the state; gates r, z, n"),
    CLATTN_IN(clattn_gru_cell_args, b_ih, "3H", CLATTN_FIELD_OPTIONAL, "added to the input part"),
    CLATTN_IN(clattn_gru_cell_args, b_hh, "3H", CLATTN_FIELD_OPTIONAL, "added to the state part"),
    CLATTN_OUT(clattn_gru_cell_args, h_out, "h", "B,H", 0, "the states after it"),
    CLATTN_PARAM_WORD(clattn_gru_cell_args, reset, "reset", reset_words, CLATTN_RESET_AFTER, "as in gru"),
    CLATTN_PARAM_WORD(clattn_gru_cell_args, keep, "keep", keep_words, CLATTN_KEEP_OLD, "as in gru"),
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
static const char *const cell_examples[] = { "gru_cell x[1,5] h[1,6] w_ih[18,5] w_hh[18,6]", "gru_cell x[33,5] h[33,6] w_ih[18,5] w_hh[18,6]", "gru_cell x[33,5] h[33,6] w_ih[18,5] w_hh[18,6] reset=before keep=new", "gru_cell x[3,5] h[3,6] w_ih[18,5] w_hh[18,6] reset=before keep=new", NULL };
static const clattn_op_code cell_code = { .variants = cell_variants, .variant_count = CLATTN_COUNT(cell_variants), .reference = clattn_reference_gru_cell, .work = work_cell, .examples = cell_examples };
static const clattn_op op_gru_cell = { "gru_cell", "one step of a gated recurrent unit", "torch.nn.GRUCell, Keras' GRUCell, Bahdanau's", sizeof(clattn_gru_cell_args), cell_fields, CLATTN_COUNT(cell_fields), &cell_code };
CLATTN_DEFINE_CALL(gru_cell)

const clattn_op *const clattn_ops_gru[] = { &op_gru, &op_gru_cell, NULL };
