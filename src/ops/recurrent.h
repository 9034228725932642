/* What recurrent units have in common: weights by direction and gate, the input's part of all steps at once. */
#ifndef CLATTN_OPS_RECURRENT_H
#define CLATTN_OPS_RECURRENT_H

#include "op.h"

/* Rows first.. of one direction of a tensor of rows, as a matrix of its own. */
clattn_tensor clattn_recurrent_part(const clattn_tensor *whole, int64_t direction, int64_t all_rows, int64_t first, int64_t rows, int64_t columns);
/* out = x W^T + b with rows first..first+rows of one direction's `all_rows`. b may be NULL. */
clattn_status clattn_recurrent_sums(clattn_call *call, const clattn_tensor *x, const clattn_tensor *w, const clattn_tensor *b, int64_t direction, int64_t all_rows, int64_t first, int64_t rows, clattn_tensor *out);
/* gi [direction][steps,rows]: the input's part of every gate. `x` holds `steps` rows of `inputs`. */
clattn_status clattn_recurrent_inputs(clattn_call *call, const clattn_tensor *x, const clattn_tensor *w, const clattn_tensor *b, int64_t directions, int64_t steps, int64_t inputs, int64_t rows, clattn_tensor *gi);
/* A sequence's weights have a first axis for the directions exactly when it is bidirectional; binds R to their number. */
clattn_status clattn_recurrent_directions(clattn_call *call, bool bidirectional, const clattn_tensor *w_ih, const clattn_tensor *w_hh, const clattn_tensor *b_ih, const clattn_tensor *b_hh);

/* ---- A few rows of the batch run through the whole sequence in one launch: cl/recurrent.cl ---- */

const char *clattn_recurrent_cpu_refusal(const clattn_call *call, const void *args);
/* For one step of `batches` rows, whose kernels take w_hh packed. */
const char *clattn_recurrent_cell_refusal(const clattn_call *call, const clattn_tensor *w_hh, int64_t batches);
/* Rows of a group at most, as -DMOST_ROWS: more states would not stay near the core. */
#define CLATTN_RECURRENT_ROWS 36
/* How the rows of a batch are shared out: `rows` of them in registers, `share`, a multiple of it, in each of `groups` groups. */
typedef struct recurrent_cut {
    int64_t rows, share, groups;
} recurrent_cut;
recurrent_cut clattn_recurrent_cut(const clattn_call *call, int64_t batches, int64_t directions);
/* W_hh of `gates` gates in the order in which `source` reads it. */
clattn_status clattn_recurrent_pack(clattn_call *call, const char *source, const clattn_tensor *w_hh, int64_t directions, int64_t gates, int64_t units, clattn_buffer **packed);
/* Each group's room, in each direction, for `states` times its rows of states. */
clattn_status clattn_recurrent_room(clattn_call *call, const recurrent_cut *cut, int64_t directions, int64_t states, int64_t units, clattn_tensor *state);

#endif
