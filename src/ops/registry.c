/* The list of operations, looked through by name, and parameters set from text. */
#include "op.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* ops_list.h is made by Meson from its list of operation files: FAMILY(attention) FAMILY(softmax) ... */
#define FAMILY(name) extern const clattn_op *const clattn_ops_##name[];
#include "ops_list.h"
#undef FAMILY

#define FAMILY(name) clattn_ops_##name,
static const clattn_op *const *const families[] = {
#include "ops_list.h"
};
#undef FAMILY

const char *const clattn_activation_words[] = { "", "none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "hard_sigmoid", "tanh", "leaky_relu", NULL };
const char *const clattn_pool_words[] = { "avg", "max", "lp", "lse", NULL };

const clattn_op *clattn_op_get(size_t index) {
    for (size_t i = 0; i < CLATTN_COUNT(families); i++)
        for (const clattn_op *const *op = families[i]; *op; op++)
            if (index-- == 0) return *op;
    return NULL;
}

size_t clattn_op_count(void) {
    size_t count = 0;
    while (clattn_op_get(count)) count++;
    return count;
}

const clattn_op *clattn_op_find(const char *name) {
    const clattn_op *op;
    for (size_t i = 0; name && (op = clattn_op_get(i)); i++)
        if (strcmp(op->name, name) == 0) return op;
    return NULL;
}

const clattn_field *clattn_op_field(const clattn_op *op, const char *name, bool output) {
    for (size_t i = 0; i < op->field_count; i++)
        if (strcmp(op->fields[i].name, name) == 0 && (op->fields[i].kind == CLATTN_FIELD_OUTPUT) == output) return &op->fields[i];
    return NULL;
}

const char *clattn_op_variant(const clattn_op *op, size_t index) {
    return index < op->code->variant_count ? op->code->variants[index].name : NULL;
}

const char *clattn_op_example(const clattn_op *op, size_t index) {
    size_t i = 0;
    while (i < index && op->code->examples[i]) i++;
    return op->code->examples[i];
}

/* ---- Parameters from text ---- */

static bool parse_integer(const char *text, const char *end, int64_t *value) {
    char *stop;
    errno = 0;
    const long long number = strtoll(text, &stop, 10);
    *value = number;
    return stop == end && stop != text && !isspace((unsigned char)*text) && errno == 0;
}

static bool parse_real(const char *text, const char *end, double *value) {
    char *stop;
    *value = strtod(text, &stop);
    return stop == end && stop != text && !isspace((unsigned char)*text);
}

static int find_word(const clattn_field *field, const char *text, size_t length) {
    for (int i = 0; field->words[i]; i++)
        if (strlen(field->words[i]) == length && length && memcmp(field->words[i], text, length) == 0) return i;
    return -1;
}

static void list_words(const clattn_field *field, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; field->words[i] && used < size; i++)
        if (*field->words[i]) used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", field->words[i]);
}

static bool parse_words(const clattn_field *field, const char *text, clattn_pools *list) {
    *list = (clattn_pools){ .count = 0 };
    for (const char *start = text;; start++) {
        const size_t length = strcspn(start, "+");
        const int word = find_word(field, start, length);
        if (word < 0 || list->count == (int)CLATTN_COUNT(list->kinds)) return false;
        list->kinds[list->count++] = word;
        start += length;
        if (!*start) return true;
    }
}

static bool parse_integers(const char *text, clattn_ints *list) {
    *list = (clattn_ints){ .count = 0 };
    for (const char *start = text;; start++) {
        const char *end = start + strcspn(start, ",");
        if (list->count == CLATTN_MAX_RANK || !parse_integer(start, end, &list->values[list->count])) return false;
        list->count++;
        start = end;
        if (!*start) return true;
    }
}

static bool parse_reals(const char *text, clattn_doubles *list) {
    *list = (clattn_doubles){ .count = 0 };
    for (const char *start = text;; start++) {
        const char *end = start + strcspn(start, ",");
        if (list->count == CLATTN_MAX_RANK || !parse_real(start, end, &list->values[list->count])) return false;
        list->count++;
        start = end;
        if (!*start) return true;
    }
}

static bool parse_boolean(const char *text, bool *value) {
    *value = strcmp(text, "true") == 0;
    return *value || strcmp(text, "false") == 0;
}

static clattn_status refuse(const clattn_op *op, const clattn_field *field, const char *text, const char *expected, char *message, size_t size) {
    snprintf(message, size, "%s: %s=%s: expected %s", op->name, field->name, text, expected);
    return CLATTN_ERROR_ARGUMENT;
}

static clattn_status check_number(const clattn_op *op, const clattn_field *field, const char *text, double value, char *message, size_t size) {
    char expected[96];
    if (!isfinite(value)) return refuse(op, field, text, "a finite number", message, size);
    if ((field->flags & CLATTN_FIELD_NOT_ZERO) && value == 0) return refuse(op, field, text, "a number other than zero", message, size);
    if ((field->low == 0 && field->high == 0) || (value >= field->low && value <= field->high)) return CLATTN_OK;
    snprintf(expected, sizeof expected, "a number in %.9g..%.9g", field->low, field->high);
    return refuse(op, field, text, expected, message, size);
}

static clattn_status set_integer(const clattn_op *op, const clattn_field *field, void *at, const char *text, char *message, size_t size) {
    int64_t value;
    if (!parse_integer(text, text + strlen(text), &value)) return refuse(op, field, text, "an integer", message, size);
    const clattn_status status = check_number(op, field, text, (double)value, message, size);
    if (status) return status;
    if (field->kind == CLATTN_FIELD_OPT_INT) *(clattn_optional_int *)at = (clattn_optional_int){ .set = true, .value = value };
    else *(int64_t *)at = value;
    return CLATTN_OK;
}

static clattn_status set_unsigned(const clattn_op *op, const clattn_field *field, uint64_t *at, const char *text, char *message, size_t size) {
    char *stop;
    errno = 0;
    const unsigned long long value = strtoull(text, &stop, 10);
    if (!isdigit((unsigned char)*text) || *stop || errno) return refuse(op, field, text, "an integer of 0 to 2^64 - 1", message, size);
    *at = value;
    return CLATTN_OK;
}

static clattn_status set_real(const clattn_op *op, const clattn_field *field, void *at, const char *text, char *message, size_t size) {
    double value;
    if (!parse_real(text, text + strlen(text), &value)) return refuse(op, field, text, "a number", message, size);
    if (isfinite(value) && !isfinite((float)value)) return refuse(op, field, text, "a number within f32", message, size);
    const clattn_status status = check_number(op, field, text, value, message, size);
    if (status) return status;
    if (field->kind == CLATTN_FIELD_OPT_FLOAT) *(clattn_optional_float *)at = (clattn_optional_float){ .set = true, .value = (float)value };
    else *(float *)at = (float)value;
    return CLATTN_OK;
}

static clattn_status set_integers(const clattn_op *op, const clattn_field *field, void *at, const char *text, char *message, size_t size) {
    clattn_ints list;
    if (!parse_integers(text, &list)) return refuse(op, field, text, "up to 8 integers like 1,2", message, size);
    for (int i = 0; i < list.count; i++) {
        const clattn_status status = check_number(op, field, text, (double)list.values[i], message, size);
        if (status) return status;
    }
    *(clattn_ints *)at = list;
    return CLATTN_OK;
}

static clattn_status set_reals(const clattn_op *op, const clattn_field *field, void *at, const char *text, char *message, size_t size) {
    clattn_doubles list;
    if (!parse_reals(text, &list)) return refuse(op, field, text, "up to 8 numbers like 1.5,2", message, size);
    for (int i = 0; i < list.count; i++) {
        const clattn_status status = check_number(op, field, text, list.values[i], message, size);
        if (status) return status;
    }
    *(clattn_doubles *)at = list;
    return CLATTN_OK;
}

static clattn_status set_word(const clattn_op *op, const clattn_field *field, void *at, const char *text, char *message, size_t size) {
    char words[256], expected[320];
    list_words(field, words, sizeof words);
    if (field->kind == CLATTN_FIELD_WORDS) {
        clattn_pools list;
        snprintf(expected, sizeof expected, "a list like a+b of %s", words);
        if (!parse_words(field, text, &list)) return refuse(op, field, text, expected, message, size);
        *(clattn_pools *)at = list;
        return CLATTN_OK;
    }
    snprintf(expected, sizeof expected, "one of %s", words);
    const int word = find_word(field, text, strlen(text));
    if (word < 0) return refuse(op, field, text, expected, message, size);
    *(int *)at = word;
    return CLATTN_OK;
}

clattn_status clattn_field_set(const clattn_op *op, const clattn_field *field, void *args, const char *text, char *message, size_t message_size) {
    void *at = (char *)args + field->offset;
    bool value;
    switch (field->kind) {
    case CLATTN_FIELD_BOOL:
        if (!parse_boolean(text, &value)) return refuse(op, field, text, "true or false", message, message_size);
        *(bool *)at = value;
        return CLATTN_OK;
    case CLATTN_FIELD_TOGGLE:
        if (!parse_boolean(text, &value)) return refuse(op, field, text, "true or false", message, message_size);
        *(clattn_toggle *)at = value ? CLATTN_ON : CLATTN_OFF;
        return CLATTN_OK;
    case CLATTN_FIELD_U64: return set_unsigned(op, field, at, text, message, message_size);
    case CLATTN_FIELD_INT: case CLATTN_FIELD_OPT_INT: return set_integer(op, field, at, text, message, message_size);
    case CLATTN_FIELD_FLOAT: case CLATTN_FIELD_OPT_FLOAT: return set_real(op, field, at, text, message, message_size);
    case CLATTN_FIELD_INTS: return set_integers(op, field, at, text, message, message_size);
    case CLATTN_FIELD_DOUBLES: return set_reals(op, field, at, text, message, message_size);
    case CLATTN_FIELD_WORD: case CLATTN_FIELD_WORDS: return set_word(op, field, at, text, message, message_size);
    case CLATTN_FIELD_INPUT: case CLATTN_FIELD_OUTPUT: break;
    }
    return refuse(op, field, text, "a tensor, not a parameter", message, message_size);
}
