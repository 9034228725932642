/* The small cases of a table, for devices that are slow by nature (rusticl's llvmpipe, Oclgrind): with CLATTN_TEST_SMALL=N a
 * case whose floating-point operations and elements together exceed N is left out; of a table without a smaller one, its
 * smallest runs. How many ran and how many there are is printed. */
#ifndef CLATTN_TESTS_SMALL_H
#define CLATTN_TESTS_SMALL_H

#include <clattn/clattn.h>

typedef struct small_table {
    double smallest; /* 0 = nothing seen yet */
    int ran, of;
} small_table;

/* Each case of the table is seen once before any is taken. */
void small_see(small_table *table, clattn_context *context, const clattn_op *op, const void *args);
void small_see_all(small_table *table, clattn_context *context, const char *const *cases);

/* Whether the case is to run; counts it. Everything runs where CLATTN_TEST_SMALL is not set. */
bool small_takes(small_table *table, clattn_context *context, const clattn_op *op, const void *args);
bool small_takes_text(small_table *table, clattn_context *context, const char *text);

/* Fails the test when nothing ran; prints the counts where cases may have been left out. */
void small_report(const small_table *table);

#endif
