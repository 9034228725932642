#include <criterion/criterion.h>

#include "../support/cases.h"

#define BOTH "-> out gate"

Test(efficient_channel_attention, against_reference) {
    test_cases((const char *const[]){
        "efficient_channel_attention x[1,1,1,1] weight[1,1,1] " BOTH, "efficient_channel_attention x[2,9,5,7] weight[1,1,3] " BOTH, "efficient_channel_attention x[2,9,5,7] weight[1,1,3]", "efficient_channel_attention x[2,9,5,7] weight[1,1,3] -> gate", "efficient_channel_attention x[3,17,1,1] weight[1,1,5] " BOTH,
        "efficient_channel_attention x[2,4,3,17] weight[1,1,31] " BOTH, "efficient_channel_attention x[1,2,1,16] weight[1,1,7] " BOTH, "efficient_channel_attention x[2,67,13,11] weight[1,1,5] " BOTH, "efficient_channel_attention x[1,3,131,127] weight[1,1,3] " BOTH, "efficient_channel_attention x[2,5,3,7]*10000 weight[1,1,3] " BOTH,
        "efficient_channel_attention x[1,5,2,3]:1,2,3,4,5,6,7,8,9,nan,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29 weight[1,1,3] " BOTH, "efficient_channel_attention x[0,5,3,7] weight[1,1,3] " BOTH, "efficient_channel_attention x[2,0,3,7] weight[1,1,3] " BOTH, "efficient_channel_attention x[2,5,0,7] weight[1,1,3] " BOTH, NULL });
}

Test(efficient_channel_attention, cuts_for_gpus) {
    test_gpu_cases((const char *const[]){
        "efficient_channel_attention x[2,2051,1,3] weight[1,1,5] " BOTH, "efficient_channel_attention x[1,2,97,131] weight[1,1,3] " BOTH, "efficient_channel_attention x[1,3,128,96] weight[1,1,3] " BOTH, "efficient_channel_attention x[3,37,5,5] weight[1,1,3] " BOTH, NULL });
}

Test(efficient_channel_attention, outputs_independent) {
    test_outputs_independent((const char *const[]){ "efficient_channel_attention x[2,33,9,7] weight[1,1,5] " BOTH, NULL });
}

Test(efficient_channel_attention, refusals) {
    test_refusals((const char *const[]){
        "efficient_channel_attention x[2,9,5,7] => weight is missing", "efficient_channel_attention x[2,9,5,7] weight[1,1,4] => weight [1,1,4]: expected an odd size of at most 1048576, found 4", "efficient_channel_attention x[2,9,5,7] weight[1,1,0] => odd size", "efficient_channel_attention x[2,9,5,7] weight[3] => weight [3]",
        "efficient_channel_attention x[2,9,5,7] weight[1,2,3] => weight [1,2,3]", "efficient_channel_attention x[9,5,7] weight[1,1,3] => x [9,5,7]", NULL });
}

Test(efficient_channel_attention, goldens) {
    test_goldens("efficient_channel_attention");
}
