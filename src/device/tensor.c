/* Tensors: creation, host transfers and views. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

size_t clattn_dtype_size(clattn_dtype dtype) {
    switch (dtype) {
    case CLATTN_F32: case CLATTN_I32: return 4;
    case CLATTN_F16: case CLATTN_BF16: return 2;
    case CLATTN_U8: return 1;
    }
    return 0;
}

const char *clattn_dtype_name(clattn_dtype dtype) {
    static const char *const names[] = { "f32", "f16", "bf16", "i32", "u8" };
    return clattn_dtype_size(dtype) ? names[dtype] : "?";
}

int64_t clattn_tensor_count(const clattn_tensor *tensor) {
    int64_t count = 1;
    if (!tensor || tensor->rank > CLATTN_MAX_RANK) return 0;
    for (int i = 0; i < tensor->rank; i++) count *= tensor->shape[i];
    return count;
}

int64_t clattn_tensor_span(const clattn_tensor *tensor) {
    const int64_t limit = INT64_MAX / 64;
    int64_t count = 1, last = 0;
    if (tensor->rank < 0 || tensor->rank > CLATTN_MAX_RANK) return -1;
    for (int i = 0; i < tensor->rank; i++) {
        const int64_t size = tensor->shape[i], stride = tensor->strides[i];
        if (size < 0 || stride < 0) return -1;
        if (size > 1 && (count > limit / size || (stride && size - 1 > (limit - last) / stride))) return -1;
        if (size) count *= size;
        if (size) last += (size - 1) * stride;
    }
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] == 0) return 0;
    return last + 1;
}

static void set_dense_strides(clattn_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
}

static bool is_dense(const clattn_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] > 1 && tensor->strides[i] != stride) return false;
        stride *= tensor->shape[i];
    }
    return true;
}

static clattn_status set_shape(clattn_context *context, clattn_tensor *tensor, clattn_dtype dtype, int rank, const int64_t *shape) {
    const int64_t size = (int64_t)clattn_dtype_size(dtype);
    if (!size) return clattn_fail(context, CLATTN_ERROR_TYPE, "tensor: unknown dtype %d", (int)dtype);
    if (rank < 0 || rank > CLATTN_MAX_RANK) return clattn_fail(context, CLATTN_ERROR_SHAPE, "tensor: rank %d is outside 0..%d", rank, CLATTN_MAX_RANK);
    if (rank && !shape) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "tensor: shape is NULL");
    *tensor = (clattn_tensor){ .dtype = dtype, .rank = rank };
    int64_t limit = INT64_MAX / 16 / size;
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return clattn_fail(context, CLATTN_ERROR_SHAPE, "tensor: size %lld of axis %d is negative", (long long)shape[i], i);
        if (shape[i] > 0 && (limit /= shape[i]) == 0) return clattn_fail(context, CLATTN_ERROR_SHAPE, "tensor: the sizes' product overflows at axis %d (%lld)", i, (long long)shape[i]);
        tensor->shape[i] = shape[i];
    }
    set_dense_strides(tensor);
    return CLATTN_OK;
}

clattn_status clattn_tensor_create(clattn_context *context, clattn_tensor *tensor, clattn_dtype dtype, int rank, const int64_t *shape, const void *host) {
    if (!tensor) return CLATTN_ERROR_ARGUMENT;
    clattn_tensor made;
    clattn_status status = !context || !context->opened ? CLATTN_ERROR_ARGUMENT : set_shape(context, &made, dtype, rank, shape);
    *tensor = (clattn_tensor){ 0 }; /* only now: `shape` may be its own */
    if (status) return status;
    const size_t size = (size_t)clattn_tensor_count(&made) * clattn_dtype_size(dtype);
    if ((status = clattn_buffer_new(context, size, &made.buffer))) return status;
    if (host && (status = clattn_enqueue_write(context, made.buffer, 0, size, host))) {
        clattn_buffer_release(made.buffer);
        return status;
    }
    *tensor = made;
    return CLATTN_OK;
}

/* What a cl_mem is: a buffer of this cl_context, its size, and the memory it is cut from. */
static clattn_status look_at_memory(clattn_context *context, cl_mem memory, clattn_buffer *found) {
    cl_context owner = NULL;
    cl_mem_object_type type = 0;
    CL_TRY(context, clGetMemObjectInfo(memory, CL_MEM_CONTEXT, sizeof owner, &owner, NULL), "clGetMemObjectInfo");
    if (owner != context->context) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wrap: the cl_mem belongs to another cl_context");
    CL_TRY(context, clGetMemObjectInfo(memory, CL_MEM_TYPE, sizeof type, &type, NULL), "clGetMemObjectInfo");
    if (type != CL_MEM_OBJECT_BUFFER) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wrap: the cl_mem is not a buffer (type 0x%x)", (unsigned)type);
    CL_TRY(context, clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof found->size, &found->size, NULL), "clGetMemObjectInfo");
    CL_TRY(context, clGetMemObjectInfo(memory, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof found->root, &found->root, NULL), "clGetMemObjectInfo");
    if (found->root) CL_TRY(context, clGetMemObjectInfo(memory, CL_MEM_OFFSET, sizeof found->root_offset, &found->root_offset, NULL), "clGetMemObjectInfo");
    else found->root = memory;
    return CLATTN_OK;
}

static clattn_status set_view(clattn_context *context, clattn_tensor *view, size_t size, const int64_t *strides, int64_t offset) {
    for (int i = 0; i < view->rank && strides; i++) {
        if (strides[i] < 0) return clattn_fail(context, CLATTN_ERROR_SHAPE, "wrap: stride %lld of axis %d is negative", (long long)strides[i], i);
        view->strides[i] = strides[i];
    }
    const int64_t room = (int64_t)(size / clattn_dtype_size(view->dtype)), span = clattn_tensor_span(view);
    if (span < 0) return clattn_fail(context, CLATTN_ERROR_SHAPE, "wrap: the strides reach beyond any memory");
    if (offset < 0 || offset > room || span > room - offset)
        return clattn_fail(context, CLATTN_ERROR_SHAPE, "wrap: %lld elements from offset %lld do not fit a cl_mem of %lld elements", (long long)span, (long long)offset, (long long)room);
    view->offset = offset;
    return CLATTN_OK;
}

static clattn_status wrap(clattn_context *context, clattn_tensor *view, cl_mem memory, const int64_t *strides, int64_t offset) {
    clattn_buffer found = { 0 };
    clattn_status status = look_at_memory(context, memory, &found);
    if (!status) status = set_view(context, view, found.size, strides, offset);
    if (status) return status;
    clattn_buffer *buffer = clattn_buffer_around(context, memory, found.size);
    if (!buffer) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    buffer->root = found.root;
    buffer->root_offset = found.root_offset;
    buffer->borrowed = true;
    const cl_int error = clRetainMemObject(memory);
    if (error) buffer->memory = NULL;
    if (error) clattn_buffer_release(buffer);
    else view->buffer = buffer;
    return error ? clattn_fail_driver(context, error, "clRetainMemObject") : CLATTN_OK;
}

clattn_status clattn_tensor_wrap(clattn_context *context, clattn_tensor *tensor, cl_mem memory, clattn_dtype dtype, int rank, const int64_t *shape, const int64_t *strides, int64_t offset) {
    if (!tensor) return CLATTN_ERROR_ARGUMENT;
    clattn_tensor made;
    clattn_status status = !context || !context->opened ? CLATTN_ERROR_ARGUMENT : memory ? set_shape(context, &made, dtype, rank, shape) : clattn_fail(context, CLATTN_ERROR_ARGUMENT, "wrap: the cl_mem is NULL");
    if (!status) status = wrap(context, &made, memory, strides, offset);
    *tensor = status ? (clattn_tensor){ 0 } : made;
    return status;
}

void clattn_tensor_free(clattn_tensor *tensor) {
    if (!tensor) return;
    clattn_buffer_release(tensor->buffer);
    *tensor = (clattn_tensor){ 0 };
}

/* Copies between C order and the tensor's strides within a span of host memory. */
static void copy_strided(const clattn_tensor *tensor, char *dense, char *span, bool to_dense) {
    const size_t size = clattn_dtype_size(tensor->dtype);
    const int64_t count = clattn_tensor_count(tensor);
    int64_t index[CLATTN_MAX_RANK] = { 0 };
    for (int64_t n = 0; n < count; n++, dense += size) {
        int64_t at = 0;
        for (int i = 0; i < tensor->rank; i++) at += index[i] * tensor->strides[i];
        char *element = span + (size_t)at * size;
        if (to_dense) memcpy(dense, element, size);
        else memcpy(element, dense, size);
        for (int i = tensor->rank - 1; i >= 0 && ++index[i] == tensor->shape[i]; i--) index[i] = 0;
    }
}

static clattn_status check_transfer(clattn_context *context, const clattn_tensor *tensor, const void *host, const char *call) {
    if (!context || !context->opened) return CLATTN_ERROR_ARGUMENT;
    if (!tensor || !tensor->buffer) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "%s: the tensor has no buffer", call);
    if (tensor->buffer->context != context) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "%s: the tensor belongs to another context", call);
    const size_t size = clattn_dtype_size(tensor->dtype);
    if (!size || tensor->rank < 0 || tensor->rank > CLATTN_MAX_RANK) return clattn_fail(context, CLATTN_ERROR_SHAPE, "%s: the tensor has dtype %d and rank %d", call, (int)tensor->dtype, tensor->rank);
    const int64_t room = (int64_t)(tensor->buffer->size / size), span = clattn_tensor_span(tensor);
    if (span < 0) return clattn_fail(context, CLATTN_ERROR_SHAPE, "%s: a size or stride is negative or beyond any memory", call);
    if (tensor->offset < 0 || (span && span > room - tensor->offset))
        return clattn_fail(context, CLATTN_ERROR_SHAPE, "%s: the tensor reaches past its buffer: %lld elements from offset %lld, room for %lld", call, (long long)span, (long long)tensor->offset, (long long)room);
    if (!host && span) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "%s: host memory is NULL", call);
    return CLATTN_OK;
}

/* From this many bytes between its slices on, a tensor goes slice by slice: what lies between is not moved. */
#define APART ((int64_t)1 << 20)

static bool slices_apart(const clattn_tensor *tensor) {
    return tensor->rank > 0 && tensor->shape[0] > 1 && tensor->strides[0] >= APART / (int64_t)clattn_dtype_size(tensor->dtype);
}

static clattn_tensor slice_of(const clattn_tensor *tensor, int64_t index) {
    clattn_tensor slice = *tensor;
    slice.rank--;
    slice.offset += index * tensor->strides[0];
    for (int i = 0; i < slice.rank; i++) {
        slice.shape[i] = tensor->shape[i + 1];
        slice.strides[i] = tensor->strides[i + 1];
    }
    return slice;
}

static clattn_status read_slices(clattn_context *context, const clattn_tensor *tensor, char *host) {
    clattn_status status = CLATTN_OK;
    for (int64_t i = 0; i < tensor->shape[0] && !status; i++) {
        const clattn_tensor slice = slice_of(tensor, i);
        status = clattn_tensor_read(context, &slice, host + (size_t)(i * clattn_tensor_count(&slice)) * clattn_dtype_size(tensor->dtype));
    }
    return status;
}

static clattn_status write_slices(clattn_context *context, const clattn_tensor *tensor, const char *host) {
    clattn_status status = CLATTN_OK;
    for (int64_t i = 0; i < tensor->shape[0] && !status; i++) {
        const clattn_tensor slice = slice_of(tensor, i);
        status = clattn_tensor_write(context, &slice, host + (size_t)(i * clattn_tensor_count(&slice)) * clattn_dtype_size(tensor->dtype));
    }
    return status;
}

clattn_status clattn_tensor_read(clattn_context *context, const clattn_tensor *tensor, void *host) {
    clattn_status status = check_transfer(context, tensor, host, "read");
    if (status) return status;
    const size_t size = clattn_dtype_size(tensor->dtype), offset = (size_t)tensor->offset * size;
    const size_t bytes = (size_t)clattn_tensor_span(tensor) * size;
    if (is_dense(tensor)) return clattn_enqueue_read(context, tensor->buffer, offset, bytes, host);
    if (slices_apart(tensor)) return read_slices(context, tensor, host);
    char *span = malloc(bytes ? bytes : 1);
    if (!span) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "read: out of host memory (%zu bytes)", bytes);
    status = clattn_enqueue_read(context, tensor->buffer, offset, bytes, span);
    if (!status) copy_strided(tensor, host, span, true);
    free(span);
    return status;
}

clattn_status clattn_tensor_write(clattn_context *context, const clattn_tensor *tensor, const void *host) {
    clattn_status status = check_transfer(context, tensor, host, "write");
    if (status) return status;
    if (tensor->buffer->frozen) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "write: the tensor is frozen; thaw it first");
    const size_t size = clattn_dtype_size(tensor->dtype), offset = (size_t)tensor->offset * size;
    const size_t bytes = (size_t)clattn_tensor_span(tensor) * size;
    if (is_dense(tensor)) return clattn_enqueue_write(context, tensor->buffer, offset, bytes, host);
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->strides[i] == 0 && tensor->shape[i] > 1) return clattn_fail(context, CLATTN_ERROR_SHAPE, "write: axis %d is broadcast (stride 0)", i);
    if (slices_apart(tensor)) return write_slices(context, tensor, host);
    const size_t dense = (size_t)clattn_tensor_count(tensor) * size;
    char *span = malloc(bytes ? bytes : 1), *copy = malloc(dense ? dense : 1);
    status = span && copy ? clattn_enqueue_read(context, tensor->buffer, offset, bytes, span) : clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "write: out of host memory (%zu bytes)", bytes);
    if (!status) {
        /* copy_strided writes only to `span` in this direction. */
        memcpy(copy, host, dense);
        copy_strided(tensor, copy, span, false);
        status = clattn_enqueue_write(context, tensor->buffer, offset, bytes, span);
    }
    free(span);
    free(copy);
    return status;
}

clattn_tensor clattn_tensor_transposed(const clattn_tensor *tensor, const int *axes) {
    if (!tensor || tensor->rank < 0 || tensor->rank > CLATTN_MAX_RANK || (tensor->rank && !axes)) return (clattn_tensor){ 0 };
    clattn_tensor view = *tensor;
    unsigned seen = 0;
    for (int i = 0; i < tensor->rank; i++) {
        if (axes[i] < 0 || axes[i] >= tensor->rank || (seen & 1u << axes[i])) return (clattn_tensor){ 0 };
        seen |= 1u << axes[i];
        view.shape[i] = tensor->shape[axes[i]];
        view.strides[i] = tensor->strides[axes[i]];
    }
    return view;
}

clattn_tensor clattn_tensor_sliced(const clattn_tensor *tensor, int axis, int64_t start, int64_t length) {
    if (!tensor || axis < 0 || axis >= tensor->rank || axis >= CLATTN_MAX_RANK || start < 0 || length < 0 || start > tensor->shape[axis] || length > tensor->shape[axis] - start) return (clattn_tensor){ 0 };
    clattn_tensor view = *tensor;
    if (length) view.offset += start * tensor->strides[axis]; /* an empty view does not point past the end */
    view.shape[axis] = length;
    return view;
}

clattn_tensor clattn_tensor_reshaped(const clattn_tensor *tensor, int rank, const int64_t *shape) {
    if (!tensor || rank < 0 || rank > CLATTN_MAX_RANK || (rank && !shape) || tensor->rank < 0 || tensor->rank > CLATTN_MAX_RANK || !is_dense(tensor)) return (clattn_tensor){ 0 };
    clattn_tensor view = { .buffer = tensor->buffer, .offset = tensor->offset, .dtype = tensor->dtype, .rank = rank };
    for (int i = 0; i < rank; i++) view.shape[i] = shape[i];
    if (clattn_tensor_span(&view) < 0 || clattn_tensor_count(&view) != clattn_tensor_count(tensor)) return (clattn_tensor){ 0 };
    set_dense_strides(&view);
    return view;
}
