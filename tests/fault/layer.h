/* What the fault layer (layer.c) offers to tests. */
#ifndef CLATTN_TESTS_FAULT_LAYER_H
#define CLATTN_TESTS_FAULT_LAYER_H

#define FAULT_EXPORT __attribute__((visibility("default")))

enum { FAULT_CONTEXTS, FAULT_QUEUES, FAULT_BUFFERS, FAULT_PROGRAMS, FAULT_KERNELS, FAULT_KINDS };

/* The from-th to the to-th call of that name from now on give `error` and do not reach the driver; NULL: none does. Counts
 * begin anew. */
FAULT_EXPORT void fault_plan(const char *call, unsigned from, unsigned to, int error);
/* Calls of that name since fault_plan. */
FAULT_EXPORT unsigned fault_count(const char *call);
/* References held on OpenCL objects of a kind. */
FAULT_EXPORT long fault_live(int kind);

#endif
