/* clattn/opencl.h - clattn on an application's own OpenCL objects. The only public header that needs CL/cl.h. */
#ifndef CLATTN_OPENCL_H
#define CLATTN_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include <clattn/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed: clattn retains them while its context is open and releases them at clattn_close. `queue` belongs to `device`
 * and `context`. An in-order queue orders clattn's work with the application's by itself. On an out-of-order queue each
 * command of clattn waits for clattn's previous one through events; order against the application's own commands is
 * made with the two calls below. */
typedef struct clattn_opencl_objects {
    cl_context context; /* may hold other devices too */
    cl_device_id device; /* of the context */
    cl_command_queue queue; /* in order or not; with CL_QUEUE_PROFILING_ENABLE for times */
} clattn_opencl_objects;

/* Wraps a cl_mem of the same cl_context as a tensor. `offset` and `strides` in elements; `strides` NULL means dense
 * C order. The memory is retained until clattn_tensor_free. A view that reaches past the end of the memory is refused. */
CLATTN_API clattn_status clattn_tensor_wrap(clattn_context *context, clattn_tensor *tensor, cl_mem memory, clattn_dtype dtype, int rank, const int64_t *shape, const int64_t *strides, int64_t offset);

/* The next command that clattn enqueues on this context waits for these events (retained until then). */
CLATTN_API clattn_status clattn_opencl_wait_for(clattn_context *context, cl_uint count, const cl_event *events);

/* An event that completes when everything clattn has enqueued on this context so far has; the caller releases it. */
CLATTN_API clattn_status clattn_opencl_event(clattn_context *context, cl_event *event);

/* The objects in use, also of a context that clattn opened itself. Not retained for the caller. */
CLATTN_API clattn_opencl_objects clattn_opencl_get(const clattn_context *context);
/* The memory behind a tensor; NULL for a cleared one. Not retained for the caller. */
CLATTN_API cl_mem clattn_opencl_memory(const clattn_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
