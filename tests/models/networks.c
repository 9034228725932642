/* The shipped networks against PyTorch's stored results on the same weights (tests/golden/make_models.py). */
#include <clattn/file.h>
#include <clattn/model.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/device.h"

#define TOLERANCE 1e-4

static void golden_path(const char *name, char *path, size_t size) {
    const char *directory = getenv("CLATTN_TEST_GOLDEN");
    cr_assert_not_null(directory, "CLATTN_TEST_GOLDEN names the directory tests/golden; `meson test` sets it");
    snprintf(path, size, "%s/%s", directory, name);
}

static void model_path(const char *name, char *path, size_t size) {
    char relative[128];
    snprintf(relative, sizeof relative, "../../models/%s", name);
    golden_path(relative, path, size);
}

/* The largest difference; NaN counts as infinite. */
static double difference(const float *found, const float *expected, int64_t count) {
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = fabs((double)found[i] - (double)expected[i]);
        if (!(d <= largest)) largest = isnan(d) ? INFINITY : d;
    }
    return largest;
}

static clattn_weights *open_golden(const char *name) {
    char path[512], message[512];
    clattn_weights *file;
    golden_path(name, path, sizeof path);
    cr_assert_eq(clattn_weights_open(&file, path, message, sizeof message), CLATTN_OK, "%s", message);
    return file;
}

static void get(const clattn_weights *file, const char *name, clattn_array *view) {
    char message[512];
    cr_assert_eq(clattn_weights_get(file, name, view, message, sizeof message), CLATTN_OK, "%s", message);
    cr_assert_eq(view->dtype, CLATTN_FILE_F32);
}

/* ---- Translation ---- */

#define MAX_SENTENCES 512

typedef struct sentences {
    size_t count;
    char *english[MAX_SENTENCES], *french[MAX_SENTENCES];
} sentences;

static char *copied(const char *text, size_t length) {
    char *copy = calloc(length + 1, 1);
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    return copy;
}

static void read_sentences(const char *golden, sentences *s) {
    char path[512], name[64], line[1024];
    snprintf(name, sizeof name, "%s.tsv", golden);
    golden_path(name, path, sizeof path);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    for (s->count = 0; s->count < MAX_SENTENCES && fgets(line, sizeof line, file); s->count++) {
        const size_t tab = strcspn(line, "\t");
        cr_assert_eq(line[tab], '\t');
        s->english[s->count] = copied(line, tab);
        s->french[s->count] = copied(line + tab + 1, strcspn(line + tab + 1, "\n"));
    }
    fclose(file);
    cr_assert_geq(s->count, 200, "only %zu sentences in %s", s->count, path);
}

static void expect_translation(const clattn_weights *golden, size_t i, const clattn_translation *found, const char *french) {
    char name[64];
    clattn_array alignment;
    snprintf(name, sizeof name, "alignment.%zu", i);
    get(golden, name, &alignment);
    cr_expect_str_eq(found->text, french, "sentence %zu", i);
    cr_assert(alignment.shape[0] == found->target_count && alignment.shape[1] == found->source_count, "sentence %zu: alignment [%d,%d], PyTorch's is [%lld,%lld]", i, found->target_count, found->source_count, (long long)alignment.shape[0], (long long)alignment.shape[1]);
    const double d = difference(found->alignment, alignment.data, clattn_array_count(&alignment));
    cr_expect_leq(d, TOLERANCE, "sentence %zu: alignment differs by %g", i, d);
}

/* A model on a context. */
typedef struct opened {
    clattn_context *context;
    clattn_translator *translator;
} opened;

static opened open_translator(const char *model) {
    char path[512], name[64], message[512];
    opened o = { .context = test_open() };
    snprintf(name, sizeof name, "%s.safetensors", model);
    model_path(name, path, sizeof path);
    cr_assert_eq(clattn_translator_open(o.context, model, path, &o.translator, message, sizeof message), CLATTN_OK, "%s", message);
    return o;
}

static void close_translator(opened *o) {
    clattn_translator_close(&o->translator);
    clattn_close(&o->context);
}

static void translate(const opened *o, char *const *lines, size_t count, int beam, clattn_translation *found) {
    char message[512];
    cr_assert_eq(clattn_translator_translate(o->translator, (const char *const *)lines, count, beam, found, message, sizeof message), CLATTN_OK, "%s", message);
}

/* golden: the name of the stored results of that model. */
static void translate_all(const char *model, const char *golden, size_t batch) {
    char name[64];
    static sentences s;
    snprintf(name, sizeof name, "%s.safetensors", golden);
    clattn_weights *results = open_golden(name);
    opened o = open_translator(model);
    read_sentences(golden, &s);
    for (size_t first = 0; first < s.count; first += batch) {
        clattn_translation found[MAX_SENTENCES];
        const size_t count = s.count - first < batch ? s.count - first : batch;
        translate(&o, s.english + first, count, 1, found);
        for (size_t i = 0; i < count; i++) {
            expect_translation(results, first + i, &found[i], s.french[first + i]);
            clattn_translation_free(&found[i]);
        }
    }
    close_translator(&o);
    clattn_weights_close(&results);
}

Test(rnnsearch, equals_pytorch_in_batches) {
    translate_all("rnnsearch", "translate", 64);
}

Test(rnnsearch, equals_pytorch_one_by_one) {
    translate_all("rnnsearch", "translate", 1);
}

Test(luong, equals_pytorch_in_batches) {
    translate_all("luong", "translate_luong", 64);
}

Test(luong, equals_pytorch_one_by_one) {
    translate_all("luong", "translate_luong", 1);
}

/* A wider beam ends with a score that is no lower than the greedy one, whatever stands with it in the batch. */
static void compare_beams(const char *model, const char *golden, int beam) {
    enum { COUNT = 40 };
    static sentences s;
    char *lines[COUNT];
    clattn_translation greedy[COUNT], found[COUNT];
    opened o = open_translator(model);
    read_sentences(golden, &s);
    for (size_t i = 0; i < COUNT; i++) lines[i] = s.english[i * s.count / COUNT];
    translate(&o, lines, COUNT, 1, greedy);
    translate(&o, lines, COUNT, beam, found);
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect_geq(found[i].score, greedy[i].score - 1e-6f, "%s: %g with beam %d, %g greedy", lines[i], (double)found[i].score, beam, (double)greedy[i].score);
        cr_expect_leq(found[i].score, 0, "%s", lines[i]);
        cr_expect_gt(found[i].target_count, 0);
        cr_expect(found[i].score > greedy[i].score + 1e-6f || strcmp(found[i].text, greedy[i].text) == 0, "%s: \"%s\" is no better than \"%s\"", lines[i], found[i].text, greedy[i].text);
        clattn_translation_free(&greedy[i]);
        clattn_translation_free(&found[i]);
    }
    close_translator(&o);
}

Test(rnnsearch, beam_never_below_greedy) {
    compare_beams("rnnsearch", "translate", 4);
}

Test(luong, beam_never_below_greedy) {
    compare_beams("luong", "translate_luong", 4);
}

Test(luong, widest_beam) {
    compare_beams("luong", "translate_luong", 64);
}

/* The same sentences give the same bits again. */
Test(luong, beam_repeats) {
    char *lines[] = { "two hundred and eighty-one", "", "half past seven in the evening" };
    clattn_translation first[3], second[3];
    opened o = open_translator("luong");
    translate(&o, lines, 3, 5, first);
    translate(&o, lines, 3, 5, second);
    for (int i = 0; i < 3; i++) {
        cr_expect_str_eq(first[i].text, second[i].text);
        cr_expect_eq(first[i].score, second[i].score);
        cr_assert_eq(first[i].target_count, second[i].target_count);
        const size_t cells = (size_t)first[i].target_count * (size_t)first[i].source_count;
        cr_expect(cells == 0 || memcmp(first[i].alignment, second[i].alignment, cells * sizeof(float)) == 0);
        clattn_translation_free(&first[i]);
        clattn_translation_free(&second[i]);
    }
    close_translator(&o);
}

static void unknown_and_empty(const char *model, int beam) {
    char *lines[] = { "Two Hundred, and  EIGHTY-ONE", "", "two zebras", " ,- " };
    clattn_translation found[4];
    opened o = open_translator(model);
    translate(&o, lines, 4, beam, found);
    cr_expect_str_eq(found[0].text, "deux cent quatre-vingt-un");
    cr_expect_str_eq(found[1].text, "");
    cr_expect_null(found[1].unknown_word);
    cr_expect_str_eq(found[2].text, "");
    cr_expect_str_eq(found[2].unknown_word, "zebras");
    cr_expect_str_eq(found[3].text, "");
    cr_expect_null(found[3].unknown_word);
    for (int i = 0; i < 4; i++) clattn_translation_free(&found[i]);
    close_translator(&o);
}

Test(rnnsearch, unknown_words_and_empty_sentences) {
    unknown_and_empty("rnnsearch", 1);
}

Test(luong, unknown_words_and_empty_sentences) {
    unknown_and_empty("luong", 3);
}

Test(translator, refuses_other_weights) {
    char path[512], message[512];
    clattn_translator *translator;
    clattn_context *context = test_open();
    model_path("cbam_digits.safetensors", path, sizeof path);
    cr_expect_eq(clattn_translator_open(context, "rnnsearch", path, &translator, message, sizeof message), CLATTN_ERROR_FORMAT);
    cr_expect_not_null(strstr(message, "expected \"rnnsearch\""), "%s", message);
    cr_expect_null(translator);
    cr_expect_eq(clattn_translator_open(context, "rnnsearch", "/nowhere.safetensors", &translator, message, sizeof message), CLATTN_ERROR_FILE);
    cr_expect_eq(clattn_translator_open(context, "vaswani", path, &translator, message, sizeof message), CLATTN_ERROR_ARGUMENT);
    cr_expect_not_null(strstr(message, "vaswani"), "%s", message);
    cr_expect_null(translator);
    clattn_close(&context);
}

Test(translator, refuses_other_beams) {
    static const int beams[] = { -1, 0, 65 };
    const char *const line = "one";
    char message[512];
    clattn_translation found;
    opened o = open_translator("rnnsearch");
    for (size_t i = 0; i < sizeof beams / sizeof *beams; i++) {
        cr_expect_eq(clattn_translator_translate(o.translator, &line, 1, beams[i], &found, message, sizeof message), CLATTN_ERROR_ARGUMENT);
        cr_expect_not_null(strstr(message, "expected 1..64"), "%s", message);
        cr_expect_null(found.text);
    }
    close_translator(&o);
}

/* ---- Digits ---- */

static void expect_gate(const clattn_weights *golden, const char *kind, int n, const float *found, int64_t count) {
    char name[64];
    clattn_array expected;
    snprintf(name, sizeof name, "gate.%s.%d", kind, n);
    get(golden, name, &expected);
    cr_assert_eq(clattn_array_count(&expected), count, "%s", name);
    const double d = difference(found, expected.data, count);
    cr_expect_leq(d, TOLERANCE, "%s differs by %g", name, d);
}

Test(cbam_digits, equals_pytorch) {
    char path[512], message[512];
    clattn_cbam_digits *model;
    clattn_gates gates[CLATTN_DIGITS_GATES];
    clattn_array input, probability;
    clattn_weights *golden = open_golden("classify.safetensors");
    clattn_context *context = test_open();
    get(golden, "input", &input);
    get(golden, "probability", &probability);
    const size_t count = (size_t)input.shape[0];
    cr_assert_geq(count, 100);
    float *found = calloc(count * CLATTN_DIGITS_CLASSES, sizeof *found);
    cr_assert_not_null(found);
    model_path("cbam_digits.safetensors", path, sizeof path);
    cr_assert_eq(clattn_cbam_digits_open(context, path, &model, message, sizeof message), CLATTN_OK, "%s", message);
    cr_assert_eq(clattn_cbam_digits_classify(model, input.data, count, found, gates, message, sizeof message), CLATTN_OK, "%s", message);
    const double d = difference(found, probability.data, clattn_array_count(&probability));
    cr_expect_leq(d, TOLERANCE, "probabilities differ by %g", d);
    for (int n = 0; n < CLATTN_DIGITS_GATES; n++) {
        expect_gate(golden, "channel", n, gates[n].channel, (int64_t)count * gates[n].channels);
        expect_gate(golden, "spatial", n, gates[n].spatial, (int64_t)count * gates[n].height * gates[n].width);
        clattn_gates_free(&gates[n]);
    }
    free(found);
    clattn_cbam_digits_close(&model);
    clattn_close(&context);
    clattn_weights_close(&golden);
}
