/* CLBlast's products: results, failures, order in queues. One test, for CLBlast builds its kernels once a process, in seconds. */
#include <criterion/criterion.h>
#include <string.h>

#include <clattn/opencl.h>

#include "../fault/layer.h"
#include "../support/cases.h"
#include "../support/device.h"
#include "lines.h"

static clattn_status run(clattn_context *context, const char *text, int flags) {
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, test_seed(), flags, &c), CLATTN_OK, "%s\n  case: %s", clattn_message(context), text);
    const clattn_status status = clattn_case_check(c, "clblast");
    clattn_case_close(&c);
    return status;
}

static void table(clattn_context *context, const char *const *cases, int most_flags) {
    for (; *cases; cases++)
        for (int flags = 0; flags <= most_flags; flags += CLATTN_CASE_STRIDED) cr_expect_eq(run(context, *cases, flags), CLATTN_OK, "%s\n  case: %s%s", clattn_message(context), *cases, flags ? ", strided" : "");
}

static void results(clattn_context *context) {
    table(context, (const char *const[]){ "matmul a[1,1] b[1,1]", "matmul a[3,5] b[5,7]", "matmul a[64,64] b[64,64]", "matmul a[130,70] b[70,131]", "matmul a[1,40] b[40,30]", "matmul a[40,30] b[30,1]", "matmul a[40,1] b[1,30]", "matmul a[1,1] b[1,30]", "matmul a[70,33] b[70,65] transpose_a=true", "matmul a[33,70] b[65,70] transpose_b=true", "matmul a[70,33] b[65,70] transpose_a=true transpose_b=true", "matmul a[1,33] b[1,65] transpose_a=true", "matmul a[33,1] b[65,1] transpose_b=true", "matmul a[20,40]:nan,1,2,3,4,5,6,7,8,9 b[40,66]", "matmul a[20,40]*1e18 b[40,20]*1e18", "linear x[5] weight[7,5]", "linear x[3,5] weight[7,5] bias[7]", "linear x[20,33] weight[70,33] activation=tanh", "linear x[20,2]:nan,1,inf,1,-inf,1 weight[70,2]:1 bias[70] activation=relu", NULL }, CLATTN_CASE_STRIDED);
    table(context, (const char *const[]){ "matmul a[3,20,30] b[30,25]", "matmul a[4,20,30] b[4,30,25]", "matmul a[20,30] b[3,30,25]", "matmul a[2,3,20,30] b[2,3,30,25]", "matmul a[3,30,20] b[3,25,30] transpose_a=true transpose_b=true", "linear x[2,30,50] weight[70,50] bias[70] activation=gelu", NULL }, 0);
}

/* Large ones take another way: copies to whole tiles, the product, a copy back. */
static void large(clattn_context *context, const fault_functions *fault) {
    static const char *const cases[] = { "matmul a[900,901] b[901,903]", "matmul a[2,901,900] b[2,903,901] transpose_a=true transpose_b=true", NULL };
    for (int i = 0; cases[i]; i++) {
        fault->plan(NULL, 0, 0, 0);
        cr_expect_eq(run(context, cases[i], 0), CLATTN_OK, "%s\n  case: %s", clattn_message(context), cases[i]);
        cr_expect_gt(fault->count("clEnqueueNDRangeKernel"), 2, "%s took CLBlast's way for small products", cases[i]);
    }
}

/* With a's strides divided. */
static void refused(clattn_context *context, const char *text, int64_t step, const char *reason) {
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
    clattn_matmul_args args = *(clattn_matmul_args *)clattn_case_args(c);
    clattn_tensor a = *args.a;
    for (int i = 0; i < a.rank; i++) a.strides[i] /= step;
    args.a = &a;
    cr_expect_eq(clattn_op_run(context, clattn_case_op(c), &args, "clblast", NULL), CLATTN_ERROR_UNSUPPORTED, "not refused: %s", text);
    cr_expect(strstr(clattn_message(context), reason), "%s\n  case: %s", clattn_message(context), text);
    clattn_case_close(&c);
}

static void refusals(clattn_context *context) {
    refused(context, "matmul a[3,0] b[0,7]", 1, "K is 0");
    refused(context, "matmul a[20,20] b[20,20]", 2, "are not contiguous"); /* every row the same element, rows overlap */
    refused(context, "matmul a[2,1,20,30] b[1,3,30,25]", 1, "no one step");
}

/* On a CPU it is not even chosen for products as large as these. */
static void left_out(clattn_context *context) {
    clattn_case *c;
    const char *chosen = NULL;
    cr_assert_eq(clattn_case_open(context, "matmul a[512,512] b[512,512]", test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
    const char *reason = clattn_op_refusal(context, clattn_case_op(c), clattn_case_args(c), "clblast");
    cr_expect(reason && strstr(reason, "not a GPU"), "%s", reason ? reason : "not refused");
    cr_expect_eq(clattn_op_run(context, clattn_case_op(c), clattn_case_args(c), NULL, &chosen), CLATTN_OK);
    cr_expect(chosen && strcmp(chosen, "clblast"));
    clattn_case_close(&c);
}

static void failure(clattn_context *context, const fault_functions *fault, const char *call, int error, clattn_status expected, const char *text) {
    fault->plan(call, 1, 1, error);
    cr_expect_eq(run(context, text, 0), expected, "%s fails: %s", call, clattn_message(context));
    cr_expect(strstr(clattn_message(context), "CLBlastS"), "%s", clattn_message(context));
    cr_expect_eq(clattn_driver_error(context), error);
    fault->plan(NULL, 0, 0, 0);
    cr_expect_eq(run(context, text, 0), CLATTN_OK, "after %s has failed: %s", call, clattn_message(context));
}

/* ---- Order ---- */

#define EDGE 24

static void multiply(clattn_context *context, const clattn_tensor *a, const clattn_tensor *b, clattn_tensor *out) {
    const clattn_op *op = clattn_op_find("matmul");
    cr_assert_eq(clattn_op_run(context, op, &(clattn_matmul_args){ .a = a, .b = b, .out = out }, "clblast", NULL), CLATTN_OK, "%s", clattn_message(context));
}

/* A chain of products of a matrix of ones, before an event that the application sets later. */
static void ordered(const clattn_opencl_objects *own, cl_command_queue_properties properties, const fault_functions *fault) {
    cl_int error, state = 0;
    float values[EDGE * EDGE];
    clattn_tensor ones, x[4];
    clattn_context *context;
    cl_event gate = clCreateUserEvent(own->context, &error), done;
    cl_command_queue queue = clCreateCommandQueue(own->context, own->device, properties, &error);
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .opencl = &(clattn_opencl_objects){ own->context, own->device, queue } }), CLATTN_OK, "%s", clattn_message(context));
    for (int i = 0; i < EDGE * EDGE; i++) values[i] = 1;
    cr_assert_eq(clattn_tensor_create(context, &ones, CLATTN_F32, 2, (int64_t[]){ EDGE, EDGE }, values), CLATTN_OK);
    for (int i = 0; i < 4; i++) cr_assert_eq(clattn_tensor_create(context, &x[i], CLATTN_F32, 2, (int64_t[]){ EDGE, EDGE }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_opencl_wait_for(context, 1, &gate), CLATTN_OK, "%s", clattn_message(context));
    for (int i = 0; i < 4; i++) multiply(context, i ? &x[i - 1] : &ones, &ones, &x[i]);
    cr_assert_eq(clattn_opencl_event(context, &done), CLATTN_OK, "%s", clattn_message(context));
    clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
    cr_expect_gt(state, CL_COMPLETE, "done before the gate opened");
    cr_assert_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    cr_assert_eq(clattn_tensor_read(context, &x[3], values), CLATTN_OK, "%s", clattn_message(context));
    for (int i = 0; i < EDGE * EDGE; i++) cr_expect_eq(values[i], EDGE * EDGE * EDGE * EDGE, "element %d is %g", i, (double)values[i]);
    /* A product that fails leaves the order of what comes after it as it was. */
    fault->plan("clEnqueueNDRangeKernel", 1, 1, -5);
    cr_expect_eq(clattn_op_run(context, clattn_op_find("matmul"), &(clattn_matmul_args){ .a = &ones, .b = &ones, .out = &x[0] }, "clblast", NULL), CLATTN_ERROR_OUT_OF_MEMORY);
    multiply(context, &ones, &ones, &x[0]);
    cr_assert_eq(clattn_tensor_read(context, &x[0], values), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(values[0], EDGE);
    clattn_tensor_free(&ones);
    for (int i = 0; i < 4; i++) clattn_tensor_free(&x[i]);
    clattn_close(&context);
    clReleaseCommandQueue(queue);
    clReleaseEvent(gate);
    clReleaseEvent(done);
}

static int launches;
static void count_launch(void *user, const clattn_launch_record *record) {
    (void)user;
    launches += strcmp(record->source, "CLBlast") == 0;
}

Test(clblast, products) {
    const fault_functions fault = fault_layer();
    clattn_context *context = test_open();
    results(context);
    large(context, &fault);
    refusals(context);
    left_out(context);
    clattn_trace(context, count_launch, NULL);
    cr_expect_eq(run(context, "matmul a[9,9] b[9,9]", 0), CLATTN_OK, "%s", clattn_message(context));
    clattn_trace(context, NULL, NULL);
    cr_expect_eq(launches, 1, "the trace heard of %d products", launches);
    failure(context, &fault, "clEnqueueNDRangeKernel", -5, CLATTN_ERROR_OUT_OF_MEMORY, "matmul a[9,9] b[9,9]");
    failure(context, &fault, "clCreateKernel", -46, CLATTN_ERROR_DRIVER, "matmul a[2,9,9] b[2,9,9]");
    const clattn_opencl_objects own = clattn_opencl_get(context);
    ordered(&own, 0, &fault);
    ordered(&own, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &fault);
    clattn_close(&context);
    for (int kind = 0; kind < FAULT_KINDS; kind++) cr_expect_eq(fault.live(kind), 0, "%ld objects of kind %d are left", fault.live(kind), kind);
    context = test_open();
    failure(context, &fault, "clCreateProgramWithSource", -6, CLATTN_ERROR_OUT_OF_MEMORY, "matmul a[9,9] b[9,9]");
    clattn_close(&context);
}
