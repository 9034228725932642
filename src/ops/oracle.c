/* Running a reference on device tensors, and comparing with it. */
#include "check.h"
#include "dims.h"

#include <stdlib.h>

/* A host copy of one tensor as doubles. */
typedef struct host_tensor {
    clattn_tensor tensor;
    double *values;
} host_tensor;

#define MAX_HOST_TENSORS 48

typedef struct host_tensors {
    host_tensor items[MAX_HOST_TENSORS];
    int count;
} host_tensors;

static void host_free(host_tensors *list) {
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].tensor.buffer); /* a host buffer is one allocation */
        free(list->items[i].values);
    }
    list->count = 0;
}

static void widen(clattn_dtype dtype, const void *raw, double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float value;
        if (dtype == CLATTN_I32) values[i] = (double)((const int32_t *)raw)[i];
        else if (dtype == CLATTN_U8) values[i] = (double)(((const uint8_t *)raw)[i] != 0);
        else {
            clattn_floats_load(dtype, (const char *)raw + (size_t)i * clattn_dtype_size(dtype), &value, 1);
            values[i] = (double)value;
        }
    }
}

static void set_dense(clattn_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
    tensor->offset = 0;
}

static host_tensor *host_add(host_tensors *list, const clattn_tensor *like, double *values) {
    host_tensor *host = &list->items[list->count];
    host->tensor = *like;
    set_dense(&host->tensor);
    host->tensor.buffer = clattn_buffer_host(values);
    if (!host->tensor.buffer) return NULL;
    list->count++;
    return host;
}

static clattn_status fetch(clattn_call *call, host_tensors *list, const clattn_tensor *tensor, const clattn_tensor **host) {
    const size_t count = (size_t)clattn_tensor_count(tensor);
    if (list->count == MAX_HOST_TENSORS) return clattn_call_fail(call, CLATTN_ERROR_OUT_OF_MEMORY, "too many tensors for the reference");
    void *raw = malloc(count * clattn_dtype_size(tensor->dtype) + 1);
    double *values = malloc((count + 1) * sizeof *values);
    host_tensor *made = raw && values ? host_add(list, tensor, values) : NULL;
    if (!made) {
        free(raw);
        free(values);
        return clattn_call_fail(call, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory for the reference");
    }
    made->values = values;
    const clattn_status status = clattn_tensor_read(call->context, tensor, raw);
    if (!status) widen(tensor->dtype, raw, values, (int64_t)count);
    free(raw);
    *host = &made->tensor;
    return status;
}

static clattn_status fetch_field(clattn_call *call, host_tensors *list, const clattn_field *field, void *args) {
    const int count = clattn_field_tensors(field, args);
    for (int i = 0; i < count; i++) {
        const clattn_tensor *host = NULL;
        const clattn_status status = fetch(call, list, clattn_field_tensor(field, args, i), &host);
        if (status) return status;
        clattn_field_put(field, args, i, host);
    }
    return CLATTN_OK;
}

/* Outputs write straight into the caller's arrays. */
static clattn_status place_output(clattn_call *call, host_tensors *list, const clattn_field *field, void *args, double *values) {
    const clattn_tensor *tensor = clattn_field_tensor(field, args, 0);
    if (!tensor || !values) {
        clattn_field_put(field, args, 0, NULL);
        return CLATTN_OK;
    }
    const host_tensor *made = list->count < MAX_HOST_TENSORS ? host_add(list, tensor, values) : NULL;
    if (!made) return clattn_call_fail(call, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory for the reference");
    clattn_field_put(field, args, 0, &made->tensor);
    return CLATTN_OK;
}

static clattn_status to_host(clattn_call *call, host_tensors *list, void *args, double *const *results) {
    size_t output = 0;
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        clattn_status status = CLATTN_OK;
        if (field->kind == CLATTN_FIELD_INPUT) status = fetch_field(call, list, field, args);
        else if (field->kind == CLATTN_FIELD_OUTPUT) status = place_output(call, list, field, args, results[output++]);
        if (status) return status;
    }
    return CLATTN_OK;
}

clattn_status clattn_op_reference(clattn_context *context, const clattn_op *op, const void *args, double *const *results, clattn_bounds *bounds) {
    _Alignas(16) char copy[1024];
    host_tensors list = { .count = 0 };
    clattn_bounds unused = { 0 };
    if (!context || !clattn_context_device(context) || !op || !args || !results) return CLATTN_ERROR_ARGUMENT;
    if (!bounds) bounds = &unused;
    *bounds = (clattn_bounds){ 0 };
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    clattn_status status = clattn_check_inputs(&call, copy, false);
    if (!status) status = clattn_check_outputs(&call, copy, true);
    /* Then again on host tensors: sizes are bound to those that the reference sees. */
    memcpy(copy, args, op->args_size);
    call = (clattn_call){ .context = context, .op = op };
    if (!status) status = to_host(&call, &list, copy, results);
    if (!status) status = clattn_check_inputs(&call, copy, false);
    if (!status) op->code->reference(&call, copy, bounds);
    host_free(&list);
    return status;
}

/* ---- Comparing ---- */

static bool within(double found, double expected, double rtol, double atol) {
    if (isnan(expected) || isnan(found)) return isnan(expected) && isnan(found);
    if (isinf(expected) || isinf(found)) return found == expected;
    return fabs(found - expected) <= atol + rtol * fabs(expected);
}

static double largest(const double *values, int64_t count) {
    double a = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs(values[i]) > a) a = fabs(values[i]);
    return a;
}

clattn_comparison clattn_compare(const float *found, clattn_dtype storage, const double *expected, int64_t count, const clattn_bounds *bounds) {
    const clattn_bounds none = { 0 };
    if (!bounds) bounds = &none;
    clattn_comparison result = { .ok = true, .worst = count ? 0 : -1 };
    const double unit = ldexp(1, -24), a = largest(expected, count), rtol = storage == CLATTN_F16 ? 2e-3 : storage == CLATTN_BF16 ? 1.6e-2 : 1e-5;
    const double share = storage == CLATTN_F16 ? 1e-3 : storage == CLATTN_BF16 ? 1e-2 : 3e-6;
    const double atol = fmax(share, bounds->share) * a + 4 * unit * bounds->score * a + 8 * unit * bounds->sum;
    double worst = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        const double f = (double)found[i], e = expected[i];
        const bool finite = isfinite(f) && isfinite(e), good = within(f, e, rtol, atol);
        const double error = finite ? fabs(f - e) : 0;
        if (error > result.max_abs) result.max_abs = error;
        if (finite && e != 0 && error / fabs(e) > result.max_rel) result.max_rel = error / fabs(e);
        /* How far outside the tolerance; a wrong infinity or NaN is furthest. */
        const double excess = finite ? error - (atol + rtol * fabs(e)) : good ? -INFINITY : INFINITY;
        if (excess > worst) {
            worst = excess;
            result.worst = i;
        }
        result.ok = result.ok && good;
    }
    return result;
}
