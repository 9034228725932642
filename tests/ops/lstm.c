#include <criterion/criterion.h>
#include <string.h>

#include "../support/cases.h"
#include "../support/device.h"

#define ALL " -> out h_n c_n"

Test(lstm, shapes) {
    test_cases((const char *const[]){
        "lstm x[1,1,1] w_ih[4,1] w_hh[4,1]" ALL, "lstm x[1,3,5] w_ih[24,5]*0.4 w_hh[24,6]*0.4 b_ih[24] b_hh[24] h0[1,1,6] c0[1,1,6]" ALL, "lstm x[2,4,5] w_ih[60,5]*0.4 w_hh[60,15]*0.2 b_hh[60] c0[1,2,15]" ALL,
        "lstm x[3,4,5] w_ih[64,5]*0.4 w_hh[64,16]*0.2 b_ih[64] h0[1,3,16]" ALL, "lstm x[17,3,9] w_ih[132,9]*0.3 w_hh[132,33]*0.1 b_ih[132] b_hh[132]" ALL,
        "lstm x[2,0,5] w_ih[24,5] w_hh[24,6] h0[1,2,6] c0[1,2,6]" ALL, "lstm x[0,3,5] w_ih[24,5] w_hh[24,6]" ALL, "lstm x[2,3,0] w_ih[24,0] w_hh[24,6]*0.4 b_ih[24] h0[1,2,6]" ALL, "lstm x[2,3,5] w_ih[0,5] w_hh[0,0]" ALL,
        "lstm x[2,3,5] w_ih[24,5]*0.4 w_hh[24,6]*0.4 -> c_n", "lstm x[2,33,5] w_ih[24,5]*0.4 w_hh[24,6]*0.4 -> out", "lstm x[3,4,5]*100 w_ih[68,5] w_hh[68,17]*0.2" ALL, "lstm x[2,2,5] w_ih[24,5]:0.1,nan,0.2 w_hh[24,6]*0.1" ALL,
        "lstm x[7,4,5] w_ih[68,5]*0.4 w_hh[68,17]*0.2 b_ih[68] b_hh[68] h0[1,7,17] c0[1,7,17]*50" ALL, "lstm x[19,4,5] w_ih[68,5]:0.1,0.2,nan,-0.3 w_hh[68,17]*0.1 -> c_n", "lstm x[19,4,5] w_ih[68,5]*0.4 w_hh[68,17]*0.2 h0[1,19,17]:0.5,nan,0.1,0.2 c0[1,19,17]:1,nan,-2" ALL, NULL });
}

Test(lstm, directions_and_lengths) {
    test_cases((const char *const[]){
        "lstm x[3,5,7] w_ih[2,24,7]*0.4 w_hh[2,24,6]*0.4 b_ih[2,24] b_hh[2,24] h0[2,3,6] c0[2,3,6] bidirectional=true" ALL, "lstm x[1,5,7] w_ih[2,64,7]*0.4 w_hh[2,64,16]*0.2 bidirectional=true" ALL,
        "lstm x[4,5,7] w_ih[24,7]*0.4 w_hh[24,6]*0.4 lengths[4]:0,5,1,3" ALL, "lstm x[4,5,7] w_ih[24,7]*0.4 w_hh[24,6]*0.4 h0[1,4,6] c0[1,4,6] lengths[4]:-3,9,2,5" ALL,
        "lstm x[5,4,3] w_ih[2,68,3]*0.4 w_hh[2,68,17]*0.2 b_ih[2,68] b_hh[2,68] h0[2,5,17] c0[2,5,17] lengths[5]:0,4,1,3,2 bidirectional=true" ALL,
        "lstm x[11,4,3] w_ih[2,24,3]*0.4 w_hh[2,24,6]*0.4 lengths[11]:1,0,4,2 bidirectional=true" ALL, "lstm x[11,4,3] w_ih[132,3]*0.4 w_hh[132,33]*0.2 c0[1,11,33] lengths[11]:1,0,4,2" ALL,
        "lstm x[2,3,2]:1,2,nan,nan,nan,nan,1,2,3,4,nan,nan w_ih[24,2]*0.4 w_hh[24,6]*0.4 lengths[2]:1,2" ALL, "lstm x[2,3,2]:1,2,nan,nan,nan,nan,1,2,3,4,nan,nan w_ih[2,24,2]*0.4 w_hh[2,24,6]*0.4 lengths[2]:1,2 bidirectional=true" ALL, NULL });
}

/* Groups of several times the rows that registers hold, the last one partly empty; more units than a part of the sums. */
Test(lstm, many_rows_and_units) {
    test_cases((const char *const[]){
        "lstm x[70,4,3] w_ih[68,3]*0.4 w_hh[68,17]*0.2 b_hh[68] c0[1,70,17] lengths[70]:1,0,4,2,3" ALL, "lstm x[37,3,3] w_ih[2,68,3]*0.4 w_hh[2,68,17]*0.2 b_hh[2,68] h0[2,37,17] c0[2,37,17] lengths[37]:3,1 bidirectional=true" ALL,
        "lstm x[2,3,5] w_ih[1072,5]*0.4 w_hh[1072,268]*0.05 b_hh[1072]" ALL, "lstm x[33,2,5] w_ih[2052,5]*0.4 w_hh[2052,513]*0.04" ALL, NULL });
}

Test(lstm, outputs_independent) {
    test_outputs_independent((const char *const[]){ "lstm x[5,4,3] w_ih[2,68,3]*0.4 w_hh[2,68,17]*0.2 lengths[5]:0,4,1,3,2 bidirectional=true" ALL, "lstm x[5,4,3] w_ih[68,3]*0.4 w_hh[68,17]*0.2" ALL, NULL });
}

Test(lstm, refusals) {
    test_refusals((const char *const[]){
        "lstm x[2,3,5] w_ih[2,24,5] w_hh[2,24,6] => w_ih has rank 3, expected 2 without bidirectional", "lstm x[2,3,5] w_ih[24,5] w_hh[24,6] bidirectional=true => w_ih has rank 2, expected 3 with bidirectional",
        "lstm x[2,3,5] w_ih[2,24,5] w_hh[2,24,6] b_hh[24] bidirectional=true => b_hh has rank 1, expected 2", "lstm x[2,3,5] w_ih[23,5] w_hh[24,6] => w_ih [23,5]", "lstm x[2,3,5] w_ih[24,4] w_hh[24,6] => I is 5 there, 4 here",
        "lstm x[2,3,5] w_ih[24,5] w_hh[24,6] c0[2,2,6] => c0 [2,2,6] does not fit", "lstm x[2,3,5] w_ih[24,5] w_hh[24,6] lengths[3] => lengths [3] does not fit", "lstm x[2,3,5] w_hh[24,6] => w_ih is missing", NULL });
}

Test(lstm, goldens) {
    test_goldens("lstm");
}

Test(lstm_cell, against_reference) {
    test_cases((const char *const[]){
        "lstm_cell x[1,1] h[1,1] c[1,1] w_ih[4,1] w_hh[4,1]", "lstm_cell x[3,5] h[3,6] c[3,6] w_ih[24,5] w_hh[24,6] b_ih[24] b_hh[24]", "lstm_cell x[3,5] h[3,17] c[3,17] w_ih[68,5] w_hh[68,17] b_hh[68] -> c",
        "lstm_cell x[20,40] h[20,33] c[20,33]*10 w_ih[132,40]*0.2 w_hh[132,33]*0.2 b_ih[132] -> h", "lstm_cell x[32,5] h[32,6] c[32,6] w_ih[24,5] w_hh[24,6] b_hh[24]", "lstm_cell x[37,5] h[37,17] c[37,17]:1,nan,-30 w_ih[68,5] w_hh[68,17]*0.2 b_ih[68] b_hh[68]", "lstm_cell x[0,5] h[0,6] c[0,6] w_ih[24,5] w_hh[24,6]", "lstm_cell x[2,0] h[2,6] c[2,6] w_ih[24,0] w_hh[24,6]", NULL });
}

/* On CPUs few rows are worth the packed form only of a frozen weight, which is packed once. */
Test(lstm_cell, frozen_weight) {
    clattn_context *context = test_open();
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, "lstm_cell x[3,5] h[3,17] c[3,17] w_ih[68,5]*0.4 w_hh[68,17]*0.2 b_hh[68]", test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
    const clattn_lstm_cell_args *args = clattn_case_args(c);
    clattn_tensor frozen = *args->w_hh;
    const char *refusal = clattn_op_refusal(context, clattn_case_op(c), args, "cpu");
    cr_assert_not_null(refusal);
    clattn_tensor_freeze(&frozen);
    if (!strstr(refusal, "not a CPU")) cr_expect_null(clattn_op_refusal(context, clattn_case_op(c), args, "cpu"));
    for (int run = 0; run < 2; run++) cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
    clattn_tensor_thaw(&frozen);
    clattn_case_close(&c);
    clattn_close(&context);
}

Test(lstm_cell, outputs_independent) {
    test_outputs_independent((const char *const[]){ "lstm_cell x[3,5] h[3,6] c[3,6] w_ih[24,5] w_hh[24,6] -> h c", NULL });
}

Test(lstm_cell, refusals) {
    test_refusals((const char *const[]){ "lstm_cell x[2,5] h[2,6] c[3,6] w_ih[24,5] w_hh[24,6] => c [3,6] does not fit", "lstm_cell x[2,5] h[2,6] w_ih[24,5] w_hh[24,6] => c is missing", NULL });
}

Test(lstm_cell, goldens) {
    test_goldens("lstm_cell");
}
