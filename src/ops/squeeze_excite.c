/* squeeze_excite; its kernels are those of the channel half of CBAM. */
#include "gates.h"

static const char *const gate_words[] = { "sigmoid", "hard_sigmoid", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_squeeze_excite_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_IN(clattn_squeeze_excite_args, w1, "R,C", 0, "the layer that reduces"),
    CLATTN_IN(clattn_squeeze_excite_args, b1, "R", CLATTN_FIELD_OPTIONAL, "its bias"),
    CLATTN_IN(clattn_squeeze_excite_args, w2, "C,R", 0, "the layer that expands"),
    CLATTN_IN(clattn_squeeze_excite_args, b2, "C", CLATTN_FIELD_OPTIONAL, "its bias"),
    CLATTN_OUT(clattn_squeeze_excite_args, out, "out", "B,C,H,W", CLATTN_FIELD_STORED, "x * gate"),
    CLATTN_OUT(clattn_squeeze_excite_args, gate_out, "gate", "B,C", CLATTN_FIELD_OPTIONAL, "the gate of each channel"),
    CLATTN_PARAM_WORD(clattn_squeeze_excite_args, activation, "activation", clattn_activation_words, CLATTN_ACTIVATION_RELU, "between the layers"),
    CLATTN_PARAM_WORD(clattn_squeeze_excite_args, gate, "gate", gate_words, CLATTN_GATE_SIGMOID, "what makes the gate; hard_sigmoid is relu6(v + 3) / 6"),
};

clattn_gates clattn_gates_squeeze_excite(const void *args) {
    const clattn_squeeze_excite_args *a = args;
    return (clattn_gates){ .x = a->x, .w1 = a->w1, .b1 = a->b1, .w2 = a->w2, .b2 = a->b2, .out = a->out, .channel_gate = a->gate_out, .channel = true, .kinds = 1 << CLATTN_POOL_AVG, .activation = (int)a->activation, .gate = a->gate == CLATTN_GATE_SIGMOID ? CLATTN_ACTIVATION_SIGMOID : CLATTN_ACTIVATION_HARD_SIGMOID };
}

CLATTN_GATES_DEFINE(squeeze_excite)

static const char *const examples[] = { "squeeze_excite x[960,5,3,7] w1[2,5] b1[2] w2[5,2] b2[5] -> out gate", "squeeze_excite x[1,5,3,7] w1[2,5] w2[5,2]", NULL };
static const char *const tuning_cases[] = { "squeeze_excite x[8,256,56,56] w1[16,256] w2[256,16]", NULL };
static const clattn_op_code code = { .variants = squeeze_excite_variants, .variant_count = CLATTN_COUNT(squeeze_excite_variants), .half = "cpu_image cpu gpu", .reference = clattn_reference_squeeze_excite, .work = squeeze_excite_work, .examples = examples, CLATTN_GATES_TUNING(squeeze_excite), .tuning_cases = tuning_cases };
static const clattn_op op_squeeze_excite = { "squeeze_excite", "channels scaled by a gate from their means: x * sigmoid(w2 act(w1 mean(x) + b1) + b2)", "Hu et al. 2017; torchvision.ops.SqueezeExcitation", sizeof(clattn_squeeze_excite_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(squeeze_excite)

const clattn_op *const clattn_ops_squeeze_excite[] = { &op_squeeze_excite, NULL };
