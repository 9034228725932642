#include "window.h"

clattn_status clattn_window_check_list(clattn_call *call, const char *name, const clattn_ints *list, bool four) {
    if (list->count <= 2 || (four && list->count == 4)) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values; expected 1 or 2 (vertical,horizontal)%s", name, list->count, four ? " or 4 (top,left,bottom,right)" : "");
}

int64_t clattn_window_value(const clattn_ints *list, int axis, int64_t fallback) {
    if (list->count == 0) return fallback;
    return list->values[list->count == 1 ? 0 : axis];
}

clattn_window clattn_window_read(const int64_t kernel[2], const clattn_ints *stride, const clattn_ints *padding, const clattn_ints *dilation, const int64_t *stride_fallback) {
    clattn_window w;
    for (int axis = 0; axis < 2; axis++) {
        w.kernel[axis] = kernel[axis];
        w.stride[axis] = clattn_window_value(stride, axis, stride_fallback ? stride_fallback[axis] : 1);
        w.dilation[axis] = clattn_window_value(dilation, axis, 1);
        w.before[axis] = clattn_window_value(padding, axis, 0);
        w.after[axis] = padding->count == 4 ? padding->values[2 + axis] : w.before[axis];
    }
    return w;
}

int64_t clattn_window_span(const clattn_window *window, int axis) {
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

clattn_status clattn_window_outputs(clattn_call *call, const clattn_window *window, int axis, int64_t size, bool ceil_mode, int64_t *outputs) {
    const int64_t stride = window->stride[axis], padded = size + window->before[axis] + window->after[axis];
    const int64_t room = padded - clattn_window_span(window, axis) + (ceil_mode ? stride - 1 : 0);
    *outputs = room < 0 ? 0 : room / stride + 1;
    if (ceil_mode && *outputs > 0 && (*outputs - 1) * stride >= size + window->before[axis]) --*outputs;
    if (*outputs > 0) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "the kernel is larger than the padded input: %lld (dilated) against %lld along the %s", (long long)clattn_window_span(window, axis), (long long)padded, axis ? "width" : "height");
}

clattn_arg clattn_window_arg(const clattn_window *w) {
    return clattn_arg_i64x8(w->stride[0], w->stride[1], w->dilation[0], w->dilation[1], w->before[0], w->before[1], w->after[0], w->after[1]);
}
