#include <criterion/criterion.h>

#include "../support/cases.h"

Test(pad, against_reference) {
    test_cases((const char *const[]){
        "pad x[]", "pad x[1]", "pad x[0]", "pad x[0] before=3", "pad x[0,5] before=1 after=1,2 value=7", "pad x[5,0] before=1,17", "pad x[17] before=15", "pad x[17] after=16", "pad x[17] before=1 after=17 value=-2.5", "pad x[5,7] before=1,2 after=3,4",
        "pad x[5,7] before=0,0 after=0,0", "pad x[5,7] before=2", "pad x[5,7] after=2", "pad x[5,33] before=0,3", "pad x[2,3,5,7] before=0,0,1,1 after=0,0,1,1", "pad x[2,3,5,7] before=1,1,1,1 after=1,1,1,1 value=1", "pad x[2,2,2,2,2,1,2,3] before=1,0,1,0,0,0,1,2 after=0,1,0,0,1,2,0,1",
        "pad x[3,5,1] before=0,1,4", "pad x[40,1025] before=1,3 after=2,4", "pad x[3,17]:nan,inf,-inf,1 before=1,1 value=2", "pad x[3,17] before=1,1 value=1e38", NULL });
}

Test(pad, refusals) {
    test_refusals((const char *const[]){
        "pad x[5,7] before=1,2,3 => before has 3 values, more than x's rank 2", "pad x[] after=1 => after has 1 values, more than x's rank 0", "pad x[5] before=-1 => before", "pad x[5] after=-1 => after", "pad x[5] value=nan => finite", "pad before=1 => x is missing", NULL });
}

Test(pad, f16) {
    test_cases_f16((const char *const[]){
        "pad x[1]", "pad x[17] before=1 after=17 value=-2.5", "pad x[5,33] before=0,3", "pad x[2,3,5,7] before=1,1,1,1 after=1,1,1,1 value=1", "pad x[40,1025] before=1,35 after=2,70 value=0.1", "pad x[3,17]:nan,inf,-inf,1 before=1,1 value=2", NULL });
}

Test(pad, goldens) {
    test_goldens("pad");
}
