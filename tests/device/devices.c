/* Choosing a device, and having none. Each test is a process of its own, so each sets its own environment first. */
#define _XOPEN_SOURCE 700
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lines.h"

static clattn_status open_with(const char *spec, log_lines *lines, clattn_context **context) {
    *lines = (log_lines){ .warnings = 0 };
    return clattn_open(context, &(clattn_open_params){ .device = spec, .log = keep_line, .log_user = lines, .no_cache = true });
}

static void expect_opens(const char *spec, const char *why) {
    log_lines lines;
    clattn_context *context;
    cr_expect_eq(open_with(spec, &lines, &context), CLATTN_OK, "\"%s\": %s", spec ? spec : "NULL", clattn_message(context));
    cr_expect(strstr(lines.text, why), "\"%s\": the log does not say \"%s\": %s", spec ? spec : "NULL", why, lines.text);
    cr_expect_not_null(clattn_context_device(context));
    clattn_close(&context);
    cr_expect_null(context);
}

static void expect_none(const char *spec, const char *why) {
    log_lines lines;
    clattn_context *context;
    cr_expect_eq(open_with(spec, &lines, &context), CLATTN_ERROR_NO_DEVICE, "\"%s\" opens", spec ? spec : "NULL");
    cr_expect(strstr(clattn_message(context), why), "\"%s\": no \"%s\" in: %s", spec ? spec : "NULL", why, clattn_message(context));
    cr_expect_null(clattn_context_device(context));
    clattn_close(&context);
}

/* Upper and lower case turned over. */
static void swap_case(char *text) {
    for (; *text; text++)
        if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')) *text ^= 32;
}

Test(devices, spec) {
    clattn_device_info first;
    size_t count = 0;
    char message[1024], part[8];
    unsetenv("CLATTN_DEVICE");
    cr_assert_eq(clattn_device_list(&first, 1, &count, message, sizeof message), CLATTN_OK, "%s", message);
    cr_assert_gt(count, 0);
    expect_opens(NULL, "the best of");
    expect_opens("", "the best of");
    expect_opens("0:0", "\"0:0\" (from the caller)");
    snprintf(part, sizeof part, "%.6s", first.name);
    swap_case(part);
    expect_opens(part, "(from the caller)");
    expect_none("9:9", "no usable device matches \"9:9\" (from the caller); there is: 0:0");
    expect_none("0:99999999999999999999", "there is: 0:0");
    expect_none("0:0x", "there is: 0:0");
    expect_none("no such device", "there is: 0:0");
    cr_expect_eq(clattn_device_list(NULL, 0, &count, message, sizeof message), CLATTN_OK);
    cr_expect_neq(clattn_device_list(&first, 1, NULL, message, sizeof message), CLATTN_OK);
}

Test(devices, kinds) {
    static const char *const words[] = { "?", "cpu", "gpu", "accelerator" };
    clattn_device_info infos[8];
    size_t count = 0;
    bool seen[4] = { false };
    unsetenv("CLATTN_DEVICE");
    cr_assert_eq(clattn_device_list(infos, 8, &count, NULL, 0), CLATTN_OK);
    for (size_t i = 0; i < count && i < 8; i++) seen[infos[i].kind] = true;
    for (int kind = CLATTN_DEVICE_CPU; kind <= CLATTN_DEVICE_ACCELERATOR; kind++) {
        if (seen[kind]) expect_opens(words[kind], words[kind]);
        else expect_none(words[kind], "there is: 0:0");
    }
}

Test(devices, environment) {
    setenv("CLATTN_DEVICE", "0:0", 1);
    expect_opens(NULL, "\"0:0\" (from CLATTN_DEVICE)");
    setenv("CLATTN_DEVICE", "nothing of that name", 1);
    expect_none(NULL, "(from CLATTN_DEVICE)");
    expect_none("", "(from CLATTN_DEVICE)");
    expect_opens("0:0", "(from the caller)");
    setenv("CLATTN_DEVICE", "", 1);
    expect_opens(NULL, "the best of");
}

/* Contexts on different devices of one platform, used in turns. PoCL makes three of a machine's cores. */
Test(devices, two_at_once) {
    clattn_device_info infos[8];
    log_lines lines;
    clattn_context *contexts[2];
    clattn_case *cases[2];
    char spec[8];
    size_t total = 0, count = 0;
    unsetenv("CLATTN_DEVICE");
    setenv("POCL_DEVICES", "pthread pthread basic", 1);
    cr_assert_eq(clattn_device_list(infos, 8, &total, NULL, 0), CLATTN_OK);
    while (count < 8 && count < total && strcmp(infos[count].platform, infos[0].platform) == 0) count++;
    if (strstr(infos[0].platform, "Portable Computing Language")) cr_assert_eq(count, 3, "%zu devices", count);
    for (int i = 0; i < 2; i++) {
        snprintf(spec, sizeof spec, "0:%d", i ? (int)count - 1 : 0);
        cr_assert_eq(open_with(spec, &lines, &contexts[i]), CLATTN_OK, "%s: %s", spec, clattn_message(contexts[i]));
        cr_assert_eq(clattn_case_open(contexts[i], "linear x[9,33] weight[17,33] bias[17]", (uint64_t)i, 0, &cases[i]), CLATTN_OK, "%s", clattn_message(contexts[i]));
    }
    for (int turn = 0; turn < 4; turn++) cr_expect_eq(clattn_op_run(contexts[turn % 2], clattn_case_op(cases[turn % 2]), clattn_case_args(cases[turn % 2]), NULL, NULL), CLATTN_OK);
    for (int i = 0; i < 2; i++) cr_expect_eq(clattn_case_check(cases[i], NULL), CLATTN_OK, "%s", clattn_message(contexts[i]));
    for (int i = 0; i < 2; i++) {
        clattn_case_close(&cases[i]);
        clattn_close(&contexts[i]);
    }
}

/* ---- Machines without a device ---- */

static void write_icd(const char *name, const char *library) {
    FILE *file = fopen(in_scratch(name), "w");
    cr_assert_not_null(file);
    fprintf(file, "%s\n", library);
    fclose(file);
}

static void expect_no_device(const char *why) {
    clattn_context *context = NULL;
    clattn_tensor tensor;
    char message[1024];
    size_t count = 9;
    unsetenv("OPENCL_LAYERS");
    unsetenv("CLATTN_DEVICE");
    setenv("OCL_ICD_VENDORS", scratch_directory(), 1);
    expect_none(NULL, why);
    expect_none("cpu", "pocl-opencl-icd");
    cr_expect_eq(clattn_device_list(NULL, 0, &count, message, sizeof message), CLATTN_ERROR_NO_DEVICE);
    cr_expect_eq(count, 0);
    cr_expect(strstr(message, "pocl-opencl-icd") && strstr(message, why), "%s", message);
    cr_expect_eq(clattn_open(&context, NULL), CLATTN_ERROR_NO_DEVICE);
    cr_expect_neq(clattn_tensor_create(context, &tensor, CLATTN_F32, 0, NULL, NULL), CLATTN_OK);
    clattn_close(&context);
    remove_scratch_directory();
}

Test(devices, no_icd) {
    scratch_directory();
    expect_no_device("no OpenCL platform found");
}

Test(devices, missing_library) {
    write_icd("broken.icd", "/nowhere/libOpenCL-nothing.so");
    expect_no_device("no OpenCL platform found");
}

Test(devices, text_as_library) {
    write_icd("libtext.so", "this is no library");
    write_icd("broken.icd", in_scratch("libtext.so"));
    expect_no_device("no OpenCL platform found");
}

Test(devices, empty_icd) {
    write_icd("broken.icd", "");
    expect_no_device("no OpenCL platform found");
}

Test(devices, platform_without_devices) {
    const char *library = getenv("CLATTN_TEST_ICD");
    cr_assert_not_null(library, "`meson test` sets CLATTN_TEST_ICD");
    write_icd("none.icd", library);
    expect_no_device("none has a device");
}

/* ---- Contexts that did not open ---- */

Test(devices, failed_open) {
    log_lines lines;
    clattn_context *context;
    clattn_tensor tensor;
    size_t count = 0;
    int rank;
    int64_t shape[1][CLATTN_MAX_RANK];
    double work;
    clattn_case *c;
    const clattn_op *op = clattn_op_get(0);
    void *args = calloc(1, op->args_size);
    cr_assert_eq(open_with("no such device", &lines, &context), CLATTN_ERROR_NO_DEVICE);
    cr_expect_neq(clattn_tensor_create(context, &tensor, CLATTN_F32, 1, (int64_t[]){ 1 }, NULL), CLATTN_OK);
    cr_expect_neq(clattn_finish(context), CLATTN_OK);
    cr_expect_neq(clattn_prewarm(context, NULL, count, NULL, NULL), CLATTN_OK);
    cr_expect_neq(clattn_op_run(context, op, args, NULL, NULL), CLATTN_OK);
    cr_expect_neq(clattn_op_shapes(context, op, args, 1, &rank, shape, NULL), CLATTN_OK);
    cr_expect_neq(clattn_op_work(context, op, args, &work, &work), CLATTN_OK);
    cr_expect_neq(clattn_op_reference(context, op, args, &(double *){ NULL }, NULL), CLATTN_OK);
    cr_expect_not_null(clattn_op_refusal(context, op, args, clattn_op_variant(op, 0)));
    cr_expect_neq(clattn_case_open(context, clattn_op_example(op, 0), 1, 0, &c), CLATTN_OK);
    cr_expect(strstr(clattn_message(context), "no such device"), "the message is lost: %s", clattn_message(context));
    clattn_close(&context);
    free(args);
}

Test(devices, nothing) {
    clattn_context *none = NULL;
    clattn_close(&none);
    clattn_close(NULL);
    clattn_tensor_free(NULL);
    cr_expect_neq(clattn_open(NULL, NULL), CLATTN_OK);
    cr_expect_neq(clattn_finish(NULL), CLATTN_OK);
    cr_expect_not_null(clattn_message(NULL));
    cr_expect_eq(clattn_driver_error(NULL), 0);
    cr_expect_null(clattn_context_device(NULL));
    cr_expect_neq(clattn_op_run(NULL, clattn_op_get(0), "", NULL, NULL), CLATTN_OK);
}

/* ---- The mask of capabilities ---- */

static clattn_status open_masked(const char *caps, log_lines *lines, clattn_context **context) {
    *lines = (log_lines){ .warnings = 0 };
    return clattn_open(context, &(clattn_open_params){ .log = keep_line, .log_user = lines, .no_cache = true, .caps = caps });
}

static void expect_limits(const char *caps, uint64_t local, size_t group) {
    log_lines lines;
    clattn_context *context;
    cr_assert_eq(open_masked(caps, &lines, &context), CLATTN_OK, "%s", clattn_message(context));
    const clattn_device_info *info = clattn_context_device(context);
    cr_expect(info->local_memory == local && info->max_work_group == group, "%llu bytes, %zu items", (unsigned long long)info->local_memory, info->max_work_group);
    cr_expect_eq(count_lines(&lines, "masked by"), 1);
    clattn_close(&context);
}

Test(caps, limits) {
    unsetenv("CLATTN_CAPS");
    expect_limits("-fp16,-subgroups,local=16384,wg=64", 16384, 64);
    expect_limits("wg=1,local=1", 1, 1);
    setenv("CLATTN_CAPS", "local=8192,wg=16", 1);
    expect_limits(NULL, 8192, 16);
    expect_limits("local=4096,wg=7", 4096, 7);
}

static void expect_vectors(const char *caps, uint32_t least, uint32_t most) {
    log_lines lines;
    clattn_context *context;
    cr_assert_eq(open_masked(caps, &lines, &context), CLATTN_OK, "%s", clattn_message(context));
    const uint32_t width = clattn_context_device(context)->vector_width;
    cr_expect(width >= least && width <= most, "\"%s\": vectors of %u floats", caps, width);
    clattn_close(&context);
}

Test(caps, vectors) {
    unsetenv("CLATTN_CAPS");
    expect_vectors("vector=1", 1, 1);
    expect_vectors("vector=8", 1, 8);
    expect_vectors("vector=64", 1, 63);
}

Test(caps, cache) {
    log_lines lines;
    clattn_context *context;
    unsetenv("CLATTN_CAPS");
    cr_assert_eq(open_masked("", &lines, &context), CLATTN_OK, "%s", clattn_message(context));
    const uint64_t whole = clattn_context_device(context)->cache;
    clattn_close(&context);
    cr_assert_eq(open_masked("cache=4096", &lines, &context), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_context_device(context)->cache, whole < 4096 ? whole : 4096, "%llu bytes of %llu", (unsigned long long)clattn_context_device(context)->cache, (unsigned long long)whole);
    clattn_close(&context);
}

Test(caps, refused) {
    static const char *const bad[] = { "fp16", "-fp17", "-fp16,", ",", "local=", "local=0", "local=-1", "vector=", "vector=0", "vector=8f", "cache=", "cache=0", "wg=64x", "wg=64 ", "WG=64", "local16" };
    unsetenv("CLATTN_CAPS");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        log_lines lines;
        clattn_context *context;
        cr_expect_eq(open_masked(bad[i], &lines, &context), CLATTN_ERROR_ARGUMENT, "\"%s\" is taken", bad[i]);
        cr_expect(strstr(clattn_message(context), "cannot read \"") && strstr(clattn_message(context), bad[i]), "%s", clattn_message(context));
        cr_expect_null(clattn_context_device(context));
        clattn_close(&context);
    }
}

/* A work-group of 7 and 16 bytes of local memory: the scalar variants take it. */
Test(caps, an_operation_falls_back) {
    log_lines lines;
    clattn_context *context;
    clattn_case *c;
    unsetenv("CLATTN_CAPS");
    cr_assert_eq(open_masked("local=16,wg=7", &lines, &context), CLATTN_OK);
    cr_assert_eq(clattn_case_open(context, "matmul a[37,19] b[19,23]", 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
    clattn_case_close(&c);
    clattn_close(&context);
}
