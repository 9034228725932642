#include <criterion/criterion.h>

#include "../support/cases.h"

Test(gru, shapes) {
    test_cases((const char *const[]){
        "gru x[1,1,1] w_ih[3,1] w_hh[3,1] -> out h_n", "gru x[1,3,5] w_ih[18,5]*0.4 w_hh[18,6]*0.4 b_ih[18] b_hh[18] h0[1,1,6] -> out h_n", "gru x[2,4,5] w_ih[45,5]*0.4 w_hh[45,15]*0.2 b_hh[45] -> out h_n",
        "gru x[3,4,5] w_ih[48,5]*0.4 w_hh[48,16]*0.2 b_ih[48] -> out h_n", "gru x[7,4,5] w_ih[51,5]*0.4 w_hh[51,17]*0.2 b_ih[51] b_hh[51] h0[1,7,17] -> out h_n", "gru x[17,3,9] w_ih[99,9]*0.3 w_hh[99,33]*0.1 b_ih[99] b_hh[99] -> out h_n",
        "gru x[2,0,5] w_ih[18,5] w_hh[18,6] h0[1,2,6] -> out h_n", "gru x[0,3,5] w_ih[18,5] w_hh[18,6] -> out h_n", "gru x[2,3,0] w_ih[18,0] w_hh[18,6]*0.4 b_ih[18] h0[1,2,6] -> out h_n", "gru x[2,3,5] w_ih[0,5] w_hh[0,0] -> out h_n",
        "gru x[2,3,5] w_ih[18,5]*0.4 w_hh[18,6]*0.4 -> h_n", "gru x[2,33,5] w_ih[18,5]*0.4 w_hh[18,6]*0.4 -> out", NULL });
}

Test(gru, modes) {
    test_cases((const char *const[]){
        "gru x[3,4,5] w_ih[51,5]*0.4 w_hh[51,17]*0.2 b_ih[51] b_hh[51] h0[1,3,17] reset=before -> out h_n", "gru x[3,4,5] w_ih[51,5]*0.4 w_hh[51,17]*0.2 b_hh[51] reset=before keep=new -> out h_n",
        "gru x[3,4,5] w_ih[51,5]*0.4 w_hh[51,17]*0.2 b_ih[51] keep=new -> out h_n", "gru x[19,4,5] w_ih[51,5]*0.4 w_hh[51,17]*0.2 reset=before keep=new -> out h_n",
        "gru x[3,4,5]*100 w_ih[51,5] w_hh[51,17]*0.2 -> out h_n", "gru x[2,2,5] w_ih[18,5]:0.1,nan,0.2 w_hh[18,6]*0.1 -> out h_n", NULL });
}

Test(gru, directions_and_lengths) {
    test_cases((const char *const[]){
        "gru x[3,5,7] w_ih[2,18,7]*0.4 w_hh[2,18,6]*0.4 b_ih[2,18] b_hh[2,18] h0[2,3,6] bidirectional=true -> out h_n", "gru x[1,5,7] w_ih[2,48,7]*0.4 w_hh[2,48,16]*0.2 bidirectional=true -> out h_n",
        "gru x[4,5,7] w_ih[18,7]*0.4 w_hh[18,6]*0.4 lengths[4]:0,5,1,3 -> out h_n", "gru x[4,5,7] w_ih[18,7]*0.4 w_hh[18,6]*0.4 h0[1,4,6] lengths[4]:-3,9,2,5 -> out h_n",
        "gru x[5,4,3] w_ih[2,51,3]*0.4 w_hh[2,51,17]*0.2 b_ih[2,51] b_hh[2,51] h0[2,5,17] lengths[5]:0,4,1,3,2 bidirectional=true reset=before keep=new -> out h_n",
        "gru x[11,4,3] w_ih[2,18,3]*0.4 w_hh[2,18,6]*0.4 lengths[11]:1,0,4,2 bidirectional=true -> out h_n",
        "gru x[2,3,2]:1,2,nan,nan,nan,nan,1,2,3,4,nan,nan w_ih[18,2]*0.4 w_hh[18,6]*0.4 lengths[2]:1,2 -> out h_n", "gru x[2,3,2]:1,2,nan,nan,nan,nan,1,2,3,4,nan,nan w_ih[2,18,2]*0.4 w_hh[2,18,6]*0.4 lengths[2]:1,2 bidirectional=true reset=before -> out h_n", NULL });
}

/* Groups of several times the rows that registers hold, the last one partly empty; more units than a part of the sums. */
Test(gru, many_rows_and_units) {
    test_cases((const char *const[]){
        "gru x[70,4,3] w_ih[51,3]*0.4 w_hh[51,17]*0.2 b_hh[51] lengths[70]:1,0,4,2,3 -> out h_n", "gru x[37,3,3] w_ih[2,51,3]*0.4 w_hh[2,51,17]*0.2 b_hh[2,51] h0[2,37,17] lengths[37]:3,1 bidirectional=true -> out h_n",
        "gru x[67,3,3] w_ih[51,3]*0.4 w_hh[51,17]*0.2 b_hh[51] h0[1,67,17] reset=before keep=new -> out h_n", "gru x[2,3,5] w_ih[804,5]*0.4 w_hh[804,268]*0.05 b_hh[804] -> out h_n", "gru x[33,2,5] w_ih[1539,5]*0.4 w_hh[1539,513]*0.04 reset=before -> out h_n", NULL });
}

Test(gru, outputs_independent) {
    test_outputs_independent((const char *const[]){ "gru x[5,4,3] w_ih[2,51,3]*0.4 w_hh[2,51,17]*0.2 lengths[5]:0,4,1,3,2 bidirectional=true -> out h_n", "gru x[5,4,3] w_ih[51,3]*0.4 w_hh[51,17]*0.2 reset=before -> out h_n", NULL });
}

Test(gru, refusals) {
    test_refusals((const char *const[]){
        "gru x[2,3,5] w_ih[2,18,5] w_hh[2,18,6] => w_ih has rank 3, expected 2 without bidirectional", "gru x[2,3,5] w_ih[18,5] w_hh[18,6] bidirectional=true => w_ih has rank 2, expected 3 with bidirectional",
        "gru x[2,3,5] w_ih[2,18,5] w_hh[2,18,6] b_hh[18] bidirectional=true => b_hh has rank 1, expected 2", "gru x[2,3,5] w_ih[3,18,5] w_hh[3,18,6] bidirectional=true => w_ih [3,18,5] does not fit",
        "gru x[2,3,5] w_ih[17,5] w_hh[18,6] => w_ih [17,5]", "gru x[2,3,5] w_ih[18,4] w_hh[18,6] => I is 5 there, 4 here", "gru x[2,3,5] w_ih[18,5] w_hh[18,5] => w_hh [18,5] does not fit",
        "gru x[2,3,5] w_ih[18,5] w_hh[18,6] h0[2,2,6] => h0 [2,2,6] does not fit", "gru x[2,3,5] w_ih[18,5] w_hh[18,6] lengths[3] => lengths [3] does not fit", "gru x[2,3,5] w_ih[18,5] w_hh[18,6] reset=never => reset", NULL });
}

Test(gru, goldens) {
    test_goldens("gru");
}

Test(gru_cell, against_reference) {
    test_cases((const char *const[]){
        "gru_cell x[1,1] h[1,1] w_ih[3,1] w_hh[3,1]", "gru_cell x[3,5] h[3,6] w_ih[18,5] w_hh[18,6] b_ih[18] b_hh[18]", "gru_cell x[3,5] h[3,17] w_ih[51,5] w_hh[51,17] b_hh[51] reset=before keep=new",
        "gru_cell x[1,40] h[1,33] w_ih[99,40]*0.2 w_hh[99,33]*0.2 b_ih[99] keep=new", "gru_cell x[20,40] h[20,33] w_ih[99,40]*0.2 w_hh[99,33]*0.2 reset=before", "gru_cell x[32,5] h[32,6] w_ih[18,5] w_hh[18,6] b_hh[18]", "gru_cell x[37,5] h[37,17]:1,nan,-3 w_ih[51,5] w_hh[51,17]*0.2 b_ih[51] reset=before keep=new", "gru_cell x[0,5] h[0,6] w_ih[18,5] w_hh[18,6]",
        "gru_cell x[2,0] h[2,6] w_ih[18,0] w_hh[18,6]", NULL });
}

Test(gru_cell, refusals) {
    test_refusals((const char *const[]){ "gru_cell x[2,5] h[3,6] w_ih[18,5] w_hh[18,6] => h [3,6] does not fit", "gru_cell x[2,5] h[2,6] w_ih[2,18,5] w_hh[18,6] => w_ih", NULL });
}

Test(gru_cell, goldens) {
    test_goldens("gru_cell");
}
