/* The pool of device memory, opening and closing many times, and packed weights; counted by the fault layer. */
#include <criterion/criterion.h>

#include "../fault/layer.h"
#include "../support/device.h"
#include "lines.h"

static clattn_context *open_quietly(void) {
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .no_cache = true }), CLATTN_OK, "%s", clattn_message(context));
    return context;
}

Test(pool, memory_is_used_again) {
    const fault_functions fault = fault_layer();
    clattn_context *context = open_quietly();
    long most = 0;
    for (int i = 0; i < 1000; i++) {
        clattn_tensor x, out;
        const float values[64] = { (float)i };
        cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 2, (int64_t[]){ 1 + i % 4, 16 }, values), CLATTN_OK);
        cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ 1 + i % 4, 16 }, NULL), CLATTN_OK);
        clattn_tensor turned = i % 2 ? x : clattn_tensor_sliced(&x, 1, 0, 16);
        cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &turned, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
        clattn_tensor_free(&x);
        clattn_tensor_free(&out);
        if (i == 9) most = fault.live(FAULT_BUFFERS);
    }
    cr_expect_leq(fault.live(FAULT_BUFFERS), most, "%ld buffers after 1000 rounds, %ld after 10", fault.live(FAULT_BUFFERS), most);
    cr_expect_gt(most, 0, "the layer counts nothing");
    clattn_close(&context);
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault.live(kind), 0, "%ld objects of kind %d are left", fault.live(kind), kind);
}

Test(pool, open_and_close) {
    const fault_functions fault = fault_layer();
    for (int i = 0; i < 1000; i++) {
        clattn_context *context = open_quietly();
        clattn_close(&context);
        cr_assert_null(context);
    }
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault.live(kind), 0, "%ld objects of kind %d are left", fault.live(kind), kind);
}

/* Launches of one matmul. */
static unsigned launches(clattn_context *context, const fault_functions *fault, const clattn_tensor *a, const clattn_tensor *b, const clattn_tensor *out) {
    clattn_tensor result = *out;
    fault->plan(NULL, 0, 0, 0);
    cr_assert_eq(clattn_matmul(context, &(clattn_matmul_args){ .a = a, .b = b, .out = &result }), CLATTN_OK, "%s", clattn_message(context));
    return fault->count("clEnqueueNDRangeKernel");
}

Test(pool, frozen_weights_are_packed_once) {
    const fault_functions fault = fault_layer();
    clattn_context *context = open_quietly();
    clattn_tensor a, b, out;
    static float values[96 * 96];
    float once, twice;
    for (int i = 0; i < 96 * 96; i++) values[i] = (float)(i % 13);
    cr_assert_eq(clattn_tensor_create(context, &a, CLATTN_F32, 2, (int64_t[]){ 96, 96 }, values), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &b, CLATTN_F32, 2, (int64_t[]){ 96, 96 }, values), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ 96, 96 }, NULL), CLATTN_OK);
    const unsigned plain = launches(context, &fault, &a, &b, &out);
    cr_expect_eq(launches(context, &fault, &a, &b, &out), plain, "an unfrozen weight is packed at every call");
    clattn_tensor_freeze(&b);
    /* A call that fails while it packs leaves nothing half done behind. */
    clattn_tensor result = out;
    fault.plan("clEnqueueNDRangeKernel", 1, 1, -5);
    cr_expect_neq(clattn_matmul(context, &(clattn_matmul_args){ .a = &a, .b = &b, .out = &result }), CLATTN_OK);
    cr_expect_eq(launches(context, &fault, &a, &b, &out), plain, "the first call after freezing packs");
    if (plain > 1) cr_expect_lt(launches(context, &fault, &a, &b, &out), plain, "the second does not");
    clattn_tensor corner = clattn_tensor_sliced(&out, 0, 95, 1);
    corner = clattn_tensor_sliced(&corner, 1, 95, 1);
    cr_assert_eq(clattn_tensor_read(context, &corner, &once), CLATTN_OK);
    clattn_tensor_thaw(&b);
    for (int i = 0; i < 96 * 96; i++) values[i] *= 2;
    cr_assert_eq(clattn_tensor_write(context, &b, values), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(launches(context, &fault, &a, &b, &out), plain, "thawed");
    cr_assert_eq(clattn_tensor_read(context, &corner, &twice), CLATTN_OK);
    cr_expect(once != 0 && twice == 2 * once, "the packed form outlived the thaw: %g, %g", (double)once, (double)twice);
    clattn_tensor_free(&a);
    clattn_tensor_free(&b);
    clattn_tensor_free(&out);
    clattn_close(&context);
    cr_expect_eq(fault.live(FAULT_BUFFERS), 0);
}
