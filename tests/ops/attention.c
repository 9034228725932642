#include <criterion/criterion.h>

#include "../support/cases.h"

#define OUTPUTS " -> out lse weights"

Test(attention, sizes) {
    test_cases((const char *const[]){
        "attention query[1,1,1,1] key[1,1,1,1] value[1,1,1,1]" OUTPUTS, "attention query[2,3,5,8] key[2,3,7,8] value[2,3,7,8]" OUTPUTS,
        "attention query[1,2,15,5] key[1,2,16,5] value[1,2,16,3]" OUTPUTS, "attention query[1,2,17,16] key[1,2,17,16] value[1,2,17,16]" OUTPUTS,
        "attention query[1,1,31,59] key[1,1,33,59] value[1,1,33,111]" OUTPUTS, "attention query[1,1,33,111] key[1,1,31,111] value[1,1,31,59]" OUTPUTS,
        "attention query[1,1,63,64] key[1,1,255,64] value[1,1,255,64]" OUTPUTS, "attention query[1,2,65,64] key[1,2,257,64] value[1,2,257,64]" OUTPUTS,
        "attention query[1,1,34,256] key[1,1,129,256] value[1,1,129,256]" OUTPUTS, "attention query[1,1,5,256] key[1,1,20,256] value[1,1,20,241]" OUTPUTS,
        "attention query[1,1,3,1] key[1,1,1025,1] value[1,1,1025,1]" OUTPUTS, "attention query[1,1,1025,5] key[1,1,1025,5] value[1,1,1025,5] causal=top_left -> out lse",
        "attention query[1,2,1,33] key[1,2,239,33] value[1,2,239,33]" OUTPUTS, "attention query[1,1,3,257] key[1,1,4,257] value[1,1,4,300]" OUTPUTS,
        "attention query[1,1,9,16] key[1,1,23,16] value[1,1,23,80]" OUTPUTS, "attention query[1,1,9,16] key[1,1,23,16] value[1,1,23,100] -> out", "attention query[1,1,9,16] key[1,1,23,16] value[1,1,23,176] -> out", NULL });
}

Test(attention, nothing) {
    test_cases((const char *const[]){
        "attention query[1,2,3,4] key[1,2,0,4] value[1,2,0,5] -> out lse weights", "attention query[1,2,0,4] key[1,2,3,4] value[1,2,3,5]" OUTPUTS,
        "attention query[0,2,3,4] key[0,2,3,4] value[0,2,3,5]" OUTPUTS, "attention query[1,2,3,0] key[1,2,5,0] value[1,2,5,4]" OUTPUTS,
        "attention query[1,2,3,4] key[1,2,5,4] value[1,2,5,0]" OUTPUTS, "attention query[1,0,3,4] key[1,0,5,4] value[1,0,5,2]" OUTPUTS, NULL });
}

Test(attention, scale_and_heads) {
    test_cases((const char *const[]){
        "attention query[2,6,9,8] key[2,2,11,8] value[2,2,11,8]" OUTPUTS, "attention query[1,5,17,16] key[1,1,31,16] value[1,1,31,16] causal=bottom_right" OUTPUTS,
        "attention query[1,2,9,8] key[1,2,11,8] value[1,2,11,8] scale=0.7" OUTPUTS, "attention query[1,2,9,8] key[1,2,11,8] value[1,2,11,8] scale=-0.3" OUTPUTS,
        "attention query[1,2,37,16]*100 key[1,2,45,16]*100 value[1,2,45,16]" OUTPUTS, "attention query[1,1,20,1]*100 key[1,1,300,1]*100 value[1,1,300,4]" OUTPUTS, "attention query[1,2,3,16]*100 key[1,2,300,16]*100 value[1,2,300,16] scale=-0.5" OUTPUTS, NULL });
}

Test(attention, causal_and_window) {
    test_cases((const char *const[]){
        "attention query[1,2,9,8] key[1,2,9,8] value[1,2,9,8] causal=top_left" OUTPUTS, "attention query[1,2,70,16] key[1,2,30,16] value[1,2,30,16] causal=top_left" OUTPUTS,
        "attention query[1,1,130,16] key[1,1,300,16] value[1,1,300,16] causal=bottom_right" OUTPUTS, "attention query[1,1,100,16] key[1,1,30,16] value[1,1,30,16] causal=bottom_right" OUTPUTS,
        "attention query[1,1,100,16] key[1,1,100,16] value[1,1,100,16] window_left=3 window_right=2" OUTPUTS, "attention query[1,1,100,16] key[1,1,100,16] value[1,1,100,16] window_left=0 window_right=0" OUTPUTS,
        "attention query[1,1,100,16] key[1,1,60,16] value[1,1,60,16] window_left=7" OUTPUTS, "attention query[1,1,40,16] key[1,1,400,16] value[1,1,400,16] window_right=270" OUTPUTS,
        "attention query[1,1,300,8] key[1,1,300,8] value[1,1,300,8] causal=top_left window_left=5" OUTPUTS, "attention query[1,1,50,8] key[1,1,90,8] value[1,1,90,8] causal=bottom_right window_left=4 window_right=9" OUTPUTS,
        "attention query[1,1,9,8] key[1,1,9,8] value[1,1,9,8] window_left=9000000000000000 window_right=9000000000000000" OUTPUTS,
        "attention query[1,2,4,8] key[1,2,3,8] value[1,2,3,8] causal=bottom_right" OUTPUTS, "attention query[1,2,4,8] key[1,2,300,8] value[1,2,300,8] window_left=1 window_right=280" OUTPUTS, NULL });
}

Test(attention, lengths) {
    test_cases((const char *const[]){
        "attention query[4,2,19,8] key[4,2,21,8] value[4,2,21,8] key_lengths[4]:0,21,-3,99" OUTPUTS, "attention query[3,1,5,16] key[3,1,300,16] value[3,1,300,16] key_lengths[3]:257,1,256" OUTPUTS,
        "attention query[3,2,17,16] key[3,2,33,16] value[3,2,33,16] key_lengths[3]:20,5,33 causal=bottom_right" OUTPUTS, "attention query[3,1,40,8] key[3,1,33,8] value[3,1,33,8] key_lengths[3]:20,5,33 causal=bottom_right window_left=4" OUTPUTS,
        "attention query[2,1,40,8] key[2,1,33,8] value[2,1,33,8] key_lengths[2]:20,5 causal=top_left window_left=4" OUTPUTS, "attention query[4,2,2,8] key[4,2,300,8] value[4,2,300,8] key_lengths[4]:0,300,-3,256" OUTPUTS, NULL });
}

Test(attention, masks_and_biases) {
    test_cases((const char *const[]){
        "attention query[2,2,5,8] key[2,2,7,8] value[2,2,7,8] mask[7]" OUTPUTS, "attention query[2,2,70,8] key[2,2,37,8] value[2,2,37,8] mask[70,37]%0.4" OUTPUTS,
        "attention query[2,3,5,8] key[2,3,7,8] value[2,3,7,8] mask[3,5,7]" OUTPUTS, "attention query[2,3,5,8] key[2,3,7,8] value[2,3,7,8] mask[3,1,7]" OUTPUTS,
        "attention query[2,3,5,8] key[2,3,300,8] value[2,3,300,8] mask[2,1,1,300]%0.1" OUTPUTS, "attention query[2,2,17,16] key[2,2,19,16] value[2,2,19,16] mask[2,2,17,19] causal=top_left" OUTPUTS,
        "attention query[2,2,17,16] key[2,2,19,16] value[2,2,19,16] mask[17,1]:1,0,0" OUTPUTS, "attention query[1,1,40,16] key[1,1,600,16] value[1,1,600,16] mask[1,600]%0.001" OUTPUTS,
        "attention query[2,2,5,8] key[2,2,7,8] value[2,2,7,8] bias[7]" OUTPUTS, "attention query[2,2,37,8] key[2,2,39,8] value[2,2,39,8] bias[2,37,39]*3" OUTPUTS,
        "attention query[2,3,5,8] key[2,3,7,8] value[2,3,7,8] bias[2,3,5,7]:-inf,0.5,-inf,2" OUTPUTS, "attention query[1,1,20,8] key[1,1,30,8] value[1,1,30,8] bias[30]:-inf" OUTPUTS,
        "attention query[2,3,20,8] key[2,3,27,8] value[2,3,27,8] mask[2,1,20,27] bias[3,1,27] scale=0.5 key_lengths[2]:20,9" OUTPUTS, "attention query[1,1,33,8] key[1,1,17,8] value[1,1,17,8] mask[33,17]%0" OUTPUTS,
        "attention query[1,1,9,8] key[1,1,17,8] value[1,1,17,8] mask[1] bias[1,1]" OUTPUTS, "attention query[1,2,2,8] key[1,2,300,8] value[1,2,300,8] mask[2,300]%0.2 bias[2,1,300]:-inf,1" OUTPUTS, NULL });
}

/* NaN and Inf where nobody may look: the reference skips them, so a leak differs. */
Test(attention, garbage_does_not_leak) {
    test_cases((const char *const[]){
        "attention query[1,1,5,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan key_lengths[1]:2" OUTPUTS,
        "attention query[1,1,5,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan mask[4]:1,1,0,0" OUTPUTS,
        "attention query[1,1,5,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,16]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,nan,inf bias[4]:0.5,0.25,-inf,-inf" OUTPUTS,
        "attention query[1,1,6,1] key[1,1,6,1]:1,2,3,4,nan,nan value[1,1,6,1]:1,2,3,4,nan,inf causal=top_left -> out", "attention query[1,1,6,1] key[1,1,6,1] value[1,1,6,1]:1,2,3,4,nan,inf causal=top_left" OUTPUTS,
        "attention query[1,1,6,2] key[1,1,6,2] value[1,1,6,16]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31 window_left=1 window_right=1 mask[6]:0,1,1,1,1,1" OUTPUTS,
        "attention query[2,1,3,2] key[2,1,3,2]:nan value[2,1,3,2]:inf key_lengths[2]:0,0" OUTPUTS,
        "attention query[1,1,3,2] key[1,1,3,2] value[1,1,3,2]:nan,1,2,3,4,5" OUTPUTS, NULL });
}

Test(attention, few_queries) {
    test_cases((const char *const[]){
        "attention query[2,8,1,20] key[2,2,600,20] value[2,2,600,20] causal=bottom_right" OUTPUTS, "attention query[2,6,3,20] key[2,2,600,20] value[2,2,600,20] causal=bottom_right key_lengths[2]:513,2" OUTPUTS,
        "attention query[2,4,4,20] key[2,1,513,20] value[2,1,513,20] mask[2,1,4,513]%0.4 bias[513]*2" OUTPUTS, "attention query[1,2,2,20] key[1,2,513,20] value[1,2,513,20] mask[513]:0 window_left=9" OUTPUTS,
        "attention query[1,2,4,20] key[1,2,700,20] value[1,2,700,20] causal=bottom_right window_left=300" OUTPUTS, "attention query[1,17,1,20] key[1,1,70,20] value[1,1,70,20]" OUTPUTS,
        "attention query[1,1,4,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan mask[4]:1,1,0,0" OUTPUTS, NULL });
}

/* Read and written as it is by the kernels for GPUs and by decode; aligned and not, with tails, in few and in many queries. */
Test(attention, f16) {
    test_cases_f16((const char *const[]){
        "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] causal=top_left" OUTPUTS, "attention query[2,4,37,16] key[2,2,45,16] value[2,2,45,20] mask[37,45] bias[45]:0.5,-inf,1 alibi_slopes[4]:0.5,0.1 softcap=3" OUTPUTS,
        "attention query[1,1,17,59] key[1,1,33,59] value[1,1,33,111]" OUTPUTS, "attention query[1,1,5,130] key[1,1,9,130] value[1,1,9,3] sinks[1]" OUTPUTS, "attention query[2,4,2,64] key[2,2,300,64] value[2,2,300,64] key_lengths[2]:257,0" OUTPUTS,
        "attention query[2,4,2,21] key[2,2,70,21] value[2,2,70,33] window_left=9" OUTPUTS, "attention query[1,2,7,16] key[1,2,9,16] value[1,2,9,12] past_key[1,2,5,16] past_value[1,2,5,12] causal=bottom_right -> out lse weights scores key_sums present_key present_value",
        "attention query[1,1,5,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan mask[4]:1,1,0,0" OUTPUTS, "attention query[1,1,4,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan key_lengths[1]:2" OUTPUTS,
        "attention query[2,4,1,40] key[2,2,300,40] value[2,2,300,50] mask[300]:1,0,1 softcap=3 scores_stage=softcap -> out weights scores", "attention query[1,2,3,300] key[1,2,270,300] value[1,2,270,290] causal=bottom_right" OUTPUTS,
        "attention query[1,2,3,4] key[1,2,0,4] value[1,2,0,5]" OUTPUTS, NULL });
}

/* Heads that do not fit the registers, and at the end of the first table the widest that do. */
#define WIDE "attention query[2,4,2,300] key[2,2,270,300] value[2,2,270,523]"

Test(attention, wide_heads) {
    test_cases((const char *const[]){
        "attention query[2,1,1,257] key[2,1,50,257] value[2,1,50,257]" OUTPUTS, "attention query[1,2,4,272] key[1,2,3,272] value[1,2,3,272]" OUTPUTS, "attention query[3,1,1,1000] key[3,1,50,1000]*0.1 value[3,1,50,1000]" OUTPUTS,
        "attention query[1,2,1,320] key[1,2,17,320] value[1,2,17,5] -> out lse", "attention query[1,2,1,5] key[1,2,17,5] value[1,2,17,320] -> out lse", "attention query[1,1,2,256] key[1,1,513,256] value[1,1,513,512]" OUTPUTS,
        "attention query[1,16,1,401] key[1,1,300,401] value[1,1,300,401]" OUTPUTS, "attention query[1,3,4,1023] key[1,1,5,1023] value[1,1,5,769] causal=bottom_right" OUTPUTS, "attention query[1,5,1,4096] key[1,5,3,4096]*0.1 value[1,5,3,4096] -> out",
        "attention query[1,1,1,4097] key[1,1,3,4097]*0.1 value[1,1,3,8] -> out", "attention query[1,2,3,300] key[1,2,0,300] value[1,2,0,300]" OUTPUTS, "attention query[1,2,0,300] key[1,2,4,300] value[1,2,4,300]" OUTPUTS,
        WIDE " mask[2,1,2,270]%0.3 bias[270]*2 -> out lse weights scores key_sums", WIDE " mask[2,270]%0 -> out lse weights key_sums", WIDE " key_lengths[2]:258,0 causal=bottom_right scores_stage=bias -> out weights scores key_sums",
        WIDE " sinks[4]:-inf,1,0,20 window_left=100 causal=bottom_right scores_stage=softmax -> out lse scores", WIDE " softcap=2 alibi_slopes[4]:0.03,0.02,0.1 scores_stage=softcap -> out lse scores key_sums", WIDE " sinks[4]*5 bias[2,270]:-inf,1 -> out lse weights",
        "attention query[1,1,2,257] key[1,1,4,257]:1,2,3,nan,inf,-inf,nan value[1,1,4,257]:1,nan,inf,3 key_lengths[1]:0" OUTPUTS, "attention query[1,1,2,3] key[1,1,3,3] value[1,1,3,260]:nan,1,2,3,4,inf mask[3]:0,0,0" OUTPUTS, "attention query[1,2,1,256] key[1,2,20,256] value[1,2,20,256]" OUTPUTS, NULL });
    test_outputs_independent((const char *const[]){
        "attention query[1,2,2,257] key[1,1,5,257] value[1,1,5,260] sinks[2] softcap=3 past_key[1,1,3,257] past_value[1,1,3,260] causal=bottom_right -> out lse weights scores key_sums present_key present_value",
        WIDE " sinks[4] softcap=3 past_key[2,2,9,300] past_value[2,2,9,523] causal=bottom_right -> out lse weights scores key_sums present_key present_value", NULL });
}

#define SOME "attention query[2,4,37,16] key[2,2,45,16] value[2,2,45,20]"
#define FEW "attention query[2,4,3,16] key[2,2,300,16] value[2,2,300,20]"
#define ALL " -> out lse weights scores key_sums"

Test(attention, sinks) {
    test_cases((const char *const[]){
        SOME " sinks[4]" ALL, SOME " sinks[4]*5 causal=bottom_right" ALL, FEW " sinks[4]*3" ALL, FEW " sinks[4]:-inf,1,0,20" ALL, SOME " sinks[4]:-inf,1,0,20 mask[37,45]%0.1" ALL,
        "attention query[2,2,5,8] key[2,2,0,8] value[2,2,0,8] sinks[2]" ALL, "attention query[2,2,5,8] key[2,2,7,8] value[2,2,7,8] sinks[2] key_lengths[2]:0,3" ALL,
        "attention query[1,1,9,8]*100 key[1,1,17,8]*100 value[1,1,17,8] sinks[1]:-3000" ALL, "attention query[1,1,9,8] key[1,1,17,8] value[1,1,17,8] sinks[1]:3000 -> out lse key_sums",
        "attention query[1,2,3,260] key[1,2,4,260] value[1,2,4,40] sinks[2]" ALL, NULL });
}

Test(attention, slopes_and_cap) {
    test_cases((const char *const[]){
        SOME " alibi_slopes[4]:0.5,0.25,0.125,0" ALL, SOME " alibi_slopes[2,4]:0.5,0.25,-0.125 key_lengths[2]:45,20 causal=bottom_right" ALL, SOME " alibi_slopes[2,4]:0.5,0.1 causal=top_left window_left=4 scores_stage=bias" ALL,
        FEW " alibi_slopes[4]:0.5,0.25,0.1 scores_stage=bias" ALL, FEW " alibi_slopes[2,4]:0.03,0.02,0.1 key_lengths[2]:270,20" ALL, SOME " softcap=2" ALL, SOME " softcap=0.5 scale=3 bias[4,37,45] mask[37,45] scores_stage=softcap" ALL,
        FEW " softcap=2 bias[300] scores_stage=softcap" ALL, FEW " softcap=30 alibi_slopes[4]:0.01 sinks[4]" ALL, "attention query[1,1,20,8]*50 key[1,1,30,8]*50 value[1,1,30,8] softcap=40" ALL,
        "attention query[1,2,3,260] key[1,2,4,260] value[1,2,4,40] softcap=3 alibi_slopes[2]:0.5,2 scores_stage=softcap" ALL, "attention query[1,2,3,4] key[1,2,0,4] value[1,2,0,5] softcap=2 alibi_slopes[2]" ALL, NULL });
}

Test(attention, scores_and_key_sums) {
    test_cases((const char *const[]){
        SOME ALL, SOME " scores_stage=bias mask[37,45] bias[45]:0.5,-inf,1" ALL, SOME " scores_stage=softmax causal=bottom_right" ALL, SOME " scores_stage=raw causal=top_left mask[37,45]" ALL,
        FEW " scores_stage=bias causal=bottom_right key_lengths[2]:257,0" ALL, FEW " scores_stage=softmax window_left=20" ALL, "attention query[1,2,130,16] key[1,2,270,16] value[1,2,270,16] causal=top_left scores_stage=bias -> scores key_sums",
        "attention query[1,2,0,4] key[1,2,3,4] value[1,2,3,5]" ALL, "attention query[1,2,3,4] key[1,2,0,4] value[1,2,0,5]" ALL, "attention query[1,1,1,1] key[1,1,1,1] value[1,1,1,1]" ALL,
        "attention query[1,1,5,2] key[1,1,4,2]:1,2,3,4,nan,inf,-inf,nan value[1,1,4,3]:1,2,3,4,5,6,nan,inf,nan,-inf,nan,nan key_lengths[1]:2 softcap=2 scores_stage=bias" ALL, NULL });
}

/* In one tile or, of more than 4096 keys, in several; past the caches, which takes rows of whole and aligned vectors. The first is for
 * devices that are given only small cases: rusticl's llvmpipe ends a work-item's loops after 65535 steps. */
Test(attention, weights_of_many_keys) {
    test_cases((const char *const[]){
        "attention query[1,1,17,8] key[1,1,70,8] value[1,1,70,8] -> out weights scores",
        "attention query[1,1,1616,8] key[1,1,1648,8] value[1,1,1648,8] scores_stage=bias -> out weights scores", "attention query[1,1,1617,8] key[1,1,1650,8] value[1,1,1650,8] causal=bottom_right -> out lse weights",
        "attention query[1,1,1616,8] key[1,1,1648,8] value[1,1,1648,8] window_left=100 window_right=7 scores_stage=bias sinks[1] -> weights scores", "attention query[1,2,40,8] key[1,2,4200,8] value[1,2,4200,20] sinks[2] causal=bottom_right scores_stage=bias" ALL,
        "attention query[1,2,40,8] key[1,2,4200,8] value[1,2,4200,16] mask[4200]:0,0,1,0 bias[40,1]:1,-inf,2 -> out weights", "attention query[1,1,70,16] key[1,1,700,16] value[1,1,700,16]:1,2,nan,3 mask[70,700]%0.3 -> out weights scores",
        "attention query[1,2,2,8] key[1,2,4200,8] value[1,2,4200,8] -> out weights", NULL });
}

Test(attention, dropout) {
    test_cases((const char *const[]){
        SOME " dropout=0.3" ALL, SOME " dropout=0.9 seed=1234567890123456789 offset=987654321098765432 causal=bottom_right" ALL, "attention query[1,2,130,16] key[1,2,270,16] value[1,2,270,16] dropout=0.5 seed=7 key_lengths[1]:259" ALL,
        "attention query[1,1,3,16] key[1,1,5,16] value[1,1,5,16] dropout=0.0001" ALL, "attention query[1,2,3,260] key[1,2,4,260] value[1,2,4,40] dropout=0.5 sinks[2]" ALL, "attention query[1,1,65,16] key[1,1,65,16] value[1,1,65,16] dropout=0.99999994" ALL, FEW " seed=5 dropout=0 -> out", NULL });
}

Test(attention, past_and_present) {
    test_cases((const char *const[]){
        SOME " past_key[2,2,9,16] past_value[2,2,9,20] causal=top_left" ALL " present_key present_value", SOME " past_key[2,2,300,16] past_value[2,2,300,20] causal=bottom_right -> out", SOME " past_key[2,2,9,16] past_value[2,2,9,20] window_left=5 window_right=3" ALL,
        SOME " past_key[2,2,0,16] past_value[2,2,0,20] causal=top_left" ALL " present_key", SOME " -> present_key present_value", FEW " past_key[2,2,31,16] past_value[2,2,31,20] causal=top_left alibi_slopes[4]:0.1,0.5" ALL " present_value",
        "attention query[1,2,1,16] key[1,2,1,16] value[1,2,1,16] past_key[1,2,256,16] past_value[1,2,256,16] causal=top_left window_left=200" ALL, "attention query[2,2,5,8] key[2,2,0,8] value[2,2,0,8] past_key[2,2,7,8] past_value[2,2,7,8] key_lengths[2]:5,0" ALL,
        SOME " past_key[2,2,9,16] past_value[2,2,9,20] mask[37,54] bias[54] key_lengths[2]:54,40 causal=top_left window_left=20" ALL, "attention query[1,2,5,8] key[1,2,4,8] value[1,2,4,8] past_key[1,2,4,8] past_value[1,2,4,8] window_right=9000000000000000 causal=none" ALL,
        "attention query[1,1,3,260] key[1,1,4,260] value[1,1,4,8] past_key[1,1,3,260] past_value[1,1,3,8] causal=top_left" ALL " present_key present_value", NULL });
}

Test(attention, outputs_independent) {
    test_outputs_independent((const char *const[]){
        "attention query[2,2,37,16] key[2,2,65,16] value[2,2,65,20] causal=bottom_right" OUTPUTS, "attention query[2,2,3,16] key[2,2,65,16] value[2,2,65,16] mask[3,65]" OUTPUTS,
        "attention query[1,1,3,260] key[1,1,6,260] value[1,1,6,16]" ALL " present_key", SOME " sinks[4] softcap=3 dropout=0.2 past_key[2,2,9,16] past_value[2,2,9,20]" ALL " present_key present_value",
        FEW " sinks[4] alibi_slopes[4] scores_stage=bias past_key[2,2,9,16] past_value[2,2,9,20]" ALL " present_key present_value", NULL });
}

#define PLAIN "attention query[1,4,5,8] key[1,2,7,8] value[1,2,7,8]"

Test(attention, refusals) {
    test_refusals((const char *const[]){
        "attention query[1,2,5,8] key[1,2,7,9] value[1,2,7,8] => key [1,2,7,9] does not fit query [1,2,5,8]: D is 8 there, 9 here", "attention query[1,3,5,8] key[1,2,7,8] value[1,2,7,8] => query has 3 heads, which is not a multiple of the 2",
        "attention query[1,2,5,8] key[1,2,7,8] value[1,2,6,8] => value [1,2,6,8] does not fit key [1,2,7,8]", "attention query[1,2,5] key[1,2,7,8] value[1,2,6,8] => query [1,2,5] does not fit [B,H,Tq,D]",
        "attention key[1,2,7,8] value[1,2,7,8] => query is missing", "attention query[1,2,5,8] key[1,0,7,8] value[1,0,7,8] => multiple of the 0",
        PLAIN " mask[5,6] => mask [5,6] does not fit", PLAIN " mask[2,5,7] => mask", PLAIN " bias[1,1,4,5,7] => bias [1,1,4,5,7]", PLAIN " key_lengths[2] => key_lengths", PLAIN " window_left=-2 => window_left",
        PLAIN " sinks[3] => sinks [3] does not fit", PLAIN " alibi_slopes[2,4] => alibi_slopes [2,4] does not fit", PLAIN " alibi_slopes[3] => alibi_slopes [3] does not fit", PLAIN " softcap=-1 => softcap", PLAIN " dropout=1 => dropout",
        PLAIN " past_key[1,2,3,8] => past_key is given, past_value is missing", PLAIN " past_value[1,2,3,8] => past_value", PLAIN " past_key[1,2,3,8] past_value[1,2,4,8] => past_value [1,2,4,8] does not fit",
        PLAIN " past_key[1,2,3,8] past_value[1,2,3,8] mask[5,7] => mask [5,7] does not fit", PLAIN " scores_stage=all => scores_stage", PLAIN " causal=left => causal", PLAIN " scale=inf => scale", NULL });
}

Test(attention, goldens) {
    test_goldens("attention");
}

/* ONNX's node cases; those that do not map are named in attention_onnx.txt. */
Test(attention, onnx) {
    test_goldens("attention_onnx");
}
