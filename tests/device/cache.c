/* The kernel cache: hits, and every kind of damage. The fault layer tells which bytes reached the driver. */
#define _XOPEN_SOURCE 700
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lines.h"

#define HEADER 40 /* magic, two sizes, digest */

TestSuite(cache, .fini = remove_scratch_directory);

static void expect_right(clattn_context *context) {
    clattn_tensor x, out;
    const float values[3] = { 0, logf(2), logf(5) };
    float found[3] = { 0 };
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ 3 }, values), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 1, (int64_t[]){ 3 }, NULL), CLATTN_OK);
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_tensor_read(context, &out, found), CLATTN_OK);
    for (int i = 0; i < 3; i++) cr_expect(fabsf(found[i] - expf(values[i]) / 8) < 1e-6f, "%g", (double)found[i]);
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
}

/* Opens on `directory`, runs one kernel, closes. */
static log_lines use(const char *directory) {
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .cache_directory = directory, .log = keep_line, .log_user = &lines }), CLATTN_OK, "%s", clattn_message(context));
    expect_right(context);
    clattn_close(&context);
    return lines;
}

static bool is_entry(const char *name) {
    const size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".bin") == 0;
}

/* The path of the only entry. */
static const char *entry(void) {
    static char path[512];
    int count = 0;
    DIR *listing = opendir(scratch_directory());
    for (struct dirent *d; (d = readdir(listing));) {
        if (d->d_name[0] == '.') continue;
        cr_expect(is_entry(d->d_name), "%s was left behind", d->d_name);
        snprintf(path, sizeof path, "%s/%s", scratch_directory(), d->d_name);
        count++;
    }
    closedir(listing);
    cr_assert_eq(count, 1, "%d entries", count);
    return path;
}

static unsigned char *contents(const char *path, size_t *size) {
    struct stat status;
    FILE *file = fopen(path, "rb");
    cr_assert(file && fstat(fileno(file), &status) == 0);
    unsigned char *bytes = malloc((size_t)status.st_size + 1);
    *size = fread(bytes, 1, (size_t)status.st_size, file);
    fclose(file);
    return bytes;
}

static void put(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

/* With the entry as it is now: a right result, one warning, no byte to the driver, and a good entry afterwards. */
static void expect_rebuilt(const char *what) {
    const fault_functions fault = fault_layer();
    fault.plan(NULL, 0, 0, 0);
    log_lines lines = use(scratch_directory());
    cr_expect_eq(lines.warnings, 1, "%s: %d warnings\n%s", what, lines.warnings, lines.text);
    cr_expect_eq(count_lines(&lines, "built softmax"), 1, "%s: %s", what, lines.text);
    cr_expect_eq(fault.count("clCreateProgramWithBinary"), 0, "%s: unverified bytes reached the driver", what);
}

Test(cache, second_open_loads) {
    log_lines lines = use(scratch_directory());
    cr_expect_eq(lines.warnings, 0, "%s", lines.text);
    cr_expect_eq(count_lines(&lines, "built softmax"), 1, "%s", lines.text);
    entry();
    lines = use(scratch_directory());
    cr_expect_eq(lines.warnings, 0, "%s", lines.text);
    cr_expect_eq(count_lines(&lines, "loaded softmax"), 1, "%s", lines.text);
}

Test(cache, damage) {
    char path[512], what[64];
    size_t size;
    use(scratch_directory());
    snprintf(path, sizeof path, "%s", entry());
    unsigned char *good = contents(path, &size), *bad = malloc(size + 1);
    const size_t lengths[] = { 0, 1, HEADER - 1, HEADER, HEADER + 10, size / 2, size - 1 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(what, sizeof what, "cut to %zu of %zu", lengths[i], size);
        put(path, good, lengths[i]);
        expect_rebuilt(what);
    }
    for (size_t at = 0; at < size; at += at < HEADER ? 1 : size / 9 + 1) {
        memcpy(bad, good, size);
        bad[at] ^= 1;
        put(path, bad, size);
        snprintf(what, sizeof what, "bit of byte %zu of %zu", at, size);
        expect_rebuilt(what);
    }
    memcpy(bad, good, size);
    bad[size] = 0;
    put(path, bad, size + 1);
    expect_rebuilt("a byte too many");
    log_lines lines = use(scratch_directory());
    cr_expect_eq(count_lines(&lines, "loaded softmax"), 1, "the damaged entry was not replaced: %s", lines.text);
    free(good);
    free(bad);
}

static bool keep_state(void *user, const clattn_cache_entry *found) {
    *(clattn_cache_state *)user = found->state;
    return true;
}

static clattn_cache_state state_of_the_entry(void) {
    clattn_cache_state state = CLATTN_CACHE_VALID;
    char message[200] = "";
    cr_assert_eq(clattn_cache_visit(scratch_directory(), keep_state, &state, message, sizeof message), CLATTN_OK, "%s", message);
    return state;
}

static void put_byte(FILE *file, size_t at, unsigned char value) {
    cr_assert(fseek(file, (long)at, SEEK_SET) == 0 && fputc(value, file) == value && fflush(file) == 0);
}

/* Each byte of the entry, as the check that stands before every driver sees it. */
Test(cache, every_byte, .timeout = 600) {
    char path[512];
    size_t size;
    use(scratch_directory());
    snprintf(path, sizeof path, "%s", entry());
    unsigned char *good = contents(path, &size);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(state_of_the_entry(), CLATTN_CACHE_VALID);
    for (size_t at = 0; at < size; at++) {
        put_byte(file, at, good[at] ^ (unsigned char)(1 << at % 8));
        cr_expect_neq(state_of_the_entry(), CLATTN_CACHE_VALID, "byte %zu of %zu is damaged, unseen", at, size);
        put_byte(file, at, good[at]);
    }
    cr_expect_eq(state_of_the_entry(), CLATTN_CACHE_VALID);
    fclose(file);
    free(good);
}

/* What a later release may write under this name. */
Test(cache, a_newer_version) {
    char path[512];
    size_t size;
    use(scratch_directory());
    snprintf(path, sizeof path, "%s", entry());
    unsigned char *bytes = contents(path, &size);
    bytes[7]++;
    put(path, bytes, size);
    cr_expect_eq(state_of_the_entry(), CLATTN_CACHE_OTHER_VERSION);
    expect_rebuilt("another version");
    cr_expect_eq(state_of_the_entry(), CLATTN_CACHE_VALID);
    free(bytes);
}

/* An entry of an older driver under this one's name: its key tells. */
Test(cache, stale) {
    char path[512];
    size_t size;
    use(scratch_directory());
    snprintf(path, sizeof path, "%s", entry());
    unsigned char *bytes = contents(path, &size);
    for (size_t i = HEADER; i + 8 < size; i++)
        if (memcmp(bytes + i, "\ndriver ", 8) == 0) {
            bytes[i + 8]++;
            break;
        }
    put(path, bytes, size);
    expect_rebuilt("another driver");
    free(bytes);
}

Test(cache, directory_in_place_of_an_entry) {
    char path[512];
    use(scratch_directory());
    snprintf(path, sizeof path, "%s", entry());
    cr_assert(remove(path) == 0 && mkdir(path, 0700) == 0);
    expect_rebuilt("a directory");
}

Test(cache, unwritable) {
    put(in_scratch("file"), "x", 1);
    const char *directory = in_scratch("file/below/a/file");
    for (int i = 0; i < 2; i++) {
        log_lines lines = use(directory);
        cr_expect_eq(lines.warnings, 1, "%s", lines.text);
        cr_expect_eq(count_lines(&lines, "cannot be written"), 1, "%s", lines.text);
    }
}

Test(cache, none) {
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    setenv("CLATTN_CACHE_DIR", scratch_directory(), 1);
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .no_cache = true, .log = keep_line, .log_user = &lines }), CLATTN_OK);
    expect_right(context);
    clattn_close(&context);
    cr_expect_eq(lines.warnings, 0, "%s", lines.text);
    cr_expect_eq(rmdir(scratch_directory()), 0, "no_cache wrote an entry");
}

Test(cache, environment) {
    setenv("CLATTN_CACHE_DIR", scratch_directory(), 1);
    use(NULL);
    entry();
}

/* The driver refuses what the cache verified: built from source all the same. */
Test(cache, refused_by_the_driver) {
    static const char *const calls[] = { "clCreateProgramWithBinary", "clBuildProgram", "clCreateKernel" };
    const fault_functions fault = fault_layer();
    use(scratch_directory());
    for (int i = 0; i < 3; i++) {
        fault.plan(calls[i], 1, 1, -42);
        log_lines lines = use(scratch_directory());
        cr_expect_eq(lines.warnings, 1, "%s: %s", calls[i], lines.text);
        cr_expect_eq(count_lines(&lines, "built softmax"), 1, "%s: %s", calls[i], lines.text);
    }
}

static int count_entries(void) {
    int count = 0;
    DIR *listing = opendir(scratch_directory());
    for (struct dirent *d; (d = readdir(listing));) count += is_entry(d->d_name);
    closedir(listing);
    return count;
}

/* PoCL is not asked for a binary while another context may launch; the last context saves. */
Test(cache, two_contexts) {
    clattn_context *contexts[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(clattn_open(&contexts[i], &(clattn_open_params){ .cache_directory = scratch_directory() }), CLATTN_OK);
        expect_right(contexts[i]);
    }
    const bool pocl = strstr(clattn_context_device(contexts[0])->platform, "Portable Computing") != NULL;
    clattn_close(&contexts[0]);
    cr_expect_eq(count_entries(), pocl ? 0 : 1);
    clattn_close(&contexts[1]);
    entry();
}

Test(cache, two_processes) {
    pid_t children[2];
    char directory[512];
    snprintf(directory, sizeof directory, "%s", scratch_directory());
    for (int i = 0; i < 2; i++) {
        if ((children[i] = fork()) != 0) continue;
        log_lines lines = { .warnings = 0 };
        for (int k = 0; k < 3; k++) lines.warnings += use(directory).warnings;
        _exit(lines.warnings != 0);
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        cr_expect(waitpid(children[i], &status, 0) == children[i] && WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d: status %d", i, status);
    }
    entry();
}
