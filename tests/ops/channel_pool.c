#include <criterion/criterion.h>

#include "../support/cases.h"

Test(channel_pool, against_reference) {
    test_cases((const char *const[]){
        "channel_pool x[1,1,1,1]", "channel_pool x[2,5,3,5]", "channel_pool x[2,5,4,4] kinds=mean+max", "channel_pool x[2,5,1,17] kinds=max", "channel_pool x[2,5,17,1] kinds=mean", "channel_pool x[2,2,6,7]", "channel_pool x[1,63,3,7]", "channel_pool x[1,64,3,7]", "channel_pool x[1,65,3,7]", "channel_pool x[1,131,19,23]",
        "channel_pool x[2,3,16,28]", "channel_pool x[2,3,449,1]", "channel_pool x[1,3,1,447]", "channel_pool x[1,3,30,31]", "channel_pool x[1,1031,2,3]", "channel_pool x[1,4,5,7]*10000", "channel_pool x[1,4,3,7]:-1,-2,-3,-4,-5",
        "channel_pool x[1,4,3,7]:nan,1,2,3,4,5,6,7,8,9,10", "channel_pool x[1,4,3,7]:1,2,3,inf,-inf,4,5,6,7,8,9", "channel_pool x[1,3,5,5]:-inf", "channel_pool x[1,3,5,5]:nan",
        "channel_pool x[2,0,3,4]", "channel_pool x[0,2,3,4]", "channel_pool x[2,2,0,4]", NULL });
}

Test(channel_pool, cuts_for_gpus) {
    test_gpu_cases((const char *const[]){
        "channel_pool x[1,2050,3,5]", "channel_pool x[1,2050,2,4] kinds=mean+max", "channel_pool x[300,1,1,1]", "channel_pool x[2,9,33,129]", "channel_pool x[1,9,32,128]", "channel_pool x[3,5,1,127] kinds=max", "channel_pool x[9,35,8,16] kinds=mean", "channel_pool x[1,4,1,17]", "channel_pool x[2,33,9,15]",
        "channel_pool x[1,40,3,8]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,nan", "channel_pool x[1,40,3,5]:1,2,3,inf,5,-inf,7,nan,9", NULL });
}

Test(channel_pool, refusals) {
    test_refusals((const char *const[]){
        "channel_pool x[1,2,3,4] kinds=lp => kinds=lp: expected a list like a+b of mean, max", "channel_pool x[1,2,3,4] kinds=max+lse => expected a list like a+b of mean, max", "channel_pool x[1,2,3,4] kinds=avg => expected a list like a+b of mean, max", "channel_pool x[1,2,3,4] kinds=max+max => kinds names max twice",
        "channel_pool x[1,2,3] => x [1,2,3] does not fit", NULL });
}

Test(channel_pool, f16) {
    test_cases_f16((const char *const[]){
        "channel_pool x[2,5,3,5]", "channel_pool x[1,131,19,23]", "channel_pool x[1,4,3,7]:nan,1,2,3,4,5,6,7,8,9,10", NULL });
}

Test(channel_pool, goldens) {
    test_goldens("channel_pool");
}
