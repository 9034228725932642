/* What the files of conv2d share. */
#ifndef CLATTN_OPS_CONV2D_H
#define CLATTN_OPS_CONV2D_H

#include "window.h"

clattn_window clattn_conv2d_window(const clattn_conv2d_args *args);
/* C, H, W, O, OH, OW, KH, KW */
clattn_arg clattn_conv2d_sizes(const clattn_call *call, const clattn_conv2d_args *args);
/* The weight as [group][block][input channel][tap][width]: blocks of `width` output channels, zeros beyond a group's last one. */
clattn_status clattn_conv2d_pack(clattn_call *call, const clattn_conv2d_args *args, int64_t width, clattn_buffer **packed);

/* conv2d_winograd.c */
const char *clattn_conv2d_winograd_refusal(const clattn_call *call, const void *args);
/* Why it would not be faster; NULL when it is. */
const char *clattn_conv2d_winograd_slow(const clattn_call *call, const clattn_conv2d_args *args);
clattn_status clattn_conv2d_winograd(clattn_call *call, const void *args);

/* conv2d_pointwise.c, conv2d_depthwise.c */
const char *clattn_conv2d_pointwise_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_pointwise(clattn_call *call, const void *args);
const char *clattn_conv2d_depthwise_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_depthwise(clattn_call *call, const void *args);

/* conv2d_gpu.c */
const char *clattn_conv2d_gpu_depthwise_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_gpu_depthwise(clattn_call *call, const void *args);
const char *clattn_conv2d_gpu_tile_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_gpu_tile(clattn_call *call, const void *args);

#endif
