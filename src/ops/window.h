/* The windows of convolutions and pools: kernel, stride, padding and dilation of two axes from their lists. */
#ifndef CLATTN_OPS_WINDOW_H
#define CLATTN_OPS_WINDOW_H

#include "op.h"

/* Index 0 is vertical, 1 horizontal. With these limits no product of two can overflow. */
#define CLATTN_WINDOW_LIMIT 1048576

typedef struct clattn_window {
    int64_t kernel[2], stride[2], dilation[2];
    int64_t before[2], after[2]; /* padding: top, left; bottom, right */
} clattn_window;

/* Refuses lists of other lengths than 0 (default), 1 and 2, for the padding also 4. */
clattn_status clattn_window_check_list(clattn_call *call, const char *name, const clattn_ints *list, bool four);

/* One axis of a list of one or two values. */
int64_t clattn_window_value(const clattn_ints *list, int axis, int64_t fallback);

/* Reads stride, padding and dilation of checked lists; the kernel is given. An absent stride is `stride_fallback`, else 1. */
clattn_window clattn_window_read(const int64_t kernel[2], const clattn_ints *stride, const clattn_ints *padding, const clattn_ints *dilation, const int64_t *stride_fallback);

/* Input positions that a window covers on an axis, its holes included. */
int64_t clattn_window_span(const clattn_window *window, int axis);

/* Checks that the windows fit an input of `size` values on `axis` and gives how many there are. With ceil_mode a window may
 * end outside the padding, but not begin after the input (PyTorch's rule). */
clattn_status clattn_window_outputs(clattn_call *call, const clattn_window *window, int axis, int64_t size, bool ceil_mode, int64_t *outputs);

/* stride (2), dilation (2), padding before (2), padding after (2): one long8 of a kernel. */
clattn_arg clattn_window_arg(const clattn_window *window);

static inline clattn_arg clattn_arg_i64x8(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g, int64_t h) {
    return (clattn_arg){ .kind = CLATTN_ARG_I64X8, .as = { .i64 = { a, b, c, d, e, f, g, h } } };
}

#endif
