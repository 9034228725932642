#include <criterion/criterion.h>

#include "../support/cases.h"
#include "../support/device.h"

Test(matmul, shapes) {
    test_cases((const char *const[]){
        "matmul a[1,1] b[1,1]", "matmul a[3,5] b[5,7]", "matmul a[0,5] b[5,7]", "matmul a[3,5] b[5,0]", "matmul a[3,0] b[0,7]", "matmul a[2,3,0] b[0,7]", "matmul a[0,3,4] b[4,5]",
        "matmul a[15,16] b[16,17]", "matmul a[16,17] b[17,15]", "matmul a[17,15] b[15,16]", "matmul a[31,33] b[33,63]", "matmul a[33,64] b[64,65]", "matmul a[67,1025] b[1025,66]",
        "matmul a[1,1025] b[1025,7]", "matmul a[1,37] b[37,131]", "matmul a[2,1025] b[1025,64]", "matmul a[5,100] b[100,1]", "matmul a[8,300] b[300,79]", "matmul a[9,257] b[257,80]", "matmul a[129,256] b[256,10]",
        "matmul a[131,511] b[511,97]", "matmul a[40,513] b[513,40]", NULL });
}

Test(matmul, transposed) {
    test_cases((const char *const[]){
        "matmul a[5,3] b[5,7] transpose_a=true", "matmul a[3,5] b[7,5] transpose_b=true", "matmul a[5,3] b[7,5] transpose_a=true transpose_b=true", "matmul a[1,7] b[1,5] transpose_a=true",
        "matmul a[300,33] b[300,65] transpose_a=true", "matmul a[33,300] b[65,300] transpose_b=true", "matmul a[300,33] b[65,300] transpose_a=true transpose_b=true",
        "matmul a[1,1025] b[67,1025] transpose_b=true", "matmul a[3,33] b[5,33] transpose_b=true", "matmul a[7,33] b[130,33] transpose_b=true", "matmul a[2,500] b[129,500] transpose_b=true",
        "matmul a[64,2] b[64,70] transpose_a=true", "matmul a[0,5] b[0,7] transpose_a=true", NULL });
}

Test(matmul, batches) {
    test_cases((const char *const[]){
        "matmul a[2,3,5] b[2,5,7]", "matmul a[2,3,5] b[5,7]", "matmul a[3,5] b[4,5,7]", "matmul a[2,1,3,5] b[4,5,7]", "matmul a[2,1,3,5] b[1,4,5,7]", "matmul a[1,3,5] b[5,7]", "matmul a[4,1,5] b[5,70]",
        "matmul a[2,3,20,33] b[2,3,33,65]", "matmul a[2,3,20,33] b[2,1,65,33] transpose_b=true", "matmul a[3,33,20] b[2,1,33,17] transpose_a=true", "matmul a[2,2,2,1,2,1,17,3] b[2,1,2,1,2,3,18]",
        "matmul a[5,40,30] b[30,70]", "matmul a[3,2,1,70] b[3,2,70,33]", "matmul a[2,0,3,5] b[5,7]", "matmul a[6,12,300] b[6,64,300] transpose_b=true", NULL });
}

Test(matmul, values) {
    test_cases((const char *const[]){
        "matmul a[20,40]*1e18 b[40,20]*1e18", "matmul a[3,17]:1,inf,2 b[17,5]", "matmul a[20,40]:nan,1,2,3,4,5,6,7,8,9 b[40,66]", "matmul a[1,18]:1,2,nan b[40,18] transpose_b=true", "matmul a[30,1025]*1000 b[1025,30]*1000", NULL });
}

/* out = a b, or a b^T; b as a tensor of every other element of both axes, so that no stride tells which way it is meant. */
static void product(clattn_context *context, const clattn_tensor *a, const clattn_tensor *b, bool transpose, float out[400]) {
    clattn_tensor result;
    cr_assert_eq(clattn_tensor_create(context, &result, CLATTN_F32, 2, (int64_t[]){ 20, 20 }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_matmul(context, &(clattn_matmul_args){ .a = a, .b = b, .out = &result, .transpose_b = transpose }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &result, out), CLATTN_OK);
    clattn_tensor_free(&result);
}

Test(matmul, frozen_b_serves_both_ways) {
    static float values[1600], expected[2][400], found[400];
    clattn_context *context = test_open();
    clattn_tensor a, whole;
    for (int i = 0; i < 1600; i++) values[i] = (float)(i * 7919 % 1009) / 1009;
    cr_assert_eq(clattn_tensor_create(context, &a, CLATTN_F32, 2, (int64_t[]){ 20, 20 }, values), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &whole, CLATTN_F32, 2, (int64_t[]){ 40, 40 }, values), CLATTN_OK);
    clattn_tensor b = whole;
    for (int i = 0; i < 2; i++) b.shape[i] = 20, b.strides[i] *= 2;
    for (int t = 0; t < 2; t++) product(context, &a, &b, t, expected[t]);
    clattn_tensor_freeze(&whole);
    for (int i = 0; i < 4; i++) {
        product(context, &a, &b, i % 2, found);
        cr_expect_arr_eq(found, expected[i % 2], sizeof found, "a frozen b gives another product, call %d", i);
    }
    clattn_tensor_free(&a);
    clattn_tensor_free(&whole);
    clattn_close(&context);
}

Test(matmul, refusals) {
    test_refusals((const char *const[]){
        "matmul a[5] b[5,7] => a has rank 1, expected at least 2", "matmul a[5,7] b[7] => b has rank 1", "matmul a[3,5] b[6,7] => a [3,5] does not fit b [6,7]: K is 5 there, 6 here",
        "matmul a[3,5] b[5,7] transpose_b=true => b [5,7] transposed: K is 5 there, 7 here", "matmul a[2,3,5] b[3,5,7] => a leading axis is 2 there, 3 here", NULL });
}

Test(matmul, goldens) {
    test_goldens("matmul");
}

Test(linear, shapes) {
    test_cases((const char *const[]){
        "linear x[5] weight[7,5]", "linear x[1] weight[1,1] bias[1]", "linear x[1025] weight[67,1025] bias[67]", "linear x[3,5] weight[7,5] bias[7]", "linear x[2,3,5] weight[7,5] bias[7]", "linear x[0,5] weight[7,5] bias[7]",
        "linear x[3,0] weight[7,0] bias[7]", "linear x[3,5] weight[0,5] bias[0]", "linear x[2,2,3,1,5] weight[7,5]", "linear x[1,2,1,2,1,2,9,33] weight[17,33] bias[17]", "linear x[15,16] weight[17,16] bias[17]",
        "linear x[4,64] weight[130,64] bias[130]", "linear x[33,257] weight[100,257] bias[100]", "linear x[100,511] weight[10,511] bias[10]", "linear x[64,520] weight[64,520] bias[64]", NULL });
}

Test(linear, activations) {
    test_cases((const char *const[]){
        "linear x[3,5] weight[7,5] bias[7] activation=relu", "linear x[20,33] weight[70,33] bias[70] activation=relu", "linear x[20,33] weight[70,33] activation=gelu", "linear x[20,300] weight[17,300] bias[17] activation=gelu_tanh",
        "linear x[20,33] weight[70,33] bias[70] activation=silu", "linear x[20,33] weight[70,33] bias[70] activation=sigmoid", "linear x[20,33] weight[70,33] bias[70] activation=hard_sigmoid",
        "linear x[20,333] weight[40,333] bias[40] activation=tanh", "linear x[20,33] weight[70,33] bias[70] activation=leaky_relu", "linear x[20,33] weight[70,33] bias[70] activation=none",
        "linear x[3,33] weight[70,33] bias[70] activation=gelu", "linear x[1,33] weight[70,33] bias[70] activation=tanh", "linear x[2,0] weight[5,0] bias[5] activation=sigmoid",
        "linear x[20,33]*100 weight[70,33] activation=sigmoid", "linear x[20,33]*100 weight[70,33] activation=tanh", "linear x[20,33]*100 weight[70,33] activation=silu", "linear x[20,2]:nan,1,inf,1,-inf,1 weight[70,2]:1 activation=relu", NULL });
}

Test(linear, refusals) {
    test_refusals((const char *const[]){
        "linear x[] weight[7,5] => wrong rank 0", "linear x[3,5] weight[7,6] => weight [7,6] does not fit", "linear x[3,5] weight[7] => weight [7] does not fit [O,I]", "linear x[3,5] weight[7,5] bias[6] => bias [6] does not fit",
        "linear x[3,5] weight[7,5] activation=selu => activation", NULL });
}

Test(linear, goldens) {
    test_goldens("linear");
}
