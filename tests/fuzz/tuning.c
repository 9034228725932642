/* Databases of settings: read; of what was accepted every entry names what there is, and can be written and read again. */
#define _GNU_SOURCE
#include <clattn/clattn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

static bool look(void *user, size_t number, const clattn_tuning_entry *entry, const char *fault) {
    char text[200];
    (void)number;
    if (fault) FUZZ_EXPECT(*fault);
    if (fault) return true;
    const clattn_setting *s = &entry->setting;
    FUZZ_EXPECT(entry->op && clattn_op_tunable(entry->op, 0) && *entry->platform && *entry->device && *entry->driver && *entry->kernels && *entry->shape_class);
    FUZZ_EXPECT(s->count >= 0 && s->count <= CLATTN_MAX_TUNED && entry->seconds >= 0 && entry->default_seconds >= 0);
    for (int i = 0; i < s->count; i++) FUZZ_EXPECT(s->values[i] > 0 && strstr(clattn_setting_text(s, text, sizeof text), s->tunables[i]->name));
    ++*(size_t *)user;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64], message[600] = "";
    size_t good = 0;
    const int file = memfd_create("tuning", 0);
    FUZZ_EXPECT(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const clattn_status status = clattn_tuning_visit(path, look, &good, message, sizeof message);
    FUZZ_EXPECT(!status == !message[0] && (!status || !good));
    for (const char *at = message; *at; at++) FUZZ_EXPECT(*at >= ' ' && *at <= '~');
    close(file);
    return 0;
}
