#include <criterion/criterion.h>

#include "../support/cases.h"

/* Weights of deviation 0.3 keep the scores moderate. */
#define SELF "multi_head_attention query[2,7,12] w_q[12,12]*0.3 w_k[12,12]*0.3 w_v[12,12]*0.3 w_o[12,12]*0.3 heads=3 "
#define CROSS "multi_head_attention query[2,5,12] key[2,9,10] value[2,9,11] w_q[24,12]*0.3 w_k[8,10]*0.3 w_v[6,11]*0.3 w_o[13,18]*0.3 heads=6 kv_heads=2 "
#define BIASES "b_q[24] b_k[8] b_v[6] b_o[13] "
#define EXTRA "bias_k[8] bias_v[6] "
#define OUTPUTS "-> out weights"

Test(multi_head_attention, projections) {
    test_cases((const char *const[]){
        SELF OUTPUTS, CROSS OUTPUTS, CROSS BIASES OUTPUTS, CROSS "scale=-0.2 " OUTPUTS, CROSS "average_weights=true " OUTPUTS, SELF "-> weights",
        "multi_head_attention query[1,1,1] w_q[1,1] w_k[1,1] w_v[1,1] w_o[1,1] heads=1 " OUTPUTS,
        "multi_head_attention query[1,33,64] key[1,65,64] w_q[64,64]*0.1 w_k[64,64]*0.1 w_v[64,64]*0.1 w_o[64,64]*0.1 heads=8 " OUTPUTS,
        "multi_head_attention query[1,514,64] key[1,35,64] w_q[64,64]*0.1 w_k[64,64]*0.1 w_v[64,64]*0.1 w_o[64,64]*0.1 heads=4 " OUTPUTS, NULL });
}

Test(multi_head_attention, masks) {
    test_cases((const char *const[]){
        SELF "causal=top_left " OUTPUTS, CROSS "causal=bottom_right " OUTPUTS, CROSS "key_mask[2,9]%0.5 " OUTPUTS, CROSS "key_mask[2,9]:0 " OUTPUTS, CROSS "mask[9]%0.5 " OUTPUTS, CROSS "mask[6,5,9] key_mask[2,9] " OUTPUTS,
        CROSS "mask[2,1,1,9] key_mask[2,9] bias[6,1,9] causal=top_left " OUTPUTS, CROSS "bias[5,9]:-inf,1,0.5 " OUTPUTS, CROSS "mask[5,1]:1,0 key_mask[2,9]%0.6 " OUTPUTS, NULL });
}

Test(multi_head_attention, extra_keys) {
    test_cases((const char *const[]){
        CROSS EXTRA OUTPUTS, CROSS "zero_key=true " OUTPUTS, CROSS EXTRA "zero_key=true average_weights=true " BIASES OUTPUTS, CROSS EXTRA "zero_key=true causal=top_left " OUTPUTS,
        CROSS EXTRA "causal=bottom_right key_mask[2,9] " OUTPUTS, CROSS EXTRA "mask[6,5,9]%0.3 " OUTPUTS, CROSS "zero_key=true mask[1,1,5,1]:0,1 bias[9] " OUTPUTS, CROSS EXTRA "bias[2,1,5,9]:-inf,1 key_mask[2,9]:0 " OUTPUTS, NULL });
}

Test(multi_head_attention, nothing) {
    test_cases((const char *const[]){
        "multi_head_attention query[0,3,4] w_q[4,4] w_k[4,4] w_v[4,4] w_o[4,4] heads=2 " OUTPUTS, "multi_head_attention query[1,0,4] w_q[4,4] w_k[4,4] w_v[4,4] w_o[4,4] heads=2 " OUTPUTS,
        "multi_head_attention query[1,3,4] key[1,0,4] w_q[4,4] w_k[4,4] w_v[4,4] w_o[4,4] heads=2 b_o[4] " OUTPUTS, "multi_head_attention query[1,3,4] key[1,0,4] w_q[4,4] w_k[4,4] w_v[4,4] w_o[4,4] heads=2 zero_key=true " OUTPUTS, NULL });
}

Test(multi_head_attention, outputs_independent) {
    test_outputs_independent((const char *const[]){ CROSS EXTRA "causal=top_left " OUTPUTS, SELF "average_weights=true " OUTPUTS, NULL });
}

Test(multi_head_attention, refusals) {
    test_refusals((const char *const[]){
        "multi_head_attention query[2,7,12] w_q[12,12] w_k[12,12] w_v[12,12] w_o[12,12] => heads is missing", SELF "kv_heads=2 => heads = 3 is not a multiple of kv_heads = 2",
        "multi_head_attention query[2,7,12] w_q[12,12] w_k[12,12] w_v[12,12] w_o[12,12] heads=5 => w_q [12,12]", "multi_head_attention query[2,7,12] w_q[12,12] w_k[12,12] w_v[12,12] w_o[12,11] heads=3 => w_o [12,11]",
        CROSS "bias_k[8] => bias_k is given without bias_v", CROSS "bias_v[6] => bias_v is given without bias_k", CROSS "key_mask[2,8] => key_mask [2,8] does not fit", CROSS "mask[5,8] => mask [5,8]", CROSS "heads=-1 => heads", NULL });
}

Test(multi_head_attention, goldens) {
    test_goldens("multi_head_attention");
}
