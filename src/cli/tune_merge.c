/* `clattn tune --merge`: databases of several machines or runs as one. */
#include <stdlib.h>
#include <string.h>

#include "tune.h"

#define COMMAND "tune"

typedef struct merging {
    const char *file; /* that is being read */
    clattn_tuning_entry *entries;
    size_t count, dropped;
    bool own, no_memory; /* own: what the output has already */
} merging;

static bool is_for_the_same(const clattn_tuning_entry *a, const clattn_tuning_entry *b) {
    return a->op == b->op && strcmp(a->platform, b->platform) == 0 && strcmp(a->device, b->device) == 0 && strcmp(a->driver, b->driver) == 0 && strcmp(a->shape_class, b->shape_class) == 0;
}

static void tell_dropped(merging *m, const clattn_tuning_entry *e, const char *file) {
    m->dropped++;
    cli_error(COMMAND, "%s: %s %s, measured %s, is dropped: there is a newer measurement", file, e->op->name, e->shape_class, *e->measured ? e->measured : "some day");
}

static bool add(merging *m, const clattn_tuning_entry *e) {
    clattn_tuning_entry *grown = realloc(m->entries, (m->count + 1) * sizeof *grown);
    if (!grown) return m->no_memory = true, false;
    m->entries = grown;
    grown[m->count++] = *e;
    return true;
}

static bool take(void *user, size_t number, const clattn_tuning_entry *entry, const char *fault) {
    merging *m = user;
    if (fault && m->own) return true; /* it stays as it is */
    if (fault) {
        m->dropped++;
        cli_error(COMMAND, "%s: entry %zu is dropped: %s", m->file, number, fault);
        return true;
    }
    for (size_t i = 0; i < m->count; i++) {
        clattn_tuning_entry *other = &m->entries[i];
        if (!is_for_the_same(other, entry)) continue;
        const bool newer = strcmp(entry->measured, other->measured) >= 0;
        if (memcmp(entry, other, sizeof *entry)) tell_dropped(m, newer ? other : entry, m->file);
        if (newer) *other = *entry;
        return true;
    }
    return add(m, entry);
}

static clattn_status read(merging *m, const char *file, bool own) {
    char message[4400] = "";
    m->file = file;
    m->own = own;
    clattn_status status = clattn_tuning_visit(file, take, m, message, sizeof message);
    if (!status && m->no_memory) status = CLATTN_ERROR_OUT_OF_MEMORY;
    if (status) cli_error(COMMAND, "%s", *message ? message : clattn_status_text(status));
    return status;
}

static bool exists(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

int tune_merge(const char *const *files, size_t count, const char *output) {
    char path[4096], message[4400] = "";
    merging m = { .count = 0 };
    if (!output && !clattn_tuning_path(NULL, path, sizeof path)) return cli_error(COMMAND, "there is no file to keep settings in; give --output FILE");
    if (!output) output = path;
    clattn_status status = exists(output) ? read(&m, output, true) : CLATTN_OK;
    for (size_t i = 0; i < count && !status; i++) status = read(&m, files[i], false);
    if (!status) {
        status = clattn_tuning_store(output, m.entries, m.count, message, sizeof message);
        if (status) cli_error(COMMAND, "%s", *message ? message : clattn_status_text(status));
        else printf("%zu setting%s in %s, %zu dropped\n", m.count, m.count == 1 ? "" : "s", output, m.dropped);
    }
    free(m.entries);
    return cli_exit_code(status);
}
