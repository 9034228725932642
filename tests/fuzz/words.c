/* Vocabularies and sentences: the words of a file of weights, what a user writes, and both on a terminal. The first part of
 * the input, up to an empty line, is the vocabulary. */
#include <string.h>

#include "../../src/cli/utf8.h"
#include "../../src/models/vocabulary.h"
#include "fuzz.h"

static char *copied(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    FUZZ_EXPECT(text);
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Each source word as a target word too. */
static void translate(const clattn_vocabulary *vocabulary, const char *sentence) {
    clattn_translation result = { .text = NULL };
    clattn_tokens tokens;
    float *weights;
    FUZZ_EXPECT(clattn_tokens_make(&tokens, vocabulary, sentence, &result));
    FUZZ_EXPECT(tokens.count >= 1 && tokens.ids[tokens.count - 1] == CLATTN_VOCABULARY_EOS);
    FUZZ_EXPECT((result.unknown_word == NULL) || tokens.count == 1);
    FUZZ_EXPECT((weights = calloc((size_t)tokens.count + 1, sizeof *weights)));
    for (int i = 0; i < tokens.count; i++) {
        FUZZ_EXPECT(tokens.ids[i] >= 0 && tokens.ids[i] < vocabulary->count);
        if (result.source_count) FUZZ_EXPECT(clattn_translation_push(&result, vocabulary, tokens.ids[i], weights));
    }
    FUZZ_EXPECT(clattn_translation_finish(&result) && result.text);
    free(weights);
    free(tokens.ids);
    clattn_translation_free(&result);
}

/* What is shown is valid UTF-8 and steers no terminal. */
static void show(const char *text) {
    char *valid = utf8_valid_copy(text);
    FUZZ_EXPECT(valid && utf8_columns(valid) >= 0);
    for (const char *at = valid; *at;) {
        const long character = utf8_next(&at);
        FUZZ_EXPECT(character >= 0x20 && character != 0x7f && !(character >= 0x80 && character < 0xa0));
    }
    free(valid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *lines = copied(data, size), *end = strstr(lines, "\n\n");
    const char *sentence = end ? end + 2 : lines;
    clattn_vocabulary vocabulary;
    if (end) *end = '\0';
    if (clattn_vocabulary_make(&vocabulary, lines)) translate(&vocabulary, sentence);
    else FUZZ_EXPECT(!*lines);
    clattn_vocabulary_free(&vocabulary);
    show(sentence);
    free(lines);
    return 0;
}
