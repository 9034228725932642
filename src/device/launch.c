/* Enqueuing: kernels, copies, waits. On an in-order queue the order of calls is enough; on an out-of-order queue every
 * command waits for the previous one's event. */
#include <stdlib.h>

#include "internal.h"

#define MAX_WAITS 64

cl_uint clattn_queue_wait_list(clattn_context *context, cl_event *list, cl_uint capacity) {
    cl_uint count = 0;
    if (context->last) list[count++] = context->last;
    for (cl_uint i = 0; i < context->pending_count && count < capacity; i++) list[count++] = context->pending[i];
    return count;
}

void clattn_queue_advance(clattn_context *context, cl_event event) {
    for (cl_uint i = 0; i < context->pending_count; i++) clReleaseEvent(context->pending[i]);
    context->pending_count = 0;
    if (!context->out_of_order) return;
    if (context->last) clReleaseEvent(context->last);
    context->last = event;
}

/* Every argument is set at every launch: PoCL keeps pointers to freed memory of arguments that are not. */
static clattn_status set_argument(clattn_context *context, cl_kernel kernel, cl_uint *index, const clattn_arg *arg) {
    cl_mem memory = NULL;
    cl_long offset;
    switch (arg->kind) {
    case CLATTN_ARG_BUFFER:
        memory = arg->as.memory.buffer ? arg->as.memory.buffer->memory : NULL;
        offset = arg->as.memory.offset;
        CL_TRY(context, clSetKernelArg(kernel, (*index)++, sizeof memory, memory ? &memory : NULL), "clSetKernelArg");
        CL_TRY(context, clSetKernelArg(kernel, (*index)++, sizeof offset, &offset), "clSetKernelArg");
        return CLATTN_OK;
    case CLATTN_ARG_I32: CL_TRY(context, clSetKernelArg(kernel, (*index)++, 4, &arg->as.i32), "clSetKernelArg"); return CLATTN_OK;
    case CLATTN_ARG_I64: CL_TRY(context, clSetKernelArg(kernel, (*index)++, 8, arg->as.i64), "clSetKernelArg"); return CLATTN_OK;
    case CLATTN_ARG_I64X4: CL_TRY(context, clSetKernelArg(kernel, (*index)++, 32, arg->as.i64), "clSetKernelArg"); return CLATTN_OK;
    case CLATTN_ARG_I64X8: CL_TRY(context, clSetKernelArg(kernel, (*index)++, 64, arg->as.i64), "clSetKernelArg"); return CLATTN_OK;
    case CLATTN_ARG_F32: CL_TRY(context, clSetKernelArg(kernel, (*index)++, 4, &arg->as.f32), "clSetKernelArg"); return CLATTN_OK;
    case CLATTN_ARG_LOCAL: CL_TRY(context, clSetKernelArg(kernel, (*index)++, arg->as.local_bytes, NULL), "clSetKernelArg"); return CLATTN_OK;
    }
    return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "unknown kernel argument kind %d", (int)arg->kind);
}

/* Of a launch that leaves the local size to clattn: one row of up to 64 items. */
static void choose_local(const clattn_program *program, const clattn_launch_info *info, size_t local[3]) {
    for (int i = 0; i < 3; i++) local[i] = info->local[i] ? info->local[i] : 1;
    if (info->local[0]) return;
    local[0] = program->max_work_group < 64 ? program->max_work_group : 64;
    while (local[0] / 2 >= info->global[0] && local[0] > 1) local[0] /= 2;
}

clattn_status clattn_launch(clattn_context *context, const clattn_launch_info *info) {
    clattn_program *program;
    size_t global[3], local[3];
    for (int i = 0; i < info->dimensions; i++)
        if (info->global[i] == 0) return CLATTN_OK;
    clattn_status status = clattn_program_get(context, info->source, info->kernel, info->options ? info->options : "", &program);
    if (status) return status;
    cl_uint index = 0;
    for (size_t i = 0; i < info->arg_count; i++)
        if ((status = set_argument(context, program->kernel, &index, &info->args[i]))) return status;
    choose_local(program, info, local);
    for (int i = 0; i < info->dimensions; i++) global[i] = (info->global[i] + local[i] - 1) / local[i] * local[i];
    cl_event waits[MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, MAX_WAITS);
    CL_TRY(context, clEnqueueNDRangeKernel(context->queue, program->kernel, (cl_uint)info->dimensions, NULL, global, local, count, count ? waits : NULL, context->out_of_order ? &event : NULL), "clEnqueueNDRangeKernel");
    program->launched = true;
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_read(clattn_context *context, const clattn_buffer *buffer, size_t offset, size_t size, void *host) {
    if (size == 0) return clattn_finish(context);
    cl_event waits[MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, MAX_WAITS);
    CL_TRY(context, clEnqueueReadBuffer(context->queue, buffer->memory, CL_TRUE, offset, size, host, count, count ? waits : NULL, context->out_of_order ? &event : NULL), "clEnqueueReadBuffer");
    clattn_queue_advance(context, event);
    clattn_programs_save(context);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_write(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, const void *host) {
    if (size == 0) return CLATTN_OK;
    cl_event waits[MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, MAX_WAITS);
    CL_TRY(context, clEnqueueWriteBuffer(context->queue, buffer->memory, CL_TRUE, offset, size, host, count, count ? waits : NULL, context->out_of_order ? &event : NULL), "clEnqueueWriteBuffer");
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_fill(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, unsigned char value) {
    if (size == 0) return CLATTN_OK;
    cl_event waits[MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, MAX_WAITS);
    CL_TRY(context, clEnqueueFillBuffer(context->queue, buffer->memory, &value, 1, offset, size, count, count ? waits : NULL, context->out_of_order ? &event : NULL), "clEnqueueFillBuffer");
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

clattn_status clattn_finish(clattn_context *context) {
    if (!context || !context->opened) return CLATTN_ERROR_ARGUMENT;
    CL_TRY(context, clFinish(context->queue), "clFinish");
    clattn_programs_save(context);
    return CLATTN_OK;
}

clattn_status clattn_opencl_wait_for(clattn_context *context, cl_uint count, const cl_event *events) {
    if (!context || !context->opened) return CLATTN_ERROR_ARGUMENT;
    if (count && !events) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: %u events expected, found NULL", count);
    if (context->pending_count + count > MAX_WAITS - 1)
        return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: at most %d events can wait for one command, found %u", MAX_WAITS - 1, context->pending_count + count);
    if (!context->pending) context->pending = malloc(MAX_WAITS * sizeof *context->pending);
    if (!context->pending) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    for (cl_uint i = 0; i < count; i++) {
        CL_TRY(context, clRetainEvent(events[i]), "clRetainEvent");
        context->pending[context->pending_count++] = events[i];
    }
    return CLATTN_OK;
}

clattn_status clattn_opencl_event(clattn_context *context, cl_event *event) {
    if (!context || !context->opened || !event) return CLATTN_ERROR_ARGUMENT;
    cl_event waits[MAX_WAITS];
    const cl_uint count = clattn_queue_wait_list(context, waits, MAX_WAITS);
    CL_TRY(context, clEnqueueMarkerWithWaitList(context->queue, count, count ? waits : NULL, event), "clEnqueueMarkerWithWaitList");
    CL_TRY(context, clFlush(context->queue), "clFlush");
    return CLATTN_OK;
}
