/* What the file formats share: reports, byte streams, the checks that every format makes. */
#ifndef CLATTN_MODELS_FILE_INTERNAL_H
#define CLATTN_MODELS_FILE_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "clattn/file.h"

/* Where a failure is told: "name: cause". name NULL: the cause alone. */
typedef struct file_report {
    const char *name;
    char *message;
    size_t size;
} file_report;

/* An empty message; failures overwrite it. */
file_report clattn_file_report(const char *name, char *message, size_t size);

/* Formats "name: cause" into the report, made printable, and returns status. */
CLATTN_PRINTF(3, 4)
clattn_status clattn_file_fail(const file_report *report, clattn_status status, const char *format, ...);

clattn_status clattn_file_no_memory(const file_report *report, uint64_t bytes);

/* Bytes in order, from a file, an archive member or memory, so that each parser is written once. */
typedef struct file_source file_source;
struct file_source {
    void *handle;
    int64_t left;                                               /* bytes not yet read; -1 when unknown (a pipe) */
    size_t (*read)(file_source *, void *buffer, size_t size);   /* fewer than size: the end, or failed is set */
    bool (*skip)(file_source *, int64_t bytes);                 /* may be NULL: then bytes are read and dropped */
    const char *failed;                                         /* cause of a read failure; static or the handle's */
    clattn_status failed_status;                                /* what that is: OK stands for CLATTN_ERROR_FILE */
};

/* Opens a file for reading; close it with clattn_file_close, which accepts a source that did not open. */
clattn_status clattn_file_open(file_source *source, const file_report *report);
void clattn_file_close(file_source *source);
/* memory must outlive the source; nothing to close. */
void clattn_file_from_memory(file_source *source, const void *memory, size_t size);

/* Reads exactly size bytes; what names them in the message. */
clattn_status clattn_file_read(file_source *source, void *buffer, size_t size, const char *what,
                               const file_report *report);
/* The same into new memory (free), which grows with what arrives: a size that lies costs no more than is there. */
clattn_status clattn_file_read_new(file_source *source, void **data, size_t size, const char *what,
                                   const file_report *report);
clattn_status clattn_file_skip(file_source *source, int64_t bytes, const file_report *report);
/* FORMAT unless the source ends here. Also makes libzip verify the checksum of a member. */
clattn_status clattn_file_expect_end(file_source *source, const file_report *report);

/* A file that is complete or absent. */
typedef struct file_sink {
    FILE *stream;
    char *target;    /* where links lead to */
    char *temporary; /* NULL: written directly */
} file_sink;

clattn_status clattn_file_sink_open(file_sink *sink, const file_report *report);
clattn_status clattn_file_write(file_sink *sink, const void *data, size_t size, const file_report *report);
/* status is that of the writing: on failure the temporary is removed and status returned. */
clattn_status clattn_file_sink_close(file_sink *sink, clattn_status status, const file_report *report);

bool clattn_file_is_little_endian(void);
void clattn_file_swap_bytes(void *data, size_t element_size, size_t count);

/* Bytes of an array; false when they, or the product of the lengths that are not 0, pass what memory can address.
 * Lengths must not be negative. */
bool clattn_file_count_bytes(const int64_t *shape, int rank, size_t element_size, size_t *bytes);

/* Appends ", name" to a list of names, and "..." once when it is full. Zero-initialise; quoting is the caller's. */
typedef struct file_list {
    char text[400];
    size_t used, names;
} file_list;
void clattn_file_list_add(file_list *list, const char *name);

/* The formats. */
clattn_status clattn_file_read_npy(clattn_array *array, file_source *source, const file_report *report);
/* member NULL or "": fails with the list of members. */
clattn_status clattn_file_read_npz(clattn_array *array, const char *member, const file_report *report);
clattn_status clattn_file_read_safetensors(clattn_array *array, const char *tensor, const file_report *report);
/* The parser behind clattn_weights_open, on any source. */
clattn_status clattn_file_read_weights(clattn_weights **weights, file_source *source, const file_report *report);

#endif
