/* A case in files, for peers to compute it too, and their results. */
#ifndef CLATTN_BENCH_EXCHANGE_H
#define CLATTN_BENCH_EXCHANGE_H

#include <stdbool.h>

#include <clattn/clattn.h>

/* A new directory under TMPDIR or /tmp; false when there can be none. */
bool exchange_open(char *directory, size_t size);
/* Removes the files in it, */
void exchange_clear(const char *directory);
/* or the directory too. */
void exchange_close(const char *directory);

/* Writes `case` (the text) and NAME.npy of every input. False with a message. */
bool exchange_write(clattn_context *context, clattn_case *c, const char *text, const char *directory, char *message, size_t message_size);

/* Compares each out.NAME.npy in the directory with that output of the case, and removes it. `*error`: the largest difference,
 * relative to the output's largest value. False with a message when one differs by more than EXCHANGE_TOLERANCE, has another
 * size, or none is there. */
#define EXCHANGE_TOLERANCE 2e-4 /* sums of f32 in another order stay far below, f16 and bf16 arithmetic above */
bool exchange_compare(clattn_context *context, clattn_case *c, const char *directory, double *error, char *message, size_t message_size);

#endif
