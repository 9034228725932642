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
    char name[160], vendor[160], driver[96], version[96], platform[160], platform_version[160]; /* texts as the driver gives them, cut to fit */
    clattn_device_kind kind; /* as the driver says */
    uint32_t compute_units; /* cores of a CPU */
    uint64_t global_memory, max_allocation, local_memory; /* in all, in the largest buffer, of a work-group */
    uint64_t cache; /* the last cache of global memory, which its cores and other users share; 0 = none, or the driver does not say */
    size_t max_work_group; /* items */
    uint32_t vector_width; /* float32 in a vector of the hardware's own; 0 = the driver does not say */
    bool fp16, subgroups; /* cl_khr_fp16, cl_khr_subgroups */
    bool available; /* has a compiler and is available: clattn can use it */
} clattn_device_info;

/* Fills at most `capacity` entries of `devices` (may be NULL when it is 0) and sets `*count` to how many there are.
 * No ICD, a broken ICD and platforms without devices give CLATTN_ERROR_NO_DEVICE and a message with advice. */
CLATTN_API clattn_status clattn_device_list(clattn_device_info *devices, size_t capacity, size_t *count, char *message, size_t message_size);

/* Whether a variant's first use in a context compares it with the reference (clattn_op_demotion). */
typedef enum clattn_self_check_mode {
    CLATTN_SELF_CHECK_DEFAULT, /* the environment's CLATTN_SELF_CHECK (on, off); else on, but off on CPU devices, whose kernels the tests run, and on Oclgrind */
    CLATTN_SELF_CHECK_ON,
    CLATTN_SELF_CHECK_OFF
} clattn_self_check_mode;

/* All fields may be zero. */
typedef struct clattn_open_params {
    /* SPEC: "gpu", "cpu", "accelerator", "PLATFORM:DEVICE" by index, or a part of the device's or platform's name (any case).
     * NULL or "": the environment's CLATTN_DEVICE, else the best device (GPU before accelerator before CPU, then the most
     * compute units). The choice and its reason go to the log. */
    const char *device;
    /* The application's own objects, used instead of `device`; see clattn/opencl.h. */
    const struct clattn_opencl_objects *opencl;
    clattn_log_fn log; /* NULL: nothing is told */
    void *log_user; /* given to `log` */
    /* Directory of the kernel cache. NULL: CLATTN_CACHE_DIR, else XDG_CACHE_HOME/clattn, else HOME/.cache/clattn. On PoCL a context
     * that closes while others are open adds nothing: there only PoCL's own cache keeps what it has built. */
    const char *cache_directory;
    bool no_cache; /* neither read nor written */
    uint64_t cache_limit; /* bytes; 0: 256 MiB. When entries are added, the least recently used above it are removed */
    /* The own queue keeps the times of kernels, for clattn_trace. A borrowed queue is made with CL_QUEUE_PROFILING_ENABLE by its owner. */
    bool profile;
    /* Masks what the device can do, to try the fallbacks anywhere: "-fp16,-subgroups,local=16384,wg=64,vector=8" hides f16
     * arithmetic and subgroups and bounds the local memory (bytes), the work-group (items) and the vectors (floats: with 8 a
     * CPU that has AVX-512 gets the kernels of one that has not); "cache=BYTES" bounds the last cache. NULL: the environment's CLATTN_CAPS;
     * "": nothing. A word that is none of these fails the opening. */
    const char *caps;
    clattn_self_check_mode self_check; /* see above */
    /* The user's own database of settings (clattn/tuning.h), read after the built-in one when an operation first asks. NULL: the
     * environment's CLATTN_TUNING ("off": no_tuning), else tuning.json in the directory of the kernel cache. */
    const char *tuning_file;
    bool no_tuning; /* no database is read, the built-in one included: clattn's own choices everywhere */
} clattn_open_params;

/* Opens a context. `*context` is set also on failure (unless memory for it is missing), so that clattn_message tells why;
 * clattn_close frees it either way. `params` may be NULL. */
CLATTN_API clattn_status clattn_open(clattn_context **context, const clattn_open_params *params);

/* Waits for the work enqueued, frees everything the context owns and sets `*context` to NULL. Tensors made with the
 * context must be freed before. Accepts NULL and a context that failed to open. Borrowed OpenCL objects stay alive. Where CLBlast
 * served a context of clattn's own, its kernels are forgotten in the whole process (CLBlastClearCache); for a borrowed
 * cl_context the application does that itself, or CLBlast keeps it alive. */
CLATTN_API void clattn_close(clattn_context **context);

/* The message of the last call that failed on this context; "" if none did. Valid until the next failing call. */
CLATTN_API const char *clattn_message(const clattn_context *context);

/* The raw cl_int of the last driver error, 0 if there was none. */
CLATTN_API int clattn_driver_error(const clattn_context *context);

/* The device in use; valid as long as the context. NULL if the context failed to open. */
CLATTN_API const clattn_device_info *clattn_context_device(const clattn_context *context);

/* Waits until everything enqueued so far is complete; reports a driver error that happened meanwhile. On PoCL the calling
 * thread looks for up to 5 ms whether it is, giving its core away in between, before it sleeps; so does clattn_tensor_read. */
CLATTN_API clattn_status clattn_finish(clattn_context *context);

/* Told before each piece of a prewarm: `done` of `total`, and what comes next. Return false to stop early (not an error). */
typedef bool (*clattn_progress_fn)(void *user, size_t done, size_t total, const char *what);

/* Builds (or loads from the cache) the kernels of the operations named, or of all when `names` is NULL, by running
 * each operation's built-in examples on scratch tensors; afterwards their first call is as fast as any other.
 * Waits. `progress` may be NULL. */
CLATTN_API clattn_status clattn_prewarm(clattn_context *context, const char *const *names, size_t count, clattn_progress_fn progress, void *user);

/* What the device does at best: chains of f32 multiply-adds (two operations each) in flop/s, a copy's bytes read and
 * written per second, and bytes read per second where nothing is written. What an operation takes is at least the larger of
 * flops / peak and bytes / peak. `fed_flops`, on CPUs (elsewhere 0), is the median of multiply-adds that read their factors from the level-1
 * cache, as products of matrices do: other work on the machine can slow them more than `flops`. */
typedef struct clattn_peaks {
    double flops, copy_bytes, read_bytes, fed_flops; /* a second */
} clattn_peaks;

/* Measured once per device, in about half a second on an idle machine, and kept in the cache directory. `again`: measured
 * anew, `*peaks` are the figures of now, and the larger ones are kept (other work on the machine only slows). Waits. */
CLATTN_API clattn_status clattn_device_peaks(clattn_context *context, bool again, clattn_peaks *peaks);

/* ---- Traces: what is launched, and how long it took ---- */

/* One launch of a kernel. Texts are valid during the call; sizes of memory in bytes. */
typedef struct clattn_launch_record {
    const char *source, *kernel, *options; /* of cl/SOURCE.cl */
    int dimensions;             /* 0: a product by CLBlast, whose kernels tell nothing but their time together */
    size_t global[3], local[3]; /* work-items in all and in a work-group; 1 where there is no such dimension */
    size_t max_work_group;      /* what the driver allows for this kernel */
    uint64_t local_memory;      /* of a work-group, as the driver says */
    uint64_t private_memory;    /* of a work-item, as the driver says */
    uint64_t bytes;             /* of the buffers it was given, each counted once; up to a sixteenth more than their tensors; 0: not known */
    uint64_t memory_used;       /* device memory of the context's tensors and temporaries at this time */
    double seconds;             /* on the device; negative: the queue keeps no times */
} clattn_launch_record;

/* Called on the thread that made the clattn call, after the launch was enqueued. It makes no calls with the context. */
typedef void (*clattn_trace_fn)(void *user, const clattn_launch_record *launch);

/* From now on `trace` is told of every launch; NULL ends it. On a queue that keeps times each launch is waited for, so that
 * they are exact; the order of results does not change. Without a trace nothing costs anything. */
CLATTN_API void clattn_trace(clattn_context *context, clattn_trace_fn trace, void *user);

/* Bytes of device memory in use by tensors and temporaries, and idle in the pool; either may be NULL. */
CLATTN_API void clattn_context_memory(const clattn_context *context, uint64_t *used, uint64_t *idle);

/* ---- The kernel cache's files. `directory` NULL: where clattn_open keeps it without cache_directory ---- */

typedef enum clattn_cache_state {
    CLATTN_CACHE_VALID,        /* digest and lengths are right */
    CLATTN_CACHE_DAMAGED,      /* never given to a driver; rebuilt when it is needed */
    CLATTN_CACHE_OTHER_VERSION /* of another release; rebuilt when it is needed */
} clattn_cache_state;

/* Texts are valid during the call; "" where the entry does not tell. */
typedef struct clattn_cache_entry {
    const char *path; /* of the file */
    uint64_t size;    /* of the file, in bytes */
    int64_t used;     /* when it was made or last loaded: seconds since 1970 */
    clattn_cache_state state; /* what the verification found */
    const char *kernel; /* "attention/scalar", or "peaks" for measured peaks */
    const char *options, *device, *driver, *platform; /* of the build */
} clattn_cache_entry;

/* Return false to stop. */
typedef bool (*clattn_cache_fn)(void *user, const clattn_cache_entry *entry);

/* Reads and verifies every entry. A directory that does not exist is an empty cache. */
CLATTN_API clattn_status clattn_cache_visit(const char *directory, clattn_cache_fn visit, void *user, char *message, size_t message_size);

/* Removes the least recently used entries until `keep` bytes are left (0: all of them), and what killed processes left
 * behind. `removed` and `bytes` may be NULL. Other files in the directory stay. */
CLATTN_API clattn_status clattn_cache_clear(const char *directory, uint64_t keep, size_t *removed, uint64_t *bytes, char *message, size_t message_size);

/* The directory in use, into `path`; false when there is none (no HOME) or it does not fit. */
CLATTN_API bool clattn_cache_path(const char *directory, char *path, size_t size);

/* ---- Known hazards ---- */

typedef enum clattn_finding_level {
    CLATTN_FINDING_NOTE,    /* good to know */
    CLATTN_FINDING_WARNING, /* slower or riskier than it need be */
    CLATTN_FINDING_FAILURE  /* results cannot be trusted */
} clattn_finding_level;

/* Texts are valid during the call. */
typedef struct clattn_finding {
    clattn_finding_level level; /* how bad it is */
    const char *name;   /* short and stable: "long-loops" */
    const char *text;   /* what was found */
    const char *advice; /* what to do about it; "" if nothing can be done */
} clattn_finding;

typedef void (*clattn_finding_fn)(void *user, const clattn_finding *finding);

/* Looks for what is known to go wrong: without a context at the environment (ICD files, variables, driver caches), with one
 * at its device, by small kernels (loops that end early, local memory that others can read, NaN and infinities), and at
 * its cache. Tells only what it finds. Waits. CLATTN_OK also with findings; else why the looking itself failed. */
CLATTN_API clattn_status clattn_examine(clattn_context *context, clattn_finding_fn finding, void *user);

/* "0.1.0" */
CLATTN_API const char *clattn_version(void);

#ifdef __cplusplus
}
#endif
#endif
