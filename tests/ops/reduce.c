#include <criterion/criterion.h>

#include "../support/cases.h"

Test(reduce, against_reference) {
    test_cases((const char *const[]){
        "reduce x[]", "reduce x[] kind=l2 keepdims=true", "reduce x[1] kind=mean", "reduce x[7]", "reduce x[1,15] axes=1", "reduce x[3,16] axes=1 kind=mean", "reduce x[3,17] axes=-1 kind=max", "reduce x[3,63] axes=1 kind=min", "reduce x[3,64] axes=1 kind=l2",
        "reduce x[3,65] axes=1 keepdims=true", "reduce x[5,1025] axes=1 kind=max", "reduce x[5,1025] axes=1 kind=min", "reduce x[5,1025] axes=1 kind=l2", "reduce x[5,7] axes=0", "reduce x[5,7] axes=0,1 keepdims=true", "reduce x[2,3,5,7] axes=1 kind=max",
        "reduce x[2,3,5,7] axes=2,1 kind=mean", "reduce x[2,3,5,7] axes=-1,0 kind=min keepdims=true", "reduce x[2,3,5,7] axes=3,1 kind=l2", "reduce x[2,3,2,3,2,1,2,3] axes=1,3,5,7", "reduce x[2,3,1,5,1] axes=3,2 kind=max", "reduce x[3,1,5] axes=1", NULL });
}

/* Longer than a part of either variant, in parts that do not come out even. */
Test(reduce, in_parts) {
    test_cases((const char *const[]){
        "reduce x[200003]", "reduce x[200003] kind=mean", "reduce x[200003] kind=max", "reduce x[200003] kind=min", "reduce x[200003] kind=l2", "reduce x[3,70001] axes=1", "reduce x[70001,3] axes=0 kind=mean", "reduce x[300000]:1.1", "reduce x[300000]:1e8,1,-1e8,0.5",
        "reduce x[100000]*1e30 kind=l2", "reduce x[2,50000] axes=1 kind=max keepdims=true", NULL });
}

Test(reduce, of_nothing) {
    test_cases((const char *const[]){
        "reduce x[0]", "reduce x[0] kind=mean", "reduce x[0] kind=max", "reduce x[0] kind=min", "reduce x[0] kind=l2", "reduce x[3,0] axes=1 kind=max", "reduce x[3,0] axes=1 kind=mean keepdims=true", "reduce x[0,3] axes=0 kind=min", "reduce x[0,3] axes=1", "reduce x[3,0,2] axes=0", "reduce x[0,70] axes=1", NULL });
}

Test(reduce, of_odd_values) {
    test_cases((const char *const[]){
        "reduce x[2,70]:nan,1,2,3,4,5,6,7,8,9,10 axes=1 kind=max", "reduce x[2,70]:1,2,nan axes=1 kind=min", "reduce x[40]:1,2,nan", "reduce x[40]:1,2,nan kind=l2", "reduce x[40]:inf,1", "reduce x[40]:inf,1 kind=l2", "reduce x[40]:inf,-inf kind=mean", "reduce x[40]:inf,-inf kind=max",
        "reduce x[40]:inf,-inf kind=min", "reduce x[40]:-inf kind=max", "reduce x[40]:inf kind=min", "reduce x[3,40]*1e25 axes=1 kind=l2", "reduce x[3,40]*1e-30 axes=1 kind=l2", "reduce x[40]:0 kind=l2", "reduce x[40]:-1,-2 kind=max", "reduce x[40]:1,2 kind=min", NULL });
}

Test(reduce, refusals) {
    test_refusals((const char *const[]){
        "reduce x[2,3] axes=2 => axes holds 2, outside x's rank 2", "reduce x[2,3] axes=-3 => axes holds -3", "reduce x[] axes=0 => axes holds 0, outside x's rank 0", "reduce x[2,3] axes=1,-1 => axes names axis -1 twice", "reduce x[2,3] kind=prod => one of sum, mean, max, min, l2",
        "reduce axes=0 => x is missing", "reduce x[2] axes=a => integers", NULL });
}

Test(reduce, f16) {
    test_cases_f16((const char *const[]){
        "reduce x[7]", "reduce x[3,17] axes=-1 kind=max", "reduce x[3,63] axes=1 kind=min", "reduce x[5,1025] axes=1 kind=l2", "reduce x[2,3,5,7] axes=2,1 kind=mean", "reduce x[200003] kind=mean", "reduce x[3,70001] axes=1", "reduce x[70001,3] axes=0 kind=mean", "reduce x[40]:inf,-inf kind=max", NULL });
}

Test(reduce, goldens) {
    test_goldens("reduce");
}
