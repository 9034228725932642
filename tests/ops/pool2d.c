#include <criterion/criterion.h>

#include "../support/cases.h"

Test(max_pool2d, against_reference) {
    test_cases((const char *const[]){
        "max_pool2d x[1,1,1,1] kernel=1 -> out indices", "max_pool2d x[2,3,7,9] kernel=2 -> out indices", "max_pool2d x[2,3,9,11] kernel=3 stride=2 padding=1 -> indices out", "max_pool2d x[2,3,9,11] kernel=3 stride=2 padding=1 ceil_mode=true -> out indices",
        "max_pool2d x[1,2,7,15] kernel=3 stride=1 padding=1 -> out indices", "max_pool2d x[1,2,7,16] kernel=3 stride=1 padding=1 -> out", "max_pool2d x[1,2,7,17] kernel=3 stride=1 -> out indices", "max_pool2d x[1,2,7,31] kernel=2 -> out indices", "max_pool2d x[1,2,5,33] kernel=2 -> out", "max_pool2d x[1,2,5,67] kernel=3 stride=2 padding=1 -> out",
        "max_pool2d x[1,2,9,40] kernel=3,2 stride=2,3 padding=1,0 -> out indices", "max_pool2d x[1,2,9,101] kernel=2 stride=5 -> out indices", "max_pool2d x[1,2,11,40] kernel=3 stride=1 padding=2 dilation=2 -> out indices", "max_pool2d x[1,2,11,30] kernel=2,3 stride=1,2 dilation=3,4 padding=2,4 ceil_mode=true -> out indices",
        "max_pool2d x[1,2,6,7] kernel=3 padding=0,1,1,0 stride=2 -> out indices", "max_pool2d x[1,1,1,50] kernel=1,5 -> out indices", "max_pool2d x[1,1,50,1] kernel=5,1 -> out indices", "max_pool2d x[1,2,40,43] kernel=31,29 stride=3 padding=15,14 -> out indices", "max_pool2d x[1,2,5,7] kernel=5,7 -> out indices",
        "max_pool2d x[1,1,2,2] kernel=3 stride=2 ceil_mode=true -> out indices", "max_pool2d x[1,1,5,5] kernel=2 stride=4 padding=1 ceil_mode=true -> out indices",
        /* windows whose taps all lie outside the input */
        "max_pool2d x[1,1,1,1] kernel=2 dilation=3 padding=2 stride=1 -> out indices", "max_pool2d x[1,1,0,3] kernel=2 padding=1 -> out indices",
        /* equal values, NaN, infinities */
        "max_pool2d x[1,2,9,19]<3:0,1,1,2,0,2,2 kernel=3 stride=2 padding=1 -> out indices", "max_pool2d x[1,1,6,20]:1,2,3,nan,5,6,7,inf,-inf,1,2 kernel=3 stride=1 padding=1 -> out indices", "max_pool2d x[1,1,6,20]:-inf kernel=3 stride=2 padding=1 -> out indices", "max_pool2d x[1,1,6,20]:nan kernel=2 -> out indices", "max_pool2d x[1,1,6,20]:-3,-2,-7 kernel=3 padding=1 -> out indices",
        "max_pool2d x[0,2,5,5] kernel=2 -> out indices", "max_pool2d x[2,0,5,5] kernel=2 -> out indices", NULL });
}

Test(avg_pool2d, against_reference) {
    test_cases((const char *const[]){
        "avg_pool2d x[1,1,1,1] kernel=1", "avg_pool2d x[2,3,7,9] kernel=2", "avg_pool2d x[2,3,9,11] kernel=3 stride=2 padding=1", "avg_pool2d x[2,3,9,11] kernel=3 stride=2 padding=1 count_include_pad=false", "avg_pool2d x[2,3,9,12] kernel=3 stride=2 padding=1 ceil_mode=true", "avg_pool2d x[2,3,9,12] kernel=3 stride=2 padding=1 ceil_mode=true count_include_pad=false",
        "avg_pool2d x[1,2,7,15] kernel=3 stride=1 padding=1", "avg_pool2d x[1,2,7,16] kernel=3 stride=1", "avg_pool2d x[1,2,7,17] kernel=2 stride=1", "avg_pool2d x[1,2,5,65] kernel=2", "avg_pool2d x[1,2,5,65] kernel=3,5 stride=2,3 padding=1,2", "avg_pool2d x[1,2,11,40] kernel=3 stride=1 padding=2 dilation=2", "avg_pool2d x[1,2,11,40] kernel=3 stride=2 padding=2 dilation=2 count_include_pad=false ceil_mode=true",
        "avg_pool2d x[1,2,6,7] kernel=3 padding=0,1,1,0 stride=2", "avg_pool2d x[1,2,6,7] kernel=3 padding=0,1,1,0 stride=2 count_include_pad=false", "avg_pool2d x[1,1,1,50] kernel=1,5", "avg_pool2d x[1,1,50,1] kernel=5,1", "avg_pool2d x[1,2,113,97] kernel=113,97", "avg_pool2d x[1,1,1,1] kernel=2 dilation=3 padding=2 stride=1 count_include_pad=false", "avg_pool2d x[1,1,0,3] kernel=2 padding=1",
        "avg_pool2d x[1,1,5,9]*10000 kernel=3 padding=1", "avg_pool2d x[1,1,6,20]:1,2,3,nan,5,6,7,inf,8,1,2 kernel=3 stride=1 padding=1", "avg_pool2d x[0,2,5,5] kernel=2", "avg_pool2d x[2,0,5,5] kernel=2", NULL });
}

/* Rows of several vectors, of which the last overlaps another, and windows that reach outside. */
Test(pool2d, wide_rows) {
    test_cases((const char *const[]){
        "max_pool2d x[2,3,13,112] kernel=3 stride=2 padding=1", "max_pool2d x[1,2,9,113] kernel=3 stride=2", "max_pool2d x[1,2,10,49] kernel=2", "max_pool2d x[1,2,9,51] kernel=5 stride=2 padding=2", "max_pool2d x[1,2,9,47] kernel=3 stride=2 dilation=2 padding=1", "max_pool2d x[1,2,9,47] kernel=3 stride=1 padding=1",
        "max_pool2d x[1,2,9,100] kernel=3 stride=3", "max_pool2d x[1,1,3,9000] kernel=3 stride=2 padding=1", "max_pool2d x[1,1,6,40]:1,2,3,nan,5,6,7,inf,-inf,1,2 kernel=3 stride=2 padding=1", "max_pool2d x[1,3,1,40] kernel=1,2", "max_pool2d x[1,2,9,64] kernel=3,2 stride=1,2 padding=1,0",
        "avg_pool2d x[2,3,13,112] kernel=2", "avg_pool2d x[1,2,9,113] kernel=3 stride=2 padding=1 count_include_pad=false", "avg_pool2d x[1,2,9,51] kernel=5 stride=2 padding=2", "avg_pool2d x[1,1,3,9000] kernel=3 stride=2 padding=1", "avg_pool2d x[1,2,9,47] kernel=3 stride=1 padding=1", NULL });
}

Test(pool2d, f16) {
    test_cases_f16((const char *const[]){
        "max_pool2d x[2,3,13,112] kernel=3 stride=2 padding=1", "max_pool2d x[1,2,7,15] kernel=3 stride=1 padding=1", "avg_pool2d x[2,3,13,112] kernel=2", "avg_pool2d x[1,2,9,49] kernel=3 stride=2 padding=1 count_include_pad=false", "global_pool2d x[2,3,17,19]", NULL });
}

Test(global_pool2d, against_reference) {
    test_cases((const char *const[]){
        "global_pool2d x[1,1,1,1]", "global_pool2d x[1,1,1,1] kind=max", "global_pool2d x[2,3,3,5]", "global_pool2d x[2,3,4,4] kind=max", "global_pool2d x[2,3,1,17]", "global_pool2d x[2,3,17,1] kind=max", "global_pool2d x[3,5,7,9]", "global_pool2d x[3,5,8,8] kind=max", "global_pool2d x[2,2,13,5] kind=max", "global_pool2d x[1,2,127,131]", "global_pool2d x[1,2,127,131] kind=max",
        "global_pool2d x[40,50,7,7]", "global_pool2d x[1,2,5,7]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39 kind=max", "global_pool2d x[1,1,9,9]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,nan kind=max", "global_pool2d x[1,1,70,70]:-inf kind=max", "global_pool2d x[1,1,7,7]:inf,2", "global_pool2d x[1,1,7,7]:nan,2",
        "global_pool2d x[2,3,7,7]:-5 kind=max", "global_pool2d x[2,3,0,5]", "global_pool2d x[2,3,5,0] kind=max", "global_pool2d x[0,3,5,5]", "global_pool2d x[2,0,5,5] kind=max", NULL });
}

#define LP_AND_LSE(x) "global_pool2d " x " kind=lp", "global_pool2d " x " kind=lse"

Test(global_pool2d, lp_and_lse) {
    test_cases((const char *const[]){
        LP_AND_LSE("x[1,1,1,1]"), LP_AND_LSE("x[2,3,3,5]"), LP_AND_LSE("x[2,3,4,4]"), LP_AND_LSE("x[2,3,1,17]"), LP_AND_LSE("x[2,3,31,1]"), LP_AND_LSE("x[1,2,127,131]"), LP_AND_LSE("x[40,50,7,7]"), LP_AND_LSE("x[2,3,32,32]"), LP_AND_LSE("x[1,2,25,41]"),
        /* squares and exponentials beyond f32, zeros, infinities, NaN */
        LP_AND_LSE("x[1,2,5,7]*1e30"), LP_AND_LSE("x[1,2,5,7]*1e-30"), LP_AND_LSE("x[1,2,5,7]*100"), LP_AND_LSE("x[1,2,5,7]:0"), LP_AND_LSE("x[1,1,5,7]:-inf"), LP_AND_LSE("x[1,1,5,7]:-inf,1,2"), LP_AND_LSE("x[1,1,5,7]:1,inf,-inf"), LP_AND_LSE("x[1,1,5,7]:1,2,3,nan"), LP_AND_LSE("x[1,1,4,5]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,nan"), LP_AND_LSE("x[1,1,1,3]:inf,nan,1"),
        LP_AND_LSE("x[2,3,0,5]"), LP_AND_LSE("x[0,3,5,5]"), LP_AND_LSE("x[2,0,5,5]"), NULL });
}

/* Where the variants for GPUs cut: windows into tiles of 1 to 32 by 1 to 64 outputs in one or several planes, whole planes into parts. */
static const char *const max_gpu_cases[] = {
    "max_pool2d x[1,3,70,75] kernel=3 stride=1 padding=1 -> out indices", "max_pool2d x[1,2,64,64] kernel=2 -> out indices", "max_pool2d x[1,9,65,67] kernel=3 stride=2 padding=1 -> out indices", "max_pool2d x[7,5,3,3] kernel=2 stride=1 -> out indices", "max_pool2d x[130,1,2,2] kernel=2 -> out indices", "max_pool2d x[131,1,3,5] kernel=3,1 -> out indices",
    "max_pool2d x[1,1,300,9] kernel=2 -> out indices", "max_pool2d x[1,2,3,300] kernel=3 -> out indices", "max_pool2d x[2,3,17,34] kernel=2,3 stride=1,2 -> indices", "max_pool2d x[1,2,31,30] kernel=13 stride=1 padding=6 -> out indices", "max_pool2d x[3,2,20,20] kernel=5 stride=3 padding=2 ceil_mode=true -> out indices", "max_pool2d x[2,2,40,33] kernel=3 dilation=3 padding=3 stride=1 -> out indices",
    "max_pool2d x[2,7,1,1] kernel=1 -> out indices", "max_pool2d x[1,1,40,40] kernel=9 stride=4 dilation=2 padding=8 -> out indices", "max_pool2d x[1,2,33,70]:1,2,3,nan,5,6,7,inf,-inf,1,2,-3,4 kernel=3 stride=1 padding=1 -> out indices", "max_pool2d x[1,2,33,70]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32 kernel=2 -> out indices", NULL };
static const char *const avg_gpu_cases[] = {
    "avg_pool2d x[1,3,70,75] kernel=3 stride=1 padding=1", "avg_pool2d x[1,3,70,75] kernel=3 stride=1 padding=1 count_include_pad=false", "avg_pool2d x[1,2,64,64] kernel=2", "avg_pool2d x[130,2,7,7] kernel=7", "avg_pool2d x[131,1,3,5] kernel=2 stride=1", "avg_pool2d x[2,2,31,30] kernel=7 stride=1 padding=3 count_include_pad=false",
    "avg_pool2d x[3,2,20,20] kernel=5 stride=3 padding=2 ceil_mode=true", "avg_pool2d x[3,2,20,20] kernel=5 stride=3 padding=2 ceil_mode=true count_include_pad=false", "avg_pool2d x[2,2,40,33] kernel=3 dilation=3 padding=3 stride=1 count_include_pad=false", "avg_pool2d x[1,2,33,70]:1,2,3,nan,5,6,7,inf,-inf,1,2,-3,4 kernel=3 stride=2 padding=1", NULL };
static const char *const global_gpu_cases[] = {
    "global_pool2d x[1,1,97,131]", "global_pool2d x[1,1,97,131] kind=max", LP_AND_LSE("x[1,1,97,131]"), "global_pool2d x[1,2,128,96]", "global_pool2d x[1,2,128,96] kind=max", LP_AND_LSE("x[1,2,128,96]"), "global_pool2d x[1,1,1,65537]", "global_pool2d x[1,1,65536,1] kind=max", "global_pool2d x[3,700,1,1]", "global_pool2d x[2,67,3,4] kind=max", LP_AND_LSE("x[2,67,3,4]"),
    "global_pool2d x[1,1,100,100]:-inf kind=max", LP_AND_LSE("x[1,1,100,100]:-inf"), LP_AND_LSE("x[1,1,100,100]:0"), "global_pool2d x[1,1,100,99]:1,2,3,4,5,6,7,8,9,10,nan kind=max", LP_AND_LSE("x[1,1,100,100]:1,2,inf,4"), LP_AND_LSE("x[1,1,100,100]*1e30"), NULL };

Test(max_pool2d, cuts_for_gpus) {
    test_gpu_cases(max_gpu_cases);
}

Test(avg_pool2d, cuts_for_gpus) {
    test_gpu_cases(avg_gpu_cases);
}

Test(global_pool2d, cuts_for_gpus) {
    test_gpu_cases(global_gpu_cases);
}

Test(pool2d, f16_itself) {
    test_cases_f16((const char *const[]){
        "max_pool2d x[1,3,33,37] kernel=3 stride=2 padding=1 -> out indices", "max_pool2d x[9,5,3,3] kernel=2 stride=1 -> out", "avg_pool2d x[1,3,33,37] kernel=3 stride=1 padding=1 count_include_pad=false", "avg_pool2d x[30,2,7,7] kernel=7", "global_pool2d x[2,3,7,7]", "global_pool2d x[1,2,128,96]", "global_pool2d x[1,2,97,131] kind=max", LP_AND_LSE("x[2,3,8,8]"), NULL });
}

Test(pool2d, refusals) {
    test_refusals((const char *const[]){
        "max_pool2d x[1,1,5,5] => kernel is missing", "max_pool2d x[1,1,5,5] kernel=0 => kernel=0", "max_pool2d x[1,1,5,5] kernel=2,2,2 => kernel has 3 values; expected 1 or 2", "max_pool2d x[1,1,5,5] kernel=2 stride=0 => stride=0", "max_pool2d x[1,1,5,5] kernel=2 padding=-1 => padding=-1", "max_pool2d x[1,1,5,5] kernel=2 dilation=0 => dilation=0",
        "max_pool2d x[1,1,5,5] kernel=3 padding=2 => padding = 2 is more than half of the kernel, which covers 3", "max_pool2d x[1,1,5,5] kernel=4 padding=0,0,3,0 => padding = 3", "avg_pool2d x[1,1,5,5] kernel=3,1 padding=1 => padding = 1 is more than half of the kernel, which covers 1 along the width", "avg_pool2d x[1,1,5,5] kernel=3 padding=1,1,1 => padding has 3 values",
        "max_pool2d x[1,1,5,5] kernel=6 => the kernel is larger than the padded input: 6 (dilated) against 5 along the height", "avg_pool2d x[1,1,5,5] kernel=3 dilation=3 => 7 (dilated) against 5", "max_pool2d x[1,5,5] kernel=2 => x [1,5,5] does not fit", "max_pool2d x[1,1,5,5] kernel=2000000 => kernel=2000000", "max_pool2d x[1,1,0,5] kernel=2 => the kernel is larger",
        "global_pool2d x[1,1,5,5] kind=sum => expected one of avg, max, lp, lse", "global_pool2d x[1,5] => x [1,5] does not fit", NULL });
}

Test(max_pool2d, outputs_independent) {
    test_outputs_independent((const char *const[]){ "max_pool2d x[2,3,9,37] kernel=3 stride=2 padding=1 -> out indices", "max_pool2d x[1,1,6,20]:0,-0,1,-1,nan kernel=2 -> out indices", NULL });
}

Test(max_pool2d, goldens) {
    test_goldens("max_pool2d");
}

Test(avg_pool2d, goldens) {
    test_goldens("avg_pool2d");
}

Test(global_pool2d, goldens) {
    test_goldens("global_pool2d");
}
