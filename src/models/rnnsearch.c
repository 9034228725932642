/* RNNsearch (Bahdanau, Cho, Bengio 2014), greedy decoding of a batch of sentences. The layers stand in `encode` and
 * `decode_step`; vocabulary.h makes ids of words and back. */
#include <clattn/model.h>

#include <stdlib.h>
#include <string.h>

#include "layers.h"
#include "vocabulary.h"

struct clattn_rnnsearch {
    clattn_layers layers;
    clattn_vocabulary source, target;
};

/* What the encoder leaves for the decoder. */
typedef struct encoded {
    clattn_tensor annotations; /* [B,T,2H] */
    clattn_tensor projected;   /* [B,T,A] = annotations U_a */
    clattn_tensor mask;        /* [B,T] */
    clattn_tensor state;       /* [B,H]: s_0 */
} encoded;

/* ---- Layers ---- */

static clattn_tensor embedding(clattn_layers *l, clattn_tensor ids, const char *name) {
    clattn_tensor out = { 0 };
    clattn_embedding_args args = { .table = clattn_layers_weight(l, "%s", name), .ids = &ids };
    clattn_layers_run(l, "embedding", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor linear(clattn_layers *l, clattn_tensor x, const char *weight, const char *bias, clattn_activation_kind activation) {
    clattn_tensor out = { 0 };
    clattn_linear_args args = { .x = &x, .weight = clattn_layers_weight(l, "%s", weight), .bias = bias ? clattn_layers_weight(l, "%s", bias) : NULL, .activation = activation };
    clattn_layers_run(l, "linear", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor add(clattn_layers *l, clattn_tensor a, clattn_tensor b) {
    clattn_tensor out = { 0 };
    clattn_add_args args = { .a = &a, .b = &b };
    clattn_layers_run(l, "add", &args, &args.out, &out, NULL);
    return out;
}

static clattn_tensor joined(clattn_layers *l, clattn_tensor a, clattn_tensor b) {
    clattn_tensor out = { 0 };
    clattn_concat_args args = { .x = { &a, &b } };
    clattn_layers_run(l, "concat", &args, &args.out, &out, NULL);
    return out;
}

/* [B,2n] -> [B,n]: the larger of each pair of neighbours. */
static clattn_tensor maxout(clattn_layers *l, clattn_tensor x) {
    clattn_tensor out = { 0 };
    const clattn_tensor pairs = clattn_tensor_reshaped(&x, 3, (int64_t[]){ x.shape[0], x.shape[1] / 2, 2 });
    const clattn_tensor even = clattn_tensor_sliced(&pairs, 2, 0, 1), odd = clattn_tensor_sliced(&pairs, 2, 1, 1);
    clattn_maximum_args args = { .a = &even, .b = &odd };
    clattn_layers_run(l, "maximum", &args, &args.out, &out, NULL);
    return clattn_tensor_reshaped(&out, 2, out.shape);
}

static encoded encode(clattn_layers *l, clattn_tensor ids, clattn_tensor lengths, clattn_tensor mask) {
    encoded e = { .mask = mask };
    clattn_tensor last = { 0 };
    const clattn_tensor x = embedding(l, ids, "encoder.embedding");
    clattn_gru_args gru = { .x = &x, .lengths = &lengths,
        .w_ih = clattn_layers_weight(l, "encoder.w_ih"), .w_hh = clattn_layers_weight(l, "encoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "encoder.b_ih"), .b_hh = clattn_layers_weight(l, "encoder.b_hh"),
        .bidirectional = true, .reset = CLATTN_RESET_BEFORE, .keep = CLATTN_KEEP_NEW };
    clattn_layers_run(l, "gru", &gru, &gru.out, &e.annotations, &gru.h_n, &last, NULL);
    /* The backward state at the first word: the backward direction's last. */
    const clattn_tensor backward = clattn_tensor_sliced(&last, 0, 1, 1);
    e.state = linear(l, clattn_tensor_reshaped(&backward, 2, (int64_t[]){ last.shape[1], last.shape[2] }), "init.weight", "init.bias", CLATTN_ACTIVATION_TANH);
    return e;
}

/* c_i and the weights, from the previous state. The first step projects the annotations, once for the sentence. */
static clattn_tensor attend(clattn_layers *l, encoded *e, clattn_tensor *weights) {
    clattn_tensor context = { 0 };
    const clattn_tensor state = clattn_tensor_reshaped(&e->state, 3, (int64_t[]){ e->state.shape[0], 1, e->state.shape[1] });
    clattn_bahdanau_attention_args args = { .state = &state, .annotations = &e->annotations, .key_mask = &e->mask,
        .w_a = clattn_layers_weight(l, "attention.w_a"), .u_a = clattn_layers_weight(l, "attention.u_a"), .v_a = clattn_layers_weight(l, "attention.v_a") };
    if (e->projected.buffer) {
        args.projected = &e->projected;
        clattn_layers_run(l, "bahdanau_attention", &args, &args.context, &context, &args.weights, weights, NULL);
    } else {
        clattn_layers_run(l, "bahdanau_attention", &args, &args.context, &context, &args.weights, weights, &args.projected_out, &e->projected, NULL);
    }
    return clattn_tensor_reshaped(&context, 2, (int64_t[]){ context.shape[0], context.shape[2] });
}

/* One word for each sentence: logits [B,V] from the previous words' ids; moves the state on. */
static clattn_tensor decode_step(clattn_layers *l, encoded *e, clattn_tensor previous_ids, clattn_tensor *weights) {
    const clattn_tensor previous = embedding(l, previous_ids, "decoder.embedding");
    const clattn_tensor context = attend(l, e, weights);
    clattn_tensor readout = linear(l, e->state, "readout.state.weight", "readout.state.bias", CLATTN_ACTIVATION_NONE);
    readout = add(l, readout, linear(l, previous, "readout.previous.weight", NULL, CLATTN_ACTIVATION_NONE));
    readout = add(l, readout, linear(l, context, "readout.context.weight", NULL, CLATTN_ACTIVATION_NONE));
    const clattn_tensor logits = linear(l, maxout(l, readout), "output.weight", "output.bias", CLATTN_ACTIVATION_NONE);

    clattn_tensor next = { 0 };
    const clattn_tensor x = joined(l, previous, context), state = e->state;
    clattn_gru_cell_args cell = { .x = &x, .h = &state,
        .w_ih = clattn_layers_weight(l, "decoder.w_ih"), .w_hh = clattn_layers_weight(l, "decoder.w_hh"),
        .b_ih = clattn_layers_weight(l, "decoder.b_ih"), .b_hh = clattn_layers_weight(l, "decoder.b_hh"),
        .reset = CLATTN_RESET_BEFORE, .keep = CLATTN_KEEP_NEW };
    clattn_layers_run(l, "gru_cell", &cell, &cell.h_out, &next, NULL);
    e->state = next;
    return logits;
}

/* ---- Batches ---- */

/* The sentences of one batch that have words, padded to the longest. */
typedef struct batch {
    size_t count;
    int steps;             /* source tokens of the longest, <eos> included */
    size_t *sentence;      /* [count]: index in the caller's arrays */
    int32_t *ids;          /* [count, steps] */
    int32_t *lengths;      /* [count] */
    uint8_t *mask;         /* [count, steps] */
    int32_t *words;        /* [count]: the last word of each, -1 before the first and after <eos> */
    bool *done;            /* [count] */
    float *logits, *weights;
} batch;

static void batch_free(batch *b) {
    free(b->sentence);
    free(b->ids);
    free(b->lengths);
    free(b->mask);
    free(b->words);
    free(b->done);
    free(b->logits);
    free(b->weights);
}

static bool batch_make(batch *b, const clattn_tokens *tokens, size_t count, size_t vocabulary) {
    *b = (batch){ .count = 0 };
    for (size_t i = 0; i < count; i++) {
        b->count += tokens[i].count > 1;
        if (tokens[i].count > b->steps) b->steps = tokens[i].count;
    }
    const size_t n = b->count + 1, cells = n * (size_t)(b->steps + 1);
    b->sentence = calloc(n, sizeof *b->sentence);
    b->ids = calloc(cells, sizeof *b->ids);
    b->lengths = calloc(n, sizeof *b->lengths);
    b->mask = calloc(cells, 1);
    b->words = calloc(n, sizeof *b->words);
    b->done = calloc(n, sizeof *b->done);
    b->logits = calloc(n * vocabulary, sizeof *b->logits);
    b->weights = calloc(cells, sizeof *b->weights);
    if (!b->sentence || !b->ids || !b->lengths || !b->mask || !b->words || !b->done || !b->logits || !b->weights) return false;
    size_t row = 0;
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].count <= 1) continue;
        b->sentence[row] = i;
        b->lengths[row] = tokens[i].count;
        b->words[row] = -1;
        for (int j = 0; j < tokens[i].count; j++) {
            b->ids[row * (size_t)b->steps + (size_t)j] = tokens[i].ids[j];
            b->mask[row * (size_t)b->steps + (size_t)j] = 1;
        }
        row++;
    }
    return true;
}

static int32_t largest(const float *logits, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static int limit_of(int source_tokens) {
    return 3 * (source_tokens - 1) + 10; /* <eos> is not a word of the source */
}

/* Takes the step's words; true while a sentence goes on. */
static bool take_words(clattn_rnnsearch *model, batch *b, int step, clattn_translation *results) {
    const size_t vocabulary = (size_t)model->target.count;
    bool more = false;
    for (size_t row = 0; row < b->count; row++) {
        if (b->done[row]) continue;
        clattn_translation *r = &results[b->sentence[row]];
        const int32_t word = largest(b->logits + row * vocabulary, vocabulary);
        if (!clattn_translation_push(r, &model->target, word, b->weights + row * (size_t)b->steps)) {
            clattn_layers_fail(&model->layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
            return false;
        }
        b->words[row] = word;
        b->done[row] = word == CLATTN_VOCABULARY_EOS || step + 1 >= limit_of(b->lengths[row]);
        more = more || !b->done[row];
    }
    return more;
}

static void decode(clattn_rnnsearch *model, batch *b, clattn_translation *results) {
    clattn_layers *l = &model->layers;
    const int64_t count = (int64_t)b->count;
    encoded e = encode(l, clattn_layers_tensor(l, CLATTN_I32, 2, (int64_t[]){ count, b->steps }, b->ids), clattn_layers_tensor(l, CLATTN_I32, 1, &count, b->lengths), clattn_layers_tensor(l, CLATTN_U8, 2, (int64_t[]){ count, b->steps }, b->mask));
    bool more = true;
    for (int step = 0; more && !l->status; step++) {
        clattn_tensor weights = { 0 };
        const clattn_tensor previous = clattn_layers_tensor(l, CLATTN_I32, 1, &count, b->words);
        const clattn_tensor logits = decode_step(l, &e, previous, &weights);
        clattn_layers_read(l, &logits, b->logits);
        clattn_layers_read(l, &weights, b->weights);
        more = !l->status && take_words(model, b, step, results);
    }
}

/* ---- The model as an object ---- */

clattn_status clattn_rnnsearch_open(clattn_context *context, const char *path, clattn_rnnsearch **result, char *message, size_t message_size) {
    clattn_rnnsearch *model = *result = calloc(1, sizeof *model);
    if (!model) return CLATTN_ERROR_OUT_OF_MEMORY;
    clattn_status status = clattn_layers_open(&model->layers, context, path, "rnnsearch", message, message_size);
    if (!status && (!clattn_vocabulary_make(&model->source, clattn_weights_metadata(model->layers.file, "source_vocabulary")) || !clattn_vocabulary_make(&model->target, clattn_weights_metadata(model->layers.file, "target_vocabulary")))) {
        clattn_layers_fail(&model->layers, CLATTN_ERROR_FORMAT, "%s: no vocabularies in its metadata", path);
        status = clattn_layers_end(&model->layers, message, message_size);
    }
    if (status) clattn_rnnsearch_close(result);
    return status;
}

void clattn_rnnsearch_close(clattn_rnnsearch **pointer) {
    clattn_rnnsearch *model = pointer ? *pointer : NULL;
    if (!model) return;
    *pointer = NULL;
    clattn_layers_close(&model->layers);
    clattn_vocabulary_free(&model->source);
    clattn_vocabulary_free(&model->target);
    free(model);
}

clattn_status clattn_rnnsearch_translate(clattn_rnnsearch *model, const char *const *sentences, size_t count, clattn_translation *results, char *message, size_t message_size) {
    clattn_layers *l = &model->layers;
    batch b = { .count = 0 };
    for (size_t i = 0; i < count; i++) results[i] = (clattn_translation){ 0 };
    clattn_tokens *tokens = calloc(count + 1, sizeof *tokens);
    bool made = tokens != NULL;
    for (size_t i = 0; i < count && made; i++) made = clattn_tokens_make(&tokens[i], &model->source, sentences[i], &results[i]);
    if (!made || !batch_make(&b, tokens, count, (size_t)model->target.count)) clattn_layers_fail(l, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    if (!l->status && b.count) decode(model, &b, results);
    for (size_t i = 0; i < count && !l->status; i++)
        if (!clattn_translation_finish(&results[i])) clattn_layers_fail(l, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    for (size_t i = 0; i < count && l->status; i++) clattn_translation_free(&results[i]);
    for (size_t i = 0; i < count && tokens; i++) free(tokens[i].ids);
    free(tokens);
    batch_free(&b);
    return clattn_layers_end(l, message, message_size);
}
