/* A plain OpenCL program's own objects: in-order and out-of-order queues, memory with offset and strides, events in and out. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <clattn/clattn.h>
#include <clattn/opencl.h>

#include "../fault/layer.h"
#include "lines.h"

/* What the application owns. */
typedef struct application {
    cl_context context;
    cl_device_id device;
    cl_command_queue queue;
} application;

static application start(cl_command_queue_properties properties) {
    application app;
    cl_platform_id platform;
    cl_int error;
    cr_assert_eq(clGetPlatformIDs(1, &platform, NULL), CL_SUCCESS);
    cr_assert_eq(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &app.device, NULL), CL_SUCCESS);
    app.context = clCreateContext(NULL, 1, &app.device, NULL, NULL, &error);
    cr_assert_eq(error, CL_SUCCESS);
    app.queue = clCreateCommandQueue(app.context, app.device, properties, &error);
    cr_assert_eq(error, CL_SUCCESS);
    return app;
}

static cl_uint references(const application *app) {
    cl_uint context = 0, queue = 0;
    clGetContextInfo(app->context, CL_CONTEXT_REFERENCE_COUNT, sizeof context, &context, NULL);
    clGetCommandQueueInfo(app->queue, CL_QUEUE_REFERENCE_COUNT, sizeof queue, &queue, NULL);
    return 1000 * context + queue;
}

static cl_uint memory_references(cl_mem memory) {
    cl_uint count = 0;
    clGetMemObjectInfo(memory, CL_MEM_REFERENCE_COUNT, sizeof count, &count, NULL);
    return count;
}

static void stop(application *app) {
    clReleaseCommandQueue(app->queue);
    clReleaseContext(app->context);
}

static clattn_context *borrow(const application *app) {
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .opencl = &(clattn_opencl_objects){ app->context, app->device, app->queue } }), CLATTN_OK, "%s", clattn_message(context));
    return context;
}

#define CELLS 64

static cl_mem filled(const application *app, float value) {
    float values[CELLS];
    cl_int error;
    for (int i = 0; i < CELLS; i++) values[i] = value;
    cl_mem memory = clCreateBuffer(app->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, sizeof values, values, &error);
    cr_assert_eq(error, CL_SUCCESS);
    return memory;
}

static void look(const application *app, cl_mem memory, float *values) {
    cr_assert_eq(clFinish(app->queue), CL_SUCCESS);
    cr_assert_eq(clEnqueueReadBuffer(app->queue, memory, CL_TRUE, 0, CELLS * sizeof *values, values, 0, NULL, NULL), CL_SUCCESS);
}

/* What another queue sees now, without waiting for the application's. */
static float peek(const application *app, cl_mem memory, size_t index) {
    float value = 0;
    cl_int error;
    cl_command_queue side = clCreateCommandQueue(app->context, app->device, 0, &error);
    cr_assert_eq(clEnqueueReadBuffer(side, memory, CL_TRUE, index * sizeof value, sizeof value, &value, 0, NULL, NULL), CL_SUCCESS);
    clReleaseCommandQueue(side);
    return value;
}

static cl_int state(cl_event event) {
    cl_int value = 0;
    cr_assert_eq(clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof value, &value, NULL), CL_SUCCESS);
    return value;
}

/* out = softmax(softmax(x)) with both in the application's memory: x by columns from element 3, out from element 5. */
static void gated(cl_command_queue_properties properties) {
    application app = start(properties);
    const fault_functions fault = fault_layer();
    cl_mem in = filled(&app, 7), result = filled(&app, -1);
    cl_int error;
    cl_event gate = clCreateUserEvent(app.context, &error), done = NULL;
    clattn_context *context = borrow(&app);
    clattn_tensor x, middle, out;
    float values[CELLS];
    cr_assert_eq(clattn_tensor_wrap(context, &x, in, CLATTN_F32, 2, (int64_t[]){ 4, 5 }, (int64_t[]){ 1, 6 }, 3), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_wrap(context, &out, result, CLATTN_F32, 2, (int64_t[]){ 4, 5 }, (int64_t[]){ 7, 1 }, 5), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_opencl_memory(&x), in);
    cr_assert_eq(clattn_tensor_create(context, &middle, CLATTN_F32, 2, (int64_t[]){ 4, 5 }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_opencl_wait_for(context, 1, &gate), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &middle }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &middle, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_opencl_event(context, &done), CLATTN_OK, "%s", clattn_message(context));
    /* Freed memory is used again only by later commands. */
    clattn_tensor_free(&middle);
    cr_assert_eq(clattn_tensor_create(context, &middle, CLATTN_F32, 2, (int64_t[]){ 4, 5 }, NULL), CLATTN_OK);
    cr_expect_gt(state(done), CL_COMPLETE, "done before the gate opened");
    cr_expect_eq(peek(&app, result, 5), -1, "ran before the gate opened");
    cr_assert_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    cr_assert_eq(clWaitForEvents(1, &done), CL_SUCCESS);
    look(&app, result, values);
    for (int i = 0; i < CELLS; i++) {
        const bool inside = i >= 5 && (i - 5) / 7 < 4 && (i - 5) % 7 < 5;
        cr_expect(fabsf(values[i] - (inside ? 0.2f : -1)) < 1e-6f, "cell %d is %g", i, (double)values[i]);
    }
    clReleaseEvent(gate);
    clReleaseEvent(done);
    clattn_tensor_free(&x);
    clattn_tensor_free(&middle);
    clattn_tensor_free(&out);
    clattn_close(&context);
    /* Not the driver's own counts: PoCL's commands hold references for a while. */
    cr_expect(fault.live(FAULT_CONTEXTS) == 1 && fault.live(FAULT_QUEUES) == 1 && fault.live(FAULT_BUFFERS) == 2, "references of clattn are left");
    cr_expect(memory_references(in) == 1 && memory_references(result) == 1);
    clReleaseMemObject(in);
    clReleaseMemObject(result);
    stop(&app);
}

Test(interop, in_order) {
    gated(0);
}

Test(interop, out_of_order) {
    gated(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

/* A long chain through pooled memory on an out-of-order queue gives the same as on an in-order one. */
static void chain(cl_command_queue_properties properties, float *values) {
    application app = start(properties);
    clattn_context *context = borrow(&app);
    clattn_tensor x;
    for (int i = 0; i < CELLS; i++) values[i] = (float)(i % 7);
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 2, (int64_t[]){ 8, 8 }, values), CLATTN_OK);
    for (int i = 0; i < 50; i++) {
        clattn_tensor next;
        cr_assert_eq(clattn_tensor_create(context, &next, CLATTN_F32, 2, (int64_t[]){ 8, 8 }, NULL), CLATTN_OK);
        clattn_tensor turned = clattn_tensor_transposed(&x, (int[]){ 1, 0 });
        cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &turned, .out = &next, .temperature = { .set = true, .value = 0.01f } }), CLATTN_OK, "%s", clattn_message(context));
        clattn_tensor_free(&x);
        x = next;
    }
    cr_assert_eq(clattn_tensor_read(context, &x, values), CLATTN_OK, "%s", clattn_message(context));
    clattn_tensor_free(&x);
    clattn_close(&context);
    stop(&app);
}

Test(interop, chain) {
    float ordered[CELLS], free_order[CELLS];
    chain(0, ordered);
    chain(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, free_order);
    cr_expect_eq(memcmp(ordered, free_order, sizeof ordered), 0, "the queues' results differ");
}

Test(interop, wrong_objects) {
    application app = start(0), other = start(0);
    clattn_context *context;
    clattn_tensor t;
    const clattn_opencl_objects bad[] = { { app.context, app.device, other.queue }, { other.context, app.device, app.queue }, { NULL, app.device, app.queue }, { app.context, NULL, app.queue }, { app.context, app.device, NULL } };
    for (int i = 0; i < 5; i++) {
        const cl_uint before = references(&app);
        cr_expect_eq(clattn_open(&context, &(clattn_open_params){ .opencl = &bad[i] }), CLATTN_ERROR_ARGUMENT, "objects %d", i);
        cr_expect(strstr(clattn_message(context), "borrowed"), "%s", clattn_message(context));
        clattn_close(&context);
        cr_expect_eq(references(&app), before);
    }
    context = borrow(&app);
    cl_mem mine = filled(&app, 0), foreign = filled(&other, 0);
    const int64_t row[] = { CELLS }, pair[] = { 2, 4 };
    cr_expect_eq(clattn_tensor_wrap(context, &t, foreign, CLATTN_F32, 1, row, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tensor_wrap(context, &t, NULL, CLATTN_F32, 1, row, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 1, row, NULL, 1), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 1, row, NULL, -1), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 1, row, NULL, INT64_MAX), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 2, pair, (int64_t[]){ -4, 1 }, 8), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 2, pair, (int64_t[]){ 61, 1 }, 0), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_wrap(context, &t, mine, CLATTN_F32, 2, pair, (int64_t[]){ INT64_MAX, INT64_MAX }, 0), CLATTN_ERROR_SHAPE);
    cr_expect_null(t.buffer);
    cr_expect_eq(memory_references(mine), 1);
    cl_int error;
    cl_event event = clCreateUserEvent(other.context, &error);
    cr_expect_eq(clattn_opencl_wait_for(context, 1, &event), CLATTN_ERROR_ARGUMENT, "an event of another context is taken");
    cr_expect_neq(clattn_opencl_wait_for(context, 1, &(cl_event){ NULL }), CLATTN_OK);
    cr_expect_neq(clattn_opencl_wait_for(context, 1, NULL), CLATTN_OK);
    cr_expect_neq(clattn_opencl_wait_for(context, 0xffffffffu, &event), CLATTN_OK);
    cr_expect_eq(clattn_opencl_wait_for(context, 0, NULL), CLATTN_OK);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 1, row, (float[CELLS]){ 0 }), CLATTN_OK, "the context does not work afterwards: %s", clattn_message(context));
    clattn_tensor_free(&t);
    clReleaseEvent(event);
    clattn_close(&context);
    clReleaseMemObject(mine);
    clReleaseMemObject(foreign);
    stop(&app);
    stop(&other);
}

/* The same cl_mem wrapped twice, and a sub-buffer of it: still the same memory. */
Test(interop, aliases) {
    application app = start(0);
    clattn_context *context = borrow(&app);
    cl_mem memory = filled(&app, 1);
    clattn_tensor x, out;
    const int64_t row[] = { 32 };
    cr_assert_eq(clattn_tensor_wrap(context, &x, memory, CLATTN_F32, 1, row, NULL, 0), CLATTN_OK);
    cr_assert_eq(clattn_tensor_wrap(context, &out, memory, CLATTN_F32, 1, row, NULL, 31), CLATTN_OK);
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_ERROR_ARGUMENT);
    out.offset = 32;
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    clattn_tensor_free(&out);
    cl_int error;
    cl_mem half = clCreateSubBuffer(memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &(cl_buffer_region){ 0, 128 }, &error);
    cr_assert_eq(error, CL_SUCCESS);
    cr_assert_eq(clattn_tensor_wrap(context, &out, half, CLATTN_F32, 1, row, NULL, 0), CLATTN_OK);
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_ERROR_ARGUMENT, "a sub-buffer hides the overlap");
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    clReleaseMemObject(half);
    clReleaseMemObject(memory);
    clattn_close(&context);
    stop(&app);
}

/* An event that the application has given up is refused, and the context works on. */
static void given_up(cl_command_queue_properties properties) {
    application app = start(properties);
    clattn_context *context = borrow(&app);
    clattn_tensor t;
    cl_int error;
    float value = 5;
    cl_event gate = clCreateUserEvent(app.context, &error);
    cr_assert_eq(clattn_tensor_create(context, &t, CLATTN_F32, 1, (int64_t[]){ 1 }, &value), CLATTN_OK);
    cr_assert_eq(clSetUserEventStatus(gate, -5), CL_SUCCESS);
    cr_expect_eq(clattn_opencl_wait_for(context, 1, &gate), CLATTN_ERROR_DRIVER);
    cr_expect(strstr(clattn_message(context), "failed with -5"), "%s", clattn_message(context));
    cr_expect_eq(clattn_tensor_read(context, &t, &value), CLATTN_OK, "%s", clattn_message(context));
    clReleaseEvent(gate);
    clattn_tensor_free(&t);
    clattn_close(&context);
    stop(&app);
}

Test(interop, event_given_up) {
    given_up(0);
    given_up(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}
