/* For AMD's compiler only: libclc's native_recip is a whole division there, where AMD's own driver takes v_rcp_f32. */
#define native_recip(x) __builtin_amdgcn_rcpf(x)
/* Its exp2 is a polynomial with a division, where that driver takes v_exp_f32, with care for results below the normal ones. */
static inline float __attribute__((overloadable)) vendor_exp2(float x) {
    const bool small = x < -126.0f;
    return __builtin_exp2f(small ? x + 64.0f : x) * (small ? 0x1p-64f : 1.0f);
}
#define exp2(x) vendor_exp2(x)
