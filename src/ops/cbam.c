/* channel_attention, spatial_attention and cbam, which is the one after the other. */
#include "gates.h"

static const char *const order_words[] = { "max_mean", "mean_max", NULL };

/* ---- What the halves take ---- */

#define CHANNEL_INPUTS(type)                                                                                           \
    CLATTN_IN(type, w1, "R,C", 0, "the layer that reduces"),                                                           \
    CLATTN_IN(type, b1, "R", CLATTN_FIELD_OPTIONAL, "its bias"),                                                       \
    CLATTN_IN(type, w2, "C,R", 0, "the layer that expands"),                                                           \
    CLATTN_IN(type, b2, "C", CLATTN_FIELD_OPTIONAL, "its bias, added once for each pool")
#define SPATIAL_INPUTS(type, weight_flags)                                                                             \
    CLATTN_IN(type, weight, "1,2,k,k", weight_flags, "k odd; the padding is k / 2"),                                   \
    CLATTN_IN(type, gamma, "1", CLATTN_FIELD_OPTIONAL, "batch norm's scale; 1 when absent"),                           \
    CLATTN_IN(type, beta, "1", CLATTN_FIELD_OPTIONAL, "batch norm's shift; 0 when absent"),                            \
    CLATTN_IN(type, mean, "1", CLATTN_FIELD_OPTIONAL, "batch norm's running mean; without mean and var no batch norm"), \
    CLATTN_IN(type, var, "1", CLATTN_FIELD_OPTIONAL, "batch norm's running variance")
#define POOLS_PARAM(type) CLATTN_PARAM_WORDS(type, pools, "pools", clattn_pool_words, "the pools whose results are summed: avg+max by default; lp is sqrt(sum x^2), lse log(sum e^x)")
#define SPATIAL_PARAMS(type)                                                                                           \
    CLATTN_PARAM_WORD(type, order, "order", order_words, CLATTN_ORDER_MAX_MEAN, "of weight's two input channels"),     \
    CLATTN_PARAM(type, eps, "eps", CLATTN_FIELD_FLOAT, 1e-5, 0, 1e30, "added to var")

static const clattn_field channel_fields[] = {
    CLATTN_IN(clattn_channel_attention_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CHANNEL_INPUTS(clattn_channel_attention_args),
    CLATTN_OUT(clattn_channel_attention_args, out, "out", "B,C,H,W", CLATTN_FIELD_STORED, "x * gate"),
    CLATTN_OUT(clattn_channel_attention_args, gate, "gate", "B,C", CLATTN_FIELD_OPTIONAL, "the gate of each channel"),
    POOLS_PARAM(clattn_channel_attention_args),
};

static const clattn_field spatial_fields[] = {
    CLATTN_IN(clattn_spatial_attention_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    SPATIAL_INPUTS(clattn_spatial_attention_args, 0),
    CLATTN_OUT(clattn_spatial_attention_args, out, "out", "B,C,H,W", CLATTN_FIELD_STORED, "x * gate"),
    CLATTN_OUT(clattn_spatial_attention_args, gate, "gate", "B,1,H,W", CLATTN_FIELD_OPTIONAL, "the gate of each pixel"),
    SPATIAL_PARAMS(clattn_spatial_attention_args),
};

static const clattn_field cbam_fields[] = {
    CLATTN_IN(clattn_cbam_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CHANNEL_INPUTS(clattn_cbam_args),
    SPATIAL_INPUTS(clattn_cbam_args, CLATTN_FIELD_OPTIONAL),
    CLATTN_OUT(clattn_cbam_args, out, "out", "B,C,H,W", CLATTN_FIELD_STORED, "x * channel_gate * spatial_gate"),
    CLATTN_OUT(clattn_cbam_args, channel_gate, "channel_gate", "B,C", CLATTN_FIELD_OPTIONAL, "the gate of each channel"),
    CLATTN_OUT(clattn_cbam_args, spatial_gate, "spatial_gate", "B,S,H,W", CLATTN_FIELD_OPTIONAL, "the gate of each pixel, S = 1; not with spatial=false"),
    POOLS_PARAM(clattn_cbam_args),
    SPATIAL_PARAMS(clattn_cbam_args),
    CLATTN_PARAM(clattn_cbam_args, spatial, "spatial", CLATTN_FIELD_TOGGLE, 1, 0, 0, "false: the channel half only; weight and batch norm are not used"),
};

/* ---- As gates ---- */

static int kinds_of(const clattn_pools *pools) {
    int kinds = pools->count == 0 ? 1 << CLATTN_POOL_AVG | 1 << CLATTN_POOL_MAX : 0;
    for (int i = 0; i < pools->count; i++) kinds |= 1 << pools->kinds[i];
    return kinds;
}

static void set_pools(clattn_gates *g, const clattn_pools *pools) {
    g->channel = true;
    g->kinds = kinds_of(pools);
    g->activation = CLATTN_ACTIVATION_RELU;
    g->gate = CLATTN_ACTIVATION_SIGMOID;
}

clattn_gates clattn_gates_channel_attention(const void *args) {
    const clattn_channel_attention_args *a = args;
    clattn_gates g = { .x = a->x, .w1 = a->w1, .b1 = a->b1, .w2 = a->w2, .b2 = a->b2, .out = a->out, .channel_gate = a->gate };
    set_pools(&g, &a->pools);
    return g;
}

clattn_gates clattn_gates_spatial_attention(const void *args) {
    const clattn_spatial_attention_args *a = args;
    return (clattn_gates){ .x = a->x, .weight = a->weight, .gamma = a->gamma, .beta = a->beta, .mean = a->mean, .var = a->var, .out = a->out, .spatial_gate = a->gate, .spatial = true, .mean_first = a->order == CLATTN_ORDER_MEAN_MAX, .eps = a->eps };
}

clattn_gates clattn_gates_cbam(const void *args) {
    const clattn_cbam_args *a = args;
    clattn_gates g = { .x = a->x, .w1 = a->w1, .b1 = a->b1, .w2 = a->w2, .b2 = a->b2, .out = a->out, .channel_gate = a->channel_gate };
    set_pools(&g, &a->pools);
    if (a->spatial != CLATTN_ON) return g;
    g.weight = a->weight, g.gamma = a->gamma, g.beta = a->beta, g.mean = a->mean, g.var = a->var;
    g.spatial_gate = a->spatial_gate;
    g.spatial = true;
    g.mean_first = a->order == CLATTN_ORDER_MEAN_MAX;
    g.eps = a->eps;
    return g;
}

/* ---- What shapes cannot say ---- */

static clattn_status check_spatial(clattn_call *call, const clattn_gates *g) {
    if (!g->weight) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "weight is missing; it may be absent only with spatial=false");
    const long long k = (long long)g->weight->shape[3];
    if (k % 2 == 0) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "weight [1,2,%lld,%lld]: expected an odd size, found %lld", k, k, k);
    if (!g->mean != !g->var) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is given without %s: batch norm needs both", g->mean ? "mean" : "var", g->mean ? "var" : "mean");
    if (!g->mean && (g->gamma || g->beta)) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is given without mean and var, which batch norm needs", g->gamma ? "gamma" : "beta");
    return CLATTN_OK;
}

static clattn_status spatial_infer(clattn_call *call, const void *args) {
    const clattn_gates g = clattn_gates_spatial_attention(args);
    return check_spatial(call, &g);
}

static clattn_status cbam_infer(clattn_call *call, const void *args) {
    const clattn_gates g = clattn_gates_cbam(args);
    if (!g.spatial) return CLATTN_OK;
    clattn_dim_set(call, "S", 1);
    return check_spatial(call, &g);
}

/* ---- The operations ---- */

CLATTN_GATES_DEFINE(channel_attention)
CLATTN_GATES_DEFINE(spatial_attention)
CLATTN_GATES_DEFINE(cbam)

static const char *const channel_examples[] = { "channel_attention x[960,5,3,7] w1[2,5] b1[2] w2[5,2] b2[5] -> out gate", "channel_attention x[1,5,3,7] w1[2,5] w2[5,2]", "channel_attention x[64,5,3,7] w1[2,5] w2[5,2] pools=lp+lse", "channel_attention x[1,5,3,7] w1[2,5] w2[5,2] pools=lp+lse", NULL };
static const char *const channel_tuning[] = { "channel_attention x[8,256,56,56] w1[16,256] w2[256,16]", NULL };
static const clattn_op_code channel_code = { .variants = channel_attention_variants, .variant_count = CLATTN_COUNT(channel_attention_variants), .half = "cpu_image cpu gpu", .reference = clattn_reference_channel_attention, .work = channel_attention_work, .examples = channel_examples, CLATTN_GATES_TUNING(channel_attention), .tuning_cases = channel_tuning };
static const clattn_op op_channel_attention = { "channel_attention", "channels scaled by a gate from their pools: x * sigmoid(mlp(avg) + mlp(max))", "Woo et al. 2018, CBAM's ChannelGate", sizeof(clattn_channel_attention_args), channel_fields, CLATTN_COUNT(channel_fields), &channel_code };
CLATTN_DEFINE_CALL(channel_attention)

static const char *const spatial_examples[] = { "spatial_attention x[960,5,9,7] weight[1,2,7,7] mean[1] var[1]:1 -> out gate", "spatial_attention x[1,5,9,7] weight[1,2,7,7]", NULL };
static const char *const spatial_tuning[] = { "spatial_attention x[8,256,56,56] weight[1,2,7,7]", NULL };
static const clattn_op_code spatial_code = { .infer = spatial_infer, .variants = spatial_attention_variants, .variant_count = CLATTN_COUNT(spatial_attention_variants), .half = "cpu_image cpu gpu", .reference = clattn_reference_spatial_attention, .work = spatial_attention_work, .examples = spatial_examples, CLATTN_GATES_TUNING(spatial_attention), .tuning_cases = spatial_tuning };
static const clattn_op op_spatial_attention = { "spatial_attention", "pixels scaled by a gate: x * sigmoid(norm(conv([max, mean] over the channels)))", "Woo et al. 2018, CBAM's SpatialGate", sizeof(clattn_spatial_attention_args), spatial_fields, CLATTN_COUNT(spatial_fields), &spatial_code };
CLATTN_DEFINE_CALL(spatial_attention)

static const char *const cbam_examples[] = { "cbam x[960,5,9,7] w1[2,5] b1[2] w2[5,2] b2[5] weight[1,2,7,7] mean[1] var[1]:1 -> out channel_gate spatial_gate", "cbam x[1,5,9,7] w1[2,5] w2[5,2] weight[1,2,7,7]", "cbam x[64,5,9,7] w1[2,5] w2[5,2] spatial=false", NULL };
static const char *const cbam_tuning[] = { "cbam x[8,256,56,56] w1[16,256] w2[256,16] weight[1,2,7,7]", NULL };
static const clattn_op_code cbam_code = { .infer = cbam_infer, .variants = cbam_variants, .variant_count = CLATTN_COUNT(cbam_variants), .half = "cpu_image cpu gpu", .reference = clattn_reference_cbam, .work = cbam_work, .examples = cbam_examples, CLATTN_GATES_TUNING(cbam), .tuning_cases = cbam_tuning };
static const clattn_op op_cbam = { "cbam", "channel attention, then spatial attention on its result, which is never stored", "Woo et al. 2018, CBAM", sizeof(clattn_cbam_args), cbam_fields, CLATTN_COUNT(cbam_fields), &cbam_code };
CLATTN_DEFINE_CALL(cbam)

const clattn_op *const clattn_ops_cbam[] = { &op_channel_attention, &op_spatial_attention, &op_cbam, NULL };
