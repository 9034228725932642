#define _DEFAULT_SOURCE
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../src/cli/cli.h"
#include "../src/cli/json.h"

/* ---- Reading ---- */

const char *report_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double report_number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static bool is(const json_t *object, const char *key, const char *value) {
    return strcmp(report_text(object, key), value) == 0;
}

/* ---- Making ---- */

/* "model name" of Linux; "" elsewhere. */
static void find_cpu(char *name, size_t size) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    name[0] = '\0';
    while (file && !name[0] && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file) fclose(file);
}

static json_t *machine(void) {
    char cpu[128];
    double load = 0;
    find_cpu(cpu, sizeof cpu);
    if (getloadavg(&load, 1) < 1) load = 0;
    return json_pack("{s:o, s:i, s:f}", "cpu", json_text(cpu), "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "load", load);
}

static json_t *peers(const peer_list *list) {
    json_t *array = json_array();
    for (int i = 0; list && i < list->count; i++) {
        const peer_process *p = &list->peers[i];
        const bool ready = p->state == PEER_READY;
        json_array_append_new(array, json_pack("{s:s, s:s, s:o}", "name", p->name, "status", ready ? "ready" : "absent", ready ? "version" : "message", json_text(ready ? p->version : p->message)));
    }
    return array;
}

json_t *report_open(const measure_plan *plan) {
    const clattn_device_info *info = clattn_context_device(plan->context);
    const time_t now = time(NULL);
    char date[32];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    return json_pack("{s:s, s:s, s:o, s:{s:o, s:o, s:o}, s:{s:f, s:f, s:f, s:f}, s:i, s:b, s:o, s:[]}", "clattn", clattn_version(), "date", date, "machine", machine(),
        "device", "name", json_text(info->name), "platform", json_text(info->platform), "driver", json_text(info->driver),
        "peaks", "flops", plan->peaks.flops, "fed_flops", plan->peaks.fed_flops, "copy_bytes", plan->peaks.copy_bytes, "read_bytes", plan->peaks.read_bytes,
        "rounds", (int)plan->rounds, "small", plan->small, "peers", peers(plan->peers), "cases");
}

json_t *report_load(const char *command, const char *path) {
    json_error_t error;
    json_t *report = json_load_file(path, 0, &error);
    if (!report) cli_error(command, "%s: %s", path, error.text);
    else if (json_is_array(json_object_get(report, "cases")) && json_is_object(json_object_get(report, "peaks"))) return report;
    else cli_error(command, "%s is no report of `clattn bench --json`", path);
    json_decref(report);
    return NULL;
}

/* ---- Judging ---- */

const json_t *report_best_peer(const json_t *row) {
    const json_t *best = NULL, *peer;
    size_t i;
    json_array_foreach(json_object_get(row, "peers"), i, peer) if (json_object_get(peer, "ratio") && (!best || report_number(peer, "ratio") < report_number(best, "ratio"))) best = peer;
    return best;
}

bool report_passed(const json_t *report) {
    const json_t *row, *peer;
    size_t i, k;
    json_array_foreach(json_object_get(report, "cases"), i, row) {
        if (!is(row, "status", "ok")) return false;
        json_array_foreach(json_object_get(row, "peers"), k, peer) if (is(peer, "status", "wrong")) return false;
    }
    return true;
}

/* ---- Printing ---- */

void report_print_header(const json_t *report) {
    const json_t *device = json_object_get(report, "device"), *peaks = json_object_get(report, "peaks"), *found = json_object_get(report, "machine"), *peer;
    size_t i;
    printf("clattn %s on %s (%s), %s, %.0f cores, load %.1f, %s\n", report_text(report, "clattn"), report_text(device, "name"), report_text(device, "platform"), report_text(found, "cpu"), report_number(found, "cores"), report_number(found, "load"), report_text(report, "date"));
    if (report_number(peaks, "flops") > 0) {
        printf("limits measured here: %.0f GFLOP/s of FMA", 1e-9 * report_number(peaks, "flops"));
        if (report_number(peaks, "fed_flops") > 0) printf(" (%.0f typical where the level-1 cache feeds it)", 1e-9 * report_number(peaks, "fed_flops"));
        printf(", copy %.1f GB/s, read %.1f GB/s\n", 1e-9 * report_number(peaks, "copy_bytes"), 1e-9 * report_number(peaks, "read_bytes"));
    }
    if (json_is_true(json_object_get(report, "small"))) puts("small sizes, for correctness: times would mean little");
    json_array_foreach(json_object_get(report, "peers"), i, peer) printf("  %-16s %s%s\n", report_text(peer, "name"), is(peer, "status", "ready") ? "" : "absent: ", report_text(peer, is(peer, "status", "ready") ? "version" : "message"));
    if (report_number(report, "rounds") == 0) return;
    printf("\n%-28s %-10s %10s %10s %10s %10s %-8s %9s %6s  %s\n", "case", "variant", "min ms", "median ms", "max ms", "rate", "", "of limit", "of fed", json_array_size(json_object_get(report, "peers")) ? "peers' time / clattn's" : "");
    fflush(stdout);
}

static int by_ratio(const void *a, const void *b) {
    const double x = report_number(*(json_t *const *)a, "ratio"), y = report_number(*(json_t *const *)b, "ratio");
    return (x > y) - (x < y);
}

/* The peers that were timed, the fastest first. */
static void print_ratios(const json_t *row) {
    enum { MOST = 64 };
    json_t *timed[MOST], *peer;
    size_t count = 0, i;
    json_array_foreach(json_object_get(row, "peers"), i, peer) if (json_object_get(peer, "ratio") && count < MOST) timed[count++] = peer;
    qsort(timed, count, sizeof *timed, by_ratio);
    for (i = 0; i < count; i++) printf("%s%.2f %s", i ? ", " : "  ", report_number(timed[i], "ratio"), report_text(timed[i], "name"));
}

/* Of what multiply-adds fed from the level-1 cache do, where that is the limit. */
static void print_fed(const json_t *row) {
    if (json_object_get(row, "fed_fraction")) printf(" %5.0f%%", 100 * report_number(row, "fed_fraction"));
    else printf("      -");
}

/* What went wrong; that a peer is absent or has no such operation is no trouble. */
static void print_troubles(const json_t *row) {
    const json_t *peer;
    size_t i;
    json_array_foreach(json_object_get(row, "peers"), i, peer) if (is(peer, "status", "wrong") || is(peer, "status", "failed")) printf("    %s %s: %s\n", report_text(peer, "status"), report_text(peer, "name"), report_text(peer, "message"));
}

/* The peers that gave the same result. */
static void print_agreement(const json_t *row) {
    const json_t *peer;
    size_t i;
    int count = 0;
    json_array_foreach(json_object_get(row, "peers"), i, peer) if (is(peer, "status", "ok")) printf("%s%s", count++ ? ", " : "; so say ", report_text(peer, "name"));
    puts("");
}

void report_print_case(const json_t *row) {
    const json_t *seconds = json_object_get(row, "seconds");
    if (!is(row, "status", "ok")) {
        printf("%-28s %s: %s\n", report_text(row, "case"), report_text(row, "status"), report_text(row, "message"));
    } else if (!seconds) {
        printf("%-28s %-10s right", report_text(row, "case"), report_text(row, "variant"));
        print_agreement(row);
    } else {
        printf("%-28s %-10s %10.3f %10.3f %10.3f %10.1f %-8s %8.0f%%", report_text(row, "case"), report_text(row, "variant"), 1e3 * report_number(seconds, "min"), 1e3 * report_number(seconds, "median"), 1e3 * report_number(seconds, "max"), report_number(row, "rate"), report_text(row, "unit"), 100 * report_number(row, "limit_fraction"));
        print_fed(row);
        print_ratios(row);
        puts("");
    }
    print_troubles(row);
    fflush(stdout);
}
