#include "reference.h"

#include <stdlib.h>

void clattn_reference_bahdanau_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* out[rows,A] = x[rows,I] * w[I,A] */
static void project(const double *x, int64_t rows, const clattn_tensor *w, double *out) {
    const int64_t inner = ref_size(w, 0), size = ref_size(w, 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < size; i++) {
            double sum = 0;
            for (int64_t d = 0; d < inner; d++) sum += x[r * inner + d] * ref_values(w)[d * size + i];
            out[r * size + i] = sum;
        }
}

/* One query against the annotations of batch b. */
static void attend(const clattn_call *call, const clattn_bahdanau_attention_args *a, int64_t b, int64_t n, const double *query, const double *keys, double *w, clattn_bounds *bounds) {
    const int64_t count = clattn_dim(call, "Tk"), size = clattn_dim(call, "A"), width = clattn_dim(call, "N");
    double largest = -INFINITY, total = 0;
    for (int64_t j = 0; j < count; j++) {
        const bool counts = !a->key_mask || ref_values(a->key_mask)[b * count + j] != 0;
        w[j] = counts ? 0 : -INFINITY;
        for (int64_t i = 0; i < size && counts; i++) w[j] += ref_values(a->v_a)[i] * tanh(query[i] + keys[(b * count + j) * size + i]);
        if (isfinite(w[j])) ref_bound(&bounds->score, fabs(w[j]));
        if (w[j] > largest) largest = w[j];
    }
    for (int64_t j = 0; j < count; j++) total += w[j] == -INFINITY ? 0 : exp(w[j] - largest);
    for (int64_t j = 0; j < count; j++) w[j] = w[j] == -INFINITY ? -1 : exp(w[j] - largest) / total;
    for (int64_t i = 0; a->context && i < width; i++) {
        double sum = 0;
        for (int64_t j = 0; j < count; j++)
            if (w[j] != -1) sum += w[j] * ref_values(a->annotations)[(b * count + j) * width + i];
        ref_values(a->context)[n * width + i] = sum;
    }
    for (int64_t j = 0; a->weights && j < count; j++) ref_values(a->weights)[n * count + j] = w[j] == -1 ? 0 : w[j];
}

static void bound_sums(const clattn_call *call, const clattn_bahdanau_attention_args *a, clattn_bounds *bounds) {
    if (!a->projected) ref_bound(&bounds->sum, sqrt((double)clattn_dim(call, "N")) * ref_rms(a->annotations) * ref_rms(a->u_a));
    ref_bound(&bounds->sum, sqrt((double)clattn_dim(call, "S")) * ref_rms(a->state) * ref_rms(a->w_a));
}

void clattn_reference_bahdanau_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_bahdanau_attention_args *a = args;
    const int64_t batches = clattn_dim(call, "B"), queries = clattn_dim(call, "Tq"), count = clattn_dim(call, "Tk"), size = clattn_dim(call, "A");
    double *query = calloc((size_t)(batches * queries * size) + 1, sizeof *query), *keys = calloc((size_t)(batches * count * size) + 1, sizeof *keys), *w = calloc((size_t)count + 1, sizeof *w);
    if (query && keys && w) {
        bound_sums(call, a, bounds);
        project(ref_values(a->state), batches * queries, a->w_a, query);
        if (a->projected) memcpy(keys, ref_values(a->projected), (size_t)(batches * count * size) * sizeof *keys);
        else project(ref_values(a->annotations), batches * count, a->u_a, keys);
        if (a->projected_out) memcpy(ref_values(a->projected_out), keys, (size_t)(batches * count * size) * sizeof *keys);
        for (int64_t n = 0; n < batches * queries; n++) attend(call, a, n / queries, n, query + n * size, keys, w, bounds);
    }
    free(query);
    free(keys);
    free(w);
}
