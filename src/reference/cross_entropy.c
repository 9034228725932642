#include "reference.h"

void clattn_reference_cross_entropy(const clattn_call *call, const void *args, clattn_bounds *bounds);

static double loss_of(const double *x, int64_t n, int64_t target, double smoothing, clattn_bounds *bounds) {
    double largest = -INFINITY, sum = 0, squares = 0, distance = 0, far = 0;
    for (int64_t i = 0; i < n; i++)
        if (!(x[i] <= largest)) largest = x[i];
    if (isnan(largest) || largest == INFINITY) return NAN;
    if (x[target] == -INFINITY) return INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double e = exp(x[i] - largest), d = x[i] - x[target];
        sum += e;
        squares += e * e;
        distance += d;
        far += d * d;
    }
    /* Errors of the two sums: of the exponentials relative to itself, inside a logarithm; of the distances by n. */
    ref_bound(&bounds->sum, sqrt(squares) / sum + (isfinite(far) ? smoothing * sqrt(far) / (double)n : 0));
    return largest - x[target] + log(sum) - (smoothing != 0 ? smoothing * distance / (double)n : 0);
}

void clattn_reference_cross_entropy(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_cross_entropy_args *a = args;
    const int64_t rows = clattn_dim(call, "N"), classes = clattn_dim(call, "V");
    double total = 0, count = 0;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t target = (int64_t)ref_values(a->targets)[r];
        const bool counts = target != a->ignore_id.value, inside = target >= 0 && target < classes;
        const double loss = counts && inside ? loss_of(ref_values(a->logits) + r * classes, classes, target, (double)a->label_smoothing, bounds) : 0;
        total += loss;
        count += counts;
        if (a->losses) ref_values(a->losses)[r] = loss;
    }
    if (a->out) ref_values(a->out)[0] = count > 0 ? total / count : NAN;
}
