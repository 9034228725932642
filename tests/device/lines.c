#define _XOPEN_SOURCE 700
#include "lines.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void keep_line(void *user, clattn_log_level level, const char *message) {
    log_lines *lines = user;
    const size_t used = strlen(lines->text);
    snprintf(lines->text + used, sizeof lines->text - used, "%s\n", message);
    lines->warnings += level == CLATTN_LOG_WARNING;
}

int count_lines(const log_lines *lines, const char *part) {
    int count = 0;
    for (const char *at = lines->text; (at = strstr(at, part)); at++) count++;
    return count;
}

static char directory[64];

const char *scratch_directory(void) {
    if (directory[0]) return directory;
    snprintf(directory, sizeof directory, "/tmp/clattn-device-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    return directory;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

void remove_scratch_directory(void) {
    if (directory[0]) nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    directory[0] = '\0';
}

const char *in_scratch(const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_directory(), name);
    return path;
}

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    cr_assert_not_null(found, "the layer has no %s", name);
    return found;
}

fault_functions fault_layer(void) {
    fault_functions f;
    const char *path = getenv("OPENCL_LAYERS");
    cr_assert_not_null(path, "OPENCL_LAYERS names tests/fault's layer; `meson test` sets it");
    void *library = dlopen(path, RTLD_NOW);
    cr_assert_not_null(library, "%s", dlerror());
    /* POSIX lets a function's address travel in a void pointer; C does not, so its bytes are copied. */
    void *found[] = { symbol(library, "fault_plan"), symbol(library, "fault_count"), symbol(library, "fault_live") };
    memcpy(&f, found, sizeof f);
    return f;
}
