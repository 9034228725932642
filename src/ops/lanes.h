/* Rows shared among the items of work-groups (cl/lanes.cl): how many items, and what each keeps of its row. */
#ifndef CLATTN_OPS_LANES_H
#define CLATTN_OPS_LANES_H

#include "op.h"

typedef struct clattn_lanes {
    size_t items;      /* of a work-group: a power of two */
    int lanes;         /* of them to a row: a power of two */
    size_t groups;     /* for all rows */
    char options[160]; /* the kernel's */
} clattn_lanes;

/* Why rows cannot be shared so; NULL when they can. */
const char *clattn_lanes_refusal(const clattn_call *call, int64_t rows, int64_t length, bool subgroups);

/* Chooses for a kernel: within the device's limits and the kernel's own. `holds`: the kernel keeps a row in registers where its
 * options say -DHELD=n, else reads it again. */
clattn_status clattn_lanes_choose(clattn_call *call, const char *source, const char *kernel, const char *options, int64_t rows, int64_t length, bool holds, bool subgroups, clattn_lanes *lanes);

#endif
