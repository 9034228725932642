/* .npy: read; what was accepted is converted to each type that operations take. */
#include "../../src/models/file_internal.h"
#include "fuzz.h"

static void read_and_convert(const uint8_t *data, size_t size, clattn_file_dtype dtype) {
    char message[300];
    const file_report report = clattn_file_report("x.npy", message, sizeof message);
    clattn_array array;
    file_source source;
    clattn_file_from_memory(&source, data, size);
    const clattn_status status = clattn_file_read_npy(&array, &source, &report);
    FUZZ_EXPECT(!status == !message[0]);
    if (!status && clattn_array_convert(&array, dtype, message, sizeof message)) FUZZ_EXPECT(message[0]);
    clattn_array_free(&array);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_and_convert(data, size, CLATTN_FILE_F32);
    read_and_convert(data, size, CLATTN_FILE_I32);
    read_and_convert(data, size, CLATTN_FILE_U8);
    return 0;
}
