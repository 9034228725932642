#include <criterion/criterion.h>

#include "../support/cases.h"

Test(cross_entropy, against_reference) {
    test_cases((const char *const[]){
        "cross_entropy logits[1,1] targets[1]:0 -> out losses", "cross_entropy logits[3,1] targets[3]:0", "cross_entropy logits[4,15] targets[4]<15 -> out losses", "cross_entropy logits[4,16] targets[4]<16 -> losses", "cross_entropy logits[5,17] targets[5]<17 -> out losses",
        "cross_entropy logits[3,2047] targets[3]<2047 -> out losses", "cross_entropy logits[3,2048] targets[3]<2048 -> out losses", "cross_entropy logits[3,2049] targets[3]<2049 label_smoothing=0.1 -> out losses", "cross_entropy logits[2,5003]*5 targets[2]<5003 label_smoothing=0.3 -> out losses",
        "cross_entropy logits[4,33] targets[4]<33 label_smoothing=1 -> out losses", "cross_entropy logits[6,33]*10000 targets[6]<33 -> out losses", "cross_entropy logits[6,33]*1000 targets[6]<33 label_smoothing=0.1 -> out losses", "cross_entropy logits[300,7] targets[300]<7", "cross_entropy logits[70000,3] targets[70000]<3", NULL });
}

Test(cross_entropy, targets_that_do_not_count) {
    test_cases((const char *const[]){
        "cross_entropy logits[5,7] targets[5]:1,-100,3 -> out losses", "cross_entropy logits[5,7] targets[5]:-100 -> out losses", "cross_entropy logits[5,7] targets[5]:2,3 ignore_id=2 -> out losses", "cross_entropy logits[5,7] targets[5]:0,3 ignore_id=0 label_smoothing=0.5 -> out losses",
        "cross_entropy logits[5,7] targets[5]:7,1,-1,2147483647,-2147483648 -> out losses", "cross_entropy logits[5,70] targets[5]:70,1,-1 -> out losses", "cross_entropy logits[3,0] targets[3]:0 -> out losses", "cross_entropy logits[0,7] targets[0] -> out losses", "cross_entropy logits[0,7] targets[0] -> losses",
        "cross_entropy logits[2,3]:nan,nan,nan,1,2,3 targets[2]:-100,1 -> out losses", NULL });
}

Test(cross_entropy, odd_values) {
    test_cases((const char *const[]){
        "cross_entropy logits[3,4]:1,-inf,2,3 targets[3]:0,2,3 -> out losses", "cross_entropy logits[2,4]:1,-inf,2,3 targets[2]:1,0 -> losses", "cross_entropy logits[1,4]:1,-inf,2,3 targets[1]:0 label_smoothing=0.1", "cross_entropy logits[1,4]:1,-inf,2,3 targets[1]:1 label_smoothing=0.1",
        "cross_entropy logits[2,20]:-inf targets[2]:1,0 -> out losses", "cross_entropy logits[2,20]:1,nan,2 targets[2]:0,3 -> out losses", "cross_entropy logits[2,20]:1,inf,2 targets[2]:0,1 -> losses", "cross_entropy logits[1,5000]:1,-inf,2 targets[1]:0",
        "cross_entropy logits[1,40]:-1e30,1,2 targets[1]:0", "cross_entropy logits[1,4100]:-inf,-inf targets[1]:3 label_smoothing=0.1", NULL });
}

Test(cross_entropy, outputs_are_independent) {
    test_outputs_independent((const char *const[]){ "cross_entropy logits[50,33] targets[50]<33 label_smoothing=0.1 -> out losses", NULL });
}

Test(cross_entropy, refusals) {
    test_refusals((const char *const[]){
        "cross_entropy logits[5,7] targets[4] => targets [4] does not fit logits [5,7]: N is 5 there, 4 here", "cross_entropy logits[5,7] => targets is missing", "cross_entropy logits[7] targets[7] => logits [7] does not fit [N,V]: wrong rank 1",
        "cross_entropy logits[5,7] targets[5] label_smoothing=1.5 => label_smoothing", "cross_entropy logits[5,7] targets[5] label_smoothing=-1 => label_smoothing", "cross_entropy logits[5,7] targets[5] ignore_id=3000000000 => ignore_id", NULL });
}

Test(cross_entropy, f16) {
    test_cases_f16((const char *const[]){
        "cross_entropy logits[5,17] targets[5]<17 -> out losses", "cross_entropy logits[3,2049] targets[3]<2049 label_smoothing=0.1 -> out losses", "cross_entropy logits[300,7] targets[300]<7", NULL });
}

Test(cross_entropy, goldens) {
    test_goldens("cross_entropy");
}
