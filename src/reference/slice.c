#include "reference.h"

void clattn_reference_slice(const clattn_call *call, const void *args, clattn_bounds *bounds);

static int64_t first_of(const clattn_slice_args *a, int axis) {
    const int64_t size = ref_size(a->x, axis);
    int64_t start = axis < a->starts.count ? a->starts.values[axis] : 0;
    if (start < 0) start += size;
    return start < 0 ? 0 : start;
}

void clattn_reference_slice(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_slice_args *a = raw;
    const int64_t count = clattn_tensor_count(a->out);
    (void)call;
    (void)bounds;
    for (int64_t n = 0; n < count; n++) {
        int64_t rest = n, at = 0, stride = 1;
        for (int i = a->x->rank - 1; i >= 0; i--) {
            const int64_t index = rest % ref_size(a->out, i), step = i < a->steps.count ? a->steps.values[i] : 1;
            rest /= ref_size(a->out, i);
            at += (first_of(a, i) + index * step) * stride;
            stride *= ref_size(a->x, i);
        }
        ref_values(a->out)[n] = ref_values(a->x)[at];
    }
}
