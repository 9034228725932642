#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <stdlib.h>

#include "../support/cases.h"

Test(layer_norm, against_reference) {
    test_cases((const char *const[]){
        "layer_norm x[1]", "layer_norm x[3,1]", "layer_norm x[0,5]", "layer_norm x[5,0]", "layer_norm x[1,15]", "layer_norm x[5,16]", "layer_norm x[4,17]", "layer_norm x[3,63]", "layer_norm x[3,64]", "layer_norm x[3,65]",
        "layer_norm x[3,1025] gamma[1025] beta[1025]", "layer_norm x[7,33] gamma[33]", "layer_norm x[7,33] beta[33]", "layer_norm x[2,3,5,7] gamma[5,7] beta[5,7] axis=2", "layer_norm x[2,3,5] axis=0 gamma[2,3,5]", "layer_norm x[2,3,5] axis=-3",
        "layer_norm x[1,2,2,2,2,2,2,33] gamma[2,33] axis=-2", "layer_norm x[3,33]*1e10", "layer_norm x[3,33]*1e-10", "layer_norm x[3,33]*1e-10 eps=1e-25", "layer_norm x[2,1025]:3.3", "layer_norm x[2,77]:1e7 gamma[77]", "layer_norm x[4,50]:1000.5,1001,1002.25 eps=0.5",
        "layer_norm x[2,40]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19", "layer_norm x[2,20]:inf,1", "layer_norm x[1,100003]*3 gamma[100003]", "layer_norm x[2000,3]", NULL });
}

/* One row to a few items, to all of a group, held in its registers to different degrees, and read twice. */
Test(layer_norm, rows_of_any_length) {
    test_cases((const char *const[]){
        "layer_norm x[5,200]", "layer_norm x[3,2000] gamma[2000]", "layer_norm x[2,4096] beta[4096]", "layer_norm x[2,8191]", "layer_norm x[2,8193]", "layer_norm x[2,9000]:3.3", "layer_norm x[2,9000]:1e7 gamma[9000]", "layer_norm x[2,9000]:1000.5,1001,1002.25 eps=0.5", "layer_norm x[2,9000]*1e10", "layer_norm x[2,9000]:inf,1",
        "layer_norm x[2,9000]:1,nan", "rms_norm x[3,2000]", "rms_norm x[2,9000] gamma[9000]", "rms_norm x[2,9000]:1,nan", "group_norm x[2,6,40,50] groups=2 gamma[6] beta[6]", "group_norm x[2,2,90,100] groups=1 gamma[2] beta[2]", NULL });
}

/* Stored past the caches on PoCL: outputs above 10 MiB where the last cache is small. The first is for devices that are given only small
 * cases. */
Test(layer_norm, larger_than_the_cache) {
    setenv("CLATTN_CAPS", "cache=1", 1);
    test_cases((const char *const[]){ "layer_norm x[2,16]", "layer_norm x[2700,1008] gamma[1008] beta[1008]", "layer_norm x[2700,1001]", "rms_norm x[3600,768] gamma[768]", NULL });
}

Test(rms_norm, against_reference) {
    test_cases((const char *const[]){
        "rms_norm x[1]", "rms_norm x[3,1]", "rms_norm x[5,0]", "rms_norm x[0,5]", "rms_norm x[1,15]", "rms_norm x[5,16] gamma[16]", "rms_norm x[4,17] gamma[17] beta[17]", "rms_norm x[3,65] beta[65]", "rms_norm x[3,1025] gamma[1025]",
        "rms_norm x[2,3,5,7] gamma[3,5,7] axis=1", "rms_norm x[3,33]*1e10", "rms_norm x[3,33]*1e-10 eps=1e-25", "rms_norm x[2,20]:0", "rms_norm x[2,20]:nan,1", "rms_norm x[2,20]:inf,1", "rms_norm x[1,100003]", NULL });
}

Test(group_norm, against_reference) {
    test_cases((const char *const[]){
        "group_norm x[1,1] groups=1", "group_norm x[2,6] groups=3 gamma[6]", "group_norm x[2,6,5,7] groups=1", "group_norm x[2,6,5,7] groups=2 gamma[6] beta[6]", "group_norm x[2,6,5,7] groups=6 gamma[6] beta[6]", "group_norm x[3,4,1,1] groups=2 beta[4]",
        "group_norm x[2,4,16] groups=2 gamma[4]", "group_norm x[2,4,17] groups=2 gamma[4] beta[4]", "group_norm x[1,32,13,11] groups=8 gamma[32] beta[32]", "group_norm x[2,2,3,2,2,2,2,3] groups=2", "group_norm x[0,4,3] groups=2", "group_norm x[2,0,3] groups=2",
        "group_norm x[2,4,0] groups=2", "group_norm x[2,4,100]:5 groups=2", "group_norm x[2,4,9]*1000 groups=4 eps=2 beta[4]", NULL });
}

Test(normalize, refusals) {
    test_refusals((const char *const[]){
        "layer_norm x[2,3] axis=2 => axis 2 is outside x's rank 2", "layer_norm x[] => axis -1 is outside x's rank 0", "layer_norm x[2,3] gamma[4] => gamma is [4], expected [3]: x's shape from axis 1 on", "layer_norm x[2,3] axis=0 beta[3] => beta is [3], expected [2,3]",
        "layer_norm x[2,3] eps=0 => eps", "layer_norm x[2,3] eps=-1 => eps", "layer_norm gamma[3] => x is missing", "rms_norm x[2,3] gamma[2] => gamma is [2], expected [3]",
        "group_norm x[2,6,3] => groups is missing", "group_norm x[2,6,3] groups=4 => x's 6 channels are not a multiple of groups = 4", "group_norm x[2,6,3] groups=0 => groups", "group_norm x[2,6,3] groups=2 gamma[3] => gamma [3] does not fit [C]: expected C = 6, found 3",
        "group_norm x[6] groups=2 => x has rank 1, expected [B,C,..]", NULL });
}

Test(layer_norm, goldens) {
    test_goldens("layer_norm");
}

Test(rms_norm, goldens) {
    test_goldens("rms_norm");
}

Test(group_norm, goldens) {
    test_goldens("group_norm");
}

Test(layer_norm, f16_itself) {
    test_cases_f16((const char *const[]){ "layer_norm x[5,70] gamma[70] beta[70]", "rms_norm x[5,70] gamma[70]", "group_norm x[2,6,5,7] gamma[6] beta[6] groups=3", NULL });
}
