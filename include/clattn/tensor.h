/* clattn/tensor.h - tensors in device memory.
 *
 * A tensor is a small value: a reference to a buffer, and where and how its elements lie there. Copying the struct makes
 * another view of the same buffer (without a reference of its own: free the original last, and once).
 * Element (i0, i1, ...) is at offset + i0*strides[0] + i1*strides[1] + ..., counted in elements. Strides of inputs may be
 * zero (broadcast), never negative. Rank <= 8; a size of 0 is legal. Floats are stored as f32, f16 or bf16; masks as u8
 * (non-zero = true), ids and lengths as i32. */
#ifndef CLATTN_TENSOR_H
#define CLATTN_TENSOR_H

#include <clattn/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLATTN_MAX_RANK 8

typedef enum clattn_dtype {
    CLATTN_F32,
    CLATTN_F16,
    CLATTN_BF16,
    CLATTN_I32,
    CLATTN_U8 /* booleans and masks: non-zero = true */
} clattn_dtype;

typedef struct clattn_buffer clattn_buffer;

/* See above. All zeros: a cleared tensor. */
typedef struct clattn_tensor {
    clattn_buffer *buffer; /* NULL: a cleared tensor */
    int64_t offset; /* of the first element, in elements */
    clattn_dtype dtype; /* of every element */
    int rank; /* 0 .. CLATTN_MAX_RANK */
    int64_t shape[CLATTN_MAX_RANK]; /* sizes, 0 or more */
    int64_t strides[CLATTN_MAX_RANK]; /* in elements */
} clattn_tensor;

/* Bytes of one element; 0 for a value outside the enum. */
CLATTN_API size_t clattn_dtype_size(clattn_dtype dtype);
/* "f32"; "?" for a value outside the enum. */
CLATTN_API const char *clattn_dtype_name(clattn_dtype dtype);
/* Host conversions between f32 and a float storage type (f32, f16, bf16), rounding to nearest even. */
CLATTN_API void clattn_floats_store(clattn_dtype dtype, const float *from, void *to, int64_t count);
CLATTN_API void clattn_floats_load(clattn_dtype dtype, const void *from, float *to, int64_t count);

/* The number of elements: the product of the shape (1 for rank 0). */
CLATTN_API int64_t clattn_tensor_count(const clattn_tensor *tensor);

/* Makes a dense (C order) tensor. `host` NULL: contents undefined; else its elements are copied in and the memory may be
 * reused when the call returns. Free it with clattn_tensor_free. */
CLATTN_API clattn_status clattn_tensor_create(clattn_context *context, clattn_tensor *tensor, clattn_dtype dtype, int rank, const int64_t *shape, const void *host);

/* Drops the tensor's reference on its buffer and clears the struct. Work already enqueued still sees the memory.
 * Accepts NULL and a cleared tensor. */
CLATTN_API void clattn_tensor_free(clattn_tensor *tensor);

/* Copies all elements from the tensor to `host` in C order, whatever the strides; waits for the work enqueued before. */
CLATTN_API clattn_status clattn_tensor_read(clattn_context *context, const clattn_tensor *tensor, void *host);

/* Copies C-order elements from `host` into the tensor (dense tensors and views with positive strides); returns when
 * `host` may be reused. Refused for a frozen tensor. */
CLATTN_API clattn_status clattn_tensor_write(clattn_context *context, const clattn_tensor *tensor, const void *host);

/* Declares that the buffer's contents will not change until it is thawed or freed: operations then keep packed copies
 * of a weight instead of packing it at every call. */
CLATTN_API void clattn_tensor_freeze(clattn_tensor *tensor);
CLATTN_API void clattn_tensor_thaw(clattn_tensor *tensor);

/* Views; no data moves. `axes` is a permutation of 0..rank-1; a view shares its original's buffer and adds no reference.
 * On bad arguments the result is a cleared tensor, which every operation refuses. */
CLATTN_API clattn_tensor clattn_tensor_transposed(const clattn_tensor *tensor, const int *axes);
/* Elements start .. start+length-1 of one axis. */
CLATTN_API clattn_tensor clattn_tensor_sliced(const clattn_tensor *tensor, int axis, int64_t start, int64_t length);
/* The same elements under another shape; only for dense tensors. */
CLATTN_API clattn_tensor clattn_tensor_reshaped(const clattn_tensor *tensor, int rank, const int64_t *shape);

#ifdef __cplusplus
}
#endif
#endif
