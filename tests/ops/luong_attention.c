#include <criterion/criterion.h>

#include "../support/cases.h"

#define TO " -> context weights"
#define LOCAL " -> context weights positions"

Test(luong_attention, global) {
    test_cases((const char *const[]){
        "luong_attention target[1,1,1] source[1,1,1] w_c[1,2] -> context weights attentional", "luong_attention target[2,5,8] source[2,7,8] w_c[6,16] -> context weights attentional", "luong_attention target[3,1,59] source[3,33,59]" TO,
        "luong_attention target[2,5,8] source[2,7,8] w_c[6,16] -> attentional", "luong_attention target[3,4,8] source[3,7,8] key_lengths[3]:7,0,3 w_c[3,16] -> context weights attentional", "luong_attention target[4,4,8] source[4,7,8] key_lengths[4]:-3,100,1,6" TO,
        "luong_attention target[2,5,15] source[2,17,33] w_a[15,33]*0.3 score=general key_lengths[2]:9,17" TO, "luong_attention target[2,5,8] source[2,7,6] w_a[8,6] score=general w_c[9,14] -> context weights attentional",
        "luong_attention target[2,5,8] source[2,7,6] w_a[5,14] v_a[5] score=concat w_c[4,14] -> context weights attentional", "luong_attention target[2,3,16] source[2,31,17] w_a[59,33]*0.3 v_a[59] score=concat key_lengths[2]:31,5" TO,
        "luong_attention target[2,3,16] source[2,31,17] w_a[59,33] v_a[59] score=concat key_lengths[2]:0,-1" TO, "luong_attention target[1,2,1] source[1,5,1]:1,2,nan key_lengths[1]:2" TO, "luong_attention target[1,2,1] source[1,5,1]:1,2,nan w_a[3,2] v_a[3] score=concat key_lengths[1]:2" TO,
        "luong_attention target[2,3,4] source[2,0,4]" TO, "luong_attention target[2,3,4] source[2,0,4] w_a[5,8] v_a[5] score=concat" TO, "luong_attention target[0,3,4] source[0,2,4]" TO, "luong_attention target[2,0,4] source[2,2,4] w_a[4,4] score=general" TO, NULL });
}

Test(luong_attention, local) {
    test_cases((const char *const[]){
        "luong_attention target[2,9,8] source[2,11,8] mode=local_m window=2 w_c[5,16] -> context weights attentional positions", "luong_attention target[2,9,8] source[2,6,8] mode=local_m window=1 first_step=3 key_lengths[2]:6,3" LOCAL,
        "luong_attention target[1,4,8] source[1,6,5] w_a[8,5] score=general mode=local_m window=0" LOCAL, "luong_attention target[1,5,7] source[1,33,9] w_a[5,16] v_a[5] score=concat mode=local_m first_step=7" LOCAL,
        "luong_attention target[1,5,8] source[1,9,8] mode=local_m window=1 first_step=-3" LOCAL, "luong_attention target[1,5,8] source[1,9,8] mode=local_m window=1000000000 first_step=1000000000" LOCAL,
        "luong_attention target[2,5,8] source[2,31,8] w_p[6,8] v_p[6] mode=local_p w_c[7,16] -> context weights attentional positions", "luong_attention target[2,5,8] source[2,17,6] w_a[8,6] w_p[5,8] v_p[5] score=general mode=local_p window=2" LOCAL,
        "luong_attention target[1,9,8] source[1,13,8] w_p[5,8] v_p[5] mode=local_p window=1" LOCAL, "luong_attention target[3,4,8] source[3,19,5] w_a[6,13] v_a[6] w_p[3,8] v_p[3] score=concat mode=local_p window=4 key_lengths[3]:19,7,1" LOCAL,
        "luong_attention target[1,9,59] source[1,130,59]*0.1 w_p[33,59]*0.1 v_p[33]*0.3 mode=local_p window=100" LOCAL, "luong_attention target[1,9,8] source[1,13,8] w_p[5,8] v_p[5]*1e3 mode=local_p window=3" LOCAL,
        "luong_attention target[1,1,1]:1 source[1,13,1] w_p[1,1]:100 v_p[1]:20,-20,50 mode=local_p window=3" LOCAL, "luong_attention target[1,1,1]:1 source[1,13,1] w_p[1,1]:100 v_p[1]:-20 mode=local_p window=3" LOCAL,
        "luong_attention target[1,3,1] source[1,1,1] w_p[1,1] v_p[1] mode=local_p" LOCAL, "luong_attention target[2,3,8] source[2,9,8] w_p[3,8] v_p[3] mode=local_p key_lengths[2]:0,-4 w_c[4,16] -> context weights attentional positions",
        "luong_attention target[2,3,8] source[2,9,8] mode=local_m key_lengths[2]:0,100" LOCAL, "luong_attention target[1,3,1] source[1,9,1]:1,2,3,nan mode=local_m window=1 key_lengths[1]:3" LOCAL, "luong_attention target[1,3,1] source[1,4,1]:1,2,3,nan mode=local_m window=1 first_step=-1" LOCAL,
        "luong_attention target[2,3,4] source[2,0,4] mode=local_m" LOCAL, "luong_attention target[2,3,4] source[2,0,4] w_p[3,4] v_p[3] mode=local_p" LOCAL, "luong_attention target[2,3,4] source[2,5,4]*100 mode=local_m" LOCAL, NULL });
}

Test(luong_attention, outputs) {
    test_outputs_independent((const char *const[]){
        "luong_attention target[2,5,8] source[2,7,8] w_c[6,16] -> context weights attentional", "luong_attention target[2,5,8] source[2,7,6] w_a[5,14] v_a[5] score=concat w_c[4,14] -> context weights attentional",
        "luong_attention target[2,5,8] source[2,31,8] w_p[6,8] v_p[6] mode=local_p w_c[7,16] -> context weights attentional positions", NULL });
}

Test(luong_attention, refusals) {
    test_refusals((const char *const[]){
        "luong_attention target[2,5,8] source[2,7,6] => score=dot needs a source as wide as the target: N is 6, D 8", "luong_attention target[2,5,8] source[2,7,6] score=general => w_a is missing: score=general needs it",
        "luong_attention target[2,5,8] source[2,7,6] w_a[6,8] score=general => w_a [6,8] does not fit [D,N] of score=general: expected [8,6]", "luong_attention target[2,5,8] source[2,7,6] w_a[48] score=general => w_a has rank 1",
        "luong_attention target[2,5,8] source[2,7,6] v_a[5] score=concat => w_a is missing: score=concat needs it", "luong_attention target[2,5,8] source[2,7,6] w_a[5,14] score=concat => v_a is missing: score=concat needs it",
        "luong_attention target[2,5,8] source[2,7,6] w_a[5,13] v_a[5] score=concat => expected [5,14]", "luong_attention target[2,5,8] source[2,7,6] w_a[5,14] v_a[4] score=concat => expected [A] = [5]",
        "luong_attention target[2,5,8] source[2,7,8] -> attentional => attentional", "luong_attention target[2,5,8] source[2,7,8] -> positions => positions", "luong_attention target[2,5,8] source[2,7,8] w_c[4,15] => w_c [4,15] does not fit",
        "luong_attention target[2,5,8] source[2,7,8] mode=local_p v_p[3] => w_p is missing: mode=local_p needs it", "luong_attention target[2,5,8] source[2,7,8] mode=local_p w_p[3,8] => v_p is missing: mode=local_p needs it",
        "luong_attention target[2,5,8] source[2,7,8] mode=local_p w_p[3,8] v_p[3] window=0 => mode=local_p needs at least 1", "luong_attention target[2,5,8] source[2,7,8] mode=local_m window=-1 => window", "luong_attention target[2,5,8] source[2,7,8] mode=local_p w_p[3,7] v_p[3] => w_p [3,7] does not fit target",
        "luong_attention target[2,5,8] source[2,7,8] score=cosine => score", "luong_attention target[2,5,8] source[3,7,8] => source [3,7,8] does not fit target [2,5,8]: B is 2 there, 3 here", "luong_attention target[2,5,8] source[2,7,8] key_lengths[3] => key_lengths [3]", NULL });
}

Test(luong_attention, goldens) {
    test_goldens("luong_attention");
}
