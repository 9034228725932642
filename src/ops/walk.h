/* How the elements of up to three tensors of one shape are walked together: axes of size 1 dropped, ordered by the
 * destination's strides and merged where every tensor allows it. Dense tensors become one axis; a broadcast has stride 0. */
#ifndef CLATTN_OPS_WALK_H
#define CLATTN_OPS_WALK_H

#include "op.h"

#define CLATTN_WALK_TENSORS 3

typedef struct clattn_walk {
    int rank; /* at least 1 */
    int tensors;
    int64_t shape[CLATTN_MAX_RANK];
    int64_t strides[CLATTN_WALK_TENSORS][CLATTN_MAX_RANK];
} clattn_walk;

/* `tensors[0]` is the destination; the others broadcast from the right to its shape. */
void clattn_walk_make(clattn_walk *walk, int count, const clattn_tensor *const *tensors);
int64_t clattn_walk_count(const clattn_walk *walk);
/* The innermost axis' stride of a tensor. */
int64_t clattn_walk_step(const clattn_walk *walk, int tensor);
clattn_arg clattn_walk_shape(const clattn_walk *walk);
clattn_arg clattn_walk_strides(const clattn_walk *walk, int tensor);

/* Copying between tensors of one shape in the forms that CPUs run fast; clattn_copy takes what these refuse.
 * Rows: the innermost axis is contiguous in both. Tiles: it is contiguous in the destination, another in the source. */
const char *clattn_move_rows_refusal(const clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source);
const char *clattn_move_tiles_refusal(const clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source);
clattn_status clattn_move_rows(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source);
clattn_status clattn_move_tiles(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source);

#endif
