/* What is timed: written cases, the language of the tests. */
#ifndef CLATTN_BENCH_CASES_H
#define CLATTN_BENCH_CASES_H

#include <stdbool.h>
#include <stddef.h>

/* The limit of the device that a case is held against. */
typedef enum bench_limit { BENCH_FMA, BENCH_COPY, BENCH_READ } bench_limit;

typedef struct bench_case {
    const char *name;
    const char *text; /* the timed case */
    /* Its sizes in the check against the double-precision reference, "FULL=SMALL FULL=SMALL"; "" = as they are. */
    const char *smaller;
    bench_limit limit;
    const char *unit;   /* GFLOP/s, GB/s, or Gelem/s (additive: query-key-feature triples) */
    bool half;          /* floats are stored as f16 */
    const char *series; /* growth: the name of the curve, else NULL; no peers */
    int size;           /* growth: where on the curve */
} bench_case;

extern const bench_case bench_cases[];
extern const int bench_case_count;

/* The text of the check: every integer of a shape or a list of values that `smaller` names is replaced. False when it does
 * not fit. */
bool bench_case_check_text(const bench_case *c, char *text, size_t size);

#endif
