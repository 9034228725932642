/* The double-precision references: one plain function per operation, the oracle of tests, self-check and `clattn op --check`.
 * They take the operation's own args struct whose tensors are host tensors: C order, double, whatever the dtype says. */
#ifndef CLATTN_REFERENCE_REFERENCE_H
#define CLATTN_REFERENCE_REFERENCE_H

#include <math.h>

#include "../ops/op.h"

/* The values of a host tensor; NULL for an absent one. */
static inline double *ref_values(const clattn_tensor *tensor) {
    return tensor ? clattn_buffer_host_values(tensor->buffer) : NULL;
}

static inline int64_t ref_size(const clattn_tensor *tensor, int axis) {
    return tensor->shape[axis];
}

/* Index into a tensor broadcast from the right against `index` of `rank` axes. */
static inline int64_t ref_broadcast_index(const clattn_tensor *tensor, int rank, const int64_t *index) {
    int64_t at = 0;
    for (int i = 0; i < tensor->rank; i++) {
        const int64_t k = index[rank - tensor->rank + i];
        at = at * tensor->shape[i] + (tensor->shape[i] == 1 ? 0 : k);
    }
    return at;
}

static inline void ref_bound(double *bound, double value) {
    if (value > *bound) *bound = value;
}

/* Short names inside; the static library exports only names with clattn_. */
#define ref_rms clattn_ref_rms
#define ref_activation clattn_ref_activation
#define ref_sigmoid clattn_ref_sigmoid
#define ref_pool clattn_ref_pool

/* Root mean square of a host tensor's finite values; 0 when empty. For clattn_bounds.sum. */
double ref_rms(const clattn_tensor *tensor);

/* clattn_pool_kind over a plane of `size` values; a NaN wins. */
double ref_pool(int kind, const double *values, int64_t size);

/* clattn_activation_kind on one value. */
double ref_activation(int kind, double x);
double ref_sigmoid(double x);

#endif
