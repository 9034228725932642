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

/* Whether a variant of the operation is in the list. */
static bool is_listed(clattn_context *context, const clattn_op *wanted) {
    const clattn_op *op;
    for (size_t i = 0; clattn_op_demotion(context, i, &op, NULL); i++)
        if (op == wanted) return true;
    return false;
}

static size_t count_demotions(clattn_context *context) {
    size_t count = 0;
    while (clattn_op_demotion(context, count, NULL, NULL)) count++;
    return count;
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
    setenv("LYING_KERNEL", "rows short_rows", 1); /* a CPU with few registers has no short_rows */
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_assert_eq(clattn_case_open(context, "softmax x[5,33]", 7, 0, &c), CLATTN_OK);
    const clattn_op *op = clattn_case_op(c);
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), NULL, &chosen), CLATTN_OK);
    cr_expect_str_neq(chosen, "rows");
    const char *refusal = clattn_op_refusal(context, op, clattn_case_args(c), "rows");
    cr_expect(refusal && strstr(refusal, "demoted: "), "%s", refusal ? refusal : "NULL");
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), "rows", NULL), CLATTN_ERROR_UNSUPPORTED);
    cr_expect(strstr(clattn_message(context), "demoted: "), "%s", clattn_message(context));
    clattn_case_close(&c);
    clattn_close(&context);
}

/* Nothing that a lying device gives leaves an operation: a status, a message that names the operation, every variant that
 * could have run in the list, and the second call asks no questions again. */
static void expect_refused(clattn_context *context, const clattn_op *op, log_lines *lines) {
    clattn_case *c;
    const char *variant;
    *lines = (log_lines){ .warnings = 0 };
    cr_assert_eq(clattn_case_open(context, clattn_op_example(op, 0), 7, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), NULL, NULL), CLATTN_ERROR_UNSUPPORTED, "%s gives a result, or: %s", op->name, clattn_message(context));
    cr_expect(strncmp(clattn_message(context), op->name, strlen(op->name)) == 0 && strstr(clattn_message(context), "demoted: its self-check failed"), "%s", clattn_message(context));
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++) cr_expect(clattn_op_refusal(context, op, clattn_case_args(c), variant), "%s/%s may still be used", op->name, variant);
    cr_expect(is_listed(context, op), "%s is not in the list", op->name);
    const size_t known = count_demotions(context);
    *lines = (log_lines){ .warnings = 0 };
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(c), NULL, NULL), CLATTN_ERROR_UNSUPPORTED);
    cr_expect(count_demotions(context) == known && lines->warnings == 0, "%s was checked again: %s", op->name, lines->text);
    clattn_case_close(&c);
}

Test(selfcheck, every_variant_lies, .timeout = 600) {
    log_lines lines;
    const clattn_op *op;
    setenv("LYING_KERNEL", "*", 1);
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    for (size_t i = 0; (op = clattn_op_get(i)); i++) expect_refused(context, op, &lines);
    unsetenv("LYING_KERNEL");
    float values[2] = { 1, 2 };
    clattn_tensor x;
    cr_expect_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ 2 }, values), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_tensor_read(context, &x, values), CLATTN_OK, "%s", clattn_message(context));
    clattn_tensor_free(&x);
    clattn_close(&context);
}

/* The liar is inside: the composite goes on with the next variant of its part, and stays. */
Test(selfcheck, a_part_lies) {
    log_lines lines;
    setenv("LYING_KERNEL", "rows", 1);
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_expect_eq(check_case(context, "efficient_channel_attention x[2,9,5,7] weight[1,1,3]"), CLATTN_OK, "%s", clattn_message(context));
    expect_demoted(context, 0, "multiply");
    cr_expect_eq(count_demotions(context), 1, "%s", lines.text);
    clattn_close(&context);
}

/* Kernels beside a variant's own: those that make a view dense and f16 wide. What is stored otherwise is not touched. */
Test(selfcheck, copies_lie) {
    log_lines lines;
    clattn_case *c;
    setenv("LYING_KERNEL", "tiles", 1); /* what transposed views are packed with */
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(count_demotions(context), 0, "%s", lines.text);
    cr_assert_eq(clattn_case_open(context, "softmax x[5,33]", 7, CLATTN_CASE_STRIDED, &c), CLATTN_OK);
    cr_expect_eq(clattn_op_run(context, clattn_case_op(c), clattn_case_args(c), NULL, NULL), CLATTN_ERROR_UNSUPPORTED);
    cr_expect(strstr(clattn_message(context), "demoted: its self-check failed, strided"), "%s", clattn_message(context));
    clattn_case_close(&c);
    cr_expect_eq(check_case(context, "softmax x[4,7]"), CLATTN_OK, "%s", clattn_message(context));
    clattn_close(&context);
}

Test(selfcheck, storage_is_checked_apart) {
    static const struct {
        int flags;
        const char *line;
    } cases[] = { { 0, "checked softmax/rows by" }, { CLATTN_CASE_F16, "checked softmax/rows, f16 by" }, { CLATTN_CASE_BF16, "checked softmax/rows, bf16 by" } };
    log_lines lines;
    unsetenv("LYING_KERNEL");
    clattn_context *context = open_checked(CLATTN_SELF_CHECK_ON, NULL, &lines);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, "softmax x[5,33]", 7, cases[i].flags, &c), CLATTN_OK);
        cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
        cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
        cr_expect_eq(count_lines(&lines, cases[i].line), 1, "%s", lines.text);
        clattn_case_close(&c);
    }
    clattn_close(&context);
}

Test(selfcheck, without_it_the_lie_stays) {
    log_lines lines;
    setenv("LYING_KERNEL", "rows short_rows", 1);
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

static int checks_of_one_run(const char *cache, const char *caps) {
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .log = keep_line, .log_user = &lines, .cache_directory = cache, .caps = caps, .self_check = CLATTN_SELF_CHECK_ON }), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(check_case(context, "softmax x[5,33]"), CLATTN_OK, "%s", clattn_message(context));
    clattn_close(&context);
    return count_lines(&lines, "checked softmax/rows");
}

Test(selfcheck, what_passed_is_remembered) {
    unsetenv("LYING_KERNEL");
    const char *cache = scratch_directory();
    cr_expect_eq(checks_of_one_run(cache, NULL), 1);
    cr_expect_eq(checks_of_one_run(cache, NULL), 0);
    remove_scratch_directory();
}

/* A mask changes which examples fit and how a variant runs: each asks again. */
Test(selfcheck, what_passed_belongs_to_the_mask) {
    static const char *const masks[] = { "local=32768", "wg=64", "local=16384", "local=16384,wg=64" };
    unsetenv("LYING_KERNEL");
    const char *cache = scratch_directory();
    cr_expect_eq(checks_of_one_run(cache, NULL), 1);
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        cr_expect_eq(checks_of_one_run(cache, masks[i]), 1, "%s: not checked", masks[i]);
        cr_expect_eq(checks_of_one_run(cache, masks[i]), 0, "%s: checked again", masks[i]);
    }
    remove_scratch_directory();
}

static log_lines pool_with_little_local_memory(const char *cache) {
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .log = keep_line, .log_user = &lines, .cache_directory = cache, .caps = "local=512", .self_check = CLATTN_SELF_CHECK_ON }), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(check_case(context, "max_pool2d x[1,1,2,2] kernel=1"), CLATTN_OK, "%s", clattn_message(context));
    clattn_close(&context);
    return lines;
}

/* A variant fits the call, but on such a device none of its operation's examples: used, told, and not remembered as passed. */
Test(selfcheck, unchecked_is_not_passed) {
    unsetenv("LYING_KERNEL");
    const char *cache = scratch_directory();
    for (int i = 0; i < 2; i++) {
        const log_lines lines = pool_with_little_local_memory(cache);
        cr_expect(count_lines(&lines, "max_pool2d/gpu is unchecked") == 1 && lines.warnings == 1, "run %d: %s", i, lines.text);
    }
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
