/* A small residual network with CBAM after every convolutional block (Woo, Park, Lee, Kweon 2018). The layers stand in
 * `network`; the rest feeds and reads them. */
#include <clattn/model.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers.h"

struct clattn_cbam_digits {
    clattn_layers layers;
    char *classes[CLATTN_DIGITS_CLASSES];
};

/* What one CBAM looked at. */
typedef struct gate_pair {
    clattn_tensor channel, spatial;
} gate_pair;

/* ---- Layers ---- */

static clattn_tensor conv(clattn_layers *l, clattn_tensor x, const char *name, int stride, int padding) {
    clattn_tensor out = { 0 };
    clattn_conv2d_args args = { .x = &x, .weight = clattn_layers_weight(l, "%s.weight", name), .stride = { 1, { stride } }, .padding = { 1, { padding } } };
    clattn_layers_run(l, "conv2d", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor batch_norm(clattn_layers *l, clattn_tensor x, const char *name) {
    clattn_tensor out = { 0 };
    clattn_batch_norm_args args = { .x = &x,
        .gamma = clattn_layers_weight(l, "%s.gamma", name), .beta = clattn_layers_weight(l, "%s.beta", name),
        .mean = clattn_layers_weight(l, "%s.mean", name), .var = clattn_layers_weight(l, "%s.var", name) };
    clattn_layers_run(l, "batch_norm", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor relu(clattn_layers *l, clattn_tensor x) {
    clattn_tensor out = { 0 };
    clattn_activation_args args = { .x = &x, .kind = CLATTN_ACTIVATION_RELU };
    clattn_layers_run(l, "activation", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor add(clattn_layers *l, clattn_tensor a, clattn_tensor b) {
    clattn_tensor out = { 0 };
    clattn_add_args args = { .a = &a, .b = &b };
    clattn_layers_run(l, "add", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor cbam(clattn_layers *l, clattn_tensor x, const char *name, gate_pair *gates) {
    clattn_tensor out = { 0 };
    clattn_cbam_args args = { .x = &x,
        .w1 = clattn_layers_weight(l, "%s.w1", name), .b1 = clattn_layers_weight(l, "%s.b1", name),
        .w2 = clattn_layers_weight(l, "%s.w2", name), .b2 = clattn_layers_weight(l, "%s.b2", name),
        .weight = clattn_layers_weight(l, "%s.weight", name),
        .gamma = clattn_layers_weight(l, "%s.gamma", name), .beta = clattn_layers_weight(l, "%s.beta", name),
        .mean = clattn_layers_weight(l, "%s.mean", name), .var = clattn_layers_weight(l, "%s.var", name) };
    clattn_layers_run(l, "cbam", &args, &args.out, &out, &args.channel_gate, &gates->channel, &args.spatial_gate, &gates->spatial, NULL);
    return out;
}

/* conv, norm, relu, conv, norm, CBAM; plus the input; relu. A block that changes the size has a 1x1 convolution beside it. */
static clattn_tensor residual(clattn_layers *l, clattn_tensor x, const char *conv1, const char *bn1, const char *conv2, const char *bn2, const char *attention, const char *shortcut, const char *shortcut_bn, gate_pair *gates) {
    clattn_tensor branch = relu(l, batch_norm(l, conv(l, x, conv1, shortcut ? 2 : 1, 1), bn1));
    branch = cbam(l, batch_norm(l, conv(l, branch, conv2, 1, 1), bn2), attention, gates);
    const clattn_tensor beside = shortcut ? batch_norm(l, conv(l, x, shortcut, 2, 0), shortcut_bn) : x;
    return relu(l, add(l, branch, beside));
}

static clattn_tensor classify(clattn_layers *l, clattn_tensor x) {
    clattn_tensor pooled = { 0 }, logits = { 0 }, probabilities = { 0 };
    clattn_global_pool2d_args pool = { .x = &x, .kind = CLATTN_POOL_AVG };
    clattn_layers_run(l, "global_pool2d", &pool, &pool.out, &pooled, NULL);
    const clattn_tensor features = clattn_tensor_reshaped(&pooled, 2, pooled.shape);
    clattn_linear_args head = { .x = &features, .weight = clattn_layers_weight(l, "head.weight"), .bias = clattn_layers_weight(l, "head.bias") };
    clattn_layers_run(l, "linear", &head, &head.out, &logits, NULL);
    clattn_softmax_args softmax = { .x = &logits };
    clattn_layers_run(l, "softmax", &softmax, &softmax.out, &probabilities, NULL);
    return probabilities;
}

static clattn_tensor network(clattn_layers *l, clattn_tensor x, gate_pair gates[CLATTN_DIGITS_GATES]) {
    x = cbam(l, relu(l, batch_norm(l, conv(l, x, "stem.conv", 1, 1), "stem.bn")), "stem.cbam", &gates[0]);
    x = residual(l, x, "block1.conv1", "block1.bn1", "block1.conv2", "block1.bn2", "block1.cbam", NULL, NULL, &gates[1]);
    x = residual(l, x, "block2.conv1", "block2.bn1", "block2.conv2", "block2.bn2", "block2.cbam", "block2.short.conv", "block2.short.bn", &gates[2]);
    x = residual(l, x, "block3.conv1", "block3.bn1", "block3.conv2", "block3.bn2", "block3.cbam", "block3.short.conv", "block3.short.bn", &gates[3]);
    return classify(l, x);
}

/* ---- The model as an object ---- */

/* Cuts the file's list of class names, a name a line. */
static void read_classes(clattn_cbam_digits *model, const char *path) {
    const char *text = clattn_weights_metadata(model->layers.file, "classes");
    for (int i = 0; i < CLATTN_DIGITS_CLASSES; i++) {
        const size_t length = text ? strcspn(text, "\n") : 0;
        if (!length) {
            clattn_layers_fail(&model->layers, CLATTN_ERROR_FORMAT, "%s: its metadata name %d classes, expected %d", path, i, CLATTN_DIGITS_CLASSES);
            return;
        }
        model->classes[i] = calloc(length + 1, 1);
        if (!model->classes[i]) clattn_layers_fail(&model->layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
        else memcpy(model->classes[i], text, length);
        text += length + (text[length] == '\n');
    }
}

clattn_status clattn_cbam_digits_open(clattn_context *context, const char *path, clattn_cbam_digits **result, char *message, size_t message_size) {
    clattn_cbam_digits *model = *result = calloc(1, sizeof *model);
    if (!model) {
        snprintf(message, message_size, "out of host memory");
        return CLATTN_ERROR_OUT_OF_MEMORY;
    }
    clattn_status status = clattn_layers_open(&model->layers, context, path, "cbam_digits", message, message_size);
    if (!status) {
        read_classes(model, path);
        status = clattn_layers_end(&model->layers, message, message_size);
    }
    if (status) clattn_cbam_digits_close(result);
    return status;
}

void clattn_cbam_digits_close(clattn_cbam_digits **pointer) {
    clattn_cbam_digits *model = pointer ? *pointer : NULL;
    if (!model) return;
    *pointer = NULL;
    clattn_layers_close(&model->layers);
    for (int i = 0; i < CLATTN_DIGITS_CLASSES; i++) free(model->classes[i]);
    free(model);
}

const char *clattn_cbam_digits_class(const clattn_cbam_digits *model, int index) {
    return index >= 0 && index < CLATTN_DIGITS_CLASSES ? model->classes[index] : NULL;
}

static float *read_values(clattn_layers *layers, const clattn_tensor *tensor) {
    float *values = layers->status ? NULL : malloc((size_t)clattn_tensor_count(tensor) * sizeof *values + 1);
    if (!values) clattn_layers_fail(layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    clattn_layers_read(layers, tensor, values);
    return values;
}

static void read_gates(clattn_layers *layers, const gate_pair *pair, clattn_gates *gates) {
    gates->channels = (int)pair->channel.shape[1];
    gates->height = (int)pair->spatial.shape[2];
    gates->width = (int)pair->spatial.shape[3];
    gates->channel = read_values(layers, &pair->channel);
    gates->spatial = read_values(layers, &pair->spatial);
}

void clattn_gates_free(clattn_gates *gates) {
    if (!gates) return;
    free(gates->channel);
    free(gates->spatial);
    *gates = (clattn_gates){ 0 };
}

clattn_status clattn_cbam_digits_classify(clattn_cbam_digits *model, const float *images, size_t count, float *probabilities, clattn_gates *gates, char *message, size_t message_size) {
    clattn_layers *l = &model->layers;
    gate_pair pairs[CLATTN_DIGITS_GATES] = { 0 };
    for (int i = 0; gates && i < CLATTN_DIGITS_GATES; i++) gates[i] = (clattn_gates){ 0 };
    const clattn_tensor x = clattn_layers_tensor(l, CLATTN_F32, 4, (int64_t[]){ (int64_t)count, 1, CLATTN_DIGITS_SIDE, CLATTN_DIGITS_SIDE }, images);
    const clattn_tensor result = network(l, x, pairs);
    clattn_layers_read(l, &result, probabilities);
    for (int i = 0; gates && i < CLATTN_DIGITS_GATES; i++) read_gates(l, &pairs[i], &gates[i]);
    for (int i = 0; gates && l->status && i < CLATTN_DIGITS_GATES; i++) clattn_gates_free(&gates[i]);
    return clattn_layers_end(l, message, message_size);
}
