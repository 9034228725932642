/* The launches of an operation's kernels, collected over one or several equal runs. */
#ifndef CLATTN_CLI_LAUNCHES_H
#define CLATTN_CLI_LAUNCHES_H

#include <jansson.h>

#include "cli.h"

typedef struct launch {
    char kernel[160], options[512]; /* "attention/scalar" */
    clattn_launch_record record;    /* of the first run; its texts are not valid any more */
    double *seconds;                /* one for each run; negative: not known */
} launch;

typedef struct launches {
    launch *list;
    size_t count, next;
    long runs, run;
    uint64_t before; /* device memory in use before the first run */
    bool failed;     /* out of memory: the list is not complete */
    double flops;    /* of the operation; one launch's own where it is the only one */
    double peak_flops, peak_bytes; /* a second; 0: not known */
} launches;

/* Collects from now on; launches_next_run after each run but the last. Free it with launches_free. */
void launches_begin(launches *l, clattn_context *context, long runs);
void launches_next_run(launches *l);
void launches_end(launches *l, clattn_context *context);
void launches_free(launches *l);

/* Time of all kernels of one run; negative when the queue keeps no times. */
double launches_seconds(const launches *l, long run);
void launches_print(const launches *l, FILE *stream);
json_t *launches_array(const launches *l);

#endif
