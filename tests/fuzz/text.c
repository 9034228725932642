/* Texts that people write: the mask of capabilities, and every parameter of every operation as --set takes it. */
#include <clattn/clattn.h>
#include <string.h>

#include "../../src/device/internal.h"
#include "fuzz.h"

static void mask(const char *text) {
    clattn_context context = { .info = { .local_memory = 1 << 15, .max_work_group = 4096, .fp16 = true } };
    const clattn_status status = clattn_caps_apply(&context, text);
    FUZZ_EXPECT(!status == !context.message[0]);
    FUZZ_EXPECT(context.info.local_memory <= 1 << 15 && context.info.max_work_group <= 4096 && context.info.max_work_group > 0);
}

static void set(const clattn_op *op, const clattn_field *field, const char *text) {
    char args[4096] = { 0 }, message[300] = "";
    FUZZ_EXPECT(op->args_size <= sizeof args);
    FUZZ_EXPECT(!clattn_field_set(op, field, args, text, message, sizeof message) == !message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[256];
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (*text) mask(text);
    for (size_t i = 0; i < clattn_op_count(); i++) {
        const clattn_op *op = clattn_op_get(i);
        for (size_t k = 0; k < op->field_count; k++) set(op, &op->fields[k], text);
    }
    return 0;
}
