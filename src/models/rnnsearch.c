/* RNNsearch (Bahdanau, Cho, Bengio 2014) as a list of layers; translator.c decodes with it. */
#include "translator.h"

/* [B,2n] -> [B,n]: the larger of each pair of neighbours. */
static clattn_tensor maxout(clattn_layers *l, clattn_tensor x) {
    clattn_tensor out = { 0 };
    const clattn_tensor pairs = clattn_tensor_reshaped(&x, 3, (int64_t[]){ x.shape[0], x.shape[1] / 2, 2 });
    const clattn_tensor even = clattn_tensor_sliced(&pairs, 2, 0, 1), odd = clattn_tensor_sliced(&pairs, 2, 1, 1);
    clattn_maximum_args args = { .a = &even, .b = &odd };
    clattn_layers_run(l, "maximum", &args, &args.out, &out, NULL);
    return clattn_tensor_reshaped(&out, 2, out.shape);
}

static clattn_tensor add(clattn_layers *l, clattn_tensor a, clattn_tensor b) {
    clattn_tensor out = { 0 };
    clattn_add_args args = { .a = &a, .b = &b };
    clattn_layers_run(l, "add", &args, &args.out, &out, NULL);
    return out;
}

static void encode(clattn_layers *l, clattn_tensor ids, clattn_decoding *d) {
    clattn_tensor last = { 0 };
    const clattn_tensor x = clattn_layers_embedding(l, ids, "encoder.embedding");
    clattn_gru_args gru = { .x = &x, .lengths = &d->lengths,
        .w_ih = clattn_layers_weight(l, "encoder.w_ih"), .w_hh = clattn_layers_weight(l, "encoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "encoder.b_ih"), .b_hh = clattn_layers_weight(l, "encoder.b_hh"),
        .bidirectional = true, .reset = CLATTN_RESET_BEFORE, .keep = CLATTN_KEEP_NEW };
    clattn_layers_run(l, "gru", &gru, &gru.out, &d->annotations, &gru.h_n, &last, NULL);
    /* The backward state at the first word: the backward direction's last. */
    const clattn_tensor backward = clattn_tensor_sliced(&last, 0, 1, 1);
    d->state = clattn_layers_linear(l, clattn_tensor_reshaped(&backward, 2, (int64_t[]){ last.shape[1], last.shape[2] }), "init.weight", "init.bias", CLATTN_ACTIVATION_TANH);
}

/* c_i and the weights, from the previous state. The first step projects the annotations, once for the sentence. */
static clattn_tensor attend(clattn_layers *l, clattn_decoding *d, clattn_tensor *weights) {
    clattn_tensor context = { 0 };
    const clattn_tensor state = clattn_tensor_reshaped(&d->state, 3, (int64_t[]){ d->state.shape[0], 1, d->state.shape[1] });
    clattn_bahdanau_attention_args args = { .state = &state, .annotations = &d->annotations, .key_mask = &d->mask,
        .w_a = clattn_layers_weight(l, "attention.w_a"), .u_a = clattn_layers_weight(l, "attention.u_a"), .v_a = clattn_layers_weight(l, "attention.v_a") };
    if (d->projected.buffer) {
        args.projected = &d->projected;
        clattn_layers_run(l, "bahdanau_attention", &args, &args.context, &context, &args.weights, weights, NULL);
    } else {
        clattn_layers_run(l, "bahdanau_attention", &args, &args.context, &context, &args.weights, weights, &args.projected_out, &d->projected, NULL);
    }
    return clattn_tensor_reshaped(&context, 2, (int64_t[]){ context.shape[0], context.shape[2] });
}

/* Reads out s_{i-1}, y_{i-1} and c_i; then s_i comes of the same three. */
static clattn_tensor step(clattn_layers *l, clattn_tensor previous_ids, clattn_decoding *d, clattn_tensor *weights) {
    const clattn_tensor previous = clattn_layers_embedding(l, previous_ids, "decoder.embedding");
    const clattn_tensor context = attend(l, d, weights);
    clattn_tensor readout = clattn_layers_linear(l, d->state, "readout.state.weight", "readout.state.bias", CLATTN_ACTIVATION_NONE);
    readout = add(l, readout, clattn_layers_linear(l, previous, "readout.previous.weight", NULL, CLATTN_ACTIVATION_NONE));
    readout = add(l, readout, clattn_layers_linear(l, context, "readout.context.weight", NULL, CLATTN_ACTIVATION_NONE));
    const clattn_tensor logits = clattn_layers_linear(l, maxout(l, readout), "output.weight", "output.bias", CLATTN_ACTIVATION_NONE);

    clattn_tensor next = { 0 };
    const clattn_tensor x = clattn_layers_joined(l, previous, context), state = d->state;
    clattn_gru_cell_args cell = { .x = &x, .h = &state,
        .w_ih = clattn_layers_weight(l, "decoder.w_ih"), .w_hh = clattn_layers_weight(l, "decoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "decoder.b_ih"), .b_hh = clattn_layers_weight(l, "decoder.b_hh"),
        .reset = CLATTN_RESET_BEFORE, .keep = CLATTN_KEEP_NEW };
    clattn_layers_run(l, "gru_cell", &cell, &cell.h_out, &next, NULL);
    d->state = next;
    return logits;
}

const clattn_network clattn_network_rnnsearch = { "rnnsearch", encode, step };
