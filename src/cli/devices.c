/* `clattn devices`: every OpenCL device, what it says of itself, and which one clattn takes. */
#include "cli.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "utf8.h"

enum { MAX_DEVICES = 64, COLUMNS = 12 };

static const char help[] =
    "usage: clattn devices [--json] [--device SPEC] [-v]\n\n"
    "Lists the OpenCL devices; a * marks the one that clattn takes, and the last line says why.\n\n"
    "  --json               one JSON object instead of the table\n" CLI_DEVICE_HELP;

static const char *const headings[COLUMNS] = { "", "DEVICE", "KIND", "UNITS", "MEMORY", "LOCAL", "GROUP", "FP16", "SUBGROUPS", "NAME", "PLATFORM", "DRIVER" };

typedef struct table {
    clattn_device_info devices[MAX_DEVICES];
    size_t count;
    int chosen;         /* -1: none can be used */
    char reason[1200];  /* why that one, or why none */
} table;

static const char *kind_name(clattn_device_kind kind) {
    switch (kind) {
    case CLATTN_DEVICE_CPU: return "cpu";
    case CLATTN_DEVICE_GPU: return "gpu";
    case CLATTN_DEVICE_ACCELERATOR: return "accelerator";
    case CLATTN_DEVICE_OTHER: break;
    }
    return "other";
}

/* ---- The choice, as clattn_open makes it ---- */

static void keep_reason(void *user, clattn_log_level level, const char *message) {
    table *t = user;
    const char *colon = strstr(message, ": ");
    if (level == CLATTN_LOG_INFO && !*t->reason) snprintf(t->reason, sizeof t->reason, "%s", colon ? colon + 2 : message);
}

static clattn_status choose(table *t, const char *spec) {
    clattn_context *context = NULL;
    const clattn_status status = clattn_open(&context, &(clattn_open_params){ .device = spec, .log = keep_reason, .log_user = t, .no_cache = true });
    const clattn_device_info *info = clattn_context_device(context);
    t->chosen = -1;
    for (size_t i = 0; i < t->count && info; i++)
        if (t->devices[i].platform_index == info->platform_index && t->devices[i].device_index == info->device_index) t->chosen = (int)i;
    if (status) snprintf(t->reason, sizeof t->reason, "%s", clattn_message(context));
    clattn_close(&context);
    return status;
}

/* ---- The table ---- */

static void print_bytes(char *text, size_t size, uint64_t bytes) {
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 4; unit++) value /= 1024;
    snprintf(text, size, value < 10 && value != (int)value ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

typedef char cells[COLUMNS][164];

static void fill_cells(cells row, const clattn_device_info *info, bool chosen) {
    snprintf(row[0], sizeof row[0], "%s", chosen ? "*" : info->available ? "" : "!");
    snprintf(row[1], sizeof row[1], "%d:%d", info->platform_index, info->device_index);
    snprintf(row[2], sizeof row[2], "%s", kind_name(info->kind));
    snprintf(row[3], sizeof row[3], "%u", (unsigned)info->compute_units);
    print_bytes(row[4], sizeof row[4], info->global_memory);
    print_bytes(row[5], sizeof row[5], info->local_memory);
    snprintf(row[6], sizeof row[6], "%zu", info->max_work_group);
    snprintf(row[7], sizeof row[7], "%s", info->fp16 ? "yes" : "no");
    snprintf(row[8], sizeof row[8], "%s", info->subgroups ? "yes" : "no");
    snprintf(row[9], sizeof row[9], "%s", info->name);
    snprintf(row[10], sizeof row[10], "%s", info->platform);
    snprintf(row[11], sizeof row[11], "%s", info->driver);
}

static void print_table(const table *t) {
    cells *rows = calloc(t->count + 1, sizeof *rows);
    bool unusable = false;
    int width[COLUMNS] = { 0 };
    if (!rows) return;
    for (int i = 0; i < COLUMNS; i++) snprintf(rows[0][i], sizeof rows[0][i], "%s", headings[i]);
    for (size_t k = 0; k < t->count; k++) fill_cells(rows[k + 1], &t->devices[k], (int)k == t->chosen);
    for (size_t k = 0; k <= t->count; k++)
        for (int i = 0; i < COLUMNS; i++)
            if ((int)strlen(rows[k][i]) > width[i]) width[i] = (int)strlen(rows[k][i]);
    for (size_t k = 0; k <= t->count; k++)
        for (int i = 0; i < COLUMNS; i++) printf(i + 1 < COLUMNS ? "%-*s  " : "%.*s\n", i + 1 < COLUMNS ? width[i] : 163, rows[k][i]);
    free(rows);
    for (size_t k = 0; k < t->count; k++) unusable = unusable || !t->devices[k].available;
    if (unusable) puts("! cannot be used: not available, or without a compiler");
    if (t->chosen >= 0) printf("* clattn takes %d:%d: %s\n", t->devices[t->chosen].platform_index, t->devices[t->chosen].device_index, t->reason);
}

/* ---- JSON ---- */

/* A driver's text may be anything; JSON is UTF-8. */
static json_t *text_of(const char *text) {
    char *valid = utf8_valid_copy(text);
    json_t *made = json_string(valid ? valid : "");
    free(valid);
    return made;
}

static json_t *describe(const clattn_device_info *info, bool chosen) {
    char index[32];
    snprintf(index, sizeof index, "%d:%d", info->platform_index, info->device_index);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:b}",
        "index", index, "name", text_of(info->name), "vendor", text_of(info->vendor), "version", text_of(info->version), "driver", text_of(info->driver),
        "platform", text_of(info->platform), "platform_version", text_of(info->platform_version), "kind", kind_name(info->kind),
        "compute_units", (json_int_t)info->compute_units, "global_memory", (json_int_t)info->global_memory, "max_allocation", (json_int_t)info->max_allocation,
        "local_memory", (json_int_t)info->local_memory, "cache", (json_int_t)info->cache, "max_work_group", (json_int_t)info->max_work_group, "vector_width", (json_int_t)info->vector_width,
        "fp16", (int)info->fp16, "subgroups", (int)info->subgroups, "available", (int)info->available, "chosen", (int)chosen);
}

static int print_json(const table *t) {
    json_t *list = json_array(), *whole = NULL;
    for (size_t i = 0; i < t->count; i++) json_array_append_new(list, describe(&t->devices[i], (int)i == t->chosen));
    if (t->chosen >= 0) whole = json_pack("{s:O, s:s, s:o}", "devices", list, "chosen", json_string_value(json_object_get(json_array_get(list, (size_t)t->chosen), "index")), "reason", text_of(t->reason));
    else whole = json_pack("{s:O, s:n, s:o}", "devices", list, "chosen", "reason", text_of(t->reason));
    char *text = json_dumps(whole, JSON_INDENT(2));
    if (text) puts(text);
    free(text);
    json_decref(list);
    json_decref(whole);
    return text ? CLI_DONE : (cli_error("devices", "out of memory"), CLI_DEVICE_FAILED);
}

static int show(table *t, const cli_device_options *options, bool json) {
    char message[2048];
    guard_begin("devices");
    const clattn_status listed = clattn_device_list(t->devices, MAX_DEVICES, &t->count, message, sizeof message);
    if (listed) return cli_error("devices", "%s", message), cli_exit_code(listed);
    if (t->count > MAX_DEVICES) t->count = MAX_DEVICES;
    const clattn_status status = choose(t, options->device);
    guard_found_devices();
    int code = CLI_DONE;
    if (json) code = print_json(t);
    else print_table(t);
    if (status) cli_error("devices", "%s", t->reason);
    return code ? code : cli_exit_code(status);
}

int cli_devices(int argc, char **argv) {
    static const char *const known[] = { "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments arguments = { argc, argv, 1 };
    cli_device_options options = { .command = argv[0] };
    bool json = false;
    while (arguments.index < argc) {
        const int taken = cli_device_option(&arguments, &options);
        if (taken < 0) return CLI_BAD_USE;
        if (taken) continue;
        if (cli_option(&arguments, "--help") || cli_option(&arguments, "-h")) return fputs(help, stdout), CLI_DONE;
        if (cli_option(&arguments, "--json")) json = true;
        else return *argv[arguments.index] == '-' ? cli_unknown_option("devices", argv[arguments.index], known) : cli_error("devices", "takes no argument; found %s", argv[arguments.index]);
    }
    table *t = calloc(1, sizeof *t);
    if (!t) return cli_error("devices", "out of memory"), CLI_DEVICE_FAILED;
    const int code = show(t, &options, json);
    free(t);
    return code;
}
