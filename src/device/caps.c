/* The mask of capabilities: a device is described as having less than it has, so that every fallback can be tried anywhere. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "system.h"

static bool is_word(const char *word, size_t length, const char *expected) {
    return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

/* The number after "NAME="; 0 when it is not that name, or not a number of 1 or more. */
static unsigned long long limit_of(const char *word, size_t length, const char *name) {
    const size_t stem = strlen(name);
    char *end;
    if (length <= stem || memcmp(word, name, stem) != 0 || !isdigit((unsigned char)word[stem])) return 0;
    const unsigned long long value = strtoull(word + stem, &end, 10);
    return end == word + length ? value : 0;
}

/* False when the word is none of those known. */
static bool apply(clattn_device_info *info, const char *word, size_t length) {
    unsigned long long limit;
    if (is_word(word, length, "-fp16")) info->fp16 = false;
    else if (is_word(word, length, "-subgroups")) info->subgroups = false;
    else if ((limit = limit_of(word, length, "local="))) info->local_memory = limit < info->local_memory ? limit : info->local_memory;
    else if ((limit = limit_of(word, length, "cache="))) info->cache = limit < info->cache ? limit : info->cache;
    else if ((limit = limit_of(word, length, "wg="))) info->max_work_group = limit < info->max_work_group ? (size_t)limit : info->max_work_group;
    else if ((limit = limit_of(word, length, "vector="))) info->vector_width = limit < info->vector_width ? (uint32_t)limit : info->vector_width;
    else return false;
    return true;
}

clattn_status clattn_caps_apply(clattn_context *context, const char *text) {
    const char *origin = "the caller";
    if (!text) {
        text = clattn_system_environment("CLATTN_CAPS");
        origin = "CLATTN_CAPS";
    }
    if (!text || !*text) return CLATTN_OK;
    for (const char *word = text;; word++) {
        const size_t length = strcspn(word, ",");
        if (!apply(&context->info, word, length))
            return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "caps \"%s\" (from %s): cannot read \"%.*s\"; expected a list like -fp16,-subgroups,local=BYTES,wg=ITEMS,vector=FLOATS,cache=BYTES", text, origin, (int)(length < 200 ? length : 200), word);
        word += length;
        if (!*word) break;
    }
    clattn_log(context, CLATTN_LOG_INFO, "capabilities masked by \"%s\" (from %s)", text, origin);
    return CLATTN_OK;
}
