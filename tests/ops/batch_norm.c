#include <criterion/criterion.h>

#include "../support/cases.h"

Test(batch_norm, against_reference) {
    test_cases((const char *const[]){
        "batch_norm x[1,1,1,1] mean[1] var[1]:1", "batch_norm x[2,3,3,5] mean[3] var[3]:1,2,0.5", "batch_norm x[2,3,4,4] gamma[3] mean[3] var[3]:1,2,0.5", "batch_norm x[2,3,1,17] beta[3] mean[3] var[3]:1,2,0.5", "batch_norm x[2,3,17,1] gamma[3] beta[3] mean[3] var[3]:1,2,0.5 eps=0.5", "batch_norm x[2,3,7,9] gamma[3] beta[3] mean[3] var[3]:0,1e-12,1e9",
        "batch_norm x[3,50,1,1] gamma[50] beta[50] mean[50] var[50]:1,2,0.5", "batch_norm x[1,2,129,131] mean[2] var[2]:1", "batch_norm x[2,2,3,5]:10001,10002,10003,9999 mean[2]:10000 var[2]:1,4",
        "batch_norm x[1,1,1,1] training=true -> out mean var", "batch_norm x[3,5,6,7] training=true -> out mean var", "batch_norm x[3,5,4,4] gamma[5] beta[5] training=true -> mean var out", "batch_norm x[7,3,1,1] training=true eps=0.001 -> out", "batch_norm x[2,3,1,17] gamma[3] training=true -> var", "batch_norm x[2,3,17,1] beta[3] training=true -> mean", "batch_norm x[2,2,129,131] training=true -> out mean var",
        /* far from zero; constant; not finite in one channel only */
        "batch_norm x[3,2,5,7]:10001,10002,10003,9999,10000.5 training=true -> out mean var", "batch_norm x[3,2,5,7]:-1000000,-1000001,-1000000.5 training=true -> out mean var", "batch_norm x[3,2,5,7]:3 training=true -> out mean var", "batch_norm x[3,2,5,7]*1e-6 training=true -> out mean var", "batch_norm x[3,2,5,7]*1e6 training=true -> out mean var",
        "batch_norm x[1,2,1,4]:nan,1,2,3,4,5,6,7 training=true -> out mean var", "batch_norm x[1,2,1,4]:nan,1,inf,3,4,5,6,7 mean[2] var[2]:1",
        "batch_norm x[0,3,4,5] mean[3] var[3]:1", "batch_norm x[0,3,4,5] training=true -> out mean var", "batch_norm x[2,0,4,5] training=true -> out mean var", "batch_norm x[2,3,0,5] training=true -> out mean var", NULL });
}

/* Where the variant for GPUs cuts: quads across planes, channels into parts. */
static const char *const gpu_cases[] = {
    "batch_norm x[2,700,1,1] gamma[700] beta[700] mean[700] var[700]:1,2,0.5", "batch_norm x[2,341,1,2] gamma[341] mean[341] var[341]:1,2,0.5", "batch_norm x[3,5,1,3] mean[5] var[5]:1,2,0.5,3", "batch_norm x[2,37,5,5] beta[37] mean[37] var[37]:1,2,0.5,3", "batch_norm x[3,1,31,33] mean[1] var[1]:2", "batch_norm x[1,3,64,65] gamma[3] beta[3] mean[3] var[3]:1",
    "batch_norm x[2,3,64,64] training=true -> out mean var", "batch_norm x[5,2,33,61] gamma[2] beta[2] training=true -> out mean var", "batch_norm x[40,1,13,17] training=true -> out mean var", "batch_norm x[1,1,1,20000] training=true -> out mean var", "batch_norm x[300,2,1,1] training=true -> out mean var", "batch_norm x[3,70,2,3] training=true -> out mean var",
    "batch_norm x[4,1,70,61]:10001,10002,10003,9999,10000.5 training=true -> out mean var", "batch_norm x[1,1,100,100]:-1000000,-1000001,-1000000.5 training=true -> out mean var", "batch_norm x[2,1,100,90]:3 training=true -> out mean var", "batch_norm x[1,1,100,100]*1e-6 training=true -> out mean var", NULL };

Test(batch_norm, cuts_for_gpus) {
    test_gpu_cases(gpu_cases);
}

Test(batch_norm, f16_itself) {
    test_cases_f16((const char *const[]){ "batch_norm x[2,37,5,5] beta[37] mean[37] var[37]:1,2,0.5,3", "batch_norm x[1,3,64,65] gamma[3] beta[3] mean[3] var[3]:1", "batch_norm x[2,3,64,64] training=true -> out mean var", "batch_norm x[3,70,2,3] training=true -> out mean var", NULL });
}

Test(batch_norm, refusals) {
    test_refusals((const char *const[]){
        "batch_norm x[1,2,3,4] => mean is missing", "batch_norm x[1,2,3,4] mean[2] => var is missing", "batch_norm x[1,2,3,4] mean[2] var[2] training=true => mean is given with training", "batch_norm x[1,2,3,4] var[2] training=true => var is given with training",
        "batch_norm x[1,2,3,4] mean[2] var[2] -> mean => no output mean for these arguments", "batch_norm x[1,2,3,4] mean[2] var[2] -> out var => no output var for these arguments", "batch_norm x[1,2,3,4] mean[3] var[2] => mean [3] does not fit x [1,2,3,4]: C is 2 there, 3 here", "batch_norm x[1,2,3,4] gamma[1] mean[2] var[2] => gamma [1] does not fit",
        "batch_norm x[2,3] mean[3] var[3] => x [2,3] does not fit", "batch_norm x[1,2,3,4] mean[2] var[2] eps=-1 => eps=-1", "batch_norm x[1,2,3,4] mean[2] var[2] eps=0 => a number other than zero", "batch_norm x[1,2,3,4] mean[2] var[2] eps=nan => finite", NULL });
}

Test(batch_norm, outputs_independent) {
    test_outputs_independent((const char *const[]){ "batch_norm x[3,5,6,7] gamma[5] training=true -> out mean var", "batch_norm x[2,3,2,3]:10001,10002,9999,4,5 training=true -> out mean var", NULL });
}

Test(batch_norm, goldens) {
    test_goldens("batch_norm");
}
