/* Programs: one per kernel and set of options, built lazily or loaded from the verified cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "source.h"
#include "system.h"

static const clattn_source *find_source(const char *name) {
    for (size_t i = 0; i < clattn_source_count; i++)
        if (strcmp(clattn_sources[i].name, name) == 0) return &clattn_sources[i];
    return NULL;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash * 31;
}

static char *copied(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

static void program_free(clattn_program *program) {
    if (!program) return;
    if (program->kernel) clReleaseKernel(program->kernel);
    if (program->program) clReleaseProgram(program->program);
    free(program->source);
    free(program->kernel_name);
    free(program->options);
    free(program);
}

/* Oclgrind's binaries overflow the size it announces, so they are never asked for. */
static bool binaries_usable(const clattn_context *context) {
    return context->cache_directory && !strstr(context->info.platform, "Oclgrind");
}

static cl_int make_kernel(clattn_context *context, clattn_program *program) {
    cl_int error;
    program->kernel = clCreateKernel(program->program, program->kernel_name, &error);
    if (error != CL_SUCCESS) return error;
    if (clGetKernelWorkGroupInfo(program->kernel, context->device, CL_KERNEL_WORK_GROUP_SIZE, sizeof program->max_work_group, &program->max_work_group, NULL) != CL_SUCCESS || !program->max_work_group)
        program->max_work_group = 1;
    if (program->max_work_group > context->info.max_work_group) program->max_work_group = context->info.max_work_group; /* masked */
    if (clGetKernelWorkGroupInfo(program->kernel, context->device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof program->local_memory, &program->local_memory, NULL) != CL_SUCCESS) program->local_memory = 0;
    return CL_SUCCESS;
}

static bool load_binary(clattn_context *context, clattn_program *program, const char *key, const char *options) {
    size_t size = 0;
    unsigned char *binary = clattn_cache_load(context, key, &size);
    if (!binary) return false;
    cl_int status = CL_SUCCESS, error = CL_SUCCESS;
    const unsigned char *binaries[1] = { binary };
    program->program = clCreateProgramWithBinary(context->context, 1, &context->device, &size, binaries, &status, &error);
    free(binary);
    if (error == CL_SUCCESS && status == CL_SUCCESS && clBuildProgram(program->program, 1, &context->device, options, NULL, NULL) == CL_SUCCESS && make_kernel(context, program) == CL_SUCCESS) return true;
    clattn_log(context, CLATTN_LOG_WARNING, "the driver refuses the cached binary of %s/%s: building from source", program->source, program->kernel_name);
    if (program->program) clReleaseProgram(program->program);
    program->program = NULL;
    return false;
}

/* The driver's build log in new memory; NULL when it is empty or cannot be had. */
static char *build_log(const clattn_context *context, const clattn_program *program) {
    size_t size = 0;
    if (clGetProgramBuildInfo(program->program, context->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS || size < 2) return NULL;
    char *log = calloc(1, size + 1);
    if (log && clGetProgramBuildInfo(program->program, context->device, CL_PROGRAM_BUILD_LOG, size, log, NULL) == CL_SUCCESS && *log) return log;
    free(log);
    return NULL;
}

static clattn_status fail_build(clattn_context *context, const clattn_program *program, const char *options, cl_int error) {
    char *log = build_log(context, program);
    context->driver_error = error;
    clattn_fail(context, CLATTN_ERROR_BUILD, "%s.cl, kernel %s, options \"%s\": %s\n%.1500s", program->source, program->kernel_name, options, clattn_driver_error_name(error), log ? log : "(no log)");
    free(log);
    return CLATTN_ERROR_BUILD;
}

static void log_warnings(clattn_context *context, const clattn_program *program) {
    char *log = build_log(context, program);
    if (log) clattn_log(context, CLATTN_LOG_DEBUG, "the driver says of %s/%s: %.800s", program->source, program->kernel_name, log);
    free(log);
}

static clattn_status build_source(clattn_context *context, clattn_program *program, const clattn_source *source, const char *options) {
    cl_int error;
    const char *text = (const char *)source->text;
    program->program = clCreateProgramWithSource(context->context, 1, &text, &source->size, &error);
    CL_TRY(context, error, "clCreateProgramWithSource");
    error = clBuildProgram(program->program, 1, &context->device, options, NULL, NULL);
    if (error != CL_SUCCESS) return fail_build(context, program, options, error);
    log_warnings(context, program);
    program->unsaved = binaries_usable(context);
    return CLATTN_OK;
}

#define OPTIONS_SIZE 1024

/* The Intel CPU runtime is made of clang, whose builtin for fetching lines it compiles; common.cl knows PoCL by itself. */
static bool knows_prefetch(const clattn_device_info *info) {
    return info->kind == CLATTN_DEVICE_CPU && strstr(info->platform, "Intel") != NULL;
}

/* False when they do not fit. Kernels for CPUs choose with FEW_REGISTERS how many sums they hold. */
static bool full_options(const clattn_context *context, const clattn_program *program, char text[OPTIONS_SIZE]) {
    const char *registers = clattn_few_registers(&context->info) ? "-DFEW_REGISTERS " : "";
    const char *prefetch = knows_prefetch(&context->info) ? "-DKNOWS_PREFETCH " : "";
    const int length = snprintf(text, OPTIONS_SIZE, "-cl-std=CL1.2 -DKERNEL_%s %s%s%s", program->kernel_name, registers, prefetch, program->options);
    return length > 0 && length < OPTIONS_SIZE;
}

static clattn_status from_source(clattn_context *context, clattn_program *program, const clattn_source *source, const char *options) {
    const clattn_status status = build_source(context, program, source, options);
    if (status) return status;
    CL_TRY(context, make_kernel(context, program), "clCreateKernel");
    return CLATTN_OK;
}

/* Free it. NULL without memory. */
static char *key_of(const clattn_context *context, const clattn_program *program, const clattn_source *source, const char *options) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s", program->source, program->kernel_name);
    return clattn_cache_key(context, (const char *)source->text, source->size, name, options);
}

static clattn_status program_make(clattn_context *context, clattn_program *program) {
    const clattn_source *source = find_source(program->source);
    if (!source) return clattn_fail(context, CLATTN_ERROR_BUILD, "no kernel source named %s", program->source);
    char options[OPTIONS_SIZE];
    if (!full_options(context, program, options)) return clattn_fail(context, CLATTN_ERROR_BUILD, "%s.cl, kernel %s: build options of %zu bytes are too long", program->source, program->kernel_name, strlen(program->options));
    const double start = clattn_system_seconds();
    char *key = binaries_usable(context) ? key_of(context, program, source, options) : NULL;
    const bool loaded = key && load_binary(context, program, key, options);
    free(key);
    if (!loaded) {
        const clattn_status status = from_source(context, program, source, options);
        if (status) return status;
    }
    clattn_log(context, CLATTN_LOG_DEBUG, "%s %s/%s %s in %.1f ms", loaded ? "loaded" : "built", program->source, program->kernel_name, program->options, 1e3 * (clattn_system_seconds() - start));
    return CLATTN_OK;
}

clattn_status clattn_program_get(clattn_context *context, const char *source, const char *kernel, const char *options, clattn_program **result) {
    const uint64_t hash = hash_text(hash_text(hash_text(1469598103934665603u, source), kernel), options);
    for (clattn_program *program = context->programs; program; program = program->next) {
        if (program->hash != hash || strcmp(program->kernel_name, kernel) || strcmp(program->options, options) || strcmp(program->source, source)) continue;
        *result = program;
        return CLATTN_OK;
    }
    clattn_program *program = calloc(1, sizeof *program);
    if (!program) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    program->hash = hash;
    program->source = copied(source);
    program->kernel_name = copied(kernel);
    program->options = copied(options);
    const bool complete = program->source && program->kernel_name && program->options;
    const clattn_status status = complete ? program_make(context, program) : clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    if (status) {
        program_free(program);
        return status;
    }
    program->next = context->programs;
    *result = context->programs = program;
    return CLATTN_OK;
}

clattn_status clattn_kernel_items(clattn_context *context, const char *source, const char *kernel, const char *options, size_t *items) {
    clattn_program *program;
    const clattn_status status = clattn_program_get(context, source, kernel, options, &program);
    if (!status) *items = program->max_work_group;
    return status;
}

#define MAX_PROGRAM_DEVICES 16

/* New memory with the binary for the context's device, or NULL. A borrowed cl_context may hold several devices, and the
 * driver lists all of them. */
static unsigned char *binary_of(const clattn_context *context, cl_program program, size_t *size) {
    cl_device_id devices[MAX_PROGRAM_DEVICES];
    size_t sizes[MAX_PROGRAM_DEVICES] = { 0 };
    unsigned char *binaries[MAX_PROGRAM_DEVICES] = { NULL };
    cl_uint count = 0, at = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof count, &count, NULL) != CL_SUCCESS || count > MAX_PROGRAM_DEVICES) return NULL;
    if (clGetProgramInfo(program, CL_PROGRAM_DEVICES, count * sizeof devices[0], devices, NULL) != CL_SUCCESS) return NULL;
    while (at < count && devices[at] != context->device) at++;
    if (at == count || clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, count * sizeof sizes[0], sizes, NULL) != CL_SUCCESS || !sizes[at]) return NULL;
    unsigned char *binary = binaries[at] = malloc(sizes[at]);
    *size = sizes[at];
    if (binary && clGetProgramInfo(program, CL_PROGRAM_BINARIES, count * sizeof binaries[0], binaries, NULL) == CL_SUCCESS) return binary;
    free(binary);
    return NULL;
}

/* False where the driver must not be asked now: it stays unsaved. */
static bool program_save(clattn_context *context, clattn_program *program) {
    const clattn_source *source = find_source(program->source);
    char options[OPTIONS_SIZE];
    size_t size = 0;
    if (!clattn_context_hold_alone(context)) return false;
    program->unsaved = false;
    unsigned char *binary = full_options(context, program, options) ? binary_of(context, program->program, &size) : NULL;
    clattn_context_release_alone(context);
    char *key = binary ? key_of(context, program, source, options) : NULL;
    if (key) clattn_cache_store(context, key, binary, size);
    free(binary);
    free(key);
    return true;
}

/* Called after the queue has run dry: drivers that compile at the first launch have done so by then. */
void clattn_programs_save(clattn_context *context) {
    bool any = false;
    if (context->aside) return;
    for (clattn_program *program = context->programs; program; program = program->next) {
        if (program->unsaved && program->launched && program_save(context, program)) any = true;
    }
    if (any) clattn_cache_trim(context);
}

void clattn_kernels_keep(clattn_context *context) {
    clattn_programs_save(context);
}

/* PoCL compiles each kernel once more to give its binary, which would double the time to a first result; its own cache keeps what
 * a killed process has built. */
void clattn_programs_save_early(clattn_context *context) {
    if (!clattn_context_on_pocl(context)) clattn_programs_save(context);
}

void clattn_programs_free(clattn_context *context) {
    while (context->programs) {
        clattn_program *program = context->programs;
        context->programs = program->next;
        program_free(program);
    }
}
