#include <criterion/criterion.h>

#include "../support/cases.h"

#define ALL " -> out weights lse"

Test(additive_attention, against_reference) {
    test_cases((const char *const[]){
        "additive_attention query[1,1,1] value[1,1,1]" ALL, "additive_attention query[2,5,8] value[2,7,8]" ALL, "additive_attention query[2,5,8] value[2,7,3] key[2,7,8] scale[8] bias[8]" ALL,
        "additive_attention query[1,17,5] value[1,33,5] scale[5]" ALL, "additive_attention query[1,16,59] value[1,31,111] key[1,31,59] scale[59] bias[59]" ALL,
        "additive_attention query[2,15,111] value[2,65,16] key[2,65,111] scale[111]" ALL, "additive_attention query[1,33,256] value[1,129,256]" ALL,
        "additive_attention query[1,4,256] value[1,9,256] scale[256]" ALL, "additive_attention query[1,3,1000] value[1,50,1000] scale[1000]" ALL, "additive_attention query[1,19,1000] value[1,23,1000]" ALL,
        "additive_attention query[3,1,32] value[3,239,70] key[3,239,32] scale[32]" ALL, "additive_attention query[1,2,1] value[1,1025,1]" ALL, "additive_attention query[1,20,1] value[1,1025,17] key[1,1025,1] scale[1]" ALL,
        "additive_attention query[2,40,16] value[2,70,16] scale[16] inner_scale=0.375" ALL, "additive_attention query[2,40,16] value[2,70,16] scale[16] bias[16] inner_scale=-1.5" ALL, "additive_attention query[1,20,16] value[1,9,16] inner_scale=0" ALL,
        "additive_attention query[1,20,15] value[1,9,17] key[1,9,15] scale[15]*0", NULL });
}

Test(additive_attention, empty) {
    test_cases((const char *const[]){
        "additive_attention query[1,3,4] value[1,0,5] key[1,0,4]" ALL, "additive_attention query[1,20,4] value[1,0,5] key[1,0,4]" ALL, "additive_attention query[0,3,4] value[0,2,4]" ALL,
        "additive_attention query[2,0,4] value[2,3,4]" ALL, "additive_attention query[2,3,0] value[2,3,4] key[2,3,0]" ALL, "additive_attention query[2,13,4] value[2,3,0] key[2,3,4]" ALL, NULL });
}

Test(additive_attention, masks) {
    test_cases((const char *const[]){
        "additive_attention query[2,19,8] value[2,70,8] scale[8] causal=true" ALL, "additive_attention query[2,70,8] value[2,19,8] scale[8] causal=true" ALL, "additive_attention query[1,100,8] value[1,100,8] causal=true" ALL,
        "additive_attention query[2,5,8] value[2,9,8] causal=true" ALL, "additive_attention query[2,19,8] value[2,70,8] key_mask[2,70]%0.5" ALL, "additive_attention query[2,5,8] value[2,70,8] key_mask[2,70]%0.5 query_mask[2,5]%0.5" ALL,
        "additive_attention query[2,19,8] value[2,70,8] key_mask[2,70]%0.9 query_mask[2,19]%0.5 mask[2,19,70]%0.5 causal=true" ALL, "additive_attention query[2,4,8] value[2,7,8] mask[2,4,7]%0.3 causal=true" ALL,
        "additive_attention query[1,20,8] value[1,70,8] mask[1,20,70]%0" ALL, "additive_attention query[1,5,8] value[1,70,8] key_mask[1,70]%0" ALL, "additive_attention query[1,20,8] value[1,70,8] mask[1,20,70]%0.02" ALL,
        "additive_attention query[1,40,8] value[1,200,8] key_mask[1,200]%0.005" ALL, NULL });
}

/* The second of every three keys is NaN (or infinite) and masked. */
Test(additive_attention, nan_behind_masks) {
    test_cases((const char *const[]){
        "additive_attention query[1,20,1] value[1,9,1]:1,nan,2 key_mask[1,9]:1,0,1" ALL, "additive_attention query[1,4,1] value[1,9,1]:1,nan,2 key_mask[1,9]:1,0,1" ALL,
        "additive_attention query[1,20,8] value[1,9,1]:1,inf,2 key[1,9,8] key_mask[1,9]:1,0,1" ALL, "additive_attention query[1,20,1] value[1,9,3] key[1,9,1]:1,nan,-inf mask[1,20,9]:1,0,0" ALL,
        "additive_attention query[1,3,1] value[1,6,20]:1,2,nan key[1,6,1] key_mask[1,6]:0" ALL, "additive_attention query[2,17,1] value[2,3,1]:0.5,1,nan,nan,1,0.5 causal=true" ALL,
        "additive_attention query[1,18,1]:1,2,nan value[1,5,4] key[1,5,1]" ALL, "additive_attention query[1,3,1]:1,2,nan value[1,5,4] key[1,5,1]" ALL, "additive_attention query[1,17,2] value[1,5,2]:1,2,3,nan causal=true" ALL, NULL });
}

Test(additive_attention, any_magnitude) {
    test_cases((const char *const[]){
        "additive_attention query[2,20,16]*200 value[2,70,16]*200 scale[16]" ALL, "additive_attention query[2,4,16]*200 value[2,17,16]*200 scale[16]" ALL, "additive_attention query[1,33,128]*200 value[1,40,16] key[1,40,128] scale[128]" ALL,
        "additive_attention query[1,33,128] value[1,40,16] key[1,40,128]*200 scale[128]" ALL, "additive_attention query[1,33,59]*15 value[1,70,16] key[1,70,59]*15 scale[59] bias[59]*5" ALL, "additive_attention query[1,33,59]*1e6 value[1,70,16] key[1,70,59]*1e6" ALL,
        "additive_attention query[1,20,5]:200,-200,43,-43,0.5 value[1,30,5]:-200,200.25,-43.5,43,0.25 scale[5]" ALL, "additive_attention query[1,20,3]:43.5,-20,1 value[1,30,3]:-43,20.25,-42.875,1,2,3 scale[3]*3" ALL,
        "additive_attention query[1,20,5]:inf,-inf,3e38,-3e38,0.5 value[1,30,7] key[1,30,5]:1,2,3e38,-3e38,0.25 scale[5]" ALL, "additive_attention query[1,2,5]:inf,-inf,3e38,-3e38,0.5 value[1,30,7] key[1,30,5]:1,2,3e38,-3e38,0.25 scale[5]" ALL,
        "additive_attention query[1,20,32] value[1,70,8] key[1,70,32] scale[32]*1000" ALL, "additive_attention query[1,4,32] value[1,70,8] key[1,70,32] scale[32]*1000" ALL, "additive_attention query[1,20,32]*1e-6 value[1,70,8] key[1,70,32]*1e-6 scale[32]" ALL, NULL });
}

Test(additive_attention, outputs) {
    test_outputs_independent((const char *const[]){
        "additive_attention query[2,35,20] value[2,70,20] scale[20] causal=true" ALL, "additive_attention query[2,3,20] value[2,70,20] scale[20] key_mask[2,70]" ALL, "additive_attention query[2,35,20]*30 value[2,70,33] key[2,70,20]*30 mask[2,35,70]" ALL, NULL });
}

Test(additive_attention, scores) {
    test_cases((const char *const[]){
        "additive_attention query[2,5,8] value[2,7,3] key[2,7,8] scale[8] bias[8] -> out scores", "additive_attention query[2,19,8] value[2,33,8] key_mask[2,33]%0.5 causal=true -> out weights lse scores", "additive_attention query[1,3,17] value[1,9,17] inner_scale=-1.5 -> scores",
        "additive_attention query[1,3,4] value[1,0,5] key[1,0,4] -> scores", "additive_attention query[2,3,0] value[2,3,4] key[2,3,0] -> scores", NULL });
    test_outputs_independent((const char *const[]){ "additive_attention query[2,35,20] value[2,70,20] scale[20] causal=true -> out weights lse scores", NULL });
}

Test(additive_attention, refusals) {
    test_refusals((const char *const[]){
        "additive_attention value[2,7,8] => query is missing", "additive_attention query[2,5,8] => value is missing",
        "additive_attention query[2,5,8] value[2,7,3] => key [2,7,3] does not fit query [2,5,8]: D is 8 there, 3 here", "additive_attention query[2,5,8] value[3,7,8] => value [3,7,8] does not fit query [2,5,8]: B is 2 there, 3 here",
        "additive_attention query[2,5,8] value[2,7,8] scale[7] => scale [7]", "additive_attention query[2,5,8] value[2,7,8] mask[2,5,6] => mask [2,5,6]", "additive_attention query[2,5,8] value[2,7,8] mask[5,7] => wrong rank 2",
        "additive_attention query[2,5,8] value[2,7,8] inner_scale=inf => finite", NULL });
}

Test(additive_attention, goldens) {
    test_goldens("additive_attention");
}
