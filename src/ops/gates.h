/* What squeeze_excite, channel_attention, spatial_attention and cbam have in common: out = x * channel gate * spatial gate,
 * either of which may be missing. Each of them is turned into one clattn_gates, and shares variants and reference. */
#ifndef CLATTN_OPS_GATES_H
#define CLATTN_OPS_GATES_H

#include "op.h"

typedef struct clattn_gates {
    const clattn_tensor *x, *w1, *b1, *w2, *b2, *weight, *gamma, *beta, *mean, *var;
    clattn_tensor *out, *channel_gate, *spatial_gate;
    bool channel, spatial; /* which gates there are */
    int kinds;             /* the pools of the channel gate: a bit 1 << clattn_pool_kind for each */
    bool mean_first;       /* the first of weight's two input channels is the mean's */
    int activation, gate;  /* of the channel gate: clattn_activation_kind */
    float eps;
} clattn_gates;

clattn_gates clattn_gates_squeeze_excite(const void *args);
clattn_gates clattn_gates_channel_attention(const void *args);
clattn_gates clattn_gates_spatial_attention(const void *args);
clattn_gates clattn_gates_cbam(const void *args);

void clattn_gates_reference(const clattn_gates *gates, clattn_bounds *bounds);
void clattn_gates_work(const clattn_call *call, const clattn_gates *gates, double *flops, double *bytes);

extern const clattn_tunable clattn_gates_tunables[];
/* Images, channels, pixels. */
void clattn_gates_class(const clattn_gates *gates, char *text, size_t size);

/* The variants. */
const char *clattn_gates_image_refusal(const clattn_call *call, const clattn_gates *gates);
const char *clattn_gates_cpu_refusal(const clattn_call *call, const clattn_gates *gates);
const char *clattn_gates_gpu_refusal(const clattn_call *call, const clattn_gates *gates);
clattn_status clattn_gates_image(clattn_call *call, const clattn_gates *gates);
clattn_status clattn_gates_cpu(clattn_call *call, const clattn_gates *gates);
clattn_status clattn_gates_gpu(clattn_call *call, const clattn_gates *gates);
clattn_status clattn_gates_scalar(clattn_call *call, const clattn_gates *gates);

/* For the operation's code. */
#define CLATTN_GATES_TUNING(name) .tunables = clattn_gates_tunables, .shape_class = name##_class, .kernels = "gates gates_gpu gates_scalar planes_gpu"

/* Defines <name>_variants, <name>_class, <name>_work and declares the reference of an operation that clattn_gates_<name> describes. */
#define CLATTN_GATES_REFUSAL(name, hook)                                                                               \
    static const char *name##_##hook(const clattn_call *call, const void *args) {                                      \
        const clattn_gates gates = clattn_gates_##name(args);                                                          \
        return clattn_gates_##hook(call, &gates);                                                                      \
    }
#define CLATTN_GATES_VARIANT(name, variant)                                                                            \
    static clattn_status name##_##variant(clattn_call *call, const void *args) {                                       \
        const clattn_gates gates = clattn_gates_##name(args);                                                          \
        return clattn_gates_##variant(call, &gates);                                                                   \
    }
#define CLATTN_GATES_DEFINE(name)                                                                                      \
    CLATTN_GATES_REFUSAL(name, image_refusal)                                                                          \
    CLATTN_GATES_REFUSAL(name, cpu_refusal)                                                                            \
    CLATTN_GATES_REFUSAL(name, gpu_refusal)                                                                            \
    CLATTN_GATES_VARIANT(name, image)                                                                                  \
    CLATTN_GATES_VARIANT(name, cpu)                                                                                    \
    CLATTN_GATES_VARIANT(name, gpu)                                                                                    \
    CLATTN_GATES_VARIANT(name, scalar)                                                                                 \
    static const clattn_variant name##_variants[] = {                                                                  \
        { "cpu_image", name##_image_refusal, name##_image },                                                           \
        { "cpu", name##_cpu_refusal, name##_cpu },                                                                     \
        { "gpu", name##_gpu_refusal, name##_gpu },                                                                     \
        { "scalar", NULL, name##_scalar },                                                                             \
    };                                                                                                                 \
    static void name##_class(const clattn_call *call, const void *args, char *text, size_t size) {                     \
        const clattn_gates gates = clattn_gates_##name(args);                                                          \
        (void)call;                                                                                                    \
        clattn_gates_class(&gates, text, size);                                                                        \
    }                                                                                                                  \
    static void name##_work(const clattn_call *call, const void *args, double *flops, double *bytes) {                 \
        const clattn_gates gates = clattn_gates_##name(args);                                                          \
        clattn_gates_work(call, &gates, flops, bytes);                                                                 \
    }                                                                                                                  \
    void clattn_reference_##name(const clattn_call *call, const void *args, clattn_bounds *bounds);

#endif
