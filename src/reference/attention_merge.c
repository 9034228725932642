#include "reference.h"

void clattn_reference_attention_merge(const clattn_call *call, const void *args, clattn_bounds *bounds);

void clattn_reference_attention_merge(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_attention_merge_args *a = args;
    const int64_t parts = clattn_dim(call, "S"), rows = clattn_dim(call, "B") * clattn_dim(call, "H") * clattn_dim(call, "Tq"), width = clattn_dim(call, "Dv");
    const double *part = ref_values(a->out), *lse = ref_values(a->lse);
    double *out = ref_values(a->out_out);
    for (int64_t row = 0; row < rows; row++) {
        double largest = -INFINITY, sum = 0;
        for (int64_t s = 0; s < parts; s++) largest = fmax(largest, lse[s * rows + row]);
        if (isfinite(largest)) ref_bound(&bounds->score, fabs(largest));
        for (int64_t s = 0; s < parts; s++) sum += lse[s * rows + row] == -INFINITY ? 0 : exp(lse[s * rows + row] - largest);
        if (a->lse_out) ref_values(a->lse_out)[row] = sum == 0 ? -INFINITY : largest + log(sum);
        for (int64_t d = 0; out && d < width; d++) {
            double total = 0;
            for (int64_t s = 0; s < parts; s++)
                if (lse[s * rows + row] != -INFINITY) total += exp(lse[s * rows + row] - largest) / sum * part[(s * rows + row) * width + d];
            out[row * width + d] = total;
        }
    }
}
