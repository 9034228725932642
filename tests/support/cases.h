/* Tables of written cases (clattn_case_open) and of golden files: every test of an operation is made of these. */
#ifndef CLATTN_TESTS_CASES_H
#define CLATTN_TESTS_CASES_H

#include <clattn/clattn.h>

/* Runs each case with every variant that can serve it, dense and as strided views with offsets, against the reference, and
 * looks at the canaries. NULL-terminated. Fails when a variant of the operation was never reached by the table, or nothing ran. */
void test_cases(const char *const *cases);

/* The same with all floats stored as f16. */
void test_cases_f16(const char *const *cases);

/* What only the variants named gpu... cut in a way of its own: they alone run, as each case is a program to compile. */
void test_gpu_cases(const char *const *cases);
void test_gpu_cases_f16(const char *const *cases);

/* Each line: a case, "=>", and a part of the message expected. The call must be refused; outputs stay untouched. */
void test_refusals(const char *const *cases);

/* Runs tests/golden/ops/<op>.safetensors: the reference and every variant against a peer's values. */
void test_goldens(const char *op);

/* The cases' outputs do not change by a bit whichever other outputs are asked for. */
void test_outputs_independent(const char *const *cases);

/* The seed of the random values: CLATTN_TEST_SEED, else a fixed one. Printed by each of the above on failure. */
uint64_t test_seed(void);

#endif
