#include "philox.h"
#include "reference.h"

void clattn_reference_dropout(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_dropout(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_dropout_args *a = args;
    const int64_t count = clattn_tensor_count(a->x);
    const double limit = ceil((double)a->rate.value * 4294967296.0), keep = 1 - (double)a->rate.value;
    (void)call;
    (void)bounds;
    for (int64_t i = 0; i < count; i++) ref_values(a->out)[i] = ref_philox((uint64_t)i, a->offset, a->seed) < limit ? 0 : ref_values(a->x)[i] / keep;
}
