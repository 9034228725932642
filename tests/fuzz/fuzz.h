/* What the targets share. Each is one function that libFuzzer calls with bytes that it made up; a crash, a leak, undefined
 * behaviour, a second without an answer or 2 GB of memory is a finding. */
#ifndef CLATTN_TESTS_FUZZ_FUZZ_H
#define CLATTN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A rule of the library that was broken. */
#define FUZZ_EXPECT(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

#endif
