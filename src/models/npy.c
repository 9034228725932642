/* .npy, versions 1.0 to 3.0: a magic, a header that is a Python dictionary, the elements.
 * Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <stdlib.h>
#include <string.h>

#include "file_internal.h"

enum {
    prefix_size = 8,        /* magic and version */
    longest_header = 65535, /* version 2 allows more, which only structured types need */
    alignment = 64
};

static const unsigned char magic[6] = { 0x93, 'N', 'U', 'M', 'P', 'Y' };

typedef struct npy_header {
    bool has_descr, has_order, has_shape;
    clattn_file_dtype dtype;
    bool big_endian;
    bool fortran_order;
    int rank;
    int64_t shape[CLATTN_FILE_MAX_RANK];
} npy_header;

/* A place in the header's text, which ends in a NUL of ours. */
typedef struct cursor {
    const char *at;
    const file_report *report;
} cursor;

static clattn_status malformed(const cursor *text, const char *what) {
    return clattn_file_fail(text->report, CLATTN_ERROR_FORMAT, "the .npy header is damaged: %s", what);
}

static void skip_space(cursor *text) { text->at += strspn(text->at, " \t\r\n\f"); }

static bool accept(cursor *text, char wanted) {
    skip_space(text);
    if (*text->at != wanted) return false;
    text->at++;
    return true;
}

static bool accept_word(cursor *text, const char *word) {
    skip_space(text);
    if (strncmp(text->at, word, strlen(word)) != 0) return false;
    text->at += strlen(word);
    return true;
}

/* A quoted string without escapes, which neither keys nor our types need. */
static bool accept_string(cursor *text, char *string, size_t size) {
    skip_space(text);
    char quote = *text->at;
    if (quote != '\'' && quote != '"') return false;
    size_t length = strcspn(text->at + 1, quote == '"' ? "\"\\" : "'\\");
    if (text->at[1 + length] != quote || length >= size) return false;
    memcpy(string, text->at + 1, length);
    string[length] = '\0';
    text->at += length + 2;
    return true;
}

static clattn_status parse_descr(cursor *text, npy_header *header) {
    static const struct { char name[3]; clattn_file_dtype dtype; } known[] = {
        { "f2", CLATTN_FILE_F16 }, { "f4", CLATTN_FILE_F32 }, { "f8", CLATTN_FILE_F64 }, { "i1", CLATTN_FILE_I8 },
        { "u1", CLATTN_FILE_U8 },  { "i2", CLATTN_FILE_I16 }, { "u2", CLATTN_FILE_U16 }, { "i4", CLATTN_FILE_I32 },
        { "u4", CLATTN_FILE_U32 }, { "i8", CLATTN_FILE_I64 }, { "u8", CLATTN_FILE_U64 }, { "b1", CLATTN_FILE_BOOL },
    };
    char descr[32];
    skip_space(text);
    if (*text->at == '[' || *text->at == '(')
        return clattn_file_fail(text->report, CLATTN_ERROR_TYPE, "a structured element type is not supported");
    if (!accept_string(text, descr, sizeof descr)) return malformed(text, "its 'descr' is not a type");
    bool native = descr[0] == '=' || descr[0] == '|';
    header->big_endian = descr[0] == '>' || (native && !clattn_file_is_little_endian());
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strchr("<>=|", descr[0]) || strcmp(descr + 1, known[i].name) != 0) continue;
        header->dtype = known[i].dtype;
        return CLATTN_OK;
    }
    const char *kind = strchr(descr, 'O') ? " (Python objects)" : "";
    return clattn_file_fail(text->report, CLATTN_ERROR_TYPE, "element type '%s'%s is not supported", descr, kind);
}

static clattn_status parse_order(cursor *text, npy_header *header) {
    header->fortran_order = accept_word(text, "True");
    if (header->fortran_order || accept_word(text, "False")) return CLATTN_OK;
    return malformed(text, "its 'fortran_order' is neither True nor False");
}

static clattn_status parse_length(cursor *text, int64_t *length) {
    if (accept(text, '-')) return malformed(text, "its shape holds a negative length");
    skip_space(text);
    if (*text->at < '0' || *text->at > '9') return malformed(text, "its shape holds something other than lengths");
    for (*length = 0; *text->at >= '0' && *text->at <= '9'; text->at++) {
        int digit = *text->at - '0';
        if (*length > (INT64_MAX - digit) / 10) return malformed(text, "its shape holds a length beyond 64 bits");
        *length = *length * 10 + digit;
    }
    if (*text->at == 'L') text->at++; /* as Python 2 wrote them */
    return CLATTN_OK;
}

static clattn_status parse_shape(cursor *text, npy_header *header) {
    if (!accept(text, '(')) return malformed(text, "its 'shape' is not a tuple");
    bool comma = true;
    while (!accept(text, ')')) {
        if (!comma) return malformed(text, "its shape lacks a comma or an end");
        if (header->rank == CLATTN_FILE_MAX_RANK)
            return clattn_file_fail(text->report, CLATTN_ERROR_UNSUPPORTED, "the array has more than %d axes",
                                    CLATTN_FILE_MAX_RANK);
        clattn_status status = parse_length(text, &header->shape[header->rank++]);
        if (status) return status;
        comma = accept(text, ',');
    }
    if (header->rank == 1 && !comma) return malformed(text, "its 'shape' is not a tuple"); /* (3) is a number */
    return CLATTN_OK;
}

static clattn_status parse_entry(cursor *text, npy_header *header) {
    static const char *const names[] = { "descr", "fortran_order", "shape" };
    bool *const has[] = { &header->has_descr, &header->has_order, &header->has_shape };
    char key[16];
    if (!accept_string(text, key, sizeof key)) return malformed(text, "a key is missing or unknown");
    int which = 0;
    while (which < 3 && strcmp(key, names[which]) != 0) which++;
    if (which == 3) return malformed(text, "it holds an unknown key");
    if (*has[which]) return malformed(text, "it holds a key twice");
    *has[which] = true;
    if (!accept(text, ':')) return malformed(text, "a ':' is missing");
    return which == 0 ? parse_descr(text, header) : which == 1 ? parse_order(text, header) : parse_shape(text, header);
}

static clattn_status parse_header(cursor *text, npy_header *header) {
    if (!accept(text, '{')) return malformed(text, "it is not a dictionary");
    bool comma = true;
    while (!accept(text, '}')) {
        if (!comma) return malformed(text, "a ',' or '}' is missing");
        clattn_status status = parse_entry(text, header);
        if (status) return status;
        comma = accept(text, ',');
    }
    skip_space(text);
    if (*text->at != '\0') return malformed(text, "something follows its dictionary");
    if (!header->has_descr || !header->has_order || !header->has_shape)
        return malformed(text, "'descr', 'fortran_order' or 'shape' is missing");
    return CLATTN_OK;
}

static clattn_status read_header_length(file_source *source, size_t *length, const file_report *report) {
    unsigned char prefix[prefix_size], count[4] = { 0 };
    clattn_status status = clattn_file_read(source, prefix, sizeof prefix, "the .npy magic", report);
    if (status) return status;
    if (memcmp(prefix, "PK\3\4", 4) == 0)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT,
                                "is a zip archive, not a .npy file; a member is named as ARCHIVE.npz:MEMBER");
    if (memcmp(prefix, magic, sizeof magic) != 0)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "is not a .npy file");
    if (prefix[6] < 1 || prefix[6] > 3)
        return clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED, ".npy version %d.%d is not known", prefix[6],
                                prefix[7]);
    status = clattn_file_read(source, count, prefix[6] == 1 ? 2 : 4, "the .npy header's length", report);
    *length = (size_t)count[0] | (size_t)count[1] << 8 | (size_t)count[2] << 16 | (size_t)count[3] << 24;
    if (!status && *length > longest_header)
        status = clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED, "the .npy header of %zu bytes is longer than %d",
                                  *length, longest_header);
    return status;
}

static clattn_status read_header(file_source *source, npy_header *header, const file_report *report) {
    *header = (npy_header){ 0 };
    size_t length = 0;
    clattn_status status = read_header_length(source, &length, report);
    if (status) return status;
    char *text = malloc(length + 1);
    if (!text) return clattn_file_no_memory(report, length + 1);
    status = clattn_file_read(source, text, length, "the .npy header", report);
    text[length] = '\0';
    cursor start = { .at = text, .report = report };
    if (!status && strlen(text) != length) status = malformed(&start, "it holds a NUL");
    if (!status) status = parse_header(&start, header);
    free(text);
    return status;
}

/* The same elements with the last index fastest, in place of the first. */
static clattn_status fortran_to_c(clattn_array *array, const file_report *report) {
    size_t size = clattn_file_dtype_size(array->dtype), strides[CLATTN_FILE_MAX_RANK], stride = size;
    if (array->rank < 2 || array->size == 0) return CLATTN_OK;
    unsigned char *to = malloc(array->size);
    if (!to) return clattn_file_no_memory(report, array->size);
    for (int axis = array->rank - 1; axis >= 0; axis--) {
        strides[axis] = stride;
        stride *= (size_t)array->shape[axis];
    }
    int64_t index[CLATTN_FILE_MAX_RANK] = { 0 };
    size_t offset = 0;
    for (const unsigned char *from = array->data, *end = from + array->size; from < end; from += size) {
        memcpy(to + offset, from, size);
        for (int axis = 0; axis < array->rank; axis++) {
            offset += strides[axis];
            if (++index[axis] < array->shape[axis]) break;
            offset -= strides[axis] * (size_t)array->shape[axis];
            index[axis] = 0;
        }
    }
    free(array->owned);
    array->data = array->owned = to;
    return CLATTN_OK;
}

clattn_status clattn_file_read_npy(clattn_array *array, file_source *source, const file_report *report) {
    npy_header header;
    *array = (clattn_array){ 0 };
    clattn_status status = read_header(source, &header, report);
    if (status) return status;
    size_t element_size = clattn_file_dtype_size(header.dtype);
    array->dtype = header.dtype;
    array->rank = header.rank;
    memcpy(array->shape, header.shape, sizeof header.shape);
    if (!clattn_file_count_bytes(header.shape, header.rank, element_size, &array->size))
        status = clattn_file_fail(report, CLATTN_ERROR_FORMAT, "the array's shape is too large for any memory");
    if (!status) status = clattn_file_read_new(source, &array->owned, array->size, "the array", report);
    array->data = array->owned;
    if (!status) status = clattn_file_expect_end(source, report);
    if (!status && header.big_endian == clattn_file_is_little_endian())
        clattn_file_swap_bytes(array->data, element_size, array->size / element_size);
    if (!status && header.fortran_order) status = fortran_to_c(array, report);
    if (status) clattn_array_free(array);
    return status;
}

/* ------------------------------------------------------------------------------------------------------ writing --- */

/* NULL for a type that .npy lacks. */
static const char *descr_of(clattn_file_dtype dtype) {
    switch (dtype) {
    case CLATTN_FILE_F16: return "f2";
    case CLATTN_FILE_F32: return "f4";
    case CLATTN_FILE_F64: return "f8";
    case CLATTN_FILE_I8: return "i1";
    case CLATTN_FILE_U8: return "u1";
    case CLATTN_FILE_I16: return "i2";
    case CLATTN_FILE_U16: return "u2";
    case CLATTN_FILE_I32: return "i4";
    case CLATTN_FILE_U32: return "u4";
    case CLATTN_FILE_I64: return "i8";
    case CLATTN_FILE_U64: return "u8";
    case CLATTN_FILE_BOOL: return "b1";
    default: return NULL;
    }
}

/* Eight lengths of 19 digits fit with room to spare. */
enum { header_capacity = 512 };

static size_t make_header(const clattn_array *array, char header[header_capacity]) {
    char shape[256] = "";
    size_t used = 0;
    for (int axis = 0; axis < array->rank; axis++) {
        const char *after = axis + 1 < array->rank ? ", " : array->rank == 1 ? "," : "";
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld%s", (long long)array->shape[axis], after);
    }
    char order = clattn_file_dtype_size(array->dtype) == 1 ? '|' : clattn_file_is_little_endian() ? '<' : '>';
    const size_t start = prefix_size + 2;
    size_t length = start + (size_t)snprintf(header + start, header_capacity - start,
                                             "{'descr': '%c%s', 'fortran_order': False, 'shape': (%s), }", order,
                                             descr_of(array->dtype), shape);
    while ((length + 1) % alignment != 0) header[length++] = ' ';
    header[length++] = '\n';
    memcpy(header, magic, sizeof magic);
    header[6] = 1;
    header[7] = 0;
    header[8] = (char)((length - start) & 0xff);
    header[9] = (char)((length - start) >> 8);
    return length;
}

static clattn_status write_array(const clattn_array *array, const file_report *report) {
    file_sink sink;
    char header[header_capacity];
    clattn_status status = clattn_file_sink_open(&sink, report);
    if (status) return status;
    status = clattn_file_write(&sink, header, make_header(array, header), report);
    if (!status) status = clattn_file_write(&sink, array->data, array->size, report);
    return clattn_file_sink_close(&sink, status, report);
}

static bool is_whole(const clattn_array *array) {
    size_t bytes = 0, element_size = clattn_file_dtype_size(array->dtype);
    if (element_size == 0 || array->rank < 0 || array->rank > CLATTN_FILE_MAX_RANK) return false;
    for (int axis = 0; axis < array->rank; axis++)
        if (array->shape[axis] < 0) return false;
    if (!clattn_file_count_bytes(array->shape, array->rank, element_size, &bytes)) return false;
    return bytes == array->size && (array->data || bytes == 0);
}

clattn_status clattn_array_write_npy(const clattn_array *array, const char *path, char *message, size_t message_size) {
    const file_report report = clattn_file_report(path, message, message_size);
    if (!array || !path || !*path)
        return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "an array and a file name are needed");
    if (!is_whole(array))
        return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "the array's type, shape, data and size disagree");
    if (descr_of(array->dtype)) return write_array(array, &report);
    clattn_array wide = *array; /* bf16 */
    wide.owned = NULL;
    clattn_status status = clattn_array_convert(&wide, CLATTN_FILE_F32, message, message_size);
    if (status) return clattn_file_fail(&report, status, "%s", clattn_status_text(status));
    status = write_array(&wide, &report);
    clattn_array_free(&wide);
    return status;
}
