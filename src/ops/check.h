/* The checks that every call passes before anything is enqueued. */
#ifndef CLATTN_OPS_CHECK_H
#define CLATTN_OPS_CHECK_H

#include "op.h"

/* Large enough for every args struct; checked by the registry's test. */
#define CLATTN_MAX_ARGS_SIZE 1024

/* The pointer stored in an args struct for an INPUT (i-th of a list) or OUTPUT field. */
clattn_tensor *clattn_field_tensor(const clattn_field *field, const void *args, int i);
void clattn_field_put(const clattn_field *field, void *args, int i, const clattn_tensor *tensor);
/* How many tensors an INPUT field holds: 0 or 1, or the length of a list. */
int clattn_field_tensors(const clattn_field *field, const void *args);

/* Puts defaults into `args` (a copy) and checks parameters and inputs; binds the sizes. `shapes_only`: tensors may lack
 * buffers. */
clattn_status clattn_check_inputs(clattn_call *call, void *args, bool shapes_only);
/* Checks the outputs asked for against the sizes bound, and for overlap. */
clattn_status clattn_check_outputs(clattn_call *call, const void *args, bool shapes_only);

#endif
