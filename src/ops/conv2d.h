/* What the files of conv2d share. */
#ifndef CLATTN_OPS_CONV2D_H
#define CLATTN_OPS_CONV2D_H

#include "window.h"

clattn_window clattn_conv2d_window(const clattn_conv2d_args *args);
/* The weight as [group][block][input channel][tap][width]: blocks of `width` output channels, zeros beyond a group's last one. */
clattn_status clattn_conv2d_pack(clattn_call *call, const clattn_conv2d_args *args, int64_t width, clattn_buffer **packed);

/* conv2d_gpu.c */
const char *clattn_conv2d_gpu_depthwise_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_gpu_depthwise(clattn_call *call, const void *args);
const char *clattn_conv2d_gpu_tile_refusal(const clattn_call *call, const void *args);
clattn_status clattn_conv2d_gpu_tile(clattn_call *call, const void *args);

#endif
