/* Words and ids; sentences cut into tokens; translations put together again. */
#ifndef CLATTN_MODELS_VOCABULARY_H
#define CLATTN_MODELS_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>

#include <clattn/model.h>

/* The id of the end-of-sentence token, the first line of every vocabulary. */
#define CLATTN_VOCABULARY_EOS 0

typedef struct clattn_vocabulary {
    int count;
    char *text;   /* one copy of all words, each terminated */
    char **words; /* [count] */
} clattn_vocabulary;

/* A word a line. False without memory or without words; the vocabulary can be freed either way. */
bool clattn_vocabulary_make(clattn_vocabulary *vocabulary, const char *lines);
void clattn_vocabulary_free(clattn_vocabulary *vocabulary);

/* A sentence as ids, <eos> last; count 1 (only <eos>) when it is empty or has an unknown word. */
typedef struct clattn_tokens {
    int count;
    int32_t *ids;
} clattn_tokens;

/* Cuts a sentence (ASCII letters lower-cased, commas dropped; hyphens and white space separate) and puts the source words,
 * or the unknown word, into `result`. False without memory. */
bool clattn_tokens_make(clattn_tokens *tokens, const clattn_vocabulary *vocabulary, const char *sentence, clattn_translation *result);

/* Appends a target word and its row of weights [source_count]. */
bool clattn_translation_push(clattn_translation *result, const clattn_vocabulary *target, int32_t word, const float *weights);
/* Makes the text: words joined by spaces, one that begins with a hyphen glued to the word before. */
bool clattn_translation_finish(clattn_translation *result);

#endif
