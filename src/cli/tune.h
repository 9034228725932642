/* Shared by the files of `clattn tune`. */
#ifndef CLATTN_CLI_TUNE_H
#define CLATTN_CLI_TUNE_H

#include <signal.h>

#include "cli.h"

/* The search for one written case. */
typedef struct tune_search {
    clattn_context *context;
    const char *text;     /* the case */
    double deadline;      /* of timing_now; 0: none */
    volatile sig_atomic_t *interrupted;
    void (*progress)(void *user, const struct tune_search *search, const char *trying); /* before each candidate */
    /* After it: what came of it, and its speed over that of the best until then (0: not known). */
    void (*outcome)(void *user, const struct tune_search *search, const char *tried, const char *what, double ratio);
    void *user;
    /* What was found: */
    clattn_tuning_entry entry; /* complete unless an error is returned */
    const char *default_variant, *variant; /* clattn's own choice, the fastest */
    double gain;               /* over clattn's own choice */
    int tried, wrong;          /* candidates; those that gave other results */
} tune_search;

/* Tries variants and tunables, each in turns with the best so far and only where its results are right. Stops at the deadline
 * or when interrupted, with what was found by then. CLATTN_OK, or why the case cannot be run; the context has the message. */
clattn_status tune_find(tune_search *search);

/* Joins databases into `output` (NULL: the user's own) and tells on stderr what was dropped. Returns an exit code. */
int tune_merge(const char *const *files, size_t count, const char *output);

#endif
