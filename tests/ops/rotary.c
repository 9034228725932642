#include <criterion/criterion.h>

#include "../support/cases.h"

Test(rotary, against_reference) {
    test_cases((const char *const[]){
        "rotary x[1,1,1,2]", "rotary x[2,3,5,8]", "rotary x[2,3,5,8] interleaved=true", "rotary x[1,2,1025,6]", "rotary x[1,1,7,256] base=500000", "rotary x[1,1,7,10] base=1", "rotary x[1,1,7,10] base=1e20 interleaved=true", "rotary x[0,3,5,8]", "rotary x[2,3,0,8]",
        "rotary x[2,3,5,0]", "rotary x[1,1,2,2002]", "rotary x[2,2,5,8] positions[2,5]<1000000", "rotary x[1,2,6,64] positions[1,6]:2147483647,-2147483648,-1,0,16777217,123456789", "rotary x[2,3,5,8] cos[5,4] sin[5,4]", "rotary x[2,3,5,8] cos[9,4] sin[9,4] interleaved=true",
        "rotary x[2,3,5,8] cos[9,4] sin[9,4] positions[2,5]<9", "rotary x[2,3,5,8]:nan,inf,1 cos[9,4] sin[9,4] positions[2,5]:9,-1,2147483647,-2147483648,100", "rotary x[2,3,5,8] cos[9,4] sin[9,4] positions[2,5]:9,-1,0 interleaved=true",
        "rotary x[2,1,3,4] cos[0,2] sin[0,2] positions[2,3]:0,1", "rotary x[1,2,33,64]*1e10", NULL });
}

Test(rotary, refusals) {
    test_refusals((const char *const[]){
        "rotary x[2,3,5,7] => 7 is not 2 times a size", "rotary x[3,5,8] => wrong rank 3", "rotary x[2,3,5,8] cos[5,4] => sin is missing", "rotary x[2,3,5,8] sin[5,4] => cos is missing", "rotary x[2,3,5,8] cos[4,4] sin[4,4] => x has 5 positions, cos and sin only 4",
        "rotary x[2,3,5,8] cos[5,3] sin[5,3] => cos [5,3] does not fit", "rotary x[2,3,5,8] cos[5,4] sin[6,4] => sin [6,4] does not fit cos [5,4]", "rotary x[2,3,5,8] positions[5] => positions [5] does not fit", "rotary x[2,3,5,8] base=0.5 => base", "rotary x[2,3,5,8] base=-1 => base", NULL });
}

Test(rotary, f16) {
    test_cases_f16((const char *const[]){
        "rotary x[2,3,5,8]", "rotary x[2,3,5,8] interleaved=true", "rotary x[1,2,33,64]", "rotary x[2,3,5,8]:nan,inf,1 cos[9,4] sin[9,4] positions[2,5]:9,-1,2147483647,-2147483648,100", NULL });
}

Test(rotary, goldens) {
    test_goldens("rotary");
}
