/* The sizes of a convolution on CPUs, which its kernels take as one argument. */
#define IN_CHANNELS sizes.s0
#define IN_HEIGHT sizes.s1
#define IN_WIDTH sizes.s2
#define OUT_CHANNELS sizes.s3
#define OUT_HEIGHT sizes.s4
#define OUT_WIDTH sizes.s5
#define TAPS_Y sizes.s6
#define TAPS_X sizes.s7
