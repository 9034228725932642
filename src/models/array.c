/* Host arrays: making, freeing, converting, and finding the format that a spec names. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "file_internal.h"

size_t clattn_file_dtype_size(clattn_file_dtype dtype) {
    switch (dtype) {
#define CASE(name, bytes, text)                                                                                        \
    case CLATTN_FILE_##name: return bytes;
        CLATTN_FILE_DTYPE_MAP(CASE)
#undef CASE
    case CLATTN_FILE_DTYPES: break;
    }
    return 0;
}

const char *clattn_file_dtype_name(clattn_file_dtype dtype) {
    switch (dtype) {
#define CASE(name, bytes, text)                                                                                        \
    case CLATTN_FILE_##name: return text;
        CLATTN_FILE_DTYPE_MAP(CASE)
#undef CASE
    case CLATTN_FILE_DTYPES: break;
    }
    return "unknown";
}

bool clattn_file_is_little_endian(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

void clattn_file_swap_bytes(void *data, size_t element_size, size_t count) {
    unsigned char *element = data;
    if (element_size < 2) return;
    for (size_t i = 0; i < count; i++, element += element_size) {
        for (size_t low = 0, high = element_size - 1; low < high; low++, high--) {
            unsigned char kept = element[low];
            element[low] = element[high];
            element[high] = kept;
        }
    }
}

bool clattn_file_count_bytes(const int64_t *shape, int rank, size_t element_size, size_t *bytes) {
    /* lengths of 0 are left out of the check's product: strides over the other axes must not overflow either */
    const uint64_t most = PTRDIFF_MAX;
    uint64_t product = element_size;
    bool empty = false;
    for (int axis = 0; axis < rank; axis++) {
        uint64_t length = (uint64_t)shape[axis];
        if (length == 0) empty = true;
        else if (product > most / length) return false;
        else product *= length;
    }
    *bytes = empty ? 0 : (size_t)product;
    return product <= most;
}

clattn_status clattn_array_create(clattn_array *array, clattn_file_dtype dtype, int rank, const int64_t *shape) {
    if (!array) return CLATTN_ERROR_ARGUMENT;
    *array = (clattn_array){ 0 };
    size_t element_size = clattn_file_dtype_size(dtype), bytes;
    if (element_size == 0 || rank < 0 || rank > CLATTN_FILE_MAX_RANK || (rank > 0 && !shape))
        return CLATTN_ERROR_ARGUMENT;
    for (int axis = 0; axis < rank; axis++)
        if (shape[axis] < 0) return CLATTN_ERROR_ARGUMENT;
    if (!clattn_file_count_bytes(shape, rank, element_size, &bytes)) return CLATTN_ERROR_ARGUMENT;
    void *data = calloc(bytes ? bytes : 1, 1);
    if (!data) return CLATTN_ERROR_OUT_OF_MEMORY;
    *array = (clattn_array){ .dtype = dtype, .rank = rank, .data = data, .size = bytes, .owned = data };
    for (int axis = 0; axis < rank; axis++) array->shape[axis] = shape[axis];
    return CLATTN_OK;
}

void clattn_array_free(clattn_array *array) {
    if (!array) return;
    free(array->owned);
    *array = (clattn_array){ 0 };
}

int64_t clattn_array_count(const clattn_array *array) {
    if (!array || !array->data) return 0;
    size_t element_size = clattn_file_dtype_size(array->dtype);
    return element_size ? (int64_t)(array->size / element_size) : 0;
}

/* --------------------------------------------------------------------------------------------------- converting --- */

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) { /* zero or subnormal: a multiple of 2^-24 */
        float value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Any signed or small unsigned integer; u64 is taken apart by the callers. */
static int64_t load_integer(clattn_file_dtype dtype, const unsigned char *at) {
    union { int8_t i8; uint8_t u8; int16_t i16; uint16_t u16; int32_t i32; uint32_t u32; int64_t i64; } value;
    memcpy(&value, at, clattn_file_dtype_size(dtype));
    switch (dtype) {
    case CLATTN_FILE_I8: return value.i8;
    case CLATTN_FILE_U8: return value.u8;
    case CLATTN_FILE_I16: return value.i16;
    case CLATTN_FILE_U16: return value.u16;
    case CLATTN_FILE_I32: return value.i32;
    case CLATTN_FILE_U32: return value.u32;
    default: return value.i64;
    }
}

static uint64_t load_u64(const unsigned char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Each kind goes to float in one rounding: not through double, which would round large integers twice. */
static float load_float(clattn_file_dtype dtype, const unsigned char *at) {
    union { uint16_t bits; float f32; double f64; } value;
    switch (dtype) {
    case CLATTN_FILE_F16: memcpy(&value, at, 2); return float_of_half(value.bits);
    case CLATTN_FILE_BF16: memcpy(&value, at, 2); return float_of_bits((uint32_t)value.bits << 16);
    case CLATTN_FILE_F32: memcpy(&value, at, 4); return value.f32;
    case CLATTN_FILE_F64: memcpy(&value, at, 8); return (float)value.f64; /* IEEE 754: out of range is infinite */
    case CLATTN_FILE_U64: return (float)load_u64(at);
    default: return (float)load_integer(dtype, at);
    }
}

static bool is_float(clattn_file_dtype dtype) {
    return dtype == CLATTN_FILE_F16 || dtype == CLATTN_FILE_BF16 || dtype == CLATTN_FILE_F32 ||
           dtype == CLATTN_FILE_F64;
}

static bool can_convert(clattn_file_dtype from, clattn_file_dtype to) {
    if (to == CLATTN_FILE_F32) return from != CLATTN_FILE_BOOL;
    if (to == CLATTN_FILE_I32) return from != CLATTN_FILE_BOOL && !is_float(from);
    return to == CLATTN_FILE_U8 && !is_float(from);
}

typedef struct conversion {
    const clattn_array *from;
    void *to;
    const file_report *report;
} conversion;

static clattn_status to_f32(const conversion *work, size_t count) {
    const unsigned char *at = work->from->data;
    size_t step = clattn_file_dtype_size(work->from->dtype);
    float *to = work->to;
    for (size_t i = 0; i < count; i++, at += step) to[i] = load_float(work->from->dtype, at);
    return CLATTN_OK;
}

static clattn_status to_i32(const conversion *work, size_t count) {
    const clattn_file_dtype dtype = work->from->dtype;
    const unsigned char *at = work->from->data;
    size_t step = clattn_file_dtype_size(dtype);
    int32_t *to = work->to;
    for (size_t i = 0; i < count; i++, at += step) {
        int64_t value = load_integer(dtype, at);
        bool wrapped = dtype == CLATTN_FILE_U64 && value < 0;
        if (wrapped)
            return clattn_file_fail(work->report, CLATTN_ERROR_TYPE,
                                    "element %zu is %" PRIu64 ", which i32 cannot hold", i, load_u64(at));
        if (value < INT32_MIN || value > INT32_MAX)
            return clattn_file_fail(work->report, CLATTN_ERROR_TYPE,
                                    "element %zu is %" PRId64 ", which i32 cannot hold", i, value);
        to[i] = (int32_t)value;
    }
    return CLATTN_OK;
}

static clattn_status to_u8(const conversion *work, size_t count) {
    const unsigned char *at = work->from->data;
    size_t step = clattn_file_dtype_size(work->from->dtype);
    unsigned char *to = work->to;
    for (size_t i = 0; i < count; i++) {
        unsigned char any = 0;
        for (size_t byte = 0; byte < step; byte++) any |= *at++;
        to[i] = any != 0;
    }
    return CLATTN_OK;
}

clattn_status clattn_array_convert(clattn_array *array, clattn_file_dtype dtype, char *message, size_t message_size) {
    const file_report report = clattn_file_report(NULL, message, message_size);
    if (!array || !array->data || clattn_file_dtype_size(array->dtype) == 0)
        return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "there is no array to convert");
    if (array->dtype == dtype && dtype != CLATTN_FILE_U8) return CLATTN_OK;
    if (!can_convert(array->dtype, dtype))
        return clattn_file_fail(&report, CLATTN_ERROR_TYPE, "%s cannot stand for %s",
                                clattn_file_dtype_name(array->dtype), clattn_file_dtype_name(dtype));
    clattn_array converted;
    clattn_status status = clattn_array_create(&converted, dtype, array->rank, array->shape);
    if (status) return clattn_file_fail(&report, status, "%s", clattn_status_text(status));
    conversion work = { .from = array, .to = converted.data, .report = &report };
    size_t count = (size_t)clattn_array_count(array);
    if (count != (size_t)clattn_array_count(&converted))
        status = clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "the array's shape and size disagree");
    else if (dtype == CLATTN_FILE_F32) status = to_f32(&work, count);
    else status = dtype == CLATTN_FILE_I32 ? to_i32(&work, count) : to_u8(&work, count);
    clattn_array_free(status ? &converted : array);
    if (!status) *array = converted;
    return status;
}

/* ------------------------------------------------------------------------------------------------------ reading --- */

static clattn_status read_plain(clattn_array *array, const file_report *report) {
    file_source source;
    clattn_status status = clattn_file_open(&source, report);
    if (!status) status = clattn_file_read_npy(array, &source, report);
    clattn_file_close(&source);
    return status;
}

/* The part of spec after the first "SUFFIX:", or NULL. A spec that ends in the suffix names no member: "". */
static const char *member_of(const char *spec, const char *suffix, size_t *path_length) {
    size_t length = strlen(suffix), whole = strlen(spec);
    for (const char *at = strstr(spec, suffix); at; at = strstr(at + 1, suffix)) {
        if (at[length] != ':' && at[length] != '\0') continue;
        *path_length = (size_t)(at - spec) + length;
        return at[length] == ':' ? at + length + 1 : spec + whole;
    }
    return NULL;
}

clattn_status clattn_array_read(clattn_array *array, const char *spec, char *message, size_t message_size) {
    file_report report = clattn_file_report(spec, message, message_size);
    if (array) *array = (clattn_array){ 0 };
    if (!array || !spec) return clattn_file_fail(&report, CLATTN_ERROR_ARGUMENT, "an array and a file name are needed");
    size_t npz_length = 0, safetensors_length = 0;
    const char *npz = member_of(spec, ".npz", &npz_length);
    const char *safetensors = member_of(spec, ".safetensors", &safetensors_length);
    if (!npz && !safetensors) return read_plain(array, &report);
    bool zip = npz && (!safetensors || npz_length < safetensors_length);
    size_t length = zip ? npz_length : safetensors_length;
    char *path = malloc(length + 1);
    if (!path) return clattn_file_no_memory(&report, length + 1);
    memcpy(path, spec, length);
    path[length] = '\0';
    report.name = path;
    clattn_status status = zip ? clattn_file_read_npz(array, npz, &report)
                               : clattn_file_read_safetensors(array, safetensors, &report);
    free(path);
    return status;
}
