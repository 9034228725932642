#include "reference.h"

void clattn_reference_transpose(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_transpose(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_transpose_args *a = raw;
    const int rank = a->x->rank;
    const int64_t count = clattn_tensor_count(a->out);
    (void)call;
    (void)bounds;
    for (int64_t n = 0; n < count; n++) {
        int64_t index[CLATTN_MAX_RANK] = { 0 }, rest = n, at = 0;
        for (int i = rank - 1; i >= 0; i--) {
            const int64_t axis = a->axes.count ? a->axes.values[i] : rank - 1 - i;
            index[axis < 0 ? axis + rank : axis] = rest % ref_size(a->out, i);
            rest /= ref_size(a->out, i);
        }
        for (int i = 0; i < rank; i++) at = at * ref_size(a->x, i) + index[i];
        ref_values(a->out)[n] = ref_values(a->x)[at];
    }
}
