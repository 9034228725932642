/* Types and helpers shared by all kernels. OpenCL C 1.2; nothing here needs an extension. */
#pragma OPENCL FP_CONTRACT ON

#define INLINE static inline __attribute__((always_inline))
/* PoCL makes three functions of a kernel, each with all that is inlined there: most of what building takes. Where much is done a call, it
 * stands in a function of its own, made once. */
#ifdef POCL_DEVICE_ADDRESS_BITS
#define APART static __attribute__((noinline))
/* Vectors wider than the CPU's go by way of memory there: nobody outside the program calls them. */
#pragma clang diagnostic ignored "-Wpsabi"
#else
#define APART INLINE
#endif
/* What hands on a kernel's __local array to a function that stands APART. Where its address is the same in each call, LLVM puts the array
 * itself into the function, in which PoCL (3.1) does not replace it by the group's own memory: the 0 added here is not known to be one. */
#define OWN(array) ((array) + (get_num_groups(0) == 0))
/* One work-item is the whole work-group: the form that CPU drivers turn into plain loops over full-width vectors. */
#define SINGLE __kernel __attribute__((reqd_work_group_size(1, 1, 1)))

/* A tensor argument: pointer and offset in elements. Put SHIFT(x) for each at the kernel's start. */
#define IN(x) __global const float *restrict x, const long x##_offset
#define IN_INT(x) __global const int *restrict x, const long x##_offset
#define IN_BOOL(x) __global const uchar *restrict x, const long x##_offset
#define OUT(x) __global float *restrict x, const long x##_offset
#define OUT_INT(x) __global int *restrict x, const long x##_offset
#define SHIFT(x) x += x##_offset
/* A body that stands APART has its kernel's parameters, listed once by a macro of P: P##_IN(x), P##_OUT(x), P##_AS(type, x). With P = GIVEN
 * that declares them, with PASSED it hands them on. */
#define GIVEN_IN(x) IN(x)
#define GIVEN_IN_INT(x) IN_INT(x)
#define GIVEN_OUT(x) OUT(x)
#define GIVEN_AS(type, x) const type x
#define PASSED_IN(x) x, x##_offset
#define PASSED_IN_INT PASSED_IN
#define PASSED_OUT PASSED_IN
#define PASSED_AS(type, x) x
#define COMMA , /* in the arguments of a macro */

/* Tensors that a kernel takes as the caller stores them: f32 or, with -DHALF, f16; numbers are f32 in registers. That
 * vload_half and vstore_half exist does not depend on cl_khr_fp16. */
#ifdef HALF
#define STORED half
#define LOAD_1(p) vload_half(0, p)
#define LOAD_16(p) vload_half16(0, p)
#define STORE_1(v, p) vstore_half_rte(v, 0, p)
#define STORE_16(v, p) vstore_half16_rte(v, 0, p)
#else
#define STORED float
#define LOAD_1(p) (*(p))
#define LOAD_16(p) vload16(0, p)
#define STORE_1(v, p) (*(p) = (v))
#define STORE_16(v, p) vstore16(v, 0, p)
#endif
#define IN_STORED(x) __global const STORED *restrict x, const long x##_offset
#define OUT_STORED(x) __global STORED *restrict x, const long x##_offset
/* Where the output may be an input: without restrict. */
#define IN_PLACE(x) __global const float *x, const long x##_offset
#define OUT_PLACE(x) __global float *x, const long x##_offset
#define IN_PLACE_STORED(x) __global const STORED *x, const long x##_offset
#define OUT_PLACE_STORED(x) __global STORED *x, const long x##_offset

/* Only a hint, and only where it is known to be one (on PoCL, and where the library says so): elsewhere the builtin may be an unknown function. */
#if defined(POCL_DEVICE_ADDRESS_BITS) || defined(KNOWS_PREFETCH)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) (void)(p)
#endif

/* Elements fetched ahead of a loop over memory with more than a few instructions a line: fewer lines would be on their way at a time. */
#define FETCHED_AHEAD 1024

/* Faster than fmax on CPUs; a NaN in `a` is dropped. */
#define VMAX(a, b) ((a) > (b) ? (a) : (b))
#define VMIN(a, b) ((a) < (b) ? (a) : (b))

#define LOG2E 1.44269504088896341f
#define LN2 0.693147180559945309f

INLINE float sum16(float16 a) {
    const float8 b = a.lo + a.hi;
    const float4 c = b.lo + b.hi;
    return (c.x + c.z) + (c.y + c.w);
}

INLINE float max16(float16 a) {
    const float8 b = VMAX(a.lo, a.hi);
    const float4 c = VMAX(b.lo, b.hi);
    return max(max(c.x, c.z), max(c.y, c.w));
}

/* Interleave two halves; four rounds of it over 16 vectors transpose them. */
INLINE float16 interleave_low(float16 a, float16 b) {
    float16 r;
    r.even = a.lo;
    r.odd = b.lo;
    return r;
}

INLINE float16 interleave_high(float16 a, float16 b) {
    float16 r;
    r.even = a.hi;
    r.odd = b.hi;
    return r;
}

/* 16 vectors as a matrix. */
INLINE void transpose_16(float16 *a) {
    float16 b[16];
#pragma unroll
    for (int step = 0; step < 2; step++) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            b[2 * i] = interleave_low(a[i], a[i + 8]);
            b[2 * i + 1] = interleave_high(a[i], a[i + 8]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            a[2 * i] = interleave_low(b[i], b[i + 8]);
            a[2 * i + 1] = interleave_high(b[i], b[i + 8]);
        }
    }
}

INLINE int16 lanes16(void) {
    return (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* 2^x of N vectors, each within 2 ulp for -126 <= x <= 126; 0 at -127. The degree-6 polynomial keeps sums of many exponentials at f32
 * accuracy. Step by step for all of them, as the chain of one is longer than what a core looks ahead. */
#define EACH_OF(N) _Pragma("unroll") for (int u = 0; u < (N); u++)
#define EXP2_INSIDE(x, N) \
    do { \
        const float16 magic_ = (float16)(12582912.0f); /* 1.5 * 2^23: rounds to integer */ \
        float16 rounded_[N], rest_[N], power_[N]; \
        EACH_OF(N) rounded_[u] = (x)[u] + magic_; \
        EACH_OF(N) rest_[u] = (x)[u] - (rounded_[u] - magic_); \
        EACH_OF(N) power_[u] = fma((float16)(1.540353e-4f), rest_[u], (float16)(1.33335581e-3f)); \
        EACH_OF(N) power_[u] = fma(power_[u], rest_[u], (float16)(9.61812911e-3f)); \
        EACH_OF(N) power_[u] = fma(power_[u], rest_[u], (float16)(5.55041087e-2f)); \
        EACH_OF(N) power_[u] = fma(power_[u], rest_[u], (float16)(2.40226507e-1f)); \
        EACH_OF(N) power_[u] = fma(power_[u], rest_[u], (float16)(6.93147181e-1f)); \
        EACH_OF(N) power_[u] = fma(power_[u], rest_[u], (float16)(1.0f)); \
        EACH_OF(N) (x)[u] = as_float16(as_int16(power_[u]) + (as_int16(rounded_[u]) << 23)); \
    } while (0)

INLINE float16 exp2_inside_16(float16 x) {
    EXP2_INSIDE(&x, 1);
    return x;
}

/* Clamped outside -126..126; 0 is exact. */
INLINE float16 exp2_16(float16 x) {
    x = VMAX(x, (float16)(-126.0f));
    return exp2_inside_16(VMIN(x, (float16)(126.0f)));
}

/* e^x with the product x * log2(e) kept exact to f32. */
INLINE float16 exp_16(float16 x) {
    x = VMAX(x, (float16)(-87.0f));
    x = VMIN(x, (float16)(87.0f));
    const float16 c = (float16)(LOG2E), low = (float16)(1.92596299e-8f);
    const float16 a = x * c, rest = fma(x, low, fma(x, c, -a));
    return exp2_16(a) * fma(rest, (float16)(LN2), (float16)(1.0f));
}

INLINE float16 sigmoid_16(float16 x) {
    return 1.0f / (1.0f + exp_16(-x));
}

/* x P(x^2) / Q(x^2), a minimax fit within 4 ulp, also near zero; from 7.905 on it is 1 to f32. NaN is lost. */
INLINE float16 tanh_16(float16 x) {
    x = VMIN(VMAX(x, (float16)(-7.90531110763549805f)), (float16)(7.90531110763549805f));
    const float16 y = x * x;
    float16 p = (float16)(-2.76076847742355e-16f), q = (float16)(1.19825839466702e-6f);
    p = fma(p, y, (float16)(2.00018790482477e-13f));
    p = fma(p, y, (float16)(-8.60467152213735e-11f));
    p = fma(p, y, (float16)(5.12229709037114e-8f));
    p = fma(p, y, (float16)(1.48572235717979e-5f));
    p = fma(p, y, (float16)(6.37261928875436e-4f));
    p = fma(p, y, (float16)(4.89352455891786e-3f));
    q = fma(q, y, (float16)(1.18534705686654e-4f));
    q = fma(q, y, (float16)(2.26843463243900e-3f));
    q = fma(q, y, (float16)(4.89352518554385e-3f));
    return x * (p / q);
}

/* A loop that is kept as it is written: unrolled or made of vectors in each of many places, what is rare or done once would be most of a
 * program and of its build. */
#ifdef POCL_DEVICE_ADDRESS_BITS
#define ROLL _Pragma("clang loop unroll(disable) vectorize(disable)")
#else
#define ROLL _Pragma("unroll 1")
#endif

/* Loads the first n of 16 elements; the rest are `other`. */
INLINE float16 load_some(__global const float *p, int n, float other) {
    float t[16];
    ROLL for (int i = 0; i < 16; i++) t[i] = i < n ? p[i] : other;
    return vload16(0, t);
}

INLINE void store_some(float16 v, int n, __global float *p) {
    float t[16];
    vstore16(v, 0, t);
    ROLL for (int i = 0; i < n; i++) p[i] = t[i];
}

/* The same for what is stored as the caller has it. */
#ifdef HALF
INLINE float16 load_some_stored(__global const half *p, int n, float other) {
    float t[16];
    ROLL for (int i = 0; i < 16; i++) t[i] = i < n ? vload_half(i, p) : other;
    return vload16(0, t);
}

INLINE void store_some_stored(float16 v, int n, __global half *p) {
    float t[16];
    vstore16(v, 0, t);
    ROLL for (int i = 0; i < n; i++) vstore_half_rte(t[i], i, p);
}
#else
#define load_some_stored load_some
#define store_some_stored store_some
#endif

INLINE float sigmoid_1(float x) {
    return 1.0f / (1.0f + exp(-x));
}

/* clattn_activation_kind; 0 and 1 = none. */
#define ACT_NONE 1
#define ACT_RELU 2
#define ACT_GELU 3
#define ACT_GELU_TANH 4
#define ACT_SILU 5
#define ACT_SIGMOID 6
#define ACT_HARD_SIGMOID 7
#define ACT_TANH 8
#define ACT_LEAKY_RELU 9

INLINE float activate(float x, int kind) {
    switch (kind) {
    case ACT_RELU: return x < 0 ? 0 : x;
    case ACT_GELU: return 0.5f * x * (1.0f + erf(x * 0.70710678118654752f));
    case ACT_GELU_TANH: return 0.5f * x * (1.0f + tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case ACT_SILU: return x * sigmoid_1(x);
    case ACT_SIGMOID: return sigmoid_1(x);
    case ACT_HARD_SIGMOID: return isnan(x) ? x : clamp(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f);
    case ACT_TANH: return tanh(x);
    case ACT_LEAKY_RELU: return x < 0 ? 0.01f * x : x;
    default: return x;
    }
}

/* sigmoid_16 with NaN kept and 0 at -inf. */
INLINE float16 sigmoid_safe_16(float16 x) {
    const float16 s = select(sigmoid_16(x), (float16)(0.0f), x < (float16)(-88.0f));
    return select(s, x, isnan(x));
}

/* x Phi(x), where the tail Phi(-|x|) = erfc(z) / 2 = t 2^(p(t) - z^2 log2(e)) with z = |x| / sqrt(2), t = 1 / (1 + z / 2): within 1e-6 of
 * itself also where it is tiny (a minimax fit of the exponent). */
INLINE float16 gelu_16(float16 x) {
    const float16 t = 1.0f / fma(fabs(x), (float16)(0.353553391f), (float16)(1.0f));
    float16 p = (float16)(-0.26367933f);
    p = fma(p, t, (float16)(1.053264f));
    p = fma(p, t, (float16)(-1.3892665f));
    p = fma(p, t, (float16)(0.45290077f));
    p = fma(p, t, (float16)(-0.02922734f));
    p = fma(p, t, (float16)(0.5597596f));
    p = fma(p, t, (float16)(1.4420334f));
    p = fma(p, t, (float16)(-2.8257855f));
    p = fma(x * -0.721347520f, x, p);
    const float16 tail = t * exp2_inside_16(VMAX(p, (float16)(-127.0f)));
    return x * select(1.0f - tail, tail, x < (float16)(0.0f));
}

/* x * sigmoid(2u) = x/2 * (1 + tanh u), without the cancellation. */
INLINE float16 gelu_tanh_16(float16 x) {
    return x * sigmoid_safe_16(1.59576912160573071f * (x + 0.044715f * x * x * x));
}

INLINE float16 hard_sigmoid_16(float16 x) {
    const float16 y = VMIN(VMAX(x + 3.0f, (float16)(0.0f)), (float16)(6.0f)) * (1.0f / 6.0f);
    return select(y, x, isnan(x));
}

/* activate() on vectors: NaN stays, infinities are right. */
INLINE float16 activate_16(float16 x, int kind) {
    switch (kind) {
    case ACT_RELU: return select(x, (float16)(0.0f), x < (float16)(0.0f));
    case ACT_GELU: return gelu_16(x);
    case ACT_GELU_TANH: return gelu_tanh_16(x);
    case ACT_SILU: return x * sigmoid_safe_16(x);
    case ACT_SIGMOID: return sigmoid_safe_16(x);
    case ACT_HARD_SIGMOID: return hard_sigmoid_16(x);
    case ACT_TANH: return select(tanh_16(x), x, isnan(x));
    case ACT_LEAKY_RELU: return select(x, 0.01f * x, x < (float16)(0.0f));
    default: return x;
    }
}
