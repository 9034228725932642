/* A layer between the ICD loader and the drivers (OPENCL_LAYERS=this.so): it counts calls and objects and can fail the N-th
 * call of a name. Tests load the same file with dlopen and use the three functions at the end (layer.h). */
#define CL_TARGET_OPENCL_VERSION 120
#include "layer.h"

#include <CL/cl_layer.h>
#include <string.h>

static cl_icd_dispatch dispatch;
static const cl_icd_dispatch *next;

static struct {
    char name[48];
    unsigned count;
} calls[64];

static struct {
    char name[48];
    unsigned from, to;
    cl_int error;
} plan;

static long live[FAULT_KINDS];

static unsigned *counter(const char *name) {
    int i = 0;
    while (i < 63 && calls[i].name[0] && strcmp(calls[i].name, name)) i++;
    if (!calls[i].name[0]) strncpy(calls[i].name, name, sizeof calls[i].name - 1);
    return &calls[i].count;
}

/* The error that this call is to give; CL_SUCCESS for most. */
static cl_int planned(const char *name) {
    const unsigned n = ++*counter(name);
    return strcmp(plan.name, name) == 0 && n >= plan.from && n <= plan.to ? plan.error : CL_SUCCESS;
}

#define STATUS(name, parameters, arguments)                                                                            \
    static cl_int CL_API_CALL layer_##name parameters {                                                                \
        const cl_int error = planned(#name);                                                                           \
        return error ? error : next->name arguments;                                                                   \
    }
#define CREATE(type, kind, name, parameters, arguments)                                                                \
    static type CL_API_CALL layer_##name parameters {                                                                  \
        const cl_int error = planned(#name);                                                                           \
        if (error && result) *result = error;                                                                          \
        type made = error ? NULL : next->name arguments;                                                               \
        live[kind] += made != NULL;                                                                                    \
        return made;                                                                                                   \
    }
#define REFERENCE(type, kind, object)                                                                                  \
    static cl_int CL_API_CALL layer_clRetain##object(type made) {                                                      \
        live[kind]++;                                                                                                  \
        return next->clRetain##object(made);                                                                           \
    }                                                                                                                  \
    static cl_int CL_API_CALL layer_clRelease##object(type made) {                                                     \
        live[kind]--;                                                                                                  \
        return next->clRelease##object(made);                                                                          \
    }

REFERENCE(cl_context, FAULT_CONTEXTS, Context)
REFERENCE(cl_command_queue, FAULT_QUEUES, CommandQueue)
REFERENCE(cl_mem, FAULT_BUFFERS, MemObject)
REFERENCE(cl_program, FAULT_PROGRAMS, Program)
REFERENCE(cl_kernel, FAULT_KERNELS, Kernel)

typedef void(CL_CALLBACK *context_notify)(const char *, const void *, size_t, void *);
typedef void(CL_CALLBACK *program_notify)(cl_program, void *);
CREATE(cl_context, FAULT_CONTEXTS, clCreateContext, (const cl_context_properties *p, cl_uint n, const cl_device_id *d, context_notify f, void *u, cl_int *result), (p, n, d, f, u, result))
CREATE(cl_command_queue, FAULT_QUEUES, clCreateCommandQueue, (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *result), (c, d, p, result))
CREATE(cl_mem, FAULT_BUFFERS, clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *result), (c, f, n, h, result))
CREATE(cl_program, FAULT_PROGRAMS, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *result), (c, n, s, l, result))
CREATE(cl_program, FAULT_PROGRAMS, clCreateProgramWithBinary, (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s, cl_int *result), (c, n, d, l, b, s, result))
CREATE(cl_kernel, FAULT_KERNELS, clCreateKernel, (cl_program p, const char *s, cl_int *result), (p, s, result))
STATUS(clBuildProgram, (cl_program p, cl_uint n, const cl_device_id *d, const char *o, program_notify f, void *u), (p, n, d, o, f, u))
STATUS(clGetProgramInfo, (cl_program p, cl_program_info i, size_t n, void *v, size_t *r), (p, i, n, v, r))
STATUS(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_kernel_work_group_info i, size_t n, void *v, size_t *r), (k, d, i, n, v, r))
STATUS(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), (k, i, n, v))
STATUS(clFinish, (cl_command_queue q), (q))
STATUS(clEnqueueNDRangeKernel, (cl_command_queue q, cl_kernel k, cl_uint w, const size_t *o, const size_t *g, const size_t *l, cl_uint n, const cl_event *e, cl_event *r), (q, k, w, o, g, l, n, e, r))
STATUS(clEnqueueReadBuffer, (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t s, void *h, cl_uint n, const cl_event *e, cl_event *r), (q, m, b, o, s, h, n, e, r))
STATUS(clEnqueueWriteBuffer, (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t s, const void *h, cl_uint n, const cl_event *e, cl_event *r), (q, m, b, o, s, h, n, e, r))
STATUS(clEnqueueFillBuffer, (cl_command_queue q, cl_mem m, const void *v, size_t k, size_t o, size_t s, cl_uint n, const cl_event *e, cl_event *r), (q, m, v, k, o, s, n, e, r))

static void *CL_API_CALL layer_clEnqueueMapBuffer(cl_command_queue q, cl_mem m, cl_bool b, cl_map_flags f, size_t o, size_t s, cl_uint n, const cl_event *e, cl_event *r, cl_int *result) {
    const cl_int error = planned("clEnqueueMapBuffer");
    if (error && result) *result = error;
    return error ? NULL : next->clEnqueueMapBuffer(q, m, b, f, o, s, n, e, r, result);
}

#define OVERRIDE(name) dispatch.name = layer_##name
#define OVERRIDE_REFERENCE(object) OVERRIDE(clRetain##object), OVERRIDE(clRelease##object)

FAULT_EXPORT cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *size_ret) {
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (name != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
    if (value && size >= sizeof version) memcpy(value, &version, sizeof version);
    if (size_ret) *size_ret = sizeof version;
    return CL_SUCCESS;
}

FAULT_EXPORT cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target, cl_uint *entries_ret, const cl_icd_dispatch **result) {
    const size_t known = sizeof dispatch / sizeof(void *);
    next = target;
    memcpy(&dispatch, target, (entries < known ? entries : known) * sizeof(void *));
    OVERRIDE_REFERENCE(Context), OVERRIDE_REFERENCE(CommandQueue), OVERRIDE_REFERENCE(MemObject), OVERRIDE_REFERENCE(Program), OVERRIDE_REFERENCE(Kernel);
    OVERRIDE(clCreateContext), OVERRIDE(clCreateCommandQueue), OVERRIDE(clCreateBuffer), OVERRIDE(clCreateProgramWithSource), OVERRIDE(clCreateProgramWithBinary);
    OVERRIDE(clCreateKernel), OVERRIDE(clBuildProgram), OVERRIDE(clGetProgramInfo), OVERRIDE(clGetKernelWorkGroupInfo), OVERRIDE(clSetKernelArg), OVERRIDE(clFinish);
    OVERRIDE(clEnqueueNDRangeKernel), OVERRIDE(clEnqueueReadBuffer), OVERRIDE(clEnqueueWriteBuffer), OVERRIDE(clEnqueueFillBuffer), OVERRIDE(clEnqueueMapBuffer);
    *entries_ret = (cl_uint)known;
    *result = &dispatch;
    return CL_SUCCESS;
}

void fault_plan(const char *call, unsigned from, unsigned to, int error) {
    memset(calls, 0, sizeof calls);
    memset(&plan, 0, sizeof plan);
    if (call) strncpy(plan.name, call, sizeof plan.name - 1);
    plan.from = from;
    plan.to = to;
    plan.error = error;
}

unsigned fault_count(const char *call) {
    return *counter(call);
}

long fault_live(int kind) {
    return live[kind];
}
