/* The inputs of `clattn op`: from files through host arrays to the device. */
#include "op.h"

#include <stdlib.h>
#include <string.h>

static bool is_float(clattn_file_dtype dtype) {
    return dtype == CLATTN_FILE_F16 || dtype == CLATTN_FILE_BF16 || dtype == CLATTN_FILE_F32 || dtype == CLATTN_FILE_F64;
}

static clattn_file_dtype file_type(const clattn_field *field) {
    return field->element == CLATTN_ELEMENT_INT ? CLATTN_FILE_I32 : field->element == CLATTN_ELEMENT_BOOL ? CLATTN_FILE_U8 : CLATTN_FILE_F32;
}

static clattn_dtype device_type(const op_job *job, const clattn_field *field) {
    return field->element == CLATTN_ELEMENT_INT ? CLATTN_I32 : field->element == CLATTN_ELEMENT_BOOL ? CLATTN_U8 : job->storage;
}

/* ---- Files ---- */

static int refuse_float_mask(const op_job *job, const op_input *input) {
    const bool bias = strcmp(input->name, "mask") == 0 && clattn_op_field(job->op, "bias", false);
    return cli_error("op", "%s: %s (%s) is %s, expected bool or integers (non-zero = true)%s", job->op->name, input->name, input->file, clattn_file_dtype_name(input->array.dtype), bias ? "; a float array to be added to the scores is given as bias" : "");
}

static int read_input(const op_job *job, op_input *input) {
    char message[512];
    clattn_status status = clattn_array_read(&input->array, input->file, message, sizeof message);
    if (status) return cli_error("op", "--in %s: %s", input->name, message), cli_exit_code(status);
    if (input->field->element == CLATTN_ELEMENT_BOOL && is_float(input->array.dtype)) return refuse_float_mask(job, input);
    status = clattn_array_convert(&input->array, file_type(input->field), message, sizeof message);
    if (status) return cli_error("op", "--in %s: %s: %s", input->name, input->file, message), cli_exit_code(status);
    return CLI_DONE;
}

int op_read_inputs(op_job *job) {
    int code = CLI_DONE;
    for (int i = 0; i < job->input_count && !code; i++) code = read_input(job, &job->inputs[i]);
    return code;
}

/* ---- Shapes ---- */

static void shape_input(op_job *job, op_input *input) {
    clattn_tensor *tensor = &input->tensor;
    *tensor = (clattn_tensor){ .dtype = device_type(job, input->field), .rank = input->array.rank };
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->shape[i] = input->array.shape[i];
        tensor->strides[i] = stride;
        stride *= tensor->shape[i];
    }
    const clattn_tensor **slots = (const clattn_tensor **)(void *)((char *)job->args + input->field->offset);
    slots[input->index] = tensor;
}

int op_shape_inputs(op_job *job) {
    for (int i = 0; i < job->input_count; i++) shape_input(job, &job->inputs[i]);
    return CLI_DONE;
}

/* ---- Values ---- */

static void position_text(const clattn_array *array, int64_t at, char *text, size_t size) {
    int64_t index[CLATTN_FILE_MAX_RANK];
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = array->rank - 1; i >= 0; i--) {
        index[i] = at % array->shape[i];
        at /= array->shape[i];
    }
    for (int i = 0; i < array->rank && used < size; i++) used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "," : "", (long long)index[i]);
    if (used < size) snprintf(text + used, size - used, "]");
}

static int check_input_values(const op_job *job, const op_input *input) {
    int64_t low, high;
    const clattn_status status = clattn_op_value_limits(job->context, job->op, job->args, input->field, &low, &high);
    if (status) return cli_failed("op", job->context, status);
    int64_t exception = 0;
    const bool excepted = clattn_op_value_exception(job->op, job->args, input->field, &exception);
    const int32_t *values = input->array.data;
    const int64_t count = clattn_array_count(&input->array);
    for (int64_t i = 0; i < count; i++) {
        if ((values[i] >= low && values[i] <= high) || (excepted && values[i] == exception)) continue;
        char position[200];
        position_text(&input->array, i, position, sizeof position);
        if (high < low) return cli_error("op", "%s: %s (%s) holds %d at %s, but there is nothing to choose from", job->op->name, input->name, input->file, values[i], position);
        return cli_error("op", "%s: %s (%s) holds %d at %s, outside %lld..%lld", job->op->name, input->name, input->file, values[i], position, (long long)low, (long long)high);
    }
    return CLI_DONE;
}

int op_check_values(op_job *job) {
    int code = CLI_DONE;
    for (int i = 0; i < job->input_count && !code; i++)
        if (job->inputs[i].field->element == CLATTN_ELEMENT_INT && job->inputs[i].field->value_limit) code = check_input_values(job, &job->inputs[i]);
    return code;
}

/* ---- The device ---- */

/* Floats become what --set dtype says; everything else is already as the device keeps it. */
static int upload(op_job *job, op_input *input) {
    const int64_t count = clattn_array_count(&input->array);
    const bool converts = input->tensor.dtype == CLATTN_F16 || input->tensor.dtype == CLATTN_BF16;
    void *converted = converts ? malloc(((size_t)count + 1) * clattn_dtype_size(input->tensor.dtype)) : NULL;
    if (converts && !converted) return cli_error("op", "--in %s: out of memory", input->name), CLI_DEVICE_FAILED;
    if (converts) clattn_floats_store(input->tensor.dtype, input->array.data, converted, count);
    const clattn_status status = clattn_tensor_create(job->context, &input->tensor, input->tensor.dtype, input->array.rank, input->array.shape, converts ? converted : input->array.data);
    free(converted);
    if (!status && job->repeat) clattn_tensor_freeze(&input->tensor);
    return cli_failed("op", job->context, status);
}

int op_upload_inputs(op_job *job) {
    int code = CLI_DONE;
    for (int i = 0; i < job->input_count && !code; i++) code = upload(job, &job->inputs[i]);
    return code;
}
