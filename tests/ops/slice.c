#include <criterion/criterion.h>

#include "../support/cases.h"

Test(slice, against_reference) {
    test_cases((const char *const[]){
        "slice x[]", "slice x[1]", "slice x[0]", "slice x[5,7]", "slice x[17] starts=3", "slice x[17] ends=5", "slice x[17] steps=4", "slice x[17] steps=17", "slice x[17] steps=9223372036854775807",
        "slice x[5,7] starts=1", "slice x[5,7] starts=0,3", "slice x[5,7] starts=-2,-3 ends=-1,-1", "slice x[5,7] starts=-9223372036854775808,0 ends=9223372036854775807,7",
        "slice x[5,7] starts=4 ends=2", "slice x[5,7] starts=9", "slice x[5,0] ends=3,2", "slice x[0,5] starts=0,1", "slice x[2,5,6,7] starts=0,1,2,3 ends=2,4,6,7 steps=1,2,1,3",
        "slice x[3,5,33] starts=0,1,1 ends=3,4,32", "slice x[3,5,33] ends=3,5,17", "slice x[2,2,2,2,2,2,2,19] starts=1,0,1,0,0,0,1,1", "slice x[3,4,5] steps=2,1,1", "slice x[3,4,5] steps=1,2,1", "slice x[3,4,5] steps=1,1,2",
        "slice x[40,1025] starts=1,3 ends=40,1020", "slice x[3,17]:nan,inf,-inf,1 starts=1", NULL });
}

Test(slice, refusals) {
    test_refusals((const char *const[]){
        "slice x[5,7] starts=1,2,3 => starts has 3 values, more than x's rank 2", "slice x[5] ends=1,2 => ends has 2 values, more than x's rank 1", "slice x[] steps=1 => steps has 1 values, more than x's rank 0",
        "slice x[5,7] steps=1,0 => steps holds 0 for axis 1: negative and zero steps are refused", "slice x[5] steps=-1 => steps holds -1 for axis 0", "slice starts=1 => x is missing", "slice x[5] starts=a => integers", NULL });
}

Test(slice, f16) {
    test_cases_f16((const char *const[]){
        "slice x[17] starts=3", "slice x[3,5,67] starts=0,1,1 ends=3,4,66", "slice x[40,1025] starts=1,3 ends=40,1020", "slice x[3,4,5] steps=1,1,2", "slice x[3,17]:nan,inf,-inf,1 starts=1", NULL });
}

Test(slice, goldens) {
    test_goldens("slice");
}
