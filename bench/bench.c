/* clattn bench: operations beside the limits that the device reaches, and beside other libraries in the same run. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../src/cli/cli.h"
#include "../src/cli/json.h"
#include "../src/cli/progress.h"
#include "cases.h"
#include "exchange.h"
#include "measure.h"
#include "plot.h"
#include "report.h"

#define COMMAND "bench"

static const char help[] =
    "clattn bench [CASE...] [options]: times beside the limits of the device, and beside other libraries\n\n"
    "Each case is first checked against the double-precision reference at a smaller size, then timed from enqueue to\n"
    "completion with tensors resident and weights frozen. The fraction is the least time that the limit measured just before (FMA, copy at bytes\n"
    "read + written, or read) allows, over the median; \"of fed\" is the fraction of what FMA typically do there when the\n"
    "level-1 cache feeds them, as in any product of matrices: who shares the cores slows that more than FMA in registers.\n"
    "Without CASE all of them run; a part of a name is enough. A wrong result, ours or a peer's, makes the exit code 1.\n\n"
    "  --peers              time other libraries too, in turns with clattn (bench/peers/setup.sh installs them)\n"
    "  --rounds N           turns that each takes (5)\n"
    "  --turn MS            how long a turn lasts, at least one run (40)\n"
    "  --quick              only the checks, peers included; with --rounds their sizes are timed, which means little\n"
    "  --plot FILE.png      a picture: fractions, ratios to the peers, and how the time grows\n"
    "  --from FILE.json     print or plot an earlier report instead of measuring\n"
    "  --list               the cases\n"
    "  --json               one object on stdout\n" CLI_DEVICE_HELP
    "\nenvironment of --peers:\n"
    "  CLATTN_BENCH_PYTHON  the Python that has the libraries, instead of the one that setup.sh made\n"
    "  CLATTN_BENCH_PEERS   a directory of drivers with its peers.txt, instead of bench/peers\n"
    "  CLATTN_BENCH_PATIENCE seconds that a peer may take for an answer (300)\n";

typedef struct bench_options {
    cli_device_options device;
    const char **names;
    int count;
    long rounds, turn;
    bool json, list, peers, quick;
    const char *plot, *from;
} bench_options;

/* ---- Options ---- */

static bool wanted(const bench_options *options, const char *name) {
    for (int i = 0; i < options->count; i++)
        if (strstr(name, options->names[i]) || strcmp(options->names[i], "all") == 0) return true;
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

/* A word that is present or not. */
static bool take_flag(cli_arguments *a, bench_options *options) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = { { "--json", &options->json }, { "--list", &options->list }, { "--peers", &options->peers }, { "--quick", &options->quick } };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (cli_option(a, flags[i].name)) return *flags[i].flag = true;
    return false;
}

/* 1 taken, 0 not one of them, -1 bad. */
static int take_value(cli_arguments *a, bench_options *options) {
    const char *value;
    if (cli_option_value(a, "--rounds", &value)) return value && cli_integer(COMMAND, "--rounds", value, 1, MEASURE_MOST_ROUNDS, &options->rounds) ? 1 : -1;
    if (cli_option_value(a, "--turn", &value)) return value && cli_integer(COMMAND, "--turn", value, 0, 60000, &options->turn) ? 1 : -1;
    if (cli_option_value(a, "--plot", &options->plot)) return options->plot ? 1 : -1;
    if (cli_option_value(a, "--from", &options->from)) return options->from ? 1 : -1;
    return 0;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, bench_options *options) {
    static const char *const known[] = { "--peers", "--rounds", "--turn", "--quick", "--plot", "--from", "--list", "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { .argc = argc, .argv = argv, .index = 1 };
    while (a.index < argc) {
        int taken = cli_device_option(&a, &options->device);
        if (!taken) taken = take_value(&a, options);
        if (taken < 0) return CLI_BAD_USE;
        if (taken || take_flag(&a, options)) continue;
        if (cli_option(&a, "--help") || cli_option(&a, "-h")) {
            fputs(help, stdout);
            return CLI_DONE;
        }
        if (argv[a.index][0] == '-') return cli_unknown_option(COMMAND, argv[a.index], known);
        options->names[options->count++] = argv[a.index++];
    }
    return check_names(options);
}

/* ---- Measuring ---- */

static void show_progress(int done, const char *what) {
    progress_show((size_t)done, (size_t)bench_case_count, what);
}

/* Memory is shared with whoever else is on the machine, so its limits are those around the case; that of arithmetic is the best so far. */
static clattn_status measure_limits(measure_plan *plan) {
    const double flops = plan->peaks.flops;
    if (plan->rounds == 0 || plan->small) return CLATTN_OK;
    const clattn_status status = clattn_device_peaks(plan->context, true, &plan->peaks);
    if (flops > plan->peaks.flops) plan->peaks.flops = flops;
    return status;
}

static int measure_all(measure_plan *plan, const bench_options *options, json_t *report) {
    if (!options->json) report_print_header(report);
    for (int i = 0; i < bench_case_count; i++) {
        if (!wanted(options, bench_cases[i].name)) continue;
        show_progress(i, bench_cases[i].name);
        const clattn_status status = measure_limits(plan);
        if (status) return cli_failed(COMMAND, plan->context, status);
        json_t *row = measure_case(plan, &bench_cases[i]);
        progress_end();
        if (!row || json_array_append_new(json_object_get(report, "cases"), row)) return cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
        if (!options->json) report_print_case(row);
    }
    return CLI_DONE;
}

static void start_peers(peer_list *list) {
    for (int i = 0; i < list->count; i++) {
        progress_show((size_t)i, (size_t)list->count, list->peers[i].name);
        peer_start(list, &list->peers[i]);
    }
    progress_end();
}

static int with_peers(measure_plan *plan, const bench_options *options, json_t **report) {
    peer_list list;
    char directory[512], message[600];
    if (!peers_read(&list, clattn_context_device(plan->context)->compute_units, message, sizeof message)) return cli_error(COMMAND, "%s", message);
    if (!exchange_open(directory, sizeof directory)) {
        peers_close(&list);
        return cli_error(COMMAND, "%s cannot be made", directory);
    }
    plan->peers = &list;
    plan->directory = directory;
    start_peers(&list);
    *report = report_open(plan);
    const int code = *report ? measure_all(plan, options, *report) : CLI_DEVICE_FAILED;
    peers_close(&list);
    exchange_close(directory);
    return code;
}

static int measure(clattn_context *context, const bench_options *options, json_t **report) {
    measure_plan plan = { .context = context, .rounds = options->rounds >= 0 ? options->rounds : options->quick ? 0 : 5, .turn = 1e-3 * (double)options->turn, .small = options->quick };
    const clattn_status status = plan.rounds == 0 ? CLATTN_OK : clattn_device_peaks(context, !options->quick, &plan.peaks);
    if (status) return cli_failed(COMMAND, context, status);
    if (options->peers) return with_peers(&plan, options, report);
    *report = report_open(&plan);
    return *report ? measure_all(&plan, options, *report) : CLI_DEVICE_FAILED;
}

static int measure_on_device(const bench_options *options, json_t **report) {
    clattn_context *context = NULL;
    int code = cli_open(&options->device, &context);
    if (code == CLI_DONE) code = measure(context, options, report);
    clattn_close(&context);
    return code;
}

/* ---- The command ---- */

static void print_earlier(const json_t *report, const bench_options *options) {
    const json_t *row;
    size_t i;
    report_print_header(report);
    json_array_foreach(json_object_get(report, "cases"), i, row) if (wanted(options, json_string_value(json_object_get(row, "case")))) report_print_case(row);
}

static int run(const bench_options *options) {
    char message[600];
    json_t *report = options->from ? report_load(COMMAND, options->from) : NULL;
    if (options->from && !report) return CLI_BAD_USE;
    int code = options->from ? CLI_DONE : measure_on_device(options, &report);
    if (options->from && !options->json) print_earlier(report, options);
    if (code == CLI_DONE && options->plot && plot_report(options->plot, report, message, sizeof message)) code = cli_error(COMMAND, "%s", message);
    if (code == CLI_DONE && !report_passed(report)) code = CLI_CHECK_FAILED;
    if (report && options->json) json_print(COMMAND, json_incref(report), JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(report);
    return code;
}

static int list_cases(void) {
    for (int i = 0; i < bench_case_count; i++) printf("%-28s %s\n", bench_cases[i].name, bench_cases[i].text);
    return CLI_DONE;
}

int cli_bench(int argc, char **argv) {
    bench_options options = { .device = { .command = COMMAND }, .rounds = -1, .turn = 40 };
    options.names = calloc((size_t)argc + 1, sizeof *options.names);
    if (!options.names) return cli_error(COMMAND, "out of memory");
    int code = parse(argc, argv, &options);
    if (code < 0) code = options.list ? list_cases() : run(&options);
    free(options.names);
    return code;
}
