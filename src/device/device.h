/* The device level as the levels above see it: no OpenCL type appears here. */
#ifndef CLATTN_DEVICE_DEVICE_H
#define CLATTN_DEVICE_DEVICE_H

#include <clattn/tensor.h>

/* ---- Messages ---- */

/* Keeps the message and returns `status`. */
clattn_status clattn_fail(clattn_context *context, clattn_status status, const char *format, ...) CLATTN_PRINTF(3, 4);
/* "scale * " -> puts `prefix` before the message kept (which operation failed). */
void clattn_prefix_message(clattn_context *context, const char *prefix);
void clattn_log(clattn_context *context, clattn_log_level level, const char *format, ...) CLATTN_PRINTF(3, 4);

/* ---- Checks of variants ---- */

/* Until the end the context works on a queue and with idle memory of its own; the message kept stays as it is. NULL: not
 * possible. Buffers made in between are freed in between. Ends in reverse order when nested. */
typedef struct clattn_aside clattn_aside;
clattn_aside *clattn_aside_begin(clattn_context *context);
void clattn_aside_end(clattn_context *context, clattn_aside *aside);
/* Whether a check of that name has passed before with these examples (a NULL-terminated list), this device as it is masked,
 * its driver and these kernels; kept in the cache. */
bool clattn_verdict_known(clattn_context *context, const char *name, const char *const *examples);
void clattn_verdict_keep(clattn_context *context, const char *name, const char *const *examples);
/* A list of items that each begin with a pointer to the next and are freed with the context. */
void **clattn_context_checks(clattn_context *context);
/* Whether variants are to be checked. */
bool clattn_context_checked(const clattn_context *context);

/* ---- What the operations keep with a context about tuning ---- */

typedef struct clattn_tuning_state {
    bool off;       /* no database is read */
    bool read;      /* they have been */
    bool named;     /* `file` was asked for: that it does not exist is worth a warning */
    char *file;     /* the user's own database; NULL: none. Freed with the context, as what follows */
    void *settings; /* a list, as clattn_context_checks; so is `forced`, which has one item or none */
    void *forced;
} clattn_tuning_state;

clattn_tuning_state *clattn_context_tuning(clattn_context *context);
/* 16 hexadecimal digits over the kernels of cl/NAME.cl for each of the words of `names`. */
void clattn_kernels_digest(const char *names, char text[17]);

/* ---- Buffers: pooled device memory, counted references ---- */

clattn_status clattn_buffer_new(clattn_context *context, size_t size, clattn_buffer **buffer);
clattn_buffer *clattn_buffer_retain(clattn_buffer *buffer);
/* The memory goes back to the pool at once: whoever gets it next enqueues after the work that still uses it. */
void clattn_buffer_release(clattn_buffer *buffer);
size_t clattn_buffer_size(const clattn_buffer *buffer);
bool clattn_buffer_frozen(const clattn_buffer *buffer);
clattn_context *clattn_buffer_context(const clattn_buffer *buffer);
/* Whether both lie in the same memory (one cl_mem wrapped twice, sub-buffers of one); *distance = b's start - a's, in bytes. */
bool clattn_buffer_same_memory(const clattn_buffer *a, const clattn_buffer *b, int64_t *distance);
/* Host memory posing as a buffer, for the reference: `values` belong to the caller. NULL without memory. */
clattn_buffer *clattn_buffer_host(double *values);
double *clattn_buffer_host_values(const clattn_buffer *buffer);

/* The packed form of a frozen buffer kept under `key` (which names layout, offset and sizes); NULL if there is none. */
clattn_buffer *clattn_buffer_packed(const clattn_buffer *buffer, const char *key);
/* Keeps `packed` (takes a reference) with `buffer` until it is thawed or freed. */
clattn_status clattn_buffer_keep_packed(clattn_buffer *buffer, const char *key, clattn_buffer *packed);
/* Drops a packed form that was never filled. */
void clattn_buffer_forget_packed(clattn_buffer *buffer, const clattn_buffer *packed);

/* Elements from a tensor's first to its last one in memory; 0 when it is empty, -1 for negative sizes or strides and for a
 * count or reach near the end of 64 bits. */
int64_t clattn_tensor_span(const clattn_tensor *tensor);

/* ---- Launching ---- */

/* A CPU whose vector registers hold 128 floats (16 of AVX2's, 32 of NEON's) instead of AVX-512's 512: kernels are built with
 * -DFEW_REGISTERS. */
bool clattn_few_registers(const clattn_device_info *info);

typedef enum clattn_arg_kind { CLATTN_ARG_BUFFER, CLATTN_ARG_I32, CLATTN_ARG_I64, CLATTN_ARG_I64X4, CLATTN_ARG_I64X8, CLATTN_ARG_F32, CLATTN_ARG_LOCAL } clattn_arg_kind;

/* A buffer becomes two kernel arguments: the pointer (NULL when absent) and a `long` offset in elements. */
typedef struct clattn_arg {
    clattn_arg_kind kind;
    union {
        struct {
            clattn_buffer *buffer;
            int64_t offset;
        } memory;
        int32_t i32;
        int64_t i64[8];
        float f32;
        size_t local_bytes;
    } as;
} clattn_arg;

typedef struct clattn_launch_info {
    const char *source;  /* the .cl file's name without suffix */
    const char *kernel;  /* compiled with -DKERNEL_<kernel>, so that a program holds the kernels it needs only */
    const char *options; /* further build options: what is not a length */
    int dimensions;
    size_t global[3]; /* in work-items; rounded up to the local size */
    size_t local[3];  /* local[0] = 0: clattn chooses; the kernel then compares its id with a count */
    const clattn_arg *args;
    size_t arg_count;
} clattn_launch_info;

/* The most work-items of a group of that kernel; it is built if need be. */
clattn_status clattn_kernel_items(clattn_context *context, const char *source, const char *kernel, const char *options, size_t *items);

/* Keeps the kernels built so far in the cache, also where that is left to clattn_close because it takes long. */
void clattn_kernels_keep(clattn_context *context);

/* Enqueues; a global size of 0 does nothing. */
clattn_status clattn_launch(clattn_context *context, const clattn_launch_info *info);

clattn_status clattn_enqueue_read(clattn_context *context, const clattn_buffer *buffer, size_t offset, size_t size, void *host);
clattn_status clattn_enqueue_write(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, const void *host);
clattn_status clattn_enqueue_fill(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, unsigned char value);

#endif
