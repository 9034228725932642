#include "common.cl"
#include "stream.cl"

/* -DKIND is a clattn_activation_kind. x may be out. */

#ifdef KERNEL_vectors
SINGLE void vectors(IN_PLACE_STORED(x), OUT_PLACE_STORED(out), const long count, const long per_group) {
    SHIFT(x);
    SHIFT(out);
    const long first = get_group_id(0) * per_group, last = min(count, first + per_group), whole = first + (last - first) / 16 * 16;
    if (STREAMS(out + first))
        for (long i = first; i < whole; i += 16) {
            PREFETCH(x + i + FETCHED_AHEAD);
            STREAM_16(activate_16(LOAD_16(x + i), KIND), out + i);
        }
    else
        for (long i = first; i < whole; i += 16) STORE_16(activate_16(LOAD_16(x + i), KIND), out + i);
    if (whole < last) store_some_stored(activate_16(load_some_stored(x + whole, (int)(last - whole), 0.0f), KIND), (int)(last - whole), out + whole);
}
#endif

#ifdef KERNEL_scalar
/* The two gelus without the cancellation of 1 + erf and 1 + tanh. */
INLINE float accurate(float x) {
    if (KIND == ACT_GELU) return 0.5f * x * erfc(x * -0.70710678118654752f);
    if (KIND == ACT_GELU_TANH) return x * sigmoid_1(1.59576912160573071f * (x + 0.044715f * x * x * x));
    return activate(x, KIND);
}

__kernel void scalar(IN_PLACE_STORED(x), OUT_PLACE_STORED(out), const long count) {
    const long i = get_global_id(0);
    if (i >= count) return;
    STORE_1(accurate(LOAD_1(x + x_offset + i)), out + out_offset + i);
}
#endif
