/* Running an operation: checks, packing of tensors that kernels cannot walk, the choice of a variant, clean-up. */
#include "check.h"
#include "dims.h"
#include "selfcheck.h"
#include "tuning.h"
#include "walk.h"

#include <stdarg.h>
#include <stdlib.h>

/* Inputs of one call that kernels get in another form. */
#define MAX_STAND_INS 32
/* Instead of a place among the variants: from the first on, for a setting was left out. */
#define AGAIN SIZE_MAX

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

/* rusticl's llvmpipe is a CPU that runs work-items as the lanes of vectors, as GPUs do: groups of one leave its lanes idle,
 * and it compiles kernels on float16 for minutes. */
bool clattn_call_cpu(const clattn_call *call, size_t local_bytes) {
    const clattn_device_info *info = clattn_call_device(call);
    return info->kind == CLATTN_DEVICE_CPU && !strstr(info->platform, "rusticl") && info->local_memory >= local_bytes;
}

int clattn_call_sums(const clattn_call *call) {
    return clattn_few_registers(clattn_call_device(call)) ? 6 : 28;
}

bool clattn_tensor_dense(const clattn_tensor *tensor) {
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        if (tensor->shape[i] > 1 && tensor->strides[i] != stride) return false;
        stride *= tensor->shape[i];
    }
    return true;
}

#define KEPT ((int64_t)10 << 20) /* bytes that the last cache may keep for the next kernel */
#define KEPT_SHARE 16            /* as a part of a last cache that a whole socket shares */

static bool streams_above(const clattn_call *call, const clattn_tensor *tensor, int64_t kept) {
    return (int64_t)clattn_dtype_size(tensor->dtype) * clattn_tensor_count(tensor) > kept && strstr(clattn_call_device(call)->platform, "Portable Computing");
}

bool clattn_streams(const clattn_call *call, const clattn_tensor *tensor) {
    return streams_above(call, tensor, KEPT);
}

bool clattn_streams_rows(const clattn_call *call, const clattn_tensor *tensor) {
    const int64_t share = (int64_t)(clattn_call_device(call)->cache / KEPT_SHARE);
    return streams_above(call, tensor, share > KEPT ? share : KEPT);
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

/* `options`, or in `text` the same with -DHALF where the call's kernels take f16 themselves; NULL: they are too long. */
static const char *stored_options(const clattn_call *call, const char *options, char text[512]) {
    if (!call->half) return options;
    return snprintf(text, 512, "%s -DHALF", options) < 512 ? text : NULL;
}

clattn_status clattn_call_kernel_items(clattn_call *call, const char *source, const char *kernel, const char *options, size_t *items) {
    char text[512];
    const char *stored = stored_options(call, options, text);
    return stored ? clattn_kernel_items(call->context, source, kernel, stored, items) : clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "the options of kernel %s are too long", kernel);
}

clattn_status clattn_run_kernel_list(clattn_call *call, const char *source, const char *kernel, const char *options, int dimensions, const size_t *global, const size_t *local, const clattn_arg *args, size_t count) {
    char text[512];
    const char *stored = stored_options(call, options, text);
    if (!stored) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "the options of kernel %s are too long", kernel);
    clattn_launch_info info = { .source = source, .kernel = kernel, .options = stored, .dimensions = dimensions, .args = args, .arg_count = count };
    for (int i = 0; i < dimensions; i++) {
        info.global[i] = global[i];
        info.local[i] = local[i];
    }
    return clattn_launch(call->context, &info);
}

clattn_status clattn_copy(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    char options[32];
    const int64_t count = clattn_tensor_count(source);
    if (clattn_dtype_size(source->dtype) > 1 && count > 0) {
        if (!clattn_move_rows_refusal(call, destination, source)) return clattn_move_rows(call, destination, source);
        if (!clattn_move_tiles_refusal(call, destination, source)) return clattn_move_tiles(call, destination, source);
    }
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

/* ---- Tensors that kernels cannot walk: kernels take f32, and strides and f16 only where the field says so ---- */

static bool is_small_float(const clattn_tensor *tensor) {
    return tensor->dtype == CLATTN_F16 || tensor->dtype == CLATTN_BF16;
}

static int type_code(clattn_dtype dtype) {
    return dtype == CLATTN_F32 ? 32 : dtype == CLATTN_F16 ? 16 : 17;
}

/* Elements a group takes when float types are converted in groups of one. */
#define CONVERTED_PER_GROUP 32768

/* Copies, converting between float types where they differ. */
static clattn_status transfer(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source) {
    char options[32];
    if (source->dtype == destination->dtype) return clattn_copy(call, destination, source);
    const int64_t count = clattn_tensor_count(source);
    snprintf(options, sizeof options, "-DFROM=%d -DTO=%d", type_code(source->dtype), type_code(destination->dtype));
    if (clattn_call_cpu(call, 0) && clattn_tensor_dense(source) && clattn_tensor_dense(destination)) {
        const size_t groups = (size_t)((count + CONVERTED_PER_GROUP - 1) / CONVERTED_PER_GROUP);
        return clattn_run_kernel(call, "convert", "dense", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(source), ARG_T(destination), ARG_I64(count), ARG_I64(CONVERTED_PER_GROUP));
    }
    return clattn_run_kernel(call, "convert", "strided", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(source), ARG_T(destination), clattn_arg_strides8(source), clattn_arg_strides8(destination), clattn_arg_shape8(source), ARG_I32(source->rank), ARG_I64(count));
}

/* A dense f32 copy of a frozen 16-bit weight is made once and kept with it, frozen too, so that its own packed forms stay. */
static clattn_status widen_frozen(clattn_call *call, const clattn_tensor *tensor, clattn_tensor *dense) {
    bool fresh;
    *dense = *tensor;
    dense->dtype = CLATTN_F32;
    dense->offset = 0;
    int64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        dense->strides[i] = stride;
        stride *= tensor->shape[i];
    }
    const clattn_status status = clattn_packed(call, tensor, tensor->dtype == CLATTN_F16 ? "f32 of f16" : "f32 of bf16", (size_t)stride * sizeof(float), &dense->buffer, &fresh);
    if (status) return status;
    clattn_tensor_freeze(dense);
    return fresh ? transfer(call, dense, tensor) : CLATTN_OK;
}

/* Axes of stride 0 stay broadcast where the kernels can follow: only their one element is converted. */
static clattn_status widen_broadcast(clattn_call *call, const clattn_tensor *tensor, clattn_tensor *view) {
    clattn_tensor narrow = *tensor, made;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->strides[i] == 0 && tensor->shape[i] > 1) narrow.shape[i] = 1;
    clattn_status status = clattn_scratch(call, &made, CLATTN_F32, narrow.rank, narrow.shape);
    if (!status) status = transfer(call, &made, &narrow);
    *view = made;
    for (int i = 0; i < tensor->rank; i++) {
        view->shape[i] = tensor->shape[i];
        if (narrow.shape[i] != tensor->shape[i]) view->strides[i] = 0;
    }
    return status;
}

/* Whether `word` is one of the words of a list separated by spaces. */
static bool is_listed(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; at && (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length])) return true;
    return false;
}

/* Whether the variant's kernels take tensors stored so. */
static bool takes_type(const clattn_call *call, const clattn_variant *variant, const void *args, clattn_dtype dtype) {
    int count = 0;
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        const int tensors = field->flags & CLATTN_FIELD_STORED ? clattn_field_tensors(field, args) : 0;
        for (int k = 0; k < tensors; k++, count++)
            if (clattn_field_tensor(field, args, k)->dtype != dtype) return false;
    }
    return count > 0 && is_listed(call->op->code->half, variant->name);
}

/* Whether they get these tensors as they are: all that they would get so are of one type that they take. */
static bool takes_half(const clattn_call *call, const clattn_variant *variant, const void *args) {
    return takes_type(call, variant, args, CLATTN_F16) || (call->op->code->moves && takes_type(call, variant, args, CLATTN_BF16));
}

/* Whether a tensor's numbers must be made f32, or f32 made its numbers. */
static bool is_converted(const clattn_field *field, const clattn_tensor *tensor, bool half) {
    return is_small_float(tensor) && !(half && field->flags & CLATTN_FIELD_STORED);
}

/* What the kernels get in the place of an input: `*replaced` says whether it is another tensor. */
static clattn_status pack_input(clattn_call *call, const clattn_field *field, const clattn_tensor *tensor, bool half, clattn_tensor *packed, bool *replaced) {
    const bool strided = field->flags & CLATTN_FIELD_STRIDED, small = is_converted(field, tensor, half);
    *replaced = small || (!strided && !clattn_tensor_dense(tensor));
    if (!*replaced) return CLATTN_OK;
    if (small && clattn_buffer_frozen(tensor->buffer)) return widen_frozen(call, tensor, packed);
    if (small && strided) return widen_broadcast(call, tensor, packed);
    const clattn_status status = clattn_scratch(call, packed, small ? CLATTN_F32 : tensor->dtype, tensor->rank, tensor->shape);
    return status ? status : transfer(call, packed, tensor);
}

/* The tensors that stand in for a call's own; `args` points into it. */
typedef struct stand_ins {
    clattn_tensor tensors[MAX_STAND_INS];
    int count;
} stand_ins;

static clattn_status pack_inputs(clattn_call *call, void *args, bool half, stand_ins *list) {
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        const int count = field->kind == CLATTN_FIELD_INPUT ? clattn_field_tensors(field, args) : 0;
        for (int k = 0; k < count; k++) {
            bool replaced;
            clattn_tensor *packed = &list->tensors[list->count];
            if (list->count == MAX_STAND_INS) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "more than %d tensors to be packed", MAX_STAND_INS);
            const clattn_status status = pack_input(call, field, clattn_field_tensor(field, args, k), half, packed, &replaced);
            if (status) return status;
            if (!replaced) continue;
            clattn_field_put(field, args, k, packed);
            list->count++;
        }
    }
    return CLATTN_OK;
}

/* The same for outputs: `unpack` lists which copy goes where after the kernels. */
typedef struct unpack_list {
    const clattn_tensor *dense[16], *target[16];
    int count;
} unpack_list;

static clattn_status pack_outputs(clattn_call *call, void *args, bool half, unpack_list *list) {
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        const clattn_tensor *tensor = field->kind == CLATTN_FIELD_OUTPUT ? clattn_field_tensor(field, args, 0) : NULL;
        if (!tensor) continue;
        const bool converted = is_converted(field, tensor, half);
        if (!converted && ((field->flags & CLATTN_FIELD_STRIDED) || clattn_tensor_dense(tensor))) continue;
        if (list->count == (int)CLATTN_COUNT(list->dense)) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "more than %d strided outputs", list->count);
        clattn_tensor dense;
        const clattn_status status = clattn_scratch(call, &dense, converted ? CLATTN_F32 : tensor->dtype, tensor->rank, tensor->shape);
        if (status) return status;
        list->dense[list->count] = &call->locals[call->local_count - 1];
        list->target[list->count++] = tensor;
        clattn_field_put(field, args, 0, &call->locals[call->local_count - 1]);
    }
    return CLATTN_OK;
}

/* ---- Choosing ---- */

/* The variant that the call's setting prefers; NULL: none. */
static const clattn_variant *preferred(const clattn_call *call) {
    const clattn_op_code *code = call->op->code;
    for (size_t i = 0; call->setting && call->setting->variant && i < code->variant_count; i++)
        if (strcmp(code->variants[i].name, call->setting->variant) == 0) return &code->variants[i];
    return NULL;
}

/* A setting of a database is left out where it alone is in the way. */
static const char *refusal_by(clattn_call *call, const void *args, const clattn_variant *variant) {
    const clattn_setting *setting = call->setting;
    const char *refusal = variant->refusal ? variant->refusal(call, args) : NULL;
    if (!refusal || call->forced || !clattn_setting_concerns(setting, variant)) return refusal;
    call->setting = NULL;
    if (!variant->refusal(call, args)) return NULL;
    call->setting = setting;
    return refusal;
}

/* So is one with which the variant fails its check. */
static const char *demotion_by(clattn_call *call, const void *args, const clattn_variant *variant) {
    const bool tuned = clattn_setting_concerns(call->setting, variant);
    const char *reason = clattn_self_check(call->context, call->op, args, variant, tuned ? call->setting : NULL);
    if (!reason || !tuned || call->forced) return reason;
    clattn_setting_leave_out(call, reason);
    return clattn_self_check(call->context, call->op, args, variant, NULL);
}

/* The first that can serve from place `*at` on, which is left behind it. Place 0 is that of the one which the setting prefers. */
static const clattn_variant *choose(clattn_call *call, const void *args, const char *name, size_t *at) {
    const clattn_op_code *code = call->op->code;
    const char *last = "";
    while (*at <= code->variant_count) {
        const clattn_variant *first = name ? NULL : preferred(call), *variant = *at ? &code->variants[*at - 1] : first;
        if (!variant || (name && strcmp(name, variant->name)) || (*at && variant == first)) {
            ++*at;
            continue;
        }
        ++*at;
        const char *refusal = refusal_by(call, args, variant);
        if (!refusal && !name && code->reserve && variant != first) refusal = code->reserve(call, args, variant);
        if (!refusal) refusal = demotion_by(call, args, variant);
        if (!refusal) return variant;
        last = refusal;
        if (!name) continue;
        clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "variant %s cannot run here: %s", name, refusal);
        return NULL;
    }
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < code->variant_count && used < sizeof list; i++) used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", code->variants[i].name);
    if (name) clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "there is no variant %s, but %s", name, list);
    else clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "none of its variants (%s) can run here; the last is %s", list, last);
    return NULL;
}

static bool all_outputs_empty(const clattn_op *op, const void *args) {
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_tensor *tensor = op->fields[i].kind == CLATTN_FIELD_OUTPUT ? clattn_field_tensor(&op->fields[i], args, 0) : NULL;
        if (tensor && clattn_tensor_count(tensor) > 0) return false;
    }
    return true;
}

/* Under a setting of a database a kernel may ask for more than it is granted, which is known once it is built: true when the call
 * is to be made again without it. */
static bool leaves_setting(clattn_call *call, const clattn_variant *variant, clattn_status status) {
    if ((status != CLATTN_ERROR_UNSUPPORTED && status != CLATTN_ERROR_BUILD) || call->forced || !clattn_setting_concerns(call->setting, variant)) return false;
    clattn_setting_leave_out(call, clattn_message(call->context));
    return true;
}

static clattn_status run_checked(clattn_call *call, void *args, const char *variant_name, size_t *at, const char **chosen) {
    unpack_list list = { .count = 0 };
    stand_ins packed = { .count = 0 };
    const clattn_variant *variant = choose(call, args, variant_name, at);
    if (!variant) return CLATTN_ERROR_UNSUPPORTED;
    if (chosen) *chosen = variant->name;
    if (all_outputs_empty(call->op, args)) return CLATTN_OK;
    const bool half = takes_half(call, variant, args);
    clattn_status status = pack_inputs(call, args, half, &packed);
    if (!status) status = pack_outputs(call, args, half, &list);
    call->half = half;
    if (!status) status = variant->enqueue(call, args);
    call->half = false;
    for (int i = 0; i < list.count && !status; i++) status = transfer(call, list.target[i], list.dense[i]);
    if (leaves_setting(call, variant, status)) *at = AGAIN;
    return status;
}

static void release_locals(clattn_call *call, clattn_status status) {
    while (status && call->kept_count) {
        call->kept_count--;
        clattn_buffer_forget_packed(call->kept[call->kept_count].weight, call->kept[call->kept_count].packed);
    }
    while (call->local_count) clattn_tensor_free(&call->locals[--call->local_count]);
}

static clattn_status run_from(clattn_context *context, const clattn_op *op, const void *args, const char *variant, size_t *at, const char **chosen) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
    clattn_call call = { .context = context, .op = op };
    if (!args) return clattn_call_fail(&call, CLATTN_ERROR_ARGUMENT, "args is NULL");
    memcpy(copy, args, op->args_size);
    clattn_status status = clattn_check_inputs(&call, copy, false);
    if (!status) status = clattn_check_outputs(&call, copy, false);
    if (!status) clattn_setting_choose(&call, copy);
    if (!status) status = run_checked(&call, copy, variant, at, chosen);
    release_locals(&call, status);
    return status;
}

/* A kernel may be granted less than its device has, which is known once it is built: then the next variant serves. */
clattn_status clattn_op_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, const char **chosen) {
    size_t at = 0;
    if (!context || !clattn_context_device(context) || !op) return CLATTN_ERROR_ARGUMENT;
    clattn_status status = run_from(context, op, args, variant, &at, chosen);
    while (at == AGAIN || (status == CLATTN_ERROR_UNSUPPORTED && !variant && at > 0 && at <= op->code->variant_count)) {
        if (at == AGAIN) at = 0;
        status = run_from(context, op, args, variant, &at, chosen);
    }
    return status;
}

clattn_status clattn_op_shapes(clattn_context *context, const clattn_op *op, const void *args, size_t capacity, int *ranks, int64_t (*shapes)[CLATTN_MAX_RANK], clattn_dtype *dtypes) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
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
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
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

static const char *refusal_of(clattn_context *context, const clattn_op *op, const void *args, const char *variant, bool by_name) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !variant) return "the context is not open, or an argument is NULL";
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    if (clattn_check_inputs(&call, copy, false)) return clattn_message(context);
    clattn_setting_choose(&call, copy);
    for (size_t i = 0; i < op->code->variant_count; i++) {
        const clattn_variant *v = &op->code->variants[i];
        if (strcmp(v->name, variant) == 0) {
            const char *refusal = refusal_by(&call, copy, v);
            if (!refusal && !by_name && op->code->reserve && v != preferred(&call)) refusal = op->code->reserve(&call, copy, v);
            return refusal ? refusal : clattn_demotion_of(context, op, copy, v, clattn_setting_concerns(call.setting, v) ? call.setting : NULL);
        }
    }
    return "there is no variant of that name";
}

/* What the float tensors take of the bytes that they would as f32, in which `work` counts. */
static double storage_share(const clattn_op *op, const void *args) {
    double bytes = 0, whole = 0;
    for (size_t i = 0; i < op->field_count; i++) {
        const bool is_tensor = op->fields[i].kind == CLATTN_FIELD_INPUT || op->fields[i].kind == CLATTN_FIELD_OUTPUT;
        const int count = is_tensor && op->fields[i].element == CLATTN_ELEMENT_FLOAT ? clattn_field_tensors(&op->fields[i], args) : 0;
        for (int k = 0; k < count; k++) {
            const clattn_tensor *tensor = clattn_field_tensor(&op->fields[i], args, k);
            bytes += (double)clattn_tensor_count(tensor) * (double)clattn_dtype_size(tensor->dtype);
            whole += (double)clattn_tensor_count(tensor) * sizeof(float);
        }
    }
    return whole > 0 ? bytes / whole : 1;
}

const char *clattn_op_refusal(clattn_context *context, const clattn_op *op, const void *args, const char *variant) {
    return refusal_of(context, op, args, variant, false);
}

const char *clattn_refusal_by_name(clattn_context *context, const clattn_op *op, const void *args, const char *variant) {
    return refusal_of(context, op, args, variant, true);
}

clattn_status clattn_op_work(clattn_context *context, const clattn_op *op, const void *args, double *flops, double *bytes) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !flops || !bytes) return CLATTN_ERROR_ARGUMENT;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    const clattn_status status = clattn_check_inputs(&call, copy, true);
    *flops = *bytes = 0;
    if (status) return status;
    op->code->work(&call, copy, flops, bytes);
    *bytes *= storage_share(op, copy);
    return CLATTN_OK;
}
