/* .npy, .npz and .safetensors: what is read and written, and what hostile files get. The files are made by
 * tests/data/make_files.py. */
#define _XOPEN_SOURCE 700
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clattn/file.h"

#ifndef CLATTN_TEST_DATA
#define CLATTN_TEST_DATA "tests/data"
#endif
#define FILES CLATTN_TEST_DATA "/files/"
#define LENGTH(list) (sizeof(list) / sizeof *(list))

static char directory[64];

static void enter(void) {
    snprintf(directory, sizeof directory, "/tmp/clattn-files-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
}

/* Entries of the scratch directory: temporaries that were left behind show here. */
static int entries(void) {
    int count = 0;
    DIR *stream = opendir(directory);
    cr_assert(stream != NULL);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) count += entry->d_name[0] != '.';
    closedir(stream);
    return count;
}

static void leave(void) {
    char path[512];
    DIR *stream = opendir(directory);
    for (struct dirent *entry = stream ? readdir(stream) : NULL; entry; entry = readdir(stream)) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        remove(path);
    }
    if (stream) closedir(stream);
    rmdir(directory);
}

TestSuite(files, .init = enter, .fini = leave);

static const char *scratch(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static unsigned char *slurp(const char *path, size_t *size) {
    FILE *stream = fopen(path, "rb");
    cr_assert(stream != NULL, "%s: %s", path, strerror(errno));
    unsigned char *bytes = malloc(1 << 17);
    *size = fread(bytes, 1, 1 << 17, stream);
    cr_assert(*size < 1 << 17);
    fclose(stream);
    return bytes;
}

static void spill(const char *path, const void *bytes, size_t size) {
    FILE *stream = fopen(path, "wb");
    cr_assert(stream && fwrite(bytes, 1, size, stream) == size && fclose(stream) == 0);
}

static bool same_file(const char *left, const char *right) {
    size_t left_size, right_size;
    unsigned char *a = slurp(left, &left_size), *b = slurp(right, &right_size);
    bool same = left_size == right_size && memcmp(a, b, left_size) == 0;
    free(a);
    free(b);
    return same;
}

static double element(const clattn_array *array, size_t i) {
    const void *data = array->data;
    switch (array->dtype) {
    case CLATTN_FILE_F32: return ((const float *)data)[i];
    case CLATTN_FILE_F64: return ((const double *)data)[i];
    case CLATTN_FILE_I8: return ((const int8_t *)data)[i];
    case CLATTN_FILE_U8:
    case CLATTN_FILE_BOOL: return ((const uint8_t *)data)[i];
    case CLATTN_FILE_I16: return ((const int16_t *)data)[i];
    case CLATTN_FILE_U16: return ((const uint16_t *)data)[i];
    case CLATTN_FILE_I32: return ((const int32_t *)data)[i];
    case CLATTN_FILE_U32: return ((const uint32_t *)data)[i];
    case CLATTN_FILE_I64: return (double)((const int64_t *)data)[i];
    case CLATTN_FILE_U64: return (double)((const uint64_t *)data)[i];
    default: return NAN; /* 16-bit floats: converted first */
    }
}

/* -------------------------------------------------------------------------------------------------- good files --- */

static const struct good {
    const char *spec;
    clattn_file_dtype dtype;
    int rank;
    int64_t shape[8];
    int start; /* element i is start + i */
} good[] = {
    { "little_f2.npy", CLATTN_FILE_F16, 3, { 2, 3, 4 }, 0 },
    { "little_f4.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "little_f8.npy", CLATTN_FILE_F64, 3, { 2, 3, 4 }, 0 },
    { "little_i1.npy", CLATTN_FILE_I8, 3, { 2, 3, 4 }, 0 },
    { "little_u1.npy", CLATTN_FILE_U8, 3, { 2, 3, 4 }, 0 },
    { "little_i2.npy", CLATTN_FILE_I16, 3, { 2, 3, 4 }, 0 },
    { "little_u2.npy", CLATTN_FILE_U16, 3, { 2, 3, 4 }, 0 },
    { "little_i4.npy", CLATTN_FILE_I32, 3, { 2, 3, 4 }, 0 },
    { "little_u4.npy", CLATTN_FILE_U32, 3, { 2, 3, 4 }, 0 },
    { "little_i8.npy", CLATTN_FILE_I64, 3, { 2, 3, 4 }, 0 },
    { "little_u8.npy", CLATTN_FILE_U64, 3, { 2, 3, 4 }, 0 },
    { "big_f2.npy", CLATTN_FILE_F16, 3, { 2, 3, 4 }, 0 },
    { "big_f4.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "big_f8.npy", CLATTN_FILE_F64, 3, { 2, 3, 4 }, 0 },
    { "big_i2.npy", CLATTN_FILE_I16, 3, { 2, 3, 4 }, 0 },
    { "big_u2.npy", CLATTN_FILE_U16, 3, { 2, 3, 4 }, 0 },
    { "big_i4.npy", CLATTN_FILE_I32, 3, { 2, 3, 4 }, 0 },
    { "big_u4.npy", CLATTN_FILE_U32, 3, { 2, 3, 4 }, 0 },
    { "big_i8.npy", CLATTN_FILE_I64, 3, { 2, 3, 4 }, 0 },
    { "big_u8.npy", CLATTN_FILE_U64, 3, { 2, 3, 4 }, 0 },
    { "fortran.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "fortran_big.npy", CLATTN_FILE_I64, 3, { 2, 3, 4 }, 0 },
    { "bool.npy", CLATTN_FILE_BOOL, 1, { 2 }, 0 },
    { "rank0.npy", CLATTN_FILE_I32, 0, { 0 }, 7 },
    { "rank8.npy", CLATTN_FILE_F32, 8, { 1, 2, 1, 3, 1, 4, 1, 1 }, 0 },
    { "empty_axis.npy", CLATTN_FILE_F32, 3, { 3, 0, 2 }, 0 },
    { "fortran_empty.npy", CLATTN_FILE_F32, 3, { 3, 0, 2 }, 0 },
    { "version2.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "version3.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "python2.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "no_spaces.npy", CLATTN_FILE_F32, 1, { 24 }, 0 },
    { "stored.npz:x", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "stored.npz:x.npy", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "stored.npz:y", CLATTN_FILE_F64, 3, { 2, 3, 4 }, 0 },
    { "stored.npz:empty", CLATTN_FILE_I32, 2, { 0, 3 }, 0 },
    { "deflated.npz:x", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "deflated.npz:y", CLATTN_FILE_F64, 3, { 2, 3, 4 }, 0 },
    { "deflated.npz:empty", CLATTN_FILE_I32, 2, { 0, 3 }, 0 },
    { "paths.npz:../up", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 }, /* a name and no more: nothing is unpacked to disk */
    { "paths.npz:/etc/root", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "paths.npz:layer/w", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "both_names.npz:x", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:float16", CLATTN_FILE_F16, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:float32", CLATTN_FILE_F32, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:float64", CLATTN_FILE_F64, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:int8", CLATTN_FILE_I8, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:uint8", CLATTN_FILE_U8, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:int16", CLATTN_FILE_I16, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:uint16", CLATTN_FILE_U16, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:int32", CLATTN_FILE_I32, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:uint32", CLATTN_FILE_U32, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:int64", CLATTN_FILE_I64, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:uint64", CLATTN_FILE_U64, 3, { 2, 3, 4 }, 0 },
    { "good.safetensors:bool", CLATTN_FILE_BOOL, 1, { 2 }, 0 },
    { "good.safetensors:scalar", CLATTN_FILE_I32, 0, { 0 }, 7 },
    { "good.safetensors:nothing", CLATTN_FILE_F32, 2, { 0, 5 }, 0 },
    { "bf16.safetensors:w", CLATTN_FILE_BF16, 3, { 2, 3, 4 }, 0 },
    { "odd_offset.safetensors:f", CLATTN_FILE_F32, 1, { 24 }, 0 },
    { "odd_offset.safetensors:b", CLATTN_FILE_U8, 1, { 1 }, 1 },
};

static void check_good(const struct good *expected, clattn_array *array) {
    int64_t count = 1;
    cr_assert_eq(array->dtype, expected->dtype, "%s: %s", expected->spec, clattn_file_dtype_name(array->dtype));
    cr_assert_eq(array->rank, expected->rank, "%s", expected->spec);
    for (int axis = 0; axis < 8; axis++) {
        cr_assert_eq(array->shape[axis], expected->shape[axis], "%s axis %d", expected->spec, axis);
        if (axis < array->rank) count *= array->shape[axis];
    }
    cr_assert_eq(clattn_array_count(array), count);
    cr_assert_eq(array->size, (size_t)count * clattn_file_dtype_size(array->dtype));
    cr_assert_not_null(array->data);
    if (array->dtype == CLATTN_FILE_F16 || array->dtype == CLATTN_FILE_BF16)
        cr_assert_eq(clattn_array_convert(array, CLATTN_FILE_F32, NULL, 0), CLATTN_OK);
    for (size_t i = 0; i < (size_t)count; i++)
        cr_assert_eq(element(array, i), expected->start + (double)i, "%s element %zu is %g", expected->spec, i,
                     element(array, i));
}

Test(files, good_files_are_read) {
    for (size_t i = 0; i < LENGTH(good); i++) {
        char spec[256], message[256] = "left over";
        clattn_array array;
        snprintf(spec, sizeof spec, FILES "%s", good[i].spec);
        clattn_status status = clattn_array_read(&array, spec, message, sizeof message);
        cr_assert_eq(status, CLATTN_OK, "%d %s", (int)status, message);
        cr_assert_str_empty(message);
        check_good(&good[i], &array);
        clattn_array_free(&array);
        cr_assert_null(array.data);
    }
}

Test(files, a_pipe_is_read) {
    size_t size;
    unsigned char *bytes = slurp(FILES "little_f4.npy", &size);
    for (size_t sent = size - 1; sent <= size; sent++) {
        int ends[2];
        char path[32], message[256];
        clattn_array array;
        cr_assert_eq(pipe(ends), 0);
        cr_assert_eq(write(ends[1], bytes, sent), (ssize_t)sent);
        close(ends[1]);
        snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
        clattn_status status = clattn_array_read(&array, path, message, sizeof message);
        cr_assert_eq(status, sent == size ? CLATTN_OK : CLATTN_ERROR_FORMAT, "%s", message);
        clattn_array_free(&array);
        close(ends[0]);
    }
    free(bytes);
}

/* --------------------------------------------------------------------------------------------------- bad files --- */

static const struct bad {
    const char *spec;
    clattn_status status;
    const char *words; /* within the message, after the file's name */
} bad[] = {
    { "bad_after_dict.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: something follows its dictionary" },
    { "bad_bomb_declared.npz:x", CLATTN_ERROR_UNSUPPORTED,
      "would unpack from 95 to 4000000070 bytes; store so large an array unco" },
    { "bad_bomb_hidden.npz:x", CLATTN_ERROR_FORMAT,
      "more bytes follow after the end of the array data" },
    { "bad_bomb_shape.npz:x", CLATTN_ERROR_FORMAT,
      "more bytes follow after the end of the array data" },
    { "bad_bomb_small.npz:x", CLATTN_ERROR_FORMAT,
      "ends too early: the array needs 4000000 bytes, 3999996 are there" },
    { "bad_bzip2.npz:x", CLATTN_ERROR_UNSUPPORTED,
      "compression method 12 is not supported" },
    { "bad_crc.npz:x", CLATTN_ERROR_FORMAT,
      "CRC error" },
    { "bad_deflate.npz:x", CLATTN_ERROR_TYPE,
      "element type '<f4(| ' is not supported" },
    { "bad_empty.npy", CLATTN_ERROR_FORMAT,
      "ends too early: the .npy magic needs 8 bytes, 0 are there" },
    { "bad_empty.npz:x", CLATTN_ERROR_FORMAT,
      "cannot be opened as a zip archive: Not a zip archive" },
    { "bad_empty.safetensors:a", CLATTN_ERROR_FORMAT,
      "ends too early: the header's length needs 8 bytes, 0 are there" },
    { "bad_encrypted.npz:x", CLATTN_ERROR_UNSUPPORTED,
      "is encrypted" },
    { "bad_entry.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its description is not an object" },
    { "bad_gap.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'b': a gap lies before its data" },
    { "bad_header_code.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: it is not a dictionary" },
    { "bad_header_length_huge.npy", CLATTN_ERROR_UNSUPPORTED,
      "the .npy header of 4294967295 bytes is longer than 65535" },
    { "bad_header_length_long.npy", CLATTN_ERROR_FORMAT,
      "ends too early: the .npy header needs 60000 bytes, 74 are there" },
    { "bad_header_length_short.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: a key is missing or unknown" },
    { "bad_header_nul.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: it holds a NUL" },
    { "bad_header_utf8.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: it holds an unknown key" },
    { "bad_json.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: string or '}' expected near ''' (byte 2)" },
    { "bad_json_deep.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: maximum parsing depth reached near '[' (" },
    { "bad_json_list.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header does not begin with '{'" },
    { "bad_json_nul.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: NUL byte in object key not supported nea" },
    { "bad_json_twice.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: duplicate object key near '\"a\"' (byte 65" },
    { "bad_json_utf8.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: unable to decode byte 0xc3 near '\"' (byt" },
    { "bad_key_missing.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: 'descr', 'fortran_order' or 'shape' is mis" },
    { "bad_key_twice.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: it holds a key twice" },
    { "bad_key_unknown.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: it holds an unknown key" },
    { "bad_length_huge.safetensors:a", CLATTN_ERROR_FORMAT,
      "is no .safetensors file, or its header of 9223372036854775808 bytes is" },
    { "bad_length_long.safetensors:a", CLATTN_ERROR_FORMAT,
      "ends too early: the header needs 1000 bytes, 78 are there" },
    { "bad_length_short.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: premature end of input near '\"F32' (byte" },
    { "bad_length_zero.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header does not begin with '{'" },
    { "bad_magic.npy", CLATTN_ERROR_FORMAT,
      "is not a .npy file" },
    { "bad_member_truncated.npz:x", CLATTN_ERROR_FORMAT,
      "ends too early: the array needs 96 bytes, 92 are there" },
    { "bad_metadata.safetensors:a", CLATTN_ERROR_FORMAT,
      "__metadata__ is not an object of strings" },
    { "bad_method.npz:x", CLATTN_ERROR_UNSUPPORTED,
      "compression method 97 is not supported" },
    { "bad_offset.npz:x", CLATTN_ERROR_FORMAT,
      "cannot be unpacked: Invalid argument" },
    { "bad_offsets_64bit.safetensors:a", CLATTN_ERROR_FORMAT,
      "the header is not valid JSON: too big integer near '184467440737095516" },
    { "bad_offsets_negative.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data_offsets are negative or reversed" },
    { "bad_offsets_reversed.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data_offsets are negative or reversed" },
    { "bad_offsets_span.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data_offsets span 16 bytes, its shape needs 12" },
    { "bad_offsets_three.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data_offsets are missing or not two integers" },
    { "bad_order.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its 'fortran_order' is neither True nor Fa" },
    { "bad_outside.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data lie outside the file, which is cut short or damag" },
    { "bad_overlap.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'b': its data overlap another tensor's" },
    { "bad_same_place.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'b': its data overlap another tensor's" },
    { "bad_shape_64bit.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its shape holds a length beyond 64 bits" },
    { "bad_shape_float.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its shape lacks a comma or an end" },
    { "bad_shape_float.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its shape holds something other than lengths of 0 or more" },
    { "bad_shape_huge.npy", CLATTN_ERROR_FORMAT,
      "ends too early: the array needs 4000000000000 bytes, 16 are there" },
    { "bad_shape_list.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its 'shape' is not a tuple" },
    { "bad_shape_missing.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its shape is missing or not a list" },
    { "bad_shape_negative.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its shape holds a negative length" },
    { "bad_shape_negative.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its shape holds something other than lengths of 0 or more" },
    { "bad_shape_number.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its 'shape' is not a tuple" },
    { "bad_shape_open.npy", CLATTN_ERROR_FORMAT,
      "the .npy header is damaged: its shape holds something other than lengths" },
    { "bad_shape_overflow.npy", CLATTN_ERROR_FORMAT,
      "the array's shape is too large for any memory" },
    { "bad_shape_overflow.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its shape is too large for any memory" },
    { "bad_shape_overflow_zero.npy", CLATTN_ERROR_FORMAT,
      "the array's shape is too large for any memory" },
    { "bad_shape_rank9.npy", CLATTN_ERROR_UNSUPPORTED,
      "the array has more than 8 axes" },
    { "bad_shape_rank9.safetensors:a", CLATTN_ERROR_UNSUPPORTED,
      "tensor 'a' has 9 axes, more than 8" },
    { "bad_short.safetensors:a", CLATTN_ERROR_FORMAT,
      "ends too early: the header's length needs 8 bytes, 3 are there" },
    { "bad_text.npz:x", CLATTN_ERROR_FORMAT,
      "cannot be opened as a zip archive: Not a zip archive" },
    { "bad_trailing.npy", CLATTN_ERROR_FORMAT,
      "more bytes follow after the end of the array data" },
    { "bad_trailing.safetensors:a", CLATTN_ERROR_FORMAT,
      "1 bytes follow after the last tensor" },
    { "bad_truncated.npz:x", CLATTN_ERROR_FORMAT,
      "cannot be opened as a zip archive: Not a zip archive" },
    { "bad_truncated.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its data lie outside the file, which is cut short or damag" },
    { "bad_twice.npz:x", CLATTN_ERROR_FORMAT,
      "holds 'x' more than once" },
    { "bad_type_complex.npy", CLATTN_ERROR_TYPE,
      "element type '<c8' is not supported" },
    { "bad_type_number.safetensors:a", CLATTN_ERROR_FORMAT,
      "tensor 'a': its dtype is missing or not a string" },
    { "bad_type_object.npy", CLATTN_ERROR_TYPE,
      "element type '|O' (Python objects) is not supported" },
    { "bad_type_structured.npy", CLATTN_ERROR_TYPE,
      "a structured element type is not supported" },
    { "bad_type_text.npy", CLATTN_ERROR_TYPE,
      "element type '<U2' is not supported" },
    { "bad_type_unknown.npy", CLATTN_ERROR_TYPE,
      "element type '<f9' is not supported" },
    { "bad_type_unknown.safetensors:a", CLATTN_ERROR_TYPE,
      "tensor 'a': element type 'F8_E4M3' is not supported" },
    { "bad_version.npy", CLATTN_ERROR_UNSUPPORTED,
      ".npy version 4.0 is not known" },
    { "missing.npy", CLATTN_ERROR_FILE,
      "No such file or directory" },
    { "missing.npz:x", CLATTN_ERROR_FILE,
      "cannot be opened as a zip archive: No such file" },
    { "missing.safetensors:a", CLATTN_ERROR_FILE,
      "No such file or directory" },
    { "stored.npz", CLATTN_ERROR_ARGUMENT,
      "name a member after '.npz:'; it holds x.npy, y.npy, empty.npy" },
    { "stored.npz:", CLATTN_ERROR_ARGUMENT,
      "name a member after '.npz:'; it holds x.npy, y.npy, empty.npy" },
    { "stored.npz:z", CLATTN_ERROR_ARGUMENT,
      "has no member 'z'; it holds x.npy, y.npy, empty.npy" },
    { "many.npz:z", CLATTN_ERROR_ARGUMENT,
      "has no member 'z'; it holds member000.npy, member001.npy, member002.npy, member003.npy, member0" },
    { "no_members.npz:x", CLATTN_ERROR_ARGUMENT,
      "has no member 'x'; it holds none" },
    { "paths.npz:note.txt", CLATTN_ERROR_FORMAT,
      "ends too early: the .npy magic needs 8 bytes, 5 are there" },
    { "paths.npz:dir/", CLATTN_ERROR_FORMAT,
      "ends too early: the .npy magic needs 8 bytes, 0 are there" },
    { "good.safetensors", CLATTN_ERROR_ARGUMENT,
      "name a tensor after '.safetensors:'; it holds bool, float16, float32, float64, int16, int32, in" },
    { "good.safetensors:", CLATTN_ERROR_ARGUMENT,
      "name a tensor after '.safetensors:'; it holds bool, float16, float32, float64, int16, int32, in" },
    { "good.safetensors:zz", CLATTN_ERROR_ARGUMENT,
      "has no tensor 'zz'; it holds bool, float16, float32, float64, int16, int32, int64, int8, ..." },
    { "no_tensors.safetensors:a", CLATTN_ERROR_ARGUMENT,
      "has no tensor 'a'; it holds none" },
    { "../files", CLATTN_ERROR_FILE,
      "Is a directory" },
};

static long peak_kilobytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void expect_bad(const struct bad *expected) {
    char spec[256], message[512] = "";
    snprintf(spec, sizeof spec, FILES "%s", expected->spec);
    clattn_array array = { .rank = 3 };
    clattn_status status = clattn_array_read(&array, spec, message, sizeof message);
    cr_assert_eq(status, expected->status, "%s: %d %s", spec, (int)status, message);
    char *suffix = strrchr(spec, ':');
    if (suffix) *suffix = '\0';
    cr_assert_eq(strncmp(message, spec, strlen(spec)), 0, "names no file: %s", message);
    cr_assert_not_null(strstr(message, expected->words), "%s, expected: %s", message, expected->words);
    cr_assert(array.data == NULL && array.owned == NULL && array.rank == 0);
}

Test(files, bad_files_are_refused_in_bounded_memory) {
    long before = peak_kilobytes();
    for (size_t i = 0; i < LENGTH(bad); i++) expect_bad(&bad[i]);
    cr_assert_lt(peak_kilobytes() - before, 64 << 10);
}

Test(files, every_bad_file_is_in_the_table) {
    size_t found = 0;
    DIR *stream = opendir(FILES);
    cr_assert_not_null(stream);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        if (strncmp(entry->d_name, "bad_", 4) != 0) continue;
        bool listed = false;
        for (size_t i = 0; i < LENGTH(bad); i++)
            listed = listed || strncmp(bad[i].spec, entry->d_name, strlen(entry->d_name)) == 0;
        cr_assert(listed, "%s", entry->d_name);
        found++;
    }
    closedir(stream);
    cr_assert_gt(found, 50);
}

static const struct { const char *file, *member; } to_damage[] = {
    { "fortran_big.npy", "" },     { "bool.npy", "" },          { "version2.npy", "" },        { "stored.npz", ":y" },
    { "deflated.npz", ":y" },      { "stored.npz", ":none" },   { "good.safetensors", ":int16" },
    { "odd_offset.safetensors", ":f" },
};

static void read_damaged(const char *spec, const char *path, bool must_fail) {
    char message[256] = "";
    clattn_array array;
    clattn_status status = clattn_array_read(&array, spec, message, sizeof message);
    cr_assert(!must_fail || status);
    if (status) cr_assert_eq(strncmp(message, path, strlen(path)), 0, "names no file: %s", message);
    else cr_assert_not_null(array.data);
    clattn_array_free(&array);
    if (strstr(path, ".safetensors") == NULL) return;
    clattn_weights *weights = NULL;
    status = clattn_weights_open(&weights, path, message, sizeof message);
    cr_assert(!must_fail || status);
    cr_assert_eq(status == CLATTN_OK, weights != NULL);
    clattn_weights_close(&weights);
}

Test(files, every_truncation_is_refused) {
    for (size_t i = 0; i < LENGTH(to_damage); i++) {
        char from[256], path[200], spec[256];
        size_t size;
        snprintf(from, sizeof from, FILES "%s", to_damage[i].file);
        snprintf(path, sizeof path, "%s/%s", directory, to_damage[i].file);
        snprintf(spec, sizeof spec, "%s%s", path, to_damage[i].member);
        unsigned char *bytes = slurp(from, &size);
        spill(path, bytes, size);
        read_damaged(spec, path, strcmp(to_damage[i].member, ":none") == 0);
        for (size_t kept = size; kept-- > 0;) { /* never rewritten: some file systems flush such files at once */
            cr_assert_eq(truncate(path, (off_t)kept), 0);
            read_damaged(spec, path, true);
        }
        free(bytes);
    }
}

Test(files, no_damaged_byte_crashes) {
    static const unsigned char masks[] = { 0x01, 0x20, 0x80, 0xff };
    for (size_t i = 0; i < LENGTH(to_damage); i++) {
        char from[256], path[200], spec[256];
        size_t size;
        snprintf(from, sizeof from, FILES "%s", to_damage[i].file);
        snprintf(path, sizeof path, "%s/%s", directory, to_damage[i].file);
        snprintf(spec, sizeof spec, "%s%s", path, to_damage[i].member);
        unsigned char *bytes = slurp(from, &size);
        spill(path, bytes, size);
        int file = open(path, O_WRONLY);
        for (size_t at = 0; at < size; at++) {
            for (size_t mask = 0; mask < LENGTH(masks); mask++) {
                unsigned char damaged = bytes[at] ^ masks[mask];
                cr_assert_eq(pwrite(file, &damaged, 1, (off_t)at), 1);
                read_damaged(spec, path, false);
            }
            cr_assert_eq(pwrite(file, &bytes[at], 1, (off_t)at), 1);
        }
        close(file);
        free(bytes);
    }
}

Test(files, messages_fit_any_buffer) {
    clattn_array array;
    for (size_t size = 0; size < 64; size++) {
        char message[64];
        memset(message, '#', sizeof message);
        cr_assert(clattn_array_read(&array, FILES "bad_magic.npy", message, size));
        cr_assert(size == 0 || memchr(message, '\0', size) != NULL);
        cr_assert_eq(message[size], '#');
    }
    cr_assert(clattn_array_read(&array, FILES "bad_magic.npy", NULL, 0));
    char message[64];
    cr_assert(clattn_array_read(&array, "no\nsuch\x1b[31m\xff file \xc3\xa9", message, sizeof message));
    cr_assert_eq(strncmp(message, "no?such?[31m? file \xc3\xa9: ", 22), 0, "%s", message);
}

Test(files, nothing_is_a_legal_argument_to_nobody) {
    clattn_array array = { 0 };
    clattn_weights *none = NULL;
    cr_assert_eq(clattn_array_read(NULL, "x", NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_read(&array, NULL, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_read(&array, "", NULL, 0), CLATTN_ERROR_FILE);
    cr_assert_eq(clattn_array_write_npy(NULL, "x", NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_write_npy(&array, NULL, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_write_npy(&array, scratch("x"), NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_convert(NULL, CLATTN_FILE_F32, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_F32, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_create(NULL, CLATTN_FILE_F32, 0, NULL), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_create(&array, CLATTN_FILE_DTYPES, 0, NULL), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_create(&array, CLATTN_FILE_F32, 9, NULL), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_create(&array, CLATTN_FILE_F32, 1, (int64_t[]){ -1 }), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_create(&array, CLATTN_FILE_F32, 1, (int64_t[]){ INT64_MAX }), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_array_count(NULL), 0);
    cr_assert_eq(clattn_weights_open(NULL, "x", NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_weights_open(&none, NULL, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_weights_get(NULL, "x", &array, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(clattn_weights_count(NULL), 0);
    cr_assert_null(clattn_weights_name(NULL, 0));
    cr_assert_null(clattn_weights_metadata(NULL, "x"));
    clattn_weights_close(NULL);
    clattn_weights_close(&none);
    clattn_array_free(NULL);
    clattn_array_free(&array);
    clattn_array_free(&array);
}

/* -------------------------------------------------------------------------------------------------- converting --- */

static clattn_array view_of(clattn_file_dtype dtype, void *data, int64_t count) {
    return (clattn_array){ .dtype = dtype, .rank = 1, .shape = { count }, .data = data,
                           .size = (size_t)count * clattn_file_dtype_size(dtype) };
}

Test(files, every_half_converts_exactly) {
    static uint16_t halves[65536];
    for (int i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    clattn_array array = view_of(CLATTN_FILE_F16, halves, 65536);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_F32, NULL, 0), CLATTN_OK);
    for (int i = 0; i < 65536; i++) {
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                       : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                      : ldexp(fraction, -24);
        float found = ((float *)array.data)[i];
        cr_assert(isnan(value) ? isnan(found) : fabs((double)found) == value, "%04x", (unsigned)i);
        cr_assert_eq(signbit(found) != 0, i >= 32768, "%04x", (unsigned)i);
    }
    clattn_array_free(&array);
}

Test(files, floats_and_integers_become_f32) {
    double doubles[] = { 1e300, -1e300, NAN, 0.1, -0.0, 1e-60 };
    clattn_array array = view_of(CLATTN_FILE_F64, doubles, LENGTH(doubles));
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_F32, NULL, 0), CLATTN_OK);
    const float *found = array.data;
    cr_assert(found[0] == INFINITY && found[1] == -INFINITY && isnan(found[2]));
    cr_assert(found[3] == 0.1f && signbit(found[4]) && found[5] == 0.0f);
    cr_assert(array.owned != NULL && doubles[3] == 0.1); /* the view became an array of its own */
    clattn_array_free(&array);

    int64_t integers[] = { INT64_MIN, -1, (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1 };
    array = view_of(CLATTN_FILE_I64, integers, 3);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_F32, NULL, 0), CLATTN_OK);
    cr_assert_eq(((float *)array.data)[0], -0x1p63f);
    cr_assert_eq(((float *)array.data)[2], 0x1.000002p60f); /* through double it would be 0x1p60 */
    clattn_array_free(&array);

    uint64_t large[] = { UINT64_MAX };
    array = view_of(CLATTN_FILE_U64, large, 1);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_F32, NULL, 0), CLATTN_OK);
    cr_assert_eq(((float *)array.data)[0], 0x1p64f);
    clattn_array_free(&array);
}

Test(files, integers_become_i32_if_they_fit) {
    char message[128];
    int64_t signed_values[] = { INT32_MIN, -1, INT32_MAX, INT64_C(3000000000) };
    clattn_array array = view_of(CLATTN_FILE_I64, signed_values, 3);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_I32, NULL, 0), CLATTN_OK);
    for (size_t i = 0; i < 3; i++) cr_assert_eq(((int32_t *)array.data)[i], signed_values[i]);
    clattn_array_free(&array);

    array = view_of(CLATTN_FILE_I64, signed_values, 4);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_I32, message, sizeof message), CLATTN_ERROR_TYPE);
    cr_assert_str_eq(message, "element 3 is 3000000000, which i32 cannot hold");
    cr_assert(array.data == signed_values && array.dtype == CLATTN_FILE_I64); /* as it was */

    uint64_t unsigned_values[] = { UINT64_MAX };
    array = view_of(CLATTN_FILE_U64, unsigned_values, 1);
    cr_assert_eq(clattn_array_convert(&array, CLATTN_FILE_I32, message, sizeof message), CLATTN_ERROR_TYPE);
    cr_assert_str_eq(message, "element 0 is 18446744073709551615, which i32 cannot hold");
}

Test(files, masks_become_0_or_1) {
    unsigned char bytes[] = { 0, 1, 2, 255 };
    int64_t wide[] = { 0, 1, INT64_C(1) << 40, -1 };
    clattn_array arrays[] = { view_of(CLATTN_FILE_BOOL, bytes, 4), view_of(CLATTN_FILE_U8, bytes, 4),
                              view_of(CLATTN_FILE_I64, wide, 4) };
    for (size_t i = 0; i < LENGTH(arrays); i++) {
        cr_assert_eq(clattn_array_convert(&arrays[i], CLATTN_FILE_U8, NULL, 0), CLATTN_OK);
        cr_assert_arr_eq(arrays[i].data, ((unsigned char[]){ 0, 1, 1, 1 }), 4);
        clattn_array_free(&arrays[i]);
    }
}

Test(files, other_conversions_are_refused) {
    static const struct { clattn_file_dtype from, to; } refused[] = {
        { CLATTN_FILE_BOOL, CLATTN_FILE_F32 }, { CLATTN_FILE_BOOL, CLATTN_FILE_I32 },
        { CLATTN_FILE_F32, CLATTN_FILE_I32 },  { CLATTN_FILE_F32, CLATTN_FILE_U8 },
        { CLATTN_FILE_F32, CLATTN_FILE_F64 },  { CLATTN_FILE_F32, CLATTN_FILE_DTYPES },
    };
    float value[2] = { 1, 2 };
    char message[128];
    for (size_t i = 0; i < LENGTH(refused); i++) {
        clattn_array array = view_of(refused[i].from, value, 1);
        cr_assert_eq(clattn_array_convert(&array, refused[i].to, message, sizeof message), CLATTN_ERROR_TYPE);
        cr_assert_not_null(strstr(message, clattn_file_dtype_name(refused[i].from)), "%s", message);
    }
}

/* ----------------------------------------------------------------------------------------------------- writing --- */

Test(files, written_files_equal_numpys) {
    static const char *const names[] = { "little_f2", "little_f4", "little_f8", "little_i1",  "little_u1",
                                         "little_i2", "little_u2", "little_i4", "little_u4",  "little_i8",
                                         "little_u8", "bool",      "rank0",     "empty_axis", "rank8" };
    for (size_t i = 0; i < LENGTH(names); i++) {
        char from[256], message[256];
        clattn_array array;
        snprintf(from, sizeof from, FILES "%s.npy", names[i]);
        cr_assert_eq(clattn_array_read(&array, from, NULL, 0), CLATTN_OK);
        clattn_status status = clattn_array_write_npy(&array, scratch("out.npy"), message, sizeof message);
        cr_assert_eq(status, CLATTN_OK, "%s", message);
        cr_assert(same_file(from, scratch("out.npy")), "%s", from);
        cr_assert_eq(entries(), 1);
        clattn_array_free(&array);
    }
}

Test(files, bf16_is_written_as_f32) {
    clattn_array array;
    cr_assert_eq(clattn_array_read(&array, FILES "bf16.safetensors:w", NULL, 0), CLATTN_OK);
    cr_assert_eq(clattn_array_write_npy(&array, scratch("out.npy"), NULL, 0), CLATTN_OK);
    cr_assert(same_file(FILES "little_f4.npy", scratch("out.npy")));
    cr_assert_eq(array.dtype, CLATTN_FILE_BF16);
    clattn_array_free(&array);
}

static void expect_write_fails(const char *path, const char *cause) {
    char message[256];
    static float values[100000];
    clattn_array array = view_of(CLATTN_FILE_F32, values, LENGTH(values));
    cr_assert_eq(clattn_array_write_npy(&array, path, message, sizeof message), CLATTN_ERROR_FILE, "%s", path);
    cr_assert(strstr(message, path) == message && strstr(message, cause), "%s", message);
}

Test(files, a_failed_write_leaves_nothing) {
    expect_write_fails(scratch("missing/out.npy"), strerror(ENOENT));
    expect_write_fails(directory, strerror(EISDIR));
    expect_write_fails("/dev/full", strerror(ENOSPC));
    cr_assert_eq(entries(), 0);
    spill(scratch("old.npy"), "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { .rlim_cur = 1000, .rlim_max = RLIM_INFINITY };
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t kept = limit.rlim_cur;
    limit.rlim_cur = 1000;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_write_fails(scratch("old.npy"), strerror(EFBIG));
    expect_write_fails(scratch("new.npy"), strerror(EFBIG));
    limit.rlim_cur = kept;
    setrlimit(RLIMIT_FSIZE, &limit);
    cr_assert_eq(entries(), 1);
    size_t size;
    unsigned char *bytes = slurp(scratch("old.npy"), &size);
    cr_assert(size == 3 && memcmp(bytes, "old", 3) == 0);
    free(bytes);
    if (geteuid() == 0) return; /* who may write anything */
    cr_assert_eq(chmod(scratch("old.npy"), 0400), 0);
    expect_write_fails(scratch("old.npy"), strerror(EACCES));
}

Test(files, links_are_followed_and_devices_stay) {
    float value = 1;
    char link[160];
    struct stat info;
    clattn_array array = view_of(CLATTN_FILE_F32, &value, 1);
    spill(scratch("real.npy"), "old", 3);
    snprintf(link, sizeof link, "%s", scratch("link.npy"));
    cr_assert_eq(symlink(scratch("real.npy"), link), 0);
    cr_assert_eq(clattn_array_write_npy(&array, link, NULL, 0), CLATTN_OK);
    cr_assert(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    cr_assert(lstat(scratch("real.npy"), &info) == 0 && info.st_size == 132);
    cr_assert_eq(clattn_array_write_npy(&array, "/dev/null", NULL, 0), CLATTN_OK);
    cr_assert(lstat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
}

Test(files, a_contradictory_array_is_not_written) {
    float value = 1;
    clattn_array array = view_of(CLATTN_FILE_F32, &value, 1);
    array.shape[0] = 2;
    cr_assert_eq(clattn_array_write_npy(&array, scratch("x.npy"), NULL, 0), CLATTN_ERROR_ARGUMENT);
    array = view_of(CLATTN_FILE_F32, &value, 1);
    array.rank = 9;
    cr_assert_eq(clattn_array_write_npy(&array, scratch("x.npy"), NULL, 0), CLATTN_ERROR_ARGUMENT);
    array = view_of(CLATTN_FILE_F32, NULL, 1);
    cr_assert_eq(clattn_array_write_npy(&array, scratch("x.npy"), NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_assert_eq(entries(), 0);
}

/* ----------------------------------------------------------------------------------------------------- weights --- */

Test(files, weights_give_views_names_and_metadata) {
    clattn_weights *weights;
    char message[512] = "left over";
    cr_assert_eq(clattn_weights_open(&weights, FILES "good.safetensors", message, sizeof message), CLATTN_OK, "%s",
                 message);
    cr_assert_str_empty(message);
    cr_assert_eq(clattn_weights_count(weights), 14);
    for (size_t i = 0; i < 14; i++) {
        clattn_array view, again;
        const char *name = clattn_weights_name(weights, i);
        cr_assert(i == 0 || strcmp(clattn_weights_name(weights, i - 1), name) < 0);
        cr_assert_eq(clattn_weights_get(weights, name, &view, NULL, 0), CLATTN_OK);
        cr_assert_eq(clattn_weights_get(weights, name, &again, NULL, 0), CLATTN_OK);
        cr_assert(view.owned == NULL && view.data == again.data);
        for (size_t row = 0; row < LENGTH(good); row++)
            if (strncmp(good[row].spec, "good.safetensors:", 17) == 0 && strcmp(good[row].spec + 17, name) == 0)
                check_good(&good[row], &view);
        clattn_array_free(&view);
    }
    cr_assert_null(clattn_weights_name(weights, 14));
    cr_assert_str_eq(clattn_weights_metadata(weights, "source"), "make_files.py");
    cr_assert_null(clattn_weights_metadata(weights, "absent"));
    cr_assert_null(clattn_weights_metadata(weights, NULL));
    clattn_array view = { .rank = 2 };
    cr_assert_eq(clattn_weights_get(weights, "float", &view, message, sizeof message), CLATTN_ERROR_ARGUMENT);
    cr_assert_not_null(strstr(message, "good.safetensors: has no tensor 'float'; it holds bool, float16"), "%s",
                       message);
    cr_assert(view.data == NULL && view.rank == 0);
    clattn_weights_close(&weights);
    cr_assert_null(weights);
}

Test(files, bad_weights_are_refused) {
    size_t tried = 0;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        char path[256], message[512];
        snprintf(path, sizeof path, FILES "%s", bad[i].spec);
        char *suffix = strstr(path, ".safetensors:");
        if (!suffix || strncmp(bad[i].spec, "bad_", 4) != 0) continue;
        suffix[strlen(".safetensors")] = '\0';
        clattn_weights *weights = (clattn_weights *)message;
        cr_assert_eq(clattn_weights_open(&weights, path, message, sizeof message), bad[i].status, "%s", message);
        cr_assert(strstr(message, path) == message && strstr(message, bad[i].words), "%s", message);
        cr_assert_null(weights);
        tried++;
    }
    cr_assert_gt(tried, 20);
    clattn_weights *none;
    cr_assert_eq(clattn_weights_open(&none, FILES "no_tensors.safetensors", NULL, 0), CLATTN_OK);
    cr_assert_eq(clattn_weights_count(none), 0);
    cr_assert_null(clattn_weights_metadata(none, "x"));
    clattn_weights_close(&none);
}
