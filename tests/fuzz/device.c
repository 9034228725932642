/* --device: which device a SPEC means, beside the devices that there are. */
#include <clattn/clattn.h>
#include <string.h>

#include "../../src/device/internal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static clattn_context context; /* large, and the same for every input */
    cl_device_id device = NULL;
    char text[256];
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    context = (clattn_context){ .device = NULL };
    const clattn_status status = clattn_device_choose(&context, text, &device);
    FUZZ_EXPECT(status == CLATTN_OK || status == CLATTN_ERROR_NO_DEVICE);
    FUZZ_EXPECT(!status == (device != NULL) && !status == !context.message[0]);
    FUZZ_EXPECT(!device || context.info.available);
    return 0;
}
