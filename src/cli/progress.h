/* How far a long piece of work is, in one line on stderr; nothing when that is not a terminal. */
#ifndef CLATTN_CLI_PROGRESS_H
#define CLATTN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Draws the line again: `done` of `total`, and what comes next. */
void progress_show(size_t done, size_t total, const char *what);
/* Wipes the line. */
void progress_end(void);

/* Whether a stream takes colours: a terminal, and NO_COLOR is not set. */
bool progress_colours(FILE *stream);

#endif
