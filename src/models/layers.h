/* What networks written as lists of layers need: weights by name, temporaries, and one place where errors end up.
 * After the first failure every further layer does nothing; layers_end returns the status. */
#ifndef CLATTN_MODELS_LAYERS_H
#define CLATTN_MODELS_LAYERS_H

#include <clattn/clattn.h>
#include <clattn/file.h>

typedef struct clattn_layers {
    clattn_context *context;
    clattn_weights *file;
    clattn_tensor *weights; /* [clattn_weights_count]: on the device, frozen, by the file's index */
    clattn_tensor *temporaries;
    size_t temporary_count, temporary_capacity;
    clattn_status status;
    char message[512];
} clattn_layers;

/* Opens the file, checks its "model" metadata and puts every tensor on the device. */
clattn_status clattn_layers_open(clattn_layers *layers, clattn_context *context, const char *path, const char *model, char *message, size_t message_size);
void clattn_layers_close(clattn_layers *layers);

/* The weight of that name (printf form). A missing one is an error that names it. */
const clattn_tensor *clattn_layers_weight(clattn_layers *layers, const char *format, ...) CLATTN_PRINTF(2, 3);

/* A tensor that lives until clattn_layers_end. `host` may be NULL. */
clattn_tensor clattn_layers_tensor(clattn_layers *layers, clattn_dtype dtype, int rank, const int64_t *shape, const void *host);

clattn_tensor clattn_layers_zeros(clattn_layers *layers, int rank, const int64_t *shape);

/* Runs an operation by name. Then follow pairs up to NULL: the address of an output field of `args`, and the tensor that
 * is to become that output (made here, of the right shape). */
void clattn_layers_run(clattn_layers *layers, const char *op, void *args, ...);

/* Layers that several networks have. Weights go by name; `bias` may be NULL. */
clattn_tensor clattn_layers_embedding(clattn_layers *layers, clattn_tensor ids, const char *table);
clattn_tensor clattn_layers_linear(clattn_layers *layers, clattn_tensor x, const char *weight, const char *bias, clattn_activation_kind activation);
/* Two tensors joined along the last axis. */
clattn_tensor clattn_layers_joined(clattn_layers *layers, clattn_tensor a, clattn_tensor b);

/* Reads a tensor to host memory; waits. */
void clattn_layers_read(clattn_layers *layers, const clattn_tensor *tensor, void *host);

void clattn_layers_fail(clattn_layers *layers, clattn_status status, const char *format, ...) CLATTN_PRINTF(3, 4);
/* Frees the temporaries of a run that goes on without them. */
void clattn_layers_release(clattn_layers *layers);
/* Frees the temporaries, gives the status and message, and is ready for the next run. */
clattn_status clattn_layers_end(clattn_layers *layers, char *message, size_t message_size);

#endif
