/* The cache seen as a directory: listing, clearing, and keeping it within its limit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "system.h"

#define ABANDONED (3600LL * 1000000000) /* a temporary file this old belongs to no living write */

/* 32 hexadecimal digits and ".bin"; what is being written has ".XXXXXX" behind that. */
enum { DIGITS = 32, ENTRY_LENGTH = DIGITS + 4, TEMPORARY_LENGTH = ENTRY_LENGTH + 7 };

static bool named(const char *name, size_t length) {
    return strlen(name) == length && strspn(name, "0123456789abcdef") == DIGITS && memcmp(name + DIGITS, ".bin", 4) == 0 && (length == ENTRY_LENGTH || name[ENTRY_LENGTH] == '.');
}

static bool is_entry(const clattn_system_file *file) {
    return named(file->name, ENTRY_LENGTH);
}

static bool path_of(const char *directory, const char *name, char *path, size_t size) {
    const int length = snprintf(path, size, "%s/%s", directory, name);
    return length > 0 && (size_t)length < size;
}

bool clattn_cache_path(const char *directory, char *path, size_t size) {
    char *chosen = clattn_cache_directory(directory);
    const bool fits = chosen && strlen(chosen) < size;
    if (fits) memcpy(path, chosen, strlen(chosen) + 1);
    free(chosen);
    return fits;
}

/* ---- Listing ---- */

/* The value of "NAME value\n" in a key, ended in place; "" when there is none. */
static const char *line_of(char *key, const char *name) {
    const size_t length = strlen(name);
    for (char *line = key; *line; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, name, length) == 0 && line[length] == ' ') return line + length + 1;
        if (!line[strcspn(line, "\n")]) break;
    }
    return "";
}

static void end_lines(char *key) {
    for (; *key; key++)
        if (*key == '\n') *key = '\0';
}

static bool tell(const char *path, const clattn_system_file *file, clattn_cache_fn visit, void *user) {
    char none[1] = "", *key = NULL;
    clattn_cache_entry entry = { .path = path, .size = file->size, .used = file->modified / 1000000000, .state = clattn_cache_inspect(path, &key) };
    char *text = key ? key : none;
    entry.kernel = line_of(text, "kernel");
    entry.options = line_of(text, "options");
    entry.device = line_of(text, "device");
    entry.driver = line_of(text, "driver");
    entry.platform = line_of(text, "platform");
    end_lines(text);
    const bool more = visit(user, &entry);
    free(key);
    return more;
}

/* Sets the message and returns its status; a directory that does not exist has no files. */
static clattn_status list(const char *directory, clattn_system_file **files, size_t *count, char *message, size_t message_size) {
    const int reason = clattn_system_list(directory, files, count);
    if (!reason || reason == ENOENT) return CLATTN_OK;
    if (message) snprintf(message, message_size, "the cache directory %s cannot be read: %s", directory, strerror(reason));
    return CLATTN_ERROR_FILE;
}

static clattn_status no_directory(char *message, size_t message_size) {
    if (message) snprintf(message, message_size, "there is no cache directory: CLATTN_CACHE_DIR, XDG_CACHE_HOME and HOME are not set");
    return CLATTN_ERROR_FILE;
}

clattn_status clattn_cache_visit(const char *directory, clattn_cache_fn visit, void *user, char *message, size_t message_size) {
    char chosen[4096], path[4200];
    clattn_system_file *files;
    size_t count;
    if (!visit) return CLATTN_ERROR_ARGUMENT;
    if (!clattn_cache_path(directory, chosen, sizeof chosen)) return no_directory(message, message_size);
    const clattn_status status = list(chosen, &files, &count, message, message_size);
    bool more = true;
    for (size_t i = 0; i < count && !status && more; i++)
        if (is_entry(&files[i]) && path_of(chosen, files[i].name, path, sizeof path)) more = tell(path, &files[i], visit, user);
    if (!status) clattn_system_free_files(files, count);
    return status;
}

/* ---- Removing ---- */

static int newest_first(const void *a, const void *b) {
    const clattn_system_file *x = a, *y = b;
    return (x->modified < y->modified) - (x->modified > y->modified);
}

typedef struct removal {
    const char *directory;
    uint64_t keep, kept, bytes;
    size_t removed, failed;
} removal;

static void remove_file(removal *r, const clattn_system_file *file) {
    char path[4200];
    const bool gone = path_of(r->directory, file->name, path, sizeof path) && clattn_system_remove(path);
    if (gone) r->bytes += file->size;
    if (gone && is_entry(file)) r->removed++;
    if (!gone) r->failed++;
}

static void remove_files(removal *r, clattn_system_file *files, size_t count) {
    const long long now = clattn_system_now();
    if (count) qsort(files, count, sizeof *files, newest_first);
    for (size_t i = 0; i < count; i++) {
        const clattn_system_file *file = &files[i];
        if (named(file->name, TEMPORARY_LENGTH) && now - file->modified > ABANDONED) remove_file(r, file);
        if (!is_entry(file)) continue;
        if (r->kept + file->size <= r->keep) r->kept += file->size;
        else remove_file(r, file);
    }
}

clattn_status clattn_cache_clear(const char *directory, uint64_t keep, size_t *removed, uint64_t *bytes, char *message, size_t message_size) {
    char chosen[4096];
    clattn_system_file *files;
    size_t count;
    if (!clattn_cache_path(directory, chosen, sizeof chosen)) return no_directory(message, message_size);
    removal r = { .directory = chosen, .keep = keep };
    const clattn_status status = list(chosen, &files, &count, message, message_size);
    if (status) return status;
    remove_files(&r, files, count);
    clattn_system_free_files(files, count);
    if (removed) *removed = r.removed;
    if (bytes) *bytes = r.bytes;
    if (!r.failed) return CLATTN_OK;
    if (message) snprintf(message, message_size, "%zu entries of %s could not be removed", r.failed, chosen);
    return CLATTN_ERROR_FILE;
}

void clattn_cache_trim(const clattn_context *context) {
    if (context->cache_directory) clattn_cache_clear(context->cache_directory, context->cache_limit, NULL, NULL, NULL, 0);
}
