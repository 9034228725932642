/* `clattn op`: any operation of the library on arrays from files. */
#include "op.h"

#include <stdlib.h>
#include <string.h>

typedef int (*step)(op_job *job);

static int open_device(op_job *job) {
    return cli_open(&job->device, &job->context);
}

static int check_paths(op_job *job) {
    return op_check_paths(job);
}

static int compare(op_job *job) {
    return job->check ? op_compare(job) : CLI_DONE;
}

/* Whatever can be refused is refused before the device is touched, and before anything is written. */
static int run_steps(op_job *job) {
    static const step steps[] = { op_resolve, check_paths, op_read_inputs, open_device, op_shape_inputs, op_check_values,
                                  op_make_outputs, op_upload_inputs, op_run, op_read_outputs, compare, op_write_outputs, op_report };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const int code = steps[i](job);
        if (code) return code;
    }
    return job->check && !job->passed ? CLI_CHECK_FAILED : CLI_DONE;
}

/* --case: the library makes the arrays. */
static int run_case(op_job *job) {
    if (job->name || job->input_count || job->output_count || job->setting_count || job->check) return cli_error("op", "--case TEXT names the operation, its arrays and its parameters itself; it goes with --variant, --repeat, --device and --json only");
    int code = open_device(job);
    if (!code) code = cli_failed("op", job->context, clattn_case_open(job->context, job->case_text, 1, 0, &job->made));
    if (code) return code;
    job->op = clattn_case_op(job->made);
    job->args = clattn_case_args(job->made);
    code = op_run(job);
    return code ? code : op_report(job);
}

static void free_job(op_job *job) {
    if (job->made) job->args = NULL;
    clattn_case_close(&job->made);
    launches_free(&job->launches);
    for (int i = 0; i < job->input_count && job->inputs; i++) {
        clattn_tensor_free(&job->inputs[i].tensor);
        clattn_array_free(&job->inputs[i].array);
    }
    for (int i = 0; i < job->output_count && job->outputs; i++) {
        clattn_tensor_free(&job->outputs[i].tensor);
        clattn_array_free(&job->outputs[i].array);
    }
    clattn_close(&job->context);
    free(job->inputs);
    free(job->outputs);
    free(job->settings);
    free(job->args);
}

static int unknown_operation(const char *name) {
    const size_t count = clattn_op_count();
    const char **names = calloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count && names; i++) names[i] = clattn_op_get(i)->name;
    const char *closest = names ? cli_closest(name, names) : NULL;
    cli_error("op", "there is no operation %s%s%s%s (`clattn op` lists them)", name, closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
    free(names);
    return CLI_BAD_USE;
}

static int dispatch(op_job *job, int argc) {
    if (job->help && !job->name) return op_print_help(stdout), CLI_DONE;
    if (job->case_text) return run_case(job);
    if (!job->name && argc > 1) return cli_error("op", "which operation? (`clattn op` lists them)");
    if (!job->name) return op_list(stdout), CLI_DONE;
    job->op = clattn_op_find(job->name);
    if (!job->op) return unknown_operation(job->name);
    if (job->help) return op_describe(stdout, job->op), CLI_DONE;
    return run_steps(job);
}

static int run_job(op_job *job, int argc, char **argv) {
    int code = op_parse(job, argc, argv);
    if (!code) code = dispatch(job, argc);
    free_job(job);
    return code;
}

int cli_op(int argc, char **argv) {
    op_job job = { .device = { .command = argv[0] } };
    return run_job(&job, argc, argv);
}

int cli_explain(int argc, char **argv) {
    op_job job = { .device = { .command = argv[0] }, .explain = true, .quiet = true };
    return run_job(&job, argc, argv);
}

int cli_profile(int argc, char **argv) {
    op_job job = { .device = { .command = argv[0], .profile = true }, .profile = true, .quiet = true, .repeat = 10 };
    return run_job(&job, argc, argv);
}
