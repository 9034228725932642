#include <criterion/criterion.h>

#include "../support/cases.h"

#define CAM "channel_attention x[2,5,3,7] w1[3,5] b1[3] w2[5,3] b2[5] "
#define SAM "spatial_attention x[2,5,9,7] weight[1,2,7,7]*0.3 "
#define CBAM "cbam x[2,5,9,7] w1[3,5] b1[3] w2[5,3] b2[5] "
#define NORM "gamma[1]:1.5 beta[1]:0.25 mean[1]:-0.5 var[1]:0.7 "
#define BOTH "-> out gate"
#define ALL "-> out channel_gate spatial_gate"
#define NAN_FIRST ":nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39"

Test(channel_attention, against_reference) {
    test_cases((const char *const[]){
        CAM BOTH, CAM "-> gate", CAM "pools=avg " BOTH, CAM "pools=max " BOTH, CAM "pools=max+avg " BOTH,
        "channel_attention x[2,5,3,7] w1[3,5] w2[5,3] " BOTH, "channel_attention x[2,5,3,7] w1[3,5] b1[3] w2[5,3] " BOTH, "channel_attention x[2,5,3,7] w1[3,5] w2[5,3] b2[5] " BOTH,
        "channel_attention x[1,1,1,1] w1[1,1] b1[1] w2[1,1] b2[1] " BOTH, "channel_attention x[3,17,1,1] w1[2,17] w2[17,2] " BOTH, "channel_attention x[1,16,15,1] w1[17,16] w2[16,17] " BOTH, "channel_attention x[2,33,1,17] w1[16,33] w2[33,16] " BOTH,
        "channel_attention x[1,2,131,127] w1[2,2] w2[2,2] " BOTH, "channel_attention x[2,5,3,7]*10000 w1[3,5] w2[5,3] " BOTH, "channel_attention x[0,5,3,7] w1[3,5] w2[5,3] " BOTH, "channel_attention x[2,5,3,0] w1[3,5] w2[5,3] " BOTH,
        "channel_attention x[256,2,2,3] w1[3,2] b1[3] w2[2,3] " BOTH, /* enough images for any number of compute units */
        "channel_attention x[2,2,5,5]" NAN_FIRST " w1[1,2] w2[2,1] pools=max " BOTH, "channel_attention x[1,1,5,8]:-inf w1[1,1]:0.5 w2[1,1]:0.5 pools=max " BOTH, "channel_attention x[1,1,5,8]:inf,-inf w1[1,1]:0.5 w2[1,1]:0.5 pools=max " BOTH, NULL });
}

Test(channel_attention, lp_and_lse) {
    test_cases((const char *const[]){
        CAM "pools=lp " BOTH, CAM "pools=lse " BOTH, CAM "pools=avg+max+lp+lse " BOTH, CAM "pools=lse+avg " BOTH, "channel_attention x[1,16,15,1] w1[17,16] w2[16,17]*0.1 pools=lp+lse -> out gate", "channel_attention x[1,2,131,127] w1[2,2]*0.01 b1[2] w2[2,2] b2[2] pools=lp+lse " BOTH,
        "channel_attention x[2,5,3,7]*10000 w1[3,5] w2[5,3] pools=lse " BOTH, "channel_attention x[256,2,2,3] w1[3,2] b1[3] w2[2,3] pools=max+lp " BOTH, "channel_attention x[2,2,5,5]" NAN_FIRST " w1[1,2] w2[2,1] pools=lp " BOTH, "channel_attention x[2,2,5,5]" NAN_FIRST " w1[1,2] w2[2,1] pools=lse " BOTH,
        "channel_attention x[1,1,5,8]:-inf w1[1,1]:0.5 w2[1,1]:0.5 pools=lse " BOTH, "channel_attention x[2,5,3,0] w1[3,5] w2[5,3] pools=lp " BOTH, NULL });
}

Test(cbam, lp_and_lse) {
    test_cases((const char *const[]){ CBAM "weight[1,2,7,7]*0.3 pools=lp " ALL, CBAM "weight[1,2,7,7]*0.3 pools=avg+lse " ALL, CBAM "spatial=false pools=lp+lse -> out channel_gate", "cbam x[64,5,9,7] w1[3,5] w2[5,3] weight[1,2,3,3] pools=lse+lp+max " ALL, NULL });
}

Test(spatial_attention, against_reference) {
    test_cases((const char *const[]){
        SAM BOTH, SAM "-> gate", SAM "order=mean_max " BOTH, SAM NORM BOTH, SAM NORM "eps=0.5 order=mean_max " BOTH, SAM "mean[1]:-0.5 var[1]:0.7 " BOTH, SAM "gamma[1] mean[1] var[1]:2 " BOTH, SAM "beta[1] mean[1] var[1]:2 " BOTH,
        "spatial_attention x[2,5,9,7] weight[1,2,1,1] " BOTH, "spatial_attention x[2,5,9,7] weight[1,2,3,3] " BOTH, "spatial_attention x[2,5,9,7] weight[1,2,5,5] " BOTH, "spatial_attention x[1,3,5,6] weight[1,2,31,31]*0.1 " BOTH,
        "spatial_attention x[1,1,1,1] weight[1,2,7,7] " BOTH, "spatial_attention x[2,1,1,15] weight[1,2,3,3] " BOTH, "spatial_attention x[1,2,16,1] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[2,3,1,16] weight[1,2,3,3] " BOTH,
        "spatial_attention x[1,4,17,1] weight[1,2,3,3] " BOTH, "spatial_attention x[2,7,3,17] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[4,8,4,4] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[2,3,29,31] weight[1,2,7,7]*0.3 " BOTH,
        "spatial_attention x[1,6,29,31] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[2,4,2,449] weight[1,2,3,3] " BOTH, "spatial_attention x[0,5,9,7] weight[1,2,7,7] " BOTH, "spatial_attention x[2,0,2,3] weight[1,2,3,3] " BOTH, "spatial_attention x[2,3,0,3] weight[1,2,3,3] " BOTH,
        "spatial_attention x[2,5,9,7]*10000 weight[1,2,3,3] " BOTH, "spatial_attention x[2,2,3,40]" NAN_FIRST " weight[1,2,3,3]*0.1 " BOTH, "spatial_attention x[1,1,5,8]" NAN_FIRST " weight[1,2,3,3]*0.1 " BOTH, "spatial_attention x[1,3,2,3]" NAN_FIRST " weight[1,2,1,1]*0.1 " BOTH,
        "spatial_attention x[256,2,2,3] weight[1,2,3,3] " BOTH,
        "spatial_attention x[1,2,1,20]:inf,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,-inf,1,2,3,4,5,6 weight[1,2,1,1]:0.1,0 " BOTH, NULL });
}

Test(cbam, against_reference) {
    test_cases((const char *const[]){
        CBAM "weight[1,2,7,7]*0.3 " ALL, CBAM "weight[1,2,7,7]*0.3 " NORM ALL, CBAM "weight[1,2,7,7]*0.3 order=mean_max eps=0.1 " NORM ALL, CBAM "weight[1,2,7,7]*0.3 -> channel_gate", CBAM "weight[1,2,7,7]*0.3 -> spatial_gate",
        CBAM "weight[1,2,7,7]*0.3 pools=avg " ALL, CBAM "weight[1,2,3,3] pools=max " ALL, CBAM "spatial=false -> out channel_gate", CBAM "weight[1,2,7,7] mean[1] spatial=false -> out channel_gate",
        "cbam x[2,5,9,7] w1[3,5] w2[5,3] weight[1,2,3,3] " ALL, "cbam x[1,1,1,1] w1[1,1] b1[1] w2[1,1] b2[1] weight[1,2,7,7] " ALL, "cbam x[1,17,1,15] w1[2,17] w2[17,2] weight[1,2,3,3] " ALL, "cbam x[2,16,16,1] w1[1,16] w2[16,1] weight[1,2,1,1] " ALL,
        "cbam x[1,31,17,13] w1[2,31] w2[31,2] weight[1,2,7,7]*0.3 " NORM ALL, "cbam x[4,19,23,29] w1[2,19] w2[19,2] weight[1,2,7,7]*0.3 " NORM ALL, "cbam x[0,5,9,7] w1[3,5] w2[5,3] weight[1,2,3,3] " ALL, "cbam x[2,5,9,0] w1[3,5] w2[5,3] weight[1,2,3,3] " ALL,
        "cbam x[2,7,12,450] w1[3,7] w2[7,3] weight[1,2,7,7]*0.3 " ALL, "cbam x[2,83,129,131] w1[5,83]*0.1 w2[83,5] weight[1,2,3,3] " ALL, /* by bands of rows: */ "cbam x[2,32,20,900] w1[2,32]*0.1 w2[32,2] weight[1,2,21,21]*0.02 " ALL, "cbam x[2,5,9,7]*10000 w1[3,5] w2[5,3] weight[1,2,3,3] " ALL,
        "cbam x[256,2,2,3] w1[3,2] b1[3] w2[2,3] weight[1,2,3,3] " ALL,
        "cbam x[2,2,5,5]" NAN_FIRST " w1[1,2]*0.1 w2[2,1] weight[1,2,3,3] " ALL, NULL });
}

/* Where the variant for GPUs cuts: tiles of 8, 16 and 32 pixels across and of up to 16 below each other, shares of the channels,
 * convolutions that fit local memory beside a tile and those that do not. */
static const char *const gpu_cases[] = {
    "spatial_attention x[1,3,8,8] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[1,3,9,9] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[2,3,16,32] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[1,3,17,33] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[1,2,1,100] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[1,2,100,1] weight[1,2,7,7]*0.3 " BOTH,
    "spatial_attention x[1,2,2,40] weight[1,2,5,5]*0.3 " BOTH, "spatial_attention x[1,2,5,16] weight[1,2,3,3] " BOTH, "spatial_attention x[1,2,70,12] weight[1,2,3,3] " BOTH, "spatial_attention x[3,1,3,3] weight[1,2,3,3] " BOTH, "spatial_attention x[1,70,9,9] weight[1,2,7,7]*0.3 " BOTH, "spatial_attention x[1,131,6,10] weight[1,2,7,7]*0.3 order=mean_max " NORM BOTH,
    "spatial_attention x[1,3,20,21] weight[1,2,15,15]*0.1 " BOTH, "spatial_attention x[1,3,20,21] weight[1,2,17,17]*0.1 " BOTH, "spatial_attention x[1,3,20,21] weight[1,2,19,19]*0.1 " BOTH, "spatial_attention x[1,2,3,4] weight[1,2,31,31]*0.1 " BOTH, "spatial_attention x[1,2,3,4] weight[1,2,33,33]*0.1 " BOTH,
    "spatial_attention x[1,2051,2,3] weight[1,2,3,3] " BOTH, "spatial_attention x[300,2,2,3] weight[1,2,3,3] " BOTH, "spatial_attention x[2,3,1,40]" NAN_FIRST " weight[1,2,3,3]*0.1 " BOTH, "spatial_attention x[1,2,4,36]:inf,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,-inf,1,2,3,4,5,6 weight[1,2,1,1]:0.1,0 " BOTH,
    "channel_attention x[1,1,97,131] w1[1,1] w2[1,1] " BOTH, "channel_attention x[1,1,97,131] w1[1,1]*0.01 b1[1] w2[1,1] b2[1] pools=max+lp+lse " BOTH, "channel_attention x[1,2,128,96] w1[1,2] b1[1] w2[2,1] b2[2] pools=max " BOTH, "channel_attention x[5,600,1,1] w1[9,600]*0.1 w2[600,9] " BOTH, "channel_attention x[4,3,7,9] w1[5,3] b1[5] w2[3,5] b2[3] pools=avg+max+lp+lse " BOTH,
    "channel_attention x[1,1,100,100]" NAN_FIRST " w1[1,1] w2[1,1] pools=max " BOTH,
    "cbam x[9,3,6,5] w1[2,3] w2[3,2] weight[1,2,7,7]*0.3 " ALL, "cbam x[1,150,8,9] w1[2,150]*0.1 w2[150,2] weight[1,2,7,7]*0.3 " NORM ALL, "cbam x[1,1,33,47] w1[1,1] w2[1,1] weight[1,2,5,5]*0.3 " ALL, "cbam x[1,3,120,140] w1[2,3] w2[3,2] weight[1,2,7,7]*0.3 pools=avg+max+lp " ALL,
    "cbam x[256,3,2,3] w1[2,3] w2[3,2] weight[1,2,3,3] " ALL, "cbam x[3,2,1,5]:1,nan,3,4,5,6,7,8,9,10 w1[1,2] w2[2,1] weight[1,2,3,3] " ALL, /* more channels than a group has items: */ "cbam x[600,150,3,3] w1[2,150]*0.1 w2[150,2] weight[1,2,7,7]*0.1 " ALL, NULL };

Test(cbam, cuts_for_gpus) {
    test_gpu_cases(gpu_cases);
}

Test(cbam, f16_itself) {
    test_cases_f16((const char *const[]){
        CAM BOTH, SAM BOTH, CBAM "weight[1,2,7,7]*0.3 " ALL, "channel_attention x[1,2,128,96] w1[1,2] w2[2,1] pools=avg+max+lse " BOTH, "channel_attention x[256,2,2,3] w1[3,2] w2[2,3] " BOTH, "spatial_attention x[1,3,17,36] weight[1,2,7,7]*0.1 " BOTH, "spatial_attention x[256,2,2,3] weight[1,2,3,3]*0.3 " BOTH,
        "cbam x[2,19,16,20] w1[3,19]*0.3 w2[19,3] weight[1,2,7,7]*0.1 " ALL, "cbam x[256,3,2,3] w1[2,3] w2[3,2] weight[1,2,3,3]*0.3 " ALL, "cbam x[3,2,1,5]:1,nan,3,4,5,6,7,8,9,10 w1[1,2] w2[2,1] weight[1,2,3,3] " ALL, NULL });
}

Test(channel_attention, outputs_independent) {
    test_outputs_independent((const char *const[]){ CAM BOTH, "channel_attention x[1,33,9,7] w1[8,33] w2[33,8] " BOTH, NULL });
}

Test(spatial_attention, outputs_independent) {
    test_outputs_independent((const char *const[]){ SAM BOTH, "spatial_attention x[1,33,29,31] weight[1,2,7,7] " BOTH, "spatial_attention x[2,64,41,90] weight[1,2,7,7]*0.1 " BOTH, NULL });
}

Test(cbam, outputs_independent) {
    test_outputs_independent((const char *const[]){ CBAM "weight[1,2,7,7] " NORM ALL, "cbam x[1,33,29,31] w1[8,33] w2[33,8] weight[1,2,7,7] " ALL, CBAM "spatial=false -> out channel_gate", NULL });
}

Test(channel_attention, refusals) {
    test_refusals((const char *const[]){
        CAM "pools=lp+lse+lp => pools names lp twice", CAM "pools=lp,lse => pools=lp,lse: expected a list like a+b of avg, max, lp, lse", CAM "pools=avg+avg => pools", CAM "pools=median => pools",
        "channel_attention x[2,5,3,7] w1[3,4] w2[5,3] => w1 [3,4]", "channel_attention x[2,5,3,7] w1[3,5] b1[2] w2[5,3] => b1 [2]", "channel_attention x[2,5,3,7] w1[3,5] => w2 is missing", NULL });
}

Test(spatial_attention, refusals) {
    test_refusals((const char *const[]){
        "spatial_attention x[2,5,9,7] => weight is missing", "spatial_attention x[2,5,9,7] weight[1,2,4,4] => weight [1,2,4,4]: expected an odd size, found 4", "spatial_attention x[2,5,9,7] weight[1,2,0,0] => odd size", "spatial_attention x[2,5,9,7] weight[1,2,3,5] => weight [1,2,3,5]",
        "spatial_attention x[2,5,9,7] weight[1,1,3,3] => expected 2 = 2, found 1", SAM "mean[1] => mean is given without var", SAM "var[1] => var is given without mean", SAM "gamma[1] => gamma is given without mean and var", SAM "beta[1] => beta is given without mean and var",
        SAM "mean[2] var[2] => mean [2]", SAM "eps=-1 => eps", SAM "order=max => order", "spatial_attention x[2,5,9] weight[1,2,3,3] => x [2,5,9]", NULL });
}

Test(cbam, refusals) {
    test_refusals((const char *const[]){
        CBAM "=> weight is missing; it may be absent only with spatial=false", CBAM "spatial=false -> spatial_gate => spatial_gate", CBAM "weight[1,2,2,2] => odd size", CBAM "weight[1,2,3,3] var[1] => var is given without mean", CBAM "weight[1,2,3,3] beta[1] => beta is given without",
        "cbam x[2,5,9,7] w1[3,6] w2[5,3] weight[1,2,3,3] => w1 [3,6]", NULL });
}

Test(channel_attention, goldens) {
    test_goldens("channel_attention");
}

Test(spatial_attention, goldens) {
    test_goldens("spatial_attention");
}

Test(cbam, goldens) {
    test_goldens("cbam");
}
