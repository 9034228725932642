/* `clattn cache`: the compiled kernels on disk. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "cache_build.h"
#include "json.h"

#define COMMAND "cache"

static const char help[] =
    "usage: clattn cache list [--json]\n"
    "       clattn cache verify [--json]\n"
    "       clattn cache clear [--keep MIB]\n"
    "       clattn cache build [OPERATION ...] [--jobs N] [--device SPEC] [-v]\n\n"
    "The kernels that drivers have compiled are kept in CLATTN_CACHE_DIR, else XDG_CACHE_HOME/clattn, else\n"
    "~/.cache/clattn; never more than 256 MiB: the least recently used go first.\n\n"
    "  list                 each entry: kernel, device, size, state, build options\n"
    "  verify               check each entry's digest; exit 1 when one is damaged. Damaged entries and those of other\n"
    "                       releases never reach a driver; they are built anew when they are needed\n"
    "  clear                remove all entries, or the least recently used until MIB mebibytes are left\n"
    "  build                compile the kernels of the operations named, or of all, for one device\n"
    "  --jobs N             processes that build at once; else one for each core of a CPU, at most 8, and one for other devices\n"
    "  --json               one JSON object\n" CLI_DEVICE_HELP;

typedef enum action { NONE, LIST, VERIFY, CLEAR, BUILD } action;

typedef struct cache_options {
    cli_device_options device;
    action action;
    bool json;
    long keep; /* MiB */
    long jobs; /* 0: as many as suit the device */
    const char **names;
    size_t count;
} cache_options;

/* ---- Options ---- */

static action action_named(const char *word) {
    static const char *const words[] = { "", "list", "verify", "clear", "build" };
    for (int i = LIST; i <= BUILD; i++)
        if (strcmp(word, words[i]) == 0) return (action)i;
    return NONE;
}

static int take_word(cache_options *options, const char *word) {
    static const char *const actions[] = { "list", "verify", "clear", "build", NULL };
    if (options->action == NONE) {
        options->action = action_named(word);
        const char *closest = cli_closest(word, actions);
        if (options->action == NONE) return cli_error(COMMAND, "unknown action %s%s%s%s (list, verify, clear, build)", word, closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
        return CLI_DONE;
    }
    if (options->action != BUILD) return cli_error(COMMAND, "takes one action; found %s", word);
    if (!clattn_op_find(word)) return cli_error(COMMAND, "there is no operation %s (`clattn op` lists them)", word);
    options->names[options->count++] = word;
    return CLI_DONE;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, cache_options *options) {
    static const char *const known[] = { "--json", "--keep", "--jobs", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { argc, argv, 1 };
    while (a.index < argc) {
        const char *value = "";
        const int taken = cli_device_option(&a, &options->device);
        if (taken < 0) return CLI_BAD_USE;
        if (taken) continue;
        if (cli_option(&a, "--help") || cli_option(&a, "-h")) return fputs(help, stdout), CLI_DONE;
        if (cli_option(&a, "--json")) options->json = true;
        else if (cli_option_value(&a, "--keep", &value)) {
            if (!value || !cli_integer(COMMAND, "--keep", value, 0, 1 << 20, &options->keep)) return CLI_BAD_USE;
        } else if (cli_option_value(&a, "--jobs", &value)) {
            if (!value || !cli_integer(COMMAND, "--jobs", value, 1, CACHE_BUILD_MOST, &options->jobs)) return CLI_BAD_USE;
        } else if (*argv[a.index] == '-') return cli_unknown_option(COMMAND, argv[a.index], known);
        else if (take_word(options, argv[a.index++])) return CLI_BAD_USE;
    }
    return options->action ? -1 : cli_error(COMMAND, "which action? list, verify, clear or build");
}

/* ---- Entries ---- */

typedef struct listing {
    const cache_options *options;
    json_t *entries; /* with --json */
    size_t count, damaged, other;
    uint64_t bytes;
} listing;

static const char *state_name(clattn_cache_state state) {
    return state == CLATTN_CACHE_VALID ? "valid" : state == CLATTN_CACHE_DAMAGED ? "damaged" : "other version";
}

/* The options that tell kernels apart: without what every kernel has. */
static const char *short_options(const char *options) {
    const char *define = strstr(options, "-DKERNEL_");
    if (!define) return options;
    define += strcspn(define, " ");
    return define + strspn(define, " ");
}

static void print_entry(const clattn_cache_entry *entry) {
    const char *name = strrchr(entry->path, '/');
    if (entry->state != CLATTN_CACHE_VALID) printf("%-40s %8.1f KiB  %s\n", name ? name + 1 : entry->path, (double)entry->size / 1024, state_name(entry->state));
    else printf("%-40s %8.1f KiB  %s  %.40s  %s\n", entry->kernel, (double)entry->size / 1024, state_name(entry->state), entry->device, short_options(entry->options));
}

static json_t *entry_object(const clattn_cache_entry *entry) {
    return json_pack("{s:o, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o}", "path", json_text(entry->path), "size", (json_int_t)entry->size, "used", (json_int_t)entry->used, "state", state_name(entry->state),
        "kernel", json_text(entry->kernel), "options", json_text(entry->options), "device", json_text(entry->device), "driver", json_text(entry->driver), "platform", json_text(entry->platform));
}

static bool take_entry(void *user, const clattn_cache_entry *entry) {
    listing *l = user;
    l->count++;
    l->bytes += entry->size;
    l->damaged += entry->state == CLATTN_CACHE_DAMAGED;
    l->other += entry->state == CLATTN_CACHE_OTHER_VERSION;
    if (l->entries) json_array_append_new(l->entries, entry_object(entry));
    else if (l->options->action == LIST || entry->state == CLATTN_CACHE_DAMAGED) print_entry(entry);
    return true;
}

static int show(const cache_options *options) {
    char message[4200] = "", path[4096] = "";
    listing l = { .options = options, .entries = options->json ? json_array() : NULL };
    const clattn_status status = clattn_cache_visit(NULL, take_entry, &l, message, sizeof message);
    int code = CLI_DONE;
    clattn_cache_path(NULL, path, sizeof path);
    if (status) code = cli_error(COMMAND, "%s", message);
    else if (options->json) code = json_print(COMMAND, json_pack("{s:o, s:O, s:I, s:I, s:I}", "directory", json_text(path), "entries", l.entries, "bytes", (json_int_t)l.bytes, "damaged", (json_int_t)l.damaged, "other_version", (json_int_t)l.other), JSON_INDENT(2));
    else printf("%s: %zu entries, %.1f MiB, %zu damaged, %zu of other releases\n", path, l.count, (double)l.bytes / (1 << 20), l.damaged, l.other);
    json_decref(l.entries);
    return code ? code : options->action == VERIFY && l.damaged ? CLI_CHECK_FAILED : CLI_DONE;
}

static int clear(const cache_options *options) {
    char message[4200] = "";
    size_t removed = 0;
    uint64_t bytes = 0;
    const clattn_status status = clattn_cache_clear(NULL, (uint64_t)options->keep << 20, &removed, &bytes, message, sizeof message);
    if (status) return cli_error(COMMAND, "%s", message);
    printf("%zu entries removed, %.1f MiB\n", removed, (double)bytes / (1 << 20));
    return CLI_DONE;
}

/* ---- Building ---- */

/* All operations where none is named. */
static int build(cache_options *options) {
    const char **all = options->count ? NULL : calloc(clattn_op_count() + 1, sizeof *all);
    if (!options->count && !all) return cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
    for (size_t i = 0; all && i < clattn_op_count(); i++) all[i] = clattn_op_get(i)->name;
    const int code = cache_build(&options->device, all ? all : options->names, all ? clattn_op_count() : options->count, options->jobs);
    free(all);
    return code;
}

int cli_cache(int argc, char **argv) {
    cache_options options = { .device = { .command = COMMAND } };
    options.names = calloc((size_t)argc + 1, sizeof *options.names);
    if (!options.names) return cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
    int code = parse(argc, argv, &options);
    if (code < 0) code = options.action == CLEAR ? clear(&options) : options.action == BUILD ? build(&options) : show(&options);
    free(options.names);
    return code;
}
