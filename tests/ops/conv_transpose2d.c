#include <criterion/criterion.h>

#include "../support/cases.h"

#define X "conv_transpose2d x[2,3,5,7] "

Test(conv_transpose2d, against_reference) {
    test_cases((const char *const[]){
        "conv_transpose2d x[1,1,1,1] weight[1,1,1,1]", X "weight[3,4,1,1] bias[4]", X "weight[3,4,3,3] bias[4]", X "weight[3,4,3,3] padding=1", X "weight[3,4,2,2] bias[4] stride=2", X "weight[3,4,3,3] bias[4] stride=2 padding=1 output_padding=1",
        X "weight[3,4,3,2] stride=2,3 padding=1,0 output_padding=1,2", X "weight[3,2,3,3] stride=1 dilation=2 output_padding=1", X "weight[3,2,3,2] stride=3 dilation=2,4 padding=2,1 bias[2]", X "weight[3,2,4,4] stride=2 padding=0,1,2,3", X "weight[3,2,1,1] stride=3", X "weight[3,2,1,1] stride=3 output_padding=2 bias[2]",
        "conv_transpose2d x[2,6,5,7] weight[6,2,3,3] bias[4] groups=2 stride=2", "conv_transpose2d x[2,6,5,7] weight[6,1,3,3] bias[6] groups=6 padding=1", "conv_transpose2d x[1,4,5,7] weight[4,3,2,2] groups=4 stride=2",
        /* rows around whole vectors */
        "conv_transpose2d x[1,2,3,15] weight[2,3,3,3] padding=1", "conv_transpose2d x[1,2,3,16] weight[2,3,3,3] padding=1", "conv_transpose2d x[1,2,3,17] weight[2,3,3,3]", "conv_transpose2d x[1,2,3,33] weight[2,3,3,3] padding=2", "conv_transpose2d x[1,2,3,16] weight[2,3,2,2] stride=2", "conv_transpose2d x[1,2,3,17] weight[2,3,2,2] stride=2 bias[3]",
        "conv_transpose2d x[1,2,3,33] weight[2,3,3,3] stride=2 padding=1", "conv_transpose2d x[1,2,3,34] weight[2,3,4,4] stride=2 padding=1,3", "conv_transpose2d x[1,2,3,33] weight[2,3,5,5] stride=2 padding=4 dilation=2", "conv_transpose2d x[1,37,13,11] weight[37,17,3,3] stride=2 padding=1 bias[17]", "conv_transpose2d x[1,5,31,29] weight[5,3,7,7] padding=3",
        "conv_transpose2d x[1,2,1,1] weight[2,3,5,7] padding=2", "conv_transpose2d x[1,2,9,1] weight[2,3,5,1] stride=7", "conv_transpose2d x[1,1,2,2] weight[1,1,3,3] padding=1 dilation=3 stride=4", "conv_transpose2d x[1,2,4,5]*10000 weight[2,3,3,3]", "conv_transpose2d x[1,1,3,20]:1,2,3,nan,5,inf,7,8,9,10,11 weight[1,1,2,2] stride=2",
        "conv_transpose2d x[0,3,5,7] weight[3,4,3,3]", "conv_transpose2d x[2,0,2,3] weight[0,4,3,3] bias[4]", "conv_transpose2d x[2,3,2,3] weight[3,0,3,3]", "conv_transpose2d x[2,3,0,3] weight[3,2,3,3] bias[2]", NULL });
}

Test(conv_transpose2d, refusals) {
    test_refusals((const char *const[]){
        X "=> weight is missing", X "weight[4,4,3,3] => weight [4,4,3,3]", X "weight[3,4,3,3] bias[3] => expected O = 4, found 3", X "weight[3,4,3,3] groups=2 => x has 3 channels, not divisible by groups = 2", X "weight[3,4,3,3] groups=-1 => groups=-1",
        X "weight[3,4,3,3] bias[4] groups=3 => expected O = 12, found 4", X "weight[3,4,3,3] stride=0 => stride=0", X "weight[3,4,3,3] stride=1,2,3 => stride has 3 values", X "weight[3,4,3,3] output_padding=1 => output_padding = 1 along the height is neither less than stride = 1 nor than dilation = 1",
        X "weight[3,4,3,3] stride=3,2 output_padding=2 => output_padding = 2 along the width is neither less than stride = 2", X "weight[3,4,3,3] output_padding=0,0,0,0 => output_padding has 4 values", X "weight[3,4,3,3] output_padding=-1 => output_padding=-1", X "weight[3,4,1,1] padding=3 => padding = 3,3 leaves nothing of the result's height",
        X "weight[3,4,3,0] => weight has a kernel of 0 along the width", X "weight[3,4,3] => weight [3,4,3]", "conv_transpose2d x[3,5,7] weight[3,4,3,3] => x [3,5,7]", NULL });
}

Test(conv_transpose2d, goldens) {
    test_goldens("conv_transpose2d");
}
