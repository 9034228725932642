/* Entries of the kernel cache: the bytes of a file before any of them reaches a driver. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/device/internal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64], *key;
    const int file = memfd_create("entry", 0);
    FUZZ_EXPECT(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const clattn_cache_state state = clattn_cache_inspect(path, &key);
    FUZZ_EXPECT((state == CLATTN_CACHE_VALID) == (key != NULL));
    free(key);
    close(file);
    return 0;
}
