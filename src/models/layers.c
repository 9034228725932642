#include "layers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void clattn_layers_fail(clattn_layers *layers, clattn_status status, const char *format, ...) {
    if (layers->status) return;
    va_list list;
    va_start(list, format);
    vsnprintf(layers->message, sizeof layers->message, format, list);
    va_end(list);
    layers->status = status;
}

/* Takes the status of a call on the context, with the context's message. */
static bool succeeded(clattn_layers *layers, clattn_status status) {
    if (status) clattn_layers_fail(layers, status, "%s", clattn_message(layers->context));
    return status == CLATTN_OK;
}

void clattn_layers_release(clattn_layers *layers) {
    while (layers->temporary_count) clattn_tensor_free(&layers->temporaries[--layers->temporary_count]);
}

clattn_status clattn_layers_end(clattn_layers *layers, char *message, size_t message_size) {
    const clattn_status status = layers->status;
    clattn_layers_release(layers);
    if (message && message_size) snprintf(message, message_size, "%s", status ? layers->message : "");
    layers->status = CLATTN_OK;
    layers->message[0] = '\0';
    return status;
}

static void upload(clattn_layers *layers, size_t index, const char *path) {
    clattn_array array;
    const char *name = clattn_weights_name(layers->file, index);
    const clattn_status status = clattn_weights_get(layers->file, name, &array, layers->message, sizeof layers->message);
    if (status) {
        layers->status = status;
        return;
    }
    if (array.dtype != CLATTN_FILE_F32) {
        clattn_layers_fail(layers, CLATTN_ERROR_TYPE, "%s: %s is %s, expected f32", path, name, clattn_file_dtype_name(array.dtype));
        return;
    }
    if (succeeded(layers, clattn_tensor_create(layers->context, &layers->weights[index], CLATTN_F32, array.rank, array.shape, array.data)))
        clattn_tensor_freeze(&layers->weights[index]);
}

clattn_status clattn_layers_open(clattn_layers *layers, clattn_context *context, const char *path, const char *model, char *message, size_t message_size) {
    *layers = (clattn_layers){ .context = context };
    layers->status = clattn_weights_open(&layers->file, path, layers->message, sizeof layers->message);
    const char *found = layers->status ? NULL : clattn_weights_metadata(layers->file, "model");
    if (!layers->status && (!found || strcmp(found, model)))
        clattn_layers_fail(layers, CLATTN_ERROR_FORMAT, "%s: its metadata say model \"%s\", expected \"%s\"", path, found ? found : "", model);
    const size_t count = clattn_weights_count(layers->file);
    layers->weights = calloc(count + 1, sizeof *layers->weights);
    if (!layers->weights) clattn_layers_fail(layers, CLATTN_ERROR_OUT_OF_MEMORY, "%s: out of host memory", path);
    for (size_t i = 0; i < count && !layers->status; i++) upload(layers, i, path);
    return clattn_layers_end(layers, message, message_size);
}

void clattn_layers_close(clattn_layers *layers) {
    clattn_layers_release(layers);
    for (size_t i = 0; layers->weights && i < clattn_weights_count(layers->file); i++) clattn_tensor_free(&layers->weights[i]);
    free(layers->weights);
    free(layers->temporaries);
    clattn_weights_close(&layers->file);
    *layers = (clattn_layers){ 0 };
}

const clattn_tensor *clattn_layers_weight(clattn_layers *layers, const char *format, ...) {
    char name[128];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    for (size_t i = 0; i < clattn_weights_count(layers->file); i++)
        if (strcmp(clattn_weights_name(layers->file, i), name) == 0) return &layers->weights[i];
    clattn_layers_fail(layers, CLATTN_ERROR_FORMAT, "the weights hold no tensor %s", name);
    return NULL;
}

clattn_tensor clattn_layers_tensor(clattn_layers *layers, clattn_dtype dtype, int rank, const int64_t *shape, const void *host) {
    clattn_tensor tensor = { 0 };
    if (layers->status) return tensor;
    if (layers->temporary_count == layers->temporary_capacity) {
        const size_t capacity = layers->temporary_capacity ? 2 * layers->temporary_capacity : 64;
        clattn_tensor *grown = realloc(layers->temporaries, capacity * sizeof *grown);
        if (!grown) {
            clattn_layers_fail(layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
            return tensor;
        }
        layers->temporaries = grown;
        layers->temporary_capacity = capacity;
    }
    if (succeeded(layers, clattn_tensor_create(layers->context, &tensor, dtype, rank, shape, host))) layers->temporaries[layers->temporary_count++] = tensor;
    return tensor;
}

clattn_tensor clattn_layers_zeros(clattn_layers *layers, int rank, const int64_t *shape) {
    size_t count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)shape[i];
    float *zeros = calloc(count + 1, sizeof *zeros);
    if (!zeros) clattn_layers_fail(layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    const clattn_tensor tensor = clattn_layers_tensor(layers, CLATTN_F32, rank, shape, zeros);
    free(zeros);
    return tensor;
}

#define MAX_OUTPUTS 8

/* The index of the OUTPUT field that lies at `slot` of the args struct; MAX_OUTPUTS if there is none. */
static size_t output_of(const clattn_op *op, const void *args, const void *slot) {
    const size_t offset = (size_t)((const char *)slot - (const char *)args);
    size_t output = 0;
    for (size_t i = 0; i < op->field_count; i++) {
        if (op->fields[i].kind != CLATTN_FIELD_OUTPUT) continue;
        if (op->fields[i].offset == offset) return output;
        output++;
    }
    return MAX_OUTPUTS;
}

void clattn_layers_run(clattn_layers *layers, const char *name, void *args, ...) {
    int64_t shapes[MAX_OUTPUTS][CLATTN_MAX_RANK];
    int ranks[MAX_OUTPUTS];
    clattn_dtype dtypes[MAX_OUTPUTS];
    clattn_tensor **slot;
    const clattn_op *op = clattn_op_find(name);
    if (layers->status || !succeeded(layers, clattn_op_shapes(layers->context, op, args, MAX_OUTPUTS, ranks, shapes, dtypes))) return;
    va_list list;
    va_start(list, args);
    while ((slot = va_arg(list, clattn_tensor **))) {
        clattn_tensor *made = va_arg(list, clattn_tensor *);
        const size_t output = output_of(op, args, slot);
        if (output == MAX_OUTPUTS || ranks[output] < 0) clattn_layers_fail(layers, CLATTN_ERROR_ARGUMENT, "%s: no such output", name);
        else *made = clattn_layers_tensor(layers, dtypes[output], ranks[output], shapes[output], NULL);
        *slot = made;
    }
    va_end(list);
    if (!layers->status) succeeded(layers, clattn_op_run(layers->context, op, args, NULL, NULL));
}

void clattn_layers_read(clattn_layers *layers, const clattn_tensor *tensor, void *host) {
    if (!layers->status) succeeded(layers, clattn_tensor_read(layers->context, tensor, host));
}

/* ---- Layers that several networks have ---- */

clattn_tensor clattn_layers_embedding(clattn_layers *layers, clattn_tensor ids, const char *table) {
    clattn_tensor out = { 0 };
    clattn_embedding_args args = { .table = clattn_layers_weight(layers, "%s", table), .ids = &ids };
    clattn_layers_run(layers, "embedding", &args, &args.out, &out, NULL);
    return out;
}

clattn_tensor clattn_layers_linear(clattn_layers *layers, clattn_tensor x, const char *weight, const char *bias, clattn_activation_kind activation) {
    clattn_tensor out = { 0 };
    clattn_linear_args args = { .x = &x, .weight = clattn_layers_weight(layers, "%s", weight), .bias = bias ? clattn_layers_weight(layers, "%s", bias) : NULL, .activation = activation };
    clattn_layers_run(layers, "linear", &args, &args.out, &out, NULL);
    return out;
}

clattn_tensor clattn_layers_joined(clattn_layers *layers, clattn_tensor a, clattn_tensor b) {
    clattn_tensor out = { 0 };
    clattn_concat_args args = { .x = { &a, &b } };
    clattn_layers_run(layers, "concat", &args, &args.out, &out, NULL);
    return out;
}
