/* Device memory: a pool of idle buffers, counted references, and the packed forms kept with frozen weights. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Sizes are rounded up to an eighth of their power of two, so that similar requests share buffers. */
static size_t rounded(size_t size) {
    size_t step = 256;
    while (step * 16 <= size) step *= 2;
    return size <= 256 ? 256 : (size + step - 1) / step * step;
}

static clattn_buffer *take_idle(clattn_context *context, size_t size) {
    for (clattn_buffer **link = &context->idle; *link; link = &(*link)->next) {
        if ((*link)->size != size) continue;
        clattn_buffer *buffer = *link;
        *link = buffer->next;
        context->idle_bytes -= size;
        return buffer;
    }
    return NULL;
}

static void link_used(clattn_context *context, clattn_buffer *buffer) {
    buffer->previous = NULL;
    buffer->next = context->used;
    if (buffer->next) buffer->next->previous = buffer;
    context->used = buffer;
}

static void unlink_used(clattn_context *context, clattn_buffer *buffer) {
    if (buffer->next) buffer->next->previous = buffer->previous;
    if (buffer->previous) buffer->previous->next = buffer->next;
    else context->used = buffer->next;
    buffer->next = buffer->previous = NULL;
}

clattn_buffer *clattn_buffer_around(clattn_context *context, cl_mem memory, size_t size) {
    clattn_buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer) return NULL;
    *buffer = (clattn_buffer){ .context = context, .memory = memory, .root = memory, .size = size, .references = 1 };
    link_used(context, buffer);
    return buffer;
}

/* When the device is full, idle memory goes back to the driver first. No wait: the queue may stand before an event that
 * only the caller can set. */
static cl_mem allocate(clattn_context *context, size_t size, cl_int *error) {
    cl_mem memory = clCreateBuffer(context->context, CL_MEM_READ_WRITE, size, NULL, error);
    if (*error == CL_SUCCESS || !context->idle) return memory;
    clattn_buffers_trim(context);
    return clCreateBuffer(context->context, CL_MEM_READ_WRITE, size, NULL, error);
}

static clattn_status make_buffer(clattn_context *context, size_t size, clattn_buffer **result) {
    cl_int error = CL_SUCCESS;
    cl_mem memory = allocate(context, size, &error);
    if (error != CL_SUCCESS) return clattn_fail_driver(context, error, "clCreateBuffer");
    clattn_pages_enlarge(context, memory, size);
    *result = clattn_buffer_around(context, memory, size);
    if (*result) return CLATTN_OK;
    clReleaseMemObject(memory);
    return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
}

clattn_status clattn_buffer_new(clattn_context *context, size_t size, clattn_buffer **result) {
    *result = NULL;
    const uint64_t largest = context->info.max_allocation;
    if (largest && size > largest)
        return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "a buffer of %zu bytes exceeds the device's largest allocation of %llu", size, (unsigned long long)largest);
    if (!largest || rounded(size) <= largest) size = rounded(size);
    clattn_buffer *buffer = take_idle(context, size);
    if (!buffer) return make_buffer(context, size, result);
    buffer->references = 1;
    link_used(context, buffer);
    *result = buffer;
    return CLATTN_OK;
}

static void drop_packed(clattn_buffer *buffer) {
    while (buffer->packed) {
        clattn_packed_form *form = buffer->packed;
        buffer->packed = form->next;
        clattn_buffer_release(form->buffer);
        free(form->key);
        free(form);
    }
}

clattn_buffer *clattn_buffer_retain(clattn_buffer *buffer) {
    if (buffer) buffer->references++;
    return buffer;
}

/* Idle memory may take up to an eighth of the device's; beyond that it goes back to the driver. */
static bool pool_has_room(const clattn_context *context, size_t size) {
    return context->idle_bytes + size <= context->info.global_memory / 8;
}

void clattn_buffer_release(clattn_buffer *buffer) {
    if (!buffer || --buffer->references > 0) return;
    drop_packed(buffer);
    clattn_context *context = buffer->context;
    if (context) unlink_used(context, buffer);
    if (context && !buffer->borrowed && pool_has_room(context, buffer->size)) {
        buffer->frozen = false;
        buffer->next = context->idle;
        context->idle = buffer;
        context->idle_bytes += buffer->size;
        return;
    }
    /* The driver keeps the memory until the commands that use it are done. */
    if (buffer->memory) clReleaseMemObject(buffer->memory);
    free(buffer);
}

void clattn_buffers_trim(clattn_context *context) {
    while (context->idle) {
        clattn_buffer *buffer = context->idle;
        context->idle = buffer->next;
        clReleaseMemObject(buffer->memory);
        free(buffer);
    }
    context->idle_bytes = 0;
}

void clattn_buffers_orphan(clattn_context *context) {
    size_t count = 0;
    for (clattn_buffer *buffer = context->used, *next; buffer; buffer = next, count++) {
        next = buffer->next;
        buffer->context = NULL;
        buffer->next = buffer->previous = NULL;
    }
    context->used = NULL;
    if (count) clattn_log(context, CLATTN_LOG_WARNING, "close: %zu buffer(s) of tensors that were not freed", count);
}

size_t clattn_buffer_size(const clattn_buffer *buffer) {
    return buffer->size;
}

bool clattn_buffer_frozen(const clattn_buffer *buffer) {
    return buffer->frozen;
}

clattn_context *clattn_buffer_context(const clattn_buffer *buffer) {
    return buffer->context;
}

bool clattn_buffer_same_memory(const clattn_buffer *a, const clattn_buffer *b, int64_t *distance) {
    *distance = (int64_t)b->root_offset - (int64_t)a->root_offset;
    return a == b || (a->root && a->root == b->root);
}

clattn_buffer *clattn_buffer_host(double *values) {
    clattn_buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer) return NULL;
    buffer->references = 1;
    buffer->host = values;
    return buffer;
}

double *clattn_buffer_host_values(const clattn_buffer *buffer) {
    return buffer->host;
}

clattn_buffer *clattn_buffer_packed(const clattn_buffer *buffer, const char *key) {
    for (clattn_packed_form *form = buffer->packed; form; form = form->next)
        if (strcmp(form->key, key) == 0) return form->buffer;
    return NULL;
}

void clattn_buffer_forget_packed(clattn_buffer *buffer, const clattn_buffer *packed) {
    for (clattn_packed_form **link = &buffer->packed; *link; link = &(*link)->next) {
        clattn_packed_form *form = *link;
        if (form->buffer != packed) continue;
        *link = form->next;
        clattn_buffer_release(form->buffer);
        free(form->key);
        free(form);
        return;
    }
}

clattn_status clattn_buffer_keep_packed(clattn_buffer *buffer, const char *key, clattn_buffer *packed) {
    clattn_packed_form *form = calloc(1, sizeof *form);
    const size_t size = strlen(key) + 1;
    char *copy = malloc(size);
    if (!form || !copy) {
        free(form);
        free(copy);
        return clattn_fail(buffer->context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    }
    memcpy(copy, key, size);
    *form = (clattn_packed_form){ .next = buffer->packed, .key = copy, .buffer = clattn_buffer_retain(packed) };
    buffer->packed = form;
    return CLATTN_OK;
}

void clattn_tensor_freeze(clattn_tensor *tensor) {
    if (tensor && tensor->buffer) tensor->buffer->frozen = true;
}

void clattn_tensor_thaw(clattn_tensor *tensor) {
    if (!tensor || !tensor->buffer) return;
    tensor->buffer->frozen = false;
    drop_packed(tensor->buffer);
}

cl_mem clattn_opencl_memory(const clattn_tensor *tensor) {
    return tensor && tensor->buffer ? tensor->buffer->memory : NULL;
}
