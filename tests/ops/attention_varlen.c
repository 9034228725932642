#include <criterion/criterion.h>

#include "../support/cases.h"

#define SIX "attention_varlen query[90,4,16] key[130,2,16] value[130,2,16]"
#define PLACES " cu_query[6]:0,30,30,31,70,90 cu_key[6]:0,9,60,61,61,130"
#define OUTPUTS " -> out lse"

Test(attention_varlen, sequences) {
    test_cases((const char *const[]){
        SIX PLACES OUTPUTS, SIX PLACES " causal=top_left" OUTPUTS, SIX PLACES " causal=bottom_right window_left=7" OUTPUTS, SIX PLACES " window_left=3 window_right=5" OUTPUTS,
        "attention_varlen query[200,1,16] key[200,1,16] value[200,1,16] cu_query[3]:0,65,200 cu_key[3]:0,65,200 causal=top_left scale=0.5" OUTPUTS, "attention_varlen query[5,2,8] key[7,2,8] value[7,2,5] cu_query[3]:0,2,5 cu_key[3]:0,4,7" OUTPUTS,
        "attention_varlen query[1,1,1] key[1,1,1] value[1,1,1] cu_query[2]:0,1 cu_key[2]:0,1" OUTPUTS, "attention_varlen query[3,2,260] key[4,2,260] value[4,2,40] cu_query[3]:0,1,3 cu_key[3]:0,2,4" OUTPUTS, NULL });
}

/* Enough queries for keys and values to be copied row by row first. */
Test(attention_varlen, gathered) {
    test_cases((const char *const[]){ "attention_varlen query[1030,4,16] key[1050,2,16] value[1050,2,16] cu_query[3]:0,500,1030 cu_key[3]:0,530,1050 causal=bottom_right" OUTPUTS, "attention_varlen query[600,4,16] key[40,4,16] value[40,4,20] cu_query[2]:0,600 cu_key[2]:3,38" OUTPUTS, NULL });
}

/* Positions nobody should give: clamped and made rising; what belongs to no sequence is 0. */
Test(attention_varlen, positions) {
    test_cases((const char *const[]){
        "attention_varlen query[20,2,16] key[20,2,16] value[20,2,16] cu_query[3]:3,8,15 cu_key[3]:2,9,18" OUTPUTS, "attention_varlen query[20,2,16] key[20,2,16] value[20,2,16] cu_query[4]:-5,8,4,99 cu_key[4]:0,30,10,20" OUTPUTS,
        "attention_varlen query[20,2,16] key[20,2,16] value[20,2,16] cu_query[1]:7 cu_key[1]:3" OUTPUTS, "attention_varlen query[6,1,16] key[0,1,16] value[0,1,16] cu_query[3]:0,3,6 cu_key[3]:0,0,0" OUTPUTS,
        "attention_varlen query[0,1,16] key[4,1,16] value[4,1,16] cu_query[2]:0,0 cu_key[2]:0,4" OUTPUTS, "attention_varlen query[4,1,2] key[4,1,2]:1,2,3,4,nan,inf,nan,nan value[4,1,16]:1,2,3,4 cu_query[3]:0,4,4 cu_key[3]:0,2,4" OUTPUTS, NULL });
}

Test(attention_varlen, softcap_and_dropout) {
    test_cases((const char *const[]){ SIX PLACES " softcap=1.5 causal=bottom_right" OUTPUTS, SIX PLACES " dropout=0.4 seed=99" OUTPUTS, "attention_varlen query[3,2,260] key[4,2,260] value[4,2,40] cu_query[3]:0,1,3 cu_key[3]:0,2,4 softcap=2 dropout=0.5" OUTPUTS, NULL });
}

Test(attention_varlen, outputs_independent) {
    test_outputs_independent((const char *const[]){ SIX PLACES OUTPUTS, NULL });
}

Test(attention_varlen, refusals) {
    test_refusals((const char *const[]){
        SIX " cu_query[6] cu_key[5] => cu_key [5] does not fit", SIX " cu_query[0] cu_key[0] => cu_query [0]", SIX " cu_query[6] => cu_key is missing", SIX PLACES " dropout=1 => dropout",
        "attention_varlen query[5,3,8] key[7,2,8] value[7,2,8] cu_query[2] cu_key[2] => multiple of the 2", "attention_varlen query[5,2,8] key[7,2,9] value[7,2,8] cu_query[2] cu_key[2] => key [7,2,9] does not fit", NULL });
}

Test(attention_varlen, goldens) {
    test_goldens("attention_varlen");
}
