/* The .cl files, embedded by Meson (cl/embed.py) with their includes resolved. */
#ifndef CLATTN_DEVICE_SOURCE_H
#define CLATTN_DEVICE_SOURCE_H

#include <stddef.h>

typedef struct clattn_source {
    const char *name;
    const unsigned char *text;
    size_t size;
} clattn_source;

extern const clattn_source clattn_sources[];
extern const size_t clattn_source_count;

#endif
