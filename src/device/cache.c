/* The disk cache of program binaries. A damaged binary kills some drivers, so an entry is believed only if its magic, its
 * lengths, its whole key and a digest over key and payload are right; anything else means "build from source". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "internal.h"
#include "system.h"

static const char magic[8] = { 'c', 'l', 'a', 't', 't', 'n', '0', '1' };
#define LARGEST_ENTRY ((size_t)256 << 20)

typedef struct entry_header {
    char magic[8];
    uint64_t key_size, payload_size;
    XXH128_canonical_t digest; /* over key and payload */
} entry_header;

static char *joined(const char *a, const char *b) {
    const size_t size = strlen(a) + strlen(b) + 1;
    char *text = malloc(size);
    if (text) snprintf(text, size, "%s%s", a, b);
    return text;
}

char *clattn_cache_directory(const char *directory) {
    if (directory && *directory) return joined(directory, "");
    const char *value = clattn_system_environment("CLATTN_CACHE_DIR");
    if (value) return joined(value, "");
    if ((value = clattn_system_environment("XDG_CACHE_HOME"))) return joined(value, "/clattn");
    if ((value = clattn_system_environment("HOME"))) return joined(value, "/.cache/clattn");
    return NULL;
}

char *clattn_tuning_file(const char *named, const char *cache_directory) {
    if (named) return joined(named, "");
    return cache_directory ? joined(cache_directory, "/tuning.json") : NULL;
}

char *clattn_cache_key(const clattn_context *context, const char *text, size_t length, const char *kernel, const char *options) {
    const XXH128_hash_t digest = XXH3_128bits(text, length);
    const clattn_device_info *info = &context->info;
    const char *format = "source %016llx%016llx\nkernel %s\noptions %s\ndevice %s\nvendor %s\nversion %s\ndriver %s\nplatform %s\nplatform version %s\n";
    const int size = snprintf(NULL, 0, format, (unsigned long long)digest.high64, (unsigned long long)digest.low64, kernel, options, info->name, info->vendor, info->version, info->driver, info->platform, info->platform_version);
    char *key = size < 0 ? NULL : malloc((size_t)size + 1);
    if (key) snprintf(key, (size_t)size + 1, format, (unsigned long long)digest.high64, (unsigned long long)digest.low64, kernel, options, info->name, info->vendor, info->version, info->driver, info->platform, info->platform_version);
    return key;
}

static bool entry_path(const clattn_context *context, const char *key, char *path, size_t size) {
    const XXH128_hash_t name = XXH3_128bits(key, strlen(key));
    const int length = snprintf(path, size, "%s/%016llx%016llx.bin", context->cache_directory, (unsigned long long)name.high64, (unsigned long long)name.low64);
    return length > 0 && (size_t)length < size;
}

static bool digest_of(const char *key, const void *payload, size_t size, XXH128_canonical_t *digest) {
    XXH3_state_t *state = XXH3_createState();
    if (!state) return false;
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, key, strlen(key));
    XXH3_128bits_update(state, payload, size);
    XXH128_canonicalFromHash(digest, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return true;
}

/* The payload inside a verified entry, or NULL. */
static const unsigned char *verified(const unsigned char *data, size_t size, const char *key, size_t *payload_size) {
    entry_header header;
    XXH128_canonical_t digest;
    const size_t key_size = strlen(key);
    if (size < sizeof header) return NULL;
    memcpy(&header, data, sizeof header);
    if (memcmp(header.magic, magic, sizeof header.magic) != 0 || header.key_size != key_size) return NULL;
    if (size - sizeof header < key_size || header.payload_size != size - sizeof header - key_size || header.payload_size == 0) return NULL;
    if (memcmp(data + sizeof header, key, key_size) != 0) return NULL;
    const unsigned char *payload = data + sizeof header + key_size;
    *payload_size = (size_t)header.payload_size;
    if (!digest_of(key, payload, *payload_size, &digest) || memcmp(&digest, &header.digest, sizeof digest) != 0) return NULL;
    return payload;
}

static clattn_cache_state inspect(const unsigned char *data, size_t size, char **key) {
    entry_header header;
    size_t payload_size;
    if (size < sizeof header) return CLATTN_CACHE_DAMAGED;
    memcpy(&header, data, sizeof header);
    if (memcmp(header.magic, magic, 6) == 0 && memcmp(header.magic, magic, sizeof magic) != 0) return CLATTN_CACHE_OTHER_VERSION;
    if (header.key_size > size - sizeof header) return CLATTN_CACHE_DAMAGED;
    *key = calloc(1, (size_t)header.key_size + 1);
    if (!*key) return CLATTN_CACHE_DAMAGED;
    memcpy(*key, data + sizeof header, (size_t)header.key_size);
    if (verified(data, size, *key, &payload_size)) return CLATTN_CACHE_VALID;
    free(*key);
    *key = NULL;
    return CLATTN_CACHE_DAMAGED;
}

clattn_cache_state clattn_cache_inspect(const char *path, char **key) {
    size_t size;
    *key = NULL;
    unsigned char *data = clattn_system_read_file(path, LARGEST_ENTRY, &size);
    const clattn_cache_state state = data ? inspect(data, size, key) : CLATTN_CACHE_DAMAGED;
    free(data);
    return state;
}

unsigned char *clattn_cache_load(clattn_context *context, const char *key, size_t *size) {
    char path[4096];
    size_t file_size, payload_size;
    if (!context->cache_directory || !entry_path(context, key, path, sizeof path)) return NULL;
    unsigned char *data = clattn_system_read_file(path, LARGEST_ENTRY, &file_size);
    if (!data) return NULL;
    const unsigned char *payload = verified(data, file_size, key, &payload_size);
    if (!payload) {
        clattn_log(context, CLATTN_LOG_WARNING, "cache entry %s is damaged or stale: building from source", path);
        free(data);
        return NULL;
    }
    clattn_system_touch(path); /* the least recently used go first */
    memmove(data, payload, payload_size);
    *size = payload_size;
    return data;
}

void clattn_cache_store(clattn_context *context, const char *key, const unsigned char *binary, size_t size) {
    char path[4096];
    entry_header header = { .key_size = strlen(key), .payload_size = size };
    if (!context->cache_directory || !entry_path(context, key, path, sizeof path)) return;
    memcpy(header.magic, magic, sizeof magic);
    if (!digest_of(key, binary, size, &header.digest)) return;
    const bool stored = clattn_system_make_directories(context->cache_directory) &&
        clattn_system_write_file(path, (const void *[]){ &header, key, binary }, (size_t[]){ sizeof header, strlen(key), size }, 3);
    if (stored || context->cache_warned) return;
    context->cache_warned = true;
    clattn_log(context, CLATTN_LOG_WARNING, "cache directory %s cannot be written: kernels are built anew in each process", context->cache_directory);
}
