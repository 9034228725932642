/* Large pages under large buffers of CPU devices: a page of 4 KiB costs a walk through tables for every 64 lines that a kernel
 * streams, and in a virtual machine a long one. */
#include "internal.h"
#include "system.h"

#define WORTH_IT ((size_t)4 << 20)

/* The driver's memory of a new buffer, told by mapping it on a queue of its own: nothing waits for what the context's queue holds.
 * Whatever fails, the buffer is as good as before. */
void clattn_pages_enlarge(const clattn_context *context, cl_mem memory, size_t size) {
    cl_int error;
    if (context->info.kind != CLATTN_DEVICE_CPU || size < WORTH_IT) return;
    cl_command_queue queue = clCreateCommandQueue(context->context, context->device, 0, &error);
    if (!queue) return;
    void *mapped = clEnqueueMapBuffer(queue, memory, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, size, 0, NULL, NULL, &error);
    if (mapped && error == CL_SUCCESS) {
        clattn_system_enlarge_pages(mapped, size);
        clEnqueueUnmapMemObject(queue, memory, mapped, 0, NULL, NULL);
    }
    clFinish(queue);
    clReleaseCommandQueue(queue);
}
