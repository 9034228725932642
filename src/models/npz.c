/* .npz: a zip archive whose members are .npy files. libzip checks the structure and the checksums. */
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "file_internal.h"

static clattn_status status_of(zip_error_t *error) {
    switch (zip_error_code_zip(error)) {
    case ZIP_ER_MEMORY: return CLATTN_ERROR_OUT_OF_MEMORY;
    case ZIP_ER_NOENT:
    case ZIP_ER_OPEN:
    case ZIP_ER_READ: return CLATTN_ERROR_FILE;
    case ZIP_ER_COMPNOTSUPP:
    case ZIP_ER_ENCRNOTSUPP: return CLATTN_ERROR_UNSUPPORTED;
    default: return CLATTN_ERROR_FORMAT;
    }
}

static clattn_status zip_failure(const file_report *report, zip_error_t *error, const char *what) {
    return clattn_file_fail(report, status_of(error), "%s: %s", what, zip_error_strerror(error));
}

static clattn_status open_archive(zip_t **archive, const file_report *report) {
    int code = 0;
    *archive = zip_open(report->name, ZIP_RDONLY, &code);
    if (*archive) return CLATTN_OK;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    clattn_status status = zip_failure(report, &error, "cannot be opened as a zip archive");
    zip_error_fini(&error);
    return status;
}

static bool same_without_suffix(const char *name, const char *member) {
    size_t length = strlen(member);
    return strncmp(name, member, length) == 0 && strcmp(name + length, ".npy") == 0;
}

static clattn_status no_such_member(zip_t *archive, const char *member, const file_report *report) {
    file_list list = { 0 };
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        if (name) clattn_file_list_add(&list, name);
    }
    const char *there = list.names ? list.text : "none";
    if (!*member)
        return clattn_file_fail(report, CLATTN_ERROR_ARGUMENT, "name a member after '.npz:'; it holds %s", there);
    return clattn_file_fail(report, CLATTN_ERROR_ARGUMENT, "has no member '%s'; it holds %s", member, there);
}

/* An exact name goes before one without its suffix. Two of the same name: which one is meant cannot be told. */
static clattn_status find_member(zip_t *archive, const char *member, zip_uint64_t *found, const file_report *report) {
    zip_uint64_t exact = 0, short_form = 0, exact_count = 0, short_count = 0;
    for (zip_int64_t i = 0; *member && i < zip_get_num_entries(archive, 0); i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        if (!name) continue;
        if (strcmp(name, member) == 0 && exact_count++ == 0) exact = (zip_uint64_t)i;
        if (same_without_suffix(name, member) && short_count++ == 0) short_form = (zip_uint64_t)i;
    }
    *found = exact_count ? exact : short_form;
    zip_uint64_t count = exact_count ? exact_count : short_count;
    if (count == 0) return no_such_member(archive, member, report);
    if (count > 1) return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "holds '%s' more than once", member);
    return CLATTN_OK;
}

/* Before a byte is unpacked: what the directory says must be readable and not a bomb. */
static clattn_status check_member(const zip_stat_t *info, const file_report *report) {
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if ((info->valid & needed) != needed || info->size > INT64_MAX)
        return clattn_file_fail(report, CLATTN_ERROR_FORMAT, "its entry in the archive is damaged");
    if (info->encryption_method != ZIP_EM_NONE)
        return clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED, "is encrypted");
    if (info->comp_method != ZIP_CM_STORE && info->comp_method != ZIP_CM_DEFLATE)
        return clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED, "compression method %d is not supported",
                                info->comp_method);
    if (info->size > (zip_uint64_t)CLATTN_FILE_UNPACK_LIMIT &&
        info->size / CLATTN_FILE_UNPACK_RATIO > info->comp_size)
        return clattn_file_fail(report, CLATTN_ERROR_UNSUPPORTED,
                                "would unpack from %llu to %llu bytes; store so large an array uncompressed",
                                (unsigned long long)info->comp_size, (unsigned long long)info->size);
    return CLATTN_OK;
}

static size_t read_zip(file_source *source, void *buffer, size_t size) {
    size_t got = 0;
    while (got < size) {
        zip_int64_t some = zip_fread(source->handle, (char *)buffer + got, size - got);
        if (some < 0) {
            zip_error_t *error = zip_file_get_error(source->handle);
            source->failed = zip_error_strerror(error);
            source->failed_status = status_of(error);
        }
        if (some <= 0) break;
        got += (size_t)some;
    }
    return got;
}

static clattn_status read_member(clattn_array *array, zip_t *archive, zip_uint64_t index, const file_report *report) {
    zip_stat_t info;
    zip_stat_init(&info);
    if (zip_stat_index(archive, index, 0, &info) != 0)
        return zip_failure(report, zip_get_error(archive), "its entry in the archive is damaged");
    clattn_status status = check_member(&info, report);
    if (status) return status;
    zip_file_t *file = zip_fopen_index(archive, index, 0);
    if (!file) return zip_failure(report, zip_get_error(archive), "cannot be unpacked");
    file_source source = { .handle = file, .left = (int64_t)info.size, .read = read_zip };
    status = clattn_file_read_npy(array, &source, report);
    zip_fclose(file);
    return status;
}

/* Messages about a member name both: "archive.npz:member". */
static clattn_status read_named(clattn_array *array, zip_t *archive, zip_uint64_t index, const char *member,
                                const file_report *report) {
    size_t size = strlen(report->name) + strlen(member) + 2;
    char *name = malloc(size);
    if (!name) return clattn_file_no_memory(report, size);
    snprintf(name, size, "%s:%s", report->name, member);
    file_report named = *report;
    named.name = name;
    clattn_status status = read_member(array, archive, index, &named);
    free(name);
    return status;
}

clattn_status clattn_file_read_npz(clattn_array *array, const char *member, const file_report *report) {
    zip_t *archive = NULL;
    zip_uint64_t index = 0;
    *array = (clattn_array){ 0 };
    clattn_status status = open_archive(&archive, report);
    if (!status) status = find_member(archive, member ? member : "", &index, report);
    if (!status) status = read_named(array, archive, index, member, report);
    if (archive) zip_discard(archive);
    return status;
}
