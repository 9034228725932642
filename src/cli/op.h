/* One run of `clattn op`, passed through its steps: parse, read, prepare, run, measure, report, write. Everything about
 * the operation comes from its description; there is no code for a single operation. */
#ifndef CLATTN_CLI_OP_H
#define CLATTN_CLI_OP_H

#include <clattn/file.h>

#include "../../bench/timing.h"
#include "cli.h"
#include "launches.h"

typedef struct op_input {
    const char *name, *file;
    const clattn_field *field;
    int index; /* within a list of inputs */
    clattn_array array;
    clattn_tensor tensor;
} op_input;

typedef struct op_output {
    const char *name, *file; /* file NULL: computed, but not written */
    const clattn_field *field;
    size_t ordinal; /* among the operation's outputs */
    clattn_tensor tensor;
    clattn_array array;
    clattn_comparison comparison; /* with --check */
} op_output;

typedef struct op_setting {
    const char *name, *value;
} op_setting;

typedef struct op_times {
    timing seconds;
    double flops, bytes, limit_fraction;
    clattn_peaks peaks;
} op_times;

typedef struct op_job {
    const char *name, *variant;
    clattn_dtype storage; /* of floats on the device: --set dtype */
    cli_device_options device;
    long repeat; /* 0: not asked for */
    bool check, explain, json, help;
    bool quiet; /* `explain`, `profile`: outputs need no files */
    bool profile;
    const char *case_text; /* --case: random arrays instead of files */
    clattn_case *made;
    op_input *inputs;
    op_output *outputs;
    op_setting *settings;
    int input_count, output_count, setting_count;

    const clattn_op *op;
    void *args;
    clattn_context *context;
    const char *chosen; /* the variant that ran */
    op_times times;
    launches launches; /* explain, profile */
    bool passed; /* --check: every output is within the tolerance */
} op_job;

/* Each step returns CLI_DONE, or an exit code after a message. */

/* op_parse.c: argv to names, then names to the operation's fields. */
int op_parse(op_job *job, int argc, char **argv);
int op_resolve(op_job *job);
/* op_inputs.c */
int op_read_inputs(op_job *job);    /* files to host arrays of the fields' types */
int op_shape_inputs(op_job *job);   /* into args, without memory: enough to check shapes */
int op_check_values(op_job *job);   /* ids and lengths within their tables */
int op_upload_inputs(op_job *job);
/* op_outputs.c */
int op_check_paths(const op_job *job); /* can the files be written, as far as can be told before */
int op_make_outputs(op_job *job);
int op_read_outputs(op_job *job);
int op_write_outputs(op_job *job);
/* op_measure.c */
int op_run(op_job *job);       /* once, or as --repeat says */
int op_compare(op_job *job);   /* --check */
/* op_report.c */
int op_report(op_job *job);
/* op_help.c */
void op_list(FILE *stream);
void op_print_help(FILE *stream);
void op_describe(FILE *stream, const clattn_op *op);

#endif
