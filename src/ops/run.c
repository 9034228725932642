/* Running an operation: checks, packing of tensors that kernels cannot walk, the choice of a variant, clean-up. */
#include "check.h"
#include "dims.h"

#include <stdarg.h>
#include <stdlib.h>

/* Large enough for every args struct; checked by the registry's test. */
#define MAX_ARGS_SIZE 1024

clattn_status clattn_call_fail(clattn_call *call, clattn_status status, const char *format, ...) {
    char text[1200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return clattn_fail(call->context, status, "%s: %s", call->op->name, text);
}

const clattn_device_info *clattn_call_device(const clattn_call *call) {
    return clattn_context_device(call->context);
}

bool clattn_call_cpu(const clattn_call *call, size_t local_bytes) {
    const clattn_device_info *info = clattn_call_device(call);
    return info->kind == CLATTN_DEVICE_CPU && info->local_memory >= local_bytes;
}

bool clattn_tensor_dense(const clattn_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] > 1 && tensor->strides[i] != stride) return false;
        stride *= tensor->shape[i];
    }
    return true;
}

clattn_status clattn_scratch(clattn_call *call, clattn_tensor *tensor, clattn_dtype dtype, int rank, const int64_t *shape) {
    if (call->local_count == CLATTN_MAX_LOCALS) return clattn_call_fail(call, CLATTN_ERROR_OUT_OF_MEMORY, "more than %d temporary tensors", CLATTN_MAX_LOCALS);
    const clattn_status status = clattn_tensor_create(call->context, tensor, dtype, rank, shape, NULL);
    if (!status) call->locals[call->local_count++] = *tensor;
    return status;
}

/* ---- Kernel arguments ---- */

static clattn_arg from_axis(const int64_t *values, int rank, clattn_arg_kind kind, int64_t missing) {
    clattn_arg arg = { .kind = kind };
    const int capacity = kind == CLATTN_ARG_I64X4 ? 4 : 8;
    for (int i = 0; i < capacity; i++) arg.as.i64[i] = i < rank ? values[i] : missing;
    return arg;
}

clattn_arg clattn_arg_strides4(const clattn_tensor *tensor) {
    return tensor ? from_axis(tensor->strides, tensor->rank, CLATTN_ARG_I64X4, 0) : (clattn_arg){ .kind = CLATTN_ARG_I64X4 };
}

clattn_arg clattn_arg_strides8(const clattn_tensor *tensor) {
    return tensor ? from_axis(tensor->strides, tensor->rank, CLATTN_ARG_I64X8, 0) : (clattn_arg){ .kind = CLATTN_ARG_I64X8 };
}

clattn_arg clattn_arg_shape8(const clattn_tensor *tensor) {
    return from_axis(tensor->shape, tensor->rank, CLATTN_ARG_I64X8, 1);
}

static clattn_arg broadcast(const clattn_tensor *tensor, int rank, const int64_t *shape, clattn_arg_kind kind) {
    clattn_arg arg = { .kind = kind };
    for (int i = 0; tensor && i < tensor->rank && i < rank; i++) {
        const int from = tensor->rank - 1 - i, to = rank - 1 - i;
        arg.as.i64[to] = tensor->shape[from] == 1 && shape[to] != 1 ? 0 : tensor->strides[from];
    }
    return arg;
}

clattn_arg clattn_arg_broadcast8(const clattn_tensor *tensor, int rank, const int64_t *shape) {
    return broadcast(tensor, rank, shape, CLATTN_ARG_I64X8);
}

clattn_arg clattn_arg_broadcast4(const clattn_tensor *tensor, int rank, const int64_t *shape) {
    return broadcast(tensor, rank, shape, CLATTN_ARG_I64X4);
}

clattn_status clattn_run_kernel_list(clattn_call *call, const char *source, const char *kernel, const char *options, int dimensions, const size_t *global, const size_t *local, const clattn_arg *args, size_t count) {
    clattn_launch_info info = { .source = source, .kernel = kernel, .options = options, .dimensions = dimensions, .args = args, .arg_count = count };
    for (int i = 0; i < dimensions; i++) {
        info.global[i] = global[i];
        info.local[i] = local[i];
    }
    return clattn_launch(call->context, &info);
}

clattn_status clattn_copy(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    char options[32];
    const int64_t count = clattn_tensor_count(source);
    snprintf(options, sizeof options, "-DELEMENT_BYTES=%zu", clattn_dtype_size(source->dtype));
    return clattn_run_kernel(call, "copy", "copy_strided", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(source), ARG_T(destination), clattn_arg_strides8(source), clattn_arg_strides8(destination), clattn_arg_shape8(source), ARG_I32(source->rank), ARG_I64(count));
}

/* False when the text does not fit: then nothing is kept. */
static bool packed_key(const clattn_tensor *weight, const char *key, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "%s@%lld", key, (long long)weight->offset);
    for (int i = 0; i < weight->rank && used < size; i++) used += (size_t)snprintf(text + used, size - used, ",%lld/%lld", (long long)weight->shape[i], (long long)weight->strides[i]);
    return used < size;
}

clattn_status clattn_packed(clattn_call *call, const clattn_tensor *weight, const char *key, size_t size, clattn_buffer **buffer, bool *fresh) {
    char full_key[512];
    const bool frozen = packed_key(weight, key, full_key, sizeof full_key) && clattn_buffer_frozen(weight->buffer);
    *buffer = frozen ? clattn_buffer_packed(weight->buffer, full_key) : NULL;
    *fresh = *buffer == NULL;
    if (*buffer) return CLATTN_OK;
    clattn_tensor scratch;
    clattn_status status = clattn_scratch(call, &scratch, CLATTN_U8, 1, (int64_t[]){ (int64_t)size });
    if (status) return status;
    *buffer = scratch.buffer;
    if (!frozen) return CLATTN_OK;
    status = clattn_buffer_keep_packed(weight->buffer, full_key, scratch.buffer);
    if (status) return status;
    call->kept[call->kept_count].weight = weight->buffer; /* each has a local, so that it fits */
    call->kept[call->kept_count++].packed = scratch.buffer;
    return CLATTN_OK;
}

/* ---- Tensors that kernels cannot walk ---- */

/* Puts a dense copy in the place of each input that is neither dense nor STRIDED. */
static clattn_status pack_inputs(clattn_call *call, void *args) {
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        const int count = field->kind == CLATTN_FIELD_INPUT && !(field->flags & CLATTN_FIELD_STRIDED) ? clattn_field_tensors(field, args) : 0;
        for (int k = 0; k < count; k++) {
            const clattn_tensor *tensor = clattn_field_tensor(field, args, k);
            if (clattn_tensor_dense(tensor)) continue;
            clattn_tensor dense;
            clattn_status status = clattn_scratch(call, &dense, tensor->dtype, tensor->rank, tensor->shape);
            if (!status) status = clattn_copy(call, &dense, tensor);
            if (status) return status;
            clattn_field_put(field, args, k, &call->locals[call->local_count - 1]);
        }
    }
    return CLATTN_OK;
}

/* The same for outputs: `unpack` lists which copy goes where after the kernels. */
typedef struct unpack_list {
    const clattn_tensor *dense[16], *target[16];
    int count;
} unpack_list;

static clattn_status pack_outputs(clattn_call *call, void *args, unpack_list *list) {
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        if (field->kind != CLATTN_FIELD_OUTPUT || (field->flags & CLATTN_FIELD_STRIDED)) continue;
        const clattn_tensor *tensor = clattn_field_tensor(field, args, 0);
        if (!tensor || clattn_tensor_dense(tensor)) continue;
        if (list->count == (int)CLATTN_COUNT(list->dense)) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "more than %d strided outputs", list->count);
        clattn_tensor dense;
        const clattn_status status = clattn_scratch(call, &dense, tensor->dtype, tensor->rank, tensor->shape);
        if (status) return status;
        list->dense[list->count] = &call->locals[call->local_count - 1];
        list->target[list->count++] = tensor;
        clattn_field_put(field, args, 0, &call->locals[call->local_count - 1]);
    }
    return CLATTN_OK;
}

/* ---- Choosing ---- */

static const clattn_variant *choose(clattn_call *call, const void *args, const char *name) {
    const clattn_op_code *code = call->op->code;
    for (size_t i = 0; i < code->variant_count; i++) {
        const clattn_variant *variant = &code->variants[i];
        if (name && strcmp(name, variant->name)) continue;
        const char *refusal = variant->refusal ? variant->refusal(call, args) : NULL;
        if (!refusal) return variant;
        if (!name) continue;
        clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "variant %s cannot run here: %s", name, refusal);
        return NULL;
    }
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < code->variant_count && used < sizeof list; i++) used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", code->variants[i].name);
    clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "no variant %s; there is: %s", name ? name : "fits", list);
    return NULL;
}

static bool all_outputs_empty(const clattn_op *op, const void *args) {
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_tensor *tensor = op->fields[i].kind == CLATTN_FIELD_OUTPUT ? clattn_field_tensor(&op->fields[i], args, 0) : NULL;
        if (tensor && clattn_tensor_count(tensor) > 0) return false;
    }
    return true;
}

static clattn_status run_checked(clattn_call *call, void *args, const char *variant_name, const char **chosen) {
    unpack_list list = { .count = 0 };
    const clattn_variant *variant = choose(call, args, variant_name);
    if (!variant) return variant_name ? CLATTN_ERROR_UNSUPPORTED : CLATTN_ERROR_ARGUMENT;
    if (chosen) *chosen = variant->name;
    if (all_outputs_empty(call->op, args)) return CLATTN_OK;
    clattn_status status = pack_inputs(call, args);
    if (!status) status = pack_outputs(call, args, &list);
    if (!status) status = variant->enqueue(call, args);
    for (int i = 0; i < list.count && !status; i++) status = clattn_copy(call, list.target[i], list.dense[i]);
    return status;
}

static void release_locals(clattn_call *call, clattn_status status) {
    while (status && call->kept_count) {
        call->kept_count--;
        clattn_buffer_forget_packed(call->kept[call->kept_count].weight, call->kept[call->kept_count].packed);
    }
    while (call->local_count) clattn_tensor_free(&call->locals[--call->local_count]);
}

clattn_status clattn_op_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, const char **chosen) {
    _Alignas(16) char copy[MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op) return CLATTN_ERROR_ARGUMENT;
    clattn_call call = { .context = context, .op = op };
    if (!args) return clattn_call_fail(&call, CLATTN_ERROR_ARGUMENT, "args is NULL");
    memcpy(copy, args, op->args_size);
    clattn_status status = clattn_check_inputs(&call, copy, false);
    if (!status) status = clattn_check_outputs(&call, copy, false);
    if (!status) status = run_checked(&call, copy, variant, chosen);
    release_locals(&call, status);
    return status;
}

clattn_status clattn_op_shapes(clattn_context *context, const clattn_op *op, const void *args, size_t capacity, int *ranks, int64_t (*shapes)[CLATTN_MAX_RANK], clattn_dtype *dtypes) {
    _Alignas(16) char copy[MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || (capacity && (!ranks || !shapes))) return CLATTN_ERROR_ARGUMENT;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    const clattn_status status = clattn_check_inputs(&call, copy, true);
    if (status) return status;
    size_t output = 0;
    for (size_t i = 0; i < op->field_count && output < capacity; i++) {
        if (op->fields[i].kind != CLATTN_FIELD_OUTPUT) continue;
        ranks[output] = clattn_dims_shape(&call, &op->fields[i], shapes[output]);
        if (dtypes) dtypes[output] = op->fields[i].element == CLATTN_ELEMENT_INT ? CLATTN_I32 : CLATTN_F32;
        output++;
    }
    return CLATTN_OK;
}

clattn_status clattn_op_value_limits(clattn_context *context, const clattn_op *op, const void *args, const clattn_field *field, int64_t *low, int64_t *high) {
    _Alignas(16) char copy[MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !field || !low || !high) return CLATTN_ERROR_ARGUMENT;
    *low = INT32_MIN;
    *high = INT32_MAX;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    const clattn_status status = clattn_check_inputs(&call, copy, true);
    if (status || !field->value_limit) return status;
    const bool inclusive = field->value_limit[1] == '=';
    const int64_t size = clattn_dims_value(&call, field->value_limit + 1 + inclusive);
    if (size < 0) return CLATTN_OK; /* the size does not exist for these arguments: nothing to compare with */
    *low = 0;
    *high = inclusive ? size : size - 1;
    return CLATTN_OK;
}

bool clattn_op_value_exception(const clattn_op *op, const void *args, const clattn_field *field, int64_t *value) {
    const clattn_field *parameter = op && args && field && value && field->value_exception ? clattn_op_field(op, field->value_exception, false) : NULL;
    if (!parameter) return false;
    const clattn_optional_int *given = (const void *)((const char *)args + parameter->offset);
    *value = given->set ? given->value : (int64_t)parameter->fallback;
    return true;
}

const char *clattn_op_refusal(clattn_context *context, const clattn_op *op, const void *args, const char *variant) {
    _Alignas(16) char copy[MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !variant) return "the context is not open, or an argument is NULL";
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    if (clattn_check_inputs(&call, copy, false)) return clattn_message(context);
    for (size_t i = 0; i < op->code->variant_count; i++) {
        const clattn_variant *v = &op->code->variants[i];
        if (strcmp(v->name, variant) == 0) return v->refusal ? v->refusal(&call, copy) : NULL;
    }
    return "there is no variant of that name";
}

clattn_status clattn_op_work(clattn_context *context, const clattn_op *op, const void *args, double *flops, double *bytes) {
    _Alignas(16) char copy[MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !flops || !bytes) return CLATTN_ERROR_ARGUMENT;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    const clattn_status status = clattn_check_inputs(&call, copy, true);
    *flops = *bytes = 0;
    if (!status) op->code->work(&call, copy, flops, bytes);
    return status;
}
