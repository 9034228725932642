/* What is timed: written cases, the language of the tests. */
#ifndef CLATTN_BENCH_CASES_H
#define CLATTN_BENCH_CASES_H

typedef struct bench_case {
    const char *name;
    const char *text;  /* the timed case */
    const char *check; /* the same at a size whose double-precision reference takes no time: it must agree first */
    const char *unit;  /* GFLOP/s, GB/s, or Gelem/s (additive: query-key-feature triples) */
} bench_case;

extern const bench_case bench_cases[];
extern const int bench_case_count;

#endif
