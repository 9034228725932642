/* .safetensors: read; of what was accepted every tensor is looked at. */
#include "../../src/models/file_internal.h"
#include "fuzz.h"

static void look(const clattn_weights *weights) {
    char message[300];
    for (size_t i = 0; i < clattn_weights_count(weights); i++) {
        clattn_array view;
        FUZZ_EXPECT(clattn_weights_get(weights, clattn_weights_name(weights, i), &view, message, sizeof message) == CLATTN_OK);
        FUZZ_EXPECT(clattn_array_convert(&view, CLATTN_FILE_F32, message, sizeof message) == CLATTN_OK || message[0]);
        clattn_array_free(&view);
    }
    clattn_array missing;
    FUZZ_EXPECT(clattn_weights_get(weights, "no such tensor", &missing, message, sizeof message) == CLATTN_ERROR_ARGUMENT);
    clattn_weights_metadata(weights, "format");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char message[300];
    const file_report report = clattn_file_report("x.safetensors", message, sizeof message);
    clattn_weights *weights;
    file_source source;
    clattn_file_from_memory(&source, data, size);
    const clattn_status status = clattn_file_read_weights(&weights, &source, &report);
    FUZZ_EXPECT(!status == !message[0] && !status == (weights != NULL));
    if (!status) look(weights);
    clattn_weights_close(&weights);
    return 0;
}
