/* clattn/file.h - host arrays in files: .npy and .npz (NumPy) and .safetensors read, .npy written.
 *
 * Nothing here needs a device, a context or OpenCL. Part of libclattn-models.
 *
 * Errors: a call that fails returns a status and, where it takes `message`, leaves there one line "FILE: cause" (UTF-8,
 * always terminated, cut to message_size; foreign bytes that are not printable are shown as '?'). message may be NULL
 * and message_size 0. On success message is set to "". What a failed call was to fill is left empty (a failed
 * conversion: as it was), so that it can always be freed.
 *   CLATTN_ERROR_ARGUMENT       a NULL, a bad rank, a member that is not named or not there (the message lists some)
 *   CLATTN_ERROR_FILE           the operating system refused: missing, unreadable, not writable, disk full
 *   CLATTN_ERROR_FORMAT         the content is damaged, or contradicts itself or the size of the file
 *   CLATTN_ERROR_TYPE           a well-formed element type that clattn_file_dtype does not have, or that cannot be
 *                               converted as asked, or a value that does not fit
 *   CLATTN_ERROR_UNSUPPORTED    well-formed but beyond what is read: rank above 8, an encrypted member, a newer version
 *   CLATTN_ERROR_OUT_OF_MEMORY
 *
 * Hostile files are expected: nothing is believed before it is checked against the size of the file, and memory grows
 * with the bytes that really arrive, not with those a header announces. A compressed member may unpack to at most
 * CLATTN_FILE_UNPACK_LIMIT bytes or CLATTN_FILE_UNPACK_RATIO times its packed size, whichever is more.
 *
 * Threads: calls on different objects may run at the same time; reading one object from several threads at once is
 * safe; changing one needs the caller's lock. There is no global state. */
#ifndef CLATTN_FILE_H
#define CLATTN_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "clattn/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CLATTN_FILE_MAX_RANK 8
#define CLATTN_FILE_UNPACK_LIMIT (INT64_C(256) << 20)
#define CLATTN_FILE_UNPACK_RATIO 256

/* Element types of files: name, bytes, text. One list makes the enum, the sizes and the names. */
#define CLATTN_FILE_DTYPE_MAP(X)                                                                                       \
    X(F16, 2, "f16")                                                                                                   \
    X(BF16, 2, "bf16") /* only in .safetensors */                                                                      \
    X(F32, 4, "f32")                                                                                                   \
    X(F64, 8, "f64")                                                                                                   \
    X(I8, 1, "i8")                                                                                                     \
    X(U8, 1, "u8")                                                                                                     \
    X(I16, 2, "i16")                                                                                                   \
    X(U16, 2, "u16")                                                                                                   \
    X(I32, 4, "i32")                                                                                                   \
    X(U32, 4, "u32")                                                                                                   \
    X(I64, 8, "i64")                                                                                                   \
    X(U64, 8, "u64")                                                                                                   \
    X(BOOL, 1, "bool") /* a byte; any value but 0 is true */

typedef enum clattn_file_dtype {
#define CLATTN_FILE_DTYPE_ENUM(name, bytes, text) CLATTN_FILE_##name,
    CLATTN_FILE_DTYPE_MAP(CLATTN_FILE_DTYPE_ENUM)
#undef CLATTN_FILE_DTYPE_ENUM
        CLATTN_FILE_DTYPES /* how many there are */
} clattn_file_dtype;

/* Bytes of one element; 0 for a value that is not a type. */
CLATTN_API size_t clattn_file_dtype_size(clattn_file_dtype dtype);
/* "f32"; "unknown" for a value that is not a type. Static storage. */
CLATTN_API const char *clattn_file_dtype_name(clattn_file_dtype dtype);

/* An array in host memory: C order (the last index runs fastest), no gaps, the machine's byte order.
 * Start from `clattn_array array = { 0 };`, which is a valid array to free and to read into.
 * Zero-size arrays (a length of 0) and rank 0 (one element) are legal; data is then still not NULL. */
typedef struct clattn_array {
    clattn_file_dtype dtype; /* of every element */
    int rank;                             /* 0 to CLATTN_FILE_MAX_RANK */
    int64_t shape[CLATTN_FILE_MAX_RANK];  /* elements along each axis, outermost first; entries past rank are 0 */
    void *data;                           /* aligned for any element type when clattn made it */
    size_t size;                          /* bytes of data: product of shape times the size of dtype */
    void *owned;                          /* what clattn_array_free releases; NULL when data belongs to another object
                                             (a view of clattn_weights, or the caller's own memory) */
} clattn_array;

/* Makes an array of zeros. shape: rank lengths >= 0 (may be NULL for rank 0). Overwrites *array without freeing it.
 * ARGUMENT for a bad rank, length or dtype, or when the bytes cannot be counted; OUT_OF_MEMORY. */
CLATTN_API clattn_status clattn_array_create(clattn_array *array, clattn_file_dtype dtype, int rank,
                                             const int64_t *shape);

/* Frees what the array owns and sets it to zeros. NULL, zeroed, half-built and view arrays are accepted. */
CLATTN_API void clattn_array_free(clattn_array *array);

/* Elements: the product of shape (1 for rank 0); 0 for NULL. */
CLATTN_API int64_t clattn_array_count(const clattn_array *array);

/* Reads one array. spec is split at its first ".npz:" or ".safetensors:":
 *     x.npy                         any other path is read as .npy too, also a pipe
 *     archive.npz:member            a member's own ".npy" may be left out
 *     weights.safetensors:tensor
 * Without a member the call fails and the message lists the first few. Fortran order and foreign byte order are
 * converted; the type is kept (see clattn_array_convert). Overwrites *array without freeing it; the caller frees it
 * with clattn_array_free. A .npy file must end where its array ends. */
CLATTN_API clattn_status clattn_array_read(clattn_array *array, const char *spec, char *message, size_t message_size);

/* Changes the element type in place, to one of the types that operations take:
 *     F32   from f16, bf16 (exact), f64 and every integer (rounded to nearest even; out of range gives an infinity)
 *     I32   from every integer, refused (TYPE) if a value does not fit; the message names the first such value
 *     U8    from bool and every integer: 0 or 1, where any value but 0 is true; also normalises u8 itself
 * Anything else is refused, so that a mask given for a bias, or the reverse, does not pass unseen. A view becomes an
 * array of its own. The message holds the cause only, as an array does not know its file. */
CLATTN_API clattn_status clattn_array_convert(clattn_array *array, clattn_file_dtype dtype, char *message,
                                              size_t message_size);

/* Writes a .npy file (version 1.0, C order; bf16, which .npy lacks, is written as f32). The file is complete or absent:
 * a temporary beside it is renamed over it at the end, and removed on failure. A symbolic link is followed; a device or
 * pipe is written directly; an existing file that is not writable is refused. Nothing is synced to the disk. */
CLATTN_API clattn_status clattn_array_write_npy(const clattn_array *array, const char *path, char *message,
                                                size_t message_size);

/* All tensors of a .safetensors file, in memory. */
typedef struct clattn_weights clattn_weights;

/* Reads the whole file and checks every tensor. On success *weights is the caller's, to be closed; on failure it is
 * NULL. */
CLATTN_API clattn_status clattn_weights_open(clattn_weights **weights, const char *path, char *message,
                                             size_t message_size);

/* Frees the file and sets *weights to NULL: views of it end here. NULL and a NULL within are accepted. */
CLATTN_API void clattn_weights_close(clattn_weights **weights);

/* Number of tensors; 0 for NULL. */
CLATTN_API size_t clattn_weights_count(const clattn_weights *weights);

/* Name of a tensor, in the byte order of names; NULL past the end. Valid until close. */
CLATTN_API const char *clattn_weights_name(const clattn_weights *weights, size_t index);

/* A view of one tensor: no copy, valid until close, not to be written to, need not be freed. Overwrites *view.
 * ARGUMENT if there is no such tensor; the message names file and tensor and lists a few that there are. */
CLATTN_API clattn_status clattn_weights_get(const clattn_weights *weights, const char *name, clattn_array *view,
                                            char *message, size_t message_size);

/* A value of the file's __metadata__, or NULL. Valid until close. */
CLATTN_API const char *clattn_weights_metadata(const clattn_weights *weights, const char *key);

#ifdef __cplusplus
}
#endif
#endif
