#include "check.h"

#include <stdlib.h>

#include "dims.h"

static void *member(const clattn_field *field, const void *args) {
    return (char *)args + field->offset;
}

clattn_tensor *clattn_field_tensor(const clattn_field *field, const void *args, int i) {
    return ((clattn_tensor **)member(field, args))[i];
}

void clattn_field_put(const clattn_field *field, void *args, int i, const clattn_tensor *tensor) {
    ((const clattn_tensor **)member(field, args))[i] = tensor;
}

int clattn_field_tensors(const clattn_field *field, const void *args) {
    if (!(field->flags & CLATTN_FIELD_LIST)) return clattn_field_tensor(field, args, 0) ? 1 : 0;
    int count = 0;
    while (count < CLATTN_MAX_CONCAT && clattn_field_tensor(field, args, count)) count++;
    return count;
}

/* ---- Parameters ---- */

static clattn_status check_range(clattn_call *call, const clattn_field *field, double value) {
    if (!isfinite(value)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s = %g is not finite", field->name, value);
    if ((field->low != 0 || field->high != 0) && (value < field->low || value > field->high))
        return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s = %.9g is outside %.9g..%.9g", field->name, value, field->low, field->high);
    if ((field->flags & CLATTN_FIELD_NOT_ZERO) && value == 0) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s = 0 is not allowed", field->name);
    return CLATTN_OK;
}

static int word_count(const clattn_field *field) {
    int count = 0;
    while (field->words[count]) count++;
    return count;
}

static clattn_status check_word(clattn_call *call, const clattn_field *field, int *value) {
    if (*value < 0 || *value >= word_count(field)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s = %d is not one of its values", field->name, *value);
    if (!*field->words[*value]) *value = (int)field->fallback;
    return CLATTN_OK;
}

static clattn_status check_words(clattn_call *call, const clattn_field *field, const clattn_pools *list) {
    if (list->count < 0 || list->count > (int)CLATTN_COUNT(list->kinds)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d entries; 0..%zu expected", field->name, list->count, CLATTN_COUNT(list->kinds));
    for (int i = 0; i < list->count; i++) {
        if (list->kinds[i] < 0 || list->kinds[i] >= word_count(field)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s holds %d, which is not one of its values", field->name, list->kinds[i]);
        for (int j = 0; j < i; j++)
            if (list->kinds[i] == list->kinds[j]) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s names %s twice", field->name, field->words[list->kinds[i]]);
    }
    return CLATTN_OK;
}

static clattn_status check_ints(clattn_call *call, const clattn_field *field, const clattn_ints *list) {
    if (list->count < 0 || list->count > CLATTN_MAX_RANK) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values; 0..%d expected", field->name, list->count, CLATTN_MAX_RANK);
    if (list->count == 0 && (field->flags & CLATTN_FIELD_REQUIRED)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing", field->name);
    for (int i = 0; i < list->count; i++) {
        const clattn_status status = check_range(call, field, (double)list->values[i]);
        if (status) return status;
    }
    return CLATTN_OK;
}

static clattn_status check_doubles(clattn_call *call, const clattn_field *field, const clattn_doubles *list) {
    if (list->count < 0 || list->count > CLATTN_MAX_RANK) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has %d values; 0..%d expected", field->name, list->count, CLATTN_MAX_RANK);
    if (list->count == 0 && (field->flags & CLATTN_FIELD_REQUIRED)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing", field->name);
    for (int i = 0; i < list->count; i++) {
        const clattn_status status = check_range(call, field, list->values[i]);
        if (status) return status;
    }
    return CLATTN_OK;
}

static clattn_status check_toggle(clattn_call *call, const clattn_field *field, clattn_toggle *value) {
    if (*value != CLATTN_DEFAULT && *value != CLATTN_ON && *value != CLATTN_OFF) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s = %d is not a clattn_toggle", field->name, (int)*value);
    if (*value == CLATTN_DEFAULT) *value = field->fallback != 0 ? CLATTN_ON : CLATTN_OFF;
    return CLATTN_OK;
}

static clattn_status check_int(clattn_call *call, const clattn_field *field, int64_t *value) {
    if (*value == 0 && (field->flags & CLATTN_FIELD_REQUIRED)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing", field->name);
    if (*value == 0) *value = (int64_t)field->fallback;
    else return check_range(call, field, (double)*value);
    return CLATTN_OK;
}

static clattn_status check_float(clattn_call *call, const clattn_field *field, float *value) {
    if (*value == 0) *value = (float)field->fallback;
    else return check_range(call, field, (double)*value);
    return CLATTN_OK;
}

static clattn_status check_optional_int(clattn_call *call, const clattn_field *field, clattn_optional_int *value) {
    if (value->set) return check_range(call, field, (double)value->value);
    *value = (clattn_optional_int){ .set = true, .value = (int64_t)field->fallback };
    return CLATTN_OK;
}

static clattn_status check_optional_float(clattn_call *call, const clattn_field *field, clattn_optional_float *value) {
    if (value->set) return check_range(call, field, (double)value->value);
    *value = (clattn_optional_float){ .set = true, .value = (float)field->fallback };
    return CLATTN_OK;
}

/* True when the parameter differs from all zeros, which is "not given". */
static bool given(const clattn_field *field, const void *args) {
    const void *at = member(field, args);
    switch (field->kind) {
    case CLATTN_FIELD_INPUT: case CLATTN_FIELD_OUTPUT: return clattn_field_tensor(field, args, 0) != NULL;
    case CLATTN_FIELD_BOOL: return *(const bool *)at;
    case CLATTN_FIELD_TOGGLE: case CLATTN_FIELD_WORD: return *(const int *)at != 0;
    case CLATTN_FIELD_INT: return *(const int64_t *)at != 0;
    case CLATTN_FIELD_U64: return *(const uint64_t *)at != 0;
    case CLATTN_FIELD_FLOAT: return *(const float *)at != 0;
    case CLATTN_FIELD_OPT_INT: return ((const clattn_optional_int *)at)->set;
    case CLATTN_FIELD_OPT_FLOAT: return ((const clattn_optional_float *)at)->set;
    case CLATTN_FIELD_INTS: return ((const clattn_ints *)at)->count != 0;
    case CLATTN_FIELD_DOUBLES: return ((const clattn_doubles *)at)->count != 0;
    case CLATTN_FIELD_WORDS: return ((const clattn_pools *)at)->count != 0;
    }
    return false;
}

static clattn_status check_parameter(clattn_call *call, const clattn_field *field, void *args) {
    void *at = member(field, args);
    const bool optional = field->kind == CLATTN_FIELD_OPT_INT || field->kind == CLATTN_FIELD_OPT_FLOAT;
    if (optional && (field->flags & CLATTN_FIELD_REQUIRED) && !given(field, args)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing", field->name);
    switch (field->kind) {
    case CLATTN_FIELD_INPUT: case CLATTN_FIELD_OUTPUT: case CLATTN_FIELD_BOOL: case CLATTN_FIELD_U64: return CLATTN_OK;
    case CLATTN_FIELD_TOGGLE: return check_toggle(call, field, at);
    case CLATTN_FIELD_WORD: return check_word(call, field, at);
    case CLATTN_FIELD_WORDS: return check_words(call, field, at);
    case CLATTN_FIELD_INTS: return check_ints(call, field, at);
    case CLATTN_FIELD_DOUBLES: return check_doubles(call, field, at);
    case CLATTN_FIELD_INT: return check_int(call, field, at);
    case CLATTN_FIELD_FLOAT: return check_float(call, field, at);
    case CLATTN_FIELD_OPT_INT: return check_optional_int(call, field, at);
    case CLATTN_FIELD_OPT_FLOAT: return check_optional_float(call, field, at);
    }
    return CLATTN_OK;
}

/* ---- Tensors ---- */

static clattn_status check_type(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor) {
    const clattn_dtype expected = field->element == CLATTN_ELEMENT_INT ? CLATTN_I32 : field->element == CLATTN_ELEMENT_BOOL ? CLATTN_U8 : CLATTN_F32;
    const bool small = expected == CLATTN_F32 && (tensor->dtype == CLATTN_F16 || tensor->dtype == CLATTN_BF16);
    if (tensor->dtype == expected || small) return CLATTN_OK;
    if (field->element == CLATTN_ELEMENT_BOOL && tensor->dtype != CLATTN_I32 && clattn_op_field(call->op, "bias", false) && strcmp(field->name, "mask") == 0)
        return clattn_call_fail(call, CLATTN_ERROR_TYPE, "mask is %s, expected u8 (true = attend); a float tensor to be added to the scores is given as bias", clattn_dtype_name(tensor->dtype));
    return clattn_call_fail(call, CLATTN_ERROR_TYPE, "%s is %s, expected %s", name, clattn_dtype_name(tensor->dtype), clattn_dtype_name(expected));
}

static clattn_status check_memory(clattn_call *call, const char *name, const clattn_tensor *tensor) {
    if (!tensor->buffer) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s has no buffer", name);
    if (clattn_buffer_context(tensor->buffer) != call->context && !clattn_buffer_host_values(tensor->buffer))
        return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s belongs to another context", name);
    const int64_t room = (int64_t)(clattn_buffer_size(tensor->buffer) / clattn_dtype_size(tensor->dtype)), span = clattn_tensor_span(tensor);
    if (tensor->offset < 0 || (!clattn_buffer_host_values(tensor->buffer) && span && span > room - tensor->offset))
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s reaches past its buffer: %lld elements from offset %lld, room for %lld", name, (long long)span, (long long)tensor->offset, (long long)room);
    return CLATTN_OK;
}

static clattn_status check_layout(clattn_call *call, const char *name, const clattn_tensor *tensor, bool output) {
    if (tensor->rank < 0 || tensor->rank > CLATTN_MAX_RANK) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has rank %d, outside 0..%d", name, tensor->rank, CLATTN_MAX_RANK);
    const int64_t span = clattn_tensor_span(tensor);
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] < 0) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has the size %lld on axis %d", name, (long long)tensor->shape[i], i);
        if (tensor->strides[i] < 0) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has the negative stride %lld on axis %d", name, (long long)tensor->strides[i], i);
        if (output && span && tensor->strides[i] == 0 && tensor->shape[i] > 1) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s is an output with stride 0 on axis %d", name, i);
    }
    if (span < 0) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has more elements, or reaches further, than any memory", name);
    if (output && span < clattn_tensor_count(tensor)) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "the output %s overlaps itself: its strides give %lld elements the room of %lld", name, (long long)clattn_tensor_count(tensor), (long long)span);
    return CLATTN_OK;
}

static clattn_status check_tensor(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor, bool shapes_only) {
    clattn_status status = check_layout(call, name, tensor, field->kind == CLATTN_FIELD_OUTPUT);
    if (!status) status = check_type(call, field, name, tensor);
    if (!status && !shapes_only) status = check_memory(call, name, tensor);
    return status;
}

static clattn_status check_input(clattn_call *call, const clattn_field *field, const void *args, bool shapes_only) {
    const int count = clattn_field_tensors(field, args);
    if (count == 0 && !(field->flags & CLATTN_FIELD_OPTIONAL)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s%s is missing", field->name, field->flags & CLATTN_FIELD_LIST ? "0" : "");
    for (int i = 0; i < count; i++) {
        char name[48];
        const clattn_tensor *tensor = clattn_field_tensor(field, args, i);
        snprintf(name, sizeof name, field->flags & CLATTN_FIELD_LIST ? "%s%d" : "%s", field->name, i);
        clattn_status status = check_tensor(call, field, name, tensor, shapes_only);
        /* Fields outlive the call; a list's own names do not, but lists bind no letters. */
        if (!status) status = clattn_dims_match(call, field, field->flags & CLATTN_FIELD_LIST ? name : field->name, tensor);
        if (status) return status;
    }
    return CLATTN_OK;
}

clattn_status clattn_check_inputs(clattn_call *call, void *args, bool shapes_only) {
    const clattn_op *op = call->op;
    clattn_status status;
    call->dims.rest_rank = -1;
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_field *field = &op->fields[i];
        if ((field->flags & CLATTN_FIELD_LATER) && given(field, args)) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "%s is not supported in this release", field->name);
        if ((status = check_parameter(call, field, args))) return status;
    }
    if (op->code->prepare && (status = op->code->prepare(call, args))) return status;
    for (size_t i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == CLATTN_FIELD_INPUT && (status = check_input(call, &op->fields[i], args, shapes_only))) return status;
    return op->code->infer ? op->code->infer(call, args) : CLATTN_OK;
}

/* ---- Outputs ---- */

/* Bytes from a's first element to b's; false when they lie in different memory. */
static bool distance_between(const clattn_tensor *a, const clattn_tensor *b, int64_t *distance) {
    if (!a->buffer || !b->buffer || !clattn_buffer_same_memory(a->buffer, b->buffer, distance)) return false;
    *distance += b->offset * (int64_t)clattn_dtype_size(b->dtype) - a->offset * (int64_t)clattn_dtype_size(a->dtype);
    return true;
}

/* Elements that a row of `tensor` reaches over when its rows lie `pitch` elements apart; -1 when a row is longer. */
static int64_t row_reach(const clattn_tensor *tensor, int64_t pitch) {
    int64_t reach = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->strides[i] % pitch != 0) reach += (tensor->shape[i] - 1) * tensor->strides[i];
    return reach <= pitch ? reach : -1;
}

/* Columns of one matrix: rows of both lie at multiples of a common pitch, and within a row they do not meet. */
static bool side_by_side(const clattn_tensor *a, const clattn_tensor *b, int64_t distance) {
    const int64_t size = (int64_t)clattn_dtype_size(a->dtype);
    if (a->dtype != b->dtype || distance % size != 0) return false;
    for (int i = 0; i < a->rank; i++) {
        const int64_t pitch = a->strides[i];
        if (pitch < 2) continue;
        const int64_t from = (distance / size % pitch + pitch) % pitch, ra = row_reach(a, pitch), rb = row_reach(b, pitch);
        if (ra > 0 && rb > 0 && from >= ra && from + rb <= pitch) return true;
    }
    return false;
}

static bool overlap(const clattn_tensor *a, const clattn_tensor *b) {
    int64_t distance;
    const int64_t span_a = clattn_tensor_span(a) * (int64_t)clattn_dtype_size(a->dtype), span_b = clattn_tensor_span(b) * (int64_t)clattn_dtype_size(b->dtype);
    if (span_a <= 0 || span_b <= 0 || !distance_between(a, b, &distance)) return false;
    return distance < span_a && -distance < span_b && !side_by_side(a, b, distance);
}

static bool same_place(const clattn_tensor *a, const clattn_tensor *b) {
    int64_t distance;
    if (!distance_between(a, b, &distance) || distance != 0 || a->rank != b->rank || a->dtype != b->dtype) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i] || (a->shape[i] > 1 && a->strides[i] != b->strides[i])) return false;
    return true;
}

static clattn_status check_overlap(clattn_call *call, const clattn_field *field, const void *args) {
    const clattn_tensor *output = clattn_field_tensor(field, args, 0);
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *other = &call->op->fields[i];
        if (other == field || (other->kind != CLATTN_FIELD_INPUT && other->kind != CLATTN_FIELD_OUTPUT)) continue;
        const int count = clattn_field_tensors(other, args);
        for (int k = 0; k < count; k++) {
            const clattn_tensor *tensor = clattn_field_tensor(other, args, k);
            const bool in_place = (field->flags & CLATTN_FIELD_IN_PLACE) && other->kind == CLATTN_FIELD_INPUT && same_place(output, tensor);
            if (!in_place && overlap(output, tensor)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "the output %s overlaps %s in memory", field->name, other->name);
        }
    }
    return CLATTN_OK;
}

static clattn_status check_output_shape(clattn_call *call, const clattn_field *field, const clattn_tensor *tensor) {
    clattn_tensor expected = { 0 };
    char found[160], wanted[160];
    expected.rank = clattn_dims_shape(call, field, expected.shape);
    if (expected.rank < 0) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "the output %s does not exist for these arguments", field->name);
    bool same = expected.rank == tensor->rank;
    for (int i = 0; i < expected.rank && same; i++) same = expected.shape[i] == tensor->shape[i];
    if (!same) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "the output %s is %s, expected %s", field->name, clattn_shape_text(tensor, found, sizeof found), clattn_shape_text(&expected, wanted, sizeof wanted));
    return CLATTN_OK;
}

static clattn_status check_output(clattn_call *call, const clattn_field *field, const void *args, bool shapes_only) {
    const clattn_tensor *tensor = clattn_field_tensor(field, args, 0);
    clattn_status status = check_tensor(call, field, field->name, tensor, shapes_only);
    if (!status && !shapes_only && clattn_buffer_frozen(tensor->buffer)) status = clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "the output %s is frozen", field->name);
    if (!status) status = check_output_shape(call, field, tensor);
    return status || shapes_only ? status : check_overlap(call, field, args);
}

clattn_status clattn_check_outputs(clattn_call *call, const void *args, bool shapes_only) {
    int outputs = 0;
    for (size_t i = 0; i < call->op->field_count; i++) {
        const clattn_field *field = &call->op->fields[i];
        if (field->kind != CLATTN_FIELD_OUTPUT || !clattn_field_tensor(field, args, 0)) continue;
        const clattn_status status = check_output(call, field, args, shapes_only);
        if (status) return status;
        outputs++;
    }
    return outputs ? CLATTN_OK : clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "no output is asked for");
}
