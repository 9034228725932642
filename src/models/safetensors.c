/* .safetensors: a length, a JSON header, the tensors. Everything the format promises is checked: no duplicate key, no
 * gap, no overlap, nothing past the end. Source: https://github.com/huggingface/safetensors#format */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "file_internal.h"

/* Real headers take some 100 bytes a tensor; a parsed one takes up to 20 times its text. */
enum { longest_header = 16 << 20 };

typedef struct tensor_entry {
    const char *name; /* within the header's JSON */
    int64_t begin;    /* in bytes, from the end of the header */
    clattn_array array;
} tensor_entry;

struct clattn_weights {
    char *path;
    json_t *header;
    const json_t *metadata; /* within header; NULL when the file has none */
    tensor_entry *entries;  /* by name, once the layout is checked */
    size_t count;
};

/* ---------------------------------------------------------------------------------------------------- the header -- */

static clattn_status bad_tensor(const file_report *report, const char *name, const char *what) {
    return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "tensor '%s': %s", name, what);
}

static clattn_status parse_json(json_t **header, const char *text, size_t length, const file_report *report) {
    json_error_t error;
    if (length == 0 || text[0] != '{')
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "the header does not begin with '{'");
    *header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (*header) return CLATTN_OK;
    /* jansson mostly says nothing when memory ends; now and then it blames the token at hand */
    if (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)
        return clattn_file_no_memory(report, length);
    return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "the header is not valid JSON: %s (byte %d)", error.text,
                            error.position);
}

static clattn_status read_header(json_t **header, file_source *source, const file_report *report) {
    unsigned char count[8];
    uint64_t length = 0;
    void *text = NULL;
    clattn_status status = clattn_file_read(source, count, sizeof count, "the header's length", report);
    if (status) return status;
    for (int i = 7; i >= 0; i--) length = length << 8 | count[i];
    if (length > longest_header)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT,
                                "is no .safetensors file, or its header of %llu bytes is beyond the limit of %d",
                                (unsigned long long)length, (int)longest_header);
    status = clattn_file_read_new(source, &text, (size_t)length, "the header", report);
    if (!status) status = parse_json(header, text, (size_t)length, report);
    free(text);
    return status;
}

static clattn_status parse_dtype(clattn_array *array, const json_t *value, const char *name,
                                 const file_report *report) {
    static const struct {
        const char *text;
        clattn_file_dtype dtype;
    } known[] = {
        { "F16", CLATTN_FILE_F16 },   { "BF16", CLATTN_FILE_BF16 }, { "F32", CLATTN_FILE_F32 },
        { "F64", CLATTN_FILE_F64 },   { "I8", CLATTN_FILE_I8 },     { "U8", CLATTN_FILE_U8 },
        { "I16", CLATTN_FILE_I16 },   { "U16", CLATTN_FILE_U16 },   { "I32", CLATTN_FILE_I32 },
        { "U32", CLATTN_FILE_U32 },   { "I64", CLATTN_FILE_I64 },   { "U64", CLATTN_FILE_U64 },
        { "BOOL", CLATTN_FILE_BOOL },
    };
    const char *text = json_string_value(value);
    if (!text) return bad_tensor(report, name, "its dtype is missing or not a string");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(text, known[i].text) != 0) continue;
        array->dtype = known[i].dtype;
        return CLATTN_OK;
    }
    return clattn_file_fail(report, CLATTN_ERROR_TYPE, "tensor '%s': element type '%.20s' is not supported", name,
                            text);
}

static clattn_status parse_shape(clattn_array *array, const json_t *value, const char *name,
                                 const file_report *report) {
    if (!json_is_array(value)) return bad_tensor(report, name, "its shape is missing or not a list");
    size_t rank = json_array_size(value);
    if (rank > CLATTN_FILE_MAX_RANK)
        return clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED, "tensor '%s' has %zu axes, more than %d", name, rank,
                                CLATTN_FILE_MAX_RANK);
    array->rank = (int)rank;
    for (size_t axis = 0; axis < rank; axis++) {
        const json_t *length = json_array_get(value, axis);
        if (!json_is_integer(length) || json_integer_value(length) < 0)
            return bad_tensor(report, name, "its shape holds something other than lengths of 0 or more");
        array->shape[axis] = json_integer_value(length);
    }
    if (!clattn_file_count_bytes(array->shape, array->rank, clattn_file_dtype_size(array->dtype), &array->size))
        return bad_tensor(report, name, "its shape is too large for any memory");
    return CLATTN_OK;
}

static clattn_status parse_offsets(tensor_entry *entry, const json_t *value, const file_report *report) {
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return bad_tensor(report, entry->name, "its data_offsets are missing or not two integers");
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from) return bad_tensor(report, entry->name, "its data_offsets are negative or reversed");
    if ((uint64_t)(to - from) != entry->array.size)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT,
                                "tensor '%s': its data_offsets span %lld bytes, its shape needs %zu", entry->name,
                                (long long)(to - from), entry->array.size);
    entry->begin = from;
    return CLATTN_OK;
}

static clattn_status parse_tensor(tensor_entry *entry, const json_t *value, const file_report *report) {
    if (!json_is_object(value)) return bad_tensor(report, entry->name, "its description is not an object");
    clattn_status status = parse_dtype(&entry->array, json_object_get(value, "dtype"), entry->name, report);
    if (!status) status = parse_shape(&entry->array, json_object_get(value, "shape"), entry->name, report);
    if (!status) status = parse_offsets(entry, json_object_get(value, "data_offsets"), report);
    return status;
}

static clattn_status check_metadata(const json_t *metadata, const file_report *report) {
    bool fits = json_is_object(metadata);
    json_t *object = (json_t *)(uintptr_t)metadata; /* jansson's iterators are not const; nothing is changed */
    for (void *at = fits ? json_object_iter(object) : NULL; at; at = json_object_iter_next(object, at))
        fits = fits && json_is_string(json_object_iter_value(at));
    if (fits) return CLATTN_OK;
    return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "__metadata__ is not an object of strings");
}

static clattn_status parse_entries(clattn_weights *weights, const file_report *report) {
    size_t most = json_object_size(weights->header);
    weights->entries = calloc(most ? most : 1, sizeof *weights->entries);
    if (!weights->entries) return clattn_file_no_memory(report, most * sizeof *weights->entries);
    clattn_status status = CLATTN_OK;
    for (void *at = json_object_iter(weights->header); at && !status; at = json_object_iter_next(weights->header, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        if (strcmp(name, "__metadata__") == 0) {
            weights->metadata = value;
            status = check_metadata(value, report);
            continue;
        }
        tensor_entry *entry = &weights->entries[weights->count++];
        entry->name = name;
        status = parse_tensor(entry, value, report);
    }
    return status;
}

/* ---------------------------------------------------------------------------------------------------- the layout -- */

static int compare_places(const void *left, const void *right) {
    const tensor_entry *a = left, *b = right;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return (a->array.size > b->array.size) - (a->array.size < b->array.size); /* empty ones first */
}

static int compare_names(const void *left, const void *right) {
    const tensor_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Leaves the entries in the order of their data, each beginning where the last one ended. */
static clattn_status check_layout(clattn_weights *weights, const file_source *source, const file_report *report) {
    int64_t end = 0;
    qsort(weights->entries, weights->count, sizeof *weights->entries, compare_places);
    for (size_t i = 0; i < weights->count; i++) {
        const tensor_entry *entry = &weights->entries[i];
        if (entry->begin != end)
            return bad_tensor(report, entry->name,
                              entry->begin < end ? "its data overlap another tensor's" : "a gap lies before its data");
        end += (int64_t)entry->array.size; /* begin + size came from one int64_t: no overflow */
        if (source->left >= 0 && end > source->left)
            return bad_tensor(report, entry->name, "its data lie outside the file, which is cut short or damaged");
    }
    if (source->left >= 0 && end < source->left)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "%lld bytes follow after the last tensor",
                                (long long)(source->left - end));
    return CLATTN_OK;
}

static clattn_status read_tensor(tensor_entry *entry, file_source *source, const file_report *report) {
    clattn_array *array = &entry->array;
    clattn_status status = clattn_file_read_new(source, &array->owned, array->size, entry->name, report);
    array->data = array->owned;
    if (status || clattn_file_is_little_endian()) return status;
    size_t element_size = clattn_file_dtype_size(array->dtype);
    clattn_file_swap_bytes(array->data, element_size, array->size / element_size);
    return CLATTN_OK;
}

/* Header and layout, no tensor yet: the entries stand in the order of their data. */
static clattn_status read_directory(clattn_weights **result, file_source *source, const file_report *report) {
    clattn_weights *weights = calloc(1, sizeof *weights);
    *result = weights;
    if (!weights) return clattn_file_no_memory(report, sizeof *weights);
    weights->path = malloc(strlen(report->name) + 1);
    if (!weights->path) return clattn_file_no_memory(report, strlen(report->name) + 1);
    strcpy(weights->path, report->name);
    clattn_status status = read_header(&weights->header, source, report);
    if (!status) status = parse_entries(weights, report);
    if (!status) status = check_layout(weights, source, report);
    return status;
}

/* ------------------------------------------------------------------------------------------------------- calls --- */

clattn_status clattn_file_read_weights(clattn_weights **result, file_source *source, const file_report *report) {
    clattn_weights *weights = NULL;
    clattn_status status = read_directory(&weights, source, report);
    for (size_t i = 0; !status && i < weights->count; i++) status = read_tensor(&weights->entries[i], source, report);
    if (!status) status = clattn_file_expect_end(source, report);
    if (status) clattn_weights_close(&weights);
    else qsort(weights->entries, weights->count, sizeof *weights->entries, compare_names);
    *result = weights;
    return status;
}

clattn_status clattn_weights_open(clattn_weights **weights, const char *path, char *message, size_t message_size) {
    const file_report report = clattn_file_report(path, message, message_size);
    if (weights) *weights = NULL;
    if (!weights || !path)
        return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "a place and a file name are needed");
    file_source source;
    clattn_status status = clattn_file_open(&source, &report);
    if (!status) status = clattn_file_read_weights(weights, &source, &report);
    clattn_file_close(&source);
    return status;
}

void clattn_weights_close(clattn_weights **weights) {
    if (!weights || !*weights) return;
    for (size_t i = 0; i < (*weights)->count; i++) free((*weights)->entries[i].array.owned);
    free((*weights)->entries);
    json_decref((*weights)->header);
    free((*weights)->path);
    free(*weights);
    *weights = NULL;
}

size_t clattn_weights_count(const clattn_weights *weights) { return weights ? weights->count : 0; }

const char *clattn_weights_name(const clattn_weights *weights, size_t index) {
    return weights && index < weights->count ? weights->entries[index].name : NULL;
}

const char *clattn_weights_metadata(const clattn_weights *weights, const char *key) {
    if (!weights || !key) return NULL;
    return json_string_value(json_object_get(weights->metadata, key));
}

static clattn_status no_such_tensor(const clattn_weights *weights, const char *name, const file_report *report) {
    file_list list = { 0 };
    for (size_t i = 0; i < weights->count; i++) clattn_file_list_add(&list, weights->entries[i].name);
    const char *there = list.names ? list.text : "none";
    if (!*name)
        return clattn_file_fail(report, CLATTN_ERROR_ARGUMENT, "name a tensor after '.safetensors:'; it holds %s",
                                there);
    return clattn_file_fail(report, CLATTN_ERROR_ARGUMENT, "has no tensor '%s'; it holds %s", name, there);
}

clattn_status clattn_weights_get(const clattn_weights *weights, const char *name, clattn_array *view, char *message,
                                 size_t message_size) {
    const file_report report = clattn_file_report(weights ? weights->path : NULL, message, message_size);
    if (view) *view = (clattn_array){ 0 };
    if (!weights || !name || !view)
        return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "weights, a tensor's name and a place are needed");
    const tensor_entry key = { .name = name };
    const tensor_entry *entry =
        bsearch(&key, weights->entries, weights->count, sizeof *weights->entries, compare_names);
    if (!entry) return no_such_tensor(weights, name, &report);
    *view = entry->array;
    view->owned = NULL;
    return CLATTN_OK;
}

/* Only the one tensor is read: a file may be larger than memory. */
static clattn_status read_one(clattn_array *array, clattn_weights *weights, const char *name, file_source *source,
                              const file_report *report) {
    tensor_entry *entry = weights->entries, *end = entry + weights->count;
    while (entry < end && strcmp(entry->name, name) != 0) entry++;
    if (entry == end) {
        qsort(weights->entries, weights->count, sizeof *weights->entries, compare_names);
        return no_such_tensor(weights, name, report);
    }
    clattn_status status = clattn_file_skip(source, entry->begin, report);
    if (!status) status = read_tensor(entry, source, report);
    if (status) return status;
    *array = entry->array;
    entry->array.owned = NULL;
    return CLATTN_OK;
}

clattn_status clattn_file_read_safetensors(clattn_array *array, const char *tensor, const file_report *report) {
    file_source source;
    clattn_weights *weights = NULL;
    *array = (clattn_array){ 0 };
    clattn_status status = clattn_file_open(&source, report);
    if (!status) status = read_directory(&weights, &source, report);
    if (!status) status = read_one(array, weights, tensor ? tensor : "", &source, report);
    clattn_weights_close(&weights);
    clattn_file_close(&source);
    return status;
}
