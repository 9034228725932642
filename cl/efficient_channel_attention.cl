#include "common.cl"

/* One work-item per channel of an image: k neighbours' means, those that there are. */
#ifdef KERNEL_gate
__kernel void gate(IN(means), IN(weight), OUT(gates), const long channels, const long k, const long count) {
    const long n = get_global_id(0);
    if (n >= count) return;
    const long image = n / channels, first = n - image * channels - k / 2;
    SHIFT(means);
    SHIFT(weight);
    means += image * channels;
    float sum = 0;
    for (long i = max(0L, -first); i < k && first + i < channels; i++) sum += weight[i] * means[first + i];
    gates[gates_offset + n] = sigmoid_1(sum);
}
#endif
