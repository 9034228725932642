/* Opening and closing contexts, on clattn's own OpenCL objects or on borrowed ones. */
#include <stdlib.h>
#include <string.h>

#include "clblast.h"
#include "internal.h"
#include "system.h"

#define DEFAULT_CACHE_LIMIT ((uint64_t)256 << 20)

static clattn_status open_own(clattn_context *context, const clattn_open_params *params) {
    const clattn_status status = clattn_device_choose(context, params->device, &context->device);
    if (status) return status;
    cl_int error;
    context->context = clCreateContext(NULL, 1, &context->device, NULL, NULL, &error);
    CL_TRY(context, error, "clCreateContext");
    context->queue = clCreateCommandQueue(context->context, context->device, params->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &error);
    CL_TRY(context, error, "clCreateCommandQueue");
    context->profiling = params->profile;
    context->owned = true;
    return CLATTN_OK;
}

static clattn_status open_borrowed(clattn_context *context, const clattn_opencl_objects *objects) {
    if (!objects->context || !objects->device || !objects->queue)
        return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "open: borrowed OpenCL objects need a context, a device and a queue; found NULL");
    cl_context queue_context;
    cl_device_id queue_device;
    cl_command_queue_properties properties;
    CL_TRY(context, clGetCommandQueueInfo(objects->queue, CL_QUEUE_CONTEXT, sizeof queue_context, &queue_context, NULL), "clGetCommandQueueInfo");
    CL_TRY(context, clGetCommandQueueInfo(objects->queue, CL_QUEUE_DEVICE, sizeof queue_device, &queue_device, NULL), "clGetCommandQueueInfo");
    CL_TRY(context, clGetCommandQueueInfo(objects->queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL), "clGetCommandQueueInfo");
    if (queue_context != objects->context || queue_device != objects->device)
        return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "open: the borrowed queue belongs to another context or device than those given");
    CL_TRY(context, clRetainContext(objects->context), "clRetainContext");
    context->context = objects->context;
    CL_TRY(context, clRetainCommandQueue(objects->queue), "clRetainCommandQueue");
    context->queue = objects->queue;
    context->device = objects->device;
    context->out_of_order = (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0;
    context->profiling = (properties & CL_QUEUE_PROFILING_ENABLE) != 0;
    clattn_device_describe(objects->device, &context->info);
    clattn_log(context, CLATTN_LOG_INFO, "device %s: the application's own (%s queue)", context->info.name, context->out_of_order ? "out-of-order" : "in-order");
    return CLATTN_OK;
}

/* CPU devices run the same kernels as the tests, and their users wait for the start of short programs. On Oclgrind a check
 * takes seconds. (21.10 keeps the kernel that runs in variables of the process: contexts used by several threads at once
 * compute wrongly there, with a check or without; one thread with a second queue does not.) */
static clattn_status choose_self_check(clattn_context *context, clattn_self_check_mode mode) {
    const char *text = mode ? NULL : clattn_system_environment("CLATTN_SELF_CHECK");
    context->self_check = mode ? mode == CLATTN_SELF_CHECK_ON : text ? strcmp(text, "on") == 0 : context->info.kind != CLATTN_DEVICE_CPU && !strstr(context->info.platform, "Oclgrind");
    if (!text || context->self_check || strcmp(text, "off") == 0) return CLATTN_OK;
    return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "CLATTN_SELF_CHECK is \"%.60s\"; expected on or off", text);
}

/* Of items that each begin with a pointer to the next. */
static void free_list(void *first) {
    while (first) {
        void *next = *(void **)first;
        free(first);
        first = next;
    }
}

/* Without memory for its name there is no database of the user's. */
static void choose_tuning(clattn_context *context, const clattn_open_params *params) {
    const char *named = params->tuning_file ? params->tuning_file : clattn_system_environment("CLATTN_TUNING");
    context->tuning.off = params->no_tuning || (!params->tuning_file && named && strcmp(named, "off") == 0);
    if (context->tuning.off) return;
    context->tuning.named = named != NULL;
    context->tuning.file = clattn_tuning_file(named, context->cache_directory);
}

bool clattn_context_on_pocl(const clattn_context *context) {
    return strstr(context->info.platform, "Portable Computing") != NULL;
}

/* Contexts open on PoCL, under the process's lock. When one thread asks PoCL 3.1 for the binary of a kernel while another launches
 * the same kernel, even in another cl_context, PoCL can fail an assertion of its own (pocl_release_dlhandle_cache) and end the
 * process. */
static size_t open_on_pocl;

static void count(clattn_context *context, bool open) {
    if (open ? !clattn_context_on_pocl(context) : !context->counted) return;
    clattn_system_lock();
    context->counted = open;
    if (open) open_on_pocl++;
    else open_on_pocl--;
    clattn_system_unlock();
}

bool clattn_context_hold_alone(const clattn_context *context) {
    if (!context->counted) return true;
    clattn_system_lock();
    if (open_on_pocl == 1) return true;
    clattn_system_unlock();
    return false;
}

void clattn_context_release_alone(const clattn_context *context) {
    if (context->counted) clattn_system_unlock();
}

clattn_status clattn_open(clattn_context **result, const clattn_open_params *params) {
    static const clattn_open_params defaults = { 0 };
    if (!result) return CLATTN_ERROR_ARGUMENT;
    if (!params) params = &defaults;
    clattn_context *context = *result = calloc(1, sizeof *context);
    if (!context) return CLATTN_ERROR_OUT_OF_MEMORY;
    context->log = params->log;
    context->log_user = params->log_user;
    clattn_status status = params->opencl ? open_borrowed(context, params->opencl) : open_own(context, params);
    if (!status) status = clattn_caps_apply(context, params->caps);
    if (!status) status = choose_self_check(context, params->self_check);
    if (status) return status;
    if (!params->no_cache) context->cache_directory = clattn_cache_directory(params->cache_directory);
    context->cache_limit = params->cache_limit ? params->cache_limit : DEFAULT_CACHE_LIMIT;
    choose_tuning(context, params);
    count(context, true);
    context->opened = true;
    return CLATTN_OK;
}

void clattn_close(clattn_context **pointer) {
    if (!pointer || !*pointer) return;
    clattn_context *context = *pointer;
    *pointer = NULL;
    if (context->queue && context->opened) {
        clFinish(context->queue);
        clattn_programs_save(context);
    }
    clattn_programs_free(context);
    clattn_gemm_forget(context);
    clattn_buffers_orphan(context);
    clattn_buffers_trim(context);
    for (cl_uint i = 0; i < context->pending_count; i++) clReleaseEvent(context->pending[i]);
    free(context->pending);
    if (context->last) clReleaseEvent(context->last);
    if (context->queue) clReleaseCommandQueue(context->queue);
    count(context, false);
    if (context->context) clReleaseContext(context->context);
    free_list(context->checks);
    free_list(context->tuning.settings);
    free_list(context->tuning.forced);
    free(context->tuning.file);
    free(context->cache_directory);
    free(context);
}

const char *clattn_message(const clattn_context *context) {
    return context ? context->message : clattn_status_text(CLATTN_ERROR_OUT_OF_MEMORY);
}

int clattn_driver_error(const clattn_context *context) {
    return context ? context->driver_error : 0;
}

const clattn_device_info *clattn_context_device(const clattn_context *context) {
    return context && context->opened ? &context->info : NULL;
}

clattn_opencl_objects clattn_opencl_get(const clattn_context *context) {
    if (!context) return (clattn_opencl_objects){ 0 };
    return (clattn_opencl_objects){ .context = context->context, .device = context->device, .queue = context->queue };
}

const char *clattn_version(void) {
    return CLATTN_VERSION;
}
