/* .npz: read from a file that lies in memory, for libzip opens archives by name. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/models/file_internal.h"
#include "fuzz.h"

static void read_member(const char *path, const char *member) {
    char message[300];
    const file_report report = clattn_file_report(path, message, sizeof message);
    clattn_array array;
    const clattn_status status = clattn_file_read_npz(&array, member, &report);
    FUZZ_EXPECT(!status == !message[0]);
    clattn_array_free(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const members[] = { NULL, "x", "y", "x.npy", "empty" };
    char path[64];
    const int file = memfd_create("npz", 0);
    FUZZ_EXPECT(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) read_member(path, members[i]);
    close(file);
    return 0;
}
