/* `clattn tune`: measures which variants and tunables are fastest here, and keeps them for the library. */
#define _POSIX_C_SOURCE 200809L
#include "tune.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../../bench/timing.h"
#include "guard.h"
#include "json.h"
#include "progress.h"

#define COMMAND "tune"

static const char help[] =
    "usage: clattn tune [OP ...] [--shapes CASE ...] [--time SECONDS] [--output FILE] [--json]\n"
    "       clattn tune --merge FILE ... [--output FILE]\n"
    "       clattn tune --list\n\n"
    "Measures which variant of an operation, and which of its tunables' values, are fastest on this device: each candidate in\n"
    "turns with the best so far, only where its results are right, and kept only when it gains more than 3 %. What was found\n"
    "is kept for the device, driver, operation and class of shapes in a database that the library reads from then on.\n"
    "Without OP, every operation that has tunables. What an earlier run found is tried first; an interrupted run keeps what\n"
    "it has found.\n\n"
    "  --shapes CASE        measure these shapes instead of the built-in ones (may be repeated), as in\n"
    "                       --shapes 'matmul a[512,768] b[768,768]'\n"
    "  --time SECONDS       for all of it; without it, until everything has been tried\n"
    "  --output FILE        the database (else CLATTN_TUNING, else tuning.json where the kernels are kept)\n"
    "  --merge FILE         join this database into it (may be repeated); of two measurements the newer stays\n"
    "  --list               the tunables, their values, and the built-in shapes\n"
    "  --json               print one JSON object\n" CLI_DEVICE_HELP
    "\n-v also tells of each candidate, with its speed over that of the best until then.\n"
    "\nexit codes: 0 done, 1 a candidate gave wrong results, 2 bad use, 3 device or driver failure\n";

typedef struct tune_options {
    cli_device_options device;
    const char **ops, **shapes, **merged;
    size_t op_count, shape_count, merged_count;
    long seconds; /* 0: no limit */
    const char *output;
    bool json, list;
} tune_options;

/* ---- What there is ---- */

static const clattn_op *op_of(const char *text) {
    char name[64];
    const size_t length = strcspn(text, " ");
    if (length >= sizeof name) return NULL;
    memcpy(name, text, length);
    name[length] = '\0';
    return clattn_op_find(name);
}

static bool wanted(const tune_options *options, const clattn_op *op) {
    for (size_t i = 0; i < options->op_count; i++)
        if (strcmp(options->ops[i], op->name) == 0) return true;
    return options->op_count == 0;
}

static void list_op(const clattn_op *op) {
    const clattn_tunable *t;
    const char *text;
    printf("%s\n", op->name);
    for (size_t i = 0; (t = clattn_op_tunable(op, i)); i++) {
        char values[96] = "";
        for (int k = 0, used = 0; k < CLATTN_TUNABLE_VALUES && t->values[k]; k++) used += snprintf(values + used, sizeof values - (size_t)used, "%s%d", k ? " " : "", t->values[k]);
        printf("  %-10s %-11s %-26s %s\n", t->variant, t->name, values, t->text);
    }
    for (size_t i = 0; (text = clattn_op_tuning_case(op, i)); i++) printf("  case: %s\n", text);
}

static int list_all(const tune_options *options) {
    const clattn_op *op;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        if (clattn_op_tunable(op, 0) && wanted(options, op)) list_op(op);
    return CLI_DONE;
}

/* ---- Options ---- */

static int check_op(const char *name) {
    const clattn_op *op = clattn_op_find(name);
    if (!op) return cli_error(COMMAND, "there is no operation %s (`clattn tune --list` shows those with something to tune)", name);
    return clattn_op_tunable(op, 0) ? -1 : cli_error(COMMAND, "%s has nothing to tune (`clattn tune --list` shows what has)", name);
}

static int check_shapes(const tune_options *options) {
    int code = -1;
    for (size_t i = 0; i < options->shape_count && code < 0; i++) {
        const clattn_op *op = op_of(options->shapes[i]);
        if (!op) return cli_error(COMMAND, "--shapes %s: there is no such operation", options->shapes[i]);
        code = check_op(op->name);
        if (code < 0 && !wanted(options, op)) return cli_error(COMMAND, "--shapes %s: %s is not among the operations named", options->shapes[i], op->name);
    }
    return code;
}

/* 1 taken, 0 not one of them, -1 bad. */
static int take_value(cli_arguments *a, tune_options *options) {
    const char *value;
    if (cli_option_value(a, "--shapes", &value)) return value ? options->shapes[options->shape_count++] = value, 1 : -1;
    if (cli_option_value(a, "--merge", &value)) return value ? options->merged[options->merged_count++] = value, 1 : -1;
    if (cli_option_value(a, "--time", &value)) return value && cli_integer(COMMAND, "--time", value, 1, 1000000, &options->seconds) ? 1 : -1;
    if (cli_option_value(a, "--output", &options->output)) return options->output ? 1 : -1;
    return 0;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, tune_options *options) {
    static const char *const known[] = { "--shapes", "--time", "--output", "--merge", "--list", "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { argc, argv, 1 };
    while (a.index < argc) {
        int taken = cli_device_option(&a, &options->device);
        if (!taken) taken = take_value(&a, options);
        if (taken < 0) return CLI_BAD_USE;
        if (taken) continue;
        if (cli_option(&a, "--help") || cli_option(&a, "-h")) return fputs(help, stdout), CLI_DONE;
        if (cli_option(&a, "--json")) options->json = true;
        else if (cli_option(&a, "--list")) options->list = true;
        else if (argv[a.index][0] == '-') return cli_unknown_option(COMMAND, argv[a.index], known);
        else {
            const int code = check_op(argv[a.index]);
            if (code >= 0) return code;
            options->ops[options->op_count++] = argv[a.index++];
        }
    }
    if (options->merged_count && (options->op_count || options->shape_count || options->seconds || options->json)) return cli_error(COMMAND, "--merge measures nothing: it goes with --output only");
    return check_shapes(options);
}

/* ---- Measuring ---- */

/* The terminal's interrupt: the case at hand is finished with what is known, the next is not begun. A second one ends the process. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
    interrupted = number;
    signal(number, SIG_DFL);
}

typedef struct tuning {
    const tune_options *options;
    clattn_context *context;
    const char **cases;
    size_t count, done, stored;
    double deadline;
    char path[4096];
    int wrong;
    json_t *results; /* NULL without --json */
} tuning;

static size_t list_cases(const tune_options *options, const char **cases) {
    const clattn_op *op;
    const char *text;
    size_t count = 0;
    for (size_t i = 0; i < options->shape_count; i++, count++)
        if (cases) cases[count] = options->shapes[i];
    for (size_t i = 0; !options->shape_count && (op = clattn_op_get(i)); i++)
        for (size_t k = 0; wanted(options, op) && (text = clattn_op_tuning_case(op, k)); k++, count++)
            if (cases) cases[count] = text;
    return count;
}

static void show_progress(void *user, const tune_search *s, const char *trying) {
    const tuning *t = user;
    char text[160];
    snprintf(text, sizeof text, "%s %s", s->entry.op->name, trying);
    progress_show(t->done, t->count, text);
}

/* -v: every candidate. */
static void show_outcome(void *user, const tune_search *s, const char *tried, const char *what, double ratio) {
    const tuning *t = user;
    if (!t->options->device.verbose) return;
    progress_end();
    fprintf(stderr, "clattn tune: %s %s, %s: %s", s->entry.op->name, s->entry.shape_class, tried, what);
    if (ratio > 0) fprintf(stderr, " (%.3f)", ratio);
    fputc('\n', stderr);
}

static void print_heading(const tuning *t) {
    if (!t->results) printf("%-19s %-34s %11s %11s %6s  %s\n", "op", "class", "default", "best", "gain", "setting");
}

static void setting_text(const tune_search *s, char *text, size_t size) {
    char tunables[160];
    clattn_setting_text(&s->entry.setting, tunables, sizeof tunables);
    const bool other = s->entry.setting.variant != NULL;
    snprintf(text, size, "%s%s%s", other || *tunables ? s->variant : "clattn's own", *tunables ? ": " : "", tunables);
}

static void print_result(const tune_search *s) {
    char text[240];
    setting_text(s, text, sizeof text);
    printf("%-19s %-34s %8.4g ms %8.4g ms %6.3f  %s\n", s->entry.op->name, s->entry.shape_class, 1e3 * s->entry.default_seconds, 1e3 * s->entry.seconds, s->gain, text);
    fflush(stdout);
}

static json_t *result_object(const tune_search *s) {
    json_t *tunables = json_object();
    for (int i = 0; i < s->entry.setting.count; i++) json_object_set_new(tunables, s->entry.setting.tunables[i]->name, json_integer(s->entry.setting.values[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:i}", "op", s->entry.op->name, "class", s->entry.shape_class, "default_variant", s->default_variant, "variant", s->variant, "tunables", tunables,
        "default_seconds", json_finite(s->entry.default_seconds), "seconds", json_finite(s->entry.seconds), "gain", json_finite(s->gain), "tried", s->tried, "wrong", s->wrong);
}

/* What was found is stored at once: whatever ends the process later, it stays. */
static int keep(tuning *t, const tune_search *s) {
    char message[4400] = "";
    if (t->results) json_array_append_new(t->results, result_object(s));
    else print_result(s);
    const clattn_status status = clattn_tuning_store(t->path, &s->entry, 1, message, sizeof message);
    if (status) return cli_error(COMMAND, "%s", *message ? message : clattn_status_text(status)), cli_exit_code(status);
    t->stored++;
    return CLI_DONE;
}

/* The time that is left goes to the cases that are left in equal parts. */
static int tune_case(tuning *t, const char *text) {
    const double now = timing_now(), left = (double)(t->count - t->done);
    tune_search s = { .context = t->context, .text = text, .interrupted = &interrupted, .progress = show_progress, .outcome = show_outcome, .user = t };
    if (t->deadline > 0) s.deadline = now + (t->deadline - now) / left;
    const clattn_status status = tune_find(&s);
    progress_end();
    t->wrong += s.wrong;
    if (!status) return keep(t, &s);
    const int code = cli_failed(COMMAND, t->context, status);
    return s.wrong ? CLI_DONE : code; /* the others may be right */
}

static int tune_all(tuning *t) {
    int code = CLI_DONE;
    print_heading(t);
    for (; t->done < t->count && !code && !interrupted && !(t->deadline > 0 && timing_now() > t->deadline); t->done++) code = tune_case(t, t->cases[t->done]);
    if (t->done < t->count && !code) cli_error(COMMAND, "%s: %zu of %zu cases were measured", interrupted ? "interrupted" : "the time is over", t->done, t->count);
    return code;
}

static int report(tuning *t, int code) {
    if (t->results) {
        const int printed = json_print(COMMAND, json_pack("{s:o, s:o, s:O, s:i, s:b}", "device", json_text(clattn_context_device(t->context)->name), "file", json_text(t->path), "results", t->results, "wrong", t->wrong, "complete", (int)(t->done == t->count)), JSON_INDENT(2));
        if (printed) return printed;
    } else if (t->stored) {
        printf("%zu setting%s in %s\n", t->stored, t->stored == 1 ? "" : "s", t->path);
    }
    return code ? code : t->wrong ? CLI_CHECK_FAILED : CLI_DONE;
}

static bool choose_path(const tune_options *options, clattn_context *context, char *path, size_t size) {
    if (!options->output) return clattn_tuning_path(context, path, size);
    const int length = snprintf(path, size, "%s", options->output);
    return length > 0 && (size_t)length < size;
}

/* Before anything is measured: whether what is found can be kept. */
static int check_file(const char *path) {
    char message[4400] = "";
    const clattn_status status = clattn_tuning_store(path, NULL, 0, message, sizeof message);
    if (!status) return CLI_DONE;
    cli_error(COMMAND, "%s", *message ? message : clattn_status_text(status));
    return cli_exit_code(status);
}

static int tune(const tune_options *options, clattn_context *context) {
    tuning t = { .options = options, .context = context, .count = list_cases(options, NULL), .results = options->json ? json_array() : NULL };
    if (options->seconds) t.deadline = timing_now() + (double)options->seconds;
    if (!choose_path(options, context, t.path, sizeof t.path)) return json_decref(t.results), cli_error(COMMAND, "there is no file to keep settings in; give --output FILE");
    t.cases = calloc(t.count + 1, sizeof *t.cases);
    if (!t.cases) return json_decref(t.results), cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
    list_cases(options, t.cases);
    int code = check_file(t.path);
    if (!code) code = report(&t, tune_all(&t));
    json_decref(t.results);
    free(t.cases);
    return code;
}

static int tune_on_device(const tune_options *options) {
    clattn_context *context = NULL;
    int code = cli_open(&options->device, &context);
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    if (!code) code = tune(options, context);
    clattn_close(&context);
    if (!interrupted) return code;
    /* So that whoever started this knows. */
    fflush(NULL);
    guard_end();
    signal(interrupted, SIG_DFL);
    raise(interrupted);
    return code;
}

int cli_tune(int argc, char **argv) {
    tune_options options = { .device = { .command = COMMAND } };
    const char **lists = calloc(3 * ((size_t)argc + 1), sizeof *lists);
    if (!lists) return cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
    options.ops = lists;
    options.shapes = lists + argc + 1;
    options.merged = options.shapes + argc + 1;
    int code = parse(argc, argv, &options);
    if (code < 0) code = options.list ? list_all(&options) : options.merged_count ? tune_merge(options.merged, options.merged_count, options.output) : tune_on_device(&options);
    free(lists);
    return code;
}
