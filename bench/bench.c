/* clattn bench: a few cases of each kind, beside the limits that the device reaches. A wrong result is a failure. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../src/cli/cli.h"
#include "cases.h"
#include "timing.h"

#define COMMAND "bench"

static const char help[] =
    "clattn bench [CASE...] [options]: times beside the limits of the device\n\n"
    "Each case is first checked against the double-precision reference, then run 2 times unmeasured and N times measured, from\n"
    "enqueue to completion with tensors resident and frozen. The fraction is the least time that the measured peaks (FMA,\n"
    "and copy at bytes read + written) allow, over the median. Without CASE all of them run; a part of a name is enough.\n\n"
    "  --repeat N           measured runs of each case (20)\n"
    "  --list               the cases\n"
    "  --json               one object on stdout\n" CLI_DEVICE_HELP;

typedef struct bench_options {
    cli_device_options device;
    const char **names;
    int count;
    long repeat;
    bool json, list;
} bench_options;

/* One case's figures. */
typedef struct bench_result {
    const bench_case *c;
    const char *variant;
    timing time;
    double flops, bytes, rate, fraction;
} bench_result;

/* ---- Options ---- */

static bool wanted(const bench_options *options, const bench_case *c) {
    for (int i = 0; i < options->count; i++)
        if (strstr(c->name, options->names[i]) || strcmp(options->names[i], "all") == 0) return true;
    return options->count == 0;
}

static int check_names(const bench_options *options) {
    for (int i = 0; i < options->count; i++) {
        bool found = strcmp(options->names[i], "all") == 0;
        for (int k = 0; k < bench_case_count && !found; k++) found = strstr(bench_cases[k].name, options->names[i]) != NULL;
        if (!found) return cli_error(COMMAND, "no case is called \"%s\"; `clattn bench --list` shows them", options->names[i]);
    }
    return -1;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, bench_options *options) {
    static const char *const known[] = { "--repeat", "--list", "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { .argc = argc, .argv = argv, .index = 1 };
    while (a.index < argc) {
        const char *value = "";
        const int device = cli_device_option(&a, &options->device);
        if (device < 0) return CLI_BAD_USE;
        if (device > 0) continue;
        if (argv[a.index][0] != '-') {
            options->names[options->count++] = argv[a.index++];
        } else if (cli_option(&a, "--help") || cli_option(&a, "-h")) {
            fputs(help, stdout);
            return CLI_DONE;
        } else if (cli_option(&a, "--json")) {
            options->json = true;
        } else if (cli_option(&a, "--list")) {
            options->list = true;
        } else if (cli_option_value(&a, "--repeat", &value)) {
            if (!value || !cli_integer(COMMAND, "--repeat", value, 1, 1000000, &options->repeat)) return CLI_BAD_USE;
        } else {
            return cli_unknown_option(COMMAND, argv[a.index], known);
        }
    }
    return check_names(options);
}

/* ---- One case ---- */

static clattn_status check_small(clattn_context *context, const char *text) {
    clattn_case *c;
    clattn_status status = clattn_case_open(context, text, 1, 0, &c);
    if (!status) status = clattn_case_check(c, NULL);
    clattn_case_close(&c);
    return status;
}

static void freeze_inputs(clattn_case *c) {
    const clattn_op *op = clattn_case_op(c);
    for (size_t i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == CLATTN_FIELD_INPUT) clattn_tensor_freeze(*(clattn_tensor **)((char *)clattn_case_args(c) + op->fields[i].offset));
}

static double rate_of(const bench_case *c, const void *args, double flops, double bytes, double seconds) {
    if (strcmp(c->unit, "GB/s") == 0) return 1e-9 * bytes / seconds;
    if (strcmp(c->unit, "GFLOP/s") == 0) return 1e-9 * flops / seconds;
    const clattn_additive_attention_args *a = args;
    return 1e-9 * (double)(a->query->shape[0] * a->query->shape[1] * a->value->shape[1] * a->query->shape[2]) / seconds;
}

static clattn_status measure(clattn_context *context, const bench_case *c, long repeat, const clattn_peaks *peaks, bench_result *r) {
    clattn_case *made;
    *r = (bench_result){ .c = c };
    clattn_status status = check_small(context, c->check);
    if (status) return status;
    if ((status = clattn_case_open(context, c->text, 1, 0, &made))) return status;
    freeze_inputs(made);
    status = timing_run(context, clattn_case_op(made), clattn_case_args(made), NULL, repeat, &r->time, &r->variant);
    if (!status) status = clattn_op_work(context, clattn_case_op(made), clattn_case_args(made), &r->flops, &r->bytes);
    if (!status) {
        const double arithmetic = r->flops / peaks->flops, traffic = r->bytes / peaks->copy_bytes;
        r->fraction = (arithmetic > traffic ? arithmetic : traffic) / r->time.median;
        r->rate = rate_of(c, clattn_case_args(made), r->flops, r->bytes, r->time.median);
    }
    clattn_case_close(&made);
    return status;
}

/* ---- Reports ---- */

static void print_header(const clattn_context *context, const clattn_peaks *peaks) {
    const clattn_device_info *info = clattn_context_device(context);
    printf("%s (%s)\npeaks measured here: %.0f GFLOP/s of FMA, copy %.1f GB/s\n\n", info->name, info->platform, 1e-9 * peaks->flops, 1e-9 * peaks->copy_bytes);
    printf("%-18s %-12s %10s %10s %10s %10s %-8s %9s\n", "case", "variant", "min ms", "median ms", "max ms", "rate", "", "of limit");
}

static void print_row(const bench_result *r) {
    printf("%-18s %-12s %10.3f %10.3f %10.3f %10.1f %-8s %8.0f%%\n", r->c->name, r->variant, 1e3 * r->time.min, 1e3 * r->time.median, 1e3 * r->time.max, r->rate, r->c->unit, 100 * r->fraction);
    fflush(stdout);
}

static json_t *json_row(const bench_result *r) {
    return json_pack("{s:s, s:s, s:s, s:{s:f, s:f, s:f}, s:f, s:f, s:f, s:s, s:f}", "case", r->c->name, "arguments", r->c->text, "variant", r->variant,
        "seconds", "min", r->time.min, "median", r->time.median, "max", r->time.max, "flops", r->flops, "bytes", r->bytes, "rate", r->rate, "unit", r->c->unit, "limit_fraction", r->fraction);
}

static void print_json(const clattn_context *context, const clattn_peaks *peaks, json_t *rows) {
    json_t *object = json_pack("{s:s, s:{s:f, s:f}, s:o}", "device", clattn_context_device(context)->name, "peaks", "flops", peaks->flops, "copy_bytes", peaks->copy_bytes, "cases", rows);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', stdout);
    json_decref(object);
}

/* ---- The command ---- */

static int run(clattn_context *context, const bench_options *options) {
    clattn_peaks peaks;
    clattn_status status = clattn_device_peaks(context, true, &peaks);
    json_t *rows = options->json ? json_array() : NULL;
    if (!status && !options->json) print_header(context, &peaks);
    for (int i = 0; i < bench_case_count && !status; i++) {
        bench_result r;
        if (!wanted(options, &bench_cases[i])) continue;
        status = measure(context, &bench_cases[i], options->repeat, &peaks, &r);
        if (status) break;
        if (options->json) json_array_append_new(rows, json_row(&r));
        else print_row(&r);
    }
    if (!status && options->json) print_json(context, &peaks, rows);
    else json_decref(rows);
    return cli_failed(COMMAND, context, status);
}

static int list_cases(void) {
    for (int i = 0; i < bench_case_count; i++) printf("%-18s %s\n", bench_cases[i].name, bench_cases[i].text);
    return CLI_DONE;
}

int cli_bench(int argc, char **argv) {
    bench_options options = { .device = { .command = COMMAND }, .repeat = 20 };
    clattn_context *context = NULL;
    options.names = calloc((size_t)argc + 1, sizeof *options.names);
    if (!options.names) return cli_error(COMMAND, "out of memory");
    int code = parse(argc, argv, &options);
    if (code < 0 && options.list) code = list_cases();
    if (code < 0) {
        code = cli_open(&options.device, &context);
        if (code == CLI_DONE) code = run(context, &options);
        clattn_close(&context);
    }
    free(options.names);
    return code;
}
