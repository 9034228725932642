/* A cache on a disk that is full or read-only: what writes a file fails at each of its steps. A right result, one warning,
 * nothing half-written left behind, and what was there before still serves. The linker puts the functions below in the place
 * of the system's (--wrap) in what is linked statically: clattn and this test, not the drivers. */
#define _XOPEN_SOURCE 700
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lines.h"

int __real_mkstemp(char *);
int __real_mkstemp64(char *);
int __real_mkdir(const char *, mode_t);
int __real_rename(const char *, const char *);
int __real_fclose(FILE *);
size_t __real_fwrite(const void *, size_t, size_t, FILE *);
int __wrap_mkstemp(char *);
int __wrap_mkstemp64(char *);
int __wrap_mkdir(const char *, mode_t);
int __wrap_rename(const char *, const char *);
int __wrap_fclose(FILE *);
size_t __wrap_fwrite(const void *, size_t, size_t, FILE *);

enum { NOTHING, MAKING_DIRECTORY, MAKING, WRITING, CLOSING, RENAMING };
static int failing;

static int fail_with(int reason) {
    errno = reason;
    return -1;
}

int __wrap_mkstemp(char *path) {
    return failing == MAKING ? fail_with(EROFS) : __real_mkstemp(path);
}

/* Its name where offsets have 64 bits. */
int __wrap_mkstemp64(char *path) {
    return failing == MAKING ? fail_with(EROFS) : __real_mkstemp64(path);
}

int __wrap_mkdir(const char *path, mode_t mode) {
    return failing == MAKING_DIRECTORY ? fail_with(EROFS) : __real_mkdir(path, mode);
}

int __wrap_rename(const char *from, const char *to) {
    return failing == RENAMING ? fail_with(ENOSPC) : __real_rename(from, to);
}

/* The last bytes are flushed by then: that is where a full disk is seen of small files. */
int __wrap_fclose(FILE *file) {
    const int result = __real_fclose(file);
    return failing == CLOSING ? fail_with(ENOSPC) : result;
}

/* A part gets through. */
size_t __wrap_fwrite(const void *bytes, size_t size, size_t count, FILE *file) {
    if (failing != WRITING) return __real_fwrite(bytes, size, count, file);
    errno = ENOSPC;
    return __real_fwrite(bytes, size, count / 2, file);
}

TestSuite(cache_disk, .fini = remove_scratch_directory);

static log_lines use(const char *directory) {
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    clattn_case *c;
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .cache_directory = directory, .log = keep_line, .log_user = &lines }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_case_open(context, "softmax x[3,5]", 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
    clattn_case_close(&c);
    clattn_close(&context);
    return lines;
}

static int count_files(const char *directory) {
    int count = 0;
    DIR *listing = opendir(directory);
    for (struct dirent *d; listing && (d = readdir(listing));) count += d->d_name[0] != '.';
    if (listing) closedir(listing);
    return count;
}

Test(cache_disk, each_step_fails) {
    static const char *const names[] = { "nothing", "mkdir", "mkstemp", "fwrite", "fclose", "rename" };
    for (int step = MAKING_DIRECTORY; step <= RENAMING; step++) {
        const char *directory = in_scratch(names[step]);
        failing = step;
        const log_lines lines = use(directory);
        failing = NOTHING;
        cr_expect_eq(lines.warnings, 1, "%s: %s", names[step], lines.text);
        cr_expect_eq(count_lines(&lines, "cannot be written"), 1, "%s: %s", names[step], lines.text);
        cr_expect_eq(count_files(directory), 0, "%s: %d files are left", names[step], count_files(directory));
    }
}

/* What was stored while there was room is loaded, without a warning, though nothing can be written now. */
Test(cache_disk, read_only_serves) {
    const char *directory = in_scratch("cache");
    use(directory);
    const int files = count_files(directory);
    cr_expect_gt(files, 0);
    failing = MAKING;
    const log_lines lines = use(directory);
    failing = NOTHING;
    cr_expect(lines.warnings == 0 && count_lines(&lines, "loaded softmax") == 1, "%s", lines.text);
    cr_expect_eq(count_files(directory), files);
}

/* A damaged entry that cannot be replaced: two warnings, and it is not believed the next time either. */
Test(cache_disk, damage_that_stays) {
    const char *directory = in_scratch("cache");
    char path[600] = "";
    use(directory);
    DIR *listing = opendir(directory);
    for (struct dirent *d; (d = readdir(listing));)
        if (d->d_name[0] != '.') snprintf(path, sizeof path, "%s/%s", directory, d->d_name);
    closedir(listing);
    FILE *file = fopen(path, "r+b");
    cr_assert(file && fseek(file, 60, SEEK_SET) == 0 && fputc(255, file) == 255 && fclose(file) == 0);
    for (int i = 0; i < 2; i++) {
        failing = RENAMING;
        const log_lines lines = use(directory);
        failing = NOTHING;
        cr_expect(lines.warnings == 2 && count_lines(&lines, "built softmax") == 1, "%s", lines.text);
    }
}
