/* Shared by the files of src/device only. */
#ifndef CLATTN_DEVICE_INTERNAL_H
#define CLATTN_DEVICE_INTERNAL_H

#include <clattn/opencl.h>

#include "device.h"

/* One kernel of one variant: source, kernel name and options make its key. */
typedef struct clattn_program {
    struct clattn_program *next;
    uint64_t hash;
    char *source, *kernel_name, *options;
    cl_program program;
    cl_kernel kernel;
    size_t max_work_group;
    cl_ulong local_memory; /* of the kernel's own __local variables, in bytes */
    bool launched; /* the driver has compiled it to the end: now its binary is worth saving */
    bool unsaved;
} clattn_program;

typedef struct clattn_packed_form {
    struct clattn_packed_form *next;
    char *key;
    clattn_buffer *buffer;
} clattn_packed_form;

struct clattn_buffer {
    clattn_context *context;
    clattn_buffer *next, *previous; /* in the context's list of idle buffers or of those in use */
    cl_mem memory;
    cl_mem root; /* the memory a sub-buffer is cut from, else `memory`; with root_offset in bytes it tells what overlaps */
    size_t root_offset;
    size_t size;
    int references;
    bool borrowed, frozen;
    clattn_packed_form *packed;
    double *host;
};

struct clattn_context {
    clattn_device_info info;
    cl_context context;
    cl_device_id device;
    cl_command_queue queue;
    bool out_of_order;
    bool opened;
    bool owned; /* the cl_context is clattn's own */
    bool counted; /* among those that must not launch while another asks for binaries */
    bool gemm_used;
    cl_event last; /* clattn's previous command, where its event is known: out-of-order queues, clattn_queue_watches */
    cl_event *pending;
    cl_uint pending_count;
    clattn_program *programs;
    clattn_buffer *idle, *used;
    size_t idle_bytes;
    char *cache_directory; /* NULL: no cache */
    uint64_t cache_limit;
    bool cache_warned;
    bool profiling; /* the queue keeps times */
    clattn_trace_fn trace;
    void *trace_user;
    bool self_check;
    bool aside; /* on a queue of its own for a while: what the application's queue launched may not have run */
    void *checks; /* a list of the operations: clattn_context_checks */
    clattn_tuning_state tuning;
    clattn_log_fn log;
    void *log_user;
    cl_int driver_error;
    char message[2048];
};

/* A raw driver result does not go further unwrapped. */
clattn_status clattn_fail_driver(clattn_context *context, cl_int error, const char *call);
const char *clattn_driver_error_name(cl_int error);

#define CL_TRY(context, call, name)                                                                                    \
    do {                                                                                                               \
        const cl_int cl_try_error = (call);                                                                            \
        if (cl_try_error != CL_SUCCESS) return clattn_fail_driver((context), cl_try_error, (name));                    \
    } while (0)

/* devices.c */
clattn_status clattn_device_choose(clattn_context *context, const char *spec, cl_device_id *device);
void clattn_device_describe(cl_device_id device, clattn_device_info *info);

/* pages.c: before the buffer's memory is touched. */
void clattn_pages_enlarge(const clattn_context *context, cl_mem memory, size_t size);

/* caps.c: masks context->info by `text` (NULL: the environment's CLATTN_CAPS). */
clattn_status clattn_caps_apply(clattn_context *context, const char *text);

/* context.c */
bool clattn_context_on_pocl(const clattn_context *context);
/* False when another context of the process may launch kernels on a driver that must not be asked for binaries meanwhile. Once
 * true, no other opens until the release. */
bool clattn_context_hold_alone(const clattn_context *context);
void clattn_context_release_alone(const clattn_context *context);

/* program.c */
clattn_status clattn_program_get(clattn_context *context, const char *source, const char *kernel, const char *options, clattn_program **program);
void clattn_programs_save(clattn_context *context);
/* The same where asking for binaries costs little: at every wait, so that a process that is killed has saved. */
void clattn_programs_save_early(clattn_context *context);
void clattn_programs_free(clattn_context *context);

/* cache.c: entries are verified before any byte reaches a driver. */
char *clattn_cache_directory(const char *directory);
/* The path of the user's database of settings in new memory: `named`, else a file in the cache's directory; NULL: none. */
char *clattn_tuning_file(const char *named, const char *cache_directory);
/* Text that says everything a binary depends on. Free it. NULL without memory. */
char *clattn_cache_key(const clattn_context *context, const char *text, size_t length, const char *kernel, const char *options);
unsigned char *clattn_cache_load(clattn_context *context, const char *key, size_t *size);
void clattn_cache_store(clattn_context *context, const char *key, const unsigned char *binary, size_t size);

/* What a file of the cache is; of a valid one its key in new memory, else `*key` is NULL. */
clattn_cache_state clattn_cache_inspect(const char *path, char **key);
/* Removes the least recently used entries above the limit. */
void clattn_cache_trim(const clattn_context *context);

/* trace.c: tells the context's trace of a launch; `event` NULL when the queue keeps no times. */
void clattn_trace_tell(clattn_context *context, const clattn_program *program, const clattn_launch_info *info, const size_t *global, const size_t *local, cl_event event);

/* launch.c */
#define CLATTN_MAX_WAITS 64
/* The events the next command has to wait for, and where its own event goes (NULL: not needed). */
cl_uint clattn_queue_wait_list(clattn_context *context, cl_event *list, cl_uint capacity);
void clattn_queue_advance(clattn_context *context, cl_event event);
/* Keeps the message for a command that was not enqueued; what can never be waited for is dropped. */
clattn_status clattn_queue_fail(clattn_context *context, cl_int error, const char *call);

/* wait.c */
/* Whether the events of launches are kept for clattn_queue_watch. */
bool clattn_queue_watches(const clattn_context *context);
/* Before a call that waits: until the last command has ended, or it pays no longer to look. */
void clattn_queue_watch(const clattn_context *context);

/* buffer.c */
/* A buffer of the context around `memory`, with one reference; NULL without memory. */
clattn_buffer *clattn_buffer_around(clattn_context *context, cl_mem memory, size_t size);
void clattn_buffers_trim(clattn_context *context);
/* Cuts the buffers still in use off from a context that is about to go, so that freeing their tensors late does no harm. */
void clattn_buffers_orphan(clattn_context *context);

#endif
