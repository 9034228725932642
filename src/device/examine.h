/* Shared by the two files that look for hazards. */
#ifndef CLATTN_DEVICE_EXAMINE_H
#define CLATTN_DEVICE_EXAMINE_H

#include "internal.h"

typedef struct examination {
    clattn_context *context; /* NULL: the environment */
    clattn_finding_fn finding;
    void *user;
} examination;

void clattn_examine_tell(const examination *e, clattn_finding_level level, const char *name, const char *advice, const char *format, ...) CLATTN_PRINTF(5, 6);
void clattn_examine_environment(const examination *e);

#endif
