/* Luong, Pham and Manning's translator (2015) as a list of layers: GRU cells, global attention with the general score, input
 * feeding. translator.c decodes with it. */
#include "translator.h"

static void encode(clattn_layers *l, clattn_tensor ids, clattn_decoding *d) {
    clattn_tensor last = { 0 };
    const clattn_tensor x = clattn_layers_embedding(l, ids, "encoder.embedding");
    clattn_gru_args gru = { .x = &x, .lengths = &d->lengths,
        .w_ih = clattn_layers_weight(l, "encoder.w_ih"), .w_hh = clattn_layers_weight(l, "encoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "encoder.b_ih"), .b_hh = clattn_layers_weight(l, "encoder.b_hh"), .bidirectional = true };
    clattn_layers_run(l, "gru", &gru, &gru.out, &d->annotations, &gru.h_n, &last, NULL);
    /* The backward state at the first word: the backward direction's last. */
    const clattn_tensor backward = clattn_tensor_sliced(&last, 0, 1, 1);
    d->state = clattn_layers_linear(l, clattn_tensor_reshaped(&backward, 2, (int64_t[]){ last.shape[1], last.shape[2] }), "init.weight", "init.bias", CLATTN_ACTIVATION_TANH);
    /* Before the first word nothing is fed. */
    const clattn_tensor *w_c = clattn_layers_weight(l, "attention.w_c");
    if (w_c) d->fed = clattn_layers_zeros(l, 2, (int64_t[]){ ids.shape[0], w_c->shape[0] });
}

/* h~ = tanh(W_c [c; h]) and the weights, from the state of this step. */
static clattn_tensor attend(clattn_layers *l, const clattn_decoding *d, clattn_tensor *weights) {
    clattn_tensor attentional = { 0 };
    const clattn_tensor state = clattn_tensor_reshaped(&d->state, 3, (int64_t[]){ d->state.shape[0], 1, d->state.shape[1] });
    clattn_luong_attention_args args = { .target = &state, .source = &d->annotations, .key_lengths = &d->lengths,
        .w_a = clattn_layers_weight(l, "attention.w_a"), .w_c = clattn_layers_weight(l, "attention.w_c"),
        .score = CLATTN_LUONG_GENERAL, .mode = CLATTN_LUONG_GLOBAL };
    clattn_layers_run(l, "luong_attention", &args, &args.attentional, &attentional, &args.weights, weights, NULL);
    return clattn_tensor_reshaped(&attentional, 2, (int64_t[]){ attentional.shape[0], attentional.shape[2] });
}

/* h_t from y_{t-1} and the h~_{t-1} that is fed back; then h~_t, and the word from it. */
static clattn_tensor step(clattn_layers *l, clattn_tensor previous_ids, clattn_decoding *d, clattn_tensor *weights) {
    clattn_tensor next = { 0 };
    const clattn_tensor previous = clattn_layers_embedding(l, previous_ids, "decoder.embedding");
    const clattn_tensor x = clattn_layers_joined(l, previous, d->fed), state = d->state;
    clattn_gru_cell_args cell = { .x = &x, .h = &state,
        .w_ih = clattn_layers_weight(l, "decoder.w_ih"), .w_hh = clattn_layers_weight(l, "decoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "decoder.b_ih"), .b_hh = clattn_layers_weight(l, "decoder.b_hh") };
    clattn_layers_run(l, "gru_cell", &cell, &cell.h_out, &next, NULL);
    d->state = next;
    d->fed = attend(l, d, weights);
    return clattn_layers_linear(l, d->fed, "output.weight", "output.bias", CLATTN_ACTIVATION_NONE);
}

const clattn_network clattn_network_luong = { "luong", encode, step };
