/* What the products of matrices and the convolutions for GPUs share: which loops are unrolled, and the activation of the result. */
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define LOCAL_BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#ifdef ACT
#define ACTIVATE(x) activate(x, ACT)
#else
#define ACTIVATE(x) (x)
#endif
