#include "reference.h"

void clattn_reference_activation(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_activation(const clattn_call *call, const void *raw, clattn_bounds *bounds) {
    const clattn_activation_args *a = raw;
    const double *x = ref_values(a->x);
    double *out = ref_values(a->out);
    const int64_t count = clattn_tensor_count(a->x);
    (void)call;
    (void)bounds;
    for (int64_t i = 0; i < count; i++) out[i] = ref_activation((int)a->kind, x[i]);
}
