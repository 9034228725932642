/* Translation by any of the networks: sentences to batches, steps of the decoder with beam search, words to sentences. */
#include "translator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beam.h"
#include "vocabulary.h"

/* Hypotheses of a batch, at most (but one sentence at least): what the steps leave on the device until the end is bounded. */
#define BATCH_ROWS 512

static const clattn_network *const networks[] = { &clattn_network_rnnsearch, &clattn_network_luong };
#define NETWORK_COUNT (sizeof networks / sizeof *networks)

struct clattn_translator {
    const clattn_network *network;
    clattn_layers layers;
    clattn_vocabulary source, target;
};

/* ---- Batches ---- */

/* Sentences that have words, padded to the longest. Each has `width` rows on the device, of which its live hypotheses take
 * the first. */
typedef struct batch {
    int width;
    size_t count, rows;    /* rows = count * width */
    int steps;             /* source tokens of the longest, <eos> included */
    size_t *sentence;      /* [count]: index in the caller's arrays */
    clattn_beam *beams;    /* [count] */
    int32_t *ids;          /* [count, steps] */
    int32_t *lengths;      /* [rows] */
    uint8_t *mask;         /* [rows, steps] */
    int32_t *words;        /* [rows]: the last word of each, -1 before the first and for rows that none has */
    int32_t *parents;      /* [rows]: the row whose state it goes on with */
    float *log_p, *weights;
} batch;

static void batch_free(batch *b) {
    for (size_t i = 0; b->beams && i < b->count; i++) clattn_beam_free(&b->beams[i]);
    free(b->sentence);
    free(b->beams);
    free(b->ids);
    free(b->lengths);
    free(b->mask);
    free(b->words);
    free(b->parents);
    free(b->log_p);
    free(b->weights);
}

static bool batch_room(batch *b, size_t vocabulary) {
    const size_t rows = b->rows + 1, cells = rows * (size_t)(b->steps + 1);
    b->sentence = calloc(b->count + 1, sizeof *b->sentence);
    b->beams = calloc(b->count + 1, sizeof *b->beams);
    b->ids = calloc(cells, sizeof *b->ids);
    b->lengths = calloc(rows, sizeof *b->lengths);
    b->mask = calloc(cells, 1);
    b->words = calloc(rows, sizeof *b->words);
    b->parents = calloc(rows, sizeof *b->parents);
    b->log_p = calloc(rows * vocabulary, sizeof *b->log_p);
    b->weights = calloc(cells, sizeof *b->weights);
    return b->sentence && b->beams && b->ids && b->lengths && b->mask && b->words && b->parents && b->log_p && b->weights;
}

static int longest_translation(int source_tokens) {
    return 3 * (source_tokens - 1) + 10; /* <eos> is not a word of the source */
}

static void batch_put(batch *b, size_t i, const clattn_tokens *tokens, size_t sentence) {
    const size_t steps = (size_t)b->steps, width = (size_t)b->width;
    b->sentence[i] = sentence;
    clattn_beam_begin(&b->beams[i], b->width, tokens->count, longest_translation(tokens->count));
    memcpy(b->ids + i * steps, tokens->ids, (size_t)tokens->count * sizeof *tokens->ids);
    for (size_t row = i * width; row < (i + 1) * width; row++) {
        b->lengths[row] = tokens->count;
        b->words[row] = -1;
        b->parents[row] = (int32_t)i; /* of the encoder's rows, one for each sentence */
        memset(b->mask + row * steps, 1, (size_t)tokens->count);
    }
}

/* Of sentences first..first+count those that have words. */
static bool batch_make(batch *b, const clattn_tokens *tokens, size_t first, size_t count, int width, size_t vocabulary) {
    *b = (batch){ .width = width };
    for (size_t i = first; i < first + count; i++) {
        b->count += tokens[i].count > 1;
        if (tokens[i].count > b->steps) b->steps = tokens[i].count;
    }
    b->rows = b->count * (size_t)width;
    if (!batch_room(b, vocabulary)) return false;
    for (size_t i = first, next = 0; i < first + count; i++)
        if (tokens[i].count > 1) batch_put(b, next++, &tokens[i], i);
    return true;
}

/* ---- Decoding ---- */

static clattn_tensor ints(clattn_layers *l, size_t count, const int32_t *values) {
    return clattn_layers_tensor(l, CLATTN_I32, 1, (int64_t[]){ (int64_t)count }, values);
}

/* Rows of x by index; a tensor that is not there stays so. */
static void take_rows(clattn_layers *l, clattn_tensor *x, const clattn_tensor *rows) {
    clattn_tensor out = { 0 };
    const clattn_tensor from = *x;
    clattn_gather_args args = { .x = &from, .indices = rows };
    if (!x->buffer) return;
    clattn_layers_run(l, "gather", &args, &args.out, &out, NULL);
    *x = out;
}

static void use_hypotheses(clattn_layers *l, const batch *b, size_t rows, clattn_decoding *d) {
    const int64_t shape[2] = { (int64_t)rows, b->steps };
    d->lengths = ints(l, rows, b->lengths);
    d->mask = clattn_layers_tensor(l, CLATTN_U8, 2, shape, b->mask);
}

static clattn_decoding encode(clattn_translator *t, const batch *b) {
    clattn_layers *l = &t->layers;
    clattn_decoding d = { .state = { 0 } };
    int32_t *lengths = calloc(b->count, sizeof *lengths);
    if (!lengths) clattn_layers_fail(l, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    for (size_t i = 0; i < b->count && lengths; i++) lengths[i] = b->lengths[i * (size_t)b->width];
    d.lengths = ints(l, b->count, lengths);
    free(lengths);
    t->network->encode(l, clattn_layers_tensor(l, CLATTN_I32, 2, (int64_t[]){ (int64_t)b->count, b->steps }, b->ids), &d);
    use_hypotheses(l, b, b->rows, &d);
    if (b->width == 1) return d;
    const clattn_tensor rows = ints(l, b->rows, b->parents);
    take_rows(l, &d.annotations, &rows);
    take_rows(l, &d.state, &rows);
    take_rows(l, &d.fed, &rows);
    return d;
}

/* The step's log p and weights, from the device. */
static void run_step(clattn_translator *t, const batch *b, clattn_decoding *d) {
    clattn_layers *l = &t->layers;
    clattn_tensor weights = { 0 }, log_p = { 0 };
    const clattn_tensor logits = t->network->step(l, ints(l, b->rows, b->words), d, &weights);
    clattn_log_softmax_args args = { .x = &logits };
    clattn_layers_run(l, "log_softmax", &args, &args.out, &log_p, NULL);
    clattn_layers_read(l, &log_p, b->log_p);
    clattn_layers_read(l, &weights, b->weights);
}

/* One sentence's choice of hypotheses, and the words and rows that they go on with. */
static bool choose(clattn_translator *t, batch *b, size_t sentence) {
    clattn_beam *beam = &b->beams[sentence];
    const size_t first = sentence * (size_t)b->width, vocabulary = (size_t)t->target.count, steps = (size_t)b->steps;
    if (!beam->live_count) return false;
    if (!clattn_beam_step(beam, b->log_p + first * vocabulary, t->target.count, CLATTN_VOCABULARY_EOS, b->weights + first * steps, steps)) {
        clattn_layers_fail(&t->layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
        return false;
    }
    for (int i = 0; i < b->width; i++) {
        const bool live = i < beam->live_count;
        b->words[first + (size_t)i] = live ? clattn_beam_word(beam, i) : -1;
        b->parents[first + (size_t)i] = (int32_t)first + (live ? beam->live[i].parent : i);
    }
    return beam->live_count > 0;
}

static bool moved(const batch *b) {
    for (size_t row = 0; row < b->rows; row++)
        if ((size_t)b->parents[row] != row) return true;
    return false;
}

static void decode(clattn_translator *t, batch *b) {
    clattn_layers *l = &t->layers;
    clattn_decoding d = encode(t, b);
    bool more = true;
    while (more && !l->status) {
        run_step(t, b, &d);
        more = false;
        for (size_t i = 0; i < b->count && !l->status; i++) more = choose(t, b, i) || more;
        if (!more || l->status || !moved(b)) continue;
        const clattn_tensor rows = ints(l, b->rows, b->parents);
        take_rows(l, &d.state, &rows);
        take_rows(l, &d.fed, &rows);
    }
}

/* The best hypothesis of a sentence, from its last word back and then in order. */
static bool write_best(const clattn_beam *beam, const clattn_vocabulary *target, clattn_translation *result) {
    const int length = beam->best < 0 ? 0 : beam->nodes[beam->best].length;
    int *path = calloc((size_t)length + 1, sizeof *path);
    bool written = path != NULL;
    for (int node = beam->best, i = length; written && i > 0; node = beam->nodes[node].before) path[--i] = node;
    for (int i = 0; i < length && written; i++)
        written = clattn_translation_push(result, target, beam->nodes[path[i]].word, beam->weights + (size_t)path[i] * (size_t)beam->columns);
    result->score = (float)beam->score;
    free(path);
    return written;
}

static void translate_batch(clattn_translator *t, const clattn_tokens *tokens, size_t first, size_t count, int width, clattn_translation *results) {
    batch b;
    bool made = batch_make(&b, tokens, first, count, width, (size_t)t->target.count);
    if (made && b.count) decode(t, &b);
    for (size_t i = 0; i < b.count && made && !t->layers.status; i++) made = write_best(&b.beams[i], &t->target, &results[b.sentence[i]]);
    if (!made) clattn_layers_fail(&t->layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    clattn_layers_release(&t->layers);
    batch_free(&b);
}

/* ---- The translator as an object ---- */

const char *clattn_translator_model(size_t index) {
    return index < NETWORK_COUNT ? networks[index]->name : NULL;
}

static const clattn_network *find_network(const char *name) {
    for (size_t i = 0; i < NETWORK_COUNT; i++)
        if (strcmp(networks[i]->name, name) == 0) return networks[i];
    return NULL;
}

static void make_vocabulary(clattn_translator *t, clattn_vocabulary *vocabulary, const char *key, const char *path) {
    const char *lines = clattn_weights_metadata(t->layers.file, key);
    if (!lines || !*lines) clattn_layers_fail(&t->layers, CLATTN_ERROR_FORMAT, "%s: no %s in its metadata", path, key);
    else if (!clattn_vocabulary_make(vocabulary, lines)) clattn_layers_fail(&t->layers, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
}

clattn_status clattn_translator_open(clattn_context *context, const char *name, const char *path, clattn_translator **result, char *message, size_t message_size) {
    clattn_translator *t = *result = calloc(1, sizeof *t);
    if (!t) {
        snprintf(message, message_size, "out of host memory");
        return CLATTN_ERROR_OUT_OF_MEMORY;
    }
    clattn_status status;
    t->network = find_network(name);
    if (!t->network) {
        clattn_layers_fail(&t->layers, CLATTN_ERROR_ARGUMENT, "unknown model %s", name);
        status = clattn_layers_end(&t->layers, message, message_size);
    } else {
        status = clattn_layers_open(&t->layers, context, path, name, message, message_size);
    }
    if (!status) {
        make_vocabulary(t, &t->source, "source_vocabulary", path);
        make_vocabulary(t, &t->target, "target_vocabulary", path);
        status = clattn_layers_end(&t->layers, message, message_size);
    }
    if (status) clattn_translator_close(result);
    return status;
}

void clattn_translator_close(clattn_translator **pointer) {
    clattn_translator *t = pointer ? *pointer : NULL;
    if (!t) return;
    *pointer = NULL;
    clattn_layers_close(&t->layers);
    clattn_vocabulary_free(&t->source);
    clattn_vocabulary_free(&t->target);
    free(t);
}

/* Sentences to tokens; false without memory. */
static bool cut(clattn_translator *t, const char *const *sentences, size_t count, clattn_tokens *tokens, clattn_translation *results) {
    for (size_t i = 0; i < count; i++)
        if (!clattn_tokens_make(&tokens[i], &t->source, sentences[i], &results[i])) return false;
    return true;
}

clattn_status clattn_translator_translate(clattn_translator *t, const char *const *sentences, size_t count, int beam, clattn_translation *results, char *message, size_t message_size) {
    clattn_layers *l = &t->layers;
    for (size_t i = 0; i < count; i++) results[i] = (clattn_translation){ 0 };
    if (beam < 1 || beam > CLATTN_BEAM_WIDEST) clattn_layers_fail(l, CLATTN_ERROR_ARGUMENT, "beam %d: expected 1..%d", beam, CLATTN_BEAM_WIDEST);
    clattn_tokens *tokens = calloc(count + 1, sizeof *tokens);
    if (!l->status && (!tokens || !cut(t, sentences, count, tokens, results))) clattn_layers_fail(l, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    const size_t most = l->status ? count : (size_t)(BATCH_ROWS / beam);
    for (size_t first = 0; first < count && !l->status; first += most) translate_batch(t, tokens, first, count - first < most ? count - first : most, beam, results);
    for (size_t i = 0; i < count && !l->status; i++)
        if (!clattn_translation_finish(&results[i])) clattn_layers_fail(l, CLATTN_ERROR_OUT_OF_MEMORY, "out of host memory");
    for (size_t i = 0; i < count && l->status; i++) clattn_translation_free(&results[i]);
    for (size_t i = 0; i < count && tokens; i++) free(tokens[i].ids);
    free(tokens);
    return clattn_layers_end(l, message, message_size);
}
