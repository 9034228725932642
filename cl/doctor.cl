#include "common.cl"

/* Small programs that only a driver with a known fault gets wrong. */

#ifdef KERNEL_long_loop
/* One drawing a step of a generator that no compiler can skip ahead. */
__kernel void long_loop(OUT_INT(y), const int steps, const long count) {
    const long n = get_global_id(0);
    SHIFT(y);
    if (n >= count) return;
    uint state = (uint)n + 1u;
    int drawn = 0;
    while (drawn < steps) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        drawn++;
    }
    y[2 * n] = (int)state;
    y[2 * n + 1] = drawn;
}
#endif

#ifdef KERNEL_leave
/* Leaves a pattern in local memory... */
__kernel void leave(OUT_INT(y), __local volatile int *memory, const int words, const int pattern) {
    SHIFT(y);
    for (int i = (int)get_local_id(0); i < words; i += (int)get_local_size(0)) memory[i] = pattern ^ i;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (get_local_id(0) == 0) y[get_group_id(0)] = memory[words - 1];
}
#endif

#ifdef KERNEL_listen
/* ... and counts how much of it the next kernel finds there. */
__kernel void listen(OUT_INT(y), __local volatile int *memory, const int words, const int pattern) {
    int found = 0;
    SHIFT(y);
    for (int i = 0; i < words; i++) found += memory[i] == (pattern ^ i);
    if (get_local_id(0) == 0) y[get_group_id(0)] = found;
}
#endif

#ifdef KERNEL_special
/* What masks and softmax stand on: x holds NaN, infinity, -infinity, 0, and three numbers for a fused multiply-add. */
__kernel void special(IN(x), OUT(y)) {
    SHIFT(x);
    SHIFT(y);
    if (get_global_id(0)) return;
    y[0] = isnan(x[0]) ? 1.0f : 0.0f;
    y[1] = x[0] != x[0] ? 1.0f : 0.0f;
    y[2] = isinf(x[1]) ? 1.0f : 0.0f;
    y[3] = exp(x[2]);
    y[4] = x[2] < -3.0e38f && x[1] > 3.0e38f ? 1.0f : 0.0f;
    y[5] = select(x[0], x[3], 1);
    y[6] = fma(x[4], x[5], x[6]);
    y[7] = isnan(x[1] + x[2]) ? 1.0f : 0.0f;
}
#endif

#ifdef KERNEL_meet
/* Work-items of a group see each other's local memory behind a barrier. */
__kernel void meet(OUT_INT(y), __local int *memory) {
    const int i = (int)get_local_id(0), n = (int)get_local_size(0);
    SHIFT(y);
    memory[i] = i + 1;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = 1; step < n; step *= 2) {
        const int other = i >= step ? memory[i - step] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        memory[i] += other;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    y[get_global_id(0)] = memory[i];
}
#endif
