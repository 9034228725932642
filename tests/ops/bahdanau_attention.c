#include <criterion/criterion.h>

#include "../support/cases.h"

#define ALL " -> context weights projected"

Test(bahdanau_attention, against_reference) {
    test_cases((const char *const[]){
        "bahdanau_attention state[1,1,1] annotations[1,1,1] w_a[1,1] u_a[1,1] v_a[1]" ALL, "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5]" ALL,
        "bahdanau_attention state[2,5,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5]", "bahdanau_attention state[3,1,48] annotations[3,20,96] w_a[48,64]*0.2 u_a[96,64]*0.2 v_a[64]" ALL,
        "bahdanau_attention state[3,17,17] annotations[3,33,59] w_a[17,31] u_a[59,31] v_a[31] key_mask[3,33]%0.5" ALL, "bahdanau_attention state[2,3,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] projected[2,7,5]" ALL,
        "bahdanau_attention state[2,3,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] projected[2,7,5] key_mask[2,7]%0.5", "bahdanau_attention state[2,3,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] key_mask[2,7]%0" ALL,
        "bahdanau_attention state[1,3,2] annotations[1,6,1]:1,nan,2 w_a[2,5] u_a[1,5] v_a[5] key_mask[1,6]:1,0,1 -> context weights", "bahdanau_attention state[2,3,6]*100 annotations[2,7,8]*100 w_a[6,5] u_a[8,5] v_a[5]" ALL,
        "bahdanau_attention state[2,3,6] annotations[2,0,8] w_a[6,5] u_a[8,5] v_a[5]" ALL, "bahdanau_attention state[0,3,6] annotations[0,2,8] w_a[6,5] u_a[8,5] v_a[5]" ALL, "bahdanau_attention state[2,0,6] annotations[2,3,8] w_a[6,5] u_a[8,5] v_a[5]" ALL, NULL });
}

Test(bahdanau_attention, outputs) {
    test_outputs_independent((const char *const[]){
        "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5]" ALL, "bahdanau_attention state[2,20,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] projected[2,7,5]" ALL, NULL });
}

Test(bahdanau_attention, refusals) {
    test_refusals((const char *const[]){
        "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[5,6] u_a[8,5] v_a[5] => w_a [5,6] does not fit state [2,1,6]: S is 6 there, 5 here", "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,4] v_a[5] => u_a [8,4]",
        "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] v_a[5] => u_a is missing", "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[4] => v_a [4]",
        "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] projected[2,7,8] => projected [2,7,8]", "bahdanau_attention state[2,1,6] annotations[2,7,8] w_a[6,5] u_a[8,5] v_a[5] key_mask[7] => wrong rank 1", NULL });
}

Test(bahdanau_attention, goldens) {
    test_goldens("bahdanau_attention");
}
