#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

static char *copied(const char *text, size_t length) {
    char *copy = malloc(length + 1);
    if (!copy) return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

/* ---- Vocabularies ---- */

bool clattn_vocabulary_make(clattn_vocabulary *vocabulary, const char *lines) {
    *vocabulary = (clattn_vocabulary){ 0 };
    if (!lines || !*lines) return false;
    int count = 1;
    for (const char *c = lines; *c; c++) count += *c == '\n' && c[1];
    vocabulary->text = copied(lines, strlen(lines));
    vocabulary->words = calloc((size_t)count, sizeof *vocabulary->words);
    if (!vocabulary->text || !vocabulary->words) return false;
    for (char *word = vocabulary->text; vocabulary->count < count; vocabulary->count++) {
        vocabulary->words[vocabulary->count] = word;
        word += strcspn(word, "\n");
        if (*word) *word++ = '\0';
    }
    return true;
}

void clattn_vocabulary_free(clattn_vocabulary *vocabulary) {
    free(vocabulary->words);
    free(vocabulary->text);
    *vocabulary = (clattn_vocabulary){ 0 };
}

static int32_t find_word(const clattn_vocabulary *vocabulary, const char *word, size_t length) {
    for (int i = 0; i < vocabulary->count; i++)
        if (i != CLATTN_VOCABULARY_EOS && strlen(vocabulary->words[i]) == length && memcmp(vocabulary->words[i], word, length) == 0) return i;
    return -1;
}

/* ---- Sentences to tokens ---- */

/* Lower case without commas, in new memory. */
static char *normalised(const char *sentence) {
    char *text = malloc(strlen(sentence) + 1), *to = text;
    if (!text) return NULL;
    for (; *sentence; sentence++) {
        if (*sentence == ',') continue;
        *to++ = *sentence >= 'A' && *sentence <= 'Z' ? (char)(*sentence - 'A' + 'a') : *sentence;
    }
    *to = '\0';
    return text;
}

static const char separators[] = " \t\r\n\v\f-";

static void forget_source(clattn_translation *result) {
    while (result->source_count) free(result->source[--result->source_count]);
}

static bool push_source(clattn_tokens *tokens, clattn_translation *result, int32_t id, const char *word, size_t length) {
    tokens->ids[tokens->count++] = id;
    result->source[result->source_count] = copied(word, length);
    return result->source[result->source_count++] != NULL;
}

static bool cut(clattn_tokens *tokens, const clattn_vocabulary *vocabulary, const char *text, clattn_translation *result) {
    for (const char *word = text + strspn(text, separators); *word;) {
        const size_t length = strcspn(word, separators);
        const int32_t id = find_word(vocabulary, word, length);
        if (id < 0) {
            tokens->count = 0;
            tokens->ids[0] = CLATTN_VOCABULARY_EOS;
            forget_source(result);
            result->unknown_word = copied(word, length);
            return result->unknown_word != NULL;
        }
        if (!push_source(tokens, result, id, word, length)) return false;
        word += length;
        word += strspn(word, separators);
    }
    return true;
}

bool clattn_tokens_make(clattn_tokens *tokens, const clattn_vocabulary *vocabulary, const char *sentence, clattn_translation *result) {
    char *text = normalised(sentence);
    const size_t room = text ? strlen(text) / 2 + 3 : 0; /* words are apart by a character at least */
    tokens->count = 0;
    tokens->ids = calloc(room + 1, sizeof *tokens->ids);
    result->source = calloc(room + 1, sizeof *result->source);
    bool made = text && tokens->ids && result->source && cut(tokens, vocabulary, text, result);
    if (made && tokens->count) made = push_source(tokens, result, CLATTN_VOCABULARY_EOS, vocabulary->words[CLATTN_VOCABULARY_EOS], strlen(vocabulary->words[CLATTN_VOCABULARY_EOS]));
    else tokens->count = 1;
    free(text);
    return made;
}

/* ---- Tokens to sentences ---- */

bool clattn_translation_push(clattn_translation *result, const clattn_vocabulary *target, int32_t word, const float *weights) {
    const size_t rows = (size_t)result->target_count + 1, columns = (size_t)result->source_count;
    char **words = realloc(result->target, rows * sizeof *words);
    if (words) result->target = words;
    float *alignment = realloc(result->alignment, rows * columns * sizeof *alignment);
    if (alignment) result->alignment = alignment;
    char *copy = copied(target->words[word], strlen(target->words[word]));
    if (!words || !alignment || !copy) {
        free(copy);
        return false;
    }
    memcpy(alignment + (rows - 1) * columns, weights, columns * sizeof *weights);
    words[result->target_count++] = copy;
    return true;
}

bool clattn_translation_finish(clattn_translation *result) {
    size_t size = 1;
    for (int i = 0; i < result->target_count; i++) size += strlen(result->target[i]) + 1;
    char *text = result->text = calloc(size, 1);
    if (!text) return false;
    for (int i = 0; i < result->target_count; i++) {
        const char *word = result->target[i];
        if (word[0] == '<') continue; /* <eos> */
        if (*result->text && word[0] != '-') *text++ = ' ';
        memcpy(text, word, strlen(word) + 1);
        text += strlen(word);
    }
    return true;
}

void clattn_translation_free(clattn_translation *translation) {
    if (!translation) return;
    for (int i = 0; i < translation->source_count; i++) free(translation->source[i]);
    for (int i = 0; i < translation->target_count; i++) free(translation->target[i]);
    free(translation->source);
    free(translation->target);
    free(translation->text);
    free(translation->unknown_word);
    free(translation->alignment);
    *translation = (clattn_translation){ 0 };
}
