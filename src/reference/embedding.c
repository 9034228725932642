#include "reference.h"

void clattn_reference_embedding(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_embedding(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_embedding_args *a = args;
    const int64_t count = clattn_tensor_count(a->ids), rows = clattn_dim(call, "V"), width = clattn_dim(call, "E");
    const double *table = ref_values(a->table), *ids = ref_values(a->ids);
    double *out = ref_values(a->out);
    (void)bounds;
    for (int64_t i = 0; i < count; i++)
        for (int64_t e = 0; e < width; e++) out[i * width + e] = ids[i] >= 0 && ids[i] < (double)rows ? table[(int64_t)ids[i] * width + e] : 0;
}
