#include <criterion/criterion.h>

#include "../support/cases.h"

Test(softmax, against_reference) {
    test_cases((const char *const[]){
        "softmax x[1]", "softmax x[3,1]", "softmax x[1,15]", "softmax x[5,16]", "softmax x[4,17]", "softmax x[3,1025]", "softmax x[0,5]", "softmax x[5,0]",
        "softmax x[2,3,5,7] axis=1", "softmax x[2,3,5,7] axis=-4", "softmax x[1,2,2,2,2,2,2,33]", "softmax x[7,33] temperature=0.25", "softmax x[7,33] temperature=-2",
        "softmax x[3,50]*10000", "softmax x[2,16]:-inf", "softmax x[3,17]:-inf,1,2", "softmax x[2,20]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19",
        "softmax x[4,37] mask[37]%0.5", "softmax x[4,37] mask[4,1]:0,1", "softmax x[3,4,5] mask[4,5] axis=1",
        "log_softmax x[5,17]", "log_softmax x[3,100]", "log_softmax x[2,3,50] axis=1", "log_softmax x[3,50]*10000", "log_softmax x[2,16]:-inf", "log_softmax x[4,37] mask[4,37]%0.3", NULL });
}

/* One row to a few items, to all of a group, held in its registers to different degrees, and read twice. */
Test(softmax, rows_of_any_length) {
    test_cases((const char *const[]){
        "softmax x[300,3]", "softmax x[70,33]", "softmax x[9,64]", "softmax x[5,200]", "softmax x[3,1024]", "softmax x[3,2000]", "softmax x[2,4096]", "softmax x[2,8191]", "softmax x[2,8193]", "softmax x[1,100003]*20", "softmax x[3,9000] mask[9000]%0.5", "softmax x[3,9000] mask[3,1]:0,1",
        "log_softmax x[5,200]", "log_softmax x[2,8193]", "log_softmax x[2,9000] mask[9000]%0.5", NULL });
}

Test(softmax, odd_values) {
    test_cases((const char *const[]){
        "softmax x[2,70]:inf,1", "softmax x[2,20]:nan,-inf", "softmax x[2,20]:-inf,-inf,nan", "softmax x[2,9000]:1,-inf,nan", "softmax x[2,9000]:-inf", "softmax x[2,9000]:2,inf", "softmax x[2,70]:nan,1 mask[70]:0,1", "softmax x[2,70]:nan,1 mask[70]:1,0", "softmax x[2,70]:-3.4e38", "softmax x[2,9000]:-3.4e38,-3.3e38",
        "log_softmax x[2,70]:nan,-inf", "log_softmax x[2,9000]:-inf", NULL });
}

Test(softmax, refusals) {
    test_refusals((const char *const[]){
        "softmax x[2,3] axis=2 => axis 2 is outside x's rank 2", "softmax x[2,3] axis=-3 => axis -3", "softmax x[] => axis -1 is outside x's rank 0",
        "softmax x[2,3] temperature=0 => temperature=0: expected a number other than zero", "softmax x[2,3] temperature=nan => finite", "softmax x[2,3] mask[2,4] => mask [2,4] does not broadcast to x [2,3]", NULL });
}

Test(softmax, goldens) {
    test_goldens("softmax");
}

Test(log_softmax, goldens) {
    test_goldens("log_softmax");
}

Test(softmax, f16_itself) {
    test_cases_f16((const char *const[]){ "softmax x[5,70]", "log_softmax x[5,70]", NULL });
}
