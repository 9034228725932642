#include "reference.h"

void clattn_reference_concat(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_concat(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_concat_args *a = raw;
    const int axis = (int)clattn_dim(call, "axis");
    double *out = ref_values(a->out);
    int64_t outer = 1, inner = 1;
    (void)bounds;
    for (int i = 0; i < axis; i++) outer *= ref_size(a->out, i);
    for (int i = axis + 1; i < a->out->rank; i++) inner *= ref_size(a->out, i);
    for (int64_t o = 0; o < outer; o++)
        for (int k = 0; k < CLATTN_MAX_CONCAT && a->x[k]; k++) {
            const int64_t length = ref_size(a->x[k], axis) * inner;
            for (int64_t i = 0; i < length; i++) *out++ = ref_values(a->x[k])[o * length + i];
        }
}
