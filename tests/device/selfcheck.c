/* The first use of a variant is compared with the reference: on a device that lies (tests/fault/lying.c), before a queue
 * that stands still, and once per device and driver. */
#define _XOPEN_SOURCE 700
#include <clattn/opencl.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

static clattn_context *open_checked(clattn_self_check_mode mode, const char *cache, log_lines *lines) {
    clattn_context *context;
    *lines = (log_lines){ .warnings = 0 };
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .log = keep_line, .log_user = lines, .no_cache = !cache, .cache_directory = cache, .self_check = mode }), CLATTN_OK, "%s", clattn_message(context));
    return context;
}

static clattn_status check_case(clattn_context *context, const char *text) {
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, 7, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    const clattn_status status = clattn_case_check(c, NULL);
    clattn_case_close(&c);
    return status;
}

static void expect_demoted(clattn_context *context, size_t index, const char *name) {
    const clattn_op *op;
    const char *variant;
    const char *reason = clattn_op_demotion(context, index, &op, &variant);
    cr_assert_not_null(reason, "demotion %zu is missing", index);
    cr_expect(strcmp(op->name, name) == 0 && strcmp(variant, "rows") == 0 && strstr(reason, "differs from the reference"), "%s/%s: %s", op->name, variant, reason);
}

Test(selfcheck, a_lie_is_found) {
    log_lines lines;
    setenv("LYING_KERNEL", "rows", 1);
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(check_case(context, "softmax x[4,7]"), CLATTN_OK, "%s", clattn_message(context));
    cr_expect(lines.warnings == 1 && count_lines(&lines, "softmax/rows is not used in this context") == 1, "%s", lines.text);
    expect_demoted(context, 0, "softmax");
    cr_expect_null(clattn_op_demotion(context, 1, NULL, NULL));
    cr_expect_eq(check_case(context, "log_softmax x[5,33]"), CLATTN_OK, "%s", clattn_message(context));
    expect_demoted(context, 0, "log_softmax");
    expect_demoted(context, 1, "softmax");
    clattn_close(&context);
}

Test(selfcheck, the_demoted_variant_is_refused) {
    log_lines lines;
    clattn_case *c;
    const char *chosen = NULL;
    setenv("LYING_KERNEL", "rows", 1);
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_assert_eq(clattn_case_open(context, "softmax x[5,33]", 7, 0, &c), CLATTN_OK);
    const clattn_op *op = clattn_case_op(c);
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), NULL, &chosen), CLATTN_OK);
    cr_expect_str_eq(chosen, "scalar");
    const char *refusal = clattn_op_refusal(context, op, clattn_case_args(c), "rows");
    cr_expect(refusal && strstr(refusal, "demoted: "), "%s", refusal ? refusal : "NULL");
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), "rows", NULL), CLATTN_ERROR_UNSUPPORTED);
    cr_expect(strstr(clattn_message(context), "demoted: "), "%s", clattn_message(context));
    clattn_case_close(&c);
    clattn_close(&context);
}

Test(selfcheck, without_it_the_lie_stays) {
    log_lines lines;
    setenv("LYING_KERNEL", "rows", 1);
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_OFF, NULL, &lines);
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_ERROR_DRIVER);
    cr_expect_null(clattn_op_demotion(context, 0, NULL, NULL));
    clattn_close(&context);
}

/* The application's queue stands before an event that is not set: the check neither waits for it nor enqueues there. */
Test(selfcheck, a_queue_that_stands, .timeout = 60) {
    log_lines lines;
    cl_int error;
    float values[6] = { 0 };
    clattn_tensor x, out;
    unsetenv("LYING_KERNEL");
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    const clattn_opencl_objects objects = clattn_opencl_get(context);
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 2, (int64_t[]){ 2, 3 }, values), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ 2, 3 }, NULL), CLATTN_OK);
    cl_event gate = clCreateUserEvent(objects.context, &error);
    cr_assert_eq(clEnqueueBarrierWithWaitList(objects.queue, 1, &gate, NULL), CL_SUCCESS);
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(count_lines(&lines, "checked softmax/rows by "), 1, "%s", lines.text);
    cr_expect_eq(clattn_opencl_get(context).queue, objects.queue);
    cr_assert_eq(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    cr_expect_eq(clattn_tensor_read(context, &out, values), CLATTN_OK);
    for (int i = 0; i < 6; i++) cr_expect_float_eq(values[i], 1.0f / 3, 1e-6f, "%g", (double)values[i]);
    clReleaseEvent(gate);
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    clattn_close(&context);
}

static int checks_of_one_run(const char *cache) {
    log_lines lines;
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, cache, &lines);
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_OK, "%s", clattn_message(context));
    clattn_close(&context);
    return count_lines(&lines, "checked softmax/rows");
}

Test(selfcheck, what_passed_is_remembered) {
    unsetenv("LYING_KERNEL");
    const char *cache = scratch_directory();
    cr_expect_eq(checks_of_one_run(cache), 1);
    cr_expect_eq(checks_of_one_run(cache), 0);
    remove_scratch_directory();
}

/* A composite with its parts inside: each variant once. */
Test(selfcheck, composites) {
    log_lines lines;
    unsetenv("LYING_KERNEL");
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_expect_eq(check_case(context, "cbam x[1,8,5,6] w1[2,8] w2[8,2] weight[1,2,7,7]"), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(count_lines(&lines, "checked cbam/"), 1, "%s", lines.text);
    cr_expect_null(clattn_op_demotion(context, 0, NULL, NULL));
    clattn_close(&context);
}

Test(selfcheck, the_environment) {
    log_lines lines;
    clattn_context *context;
    unsetenv("LYING_KERNEL");
    setenv("CLATTN_SELF_CHECK", "on", 1);
    context = open_checked(CLATTN_SELF_CHECK_DEFAULT, NULL, &lines);
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_OK);
    cr_expect_eq(count_lines(&lines, "checked softmax/rows"), 1);
    clattn_close(&context);
    setenv("CLATTN_SELF_CHECK", "perhaps", 1);
    cr_expect_eq(clattn_open(&context, NULL), CLATTN_ERROR_ARGUMENT);
    cr_expect(strstr(clattn_message(context), "\"perhaps\""), "%s", clattn_message(context));
    clattn_close(&context);
}
