/* For `--uninitialized` of Oclgrind 21.10 (OPENCL_LAYERS=this.so). What a host writes into a buffer becomes all that Oclgrind
 * knows of its contents: a write or a fill of a part makes the rest, and everything that kernels store there, count as
 * uninitialised; and a new buffer inherits from a released one. So parts are written as whole buffers, and no buffer is
 * ever released. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_layer.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static cl_icd_dispatch dispatch;
static const cl_icd_dispatch *next;

/* Puts `size` bytes at `offset`, repeating the `period` bytes of `data`. */
static cl_int write_whole(cl_command_queue queue, cl_mem memory, const void *data, size_t period, size_t offset, size_t size, cl_uint count, const cl_event *waits, cl_event *event) {
    size_t whole = 0;
    cl_int error = next->clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof whole, &whole, NULL);
    if (error) return error;
    if (offset > whole || size > whole - offset || size % period) return CL_INVALID_VALUE;
    unsigned char *bytes = malloc(whole);
    if (!bytes) return CL_OUT_OF_HOST_MEMORY;
    error = next->clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, whole, bytes, count, waits, NULL);
    for (size_t i = 0; i < size; i += period) memcpy(bytes + offset + i, data, period);
    if (!error) error = next->clEnqueueWriteBuffer(queue, memory, CL_TRUE, 0, whole, bytes, 0, NULL, event);
    free(bytes);
    return error;
}

static cl_int CL_API_CALL whole_clEnqueueWriteBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t size, const void *data, cl_uint count, const cl_event *waits, cl_event *event) {
    (void)blocking;
    return size ? write_whole(queue, memory, data, size, offset, size, count, waits, event) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL whole_clEnqueueFillBuffer(cl_command_queue queue, cl_mem memory, const void *pattern, size_t pattern_size, size_t offset, size_t size, cl_uint count, const cl_event *waits, cl_event *event) {
    return pattern_size ? write_whole(queue, memory, pattern, pattern_size, offset, size, count, waits, event) : CL_INVALID_VALUE;
}

static cl_int CL_API_CALL whole_clReleaseMemObject(cl_mem memory) {
    (void)memory;
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *size_ret) {
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (name != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
    if (value && size >= sizeof version) memcpy(value, &version, sizeof version);
    if (size_ret) *size_ret = sizeof version;
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target, cl_uint *entries_ret, const cl_icd_dispatch **result) {
    const size_t known = sizeof dispatch / sizeof(void *);
    next = target;
    memcpy(&dispatch, target, (entries < known ? entries : known) * sizeof(void *));
    dispatch.clEnqueueWriteBuffer = whole_clEnqueueWriteBuffer;
    dispatch.clEnqueueFillBuffer = whole_clEnqueueFillBuffer;
    dispatch.clReleaseMemObject = whole_clReleaseMemObject;
    *entries_ret = (cl_uint)known;
    *result = &dispatch;
    return CL_SUCCESS;
}
