/* The tool: finds the subcommand and runs it. */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guard.h"

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} command;

static const command commands[] = {
    { "devices", cli_devices, "list the OpenCL devices, and which one clattn takes" },
    { "doctor", cli_doctor, "test every device for known hazards and every operation on it" },
    { "cache", cli_cache, "list, verify, clear or build the kernels kept on disk" },
    { "op", cli_op, "run one operation on arrays from files" },
    { "explain", cli_explain, "tell which variant serves an operation, why not the others, and what it launches" },
    { "profile", cli_profile, "time an operation's kernels beside the device's peaks" },
    { "tune", cli_tune, "measure which variants and tunables are fastest here, and keep them for the library" },
#ifdef CLI_TRANSLATE
    { "translate", cli_translate, "translate English numbers, dates, times and money to French" },
#endif
#ifdef CLI_CLASSIFY
    { "classify", cli_classify, "recognise handwritten digits in pictures" },
#endif
#ifdef CLI_BENCH
    { "bench", cli_bench, "measure operations against the device's peaks" },
#endif
};

bool cli_affinity_unset;

enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *stream) {
    fputs("clattn runs attention mechanisms on any OpenCL device.\n\nusage: clattn COMMAND [ARGUMENTS]\n\ncommands:\n", stream);
    for (int i = 0; i < COMMANDS; i++) fprintf(stream, "  %-10s %s\n", commands[i].name, commands[i].text);
    fputs("  help       this text; `clattn help COMMAND` is `clattn COMMAND --help`\n"
          "\noptions:\n"
          "  -h, --help       this text\n"
          "  --version        the version\n"
          "\nenvironment:\n"
          "  CLATTN_DEVICE    the device to use: gpu, cpu, accelerator, P:D, or a part of its name\n"
          "  CLATTN_CACHE_DIR where compiled kernels are kept (else XDG_CACHE_HOME/clattn, else ~/.cache/clattn)\n"
          "  CLATTN_TUNING    the database of settings that `clattn tune` keeps (else tuning.json there); off: none\n"
          "  POCL_AFFINITY    set to 1 unless you set it: PoCL then keeps its threads on cores of their own\n"
          "\nexit codes: 0 done, 1 a check failed, 2 bad use or bad input, 3 device or driver failure\n", stream);
}

static int unknown_command(const char *name) {
    const char *names[COMMANDS + 1] = { NULL };
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
    const char *closest = cli_closest(name, names);
    return cli_error("", "unknown command %s%s%s%s (`clattn help` lists them)", name, closest ? "; did you mean " : "", closest ? closest : "", closest ? "?" : "");
}

static int run_command(int argc, char **argv) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(argv[0], commands[i].name) == 0) return commands[i].run(argc, argv);
    return unknown_command(argv[0]);
}

/* `help op softmax` runs `op softmax --help`. */
static int help_on(int argc, char **argv) {
    char **arguments = calloc((size_t)argc + 2, sizeof *arguments);
    char help[] = "--help";
    if (!arguments) return cli_error("help", "out of memory"), CLI_DEVICE_FAILED;
    memcpy(arguments, argv, (size_t)argc * sizeof *arguments);
    arguments[argc] = help;
    const int code = run_command(argc + 1, arguments);
    free(arguments);
    return code;
}

static int run(int argc, char **argv) {
    static const char *const options[] = { "--help", "--version", NULL };
    if (argc < 2) {
        print_help(stderr);
        return CLI_BAD_USE;
    }
    const char *first = argv[1];
    if (strcmp(first, "help") == 0 && argc > 2) return help_on(argc - 2, argv + 2);
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) return print_help(stdout), CLI_DONE;
    if (strcmp(first, "--version") == 0) return printf("clattn %s\n", clattn_version()), CLI_DONE;
    return *first == '-' ? cli_unknown_option("", first, options) : run_command(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    /* PoCL reads it when it is loaded. Without it its threads may share a core and halve the speed. */
    cli_affinity_unset = !getenv("POCL_AFFINITY");
    setenv("POCL_AFFINITY", "1", 0);
    const int code = run(argc, argv);
    const bool written = fflush(stdout) == 0 && !ferror(stdout);
    guard_end();
    if (written) return code;
    cli_error("", "cannot write to standard output: %s", strerror(errno));
    return code ? code : CLI_BAD_USE;
}
