/* One case: checked, then timed beside the peers, in turns. */
#ifndef CLATTN_BENCH_MEASURE_H
#define CLATTN_BENCH_MEASURE_H

#include <jansson.h>

#include <clattn/clattn.h>

#include "cases.h"
#include "peers.h"

enum { MEASURE_MOST_ROUNDS = 100 };

typedef struct measure_plan {
    clattn_context *context;
    clattn_peaks peaks;
    peer_list *peers;      /* NULL: without */
    const char *directory; /* for the exchange with peers */
    long rounds;           /* each of them: clattn, peer A, peer B, ...; 0: only checked */
    double turn;           /* seconds that a turn should take; at least one run */
    bool small;            /* the sizes of the check also beside the peers */
} measure_plan;

/* The case as an object of `cases` in the report (bench/report.h). A result that is wrong, ours or a peer's, and every other
 * failure is part of it. NULL without memory. */
json_t *measure_case(const measure_plan *plan, const bench_case *c);

#endif
