/* clattn/status.h - what every call returns.
 *
 * A call that fails returns a status other than CLATTN_OK and leaves a message that names the offending argument, the
 * value expected and the value found. Calls that take a context keep it there (clattn_message); the others take a
 * buffer for it. Nothing in clattn calls exit, prints, or uses global mutable state. */
#ifndef CLATTN_STATUS_H
#define CLATTN_STATUS_H

#if defined(_WIN32)
#define CLATTN_API
#else
#define CLATTN_API __attribute__((visibility("default")))
#endif

#if defined(__GNUC__)
#define CLATTN_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define CLATTN_PRINTF(format_index, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One list makes the enum, the names and the texts. */
#define CLATTN_STATUS_MAP(X)                                                                                           \
    X(OK, "done")                                                                                                      \
    X(ERROR_ARGUMENT, "an argument is missing, unknown or out of range")                                               \
    X(ERROR_SHAPE, "a tensor's shape does not fit")                                                                    \
    X(ERROR_TYPE, "a tensor's type is not one the operation takes")                                                    \
    X(ERROR_UNSUPPORTED, "this is not supported here")                                                                 \
    X(ERROR_OUT_OF_MEMORY, "out of memory")                                                                            \
    X(ERROR_NO_DEVICE, "no usable OpenCL device")                                                                      \
    X(ERROR_BUILD, "a kernel did not build")                                                                           \
    X(ERROR_DRIVER, "the OpenCL driver reported an error")                                                             \
    X(ERROR_FILE, "a file cannot be read or written")                                                                  \
    X(ERROR_FORMAT, "a file's content is damaged or of an unknown form")

typedef enum clattn_status {
#define CLATTN_STATUS_ENUM(name, text) CLATTN_##name,
    CLATTN_STATUS_MAP(CLATTN_STATUS_ENUM)
#undef CLATTN_STATUS_ENUM
} clattn_status;

/* "CLATTN_ERROR_SHAPE", or "unknown status". Static storage; never NULL. */
CLATTN_API const char *clattn_status_name(clattn_status status);
/* A short sentence for the status. Static storage; never NULL. */
CLATTN_API const char *clattn_status_text(clattn_status status);

#ifdef __cplusplus
}
#endif
#endif
