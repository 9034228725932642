#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE /* madvise */
#include "system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

double clattn_system_seconds(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now)) return 0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void clattn_system_yield(void) {
    sched_yield();
}

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;

void clattn_system_lock(void) {
    pthread_mutex_lock(&process_lock);
}

void clattn_system_unlock(void) {
    pthread_mutex_unlock(&process_lock);
}

const char *clattn_system_environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

bool clattn_system_make_directories(const char *path) {
    char part[4096];
    const size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return false;
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) && errno != EEXIST) return false;
    }
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

unsigned char *clattn_system_read_file(const char *path, size_t limit, size_t *size) {
    struct stat status;
    if (stat(path, &status) || !S_ISREG(status.st_mode)) return NULL; /* opening a FIFO would wait */
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    /* Of what was opened: another writer may have put a new file in its place since. */
    unsigned char *data = NULL;
    if (fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= 0 && (unsigned long long)status.st_size <= limit) {
        *size = (size_t)status.st_size;
        data = malloc(*size ? *size : 1);
    }
    if (data && fread(data, 1, *size, file) != *size) {
        free(data);
        data = NULL;
    }
    fclose(file);
    return data;
}

static bool write_parts(int descriptor, const void *const *parts, const size_t *sizes, size_t count) {
    FILE *file = fdopen(descriptor, "wb");
    if (!file) {
        close(descriptor);
        return false;
    }
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) ok = fwrite(parts[i], 1, sizes[i], file) == sizes[i];
    return (fclose(file) == 0) && ok;
}

bool clattn_system_write_file(const char *path, const void *const *parts, const size_t *sizes, size_t count) {
    char temporary[4096];
    const int length = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (length < 0 || (size_t)length >= sizeof temporary) return false;
    const int descriptor = mkstemp(temporary);
    if (descriptor < 0) return false;
    if (write_parts(descriptor, parts, sizes, count) && rename(temporary, path) == 0) return true;
    unlink(temporary);
    return false;
}

/* ---- Directories ---- */

/* A lock on the directory itself leaves no file behind. */
int clattn_system_lock_directory(const char *path) {
    char directory[4096];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory) return -1;
    memcpy(directory, path, length);
    directory[length] = '\0';
    const int lock = open(slash ? length ? directory : "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; lock >= 0 && flock(lock, LOCK_EX | LOCK_NB); tries++) {
        if (errno != EWOULDBLOCK || tries == 500) return close(lock), -1;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return lock;
}

void clattn_system_unlock_directory(int lock) {
    if (lock >= 0) close(lock);
}

static long long nanoseconds(struct timespec t) {
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool add_file(clattn_system_file **files, size_t *count, const char *name, const struct stat *status) {
    clattn_system_file *grown = realloc(*files, (*count + 1) * sizeof *grown);
    if (!grown) return false;
    *files = grown;
    const size_t size = strlen(name) + 1;
    char *copy = malloc(size);
    if (!copy) return false;
    memcpy(copy, name, size);
    grown[(*count)++] = (clattn_system_file){ .name = copy, .size = (unsigned long long)status->st_size, .modified = nanoseconds(status->st_mtim) };
    return true;
}

int clattn_system_list(const char *directory, clattn_system_file **files, size_t *count) {
    *files = NULL;
    *count = 0;
    DIR *stream = opendir(directory);
    if (!stream) return errno;
    const int descriptor = dirfd(stream);
    struct stat status;
    bool complete = true;
    for (struct dirent *entry; complete && (entry = readdir(stream));)
        if (fstatat(descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)) complete = add_file(files, count, entry->d_name, &status);
    closedir(stream);
    if (complete) return 0;
    clattn_system_free_files(*files, *count);
    *files = NULL;
    *count = 0;
    return ENOMEM;
}

void clattn_system_free_files(clattn_system_file *files, size_t count) {
    for (size_t i = 0; i < count; i++) free(files[i].name);
    free(files);
}

bool clattn_system_remove(const char *path) {
    return unlink(path) == 0 || errno == ENOENT;
}

void clattn_system_touch(const char *path) {
    utimensat(AT_FDCWD, path, NULL, 0);
}

long long clattn_system_now(void) {
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME, &now) ? 0 : nanoseconds(now);
}

void clattn_system_utc(char text[24]) {
    const time_t now = (time_t)(clattn_system_now() / 1000000000);
    struct tm parts;
    if (!gmtime_r(&now, &parts) || !strftime(text, 24, "%Y-%m-%dT%H:%M:%SZ", &parts)) *text = '\0';
}

bool clattn_system_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool clattn_system_is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool clattn_system_is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The path, or the nearest parent that exists; false when it is too long. */
static bool existing_part(const char *path, char *part, size_t size) {
    if (strlen(path) >= size) return false;
    snprintf(part, size, "%s", path);
    while (access(part, F_OK) != 0) {
        char *slash = strrchr(part, '/');
        if (!slash || slash == part) snprintf(part, size, "%s", slash ? "/" : ".");
        else *slash = '\0';
    }
    return true;
}

bool clattn_system_can_make(const char *path) {
    char part[4096];
    return existing_part(path, part, sizeof part) && clattn_system_is_directory(part) && access(part, W_OK | X_OK) == 0;
}

bool clattn_system_room(const char *path, uint64_t *bytes) {
    char part[4096];
    struct statvfs room;
    if (!existing_part(path, part, sizeof part) || statvfs(part, &room)) return false;
    *bytes = (uint64_t)room.f_bavail * room.f_frsize;
    return true;
}

void clattn_system_enlarge_pages(void *memory, size_t size) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)memory + page - 1) / page * page, end = ((uintptr_t)memory + size) / page * page;
    if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
    (void)memory, (void)size;
#endif
}
