/* A device that lies (OPENCL_LAYERS=this.so): after each launch of the kernels that LYING_KERNEL names ("*": all; separated by
 * spaces; read at each launch), one word of what the launch has changed is wrong, in each buffer among its arguments.
 * Everything else is the driver's. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_layer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { MOST_BUFFERS = 4096, MOST_ARGUMENTS = 32, MOST_KERNELS = 1024 };

static cl_icd_dispatch dispatch;
static const cl_icd_dispatch *next;

/* Those that exist: what is given to a kernel may be a number of 8 bytes as well. */
static cl_mem buffers[MOST_BUFFERS];

static struct kernel {
    cl_kernel handle;
    char name[64];
    cl_mem arguments[MOST_ARGUMENTS];
} kernels[MOST_KERNELS];

static void give_up(const char *reason) {
    fprintf(stderr, "lying layer: %s\n", reason);
    abort();
}

static int find_buffer(cl_mem wanted) {
    for (int i = 0; i < MOST_BUFFERS; i++)
        if (buffers[i] == wanted) return i;
    return -1;
}

static struct kernel *find_kernel(cl_kernel handle) {
    for (int i = 0; i < MOST_KERNELS; i++)
        if (kernels[i].handle == handle) return &kernels[i];
    return NULL;
}

static cl_mem CL_API_CALL lying_clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *result) {
    cl_mem made = next->clCreateBuffer(context, flags, size, host, result);
    const int free_slot = find_buffer(NULL);
    if (made && free_slot < 0) give_up("too many buffers");
    if (made) buffers[free_slot] = made;
    return made;
}

/* clattn holds one reference on each. */
static cl_int CL_API_CALL lying_clReleaseMemObject(cl_mem memory) {
    const int slot = find_buffer(memory);
    if (slot >= 0) buffers[slot] = NULL;
    return next->clReleaseMemObject(memory);
}

static cl_kernel CL_API_CALL lying_clCreateKernel(cl_program program, const char *name, cl_int *result) {
    cl_kernel handle = next->clCreateKernel(program, name, result);
    struct kernel *kernel = handle ? find_kernel(NULL) : NULL;
    if (handle && !kernel) give_up("too many kernels");
    if (!kernel) return handle;
    *kernel = (struct kernel){ .handle = handle };
    snprintf(kernel->name, sizeof kernel->name, "%s", name);
    return handle;
}

static cl_int CL_API_CALL lying_clReleaseKernel(cl_kernel handle) {
    struct kernel *kernel = find_kernel(handle);
    if (kernel) kernel->handle = NULL;
    return next->clReleaseKernel(handle);
}

static cl_int CL_API_CALL lying_clSetKernelArg(cl_kernel handle, cl_uint index, size_t size, const void *value) {
    struct kernel *kernel = find_kernel(handle);
    cl_mem memory = NULL;
    if (value && size == sizeof memory) memcpy(&memory, value, size);
    if (kernel && index < MOST_ARGUMENTS) kernel->arguments[index] = memory && find_buffer(memory) >= 0 ? memory : NULL;
    return next->clSetKernelArg(handle, index, size, value);
}

/* ---- The lie ---- */

static bool lies(const char *name) {
    const char *wanted = getenv("LYING_KERNEL");
    const size_t length = strlen(name);
    if (!wanted || !*wanted) return false;
    if (strcmp(wanted, "*") == 0) return true;
    for (const char *at = wanted; (at = strstr(at, name)); at += length)
        if ((at == wanted || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

/* The contents in new memory; NULL for no buffer. */
static unsigned char *contents(cl_command_queue queue, cl_mem memory, size_t *size) {
    *size = 0;
    if (!memory || next->clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof *size, size, NULL) != CL_SUCCESS) return NULL;
    unsigned char *bytes = malloc(*size + 1);
    if (!bytes || next->clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, *size, bytes, 0, NULL, NULL) != CL_SUCCESS) give_up("a buffer cannot be read");
    return bytes;
}

/* The first word that differs gets another exponent, or other high bits. */
static void corrupt(cl_command_queue queue, cl_mem memory, const unsigned char *before) {
    size_t size;
    unsigned char *after = contents(queue, memory, &size);
    for (size_t at = 0; after && at + 4 <= size; at += 4) {
        if (memcmp(before + at, after + at, 4) == 0) continue;
        after[at + 3] ^= 0x35;
        after[at + 1] ^= 0x35;
        if (next->clEnqueueWriteBuffer(queue, memory, CL_TRUE, at, 4, after + at, 0, NULL, NULL) != CL_SUCCESS) give_up("a buffer cannot be written");
        break;
    }
    free(after);
}

static cl_int CL_API_CALL lying_clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel handle, cl_uint dimensions, const size_t *from, const size_t *global, const size_t *local, cl_uint count, const cl_event *waits, cl_event *event) {
    const struct kernel *kernel = find_kernel(handle);
    unsigned char *before[MOST_ARGUMENTS] = { NULL };
    size_t size;
    const bool lie = kernel && lies(kernel->name);
    for (int i = 0; lie && i < MOST_ARGUMENTS; i++) before[i] = contents(queue, kernel->arguments[i], &size);
    const cl_int error = next->clEnqueueNDRangeKernel(queue, handle, dimensions, from, global, local, count, waits, event);
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
        if (before[i] && !error) corrupt(queue, kernel->arguments[i], before[i]);
        free(before[i]);
    }
    return error;
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
    dispatch.clCreateBuffer = lying_clCreateBuffer;
    dispatch.clReleaseMemObject = lying_clReleaseMemObject;
    dispatch.clCreateKernel = lying_clCreateKernel;
    dispatch.clReleaseKernel = lying_clReleaseKernel;
    dispatch.clSetKernelArg = lying_clSetKernelArg;
    dispatch.clEnqueueNDRangeKernel = lying_clEnqueueNDRangeKernel;
    *entries_ret = (cl_uint)known;
    *result = &dispatch;
    return CL_SUCCESS;
}
