/* Enqueuing: kernels, copies, waits. On an in-order queue the order of calls is enough; on an out-of-order queue every
 * command waits for the previous one's event. */
#include <stdlib.h>

#include "internal.h"

cl_uint clattn_queue_wait_list(clattn_context *context, cl_event *list, cl_uint capacity) {
    cl_uint count = 0;
    if (context->last && context->out_of_order) list[count++] = context->last;
    for (cl_uint i = 0; i < context->pending_count && count < capacity; i++) list[count++] = context->pending[i];
    return count;
}

static void drop_pending(clattn_context *context, cl_uint keep) {
    while (context->pending_count > keep) clReleaseEvent(context->pending[--context->pending_count]);
}

void clattn_queue_advance(clattn_context *context, cl_event event) {
    drop_pending(context, 0);
    if (context->last) clReleaseEvent(context->last);
    context->last = event;
}

/* A command that failed, or that clattn waited for, fails everything after it: it is forgotten, so that later calls work. */
clattn_status clattn_queue_fail(clattn_context *context, cl_int error, const char *call) {
    if (error == CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST || error == CL_INVALID_EVENT_WAIT_LIST) {
        drop_pending(context, 0);
        if (context->last) clReleaseEvent(context->last);
        context->last = NULL;
    }
    return clattn_fail_driver(context, error, call);
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

/* Variants look at the device's limits before they are chosen; a kernel's own may be smaller, and some drivers crash beyond them. */
static clattn_status check_limits(clattn_context *context, const clattn_program *program, const clattn_launch_info *info, const size_t local[3]) {
    uint64_t bytes = program->local_memory;
    const size_t items = local[0] * local[1] * local[2];
    for (size_t i = 0; i < info->arg_count; i++) bytes += info->args[i].kind == CLATTN_ARG_LOCAL ? info->args[i].as.local_bytes : 0;
    if (bytes > context->info.local_memory)
        return clattn_fail(context, CLATTN_ERROR_UNSUPPORTED, "kernel %s/%s: needs %llu bytes of local memory, the device has %llu", info->source, info->kernel, (unsigned long long)bytes, (unsigned long long)context->info.local_memory);
    if (items > program->max_work_group)
        return clattn_fail(context, CLATTN_ERROR_UNSUPPORTED, "kernel %s/%s: needs a work-group of %zu items, %zu are possible", info->source, info->kernel, items, program->max_work_group);
    return CLATTN_OK;
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
    if ((status = check_limits(context, program, info, local))) return status;
    for (int i = 0; i < info->dimensions; i++) global[i] = (info->global[i] + local[i] - 1) / local[i] * local[i];
    cl_event waits[CLATTN_MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    const bool followed = context->out_of_order || (context->trace && context->profiling) || clattn_queue_watches(context);
    const cl_int error = clEnqueueNDRangeKernel(context->queue, program->kernel, (cl_uint)info->dimensions, NULL, global, local, count, count ? waits : NULL, followed ? &event : NULL);
    if (error) return clattn_queue_fail(context, error, "clEnqueueNDRangeKernel");
    program->launched = true;
    if (context->trace) clattn_trace_tell(context, program, info, global, local, event);
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_read(clattn_context *context, const clattn_buffer *buffer, size_t offset, size_t size, void *host) {
    if (size == 0) return clattn_finish(context);
    clattn_queue_watch(context);
    cl_event waits[CLATTN_MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    const cl_int error = clEnqueueReadBuffer(context->queue, buffer->memory, CL_TRUE, offset, size, host, count, count ? waits : NULL, context->out_of_order ? &event : NULL);
    if (error) return clattn_queue_fail(context, error, "clEnqueueReadBuffer");
    clattn_queue_advance(context, event);
    clattn_programs_save_early(context);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_write(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, const void *host) {
    if (size == 0) return CLATTN_OK;
    cl_event waits[CLATTN_MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    const cl_int error = clEnqueueWriteBuffer(context->queue, buffer->memory, CL_TRUE, offset, size, host, count, count ? waits : NULL, context->out_of_order ? &event : NULL);
    if (error) return clattn_queue_fail(context, error, "clEnqueueWriteBuffer");
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

clattn_status clattn_enqueue_fill(clattn_context *context, clattn_buffer *buffer, size_t offset, size_t size, unsigned char value) {
    if (size == 0) return CLATTN_OK;
    cl_event waits[CLATTN_MAX_WAITS], event = NULL;
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    const cl_int error = clEnqueueFillBuffer(context->queue, buffer->memory, &value, 1, offset, size, count, count ? waits : NULL, context->out_of_order ? &event : NULL);
    if (error) return clattn_queue_fail(context, error, "clEnqueueFillBuffer");
    clattn_queue_advance(context, event);
    return CLATTN_OK;
}

/* The error of the last command, which inherits those of the commands before it; known on out-of-order queues. */
static clattn_status check_last(clattn_context *context) {
    cl_int state = CL_COMPLETE;
    if (!context->last || clGetEventInfo(context->last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL) != CL_SUCCESS || state >= 0) return CLATTN_OK;
    clReleaseEvent(context->last);
    context->last = NULL;
    return clattn_fail_driver(context, state, "a command");
}

clattn_status clattn_finish(clattn_context *context) {
    if (!context || !context->opened) return CLATTN_ERROR_ARGUMENT;
    clattn_queue_watch(context);
    const cl_int error = clFinish(context->queue);
    if (error) return clattn_queue_fail(context, error, "clFinish");
    clattn_programs_save_early(context);
    return check_last(context);
}

/* An event of another cl_context would make every later command fail; one that has failed already hangs PoCL 3.1. */
static clattn_status check_event(clattn_context *context, cl_event event) {
    cl_context owner = NULL;
    cl_int state = CL_COMPLETE;
    CL_TRY(context, clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL), "clGetEventInfo");
    if (state < 0) return clattn_fail(context, CLATTN_ERROR_DRIVER, "wait_for: an event has failed with %d (%s)", state, clattn_driver_error_name(state));
    CL_TRY(context, clGetEventInfo(event, CL_EVENT_CONTEXT, sizeof owner, &owner, NULL), "clGetEventInfo");
    return owner == context->context ? CLATTN_OK : clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: an event belongs to another cl_context");
}

clattn_status clattn_opencl_wait_for(clattn_context *context, cl_uint count, const cl_event *events) {
    if (!context || !context->opened) return CLATTN_ERROR_ARGUMENT;
    if (count && !events) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: %u events expected, found NULL", count);
    const cl_uint before = context->pending_count;
    if (count > CLATTN_MAX_WAITS - 1 - before)
        return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: a command can wait for %d events at most, found %u after %u", CLATTN_MAX_WAITS - 1, count, before);
    if (!context->pending) context->pending = malloc(CLATTN_MAX_WAITS * sizeof *context->pending);
    if (!context->pending) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    clattn_status status = CLATTN_OK;
    for (cl_uint i = 0; i < count && !status; i++) {
        status = events[i] ? check_event(context, events[i]) : clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wait_for: event %u is NULL", i);
        if (!status && clRetainEvent(events[i]) == CL_SUCCESS) context->pending[context->pending_count++] = events[i];
    }
    if (status) drop_pending(context, before);
    return status;
}

clattn_status clattn_opencl_event(clattn_context *context, cl_event *event) {
    if (!context || !context->opened || !event) return CLATTN_ERROR_ARGUMENT;
    cl_event waits[CLATTN_MAX_WAITS];
    const cl_uint count = clattn_queue_wait_list(context, waits, CLATTN_MAX_WAITS);
    CL_TRY(context, clEnqueueMarkerWithWaitList(context->queue, count, count ? waits : NULL, event), "clEnqueueMarkerWithWaitList");
    CL_TRY(context, clFlush(context->queue), "clFlush");
    return CLATTN_OK;
}
