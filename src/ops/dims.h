/* Matching tensors with the shape texts of fields. */
#ifndef CLATTN_OPS_DIMS_H
#define CLATTN_OPS_DIMS_H

#include "op.h"

/* Checks `tensor` against the field's shape and binds the letters that are still free. "a|b": the alternative of the
 * tensor's rank. "~B,H": broadcastable from the right, rank 1 or more. "..": any axes, the same ones everywhere.
 * "*": anything. An output's shape with alternatives is the one whose index is bound to "alt" (default the first). */
clattn_status clattn_dims_match(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor);
/* The shape a field must have now that the letters are bound; the rank, or -1 if a letter is free. */
int clattn_dims_shape(const clattn_call *call, const clattn_field *field, int64_t shape[CLATTN_MAX_RANK]);
/* The value of one size expression, "V" or "N+D", now that the letters are bound; -1 if a letter is free. */
int64_t clattn_dims_value(const clattn_call *call, const char *expression);
/* "[1,2,3]" */
const char *clattn_shape_text(const clattn_tensor *tensor, char *text, size_t size);

#endif
