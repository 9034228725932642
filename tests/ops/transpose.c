#include <criterion/criterion.h>

#include "../support/cases.h"

Test(transpose, against_reference) {
    test_cases((const char *const[]){
        "transpose x[]", "transpose x[1]", "transpose x[0]", "transpose x[17]", "transpose x[3,0,5]", "transpose x[1,1]", "transpose x[1,33]", "transpose x[33,1]", "transpose x[15,17]", "transpose x[16,16]",
        "transpose x[17,15]", "transpose x[16,33]", "transpose x[33,16]", "transpose x[64,48]", "transpose x[97,131]", "transpose x[2,1025]", "transpose x[1025,3]", "transpose x[5,7] axes=0,1", "transpose x[5,7] axes=-1,-2",
        "transpose x[3,5,7]", "transpose x[3,17,33] axes=0,2,1", "transpose x[3,17,33] axes=1,0,2", "transpose x[3,17,33] axes=1,2,0", "transpose x[3,17,33] axes=2,0,1", "transpose x[3,17,33] axes=2,1,0",
        "transpose x[2,5,3,16] axes=0,2,1,3", "transpose x[2,3,19,7] axes=0,2,3,1", "transpose x[2,19,7,3] axes=0,3,1,2", "transpose x[2,3,4,5] axes=3,1,-4,2", "transpose x[2,1,3,1,2,1,2,3]", "transpose x[2,2,2,2,2,2,2,17]",
        "transpose x[2,2,2,2,2,2,17,18] axes=5,1,3,2,7,0,4,6", "transpose x[1,20,1,20] axes=3,0,1,2", "transpose x[17,18]:nan,inf,-inf,1,2", NULL });
}

Test(transpose, refusals) {
    test_refusals((const char *const[]){
        "transpose x[2,3] axes=0 => axes has 1 values, x has rank 2", "transpose x[2,3] axes=0,1,2 => axes has 3 values, x has rank 2", "transpose x[2,3] axes=1,1 => axes names axis 1 twice",
        "transpose x[2,3] axes=1,-1 => axes names axis -1 twice", "transpose x[2,3] axes=0,2 => axes holds 2, outside x's rank 2", "transpose x[2,3] axes=-3,0 => axes holds -3", "transpose axes=0 => x is missing", NULL });
}

Test(transpose, f16) {
    test_cases_f16((const char *const[]){
        "transpose x[1]", "transpose x[17]", "transpose x[31,33]", "transpose x[32,32]", "transpose x[97,131]", "transpose x[3,65,40] axes=0,2,1", "transpose x[2,5,3,33] axes=0,2,1,3", "transpose x[2,3,4,5] axes=3,1,-4,2", "transpose x[17,18]:nan,inf,-inf,1,2", NULL });
}

Test(transpose, goldens) {
    test_goldens("transpose");
}
