/* Every OpenCL call that can fail does, at its first, second, ... time: always a status and a message, nothing of ours left
 * behind, and the context works afterwards. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../fault/layer.h"
#include "lines.h"
#include "runs.h"

#define MOST 40
#define DEVICE_FULL -4 /* CL_MEM_OBJECT_ALLOCATION_FAILURE */

static clattn_status run(clattn_context *context) {
    clattn_tensor x = { 0 }, out = { 0 };
    float values[6] = { 1, 2, 3, 4, 5, 6 };
    clattn_status status = clattn_tensor_create(context, &x, CLATTN_F32, 2, (int64_t[]){ 2, 3 }, values);
    clattn_tensor turned = status ? x : clattn_tensor_transposed(&x, (int[]){ 1, 0 });
    if (!status) status = clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ 3, 2 }, NULL);
    if (!status) status = clattn_softmax(context, &(clattn_softmax_args){ .x = &turned, .out = &out });
    if (!status) status = clattn_tensor_read(context, &out, values);
    if (!status) status = clattn_finish(context);
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    return status;
}

static clattn_status whole(clattn_context **context) {
    clattn_status status = clattn_open(context, &(clattn_open_params){ .no_cache = true });
    return status ? status : run(*context);
}

/* Fails the n-th call of that name; false when the run has fewer. */
static bool fail_nth(const fault_functions *fault, const char *call, unsigned n) {
    clattn_context *context;
    fault->plan(call, n, n, -6);
    const clattn_status status = whole(&context);
    const bool reached = fault->count(call) >= n;
    if (reached) cr_expect(status != CLATTN_OK && *clattn_message(context), "%s, call %u fails unnoticed", call, n);
    else cr_expect_eq(status, CLATTN_OK, "%s", clattn_message(context));
    fault->plan(NULL, 0, 0, 0);
    if (clattn_context_device(context)) cr_expect_eq(run(context), CLATTN_OK, "after %s, call %u: %s", call, n, clattn_message(context));
    clattn_close(&context);
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault->live(kind), 0, "%s, call %u: %ld objects of kind %d are left", call, n, fault->live(kind), kind);
    return reached;
}

Test(faults, every_call) {
    static const char *const calls[] = { "clCreateContext", "clCreateCommandQueue", "clCreateBuffer", "clCreateProgramWithSource", "clBuildProgram", "clCreateKernel", "clSetKernelArg", "clEnqueueNDRangeKernel", "clEnqueueReadBuffer", "clEnqueueWriteBuffer", "clFinish" };
    const fault_functions fault = fault_layer();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        unsigned n = 1;
        while (n < MOST && fail_nth(&fault, calls[i], n)) n++;
        cr_expect_gt(n, 1, "%s was never called", calls[i]);
    }
}

/* ---- Longer runs: in a context with a cache, so that kernels need no compiler each time ---- */

typedef clattn_status long_run(clattn_context *context, char *message, size_t size);

static clattn_status decoding(clattn_context *context, char *message, size_t size) {
    const clattn_status status = run_decoding(context);
    snprintf(message, size, "%s", clattn_message(context));
    return status;
}

static clattn_status rnnsearch(clattn_context *context, char *message, size_t size) {
    char path[4096];
    model_path("rnnsearch.safetensors", path, sizeof path);
    return run_translation(context, "rnnsearch", path, message, size);
}

static clattn_status luong(clattn_context *context, char *message, size_t size) {
    char path[4096];
    model_path("luong.safetensors", path, sizeof path);
    return run_translation(context, "luong", path, message, size);
}

/* From the n-th call on, `length` calls fail; false when the run has fewer than n. */
static bool fail_within(const fault_functions *fault, long_run *use, const char *call, unsigned n, unsigned length, int error) {
    char message[600] = "";
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, NULL), CLATTN_OK, "%s", clattn_message(context));
    fault->plan(call, n, n + length - 1, error);
    clattn_status status = use(context, message, sizeof message);
    const bool reached = fault->count(call) >= n;
    cr_expect(reached ? status != CLATTN_OK && *message : status == CLATTN_OK, "%s, call %u: %s: %s", call, n, clattn_status_name(status), message);
    if (reached && error == DEVICE_FULL) cr_expect_eq(status, CLATTN_ERROR_OUT_OF_MEMORY, "call %u: %s: %s", n, clattn_status_name(status), message);
    fault->plan(NULL, 0, 0, 0);
    if (reached) status = use(context, message, sizeof message);
    cr_expect_eq(status, CLATTN_OK, "after %s, call %u: %s", call, n, message);
    clattn_close(&context);
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault->live(kind), 0, "%s, call %u: %ld objects of kind %d are left", call, n, fault->live(kind), kind);
    return reached;
}

/* A device that is full from its n-th buffer on: for every n, or for distances that grow with n / `dense`. */
static void fill_device(long_run *use, unsigned dense) {
    const fault_functions fault = fault_layer();
    unsigned n = 1;
    while (fail_within(&fault, use, "clCreateBuffer", n, 1000000, DEVICE_FULL)) n += 1 + n / dense;
    cr_expect_gt(n, 3, "only %u buffers were made", n - 1);
}

Test(faults, decoding_on_a_full_device) {
    fill_device(decoding, 1000);
}

Test(faults, translator_on_a_full_device) {
    fill_device(rnnsearch, 8);
}

Test(faults, luong_on_a_full_device) {
    fill_device(luong, 8);
}

/* Thousands of calls: early ones one by one, later ones at growing distances. */
static void fail_some(long_run *use) {
    static const char *const calls[] = { "clSetKernelArg", "clEnqueueNDRangeKernel", "clEnqueueReadBuffer", "clEnqueueWriteBuffer" };
    const fault_functions fault = fault_layer();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        unsigned n = 1;
        while (fail_within(&fault, use, calls[i], n, 1, -6)) n += 1 + n / 3;
        cr_expect_gt(n, 1, "%s was never called", calls[i]);
    }
}

Test(faults, decoding) {
    fail_some(decoding);
}

Test(faults, luong) {
    fail_some(luong);
}

Test(faults, build) {
    const fault_functions fault = fault_layer();
    clattn_context *context;
    fault.plan("clBuildProgram", 1, 1, -11);
    cr_expect_eq(whole(&context), CLATTN_ERROR_BUILD);
    cr_expect_eq(clattn_driver_error(context), -11);
    cr_expect(strstr(clattn_message(context), ".cl, kernel ") && strstr(clattn_message(context), "-cl-std=CL1.2") && strstr(clattn_message(context), "CL_BUILD_PROGRAM_FAILURE"), "%s", clattn_message(context));
    clattn_close(&context);
}

/* A full device: idle memory goes back to the driver before the call gives up. */
Test(faults, memory_is_given_back) {
    const fault_functions fault = fault_layer();
    clattn_context *context;
    clattn_tensor t;
    cr_assert_eq(whole(&context), CLATTN_OK, "%s", clattn_message(context));
    fault.plan("clCreateBuffer", 1, 1, -4);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 1, (int64_t[]){ 5000 }, NULL), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(fault.live(FAULT_BUFFERS), 1);
    fault.plan("clCreateBuffer", 1, 9, -4);
    cr_expect_eq(clattn_tensor_create(context, &(clattn_tensor){ 0 }, CLATTN_F32, 1, (int64_t[]){ 6000 }, NULL), CLATTN_ERROR_OUT_OF_MEMORY);
    clattn_tensor_free(&t);
    clattn_close(&context);
}
