#include "recurrent.h"

clattn_tensor clattn_recurrent_part(const clattn_tensor *whole, int64_t direction, int64_t all_rows, int64_t first, int64_t rows, int64_t columns) {
    clattn_tensor view = *whole;
    view.rank = 2;
    view.offset += (direction * all_rows + first) * columns;
    view.shape[0] = rows;
    view.shape[1] = columns;
    view.strides[0] = columns;
    view.strides[1] = 1;
    return view;
}

static clattn_tensor part_of_bias(const clattn_tensor *whole, int64_t direction, int64_t all_rows, int64_t first, int64_t rows) {
    clattn_tensor view = clattn_recurrent_part(whole, direction, all_rows, first, rows, 1);
    view.rank = 1;
    return view;
}

clattn_status clattn_recurrent_sums(clattn_call *call, const clattn_tensor *x, const clattn_tensor *w, const clattn_tensor *b, int64_t direction, int64_t all_rows, int64_t first, int64_t rows, clattn_tensor *out) {
    const clattn_tensor weight = clattn_recurrent_part(w, direction, all_rows, first, rows, x->shape[x->rank - 1]);
    const clattn_tensor bias = b ? part_of_bias(b, direction, all_rows, first, rows) : (clattn_tensor){ 0 };
    return clattn_linear(call->context, &(clattn_linear_args){ .x = x, .weight = &weight, .bias = b ? &bias : NULL, .out = out });
}

clattn_status clattn_recurrent_inputs(clattn_call *call, const clattn_tensor *x, const clattn_tensor *w, const clattn_tensor *b, int64_t directions, int64_t steps, int64_t inputs, int64_t rows, clattn_tensor *gi) {
    const clattn_tensor all = clattn_recurrent_part(x, 0, 0, 0, steps, inputs);
    clattn_status status = clattn_scratch(call, gi, CLATTN_F32, 3, (int64_t[]){ directions, steps, rows });
    for (int64_t d = 0; d < directions && !status; d++) {
        clattn_tensor to = clattn_recurrent_part(gi, d, steps, 0, steps, rows);
        status = clattn_recurrent_sums(call, &all, w, b, d, rows, 0, rows, &to);
    }
    return status;
}

static clattn_status check_directions(clattn_call *call, const char *name, const clattn_tensor *tensor, int rank, bool bidirectional) {
    if (!tensor || tensor->rank == rank + (bidirectional ? 1 : 0)) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has rank %d, expected %d %s bidirectional", name, tensor->rank, rank + (bidirectional ? 1 : 0), bidirectional ? "with" : "without");
}

clattn_status clattn_recurrent_directions(clattn_call *call, bool bidirectional, const clattn_tensor *w_ih, const clattn_tensor *w_hh, const clattn_tensor *b_ih, const clattn_tensor *b_hh) {
    clattn_dim_set(call, "R", bidirectional ? 2 : 1);
    clattn_status status = check_directions(call, "w_ih", w_ih, 2, bidirectional);
    if (!status) status = check_directions(call, "w_hh", w_hh, 2, bidirectional);
    if (!status) status = check_directions(call, "b_ih", b_ih, 1, bidirectional);
    return status ? status : check_directions(call, "b_hh", b_hh, 1, bidirectional);
}

const char *clattn_recurrent_cpu_refusal(const clattn_call *call, const void *args) {
    (void)args;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

/* Fewer rows save less by the packed form than packing it takes. */
#define ROWS_WORTH_PACKING 32

const char *clattn_recurrent_cell_refusal(const clattn_call *call, const clattn_tensor *w_hh, int64_t batches) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    return batches >= ROWS_WORTH_PACKING || clattn_buffer_frozen(w_hh->buffer) ? NULL : "w_hh is not frozen, and packing it takes longer than so few rows save";
}

/* The cut with which the busiest unit is done first: `rows` rows in registers take as long as rows + 1, since they share the reading of the
 * weights. Of equals the one with more rows, which reads W_hh less often. */
recurrent_cut clattn_recurrent_cut(const clattn_call *call, int64_t batches, int64_t directions) {
    const int64_t units = clattn_call_device(call)->compute_units, most = clattn_call_sums(call) < 8 ? clattn_call_sums(call) : 8;
    recurrent_cut cut = { 0 };
    int64_t least = INT64_MAX;
    for (int64_t rows = 1; rows <= most; rows += rows == 1 ? 1 : 2) {
        for (int64_t share = rows; share <= CLATTN_RECURRENT_ROWS; share += rows) {
            const int64_t groups = clattn_ceil_div(batches, share), time = clattn_ceil_div(groups * directions, units) * (share / rows) * (rows + 1);
            if (time > least) continue;
            least = time;
            cut = (recurrent_cut){ .rows = rows, .share = share, .groups = groups };
        }
    }
    return cut;
}

/* Units are taken by vectors of 16. */
static int64_t vectors(int64_t units) {
    return (units + 15) / 16;
}

clattn_status clattn_recurrent_pack(clattn_call *call, const char *source, const clattn_tensor *w_hh, int64_t directions, int64_t gates, int64_t units, clattn_buffer **packed) {
    const int64_t blocks = vectors(units);
    bool fresh;
    const clattn_status status = clattn_packed(call, w_hh, source, (size_t)(directions * blocks * units * gates * 16) * sizeof(float), packed, &fresh);
    if (status || !fresh) return status;
    return clattn_run_kernel(call, source, "pack", "", 2, ((size_t[]){ (size_t)blocks, (size_t)directions }), ((size_t[]){ 1, 1 }), ARG_T(w_hh), ARG_BUFFER(*packed), ARG_I64(units));
}

clattn_status clattn_recurrent_room(clattn_call *call, const recurrent_cut *cut, int64_t directions, int64_t states, int64_t units, clattn_tensor *state) {
    return clattn_scratch(call, state, CLATTN_F32, 2, (int64_t[]){ directions * cut->groups, states * cut->share * vectors(units) * 16 });
}
