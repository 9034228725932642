/* The pool of device memory, opening and closing many times, and packed weights; counted by the fault layer. */
#include <criterion/criterion.h>
#include <clattn/opencl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

/* Whether the kernel was asked for large pages at an address: the flag "hg" of its mapping. */
static bool large_pages_at(const void *address) {
    char line[512];
    bool inside = false, found = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(file);
    while (!found && fgets(line, sizeof line, file)) {
        unsigned long long begin, end;
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) inside = begin <= (uintptr_t)address && (uintptr_t)address < end;
        found = inside && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg");
    }
    fclose(file);
    return found;
}

/* The memory's middle as the driver maps it. */
static bool tensor_has_large_pages(clattn_context *context, int64_t count) {
    clattn_tensor x;
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, &count, NULL), CLATTN_OK, "%s", clattn_message(context));
    const clattn_opencl_objects objects = clattn_opencl_get(context);
    cl_int error;
    char *mapped = clEnqueueMapBuffer(objects.queue, clattn_opencl_memory(&x), CL_TRUE, CL_MAP_READ, 0, (size_t)count * 4, 0, NULL, NULL, &error);
    cr_assert_eq(error, CL_SUCCESS);
    const bool large = large_pages_at(mapped + count * 2);
    clEnqueueUnmapMemObject(objects.queue, clattn_opencl_memory(&x), mapped, 0, NULL, NULL);
    clFinish(objects.queue);
    clattn_tensor_free(&x);
    return large;
}

Test(pool, large_buffers_get_large_pages) {
    const bool possible = access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
    clattn_context *context = open_quietly();
    cr_expect_eq(tensor_has_large_pages(context, 8 << 20), possible, "32 MiB");
    cr_expect_not(tensor_has_large_pages(context, 100 << 10), "400 KiB");
    clattn_close(&context);
}

/* A driver that maps nothing, or has no second queue, gives the same buffers. */
Test(pool, large_pages_are_only_a_hint) {
    const fault_functions fault = fault_layer();
    static const char *const calls[] = { "clEnqueueMapBuffer", "clCreateCommandQueue" };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        clattn_context *context = open_quietly();
        fault.plan(calls[i], 1, 1000, CL_OUT_OF_RESOURCES);
        clattn_tensor x;
        float last = 0;
        static float values[2 << 20];
        values[(2 << 20) - 1] = 7;
        cr_expect_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ 2 << 20 }, values), CLATTN_OK, "%s: %s", calls[i], clattn_message(context));
        cr_expect_gt(fault.count(calls[i]), 0, "%s was not called", calls[i]);
        fault.plan(NULL, 0, 0, 0);
        clattn_tensor end = clattn_tensor_sliced(&x, 0, (2 << 20) - 1, 1);
        cr_expect_eq(clattn_tensor_read(context, &end, &last), CLATTN_OK);
        cr_expect_eq(last, 7.0f);
        clattn_tensor_free(&x);
        clattn_close(&context);
    }
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault.live(kind), 0, "%ld objects of kind %d are left", fault.live(kind), kind);
}
