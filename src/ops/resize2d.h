/* Where the outputs of resize2d lie in the input, exactly: position of output i = (i * step + start) / parts. */
#ifndef CLATTN_OPS_RESIZE2D_H
#define CLATTN_OPS_RESIZE2D_H

#include "op.h"

/* Sizes and the two numbers of a scale as a fraction are at most this, so that products fit 64 bits. */
#define CLATTN_RESIZE_LIMIT ((int64_t)1 << 29)

typedef struct clattn_resize_axis {
    int64_t inputs, outputs;
    int64_t step, start, parts; /* parts > 0 */
} clattn_resize_axis;

/* Axis 0 is vertical; the arguments are checked and the output's sizes bound. */
clattn_resize_axis clattn_resize_axis_of(const clattn_call *call, const clattn_resize2d_args *args, int axis);

#endif
