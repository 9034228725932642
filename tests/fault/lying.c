/* A device that lies (OPENCL_LAYERS=this.so): after each launch of the kernel that LYING_KERNEL names, one word of the last
 * buffer among its arguments is wrong. Everything else is the driver's. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_layer.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static cl_icd_dispatch dispatch;
static const cl_icd_dispatch *next;

/* clattn passes a buffer as a pointer and then its offset in elements. */
static struct {
    cl_kernel kernel;
    cl_mem output;
    cl_uint output_index;
    cl_long offset;
} liar;

static cl_kernel CL_API_CALL lying_clCreateKernel(cl_program program, const char *name, cl_int *result) {
    const char *wanted = getenv("LYING_KERNEL");
    cl_kernel kernel = next->clCreateKernel(program, name, result);
    if (kernel && wanted && strcmp(name, wanted) == 0) liar.kernel = kernel;
    return kernel;
}

static cl_int CL_API_CALL lying_clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void *value) {
    const cl_int error = next->clSetKernelArg(kernel, index, size, value);
    cl_mem_object_type type;
    if (error || kernel != liar.kernel || !value || size != 8) return error;
    if (liar.output && index == liar.output_index + 1) memcpy(&liar.offset, value, size);
    else if (index % 2 == 0 && index < 4 && next->clGetMemObjectInfo(*(const cl_mem *)value, CL_MEM_TYPE, sizeof type, &type, NULL) == CL_SUCCESS) {
        memcpy(&liar.output, value, size);
        liar.output_index = index;
    }
    return error;
}

static cl_int CL_API_CALL lying_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *from, const size_t *global, const size_t *local, cl_uint count, const cl_event *waits, cl_event *event) {
    static const float lie = 1.23f;
    const cl_int error = next->clEnqueueNDRangeKernel(queue, kernel, dimensions, from, global, local, count, waits, event);
    if (error || kernel != liar.kernel) return error;
    return next->clEnqueueFillBuffer(queue, liar.output, &lie, sizeof lie, (size_t)liar.offset * sizeof lie, sizeof lie, 0, NULL, NULL);
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
    dispatch.clCreateKernel = lying_clCreateKernel;
    dispatch.clSetKernelArg = lying_clSetKernelArg;
    dispatch.clEnqueueNDRangeKernel = lying_clEnqueueNDRangeKernel;
    *entries_ret = (cl_uint)known;
    *result = &dispatch;
    return CL_SUCCESS;
}
