/* Variants that give wrong results on a device are found at their first use. */
#ifndef CLATTN_OPS_SELFCHECK_H
#define CLATTN_OPS_SELFCHECK_H

#include "op.h"

/* Checks a variant at its first use in a context that asks for it, with tensors stored as those of `args`, under `setting` (NULL:
 * none). Why it must not be used so; NULL when it may. */
const char *clattn_self_check(clattn_context *context, const clattn_op *op, const void *args, const clattn_variant *variant, const clattn_setting *setting);
/* The same of what is known, without a check. */
const char *clattn_demotion_of(clattn_context *context, const clattn_op *op, const void *args, const clattn_variant *variant, const clattn_setting *setting);

/* clattn_op_refusal without the reasons for which a variant that can serve is left to those who name it. */
const char *clattn_refusal_by_name(clattn_context *context, const clattn_op *op, const void *args, const char *variant);

#endif
