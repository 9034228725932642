/* The operating system behind one small file: files, directories, time. Nothing else in the library calls it directly. */
#ifndef CLATTN_DEVICE_SYSTEM_H
#define CLATTN_DEVICE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* Seconds on a clock that only goes forward. */
double clattn_system_seconds(void);

/* The value of an environment variable; NULL if unset or empty. */
const char *clattn_system_environment(const char *name);

/* Creates a directory and its parents (mode 0700). True when it exists afterwards. */
bool clattn_system_make_directories(const char *path);

/* The whole file in new memory (free it), or NULL: it does not exist, is longer than `limit`, or cannot be read. */
unsigned char *clattn_system_read_file(const char *path, size_t limit, size_t *size);

/* Writes through a temporary file beside `path` and renames it: other processes see the old file or the new one, never
 * a part. False on any failure; nothing is left behind then. */
bool clattn_system_write_file(const char *path, const void *const *parts, const size_t *sizes, size_t count);

#endif
