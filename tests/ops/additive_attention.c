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
        "additive_attention query[1,18,1]:1,2,nan value[1,5,4] key[1,5,1]" ALL, "additive_attention query[1,3,1]:1,2,nan value[1,5,4] key[1,5,1]" ALL, "additive_attention query[1,17,2] value[1,5,2]:1,2,3,nan causal=true" ALL, "additive_attention query[1,3,3] value[1,5,4] key[1,5,3]" ALL, NULL });
}

Test(additive_attention, any_magnitude) {
    test_cases((const char *const[]){
        "additive_attention query[2,20,16]*200 value[2,70,16]*200 scale[16]" ALL, "additive_attention query[2,4,16]*200 value[2,17,16]*200 scale[16]" ALL, "additive_attention query[1,33,128]*200 value[1,40,16] key[1,40,128] scale[128]" ALL,
        "additive_attention query[1,33,128] value[1,40,16] key[1,40,128]*200 scale[128]" ALL, "additive_attention query[1,33,59]*15 value[1,70,16] key[1,70,59]*15 scale[59] bias[59]*5" ALL, "additive_attention query[1,33,59]*1e6 value[1,70,16] key[1,70,59]*1e6" ALL,
        "additive_attention query[1,20,5]:200,-200,43,-43,0.5 value[1,30,5]:-200,200.25,-43.5,43,0.25 scale[5]" ALL, "additive_attention query[1,20,3]:43.5,-20,1 value[1,30,3]:-43,20.25,-42.875,1,2,3 scale[3]*3" ALL,
        "additive_attention query[1,20,5]:inf,-inf,3e38,-3e38,0.5 value[1,30,7] key[1,30,5]:1,2,3e38,-3e38,0.25 scale[5]" ALL, "additive_attention query[1,2,5]:inf,-inf,3e38,-3e38,0.5 value[1,30,7] key[1,30,5]:1,2,3e38,-3e38,0.25 scale[5]" ALL,
        "additive_attention query[1,20,32] value[1,70,8] key[1,70,32] scale[32]*1000" ALL, "additive_attention query[1,4,32] value[1,70,8] key[1,70,32] scale[32]*1000" ALL, "additive_attention query[1,20,32]*1e-6 value[1,70,8] key[1,70,32]*1e-6 scale[32]" ALL, NULL });
}

/* What fills a tile of a GPU's variants and is one more or less: queries, keys, columns and values. */
Test(additive_attention, tile_edges) {
    test_gpu_cases((const char *const[]){
        "additive_attention query[1,31,31] value[1,31,31]" ALL, "additive_attention query[1,32,32] value[1,64,32] scale[32]" ALL, "additive_attention query[2,33,33] value[2,65,33] scale[33] bias[33]" ALL, "additive_attention query[1,65,64] value[1,63,127] key[1,63,64]" ALL,
        "additive_attention query[1,15,96] value[1,129,128] key[1,129,96] scale[96]" ALL, "additive_attention query[1,17,5] value[1,64,129] key[1,64,5]" ALL, "additive_attention query[1,5,20] value[1,66,256] key[1,66,20] scale[20]" ALL,
        "additive_attention query[1,19,32] value[1,37,257] key[1,37,32] scale[32]" ALL, "additive_attention query[2,70,40] value[2,37,300] key[2,37,40] scale[40] causal=true" ALL, "additive_attention query[1,20,33] value[1,70,523] key[1,70,33] mask[1,20,70]%0.5 query_mask[1,20]%0.5" ALL,
        "additive_attention query[1,6,33] value[1,5,600]:1,2,3,nan key[1,5,33] mask[1,6,5]:1,0,1,1 -> out lse", "additive_attention query[3,17,33] value[3,17,260]:inf key[3,17,33] key_mask[3,17]:0" ALL, "additive_attention query[1,4,32] value[1,17,257] key[1,17,32]" ALL,
        "additive_attention query[1,4,3] value[1,5,4] key[1,5,3]" ALL, NULL });
}

Test(additive_attention, few_queries) {
    test_cases((const char *const[]){
        "additive_attention query[5,1,1000] value[5,50,400] key[5,50,1000] scale[1000] bias[1000]" ALL, "additive_attention query[2,4,130] value[2,300,513] key[2,300,130] scale[130] key_mask[2,300]%0.3" ALL, "additive_attention query[1,3,7] value[1,600,5] key[1,600,7] mask[1,3,600]%0.1 query_mask[1,3]:1,0,1" ALL,
        "additive_attention query[1,2,40] value[1,257,1] key[1,257,40] causal=true -> out weights lse scores", "additive_attention query[2,4,33] value[2,3,65] key[2,3,33] causal=true -> out weights lse scores", "additive_attention query[1,1,128] value[1,1,2] key[1,1,128]" ALL,
        "additive_attention query[1,3,3] value[1,70,70]:1,2,inf,nan,3 key[1,70,3] mask[1,3,70]:1,0,0,1,0,1,1 -> out lse weights", "additive_attention query[1,2,5] value[1,70,70]:nan key[1,70,5]:nan,inf key_mask[1,70]:0 -> out lse weights", "additive_attention query[70,2,5] value[70,9,6] key[70,9,5] scale[5]" ALL, NULL });
}

/* Weights and elements for which a GPU's shared reciprocals do not do, in all of a tile and in some rows of it only. */
#define SOME "additive_attention query[1,40,33] value[1,70,16] key[1,70,33]"
#define STEP "additive_attention query[1,3,33] value[1,70,16] key[1,70,33]"
#define EVERY " -> out weights lse scores"

Test(additive_attention, any_weights) {
    test_cases((const char *const[]){
        SOME " scale[33]:0" EVERY, SOME " scale[33]:1,0,0,-2" EVERY, SOME " scale[33]:0,0,0,0.5" EVERY, SOME " scale[33]:1e-30,1" EVERY, SOME " scale[33]:1e-12,1,-1e-9" EVERY, SOME " scale[33]*1e-20" EVERY, SOME " scale[33]*1e-38" EVERY, SOME " scale[33]*1e15" EVERY, SOME " scale[33]:1e20,0,-1e19" EVERY,
        SOME " scale[33]:1,nan,2 -> out scores", SOME " scale[33]:0,1,1e-42 -> out scores", STEP " scale[33]:0" EVERY, STEP " scale[33]:1,0,0,-2" EVERY, STEP " scale[33]*1e-20" EVERY, STEP " scale[33]:1e20,0,-1e19" EVERY, STEP " scale[33]:1,nan,2 -> out scores", NULL });
}

Test(additive_attention, some_rows_of_any_magnitude) {
    test_cases((const char *const[]){
        SOME "*0.001 -> out weights lse", "additive_attention query[1,40,33]*0.001 value[1,70,16] key[1,70,33]*0.001 scale[33]" EVERY, "additive_attention query[1,40,33]*0.02 value[1,70,16] key[1,70,33]*0.02 scale[33]" EVERY, "additive_attention query[1,3,33]*0.001 value[1,70,16] key[1,70,33]*0.001" EVERY,
        "additive_attention query[1,70,3]:1,2,3,0.5,-1,-2,0.1,0.2,300,1,2,-3,0.7 value[1,140,4] key[1,140,3] scale[3]" EVERY, "additive_attention query[1,70,3] value[1,140,4] key[1,140,3]:1,2,3,0.5,-1,-2,0.1,0.2,-300,1,2,-3,0.7 scale[3]" EVERY,
        "additive_attention query[1,70,3]:20,1,0.5,-19,1 value[1,140,4] key[1,140,3]:-19.5,1,0.25,20,3,1,2 scale[3]" EVERY, "additive_attention query[1,70,2]:21,-21,0.5 value[1,100,4] key[1,100,2]:0.25,-0.25,21.5,-20 scale[2]:1,0.01" EVERY,
        "additive_attention query[1,70,2]:1,2,nan,3,4,5,6 value[1,100,4] key[1,100,2]:1,0.5,2" EVERY, "additive_attention query[1,70,2]:1,2,5 value[1,100,4] key[1,100,2]:1,0.5,2,nan,1,2,3,4,5,6,7 key_mask[1,100]:1,0,1,1,1,0,1,1,1,1,1" ALL,
        "additive_attention query[1,70,2]:1,2,5 value[1,100,4] key[1,100,2]:1,0.5,2,nan,1,2,3,4,5,6,7 key_mask[1,100]:1,0,1,1,1,1,0,1,1,1,1" ALL, "additive_attention query[1,40,2]:1,inf,5 value[1,100,4] key[1,100,2]:1,0.5,-inf,2,3" ALL,
        "additive_attention query[1,4,2]:1,300,-2 value[1,6,3] key[1,6,2]:0.5,-300,2,-1 scale[2]" EVERY, SOME " bias[33]*30" EVERY, SOME " bias[33]:1,nan,2 -> out", SOME " bias[33] inner_scale=20" EVERY, SOME " inner_scale=-0.001" EVERY, STEP " bias[33]*30" EVERY, STEP " inner_scale=20" EVERY, NULL });
}

/* Terms four, two and one to a divide: on both sides of where the product of four would no longer be finite. */
Test(additive_attention, terms_that_share_a_divide) {
    test_cases((const char *const[]){
        SOME "*4.4 -> out weights lse", SOME "*4.6 -> out weights lse", "additive_attention query[1,40,35]*3 value[1,70,16] key[1,70,35]*3 scale[35]" EVERY, "additive_attention query[1,40,33]*6 value[1,70,16] key[1,70,33]*4 scale[33]" EVERY,
        "additive_attention query[1,20,33]*0.001 value[1,70,16] key[1,70,33]:4.5,-4.5 scale[33]:2.65e-6" EVERY, "additive_attention query[1,20,33]:4.5,-4.5,4.5 value[1,70,16] key[1,70,33]:4.5,4.5,-4.5,-4.5 scale[33]:0.06,-0.06" EVERY,
        "additive_attention query[1,20,64]:4.5 value[1,70,16] key[1,70,64]:4.5 scale[64]:0.0225" EVERY, "additive_attention query[1,20,64]:4.5 value[1,70,16] key[1,70,64]:-4.5,4.49 scale[64]:40000,-39999" EVERY,
        "additive_attention query[1,20,33]*0.1 value[1,70,16] key[1,70,33]*0.1 scale[33]:1,-1" EVERY, "additive_attention query[1,20,18] value[1,70,16] key[1,70,18] scale[18]:1e-4" EVERY, STEP "*4.5" EVERY, NULL });
}

Test(additive_attention, f16) {
    test_cases_f16((const char *const[]){
        "additive_attention query[2,35,20] value[2,70,20] scale[20] causal=true" EVERY, "additive_attention query[1,33,64] value[1,40,64] scale[64] bias[64]" ALL, "additive_attention query[1,17,33] value[1,40,17] key[1,40,33] key_mask[1,40]" ALL, "additive_attention query[1,9,40] value[1,40,300] key[1,40,40]" ALL,
        "additive_attention query[2,3,128] value[2,50,256] key[2,50,128] scale[128]" EVERY, "additive_attention query[2,1,21] value[2,50,7] key[2,50,21] scale[21]" ALL, "additive_attention query[1,20,5]*200 value[1,30,7] key[1,30,5]*200 scale[5]" ALL, "additive_attention query[1,17,2] value[1,5,2]:1,2,3,nan causal=true" ALL, "additive_attention query[1,3,3] value[1,5,4] key[1,5,3]" ALL, NULL });
}

Test(additive_attention, outputs) {
    test_outputs_independent((const char *const[]){
        "additive_attention query[2,35,20] value[2,70,20] scale[20] causal=true" ALL, "additive_attention query[2,3,20] value[2,70,20] scale[20] key_mask[2,70]" ALL, "additive_attention query[2,35,20]*30 value[2,70,33] key[2,70,20]*30 mask[2,35,70]" ALL,
        "additive_attention query[1,9,40] value[1,40,300] key[1,40,40] mask[1,9,40]" EVERY, NULL });
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
