/* clattn/model.h - the networks that ship with clattn, on its own operations. Part of libclattn-models.
 *
 * Each network is opened from a .safetensors file on a context, and used by one thread at a time, as the context is.
 * Errors: a status, and in `message` (may be NULL) one line that says what and where. Their sources, src/models/rnnsearch.c,
 * luong.c and cbam_digits.c, are written as lists of layers on the public API, to be read and copied. */
#ifndef CLATTN_MODEL_H
#define CLATTN_MODEL_H

#include <clattn/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Translation ----
 * By "rnnsearch", Bahdanau, Cho and Bengio (2014), or "luong", Luong, Pham and Manning (2015: GRU cells, the general score,
 * global attention, input feeding). */

typedef struct clattn_translator clattn_translator;

/* One sentence's result; free it with clattn_translation_free. */
typedef struct clattn_translation {
    char *text;         /* UTF-8; "" for an empty sentence or an unknown word */
    char *unknown_word; /* NULL, or the first word that the model does not know; then the rest is empty */
    int source_count;   /* tokens of the source, <eos> last */
    int target_count;   /* tokens of the translation, <eos> last unless the limit of 3 * source + 10 came first */
    char **source;      /* [source_count] */
    char **target;      /* [target_count] */
    float *alignment;   /* [target_count, source_count]: how much each target token attended each source token */
    float score;        /* log p of the target tokens / target_count; 0 without any */
} clattn_translation;

/* The names of the models; NULL from the index after the last. */
CLATTN_API const char *clattn_translator_model(size_t index);

/* Reads the weights of a model of that name and freezes them on the device. `*translator` is NULL on failure. */
CLATTN_API clattn_status clattn_translator_open(clattn_context *context, const char *model, const char *path, clattn_translator **translator, char *message, size_t message_size);
CLATTN_API void clattn_translator_close(clattn_translator **translator);

/* Translates `count` sentences, in batches, into `results[count]` (overwritten). Letters are lower-cased, commas dropped,
 * hyphens and white space separate words. An unknown word empties its own sentence only. On failure all results are empty.
 * `beam`: hypotheses of each sentence, 1 (greedy) to 64; the best by `score` is the result, never below the greedy one. */
CLATTN_API clattn_status clattn_translator_translate(clattn_translator *translator, const char *const *sentences, size_t count, int beam, clattn_translation *results, char *message, size_t message_size);
/* Accepts NULL and a cleared struct. */
CLATTN_API void clattn_translation_free(clattn_translation *translation);

/* ---- Classification: a residual network with CBAM (Woo et al. 2018) after every convolutional block ---- */

typedef struct clattn_cbam_digits clattn_cbam_digits;

#define CLATTN_DIGITS_CLASSES 10
#define CLATTN_DIGITS_SIDE 28
#define CLATTN_DIGITS_GATES 4

/* The gates of one CBAM for a batch; free with clattn_gates_free. */
typedef struct clattn_gates {
    int channels, height, width; /* of the layer */
    float *channel; /* [count, channels], 0 to 1 */
    float *spatial; /* [count, height, width], 0 to 1 */
} clattn_gates;

CLATTN_API clattn_status clattn_cbam_digits_open(clattn_context *context, const char *path, clattn_cbam_digits **model, char *message, size_t message_size);
CLATTN_API void clattn_cbam_digits_close(clattn_cbam_digits **model);

/* images: [count, 28, 28], 0 background to 1 ink. probabilities: [count, 10]. gates: NULL, or CLATTN_DIGITS_GATES entries
 * (overwritten), in the order of the layers. */
CLATTN_API clattn_status clattn_cbam_digits_classify(clattn_cbam_digits *model, const float *images, size_t count, float *probabilities, clattn_gates *gates, char *message, size_t message_size);
CLATTN_API void clattn_gates_free(clattn_gates *gates);
/* The name of a class, as in the file; NULL outside 0..9. */
CLATTN_API const char *clattn_cbam_digits_class(const clattn_cbam_digits *model, int index);

#ifdef __cplusplus
}
#endif
#endif
