#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

const char *clattn_status_name(clattn_status status) {
    switch (status) {
#define CLATTN_STATUS_NAME(name, text) case CLATTN_##name: return "CLATTN_" #name;
        CLATTN_STATUS_MAP(CLATTN_STATUS_NAME)
    }
    return "unknown status";
}

const char *clattn_status_text(clattn_status status) {
    switch (status) {
#define CLATTN_STATUS_TEXT(name, text) case CLATTN_##name: return text;
        CLATTN_STATUS_MAP(CLATTN_STATUS_TEXT)
    }
    return "unknown status";
}

clattn_status clattn_fail(clattn_context *context, clattn_status status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(context->message, sizeof context->message, format, list);
    va_end(list);
    return status;
}

void clattn_prefix_message(clattn_context *context, const char *prefix) {
    char text[sizeof context->message];
    memcpy(text, context->message, sizeof text);
    snprintf(context->message, sizeof context->message, "%s: %.*s", prefix, (int)(sizeof text - strlen(prefix) - 3), text);
}

void clattn_log(clattn_context *context, clattn_log_level level, const char *format, ...) {
    if (!context->log) return;
    char line[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    context->log(context->log_user, level, line);
}

#define DRIVER_ERRORS(X)                                                                                               \
    X(CL_DEVICE_NOT_FOUND) X(CL_DEVICE_NOT_AVAILABLE) X(CL_COMPILER_NOT_AVAILABLE)                                     \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE) X(CL_OUT_OF_RESOURCES) X(CL_OUT_OF_HOST_MEMORY)                                \
    X(CL_BUILD_PROGRAM_FAILURE) X(CL_INVALID_VALUE) X(CL_INVALID_PLATFORM) X(CL_INVALID_DEVICE) X(CL_INVALID_CONTEXT)  \
    X(CL_INVALID_QUEUE_PROPERTIES) X(CL_INVALID_COMMAND_QUEUE) X(CL_INVALID_MEM_OBJECT) X(CL_INVALID_BINARY)           \
    X(CL_INVALID_BUILD_OPTIONS) X(CL_INVALID_PROGRAM) X(CL_INVALID_PROGRAM_EXECUTABLE) X(CL_INVALID_KERNEL_NAME)       \
    X(CL_INVALID_KERNEL) X(CL_INVALID_ARG_INDEX) X(CL_INVALID_ARG_VALUE) X(CL_INVALID_ARG_SIZE)                        \
    X(CL_INVALID_KERNEL_ARGS) X(CL_INVALID_WORK_DIMENSION) X(CL_INVALID_WORK_GROUP_SIZE)                               \
    X(CL_INVALID_WORK_ITEM_SIZE) X(CL_INVALID_GLOBAL_OFFSET) X(CL_INVALID_EVENT_WAIT_LIST) X(CL_INVALID_EVENT)         \
    X(CL_INVALID_OPERATION) X(CL_INVALID_BUFFER_SIZE) X(CL_INVALID_GLOBAL_WORK_SIZE)                                   \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) X(CL_MISALIGNED_SUB_BUFFER_OFFSET)     \
    X(CL_INVALID_KERNEL_DEFINITION) X(CL_INVALID_HOST_PTR) X(CL_INVALID_PROPERTY) X(CL_MAP_FAILURE)

const char *clattn_driver_error_name(cl_int error) {
    switch (error) {
#define DRIVER_ERROR_NAME(name) case name: return #name;
        DRIVER_ERRORS(DRIVER_ERROR_NAME)
    }
    return "unknown OpenCL error";
}

clattn_status clattn_fail_driver(clattn_context *context, cl_int error, const char *call) {
    context->driver_error = error;
    const bool memory = error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_RESOURCES || error == CL_OUT_OF_HOST_MEMORY;
    return clattn_fail(context, memory ? CLATTN_ERROR_OUT_OF_MEMORY : CLATTN_ERROR_DRIVER, "%s returned %d (%s)", call, error, clattn_driver_error_name(error));
}
