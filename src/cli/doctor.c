/* `clattn doctor`: what is wrong with the machine's OpenCL, as far as clattn can tell. Drivers are only touched in child
 * processes, so that one that crashes is a finding like any other. */
#define _DEFAULT_SOURCE
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "json.h"
#include "progress.h"

#define COMMAND "doctor"

enum { MAX_DEVICES = 64, MAX_FINDINGS = 48, MAX_CRASHES = 32 };

static const char help[] =
    "usage: clattn doctor [--device SPEC|all] [--op NAME ...] [--json] [-v]\n\n"
    "Looks for known hazards of OpenCL drivers and compares every operation, in every variant that fits, with its\n"
    "double-precision reference, on every device. A driver that crashes is reported; the others go on.\n\n"
    "  --device SPEC        this device only; all: every one, as without it\n"
    "  --op NAME            this operation only (may be repeated); none: the hazards only\n"
    "  --json               one JSON object\n"
    "  -v, --verbose        each check on stderr\n"
    "  -h, --help           this text\n"
    "\nexit codes: 0 healthy (notes and warnings may stand), 1 a check failed, 2 bad use, 3 no device\n";

typedef struct finding {
    clattn_finding_level level;
    char name[64], text[640], advice[256];
} finding;

/* Of one device, or of the environment. */
typedef struct report {
    char spec[160];
    clattn_device_info info;
    clattn_status opened;
    bool complete;
    int passed, failed, left_out; /* checks of operations; variants that do not fit */
    size_t step, steps_done;      /* the one under way, counted from 1; those not to be made again when the driver ended one */
    char doing[256];              /* in case the driver ends the process */
    finding findings[MAX_FINDINGS];
    size_t count, dropped;
} report;

/* Memory shared with the children. */
typedef struct clinic {
    const char *device; /* NULL: every one */
    const char **ops;
    size_t op_count; /* 0: all */
    bool no_ops, json;
    int verbose;
    clattn_status listed;
    char message[2048];
    report environment;
    report devices[MAX_DEVICES];
    size_t count;
} clinic;

static void add(report *r, clattn_finding_level level, const char *name, const char *text, const char *advice) {
    if (r->count == MAX_FINDINGS) {
        r->dropped++;
        return;
    }
    finding *f = &r->findings[r->count++];
    f->level = level;
    snprintf(f->name, sizeof f->name, "%s", name);
    snprintf(f->text, sizeof f->text, "%s", text);
    snprintf(f->advice, sizeof f->advice, "%s", advice);
}

static void take_finding(void *user, const clattn_finding *found) {
    add(user, found->level, found->name, found->text, found->advice);
}

static void take_log(void *user, clattn_log_level level, const char *message) {
    if (level == CLATTN_LOG_WARNING) add(user, CLATTN_FINDING_WARNING, "warning", message, "");
}

/* ---- In child processes ---- */

/* As the user has it: main sets the variable for the tool's own sake. */
static void examine_environment(clinic *c, report *r) {
    clattn_device_info infos[MAX_DEVICES];
    if (cli_affinity_unset) unsetenv("POCL_AFFINITY");
    snprintf(r->doing, sizeof r->doing, "looking for devices");
    c->listed = clattn_device_list(infos, MAX_DEVICES, &c->count, c->message, sizeof c->message);
    if (c->count > MAX_DEVICES) c->count = MAX_DEVICES;
    for (size_t i = 0; i < c->count; i++) {
        c->devices[i].info = infos[i];
        snprintf(c->devices[i].spec, sizeof c->devices[i].spec, "%d:%d", infos[i].platform_index, infos[i].device_index);
    }
    clattn_examine(NULL, take_finding, r);
}

static bool wanted(const clinic *c, const clattn_op *op) {
    if (c->no_ops) return false;
    for (size_t i = 0; i < c->op_count; i++)
        if (strcmp(c->ops[i], op->name) == 0) return true;
    return c->op_count == 0;
}

/* Whether the next step is still to be made; what it does is told if the driver ends the process. */
static bool begins(report *r, const char *doing, const char *variant) {
    r->step++;
    snprintf(r->doing, sizeof r->doing, "%s%s%s", doing, *variant ? ", variant " : "", variant);
    return r->step > r->steps_done;
}

static void check_variant(const clinic *c, report *r, clattn_context *context, clattn_case *made, const char *variant) {
    const clattn_op *op = clattn_case_op(made);
    char name[64];
    snprintf(name, sizeof name, "%.30s/%.30s", op->name, variant);
    if (clattn_op_refusal(context, op, clattn_case_args(made), variant)) {
        r->left_out++;
        return;
    }
    if (c->verbose) fprintf(stderr, "clattn doctor: %s: %s\n", r->spec, r->doing);
    if (clattn_case_check(made, variant) == CLATTN_OK) {
        r->passed++;
        return;
    }
    r->failed++;
    add(r, CLATTN_FINDING_FAILURE, name, clattn_message(context), "take another device or driver for this operation; its driver computes it wrongly or cannot run it");
}

static void check_example(const clinic *c, report *r, clattn_context *context, const clattn_op *op, const char *text) {
    clattn_case *made;
    const char *variant;
    size_t variants = 0;
    while (clattn_op_variant(op, variants)) variants++;
    if (r->step + variants <= r->steps_done) {
        r->step += variants;
        return;
    }
    if (clattn_case_open(context, text, 1, 0, &made)) {
        r->failed++;
        add(r, CLATTN_FINDING_FAILURE, "case", clattn_message(context), "");
        return;
    }
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++)
        if (begins(r, text, variant)) check_variant(c, r, context, made, variant);
    clattn_case_close(&made);
}

static size_t count_examples(const clinic *c) {
    const clattn_op *op;
    size_t count = 0;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; wanted(c, op) && clattn_op_example(op, k); k++) count++;
    return count;
}

static void check_operations(const clinic *c, report *r, clattn_context *context) {
    const clattn_op *op;
    const char *text;
    size_t done = 0;
    const size_t total = count_examples(c);
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; wanted(c, op) && (text = clattn_op_example(op, k)); k++) {
            if (!c->verbose) progress_show(done++, total, text);
            check_example(c, r, context, op, text);
        }
    progress_end();
}

static void examine_device(clinic *c, report *r) {
    clattn_context *context = NULL;
    r->step = 0;
    snprintf(r->doing, sizeof r->doing, "opening the device");
    r->opened = clattn_open(&context, &(clattn_open_params){ .device = r->spec, .log = take_log, .log_user = r });
    if (r->opened) {
        add(r, r->opened == CLATTN_ERROR_NO_DEVICE ? CLATTN_FINDING_WARNING : CLATTN_FINDING_FAILURE, "open", clattn_message(context), "");
    } else {
        r->info = *clattn_context_device(context);
        if (begins(r, "looking for known hazards", "") && clattn_examine(context, take_finding, r))
            add(r, CLATTN_FINDING_FAILURE, "hazards", clattn_message(context), "the driver cannot run clattn's kernels: update it, or take another device");
        clattn_tuning_examine(context, take_finding, r);
        check_operations(c, r, context);
    }
    snprintf(r->doing, sizeof r->doing, "closing the device");
    clattn_close(&context);
}

/* ---- In the parent ---- */

/* False, with a finding, when the driver ends the process. */
static bool in_child(clinic *c, report *r, void (*work)(clinic *c, report *r)) {
    char text[640], how[128];
    int state = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        work(c, r);
        r->complete = true;
        _exit(0);
    }
    if (child > 0 && waitpid(child, &state, 0) == child && r->complete) return true;
    guard_how(state, how, sizeof how);
    if (child < 0) snprintf(text, sizeof text, "no process could be made for it");
    else snprintf(text, sizeof text, "the driver ended the process with %s, while %s", how, r->doing);
    progress_end();
    add(r, CLATTN_FINDING_FAILURE, "crash", text, "update the driver, or hide it with OCL_ICD_VENDORS");
    return false;
}

/* After a crash the checks go on behind the one that caused it. */
static void examine_to_the_end(clinic *c, report *r) {
    for (int crashes = 0; !in_child(c, r, examine_device) && crashes < MAX_CRASHES && r->step > r->steps_done; crashes++) {
        r->steps_done = r->step;
        r->failed++;
    }
}

static void take_driver(void *user, const char *driver, const char *how) {
    char text[640];
    snprintf(text, sizeof text, "%.400s: the driver ends the process with %s while devices are looked for; it was left out from here on", driver, how);
    add(user, CLATTN_FINDING_FAILURE, "driver-crash", text, "reinstall or update the driver, or remove its .icd file");
}

static void examine_drivers(clinic *c) {
    if (!in_child(c, &c->environment, examine_environment) && guard_hide_drivers(take_driver, &c->environment)) in_child(c, &c->environment, examine_environment);
}

static const char *level_name(clattn_finding_level level) {
    return level == CLATTN_FINDING_FAILURE ? "FAILURE" : level == CLATTN_FINDING_WARNING ? "warning" : "note";
}

static bool has_failure(const report *r) {
    for (size_t i = 0; i < r->count; i++)
        if (r->findings[i].level == CLATTN_FINDING_FAILURE) return true;
    return r->failed > 0;
}

static void print_findings(const report *r) {
    const bool colours = progress_colours(stdout);
    for (size_t i = 0; i < r->count; i++) {
        const finding *f = &r->findings[i];
        const char *colour = !colours ? "" : f->level == CLATTN_FINDING_FAILURE ? "\033[31m" : f->level == CLATTN_FINDING_WARNING ? "\033[33m" : "\033[36m";
        printf("  %s%s%s %s: %s\n", colour, level_name(f->level), colours ? "\033[0m" : "", f->name, f->text);
        if (*f->advice) printf("    %s\n", f->advice);
    }
    if (r->dropped) printf("  and %zu more\n", r->dropped);
}

static void print_device(const clinic *c, const report *r) {
    printf("%s %s (%s, driver %s)\n", r->spec, r->info.name, r->info.platform, r->info.driver);
    if (!r->opened && !c->no_ops) printf("  operations: %d checks passed, %d failed; %d variants do not fit here\n", r->passed, r->failed, r->left_out);
    print_findings(r);
}

static json_t *findings_array(const report *r) {
    json_t *all = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const finding *f = &r->findings[i];
        json_array_append_new(all, json_pack("{s:s, s:o, s:o, s:o}", "level", level_name(f->level), "name", json_text(f->name), "text", json_text(f->text), "advice", json_text(f->advice)));
    }
    return all;
}

static json_t *device_object(const report *r) {
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:b, s:o}", "device", json_text(r->spec), "name", json_text(r->info.name), "platform", json_text(r->info.platform), "driver", json_text(r->info.driver),
        "passed", r->passed, "failed", r->failed, "left_out", r->left_out, "healthy", (int)!has_failure(r), "findings", findings_array(r));
}

static int print_json(const clinic *c, int code) {
    json_t *devices = json_array();
    for (size_t i = 0; i < c->count; i++) json_array_append_new(devices, device_object(&c->devices[i]));
    const int printed = json_print(COMMAND, json_pack("{s:s, s:b, s:o, s:o}", "version", clattn_version(), "healthy", (int)(code == CLI_DONE), "environment", findings_array(&c->environment), "devices", devices), JSON_INDENT(2));
    return printed ? printed : code;
}

static int verdict(const clinic *c) {
    size_t usable = 0;
    bool failed = has_failure(&c->environment);
    for (size_t i = 0; i < c->count; i++) {
        usable += c->devices[i].opened == CLATTN_OK;
        failed = failed || has_failure(&c->devices[i]);
    }
    return failed ? CLI_CHECK_FAILED : usable ? CLI_DONE : CLI_DEVICE_FAILED;
}

static int examine_all(clinic *c) {
    examine_drivers(c);
    if (c->device) {
        c->count = 1;
        memset(&c->devices[0], 0, sizeof c->devices[0]);
        snprintf(c->devices[0].spec, sizeof c->devices[0].spec, "%s", c->device);
    }
    if (!c->json) {
        puts("environment");
        print_findings(&c->environment);
        if (!c->environment.count) puts("  nothing to remark");
    }
    for (size_t i = 0; i < c->count && !c->listed; i++) {
        examine_to_the_end(c, &c->devices[i]);
        if (!c->json) print_device(c, &c->devices[i]);
    }
    if (c->listed) c->count = 0;
    const int code = verdict(c);
    if (c->listed) cli_error(COMMAND, "%s", c->message);
    if (c->json) return print_json(c, code);
    if (!c->listed) puts(code == CLI_DONE ? "healthy" : code == CLI_CHECK_FAILED ? "NOT HEALTHY: see the failures above" : "no device can be used");
    return code;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, clinic *c) {
    static const char *const known[] = { "--device", "--op", "--json", "--verbose", "--help", NULL };
    cli_arguments a = { argc, argv, 1 };
    cli_device_options device = { .command = COMMAND };
    while (a.index < argc) {
        const char *value = "";
        const int taken = cli_device_option(&a, &device);
        if (taken < 0) return CLI_BAD_USE;
        if (taken) continue;
        if (cli_option(&a, "--help") || cli_option(&a, "-h")) return fputs(help, stdout), CLI_DONE;
        if (cli_option(&a, "--json")) c->json = true;
        else if (cli_option_value(&a, "--op", &value)) {
            if (!value) return CLI_BAD_USE;
            if (strcmp(value, "none") == 0) c->no_ops = true;
            else if (clattn_op_find(value)) c->ops[c->op_count++] = value;
            else return cli_error(COMMAND, "--op %s: there is no such operation (`clattn op` lists them)", value);
        } else return *argv[a.index] == '-' ? cli_unknown_option(COMMAND, argv[a.index], known) : cli_error(COMMAND, "takes no argument; found %s", argv[a.index]);
    }
    c->verbose = device.verbose;
    c->device = device.device && strcmp(device.device, "all") ? device.device : NULL;
    return -1;
}

int cli_doctor(int argc, char **argv) {
    clinic *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c == MAP_FAILED) return cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED;
    const char **ops = c->ops = calloc((size_t)argc + 1, sizeof *c->ops);
    int code = ops ? parse(argc, argv, c) : (cli_error(COMMAND, "out of memory"), CLI_DEVICE_FAILED);
    if (code < 0) code = examine_all(c);
    guard_clean();
    free(ops);
    munmap(c, sizeof *c);
    return code;
}
