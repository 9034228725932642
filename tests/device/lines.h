/* The log of a context, kept; a scratch directory; the fault layer's functions. */
#ifndef CLATTN_TESTS_LINES_H
#define CLATTN_TESTS_LINES_H

#include <clattn/clattn.h>

typedef struct log_lines {
    char text[8192]; /* one line after the other, each with a line end */
    int warnings;
} log_lines;

void keep_line(void *user, clattn_log_level level, const char *message);
/* How often `part` stands in the lines. */
int count_lines(const log_lines *lines, const char *part);

/* Makes a directory under /tmp, once per test; the same path from then on. */
const char *scratch_directory(void);
void remove_scratch_directory(void);
/* "DIRECTORY/NAME"; valid for the next three calls. */
const char *in_scratch(const char *name);

typedef struct fault_functions {
    void (*plan)(const char *call, unsigned from, unsigned to, int error);
    unsigned (*count)(const char *call);
    long (*live)(int kind);
} fault_functions;
/* Of the layer that OPENCL_LAYERS names; fails the test without it. */
fault_functions fault_layer(void);

#endif
