/* One row of attention, in plain loops: what the references of attention and attention_varlen share. */
#ifndef CLATTN_REFERENCE_ATTENTION_H
#define CLATTN_REFERENCE_ATTENTION_H

#include "philox.h"
#include "reference.h"

/* The sizes, the row at hand and where its results go. */
typedef struct ref_attention_row {
    const clattn_attention_args *a;
    int64_t b, h, i, heads, kv_heads, queries, keys, past, depth, value_depth;
    int64_t length, first, last; /* keys first..last-1 are in the window */
    int64_t pair;                /* dropout's index of the row's first key */
    double scale;
    double *out, *lse; /* of this row; NULL when not asked for */
} ref_attention_row;

void clattn_ref_attend(ref_attention_row *r, clattn_bounds *bounds);

#endif
