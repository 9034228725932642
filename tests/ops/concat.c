#include <criterion/criterion.h>

#include "../support/cases.h"

Test(concat, against_reference) {
    test_cases((const char *const[]){
        "concat x0[1]", "concat x0[0]", "concat x0[5] x1[7]", "concat x0[0] x1[17]", "concat x0[17] x1[0] x2[3]", "concat x0[3,5] x1[4,5] axis=0", "concat x0[3,5] x1[3,2]", "concat x0[3,0] x1[3,0]", "concat x0[0,5] x1[0,2]",
        "concat x0[2,3,4,5] x1[2,1,4,5] x2[2,6,4,5] axis=1", "concat x0[2,3,5] x1[2,8,5] axis=-2", "concat x0[3,31,17] x1[3,31,15] axis=2", "concat x0[65,64] x1[65,65]", "concat x0[40,512] x1[40,513]",
        "concat x0[2,1] x1[2,2] x2[2,3] x3[2,4] x4[2,5] x5[2,6] x6[2,7] x7[2,8] x8[2,9] x9[2,10] x10[2,11] x11[2,12] x12[2,13] x13[2,14] x14[2,15] x15[2,16]",
        "concat x0[1,2,1,2,1,2,1,3] x1[1,2,1,2,1,2,1,5]", "concat x0[2,1,2,1,2,1,2,3] x1[2,1,2,1,2,1,2,3] axis=-8", "concat x0[2,3]:nan,inf x1[2,3]:-inf,1", NULL });
}

Test(concat, refusals) {
    test_refusals((const char *const[]){
        "concat axis=0 => x0 is missing", "concat x1[2,3] => x0 is missing", "concat x0[2,3] x1[3,3] => x1 [3,3] does not fit x0 [2,3]: all sizes but that of axis 1 must be equal", "concat x0[2,3] x1[2,3] x2[2,3,1] => x2 [2,3,1] does not fit x0 [2,3]",
        "concat x0[2,3] x1[2,4] axis=0 => x1 [2,4] does not fit x0 [2,3]: all sizes but that of axis 0", "concat x0[2,3] axis=2 => axis 2 is outside x0's rank 2", "concat x0[2,3] axis=-3 => axis -3 is outside", "concat x0[] => axis -1 is outside x0's rank 0",
        "concat x0[2] axis=9 => a number in -8..7", NULL });
}

Test(concat, f16) {
    test_cases_f16((const char *const[]){
        "concat x0[5] x1[7]", "concat x0[2,3,5] x1[2,8,5] axis=-2", "concat x0[3,31,17] x1[3,31,15] axis=2", "concat x0[40,512] x1[40,513]", "concat x0[2,3]:nan,inf x1[2,3]:-inf,1", NULL });
}

Test(concat, goldens) {
    test_goldens("concat");
}
