/* For AMD's compiler only: libclc's native_recip is a whole division there, where AMD's own driver takes v_rcp_f32. */
#define native_recip(x) __builtin_amdgcn_rcpf(x)
