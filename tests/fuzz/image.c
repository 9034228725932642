/* PNG and JPEG, by their first byte as image.c does; pixels are read to the last one. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "../../src/cli/image_format.h"
#include "fuzz.h"

/* Larger pictures are legal, but would fill the time with the decoding of zeros. */
enum { MOST_PIXELS = 1 << 20, LONGEST = 1 << 16 };

/* The size that a PNG's header claims; JPEG's limit comes from the input's length. */
static int is_large_png(const uint8_t *data, size_t size) {
    if (size < 24 || data[0] != 0x89) return 0;
    const uint64_t width = (uint64_t)data[16] << 24 | (uint64_t)data[17] << 16 | (uint64_t)data[18] << 8 | data[19];
    const uint64_t height = (uint64_t)data[20] << 24 | (uint64_t)data[21] << 16 | (uint64_t)data[22] << 8 | data[23];
    return width <= IMAGE_MAX_SIDE && height <= IMAGE_MAX_SIDE && width * height > MOST_PIXELS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char cause[IMAGE_CAUSE_SIZE] = "";
    struct image image = { 0 };
    if (size == 0 || size > LONGEST || is_large_png(data, size)) return 0;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
    FUZZ_EXPECT(file);
    const int failed = (data[0] == 0xff ? image_read_jpeg : image_read_png)(&image, file, cause);
    fclose(file);
    FUZZ_EXPECT(!failed == !cause[0]);
    for (size_t i = 0; !failed && i < (size_t)image.width * (size_t)image.height; i++) FUZZ_EXPECT(image.grey[i] >= 0 && image.grey[i] <= 1.001f);
    image_free(&image);
    return 0;
}
