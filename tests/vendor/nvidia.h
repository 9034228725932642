/* For NVIDIA's compiler only: what clang-14's nvptx back end or its libclc lacks, with the instructions that NVIDIA's driver takes. */
#define ONE(name, instruction)                                                                                         \
    static inline float __attribute__((overloadable)) name(float x) {                                                  \
        float r;                                                                                                       \
        __asm__(instruction ".approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));                                             \
        return r;                                                                                                      \
    }                                                                                                                  \
    static inline float4 __attribute__((overloadable)) name(float4 x) {                                                \
        return (float4)(name(x.x), name(x.y), name(x.z), name(x.w));                                                   \
    }
ONE(vendor_exp2, "ex2")
ONE(vendor_log2, "lg2")
ONE(vendor_recip, "rcp")
ONE(vendor_rsqrt, "rsqrt")
#define exp(x) vendor_exp2((x) * 1.44269504f)
#define exp2(x) vendor_exp2(x)
#define native_exp(x) vendor_exp2((x) * 1.44269504f)
#define native_exp2(x) vendor_exp2(x)
#define log(x) (vendor_log2(x) * 0.693147181f)
#define log2(x) vendor_log2(x)
#define native_log2(x) vendor_log2(x)
#define native_recip(x) vendor_recip(x)
#define rsqrt(x) vendor_rsqrt(x)
#define native_rsqrt(x) vendor_rsqrt(x)
