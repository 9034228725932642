#include "reference.h"

double ref_rms(const clattn_tensor *tensor) {
    const double *values = ref_values(tensor);
    const int64_t count = values ? clattn_tensor_count(tensor) : 0;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i])) sum += values[i] * values[i];
    return count ? sqrt(sum / (double)count) : 0;
}

double ref_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

double ref_activation(int kind, double x) {
    switch (kind) {
    case CLATTN_ACTIVATION_RELU: return x < 0 ? 0 : x; /* NaN stays */
    case CLATTN_ACTIVATION_GELU: return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case CLATTN_ACTIVATION_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case CLATTN_ACTIVATION_SILU: return x * ref_sigmoid(x);
    case CLATTN_ACTIVATION_SIGMOID: return ref_sigmoid(x);
    case CLATTN_ACTIVATION_HARD_SIGMOID: return isnan(x) ? x : fmin(fmax(x + 3, 0), 6) / 6;
    case CLATTN_ACTIVATION_TANH: return tanh(x);
    case CLATTN_ACTIVATION_LEAKY_RELU: return x < 0 ? 0.01 * x : x;
    default: return x;
    }
}

static double largest(const double *values, int64_t size) {
    double most = -INFINITY;
    for (int64_t i = 0; i < size; i++)
        if (values[i] > most || isnan(values[i])) most = values[i];
    return most;
}

double ref_pool(int kind, const double *values, int64_t size) {
    const double most = largest(values, size);
    double sum = 0;
    if (kind == CLATTN_POOL_MAX || (kind == CLATTN_POOL_LSE && !isfinite(most))) return most;
    for (int64_t i = 0; i < size; i++) sum += kind == CLATTN_POOL_AVG ? values[i] : kind == CLATTN_POOL_LP ? values[i] * values[i] : exp(values[i] - most);
    if (kind == CLATTN_POOL_AVG) return sum / (double)size;
    return kind == CLATTN_POOL_LP ? sqrt(sum) : most + log(sum);
}
