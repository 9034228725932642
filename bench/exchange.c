#define _XOPEN_SOURCE 700
#include "exchange.h"

#include <clattn/file.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The directory ---- */

bool exchange_open(char *directory, size_t size) {
    const char *parent = getenv("TMPDIR");
    snprintf(directory, size, "%s/clattn-bench-XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(directory) != NULL;
}

void exchange_clear(const char *directory) {
    DIR *listing = opendir(directory);
    char path[1024];
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    if (listing) closedir(listing);
}

void exchange_close(const char *directory) {
    exchange_clear(directory);
    rmdir(directory);
}

/* ---- Tensors ---- */

static const clattn_tensor *tensor_of(const clattn_field *field, clattn_case *c) {
    return *(clattn_tensor **)((char *)clattn_case_args(c) + field->offset);
}

static clattn_file_dtype file_type(clattn_dtype dtype) {
    return dtype == CLATTN_F32 ? CLATTN_FILE_F32 : dtype == CLATTN_F16 ? CLATTN_FILE_F16 : dtype == CLATTN_BF16 ? CLATTN_FILE_BF16 : dtype == CLATTN_I32 ? CLATTN_FILE_I32 : CLATTN_FILE_BOOL;
}

/* The tensor's elements in host memory; free it with clattn_array_free. */
static bool read_tensor(clattn_context *context, const clattn_tensor *tensor, clattn_array *array, char *message, size_t message_size) {
    clattn_status status = clattn_array_create(array, file_type(tensor->dtype), tensor->rank, tensor->shape);
    if (status) return snprintf(message, message_size, "%s", clattn_status_text(status)), false;
    status = clattn_tensor_read(context, tensor, array->data);
    if (status) snprintf(message, message_size, "%s", clattn_message(context));
    return !status;
}

static bool write_input(clattn_context *context, const clattn_field *field, const clattn_tensor *tensor, const char *directory, char *message, size_t message_size) {
    clattn_array array = { 0 };
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.npy", directory, field->name);
    const bool done = read_tensor(context, tensor, &array, message, message_size) && !clattn_array_write_npy(&array, path, message, message_size);
    clattn_array_free(&array);
    return done;
}

bool exchange_write(clattn_context *context, clattn_case *c, const char *text, const char *directory, char *message, size_t message_size) {
    const clattn_op *op = clattn_case_op(c);
    char path[1024];
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_tensor *tensor = op->fields[i].kind == CLATTN_FIELD_INPUT ? tensor_of(&op->fields[i], c) : NULL;
        if (tensor && !write_input(context, &op->fields[i], tensor, directory, message, message_size)) return false;
    }
    snprintf(path, sizeof path, "%s/case", directory);
    FILE *file = fopen(path, "w");
    bool written = file && fprintf(file, "%s\n", text) > 0;
    if (file && fclose(file) != 0) written = false;
    if (!written) snprintf(message, message_size, "%s: %s", path, strerror(errno));
    return written;
}

/* ---- Results ---- */

/* The largest difference over the largest value; infinite where one is not a number. */
static double difference(const float *ours, const float *theirs, int64_t count) {
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < count; i++) {
        const double error = fabs((double)ours[i] - (double)theirs[i]);
        if (isnan(error)) return INFINITY;
        largest = fmax(largest, fabs((double)ours[i]));
        worst = fmax(worst, error);
    }
    return worst > 0 ? worst / largest : 0;
}

static bool compare_arrays(const clattn_field *field, clattn_array *ours, clattn_array *theirs, double *error, char *message, size_t message_size) {
    if (clattn_array_convert(ours, CLATTN_FILE_F32, message, message_size) || clattn_array_convert(theirs, CLATTN_FILE_F32, message, message_size)) return false;
    const int64_t count = clattn_array_count(ours);
    if (clattn_array_count(theirs) != count) return snprintf(message, message_size, "%s has %lld elements instead of %lld", field->name, (long long)clattn_array_count(theirs), (long long)count), false;
    const double found = difference(ours->data, theirs->data, count);
    *error = fmax(*error, found);
    if (found <= EXCHANGE_TOLERANCE) return true;
    snprintf(message, message_size, "%s differs from clattn's by %.2g of its largest value", field->name, found);
    return false;
}

static bool compare_output(clattn_context *context, const clattn_field *field, const clattn_tensor *tensor, const char *path, double *error, char *message, size_t message_size) {
    clattn_array ours = { 0 }, theirs = { 0 };
    const bool same = read_tensor(context, tensor, &ours, message, message_size) && !clattn_array_read(&theirs, path, message, message_size) && compare_arrays(field, &ours, &theirs, error, message, message_size);
    clattn_array_free(&ours);
    clattn_array_free(&theirs);
    unlink(path);
    return same;
}

bool exchange_compare(clattn_context *context, clattn_case *c, const char *directory, double *error, char *message, size_t message_size) {
    const clattn_op *op = clattn_case_op(c);
    char path[1024];
    int compared = 0;
    *error = 0;
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_tensor *tensor = op->fields[i].kind == CLATTN_FIELD_OUTPUT ? tensor_of(&op->fields[i], c) : NULL;
        snprintf(path, sizeof path, "%s/out.%s.npy", directory, op->fields[i].name);
        if (!tensor || access(path, R_OK) != 0) continue;
        if (!compare_output(context, &op->fields[i], tensor, path, error, message, message_size)) return false;
        compared++;
    }
    if (!compared) snprintf(message, message_size, "left no result");
    return compared > 0;
}
