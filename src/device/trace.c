/* Telling an application what was launched, and how long it took. */
#include "internal.h"

void clattn_trace(clattn_context *context, clattn_trace_fn trace, void *user) {
    if (!context) return;
    context->trace = trace;
    context->trace_user = user;
}

void clattn_context_memory(const clattn_context *context, uint64_t *used, uint64_t *idle) {
    uint64_t bytes = 0;
    for (const clattn_buffer *buffer = context ? context->used : NULL; buffer; buffer = buffer->next)
        if (!buffer->borrowed) bytes += buffer->size;
    if (used) *used = bytes;
    if (idle) *idle = context ? context->idle_bytes : 0;
}

/* Negative when the driver does not say. */
static double seconds_of(cl_event event) {
    cl_ulong start = 0, end = 0;
    if (!event || clWaitForEvents(1, &event) != CL_SUCCESS) return -1;
    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) != CL_SUCCESS) return -1;
    if (clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) != CL_SUCCESS || end < start) return -1;
    return 1e-9 * (double)(end - start);
}

static uint64_t kernel_bytes(const clattn_context *context, const clattn_program *program, cl_kernel_work_group_info name) {
    cl_ulong bytes = 0;
    return clGetKernelWorkGroupInfo(program->kernel, context->device, name, sizeof bytes, &bytes, NULL) == CL_SUCCESS ? bytes : 0;
}

/* A buffer that is given twice counts once. */
static uint64_t buffer_bytes(const clattn_launch_info *info) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < info->arg_count; i++) {
        const clattn_buffer *buffer = info->args[i].kind == CLATTN_ARG_BUFFER ? info->args[i].as.memory.buffer : NULL;
        for (size_t k = 0; k < i && buffer; k++)
            if (info->args[k].kind == CLATTN_ARG_BUFFER && info->args[k].as.memory.buffer == buffer) buffer = NULL;
        bytes += buffer ? buffer->size : 0;
    }
    return bytes;
}

void clattn_trace_tell(clattn_context *context, const clattn_program *program, const clattn_launch_info *info, const size_t *global, const size_t *local, cl_event event) {
    clattn_launch_record record = {
        .source = program->source, .kernel = program->kernel_name, .options = program->options,
        .dimensions = info->dimensions, .max_work_group = program->max_work_group,
        .local_memory = kernel_bytes(context, program, CL_KERNEL_LOCAL_MEM_SIZE), .private_memory = kernel_bytes(context, program, CL_KERNEL_PRIVATE_MEM_SIZE),
        .bytes = buffer_bytes(info),
        .seconds = context->profiling ? seconds_of(event) : -1,
    };
    for (int i = 0; i < 3; i++) {
        record.global[i] = i < info->dimensions ? global[i] : 1;
        record.local[i] = i < info->dimensions ? local[i] : 1;
    }
    clattn_context_memory(context, &record.memory_used, NULL);
    context->trace(context->trace_user, &record);
}
