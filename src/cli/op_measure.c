/* Running the operation of `clattn op`, timing it, and comparing it with its reference. */
#include "op.h"

#include <stdlib.h>

/* The larger of the two fractions: what the device needs at least, over what it took. */
static clattn_status find_limits(op_job *job) {
    op_times *t = &job->times;
    clattn_status status = clattn_op_work(job->context, job->op, job->args, &t->flops, &t->bytes);
    if (!status) status = clattn_device_peaks(job->context, false, &t->peaks);
    if (!status) job->launches.flops = t->flops, job->launches.peak_flops = t->peaks.flops, job->launches.peak_bytes = t->peaks.copy_bytes;
    if (status || t->seconds.median <= 0 || t->peaks.flops <= 0 || t->peaks.copy_bytes <= 0) return status;
    const double arithmetic = t->flops / t->peaks.flops, traffic = t->bytes / t->peaks.copy_bytes;
    t->limit_fraction = (arithmetic > traffic ? arithmetic : traffic) / t->seconds.median;
    return status;
}

/* ---- Launches ---- */

enum { WARM_UPS = 2 };

static clattn_status run_once(op_job *job) {
    const clattn_status status = clattn_op_run(job->context, job->op, job->args, job->variant, &job->chosen);
    return status ? status : clattn_finish(job->context);
}

static clattn_status run_traced(op_job *job, long runs) {
    clattn_status status = CLATTN_OK;
    launches_begin(&job->launches, job->context, runs);
    for (long i = 0; i < runs && !status; i++) {
        if (i) launches_next_run(&job->launches);
        status = run_once(job);
    }
    launches_end(&job->launches, job->context);
    return status;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The times are those of the kernels alone. */
static clattn_status sum_up(op_job *job) {
    double *seconds = calloc((size_t)job->repeat, sizeof *seconds);
    if (!seconds) return CLATTN_ERROR_OUT_OF_MEMORY;
    for (long i = 0; i < job->repeat; i++) seconds[i] = launches_seconds(&job->launches, i);
    qsort(seconds, (size_t)job->repeat, sizeof *seconds, ascending);
    job->times.seconds = (timing){ .min = seconds[0], .median = 0.5 * (seconds[(job->repeat - 1) / 2] + seconds[job->repeat / 2]), .max = seconds[job->repeat - 1] };
    free(seconds);
    return find_limits(job);
}

static int op_profile(op_job *job) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < WARM_UPS && !status; i++) status = run_once(job);
    if (!status) status = run_traced(job, job->repeat);
    if (!status) status = sum_up(job);
    return cli_failed("op", job->context, status);
}

int op_run(op_job *job) {
    if (job->profile) return op_profile(job);
    if (job->explain && !job->repeat) return cli_failed("op", job->context, run_traced(job, 1));
    if (!job->repeat) return cli_failed("op", job->context, clattn_op_run(job->context, job->op, job->args, job->variant, &job->chosen));
    clattn_status status = timing_run(job->context, job->op, job->args, job->variant, job->repeat, &job->times.seconds, &job->chosen);
    if (!status) status = find_limits(job);
    if (!status && job->explain) status = run_traced(job, 1);
    return cli_failed("op", job->context, status);
}

/* ---- The reference ---- */

static clattn_comparison compare(const op_output *output, const double *expected, float *found, const clattn_bounds *bounds) {
    const int64_t count = clattn_array_count(&output->array);
    if (output->array.dtype == CLATTN_FILE_I32)
        for (int64_t i = 0; i < count; i++) found[i] = (float)((const int32_t *)output->array.data)[i];
    else clattn_floats_load(output->array.dtype == CLATTN_FILE_F16 ? CLATTN_F16 : CLATTN_F32, output->array.data, found, count);
    return clattn_compare(found, output->tensor.dtype, expected, count, bounds);
}

static int compare_all(op_job *job, double **results, float *found) {
    clattn_bounds bounds;
    const clattn_status status = clattn_op_reference(job->context, job->op, job->args, results, &bounds);
    if (status) return cli_failed("op", job->context, status);
    job->passed = true;
    for (int i = 0; i < job->output_count; i++) {
        op_output *output = &job->outputs[i];
        output->comparison = compare(output, results[output->ordinal], found, &bounds);
        job->passed = job->passed && output->comparison.ok;
    }
    return CLI_DONE;
}

int op_compare(op_job *job) {
    size_t largest = 0;
    double **results = calloc(job->op->field_count, sizeof *results);
    bool complete = results != NULL;
    for (int i = 0; i < job->output_count && complete; i++) {
        const size_t count = (size_t)clattn_array_count(&job->outputs[i].array);
        if (count > largest) largest = count;
        complete = (results[job->outputs[i].ordinal] = calloc(count + 1, sizeof(double))) != NULL;
    }
    float *found = complete ? malloc((largest + 1) * sizeof *found) : NULL;
    const int code = found ? compare_all(job, results, found) : (cli_error("op", "out of memory for the reference"), CLI_DEVICE_FAILED);
    for (size_t i = 0; i < job->op->field_count && results; i++) free(results[i]);
    free(results);
    free(found);
    return code;
}
