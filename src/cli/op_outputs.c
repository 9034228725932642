/* The outputs of `clattn op`: from the device through host arrays to .npy files. */
#define _POSIX_C_SOURCE 200809L
#include "op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Paths ---- */

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The directory that holds the file; false when the path is too long. */
static bool parent_of(const char *path, char *parent, size_t size) {
    const size_t length = (size_t)(base_name(path) - path);
    if (length >= size) return false;
    memcpy(parent, path, length);
    parent[length] = '\0';
    if (length == 0) snprintf(parent, size, ".");
    return true;
}

static int check_path(const op_output *output) {
    char parent[4096];
    struct stat status;
    if (!ends_with(output->file, ".npy")) return cli_error("op", "--out %s=%s: expected a name that ends in .npy", output->name, output->file);
    if (!parent_of(output->file, parent, sizeof parent)) return cli_error("op", "--out %s: the path is too long", output->name);
    if (stat(output->file, &status) == 0) {
        if (S_ISDIR(status.st_mode)) return cli_error("op", "--out %s=%s: is a directory", output->name, output->file);
        if (access(output->file, W_OK)) return cli_error("op", "--out %s=%s: %s", output->name, output->file, strerror(errno));
    } else if (access(parent, W_OK | X_OK)) {
        return cli_error("op", "--out %s=%s: cannot write to the directory %s: %s", output->name, output->file, parent, strerror(errno));
    }
    return CLI_DONE;
}

static bool same_place(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Also under two names: ./a.npy and a.npy, or links. */
static bool same_file(const char *a, const char *b) {
    char x[4096], y[4096];
    if (same_place(a, b)) return true;
    return strcmp(base_name(a), base_name(b)) == 0 && parent_of(a, x, sizeof x) && parent_of(b, y, sizeof y) && same_place(x, y);
}

int op_check_paths(const op_job *job) {
    for (int i = 0; i < job->output_count; i++) {
        if (!job->outputs[i].file) continue;
        const int code = check_path(&job->outputs[i]);
        if (code) return code;
        for (int k = 0; k < i; k++)
            if (same_file(job->outputs[k].file, job->outputs[i].file)) return cli_error("op", "--out %s and --out %s are the same file: %s", job->outputs[k].name, job->outputs[i].name, job->outputs[i].file);
    }
    return CLI_DONE;
}

/* ---- Tensors ---- */

typedef struct output_shapes {
    int ranks[32];
    int64_t shapes[32][CLATTN_MAX_RANK];
    clattn_dtype dtypes[32];
} output_shapes;

static int make_output(op_job *job, op_output *output, const output_shapes *all) {
    const size_t i = output->ordinal;
    if (i >= sizeof all->ranks / sizeof *all->ranks || all->ranks[i] < 0) return cli_error("op", "%s: these arguments have no output %s", job->op->name, output->name);
    const clattn_dtype stored = all->dtypes[i] == CLATTN_F32 ? job->storage : all->dtypes[i];
    const clattn_file_dtype type = stored == CLATTN_I32 ? CLATTN_FILE_I32 : stored == CLATTN_F16 ? CLATTN_FILE_F16 : CLATTN_FILE_F32;
    clattn_status status = clattn_array_create(&output->array, type, all->ranks[i], all->shapes[i]);
    if (status) return cli_error("op", "%s: %s does not fit into memory", job->op->name, output->name), CLI_DEVICE_FAILED;
    status = clattn_tensor_create(job->context, &output->tensor, stored, all->ranks[i], all->shapes[i], NULL);
    if (status) return cli_failed("op", job->context, status);
    *(clattn_tensor **)(void *)((char *)job->args + output->field->offset) = &output->tensor;
    return CLI_DONE;
}

int op_make_outputs(op_job *job) {
    output_shapes all;
    const clattn_status status = clattn_op_shapes(job->context, job->op, job->args, sizeof all.ranks / sizeof *all.ranks, all.ranks, all.shapes, all.dtypes);
    int code = cli_failed("op", job->context, status);
    for (int i = 0; i < job->output_count && !code; i++) code = make_output(job, &job->outputs[i], &all);
    return code;
}

/* .npy has no bf16: such an output is widened to f32, in place from the end. */
static void widen_bf16(clattn_array *array) {
    char *bytes = array->data;
    for (int64_t i = clattn_array_count(array) - 1; i >= 0; i--) {
        uint16_t small;
        float wide;
        memcpy(&small, bytes + 2 * i, sizeof small);
        clattn_floats_load(CLATTN_BF16, &small, &wide, 1);
        memcpy(bytes + 4 * i, &wide, sizeof wide);
    }
}

int op_read_outputs(op_job *job) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < job->output_count && !status; i++) {
        op_output *output = &job->outputs[i];
        status = clattn_tensor_read(job->context, &output->tensor, output->array.data);
        if (!status && output->tensor.dtype == CLATTN_BF16) widen_bf16(&output->array);
    }
    return cli_failed("op", job->context, status);
}

int op_write_outputs(op_job *job) {
    char message[512];
    for (int i = 0; i < job->output_count; i++) {
        if (!job->outputs[i].file) continue;
        const clattn_status status = clattn_array_write_npy(&job->outputs[i].array, job->outputs[i].file, message, sizeof message);
        if (status) return cli_error("op", "--out %s: %s", job->outputs[i].name, message), cli_exit_code(status);
    }
    return CLI_DONE;
}
