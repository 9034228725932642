/* clattn/device.h - devices and contexts.
 *
 * A context holds one OpenCL device with its queue, the kernels built for it and a pool of device memory.
 * Thread safety: one thread uses a context (and the tensors made with it) at a time; different contexts are
 * independent of each other and may be used from different threads at once. */
#ifndef CLATTN_DEVICE_H
#define CLATTN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <clattn/log.h>
#include <clattn/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clattn_context clattn_context;
struct clattn_opencl_objects; /* clattn/opencl.h */

typedef enum clattn_device_kind { CLATTN_DEVICE_OTHER, CLATTN_DEVICE_CPU, CLATTN_DEVICE_GPU, CLATTN_DEVICE_ACCELERATOR } clattn_device_kind;

/* What a device says of itself. Sizes in bytes. */
typedef struct clattn_device_info {
    int platform_index, device_index; /* the SPEC "platform:device" */
    char name[160], vendor[160], driver[96], version[96], platform[160], platform_version[160];
    clattn_device_kind kind;
    uint32_t compute_units;
    uint64_t global_memory, max_allocation, local_memory;
    size_t max_work_group;
    bool fp16, subgroups;
    bool available; /* has a compiler and is available: clattn can use it */
} clattn_device_info;

/* Fills at most `capacity` entries of `devices` (may be NULL when it is 0) and sets `*count` to how many there are.
 * No ICD, a broken ICD and platforms without devices give CLATTN_ERROR_NO_DEVICE and a message with advice. */
CLATTN_API clattn_status clattn_device_list(clattn_device_info *devices, size_t capacity, size_t *count, char *message, size_t message_size);

/* All fields may be zero. */
typedef struct clattn_open_params {
    /* SPEC: "gpu", "cpu", "accelerator", "PLATFORM:DEVICE" by index, or a part of the device's or platform's name (any case).
     * NULL or "": the environment's CLATTN_DEVICE, else the best device (GPU before accelerator before CPU, then the most
     * compute units). The choice and its reason go to the log. */
    const char *device;
    /* The application's own objects, used instead of `device`; see clattn/opencl.h. */
    const struct clattn_opencl_objects *opencl;
    clattn_log_fn log;
    void *log_user;
    /* Directory of the kernel cache. NULL: CLATTN_CACHE_DIR, else XDG_CACHE_HOME/clattn, else HOME/.cache/clattn. */
    const char *cache_directory;
    bool no_cache;
} clattn_open_params;

/* Opens a context. `*context` is set also on failure (unless memory for it is missing), so that clattn_message tells why;
 * clattn_close frees it either way. `params` may be NULL. */
CLATTN_API clattn_status clattn_open(clattn_context **context, const clattn_open_params *params);

/* Waits for the work enqueued, frees everything the context owns and sets `*context` to NULL. Tensors made with the
 * context must be freed before. Accepts NULL and a context that failed to open. Borrowed OpenCL objects stay alive. */
CLATTN_API void clattn_close(clattn_context **context);

/* The message of the last call that failed on this context; "" if none did. Valid until the next failing call. */
CLATTN_API const char *clattn_message(const clattn_context *context);

/* The raw cl_int of the last driver error, 0 if there was none. */
CLATTN_API int clattn_driver_error(const clattn_context *context);

/* The device in use; valid as long as the context. NULL if the context failed to open. */
CLATTN_API const clattn_device_info *clattn_context_device(const clattn_context *context);

/* Waits until everything enqueued so far is complete; reports a driver error that happened meanwhile. */
CLATTN_API clattn_status clattn_finish(clattn_context *context);

/* Told before each piece of a prewarm: `done` of `total`, and what comes next. Return false to stop early (not an error). */
typedef bool (*clattn_progress_fn)(void *user, size_t done, size_t total, const char *what);

/* Builds (or loads from the cache) the kernels of the operations named, or of all when `names` is NULL, by running
 * each operation's built-in examples on scratch tensors; afterwards their first call is as fast as any other.
 * Waits. `progress` may be NULL. */
CLATTN_API clattn_status clattn_prewarm(clattn_context *context, const char *const *names, size_t count, clattn_progress_fn progress, void *user);

/* What the device does at best: chains of f32 multiply-adds (two operations each) in flop/s, and a copy's bytes read and
 * written per second. What an operation takes is at least the larger of flops / peak and bytes / peak. */
typedef struct clattn_peaks {
    double flops, copy_bytes;
} clattn_peaks;

/* Measured once per device, in about half a second on an idle machine, and kept in the cache directory. `again`: measured
 * anew, and the larger figures are kept (other work on the machine only slows). Waits. */
CLATTN_API clattn_status clattn_device_peaks(clattn_context *context, bool again, clattn_peaks *peaks);

/* "0.1.0" */
CLATTN_API const char *clattn_version(void);

#ifdef __cplusplus
}
#endif
#endif
