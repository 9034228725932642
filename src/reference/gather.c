#include "reference.h"

void clattn_reference_gather(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_gather(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_gather_args *a = raw;
    const int64_t outer = clattn_dim(call, "outer"), inner = clattn_dim(call, "inner"), n = clattn_dim(call, "n"), count = clattn_tensor_count(a->indices);
    double *out = ref_values(a->out);
    (void)bounds;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < count; k++) {
            const int64_t id = (int64_t)ref_values(a->indices)[k];
            for (int64_t i = 0; i < inner; i++) *out++ = id >= 0 && id < n ? ref_values(a->x)[(o * n + id) * inner + i] : 0;
        }
}
