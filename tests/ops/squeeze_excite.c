#include <criterion/criterion.h>

#include "../support/cases.h"

#define SE "squeeze_excite x[2,5,3,7] w1[3,5] b1[3] w2[5,3] b2[5] "

Test(squeeze_excite, against_reference) {
    test_cases((const char *const[]){
        SE "-> out gate", SE "-> gate", SE "gate=hard_sigmoid -> out gate",
        SE "activation=none -> out gate", SE "activation=gelu -> out gate", SE "activation=gelu_tanh -> out gate", SE "activation=silu -> out gate", SE "activation=sigmoid -> out gate", SE "activation=hard_sigmoid -> out gate",
        SE "activation=tanh -> out gate", SE "activation=leaky_relu -> out gate",
        "squeeze_excite x[2,5,3,7] w1[3,5] w2[5,3] -> out gate", "squeeze_excite x[2,5,3,7] w1[3,5] b1[3] w2[5,3] -> out gate", "squeeze_excite x[2,5,3,7] w1[3,5] w2[5,3] b2[5] -> out gate",
        /* one image, one channel, one pixel, one hidden value; rows of 15, 16, 17; primes; several pool blocks */
        "squeeze_excite x[1,1,1,1] w1[1,1] b1[1] w2[1,1] b2[1] -> out gate", "squeeze_excite x[1,17,1,1] w1[1,17] w2[17,1] -> out gate", "squeeze_excite x[3,15,1,15] w1[16,15] b1[16] w2[15,16] -> out gate",
        "squeeze_excite x[4,16,16,1] w1[15,16] w2[16,15] b2[16] -> out gate", "squeeze_excite x[2,17,17,1] w1[17,17] w2[17,17] -> out gate", "squeeze_excite x[1,3,9,7] w1[2,3] w2[3,2] -> out gate", "squeeze_excite x[6,31,13,5] w1[37,31] b1[37] w2[31,37] b2[31] -> out gate",
        "squeeze_excite x[2,67,8,8] w1[33,67]*0.1 w2[67,33]*0.1 -> out gate", "squeeze_excite x[1,2,131,127] w1[2,2] w2[2,2] -> out gate", "squeeze_excite x[2,3,129,127] w1[2,3] w2[3,2] -> out gate",
        /* enough images for any number of compute units */
        "squeeze_excite x[256,2,2,3] w1[3,2] b1[3] w2[2,3] -> out gate",
        /* nothing */
        "squeeze_excite x[0,5,3,7] w1[3,5] w2[5,3] -> out gate", "squeeze_excite x[2,0,3,7] w1[3,0] w2[0,3] -> out gate", "squeeze_excite x[2,5,0,7] w1[3,5] w2[5,3] -> out gate", "squeeze_excite x[2,5,3,7] w1[0,5] w2[5,0] b2[5] -> out gate",
        /* an output past the cache with rows that do not begin on a cache line; large values; NaN and infinity */
        "squeeze_excite x[2,83,129,131] w1[5,83]*0.1 w2[83,5] -> out gate", "squeeze_excite x[1,79,183,189] w1[5,79]*0.1 w2[79,5] -> out gate", "squeeze_excite x[2,5,3,7]*10000 w1[3,5] w2[5,3] -> out gate",
        "squeeze_excite x[2,2,3,3]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35 w1[1,2] w2[2,1] -> out gate", "squeeze_excite x[1,1,1,3]:inf,1,-2 w1[1,1]:0.5 w2[1,1]:0.5 -> out gate",
        "squeeze_excite x[1,1,1,3]:inf,1,-inf w1[1,1] w2[1,1] gate=hard_sigmoid -> out gate", NULL });
}

/* Where the variant for GPUs cuts: planes into parts, quads across planes, images and rows of the layers into tiles. */
static const char *const gpu_cases[] = {
    "squeeze_excite x[1,1,97,131] w1[1,1] w2[1,1] -> out gate", "squeeze_excite x[1,2,128,96] w1[3,2] w2[2,3] -> out gate", "squeeze_excite x[2,1,3,4099] w1[1,1] b1[1] w2[1,1] b2[1] -> out gate", "squeeze_excite x[1,1,1,65537] w1[1,1] w2[1,1] -> out gate",
    "squeeze_excite x[3,700,1,1] w1[5,700]*0.1 w2[700,5] -> out gate", "squeeze_excite x[3,341,1,2] w1[5,341]*0.1 w2[341,5] -> out gate", "squeeze_excite x[2,300,1,3] w1[5,300]*0.1 w2[300,5] -> out gate", "squeeze_excite x[2,517,5,1] w1[7,517]*0.1 w2[517,7] -> out gate", "squeeze_excite x[1,33,7,7] w1[2,33] w2[33,2] -> out gate",
    "squeeze_excite x[1,2051,2,3] w1[129,2051]*0.02 w2[2051,129]*0.1 -> out gate", "squeeze_excite x[5,300,2,2] w1[3,300]*0.1 b1[3] w2[300,3] b2[300] -> out gate", "squeeze_excite x[7,9,3,3] w1[9,9] b1[9] w2[9,9] b2[9] activation=gelu gate=hard_sigmoid -> out gate", "squeeze_excite x[256,3,2,3] w1[5,3] b1[5] w2[3,5] -> out gate",
    "squeeze_excite x[1,1,1,5]:1,2,inf,-3,4 w1[1,1]:0.5 w2[1,1]:0.5 -> out gate", "squeeze_excite x[4,2,3,3]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35 w1[1,2] w2[2,1] -> out gate", NULL };

Test(squeeze_excite, cuts_for_gpus) {
    test_gpu_cases(gpu_cases);
}

Test(squeeze_excite, f16_itself) {
    test_cases_f16(gpu_cases);
}

Test(squeeze_excite, outputs_independent) {
    test_outputs_independent((const char *const[]){ SE "-> out gate", "squeeze_excite x[1,33,9,7] w1[8,33] b1[8] w2[33,8] b2[33] -> out gate", "squeeze_excite x[2,83,129,131] w1[5,83] w2[83,5] -> out gate", NULL });
}

Test(squeeze_excite, refusals) {
    test_refusals((const char *const[]){
        "squeeze_excite x[2,5,3] w1[3,5] w2[5,3] => x [2,5,3] does not fit [B,C,H,W]", "squeeze_excite x[2,5,3,7] w1[3,4] w2[5,3] => w1 [3,4] does not fit x [2,5,3,7]: C is 5 there, 4 here", "squeeze_excite x[2,5,3,7] w1[3,5] w2[3,5] => w2 [3,5]",
        "squeeze_excite x[2,5,3,7] w1[3,5] b1[5] w2[5,3] => b1 [5] does not fit w1 [3,5]: R is 3 there, 5 here", "squeeze_excite x[2,5,3,7] w1[3,5] w2[5,3] b2[3] => b2 [3]", "squeeze_excite x[2,5,3,7] w2[5,3] => w1 is missing", "squeeze_excite x[2,5,3,7] w1[3,5] => w2 is missing",
        "squeeze_excite x[2,5,3,7] w1[3,5] w2[5,3] activation=swish => activation", "squeeze_excite x[2,5,3,7] w1[3,5] w2[5,3] gate=tanh => gate", NULL });
}

Test(squeeze_excite, goldens) {
    test_goldens("squeeze_excite");
}
