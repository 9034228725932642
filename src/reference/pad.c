#include "reference.h"

void clattn_reference_pad(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_pad(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_pad_args *a = raw;
    const int64_t count = clattn_tensor_count(a->out);
    (void)call;
    (void)bounds;
    for (int64_t n = 0; n < count; n++) {
        int64_t rest = n, at = 0, stride = 1;
        bool inside = true;
        for (int i = a->x->rank - 1; i >= 0; i--) {
            const int64_t index = rest % ref_size(a->out, i) - (i < a->before.count ? a->before.values[i] : 0);
            rest /= ref_size(a->out, i);
            inside = inside && index >= 0 && index < ref_size(a->x, i);
            at += index * stride;
            stride *= ref_size(a->x, i);
        }
        ref_values(a->out)[n] = inside ? ref_values(a->x)[at] : (double)a->value;
    }
}
