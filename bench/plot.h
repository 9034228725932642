/* A report as a picture: each case's fraction of the limit, its ratios to the peers, and how the time grows. */
#ifndef CLATTN_BENCH_PLOT_H
#define CLATTN_BENCH_PLOT_H

#include <jansson.h>
#include <stddef.h>

/* Writes a PNG as src/cli/draw.h promises: 0, or non-zero with a message. */
int plot_report(const char *path, const json_t *report, char *message, size_t message_size);

#endif
