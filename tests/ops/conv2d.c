#include <criterion/criterion.h>

#include "../support/cases.h"
#include "../support/device.h"

Test(conv2d, against_reference) {
    test_cases((const char *const[]){
        "conv2d x[1,1,1,1] weight[1,1,1,1]", "conv2d x[2,3,7,9] weight[5,3,3,3] bias[5]", "conv2d x[2,3,7,9] weight[5,3,3,3] padding=1",
        /* channels of the output about the vectors' blocks */
        "conv2d x[1,2,5,6] weight[7,2,3,3] padding=1", "conv2d x[1,2,5,6] weight[8,2,3,3] bias[8]", "conv2d x[1,2,5,6] weight[15,2,3,3]", "conv2d x[1,2,5,6] weight[17,2,3,3] bias[17]",
        "conv2d x[1,2,5,17] weight[33,2,1,3] padding=0,1", "conv2d x[1,3,4,5] weight[48,3,3,3] padding=1", "conv2d x[1,3,4,5] weight[64,3,3,3] padding=1 bias[64]", "conv2d x[1,3,4,5] weight[101,3,3,3] padding=1 bias[101]",
        /* rows about the register tiles and vectors */
        "conv2d x[1,1,3,14] weight[16,1,3,3] padding=1", "conv2d x[1,1,3,15] weight[16,1,3,3] padding=1", "conv2d x[1,1,3,13] weight[20,1,3,3] padding=1", "conv2d x[1,1,2,113] weight[64,1,3,3] padding=1", "conv2d x[1,1,3,229] weight[9,1,3,3] padding=1",
        "conv2d x[1,1,5,15] weight[2,1,3,3] padding=1", "conv2d x[1,1,6,16] weight[2,1,3,3] padding=1", "conv2d x[1,1,9,17] weight[2,1,3,3] padding=1", "conv2d x[1,1,3,131] weight[1,1,3,3] padding=1",
        /* many channels: sums in several passes */
        "conv2d x[1,149,5,5] weight[16,149,3,3] padding=1", "conv2d x[1,300,3,4] weight[20,300,1,1]", "conv2d x[1,131,4,4] weight[3,131,3,3] padding=1 bias[3]", "conv2d x[1,211,9,9] weight[2,211,5,5]",
        /* stride, dilation, padding, groups */
        "conv2d x[2,3,9,11] weight[8,3,3,3] stride=2 padding=1", "conv2d x[2,3,9,37] weight[2,3,3,3] stride=2 padding=1", "conv2d x[1,3,13,40] weight[9,3,3,2] stride=3,2", "conv2d x[1,3,13,80] weight[2,3,3,3] stride=2,5 bias[2]", "conv2d x[1,3,13,80] weight[19,3,3,3] stride=2,5",
        "conv2d x[1,2,11,40] weight[9,2,3,3] dilation=2 padding=2", "conv2d x[1,2,11,40] weight[3,2,3,3] dilation=3,2 padding=3,2", "conv2d x[1,2,6,5] weight[10,2,3,3] padding=0,1,2,3 stride=2,1", "conv2d x[1,2,6,5] weight[2,2,3,3] padding=3,2,0,1",
        "conv2d x[1,1,2,2] weight[8,1,3,3] padding=9", "conv2d x[1,1,2,2] weight[1,1,3,3] padding=9,20", "conv2d x[1,1,3,3] weight[8,1,2,2] dilation=40 padding=40",
        "conv2d x[2,6,7,5] weight[9,2,3,3] groups=3 padding=1 bias[9]", "conv2d x[1,4,7,5] weight[34,2,3,3] groups=2 padding=1 bias[34]", "conv2d x[2,7,9,20] weight[7,1,3,3] groups=7 padding=1 bias[7]", "conv2d x[1,5,9,8] weight[10,1,5,5] groups=5 padding=2 stride=2",
        /* large and flat kernels */
        "conv2d x[1,2,15,17] weight[3,2,7,7] padding=3", "conv2d x[1,2,40,43] weight[8,2,31,29]", "conv2d x[1,3,1,50] weight[16,3,1,7]", "conv2d x[1,3,50,1] weight[16,3,7,1] padding=3,0", "conv2d x[1,1,1,700] weight[1,1,1,300]",
        "conv2d x[100,1,8,8] weight[16,1,3,3] padding=1 activation=relu bias[16]",
        /* activations */
        "conv2d x[1,2,5,18] weight[9,2,3,3] activation=relu", "conv2d x[1,2,5,18] weight[2,2,3,3] activation=relu", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=gelu bias[9]", "conv2d x[1,2,5,18] weight[2,2,3,3] activation=gelu_tanh", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=silu",
        "conv2d x[1,2,5,18] weight[9,2,3,3] activation=sigmoid", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=hard_sigmoid", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=tanh", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=leaky_relu", "conv2d x[1,2,5,18] weight[9,2,3,3] activation=none precision=fast",
        /* 1x1: planes about one vector of pixels, several tiles of channels, sums in passes, groups */
        "conv2d x[1,3,4,4] weight[5,3,1,1] bias[5]", "conv2d x[2,5,3,7] weight[17,5,1,1]", "conv2d x[1,260,5,7] weight[9,260,1,1] bias[9]", "conv2d x[1,3,1,300] weight[150,3,1,1] dilation=3", "conv2d x[2,12,5,9] weight[18,4,1,1] groups=3 bias[18] activation=relu", "conv2d x[1,4,6,6] weight[4,1,1,1] groups=4",
        /* depthwise: planes about the register tile, several outputs a channel, padding wider than the plane */
        "conv2d x[1,3,1,1] weight[3,1,3,3] groups=3 padding=1", "conv2d x[3,2,4,5] weight[2,1,3,3] groups=2", "conv2d x[1,3,8,16] weight[6,1,3,3] groups=3 padding=1 bias[6] activation=relu", "conv2d x[1,2,23,33] weight[2,1,5,5] groups=2 padding=3,2,0,1", "conv2d x[2,3,15,18] weight[3,1,7,7] groups=3 padding=3",
        "conv2d x[1,2,2,3] weight[2,1,3,3] groups=2 padding=20,17", "conv2d x[1,2,9,23]:nan,1,2,3,4,inf,5,6,7 weight[2,1,3,3]:1,2,3 groups=2 padding=1",
        /* Winograd: tiles that end at every place of an image, strips of one tile and of many, in one launch and in two */
        "conv2d x[1,1,1,1] weight[1,1,3,3] padding=1 precision=fast", "conv2d x[1,3,4,4] weight[5,3,3,3] bias[5] padding=1 precision=fast", "conv2d x[2,3,7,9] weight[17,3,3,3] precision=fast", "conv2d x[1,2,5,6] weight[16,2,3,3] bias[16] padding=1,0,0,2 activation=relu precision=fast",
        "conv2d x[1,2,13,70] weight[9,2,3,3] padding=2,1,0,3 precision=fast", "conv2d x[1,2,3,300] weight[3,2,3,3] padding=1 precision=fast", "conv2d x[2,6,11,30] weight[9,2,3,3] groups=3 padding=1 precision=fast", "conv2d x[8,9,33,31] weight[20,9,3,3] bias[20] activation=tanh precision=fast",
        "conv2d x[1,2,2,2] weight[8,2,3,3] padding=9 precision=fast", "conv2d x[1,300,14,14] weight[40,300,3,3] padding=1 precision=fast", "conv2d x[5,300,40,40] weight[2,300,3,3] padding=1 precision=fast",
        "conv2d x[1,2,9,9] weight[3,2,3,3] stride=2 precision=fast", "conv2d x[1,2,9,9] weight[3,2,3,3] dilation=1,2 precision=fast", "conv2d x[2,0,5,5] weight[3,0,3,3] bias[3] precision=fast", "conv2d x[0,2,5,5] weight[3,2,3,3] precision=fast",
        /* values */
        "conv2d x[1,3,6,6]*10000 weight[9,3,3,3]*100 padding=1", "conv2d x[1,1,3,20]:nan,1,inf,2,3,4,5 weight[8,1,1,1]:2 padding=1", "conv2d x[1,1,3,20]:nan,1,2,3,4,5,6 weight[1,1,1,1]:2 padding=1",
        /* empty */
        "conv2d x[0,2,5,5] weight[3,2,3,3]", "conv2d x[2,2,5,5] weight[0,2,1,1]", "conv2d x[2,2,5,5] weight[0,2,3,3] precision=fast", "conv2d x[2,2,5,5] weight[0,2,3,3]", "conv2d x[2,0,5,5] weight[3,0,3,3] bias[3]", "conv2d x[2,0,5,5] weight[9,0,3,3] bias[9]", "conv2d x[1,2,0,5] weight[9,2,3,3] padding=2 bias[9]", "conv2d x[1,2,5,0] weight[2,2,3,3] padding=2 bias[2]", NULL });
}

/* Where the variants for GPUs cut: tiles of 7 or 8 x 8 or 16 pixels and 16, 32 or 64 channels, steps of 1 to 8 input channels. */
static const char *const gpu_cases[] = {
    /* planes about the tiles, and so small that none fits well */
    "conv2d x[1,3,1,1] weight[9,3,1,1] bias[9]", "conv2d x[3,3,1,1] weight[9,3,3,3] padding=1", "conv2d x[1,2,1,33] weight[65,2,3,3] padding=1", "conv2d x[1,2,33,1] weight[65,2,3,3] padding=1", "conv2d x[1,2,7,16] weight[65,2,3,3] padding=1 bias[65]",
    "conv2d x[1,2,9,17] weight[33,2,3,3] padding=1", "conv2d x[1,2,8,15] weight[16,2,3,3] padding=1", "conv2d x[4,2,14,16] weight[64,2,3,3] padding=1", "conv2d x[2,3,16,31] weight[64,3,3,3] padding=1 bias[64]", "conv2d x[2,2,17,31] weight[30,2,3,3] padding=1", "conv2d x[5,3,7,7] weight[130,3,3,3] padding=1",
    /* other windows under a tile */
    "conv2d x[1,2,9,18] weight[17,2,1,7] padding=0,3", "conv2d x[1,2,9,18] weight[17,2,7,1] padding=3,0", "conv2d x[1,2,9,18] weight[65,2,2,2]", "conv2d x[1,5,12,19] weight[65,5,5,5] padding=2", "conv2d x[1,3,21,35] weight[64,3,7,7] stride=2 padding=3", "conv2d x[1,3,9,16] weight[64,3,7,7] padding=3",
    "conv2d x[1,9,18,33] weight[65,9,3,3] stride=2 padding=1", "conv2d x[1,3,2,3] weight[8,3,5,7] padding=3,4", "conv2d x[1,2,6,5] weight[10,2,3,3] padding=0,7,9,3", "conv2d x[1,2,6,5] weight[10,2,4,3] padding=5,0,1,8 stride=2",
    /* windows whose values are gathered */
    "conv2d x[1,3,17,19] weight[65,3,3,3] dilation=2 stride=3 padding=2", "conv2d x[2,3,17,19] weight[9,3,3,3] dilation=1,3 padding=1,3", "conv2d x[4,3,8,16] weight[64,3,3,3] dilation=2 padding=2", "conv2d x[3,5,8,8] weight[65,5,4,4] stride=4", "conv2d x[1,2,12,13] weight[33,2,9,8] padding=4", "conv2d x[1,3,12,16] weight[8,3,3,3] stride=1,2 padding=1",
    "conv2d x[129,2,3,3] weight[8,2,3,3] dilation=2 padding=2", "conv2d x[1,2,3,3] weight[65,2,2,2] dilation=3 padding=3,2,1,4 stride=3",
    /* one tap */
    "conv2d x[1,17,8,16] weight[65,17,1,1] bias[65]", "conv2d x[4,17,8,16] weight[64,17,1,1]", "conv2d x[2,16,9,15] weight[64,16,1,1]", "conv2d x[131,5,1,1] weight[9,5,1,1]", "conv2d x[3,5,2,3] weight[33,5,1,1] activation=relu", "conv2d x[2,5,9,15] weight[16,5,1,1] stride=2", "conv2d x[1,5,9,15] weight[16,5,1,1] padding=1,0,2,3", "conv2d x[2,3,6,6] weight[16,3,1,1] padding=1 bias[16]",
    /* sums in parts */
    "conv2d x[1,64,8,16] weight[65,64,3,3] padding=1", "conv2d x[4,61,8,16] weight[60,61,3,3] padding=1", "conv2d x[4,517,8,12] weight[64,517,1,1]", "conv2d x[1,65,5,6] weight[16,65,3,3] padding=1 bias[16]", "conv2d x[1,61,5,6] weight[8,61,3,3] dilation=2 padding=2", "conv2d x[1,600,4,4] weight[33,600,1,1]", "conv2d x[1,517,3,3] weight[8,517,1,1] stride=2",
    "conv2d x[1,11,9,10] weight[64,11,7,7] stride=2 padding=3", "conv2d x[1,75,6,7] weight[4,75,3,3] padding=1",
    /* groups, and few output channels */
    "conv2d x[2,6,9,17] weight[130,3,3,3] groups=2 padding=1 bias[130]", "conv2d x[1,15,9,17] weight[27,5,3,3] groups=3 padding=1 bias[27]", "conv2d x[1,16,9,8] weight[34,8,1,1] groups=2 bias[34]", "conv2d x[1,6,9,17] weight[18,3,3,3] groups=2 dilation=2 padding=1", "conv2d x[1,8,7,7] weight[8,1,3,3] groups=8 stride=2 padding=1",
    "conv2d x[2,3,9,21] weight[6,1,3,3] groups=3 padding=1 bias[6]", "conv2d x[2,3,9,21] weight[9,1,3,3] groups=3 padding=2 dilation=2", "conv2d x[1,3,9,70] weight[21,1,5,3] groups=3 padding=2,1 bias[21]", "conv2d x[1,10,5,9] weight[6,5,3,3] groups=2 bias[6]", "conv2d x[1,2,10,33] weight[1,2,7,7] padding=3",
    "conv2d x[1,2,1,65] weight[7,2,3,3] padding=1", "conv2d x[1,2,2,3] weight[7,2,9,9] padding=4,5 stride=2 bias[7]", "conv2d x[1,33,6,5] weight[5,33,1,1]", "conv2d x[1,2,6,5] weight[2,2,1,1] padding=1,2,3,0", "conv2d x[1,2,15,9] weight[3,2,3,3] stride=3,2 dilation=2,1 padding=0,1,2,3",
    /* what is not a number: at the border, in the middle, where tiles meet */
    "conv2d x[1,1,17,35]:nan,1,2,3,4,5,6,7,8,9,1,2,3 weight[8,1,3,3] padding=1", "conv2d x[1,1,9,35]:1,2,3,4,5,6,7,8,9,1,2,3,inf,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2 weight[8,1,3,3] padding=3", "conv2d x[1,2,9,35]:1,2,3,4,nan,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2 weight[65,2,3,3] padding=2 dilation=2",
    "conv2d x[1,1,9,35]:1,2,3,4,nan,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2 weight[8,1,2,2] stride=2 padding=1", "conv2d x[2,3,6,7]:1,2,3,nan,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1 weight[9,3,1,1] padding=1", "conv2d x[2,3,6,6]:1,2,3,nan,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1 weight[9,3,1,1]", "conv2d x[2,3,9,7]:1,2,3,nan,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1 weight[3,1,3,3] groups=3 padding=1",
    "conv2d x[1,2,9,7]:1,2,3,nan,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1 weight[3,2,3,3] padding=2 dilation=2", "conv2d x[1,1,9,17]:1,2,3,4,5,nan,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2 weight[1,1,7,7] padding=3,9,9,3", NULL };

Test(conv2d, tiles_against_reference) {
    test_gpu_cases(gpu_cases);
}

Test(conv2d, f16_against_reference) {
    test_gpu_cases_f16((const char *const[]){
        "conv2d x[1,2,8,15] weight[16,2,3,3] padding=1", "conv2d x[2,3,16,32] weight[64,3,3,3] padding=1 bias[64]", "conv2d x[1,61,8,8] weight[60,61,3,3] padding=1", "conv2d x[1,3,17,19] weight[65,3,3,3] dilation=2 stride=3 padding=2", "conv2d x[4,17,8,16] weight[64,17,1,1]", "conv2d x[2,5,9,15] weight[16,5,1,1] stride=2", "conv2d x[131,5,1,1] weight[9,5,1,1]",
        "conv2d x[1,8,7,7] weight[8,1,3,3] groups=8 stride=2 padding=1", "conv2d x[2,3,9,21] weight[6,1,3,3] groups=3 padding=1 bias[6]", "conv2d x[1,10,5,9] weight[6,5,3,3] groups=2 bias[6]", "conv2d x[1,2,2,3] weight[7,2,9,9] padding=4,5 stride=2 bias[7]", "conv2d x[1,33,6,5] weight[5,33,1,1] activation=relu",
        "conv2d x[1,2,9,35]:1,2,3,4,nan,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2 weight[65,2,3,3] padding=2", "conv2d x[2,3,9,7]:1,2,3,nan,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1 weight[3,1,3,3] groups=3 padding=1", NULL });
}

Test(conv2d, refusals) {
    test_refusals((const char *const[]){
        "conv2d x[1,3,5,5] weight[4,2,3,3] => weight has 2 input channels, expected 3", "conv2d x[1,5,5,5] weight[4,2,3,3] groups=2 => x has 5 channels, not divisible by groups = 2",
        "conv2d x[1,4,5,5] weight[3,2,3,3] groups=2 => weight has 3 output channels, not divisible by groups = 2", "conv2d x[1,4,5,5] weight[4,4,3,3] groups=2 => weight has 4 input channels, expected 2",
        "conv2d x[1,1,2,5] weight[1,1,3,3] => the kernel is larger than the padded input: 3 (dilated) against 2 along the height", "conv2d x[1,1,5,4] weight[1,1,3,3] dilation=2 => 5 (dilated) against 4 along the width",
        "conv2d x[1,1,5,5] weight[1,1,3,3] padding=1,2,3 => padding has 3 values", "conv2d x[1,1,5,5] weight[1,1,3,3] stride=1,2,3 => stride has 3 values", "conv2d x[1,1,5,5] weight[1,1,3,3] dilation=1,1,1,1 => dilation has 4 values; expected 1 or 2",
        "conv2d x[1,1,5,5] weight[1,1,3,3] stride=0 => stride=0: expected a number in 1..1048576", "conv2d x[1,1,5,5] weight[1,1,3,3] padding=-1 => padding=-1", "conv2d x[1,1,5,5] weight[1,1,3,3] dilation=0 => dilation=0", "conv2d x[1,1,5,5] weight[1,1,3,3] padding=9999999999 => padding=9999999999",
        "conv2d x[1,1,5,5] weight[1,1,3,3] groups=-1 => groups=-1", "conv2d x[1,1,5,5] weight[1,1,0,3] => weight has a kernel of 0 along the height", "conv2d x[1,1,5,5] weight[1,1,3] => weight [1,1,3] does not fit", "conv2d x[1,5,5] weight[1,5,3,3] => x [1,5,5] does not fit",
        "conv2d x[1,1,5,5] weight[2,1,3,3] bias[3] => bias [3] does not fit weight [2,1,3,3]: O is 2 there, 3 here", "conv2d x[1,1,5,5] => weight is missing", "conv2d x[1,1,5,5] weight[1,1,3,3] activation=elu => expected one of", NULL });
}

/* The outputs of the case's arguments with another weight. */
static void run_with(clattn_context *context, clattn_case *c, const clattn_tensor *weight, float *found) {
    clattn_conv2d_args args = *(clattn_conv2d_args *)clattn_case_args(c);
    args.weight = weight;
    cr_assert_eq(clattn_conv2d(context, &args), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, args.out, found), CLATTN_OK, "%s", clattn_message(context));
}

/* A frozen weight is packed once; thawed and rewritten it is read anew. */
Test(conv2d, frozen_weight) {
    enum { WEIGHTS = 17 * 2 * 3 * 3, OUTPUTS = 17 * 3 * 4 };
    clattn_context *context = test_open();
    clattn_case *c;
    clattn_tensor frozen, plain;
    float values[WEIGHTS], found[OUTPUTS], expected[OUTPUTS];
    cr_assert_eq(clattn_case_open(context, "conv2d x[1,2,5,6] weight[17,2,3,3]", test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_create(context, &frozen, CLATTN_F32, 4, (int64_t[]){ 17, 2, 3, 3 }, NULL), CLATTN_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < WEIGHTS; i++) values[i] = (float)((i + round) % 7);
        clattn_tensor_thaw(&frozen);
        cr_assert_eq(clattn_tensor_write(context, &frozen, values), CLATTN_OK, "%s", clattn_message(context));
        clattn_tensor_freeze(&frozen);
        cr_assert_eq(clattn_tensor_create(context, &plain, CLATTN_F32, 4, (int64_t[]){ 17, 2, 3, 3 }, values), CLATTN_OK);
        run_with(context, c, &plain, expected);
        for (int i = 0; i < 2; i++) {
            run_with(context, c, &frozen, found);
            cr_expect_arr_eq(found, expected, sizeof found, "round %d, run %d", round, i);
        }
        clattn_tensor_free(&plain);
    }
    clattn_tensor_free(&frozen);
    clattn_case_close(&c);
    clattn_close(&context);
}

Test(conv2d, goldens) {
    test_goldens("conv2d");
}
