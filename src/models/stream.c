/* Byte streams under the file formats: sources that are read, sinks that are complete or absent. The calls that C11
 * lacks are all in the first part of this file. */
#if !defined(_WIN32)
#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64
#endif

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file_internal.h"

#if defined(_WIN32)
#include <io.h>
#define stat _stat64
#define fstat _fstat64
#define fileno _fileno
#define fseeko _fseeki64
#define S_ISREG(mode) (((mode)&_S_IFMT) == _S_IFREG)
#define off_t int64_t
static bool writable(const char *path) { return _access(path, 2) == 0; }
static char *follow_links(const char *path) { return _fullpath(NULL, path, 0); }
#else
#include <sys/types.h>
#include <unistd.h>
static bool writable(const char *path) { return access(path, W_OK) == 0; }
static char *follow_links(const char *path) { return realpath(path, NULL); }
#endif

/* Bytes of a regular file, or -1. */
static int64_t regular_size(FILE *stream) {
    struct stat info;
    if (fstat(fileno(stream), &info) != 0 || !S_ISREG(info.st_mode)) return -1;
    return (int64_t)info.st_size;
}

static bool seek_forward(FILE *stream, int64_t bytes) { return fseeko(stream, (off_t)bytes, SEEK_CUR) == 0; }

typedef enum path_kind { PATH_ABSENT, PATH_REGULAR, PATH_OTHER } path_kind;

static path_kind kind_of_path(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0) return PATH_ABSENT;
    return S_ISREG(info.st_mode) ? PATH_REGULAR : PATH_OTHER;
}

static bool replace_file(const char *from, const char *to) {
#if defined(_WIN32)
    remove(to); /* rename does not replace there */
#endif
    return rename(from, to) == 0;
}

/* ------------------------------------------------------------------------------------------------------ reports --- */

file_report clattn_file_report(const char *name, char *message, size_t size) {
    if (message && size) message[0] = '\0';
    return (file_report){ .name = name, .message = message, .size = message ? size : 0 };
}

/* Length of the UTF-8 character at text, 0 when it is none (overlong forms and surrogates included). */
static size_t utf8_length(const unsigned char *text) {
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc0 ? 2 : 0;
    if (length <= 1) return length;
    uint32_t value = text[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (text[i] & 0x3fu);
    }
    if (text[0] > 0xf4 || value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    return value < 0xa0 ? 0 : length; /* C1 controls steer terminals too */
}

/* Names come from files that may be hostile; a message goes to a terminal or a log. */
static void make_printable(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at;) {
        size_t length = utf8_length(at);
        if (length == 0 || *at < 0x20 || *at == 0x7f) *at = '?', length = 1;
        at += length;
    }
}

clattn_status clattn_file_fail(const file_report *report, clattn_status status, const char *format, ...) {
    if (report->size == 0) return status;
    size_t used = 0;
    if (report->name) {
        int length = snprintf(report->message, report->size, "%s: ", report->name);
        if (length > 0) used = (size_t)length < report->size ? (size_t)length : report->size - 1;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->message + used, report->size - used, format, arguments);
    va_end(arguments);
    make_printable(report->message);
    return status;
}

clattn_status clattn_file_no_memory(const file_report *report, uint64_t bytes) {
    return clattn_file_fail(report, CLATTN_ERROR_OUT_OF_MEMORY, "no memory for %llu bytes", (unsigned long long)bytes);
}

void clattn_file_list_add(file_list *list, const char *name) {
    enum { most_names = 8, longest_name = 60, ellipsis = 6 };
    if (list->names > most_names) return;
    bool full = list->names == most_names || list->used + longest_name + ellipsis >= sizeof list->text;
    int length = full ? snprintf(list->text + list->used, sizeof list->text - list->used, ", ...")
                      : snprintf(list->text + list->used, sizeof list->text - list->used, "%s%.*s",
                                 list->names ? ", " : "", (int)longest_name - 3, name);
    if (length > 0) list->used += (size_t)length;
    list->names = full ? most_names + 1 : list->names + 1;
}

/* ------------------------------------------------------------------------------------------------------ sources --- */

static size_t read_stream(file_source *source, void *buffer, size_t size) {
    FILE *stream = source->handle;
    errno = 0;
    size_t got = fread(buffer, 1, size, stream);
    if (got < size && ferror(stream)) source->failed = errno ? strerror(errno) : "read error";
    return got;
}

static bool skip_stream(file_source *source, int64_t bytes) { return seek_forward(source->handle, bytes); }

clattn_status clattn_file_open(file_source *source, const file_report *report) {
    *source = (file_source){ .left = -1, .read = read_stream };
    errno = 0;
    FILE *stream = fopen(report->name, "rb");
    if (!stream) return clattn_file_fail(report, CLATTN_ERROR_FILE, "%s", errno ? strerror(errno) : "cannot be opened");
    source->handle = stream;
    source->left = regular_size(stream);
    if (source->left >= 0) source->skip = skip_stream;
    return CLATTN_OK;
}

void clattn_file_close(file_source *source) {
    if (source->handle) fclose(source->handle);
    *source = (file_source){ 0 };
}

static size_t read_memory(file_source *source, void *buffer, size_t size) {
    size_t got = (uint64_t)source->left < size ? (size_t)source->left : size;
    if (got) memcpy(buffer, source->handle, got);
    source->handle = (unsigned char *)source->handle + got;
    return got;
}

void clattn_file_from_memory(file_source *source, const void *memory, size_t size) {
    /* the source never writes; handle is not const because other sources need theirs changed */
    union { const void *from; void *to; } unqualified = { .from = memory };
    *source = (file_source){ .handle = unqualified.to, .left = (int64_t)size, .read = read_memory };
}

static clattn_status read_failure(const file_source *source, const file_report *report) {
    clattn_status status = source->failed_status ? source->failed_status : CLATTN_ERROR_FILE;
    return clattn_file_fail(report, status, "%s", source->failed);
}

static clattn_status too_short(const file_source *source, const char *what, uint64_t needed, uint64_t there,
                               const file_report *report) {
    if (source->failed) return read_failure(source, report);
    return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "ends too early: %s needs %llu bytes, %llu are there", what,
                            (unsigned long long)needed, (unsigned long long)there);
}

static size_t read_some(file_source *source, void *buffer, size_t size) {
    size_t got = size ? source->read(source, buffer, size) : 0;
    if (source->left >= 0) source->left -= (uint64_t)source->left < got ? source->left : (int64_t)got;
    return got;
}

clattn_status clattn_file_read(file_source *source, void *buffer, size_t size, const char *what,
                               const file_report *report) {
    size_t got = read_some(source, buffer, size);
    return got == size ? CLATTN_OK : too_short(source, what, size, got, report);
}

clattn_status clattn_file_read_new(file_source *source, void **data, size_t size, const char *what,
                                   const file_report *report) {
    const size_t first = (size_t)1 << 20;
    *data = NULL;
    if (source->left >= 0 && size > (uint64_t)source->left)
        return too_short(source, what, size, (uint64_t)source->left, report);
    size_t held = 0;
    unsigned char *memory = NULL;
    do {
        size_t wanted = held == 0 ? first : held <= size / 2 ? 2 * held : size;
        if (wanted > size) wanted = size;
        unsigned char *larger = realloc(memory, wanted ? wanted : 1);
        if (!larger) {
            free(memory);
            return clattn_file_no_memory(report, wanted);
        }
        memory = larger;
        size_t got = read_some(source, memory + held, wanted - held);
        if (got < wanted - held) {
            free(memory);
            return too_short(source, what, size, held + got, report);
        }
        held = wanted;
    } while (held < size);
    *data = memory;
    return CLATTN_OK;
}

clattn_status clattn_file_skip(file_source *source, int64_t bytes, const file_report *report) {
    if (source->left >= 0 && bytes > source->left)
        return too_short(source, "the data before it", (uint64_t)bytes, (uint64_t)source->left, report);
    if (source->skip) {
        if (!source->skip(source, bytes)) return clattn_file_fail(report, CLATTN_ERROR_FILE, "cannot seek");
        source->left -= bytes;
        return CLATTN_OK;
    }
    clattn_status status = CLATTN_OK;
    unsigned char dropped[4096];
    for (int64_t left = bytes; left > 0 && !status;) {
        size_t some = (uint64_t)left < sizeof dropped ? (size_t)left : sizeof dropped;
        status = clattn_file_read(source, dropped, some, "the data before it", report);
        left -= (int64_t)some;
    }
    return status;
}

clattn_status clattn_file_expect_end(file_source *source, const file_report *report) {
    unsigned char extra;
    if (read_some(source, &extra, 1) == 1)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "more bytes follow after the end of the array data");
    if (source->failed) return read_failure(source, report);
    return CLATTN_OK;
}

/* -------------------------------------------------------------------------------------------------------- sinks --- */

static clattn_status system_failure(const file_report *report, const char *what) {
    clattn_status status = errno == ENOMEM ? CLATTN_ERROR_OUT_OF_MEMORY : CLATTN_ERROR_FILE;
    return clattn_file_fail(report, status, "%s: %s", what, errno ? strerror(errno) : "unknown cause");
}

static char *copy_text(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy) memcpy(copy, text, size);
    else errno = ENOMEM; /* C11's malloc need not say so */
    return copy;
}

/* Exclusive creation makes the name ours, whoever else writes beside it; a few may be left over from killed runs. */
static FILE *create_beside(const char *target, char **temporary) {
    size_t size = strlen(target) + 16;
    *temporary = malloc(size);
    if (!*temporary) {
        errno = ENOMEM;
        return NULL;
    }
    for (int attempt = 0; attempt < 1000; attempt++) {
        snprintf(*temporary, size, "%s.tmp%d", target, attempt);
        errno = 0;
        FILE *stream = fopen(*temporary, "wbx");
        if (stream) return stream;
        if (errno != EEXIST) break;
    }
    free(*temporary);
    *temporary = NULL;
    return NULL;
}

static void free_sink(file_sink *sink) {
    free(sink->temporary);
    free(sink->target);
    *sink = (file_sink){ 0 };
}

clattn_status clattn_file_sink_open(file_sink *sink, const file_report *report) {
    *sink = (file_sink){ 0 };
    path_kind kind = kind_of_path(report->name);
    errno = 0;
    if (kind != PATH_ABSENT && !writable(report->name)) return system_failure(report, "cannot be written");
    /* renaming over a link or a device would put a file in its place */
    sink->target = kind == PATH_REGULAR ? follow_links(report->name) : copy_text(report->name);
    if (!sink->target) return system_failure(report, "cannot be written");
    errno = 0;
    sink->stream = kind == PATH_OTHER ? fopen(sink->target, "wb") : create_beside(sink->target, &sink->temporary);
    if (sink->stream) return CLATTN_OK;
    clattn_status status = system_failure(report, "cannot be written");
    free_sink(sink);
    return status;
}

clattn_status clattn_file_write(file_sink *sink, const void *data, size_t size, const file_report *report) {
    errno = 0;
    if (size == 0 || fwrite(data, 1, size, sink->stream) == size) return CLATTN_OK;
    return system_failure(report, "cannot be written");
}

clattn_status clattn_file_sink_close(file_sink *sink, clattn_status status, const file_report *report) {
    if (!sink->stream) return status;
    errno = 0;
    /* a full disk may show only here */
    bool written = fflush(sink->stream) == 0 && !ferror(sink->stream);
    int cause = errno;
    written = fclose(sink->stream) == 0 && written;
    if (!status && !written) {
        errno = cause ? cause : errno;
        status = system_failure(report, "cannot be written");
    }
    errno = 0;
    if (!status && sink->temporary && !replace_file(sink->temporary, sink->target))
        status = system_failure(report, "cannot be put in place");
    if (status && sink->temporary) remove(sink->temporary);
    free_sink(sink);
    return status;
}
