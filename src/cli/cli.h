/* What the subcommands of the tool share. The tool stands on the public headers only. */
#ifndef CLATTN_CLI_CLI_H
#define CLATTN_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <clattn/clattn.h>

/* Exit codes. */
enum { CLI_DONE = 0, CLI_CHECK_FAILED = 1, CLI_BAD_USE = 2, CLI_DEVICE_FAILED = 3 };

/* A subcommand gets its own name as argv[0] and returns an exit code. What it prints on stdout need not be checked
 * for errors: main does so at the end. */
int cli_devices(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_cache(int argc, char **argv);
int cli_op(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_profile(int argc, char **argv);
int cli_tune(int argc, char **argv);
int cli_translate(int argc, char **argv);
int cli_classify(int argc, char **argv);
int cli_bench(int argc, char **argv);

/* POCL_AFFINITY was not set by the user: main has set it. */
extern bool cli_affinity_unset;

/* ---- Messages ---- */

/* Prints "clattn COMMAND: message" and a line end to stderr; returns CLI_BAD_USE. */
int cli_error(const char *command, const char *format, ...) CLATTN_PRINTF(2, 3);
/* "clattn COMMAND: unknown option --x; did you mean --y?" with the way to the help; `known` ends with NULL. */
int cli_unknown_option(const char *command, const char *option, const char *const *known);
/* The exit code that goes with a status. */
int cli_exit_code(clattn_status status);
/* Prints the context's message and returns the exit code of `status`; CLATTN_OK prints nothing. */
int cli_failed(const char *command, const clattn_context *context, clattn_status status);
/* The word of the NULL-terminated list that is closest to a mistyped one; NULL if none is close. */
const char *cli_closest(const char *word, const char *const *words);

/* ---- Options ---- */

/* The arguments of a subcommand, looked at one after the other: begin with index 1. */
typedef struct cli_arguments {
    int argc;
    char **argv;
    int index;
} cli_arguments;

/* True when the current argument is `--name VALUE` or `--name=VALUE` (also "-x VALUE"); moves past it. Without a value
 * it prints a message and `*value` is NULL. */
bool cli_option_value(cli_arguments *arguments, const char *name, const char **value);
/* True when the current argument is exactly `name`; moves past it. */
bool cli_option(cli_arguments *arguments, const char *name);
/* An integer within low..high; prints a message and returns false for anything else. */
bool cli_integer(const char *command, const char *option, const char *text, long low, long high, long *value);

/* The options that every subcommand has which uses a device. */
typedef struct cli_device_options {
    const char *device; /* SPEC; NULL: the environment's, else the best */
    int verbose;        /* -v: decisions, -vv: each kernel built or loaded. Warnings always show */
    const char *command;
    bool profile;       /* the queue keeps the times of kernels */
} cli_device_options;

#define CLI_DEVICE_HELP                                                                                                \
    "  --device SPEC        gpu, cpu, accelerator, P:D as `clattn devices` lists them, or a part of a name;\n"           \
    "                       without it: the environment's CLATTN_DEVICE, else the best device\n"                         \
    "  -v, --verbose        tell on stderr which device was chosen and why; -vv: each kernel built as well\n"            \
    "  -h, --help           this text\n"

/* Takes the current argument if it is --device or -v: 1 taken, 0 not one of them, -1 bad (a message is printed). */
int cli_device_option(cli_arguments *arguments, cli_device_options *options);

/* Opens a context; log lines go to stderr. `options` must live as long. Returns CLI_DONE, or an exit code after a message;
 * clattn_close either way. */
int cli_open(const cli_device_options *options, clattn_context **context);

#endif
