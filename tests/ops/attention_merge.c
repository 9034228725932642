#include <criterion/criterion.h>

#include "../support/cases.h"

Test(attention_merge, parts) {
    test_cases((const char *const[]){
        "attention_merge out[3,2,2,5,20] lse[3,2,2,5]*3 -> out lse", "attention_merge out[1,2,2,5,16] lse[1,2,2,5] -> out lse", "attention_merge out[2,1,1,1,1] lse[2,1,1,1] -> out lse", "attention_merge out[7,1,3,2,33] lse[7,1,3,2]*200 -> out lse",
        "attention_merge out[0,2,2,5,4] lse[0,2,2,5] -> out lse", "attention_merge out[2,2,2,5,0] lse[2,2,2,5] -> lse", "attention_merge out[2,0,2,5,4] lse[2,0,2,5] -> out",
        "attention_merge out[2,1,1,2,3]:nan,inf,nan,1,2,3,4,5,6,7,8,9 lse[2,1,1,2]:-inf,1,2,3 -> out lse", "attention_merge out[2,1,1,2,3]:nan lse[2,1,1,2]:-inf -> out lse", "attention_merge out[3,1,1,2,17] lse[3,1,1,2]:-inf,1e4,9999,-inf,1,2 -> out lse", NULL });
}

Test(attention_merge, outputs_independent) {
    test_outputs_independent((const char *const[]){ "attention_merge out[3,2,2,5,20] lse[3,2,2,5]*3 -> out lse", NULL });
}

Test(attention_merge, refusals) {
    test_refusals((const char *const[]){ "attention_merge out[3,2,2,5,20] lse[2,2,2,5] => lse [2,2,2,5] does not fit out", "attention_merge out[3,2,2,5,20] => lse is missing", "attention_merge out[2,2,5,20] lse[3,2,2,5] => wrong rank", NULL });
}

Test(attention_merge, goldens) {
    test_goldens("attention_merge");
}
