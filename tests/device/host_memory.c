/* Every allocation that clattn makes on the host fails, one after the other: always CLATTN_OK or CLATTN_ERROR_OUT_OF_MEMORY with
 * a message, nothing of ours left behind, and the context works afterwards. The linker puts the functions below in place
 * of malloc and its kin (--wrap) in what is linked statically: clattn and this test, not the drivers. */
#define _POSIX_C_SOURCE 200809L
#include <clattn/clattn.h>
#include <clattn/file.h>
#include <clattn/model.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"
#include "runs.h"

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
char *__real_realpath(const char *, char *);
void __real_free(void *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
char *__wrap_realpath(const char *, char *);
void __wrap_free(void *);

static long asked, failing, live;

static bool fails(void) {
    if (++asked != failing) return false;
    errno = ENOMEM;
    return true;
}

static void *counted(void *made) {
    live += made != NULL;
    return made;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size) {
    if (fails()) return NULL;
    void *made = __real_realloc(old, size);
    live += !old && made;
    return made;
}

/* Gives memory that clattn frees. */
char *__wrap_realpath(const char *path, char *resolved) {
    return resolved ? __real_realpath(path, resolved) : fails() ? NULL : counted(__real_realpath(path, NULL));
}

void __wrap_free(void *pointer) {
    live -= pointer != NULL;
    __real_free(pointer);
}

/* From now on the n-th allocation fails; 0: none. */
static void fail_at(long n) {
    asked = 0;
    failing = n;
}

static clattn_status run_case(clattn_context *context, const char *text, int flags) {
    clattn_case *c = NULL;
    clattn_status status = clattn_case_open(context, text, 1, flags, &c);
    if (!status) status = clattn_case_check(c, NULL);
    clattn_case_close(&c);
    return status;
}

/* Packed weights, which are kept. */
static clattn_status run_frozen(clattn_context *context) {
    clattn_tensor a = { 0 }, b = { 0 }, out = { 0 };
    float values[48 * 48] = { 1 };
    static const int64_t shape[] = { 48, 48 };
    clattn_status status = clattn_tensor_create(context, &a, CLATTN_F32, 2, shape, values);
    if (!status) status = clattn_tensor_create(context, &b, CLATTN_F32, 2, shape, values);
    if (!status) status = clattn_tensor_create(context, &out, CLATTN_F32, 2, shape, NULL);
    clattn_tensor_freeze(&b);
    if (!status) status = clattn_matmul(context, &(clattn_matmul_args){ .a = &a, .b = &b, .out = &out });
    if (!status) status = clattn_tensor_read(context, &out, values);
    if (!status) cr_expect(values[0] == 1 && values[1] == 0, "%g, %g", (double)values[0], (double)values[1]);
    clattn_tensor_free(&a);
    clattn_tensor_free(&b);
    clattn_tensor_free(&out);
    return status;
}

static clattn_status run(clattn_context *context) {
    clattn_status status = run_case(context, "softmax x[3,5] axis=0 -> out", CLATTN_CASE_STRIDED);
    if (!status) status = run_case(context, "attention query[1,2,3,8] key[1,2,5,8] value[1,2,5,8] causal=top_left -> out lse", CLATTN_CASE_F16);
    if (!status) status = run_case(context, "concat x0[2,3] x1[2,1] axis=1 -> out", 0);
    if (!status) status = run_frozen(context);
    return status ? status : clattn_finish(context);
}

static clattn_status whole(clattn_context **context, const char *cache) {
    const clattn_status status = clattn_open(context, &(clattn_open_params){ .no_cache = !cache, .cache_directory = cache });
    return status ? status : run(*context);
}

/* Fails the n-th allocation; false when there are fewer. */
static bool fail_nth(long n, const char *cache) {
    clattn_context *context;
    const long before = live;
    fail_at(n);
    const clattn_status status = whole(&context, cache);
    const bool reached = asked >= n;
    fail_at(0);
    cr_expect(status == CLATTN_OK || (reached && status == CLATTN_ERROR_OUT_OF_MEMORY && *clattn_message(context)), "allocation %ld: %s: %s", n, clattn_status_name(status), clattn_message(context));
    if (clattn_context_device(context)) cr_expect_eq(run(context), CLATTN_OK, "after allocation %ld: %s", n, clattn_message(context));
    clattn_close(&context);
    cr_expect_eq(live, before, "allocation %ld: %ld blocks are left", n, live - before);
    return reached;
}

Test(host_memory, every_allocation) {
    long n = 1;
    while (fail_nth(n, NULL)) n++;
    cr_expect_gt(n, 50, "only %ld allocations were seen", n);
}

Test(host_memory, with_a_cache, .fini = remove_scratch_directory) {
    const char *cache = in_scratch("cache");
    long n = 1;
    while (fail_nth(n, cache)) n++;
    cr_expect_gt(n, 50, "only %ld allocations were seen", n);
}

/* Settings that are used, one that refuses, one for nobody. */
Test(host_memory, with_a_database, .fini = remove_scratch_directory) {
    static const char *const settings[] = { "\"op\": \"softmax\", \"class\": \"rows4 length4\", \"variant\": \"scalar\"", "\"op\": \"attention\", \"class\": \"h2 D8 Tq4 Tk4 causal\", \"tunables\": {\"vectors\": 2, \"keys\": 32}",
        "\"op\": \"matmul\", \"class\": \"m64 n64 k64\", \"tunables\": {\"panel\": 4, \"tile\": 12}", "\"op\": \"matmul\", \"class\": \"m8 n8 k8\", \"tunables\": {\"tile\": 6}" };
    const char *path = in_scratch("tuning.json");
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fprintf(file, "{\"format\": 1, \"entries\": [");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) fprintf(file, "%s{\"platform\": \"*\", \"device\": \"*\", \"driver\": \"*\", \"kernels\": \"*\", %s}", i ? ", " : "", settings[i]);
    cr_assert(fprintf(file, "]}") > 0 && fclose(file) == 0);
    setenv("CLATTN_TUNING", path, 1);
    long n = 1;
    while (fail_nth(n, NULL)) n++;
    cr_expect_gt(n, 50, "only %ld allocations were seen", n);
    unsetenv("CLATTN_TUNING");
}

Test(host_memory, open_and_close) {
    const long before = live;
    for (int i = 0; i < 1000; i++) {
        clattn_context *context;
        const clattn_status status = clattn_open(&context, NULL);
        cr_assert_eq(status, CLATTN_OK, "%s", clattn_message(context));
        clattn_close(&context);
    }
    cr_expect_eq(live, before, "%ld blocks are left", live - before);
}

/* ---- Files ---- */

static clattn_status read_array(const char *spec, char *message, size_t size) {
    clattn_array array;
    clattn_status status = clattn_array_read(&array, spec, message, size);
    if (!status) status = clattn_array_convert(&array, CLATTN_FILE_F32, message, size);
    if (!status) status = clattn_array_write_npy(&array, in_scratch("out.npy"), message, size);
    clattn_array_free(&array);
    return status;
}

static clattn_status read_weights(const char *path, char *message, size_t size) {
    clattn_weights *weights = NULL;
    const clattn_status status = clattn_weights_open(&weights, path, message, size);
    cr_expect_eq(!status, weights != NULL);
    clattn_weights_close(&weights);
    return status;
}

static void fail_each(clattn_status (*read)(const char *, char *, size_t), const char *spec) {
    char message[300] = "";
    bool reached = true;
    for (long n = 1; reached; n++) {
        const long before = live;
        fail_at(n);
        const clattn_status status = read(spec, message, sizeof message);
        reached = asked >= n;
        fail_at(0);
        if (reached) cr_expect(status == CLATTN_ERROR_OUT_OF_MEMORY && *message, "%s, allocation %ld: %s: %s", spec, n, clattn_status_name(status), message);
        else cr_expect_eq(status, CLATTN_OK, "%s: %s", spec, message);
        if (reached) cr_expect_eq(live, before, "%s, allocation %ld: %ld blocks are left", spec, n, live - before);
    }
}

Test(host_memory, files, .fini = remove_scratch_directory) {
    const char *data = getenv("CLATTN_TEST_DATA");
    static const char *const arrays[] = { "files/fortran.npy", "files/big_f2.npy", "files/deflated.npz:x", "files/good.safetensors:float64" };
    char path[4096];
    cr_assert(data, "CLATTN_TEST_DATA is not set");
    scratch_directory();
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", data, arrays[i]);
        fail_each(read_array, path);
    }
    snprintf(path, sizeof path, "%s/files/good.safetensors", data);
    fail_each(read_weights, path);
}

/* ---- Networks and decoding ---- */

static clattn_status classify(clattn_context *context, const char *path, char *message, size_t size) {
    float image[28 * 28] = { 0 }, probabilities[10];
    clattn_gates gates[CLATTN_DIGITS_GATES] = { 0 };
    clattn_cbam_digits *model = NULL;
    clattn_status status = clattn_cbam_digits_open(context, path, &model, message, size);
    if (!status) status = clattn_cbam_digits_classify(model, image, 1, probabilities, gates, message, size);
    for (int i = 0; !status && i < CLATTN_DIGITS_GATES; i++) clattn_gates_free(&gates[i]);
    clattn_cbam_digits_close(&model);
    return status;
}

static clattn_status rnnsearch(clattn_context *context, const char *path, char *message, size_t size) {
    return run_translation(context, "rnnsearch", path, message, size);
}

static clattn_status luong(clattn_context *context, const char *path, char *message, size_t size) {
    return run_translation(context, "luong", path, message, size);
}

static clattn_status decode(clattn_context *context, const char *path, char *message, size_t size) {
    const clattn_status status = run_decoding(context);
    (void)path;
    snprintf(message, size, "%s", clattn_message(context));
    return status;
}

/* All in one context, which has to work after every failure. */
static void fail_each_in_context(clattn_status (*use)(clattn_context *, const char *, char *, size_t), const char *file) {
    char message[600] = "", path[4096];
    model_path(file, path, sizeof path);
    bool reached = true;
    clattn_context *context;
    clattn_status status = clattn_open(&context, NULL);
    cr_assert_eq(status, CLATTN_OK, "%s", clattn_message(context));
    status = use(context, path, message, sizeof message);
    cr_assert_eq(status, CLATTN_OK, "%s", message);
    long n = 0;
    while (reached) {
        fail_at(++n);
        const long before = live;
        status = use(context, path, message, sizeof message);
        reached = asked >= n;
        fail_at(0);
        cr_expect(status == CLATTN_OK || (reached && status == CLATTN_ERROR_OUT_OF_MEMORY && *message), "%s, allocation %ld: %s: %s", path, n, clattn_status_name(status), message);
        /* The first uses of a kernel or a packed weight may be kept. */
        cr_expect_leq(live, before + 2, "%s, allocation %ld: %ld blocks are left", path, n, live - before);
    }
    cr_expect_gt(n, 2, "%s: only %ld allocations were seen", path, n);
    clattn_close(&context);
    cr_expect_eq(live, 0, "%s: %ld blocks are left", path, live);
}

Test(host_memory, classifier) {
    fail_each_in_context(classify, "cbam_digits.safetensors");
}

Test(host_memory, translator) {
    fail_each_in_context(rnnsearch, "rnnsearch.safetensors");
}

Test(host_memory, luong) {
    fail_each_in_context(luong, "luong.safetensors");
}

Test(host_memory, decoding) {
    fail_each_in_context(decode, "");
}
