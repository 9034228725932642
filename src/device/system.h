/* The operating system behind one small file: files, directories, time. Nothing else in the library calls it directly. */
#ifndef CLATTN_DEVICE_SYSTEM_H
#define CLATTN_DEVICE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds on a clock that only goes forward. */
double clattn_system_seconds(void);

/* Lets another thread have this core, if one wants it. */
void clattn_system_yield(void);

/* One lock of the whole process. */
void clattn_system_lock(void);
void clattn_system_unlock(void);

/* The value of an environment variable; NULL if unset or empty. */
const char *clattn_system_environment(const char *name);

/* Creates a directory and its parents (mode 0700). True when it exists afterwards. */
bool clattn_system_make_directories(const char *path);

/* The whole file in new memory (free it), or NULL: it does not exist, is longer than `limit`, or cannot be read. */
unsigned char *clattn_system_read_file(const char *path, size_t limit, size_t *size);

/* Writes through a temporary file beside `path` and renames it: other processes see the old file or the new one, never
 * a part. False on any failure; nothing is left behind then. */
bool clattn_system_write_file(const char *path, const void *const *parts, const size_t *sizes, size_t count);

/* Keeps other processes that ask the same out of the directory that holds `path`, until it is given back; waits for them, but
 * not for ever. Negative where there are no such locks: the work goes on without. */
int clattn_system_lock_directory(const char *path);
void clattn_system_unlock_directory(int lock);

/* One file of a directory. */
typedef struct clattn_system_file {
    char *name;
    unsigned long long size;
    long long modified; /* nanoseconds since 1970 */
} clattn_system_file;

/* The regular files of a directory in any order, in new memory (clattn_system_free_files): 0 done, else errno. */
int clattn_system_list(const char *directory, clattn_system_file **files, size_t *count);
void clattn_system_free_files(clattn_system_file *files, size_t count);

bool clattn_system_exists(const char *path);
bool clattn_system_is_directory(const char *path);
bool clattn_system_is_file(const char *path);
/* Whether files can be made in this directory, or in the nearest parent that exists. */
bool clattn_system_can_make(const char *path);
/* Bytes that can still be written there, or in the nearest parent that exists; false when that cannot be told. */
bool clattn_system_room(const char *path, uint64_t *bytes);
/* True when it is gone afterwards. */
bool clattn_system_remove(const char *path);
/* Sets the time of last change to now, where that is allowed. */
void clattn_system_touch(const char *path);
/* Nanoseconds since 1970, for comparison with clattn_system_file. */
long long clattn_system_now(void);
/* The same as text, in UTC: "2026-11-28T15:48:03Z". */
void clattn_system_utc(char text[24]);
/* A hint that the memory, not touched yet, may be made of large pages. */
void clattn_system_enlarge_pages(void *memory, size_t size);

#endif
