/* Work aside: for a while the context uses an in-order queue and buffers of its own, so that neither the order nor the
 * results of the application's queue change, and nothing waits for what stands in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "source.h"

struct clattn_aside {
    cl_command_queue queue;
    bool out_of_order, profiling, nested;
    cl_event last;
    cl_event *pending;
    cl_uint pending_count;
    clattn_buffer *idle;
    size_t idle_bytes;
    clattn_trace_fn trace;
    cl_int driver_error;
    char message[sizeof ((clattn_context *)NULL)->message];
};

static void keep(const clattn_context *context, clattn_aside *aside) {
    *aside = (clattn_aside){ .queue = context->queue, .out_of_order = context->out_of_order, .profiling = context->profiling, .nested = context->aside, .last = context->last, .pending = context->pending,
        .pending_count = context->pending_count, .idle = context->idle, .idle_bytes = context->idle_bytes, .trace = context->trace, .driver_error = context->driver_error };
    memcpy(aside->message, context->message, sizeof aside->message);
}

clattn_aside *clattn_aside_begin(clattn_context *context) {
    cl_int error;
    clattn_aside *aside = malloc(sizeof *aside);
    cl_command_queue queue = aside ? clCreateCommandQueue(context->context, context->device, 0, &error) : NULL;
    if (!queue) {
        free(aside);
        return NULL;
    }
    keep(context, aside);
    context->queue = queue;
    context->out_of_order = context->profiling = false;
    context->aside = true;
    context->last = NULL;
    context->pending = NULL;
    context->pending_count = 0;
    context->idle = NULL;
    context->idle_bytes = 0;
    context->trace = NULL;
    return aside;
}

void clattn_aside_end(clattn_context *context, clattn_aside *aside) {
    clFinish(context->queue);
    clReleaseCommandQueue(context->queue);
    clattn_buffers_trim(context);
    free(context->pending);
    context->queue = aside->queue;
    context->out_of_order = aside->out_of_order;
    context->profiling = aside->profiling;
    context->aside = aside->nested;
    context->last = aside->last;
    context->pending = aside->pending;
    context->pending_count = aside->pending_count;
    context->idle = aside->idle;
    context->idle_bytes = aside->idle_bytes;
    context->trace = aside->trace;
    context->driver_error = aside->driver_error;
    memcpy(context->message, aside->message, sizeof context->message);
    free(aside);
}

/* ---- What a check found, beside the programs ---- */

static const unsigned char passed[] = "passed";

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

/* Any change of any kernel or example asks for new checks. */
static uint64_t hash_basis(const char *const *examples) {
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < clattn_source_count; i++) hash = hash_bytes(hash, clattn_sources[i].text, clattn_sources[i].size);
    for (; *examples; examples++) hash = hash_bytes(hash, *examples, strlen(*examples) + 1);
    return hash;
}

/* Free it. NULL without memory or cache. The device as the operations see it (masked) decides which examples fit a variant
 * and with which work-groups it runs; the release stands for the code that launches. */
static char *verdict_key(const clattn_context *context, const char *name, const char *const *examples) {
    const clattn_device_info *info = &context->info;
    char seen[256];
    if (!context->cache_directory) return NULL;
    const uint64_t hash = hash_basis(examples);
    snprintf(seen, sizeof seen, "release=%s kind=%d units=%u work-group=%zu local=%llu fp16=%d subgroups=%d vector=%u cache=%llu", CLATTN_VERSION, (int)info->kind, info->compute_units, info->max_work_group, (unsigned long long)info->local_memory, info->fp16, info->subgroups, info->vector_width, (unsigned long long)info->cache);
    return clattn_cache_key(context, (const char *)&hash, sizeof hash, name, seen);
}

bool clattn_verdict_known(clattn_context *context, const char *name, const char *const *examples) {
    size_t size = 0;
    char *key = verdict_key(context, name, examples);
    unsigned char *found = key ? clattn_cache_load(context, key, &size) : NULL;
    const bool known = found && size == sizeof passed && memcmp(found, passed, size) == 0;
    free(found);
    free(key);
    return known;
}

void clattn_verdict_keep(clattn_context *context, const char *name, const char *const *examples) {
    char *key = verdict_key(context, name, examples);
    if (key) clattn_cache_store(context, key, passed, sizeof passed);
    free(key);
}

/* ---- State of the operations ---- */

void **clattn_context_checks(clattn_context *context) {
    return &context->checks;
}

bool clattn_context_checked(const clattn_context *context) {
    return context->self_check;
}

clattn_tuning_state *clattn_context_tuning(clattn_context *context) {
    return &context->tuning;
}

void clattn_kernels_digest(const char *names, char text[17]) {
    uint64_t hash = 1469598103934665603u;
    for (size_t length; *names; names += length + (names[length] == ' ')) {
        length = strcspn(names, " ");
        for (size_t i = 0; i < clattn_source_count; i++)
            if (strlen(clattn_sources[i].name) == length && memcmp(clattn_sources[i].name, names, length) == 0) hash = hash_bytes(hash, clattn_sources[i].text, clattn_sources[i].size);
    }
    snprintf(text, 17, "%016llx", (unsigned long long)hash);
}
