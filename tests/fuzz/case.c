/* Written cases, as --case, the tests and the bench take them: read, and their tensors made on the device. Nothing is run. */
#include <clattn/clattn.h>
#include <ctype.h>
#include <string.h>

#include "fuzz.h"

/* Large tensors are legal, but would fill the time with random values. */
enum { MOST_ELEMENTS = 1024, LARGEST_PARAMETER = 64, LONGEST = 512 };

/* Of "2,3,4" up to a character that belongs to no list: the product, or the largest number; at most a little above `most`. */
static long list_size(const char *text, int product, long most) {
    long size = product;
    while (size <= most && (isdigit((unsigned char)*text) || strchr(",+- ", *text)) && *text) {
        char *end;
        long value = strtol(text, &end, 10);
        if (value < 0) value = value < -most ? most + 1 : -value;
        if (end != text) size = !product ? (value > size ? value : size) : value > most ? most + 1 : size * (value ? value : 1);
        text = end == text ? text + 1 : end;
    }
    return size;
}

static int asks_for_much(const char *text) {
    for (; *text; text++) {
        if (*text == '[' && list_size(text + 1, 1, MOST_ELEMENTS) > MOST_ELEMENTS) return 1;
        if (*text == '=' && list_size(text + 1, 0, LARGEST_PARAMETER) > LARGEST_PARAMETER) return 1;
    }
    return 0;
}

static clattn_context *device(void) {
    static clattn_context *context;
    if (!context) FUZZ_EXPECT(clattn_open(&context, &(clattn_open_params){ .no_cache = true }) == CLATTN_OK);
    return context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[LONGEST];
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (asks_for_much(text)) return 0;
    for (int flags = 0; flags <= CLATTN_CASE_STRIDED; flags++) {
        clattn_case *made;
        uint64_t used;
        const clattn_status status = clattn_case_open(device(), text, 1, flags, &made);
        FUZZ_EXPECT(!status == (made != NULL));
        FUZZ_EXPECT(!status || clattn_message(device())[0]);
        if (made) FUZZ_EXPECT(clattn_case_op(made) && clattn_case_args(made));
        clattn_case_close(&made);
        clattn_context_memory(device(), &used, NULL);
        FUZZ_EXPECT(used == 0);
    }
    return 0;
}
