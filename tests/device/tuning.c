/* Tuning: every value of every tunable gives right results; databases, good, stale and hostile; two writers at once. */
#define _XOPEN_SOURCE 700
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/ops/op.h"
#include "../support/cases.h"
#include "../support/device.h"
#include "../support/small.h"
#include "lines.h"

static void remove_all(void) {
    remove_scratch_directory();
    unsetenv("CLATTN_TUNING");
}

TestSuite(tuning, .fini = remove_all);

/* ---- What the operations say of themselves ---- */

static bool has_variant(const clattn_op *op, const char *name) {
    const char *variant;
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++)
        if (strcmp(variant, name) == 0) return true;
    return false;
}

static int count_tunables(const clattn_op *op, const char *variant) {
    const clattn_tunable *t;
    int count = 0;
    for (size_t i = 0; (t = clattn_op_tunable(op, i)); i++) count += strcmp(t->variant, variant) == 0;
    return count;
}

static void check_tunable(const clattn_op *op, size_t index) {
    const clattn_tunable *t = clattn_op_tunable(op, index), *other;
    cr_expect(has_variant(op, t->variant), "%s has no variant %s", op->name, t->variant);
    cr_expect(*t->text && t->values[0] > 0 && t->values[1] > 0, "%s %s: no text, or no choice", op->name, t->name);
    for (int i = 1; i < CLATTN_TUNABLE_VALUES && t->values[i]; i++) cr_expect_gt(t->values[i], t->values[i - 1], "%s %s: values do not rise", op->name, t->name);
    for (size_t i = 0; i < index && (other = clattn_op_tunable(op, i)); i++) cr_expect(strcmp(other->name, t->name), "%s has two tunables %s", op->name, t->name);
    cr_expect_leq(count_tunables(op, t->variant), CLATTN_MAX_TUNED, "%s/%s has too many tunables", op->name, t->variant);
}

static void check_tuning_case(clattn_context *context, const clattn_op *op, const char *text) {
    clattn_case *c;
    char class[96] = "";
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK, "%s\n  case: %s", clattn_message(context), text);
    cr_expect_eq(clattn_case_op(c), op, "a case of %s is another operation's: %s", op->name, text);
    cr_expect_eq(clattn_op_class(context, op, clattn_case_args(c), class, sizeof class), CLATTN_OK);
    cr_expect(*class && strlen(class) < 90, "%s: the class of %s is \"%s\"", op->name, text, class);
    clattn_case_close(&c);
}

Test(tuning, descriptions) {
    clattn_context *context = test_open();
    const clattn_op *op;
    const char *text;
    int count = 0;
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        for (size_t k = 0; clattn_op_tunable(op, k); k++, count++) check_tunable(op, k);
        cr_expect_eq(clattn_op_tunable(op, 0) != NULL, clattn_op_tuning_case(op, 0) != NULL, "%s: tunables without cases, or the other way round", op->name);
        for (size_t k = 0; (text = clattn_op_tuning_case(op, k)); k++) check_tuning_case(context, op, text);
    }
    cr_expect_gt(count, 20, "only %d tunables", count);
    cr_expect_null(clattn_op_tunable(clattn_op_find("add"), 0));
    cr_expect_null(clattn_op_tunable(NULL, 0));
    clattn_close(&context);
}

static void class_of(clattn_context *context, const char *text, char *class, size_t size) {
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_op_class(context, clattn_case_op(c), clattn_case_args(c), class, size), CLATTN_OK);
    clattn_case_close(&c);
}

Test(tuning, classes) {
    static const char *const expected[][2] = {
        { "matmul a[96,100] b[100,5]", "m128 n4 k128" }, { "matmul a[95,6] b[6,3]", "m64 n4 k8" }, { "matmul a[3,40,7] b[3,7,1]", "b4 m32 n1 k8" }, { "linear x[2,20,48] weight[70,48]", "m32 n64 k64" }, { "matmul a[0,5] b[5,7]", "m0 n8 k4" },
        { "attention query[2,3,70,64] key[2,3,70,64] value[2,3,70,64]", "h8 D64 Tq64 Tk64" }, { "attention query[1,2,1,64] key[1,2,90,64] value[1,2,90,64] causal=bottom_right", "h2 D64 Tq1 Tk64 causal" },
        { "attention query[1,2,9,64] key[1,2,9,64] value[1,2,9,64] window_left=4", "h2 D64 Tq8 Tk8 window" }, { "conv2d x[1,4,17,17] weight[4,1,3,3] groups=4 padding=1", "b1 g4 i1 o1 3x3/1 to 16x16" },
        { "softmax x[3,40]", "rows4 length32" }, { "layer_norm x[5,70]", "rows4 length64" }, { "cbam x[1,5,9,7] w1[2,5] w2[5,2] weight[1,2,7,7]", "b1 c4 p64" }, { "add a[3] b[3]", "" } };
    clattn_context *context = test_open();
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char class[96] = "?";
        class_of(context, expected[i][0], class, sizeof class);
        cr_expect_str_eq(class, expected[i][1], "%s is of the class \"%s\"", expected[i][0], class);
    }
    clattn_close(&context);
}

/* ---- Launches come from the files whose change makes a setting stale ---- */

typedef struct sources {
    const clattn_op *op;
    char texts[16][64];
    int count;
} sources;

static void note_source(void *user, const clattn_launch_record *record) {
    sources *s = user;
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->texts[i], record->source) == 0) return;
    cr_assert_lt(s->count, 16);
    snprintf(s->texts[s->count++], sizeof s->texts[0], "%s", record->source);
}

/* Copies serve all operations. */
static bool is_shared(const char *source) {
    return strcmp(source, "copy") == 0 || strcmp(source, "convert") == 0 || strcmp(source, "move") == 0;
}

/* Whether `word` is one of the words of a list separated by spaces. */
static bool is_listed(const char *list, const char *word) {
    char padded[256], wanted[80];
    snprintf(padded, sizeof padded, " %s ", list);
    snprintf(wanted, sizeof wanted, " %s ", word);
    return strstr(padded, wanted) != NULL;
}

static void trace_examples(clattn_context *context, sources *s) {
    const char *example, *variant;
    for (size_t k = 0; (example = clattn_op_example(s->op, k)); k++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, example, 1, 0, &c), CLATTN_OK);
        clattn_trace(context, note_source, s);
        for (size_t v = 0; (variant = clattn_op_variant(s->op, v)); v++)
            if (!clattn_op_refusal(context, s->op, clattn_case_args(c), variant)) clattn_op_run(context, s->op, clattn_case_args(c), variant, NULL);
        clattn_trace(context, NULL, NULL);
        clattn_case_close(&c);
    }
}

Test(tuning, kernels_are_told) {
    clattn_context *context = test_open();
    const clattn_op *op;
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        sources s = { .op = op };
        if (!clattn_op_tunable(op, 0)) continue;
        trace_examples(context, &s);
        cr_assert_gt(s.count, 0);
        for (int k = 0; k < s.count; k++) cr_expect(is_shared(s.texts[k]) || is_listed(op->code->kernels, s.texts[k]), "%s launches kernels of %s, and says it has those of %s", op->name, s.texts[k], op->code->kernels);
    }
    clattn_close(&context);
}

/* ---- Every value ---- */

static void check_under(clattn_context *context, const char *text, const clattn_setting *setting, const char *variant, int *ran) {
    clattn_case *c;
    char what[160];
    cr_assert_eq(clattn_case_open(context, text, test_seed(), 0, &c), CLATTN_OK, "%s\n  case: %s", clattn_message(context), text);
    const clattn_op *op = clattn_case_op(c);
    cr_assert_eq(clattn_tuning_force(context, op, setting), CLATTN_OK, "%s", clattn_message(context));
    if (!clattn_op_refusal(context, op, clattn_case_args(c), variant)) {
        const clattn_status status = clattn_case_check(c, variant);
        if (status != CLATTN_ERROR_UNSUPPORTED) ++*ran;
        cr_expect(status == CLATTN_OK || status == CLATTN_ERROR_UNSUPPORTED, "%s\n  case: %s\n  %s: %s, seed %llu", clattn_message(context), text, variant, clattn_setting_text(setting, what, sizeof what), (unsigned long long)test_seed());
    }
    clattn_tuning_force(context, op, NULL);
    clattn_case_close(&c);
}

/* A little larger than a tile. */
static const char *const more_cases[] = {
    "attention query[1,2,70,64] key[1,2,70,64] value[1,2,70,64] causal=top_left -> out lse", "attention query[1,2,37,20] key[1,2,70,20] value[1,2,70,48]", "attention query[1,1,40,24] key[1,1,50,24] value[1,1,50,16] causal=bottom_right", "attention query[1,1,20,24] key[1,1,50,24] value[1,1,50,80]", "matmul a[131,70] b[70,150]", "matmul a[2,70,131] b[2,150,70] transpose_a=true transpose_b=true", "matmul a[3,40] b[40,300]",
    "linear x[3,40] weight[300,40] bias[300] activation=tanh", "conv2d x[2,5,40,33] weight[70,5,3,3] stride=2 padding=1", "conv2d x[1,5,20,31] weight[32,5,3,3]", "softmax x[300,700]", "log_softmax x[300,70]", "layer_norm x[300,700] gamma[700]", "cbam x[2,19,37,41] w1[2,19] w2[19,2] weight[1,2,7,7]", NULL };

/* Small cases only, as tests/support/small.h says. */
static bool is_small(void) {
    const char *text = getenv("CLATTN_TEST_SMALL");
    return text && *text;
}

static bool takes_all(void) {
    const char *text = getenv("CLATTN_TEST_TUNING");
    return text && strcmp(text, "all") == 0;
}

/* Under a setting: one of the operation's examples, in turns, and the first of the cases above that fits; all of both with
 * CLATTN_TEST_TUNING=all. Every one is a kernel of its own to be built. */
static void check_setting(clattn_context *context, const clattn_op *op, const clattn_setting *setting, int *ran) {
    static size_t turn;
    const char *example, *variant = setting->tunables[0]->variant;
    const size_t length = strlen(op->name);
    size_t count = 0;
    small_table table = { 0 };
    while (clattn_op_example(op, count)) count++;
    turn++;
    for (size_t i = 0; (example = clattn_op_example(op, i)); i++)
        if ((takes_all() || i == turn % count) && (!is_small() || small_takes_text(&table, context, example))) check_under(context, example, setting, variant, ran);
    for (int i = 0, more = 0; more_cases[i] && !is_small() && (!more || takes_all()); i++)
        if (strncmp(more_cases[i], op->name, length) == 0 && more_cases[i][length] == ' ') check_under(context, more_cases[i], setting, variant, &more), *ran += more;
}

static int count_values(const clattn_tunable *t) {
    int count = 0;
    while (count < CLATTN_TUNABLE_VALUES && t->values[count]) count++;
    return count;
}

static bool is_wanted(const char *name) {
    const char *only = getenv("CLATTN_TEST_OP");
    return !only || strcmp(only, name) == 0;
}

/* Where everything runs, as in tests/support/cases.c. */
static bool must_run(clattn_context *context) {
    const clattn_device_info *info = clattn_context_device(context);
    const char *caps = getenv("CLATTN_CAPS");
    return info->kind == CLATTN_DEVICE_CPU && info->local_memory >= 128 << 10 && !(caps && *caps) && !is_small();
}

/* How many sums a CPU's kernel holds in registers, of which one with few may refuse all but the smallest value. */
static bool counts_sums(const clattn_tunable *t) {
    static const char *const names[] = { "panel", "tile", "vectors", "pixels", "score_keys", "chunk", "rows" };
    if (strcmp(t->variant, "cpu") && strcmp(t->variant, "blocks")) return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], t->name) == 0) return true;
    return false;
}

Test(tuning, every_value) {
    clattn_context *context = test_open();
    const bool few = clattn_context_device(context)->vector_width < 16;
    const clattn_op *op;
    const clattn_tunable *t;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; is_wanted(op->name) && (t = clattn_op_tunable(op, k)); k++)
            for (int v = 0; v < count_values(t); v++) {
                int ran = 0;
                const clattn_setting setting = { .count = 1, .tunables = { t }, .values = { t->values[v] } };
                check_setting(context, op, &setting, &ran);
                /* 64 x 8 has too little for 256 items to load, whatever else there is. */
                const bool needs_another = strcmp(t->name, "depth") == 0 && t->values[v] == 8;
                if (must_run(context) && !needs_another && !(few && v > 0 && counts_sums(t))) cr_expect_gt(ran, 0, "%s: %s=%d never ran", op->name, t->name, t->values[v]);
            }
    clattn_close(&context);
}

/* Several at once, by chance. */
Test(tuning, combinations) {
    clattn_context *context = test_open();
    const clattn_op *op;
    const clattn_tunable *t;
    int ran = 0;
    srand((unsigned)test_seed());
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t v = 0; is_wanted(op->name) && clattn_op_tunable(op, 0) && clattn_op_variant(op, v); v++)
            for (int round = 0; round < 2 && count_tunables(op, clattn_op_variant(op, v)) > 1; round++) {
                clattn_setting setting = { .count = 0 };
                for (size_t k = 0; (t = clattn_op_tunable(op, k)); k++) {
                    if (strcmp(t->variant, clattn_op_variant(op, v))) continue;
                    setting.tunables[setting.count] = t;
                    setting.values[setting.count++] = t->values[rand() % count_values(t)];
                }
                check_setting(context, op, &setting, &ran);
            }
    if (must_run(context) && !getenv("CLATTN_TEST_OP")) cr_expect_gt(ran, 0, "no combination ran");
    clattn_close(&context);
}

Test(tuning, forced_settings_are_checked) {
    clattn_context *context = test_open();
    const clattn_op *matmul = clattn_op_find("matmul"), *softmax = clattn_op_find("softmax");
    const clattn_tunable *strips = clattn_op_tunable(matmul, 0), *panel = clattn_op_tunable(matmul, 1);
    clattn_tunable copy = *panel;
    const clattn_setting bad[] = { { .variant = "none" }, { .count = 1, .tunables = { panel }, .values = { 3 } }, { .count = 1, .tunables = { panel }, .values = { 0 } }, { .count = 1, .tunables = { &copy }, .values = { 2 } }, { .count = 1, .tunables = { NULL }, .values = { 2 } },
        { .count = 2, .tunables = { strips, panel }, .values = { 4, 2 } }, { .count = CLATTN_MAX_TUNED + 1 }, { .count = -1 } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) cr_expect_eq(clattn_tuning_force(context, matmul, &bad[i]), CLATTN_ERROR_ARGUMENT, "setting %zu is taken", i);
    cr_expect_eq(clattn_tuning_force(context, softmax, &(clattn_setting){ .count = 1, .tunables = { panel }, .values = { 2 } }), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tuning_force(context, matmul, &(clattn_setting){ .variant = "cpu", .count = 1, .tunables = { panel }, .values = { 2 } }), CLATTN_OK);
    cr_expect_eq(clattn_tuning_force(context, matmul, NULL), CLATTN_OK);
    cr_expect_eq(clattn_tuning_force(NULL, matmul, NULL), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tuning_force(context, NULL, NULL), CLATTN_ERROR_ARGUMENT);
    clattn_close(&context);
}

/* ---- Databases ---- */

static const char softmax_case[] = "softmax x[3,40]"; /* of the class "rows4 length32" */

static clattn_context *open_on(const char *file, log_lines *lines) {
    clattn_context *context;
    *lines = (log_lines){ .warnings = 0 };
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .tuning_file = file, .no_cache = true, .log = keep_line, .log_user = lines }), CLATTN_OK, "%s", clattn_message(context));
    return context;
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

/* The entry of a case on the device, whose setting prefers `variant`. */
static clattn_tuning_entry entry_of(const char *text, const char *variant) {
    clattn_tuning_entry entry;
    clattn_context *context = test_open();
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tuning_entry_for(context, clattn_case_op(c), clattn_case_args(c), &entry), CLATTN_OK);
    entry.setting.variant = variant;
    entry.seconds = 0.5;
    entry.default_seconds = 1;
    clattn_case_close(&c);
    clattn_close(&context);
    return entry;
}

/* The variant that serves the case. */
static const char *served_by(clattn_context *context, const char *text) {
    clattn_case *c;
    const char *chosen = "none";
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_op_run(context, clattn_case_op(c), clattn_case_args(c), NULL, &chosen), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_case_check(c, NULL), CLATTN_OK, "%s", clattn_message(context));
    clattn_case_close(&c);
    return chosen;
}

static bool find(clattn_context *context, const char *text, clattn_tuning_entry *entry, char *source, char *refusal, size_t size) {
    clattn_case *c;
    const char *from = "", *why = NULL;
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
    const bool found = clattn_tuning_find(context, clattn_case_op(c), clattn_case_args(c), entry, &from, &why);
    snprintf(source, size, "%s", from);
    snprintf(refusal, size, "%s", why ? why : "");
    clattn_case_close(&c);
    return found;
}

static void store(const char *path, const clattn_tuning_entry *entries, size_t count) {
    char message[512] = "";
    cr_assert_eq(clattn_tuning_store(path, entries, count, message, sizeof message), CLATTN_OK, "%s", message);
}

Test(tuning, a_setting_is_used) {
    const char *path = in_scratch("tuning.json");
    clattn_tuning_entry entry = entry_of(softmax_case, "scalar"), found;
    log_lines lines;
    char source[600], refusal[600];
    store(path, &entry, 1);
    clattn_context *context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    cr_expect_str_eq(served_by(context, "softmax x[4,33]"), "scalar", "the same class");
    cr_expect_str_neq(served_by(context, "softmax x[4,100]"), "scalar", "another class");
    cr_expect_str_neq(served_by(context, "log_softmax x[3,40]"), "scalar", "another operation");
    cr_expect_eq(lines.warnings, 0, "%s", lines.text);
    cr_expect(find(context, softmax_case, &found, source, refusal, sizeof source));
    cr_expect_str_eq(source, path);
    cr_expect_str_eq(refusal, "");
    cr_expect_str_eq(found.measured, entry.measured);
    cr_expect_str_eq(found.shape_class, "rows4 length32");
    cr_expect(found.seconds == 0.5 && found.default_seconds == 1);
    cr_expect_not(find(context, "softmax x[4,100]", &found, source, refusal, sizeof source));
    clattn_close(&context);
}

/* The parameter, the environment's variable, the cache's directory; and none of them. */
Test(tuning, which_file) {
    char path[640], cache[600], found[640];
    log_lines lines;
    const clattn_tuning_entry entry = entry_of(softmax_case, "scalar");
    clattn_context *context;
    snprintf(cache, sizeof cache, "%s", in_scratch("cache"));
    snprintf(path, sizeof path, "%s/tuning.json", cache);
    unsetenv("CLATTN_TUNING");
    store(path, &entry, 1); /* makes the directory */
    const struct {
        clattn_open_params params;
        const char *variable;
        bool used;
    } ways[] = { { { .cache_directory = cache }, NULL, true }, { { .cache_directory = cache, .no_tuning = true }, NULL, false }, { { .cache_directory = cache, .no_cache = true }, NULL, false }, { { .no_cache = true }, path, true }, { { .cache_directory = cache }, "off", false },
        { { .no_cache = true, .tuning_file = path }, "off", true }, { { .cache_directory = cache }, "/nowhere/else.json", false }, { { .cache_directory = cache }, "", true } };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (ways[i].variable) setenv("CLATTN_TUNING", ways[i].variable, 1);
        else unsetenv("CLATTN_TUNING");
        cr_assert_eq(clattn_open(&context, &ways[i].params), CLATTN_OK);
        cr_expect_eq(strcmp(served_by(context, softmax_case), "scalar") == 0, ways[i].used, "way %zu", i);
        if (ways[i].used) cr_expect(clattn_tuning_path(context, found, sizeof found) && strcmp(found, path) == 0, "way %zu", i);
        clattn_close(&context);
    }
    setenv("CLATTN_TUNING", path, 1);
    cr_expect(clattn_tuning_path(NULL, found, sizeof found) && strcmp(found, path) == 0);
    setenv("CLATTN_TUNING", "off", 1);
    cr_expect_not(clattn_tuning_path(NULL, found, sizeof found));
    unsetenv("CLATTN_TUNING");
    setenv("CLATTN_CACHE_DIR", cache, 1);
    cr_expect(clattn_tuning_path(NULL, found, sizeof found) && strcmp(found, path) == 0, "%s", found);
    cr_expect_not(clattn_tuning_path(NULL, found, 10));
    /* A file that was asked for and is not there is worth a warning, one that may be there is not. */
    context = open_on("/nowhere/tuning.json", &lines);
    served_by(context, softmax_case);
    cr_expect_eq(lines.warnings, 1, "%s", lines.text);
    clattn_close(&context);
}

/* Without "*" before with it, the later before the earlier. */
Test(tuning, precedence) {
    const char *path = in_scratch("tuning.json");
    log_lines lines;
    clattn_tuning_entry any = entry_of(softmax_case, NULL), exact = entry_of(softmax_case, "scalar");
    strcpy(any.driver, "*");
    store(path, (clattn_tuning_entry[]){ exact, any }, 2);
    clattn_context *context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    clattn_close(&context);
    store(path, (clattn_tuning_entry[]){ any, exact }, 2);
    context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    clattn_close(&context);
    strcpy(exact.driver, "*");
    strcpy(exact.device, "*");
    strcpy(exact.kernels, "*");
    strcpy(exact.platform, "*");
    unlink(path);
    store(path, &exact, 1);
    context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar", "for any device");
    clattn_close(&context);
    /* Kernels are no part of the key: one for others is replaced. */
    unlink(path);
    exact = entry_of(softmax_case, "scalar");
    strcpy(exact.kernels, "0000000000000000");
    store(path, &exact, 1);
    exact = entry_of(softmax_case, "scalar");
    store(path, &exact, 1);
    context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    cr_expect_eq(count_lines(&lines, "another driver"), 0, "%s", lines.text);
    clattn_close(&context);
}

Test(tuning, stale) {
    const char *path = in_scratch("tuning.json");
    log_lines lines;
    clattn_tuning_entry entries[4], found;
    char source[600], refusal[600];
    for (int i = 0; i < 4; i++) entries[i] = entry_of(softmax_case, "scalar");
    strcpy(entries[0].driver, "another");
    strcpy(entries[1].kernels, "0123456789abcdef");
    strcpy(entries[1].shape_class, "rows4 length64");
    strcpy(entries[2].device, "another"); /* no business of this device's */
    strcpy(entries[3].platform, "another");
    store(path, entries, 4);
    clattn_context *context = open_on(path, &lines);
    cr_expect_str_neq(served_by(context, softmax_case), "scalar");
    cr_expect_str_neq(served_by(context, "softmax x[3,64]"), "scalar");
    cr_expect_eq(count_lines(&lines, "2 stale settings of"), 1, "%s", lines.text);
    cr_expect_eq(count_lines(&lines, "another driver or other kernels"), 1, "told once: %s", lines.text);
    cr_expect_eq(lines.warnings, 0);
    cr_expect_not(find(context, softmax_case, &found, source, refusal, sizeof source));
    clattn_close(&context);
}

/* ---- Hostile files ---- */

#define ENTRY(rest) "{\"format\": 1, \"entries\": [{\"platform\": \"*\", \"device\": \"*\", \"driver\": \"*\", \"kernels\": \"*\", " rest "}]}"
#define SOFTMAX(rest) ENTRY("\"op\": \"softmax\", \"class\": \"rows4 length32\"" rest)

static const struct {
    const char *text, *message;
} bad[] = {
    { "", "is not valid JSON" }, { "{", "is not valid JSON" }, { "\xff\xfe{}", "is not valid JSON" }, { "[]", "is no database" }, { "{}", "has no format" }, { "7", "is not valid JSON" }, { "{\"format\": \"1\", \"entries\": []}", "has no format" },
    { "{\"format\": 2, \"entries\": []}", "a format that this release does not know" }, { "{\"format\": 1}", "has no list of entries" }, { "{\"format\": 1, \"entries\": {}}", "has no list of entries" }, { "{\"format\": 1, \"format\": 1, \"entries\": []}", "duplicate" },
    { "{\"format\": 1, \"entries\": [7]}", "number 1: it is no object" }, { "{\"format\": 1, \"entries\": [{}]}", "its platform is missing" }, { ENTRY("\"op\": \"softmax\""), "its class is missing" }, { ENTRY("\"op\": 7, \"class\": \"x\""), "its op is missing or no text" },
    { ENTRY("\"op\": \"nothing\", \"class\": \"x\""), "there is no operation \"nothing\"" }, { ENTRY("\"op\": \"add\", \"class\": \"x\""), "add has nothing to tune" }, { SOFTMAX(", \"variant\": \"none\""), "there is no variant \"none\"" }, { SOFTMAX(", \"variant\": 1"), "its variant is missing or no text" },
    { SOFTMAX(", \"tunables\": []"), "tunables is no object" }, { SOFTMAX(", \"tunables\": {\"none\": 1}"), "there is no tunable \"none\"" }, { SOFTMAX(", \"tunables\": {\"share\": 5}"), "share does not have that value" }, { SOFTMAX(", \"tunables\": {\"share\": \"4096\"}"), "share does not have that value" },
    { SOFTMAX(", \"tunables\": {\"share\": 4096.5}"), "share does not have that value" }, { SOFTMAX(", \"tunables\": {\"share\": 0}"), "share does not have that value" }, { SOFTMAX(", \"tunables\": {\"share\": 99999999999999999999}"), "is not valid JSON" },
    { SOFTMAX(", \"variant\": \"scalar\", \"tunables\": {\"share\": 4096}"), "share belongs to another variant" }, { ENTRY("\"op\": \"matmul\", \"class\": \"x\", \"tunables\": {\"panel\": 2, \"edge\": 64}"), "edge belongs to another variant" }, { SOFTMAX(", \"seconds\": -1"), "seconds is no time" }, { SOFTMAX(", \"seconds\": \"1\""), "seconds is no time" },
    { SOFTMAX(", \"seconds\": 1e999"), "is not valid JSON" }, { SOFTMAX(", \"measured\": 7"), "its measured is missing or no text" }, { SOFTMAX(", \"measured\": \"a text that is longer than any time\""), "too long" }, { SOFTMAX(", \"tunables\": {\"share\": 4096, \"share\": 8192}"), "duplicate" },
    { ENTRY("\"op\": \"soft\\u0000max\", \"class\": \"x\""), "is not valid JSON" }, { ENTRY("\"op\": \"\\u001b[31m\", \"class\": \"x\""), "too long or not printable" }, { ENTRY("\"op\": \"softmax\", \"class\": \"\xc3\xa9\""), "not printable" },
};

/* With the file as it is: one warning with that text, nothing printed that steers a terminal, right results. */
static void expect_warned(const char *path, const char *message, const char *what) {
    log_lines lines;
    clattn_context *context = open_on(path, &lines);
    served_by(context, softmax_case);
    served_by(context, softmax_case);
    cr_expect_eq(lines.warnings, 1, "%s: %d warnings\n%s", what, lines.warnings, lines.text);
    cr_expect(strstr(lines.text, message) && strstr(lines.text, path), "%s: expected \"%s\" in:\n%s", what, message, lines.text);
    for (const char *at = lines.text; *at; at++) cr_assert(*at == '\n' || (*at >= ' ' && *at <= '~'), "%s: the log holds byte %d", what, *at);
    clattn_close(&context);
}

Test(tuning, hostile_files) {
    const char *path = in_scratch("tuning.json");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(path, bad[i].text);
        expect_warned(path, bad[i].message, bad[i].text);
    }
}

static void write_many(const char *path, const char *head, const char *part, int count) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fputs(head, file) >= 0);
    for (int i = 0; i < count; i++) fputs(part, file);
    fclose(file);
}

Test(tuning, huge_deep_and_no_files) {
    char path[512];
    snprintf(path, sizeof path, "%s", in_scratch("tuning.json"));
    write_many(path, "", "[", 100000);
    expect_warned(path, "is not valid JSON", "deep");
    write_many(path, "", "{\"a\":", 100000);
    expect_warned(path, "is not valid JSON", "deep objects");
    write_many(path, "{\"format\": 1, \"entries\": [", " ", CLATTN_TUNING_LARGEST);
    expect_warned(path, "more than 1 MiB", "huge");
    write_many(path, "{\"format\": 1, \"entries\": [7", ",7", 500000);
    FILE *file = fopen(path, "ab");
    cr_assert(file && fputs("]}", file) >= 0 && fclose(file) == 0);
    expect_warned(path, "500001 entries of", "many");
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_warned(path, "no file that can be read", "a directory");
    rmdir(path);
    cr_assert_eq(mkfifo(path, 0700), 0);
    expect_warned(path, "no file that can be read", "a pipe");
    expect_warned("/dev/zero", "no file that can be read", "a device");
}

/* Some entries are bad: the others serve. */
Test(tuning, good_among_bad) {
    const char *path = in_scratch("tuning.json");
    log_lines lines;
    write_text(path, "{\"format\": 1, \"note\": \"unknown members are left alone\", \"entries\": [7, {\"platform\": \"*\", \"device\": \"*\", \"driver\": \"*\", \"kernels\": \"*\", \"op\": \"softmax\", \"class\": \"rows4 length32\", \"variant\": \"scalar\", \"who\": 5}, {\"op\": 5}]}");
    clattn_context *context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    cr_expect_eq(count_lines(&lines, "2 entries of"), 1, "%s", lines.text);
    clattn_close(&context);
}

/* ---- Settings that cannot be used ---- */

static void write_setting(const char *path, const char *text, const char *setting) {
    char class[96], json[600];
    const size_t length = strcspn(text, " ");
    clattn_context *context = test_open();
    class_of(context, text, class, sizeof class);
    clattn_close(&context);
    snprintf(json, sizeof json, "{\"format\": 1, \"entries\": [{\"platform\": \"*\", \"device\": \"*\", \"driver\": \"*\", \"kernels\": \"*\", \"op\": \"%.*s\", \"class\": \"%s\", %s}]}", (int)length, text, class, setting);
    write_text(path, json);
}

/* What the variant refuses under the setting, it does without it. */
static void expect_left_out(const char *text, const char *setting, const char *variant, const char *reason) {
    const char *path = in_scratch("tuning.json");
    log_lines lines;
    clattn_tuning_entry found;
    char source[600], refusal[600];
    clattn_context *plain = test_open();
    const char *usual = served_by(plain, text);
    write_setting(path, text, setting);
    clattn_context *context = open_on(path, &lines);
    cr_expect_str_eq(served_by(context, text), usual, "%s under %s", text, setting);
    cr_expect_eq(lines.warnings, 0, "%s", lines.text);
    cr_expect(find(context, text, &found, source, refusal, sizeof source));
    if (strcmp(usual, variant) == 0) cr_expect(strstr(refusal, reason), "%s: \"%s\"", setting, refusal);
    clattn_close(&context);
    clattn_close(&plain);
}

Test(tuning, settings_that_do_not_fit) {
    expect_left_out("matmul a[131,70] b[70,150]", "\"tunables\": {\"panel\": 4, \"tile\": 12}", "cpu", "more sums than there are registers");
    expect_left_out("attention query[1,2,70,80] key[1,2,70,80] value[1,2,70,80]", "\"tunables\": {\"chunk\": 4}", "cpu", "the chunk is too wide for the width of the values");
    expect_left_out("conv2d x[1,16,28,28] weight[32,16,3,3] padding=1", "\"tunables\": {\"vectors\": 4, \"pixels\": 14}", "blocks", "more sums than there are registers");
    expect_left_out("softmax x[2,5,7] axis=1", "\"variant\": \"rows\", \"tunables\": {\"share\": 4096}", "rows", ""); /* it refuses without the setting too */
}

/* ---- Writing ---- */

typedef struct contents {
    size_t count, faults;
    char texts[4096];
} contents;

static bool note_entry(void *user, size_t number, const clattn_tuning_entry *entry, const char *fault) {
    contents *c = user;
    cr_expect_eq(number, c->count + 1);
    c->count++;
    c->faults += fault != NULL;
    if (!fault) snprintf(c->texts + strlen(c->texts), sizeof c->texts - strlen(c->texts), "%s %s %s;", entry->op->name, entry->shape_class, entry->measured);
    return true;
}

static contents look(const char *path) {
    contents c = { 0 };
    char message[512] = "";
    cr_expect_eq(clattn_tuning_visit(path, note_entry, &c, message, sizeof message), CLATTN_OK, "%s", message);
    return c;
}

Test(tuning, storing) {
    char path[512], message[600] = "";
    snprintf(path, sizeof path, "%s", in_scratch("some/where/tuning.json"));
    clattn_tuning_entry entry = entry_of(softmax_case, "scalar"), other = entry;
    strcpy(other.shape_class, "rows8 length32");
    strcpy(entry.measured, "2026-01-02T00:00:00Z");
    store(path, (clattn_tuning_entry[]){ entry, other }, 2);
    cr_expect_eq(look(path).count, 2);
    strcpy(entry.measured, "2026-01-01T00:00:00Z");
    store(path, &entry, 1);
    cr_expect(strstr(look(path).texts, "rows4 length32 2026-01-02"), "the older takes the newer's place: %s", look(path).texts);
    strcpy(entry.measured, "2026-01-03T00:00:00Z");
    store(path, &entry, 1);
    cr_expect(strstr(look(path).texts, "rows4 length32 2026-01-03"), "%s", look(path).texts);
    cr_expect_eq(look(path).count, 2);
    strcpy(entry.device, "another");
    store(path, &entry, 1);
    cr_expect_eq(look(path).count, 3);
    /* What this release does not know stays. */
    write_text(path, "{\"format\": 1, \"later\": [1], \"entries\": [{\"op\": \"of a later release\"}]}");
    store(path, &entry, 1);
    cr_expect(look(path).count == 2 && look(path).faults == 1);
    /* What is no database is not touched. */
    write_text(path, "mine");
    cr_expect_eq(clattn_tuning_store(path, &entry, 1, message, sizeof message), CLATTN_ERROR_FORMAT);
    cr_expect(strstr(message, path), "%s", message);
    cr_expect_eq(clattn_tuning_store(scratch_directory(), &entry, 1, message, sizeof message), CLATTN_ERROR_FILE);
    cr_expect_eq(clattn_tuning_store("/proc/nowhere/tuning.json", &entry, 1, message, sizeof message), CLATTN_ERROR_FILE);
    cr_expect_eq(clattn_tuning_store("/dev/null", &entry, 1, message, sizeof message), CLATTN_ERROR_FILE);
    cr_expect_eq(access("/dev/null", W_OK), 0);
    cr_expect_eq(clattn_tuning_store("", &entry, 1, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tuning_store(NULL, &entry, 1, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tuning_visit(path, NULL, NULL, NULL, 0), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tuning_visit("/nowhere", note_entry, &(contents){ 0 }, NULL, 0), CLATTN_ERROR_FILE);
}

/* No entry of either is lost, and whoever reads meanwhile gets a whole file. */
Test(tuning, two_writers) {
    enum { WRITERS = 3, EACH = 20 };
    char path[512];
    pid_t children[WRITERS];
    snprintf(path, sizeof path, "%s", in_scratch("tuning.json"));
    clattn_tuning_entry entry = entry_of(softmax_case, "scalar");
    for (int w = 0; w < WRITERS; w++) {
        if ((children[w] = fork())) continue;
        for (int i = 0; i < EACH; i++) {
            contents c = { 0 };
            snprintf(entry.shape_class, sizeof entry.shape_class, "rows%d length%d", w, i);
            if (clattn_tuning_store(path, &entry, 1, NULL, 0)) _exit(1);
            if (clattn_tuning_visit(path, note_entry, &c, NULL, 0) || c.faults) _exit(2);
        }
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int state = 0;
        waitpid(children[w], &state, 0);
        cr_expect(WIFEXITED(state) && WEXITSTATUS(state) == 0, "writer %d ended with %d", w, state);
    }
    cr_expect_eq(look(path).count, WRITERS * EACH, "%zu entries", look(path).count);
}

/* ---- What a search for hazards tells ---- */

typedef struct findings {
    int count;
    char text[2000];
} findings;

static void take_finding(void *user, const clattn_finding *found) {
    findings *f = user;
    f->count++;
    cr_expect_eq(found->level, CLATTN_FINDING_NOTE);
    cr_expect_str_eq(found->name, "tuning");
    snprintf(f->text + strlen(f->text), sizeof f->text - strlen(f->text), "%s\n", found->text);
}

Test(tuning, examined) {
    const char *path = in_scratch("tuning.json");
    log_lines lines;
    findings f = { 0 };
    write_text(path, SOFTMAX(", \"variant\": \"scalar\""));
    clattn_context *context = open_on(path, &lines);
    cr_expect_eq(clattn_tuning_examine(context, take_finding, &f), CLATTN_OK);
    cr_expect_eq(f.count, 0, "%s", f.text);
    cr_expect_str_eq(served_by(context, softmax_case), "scalar");
    write_text(path, SOFTMAX(", \"variant\": \"none\""));
    cr_expect_eq(clattn_tuning_examine(context, take_finding, &f), CLATTN_OK);
    cr_expect(f.count == 1 && strstr(f.text, "no variant \"none\""), "%s", f.text);
    cr_expect_str_neq(served_by(context, softmax_case), "scalar", "what was read before is forgotten");
    cr_expect_eq(lines.warnings, 0, "told once: %s", lines.text);
    cr_expect_eq(clattn_tuning_examine(context, NULL, NULL), CLATTN_ERROR_ARGUMENT);
    clattn_close(&context);
}

/* The built-in database has no fault, whatever the device. */
Test(tuning, built_in) {
    const contents c = look(NULL);
    cr_expect_eq(c.faults, 0, "%zu of %zu built-in entries are wrong", c.faults, c.count);
}

/* ---- With the check of a variant's first use ---- */

Test(tuning, settings_are_checked_too) {
    const char *path = in_scratch("tuning.json"), *text = "matmul a[131,70] b[70,150]";
    log_lines lines = { .warnings = 0 };
    clattn_context *context;
    write_setting(path, text, "\"variant\": \"gpu_tile\", \"tunables\": {\"edge\": 64, \"depth\": 16}");
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .tuning_file = path, .no_cache = true, .self_check = CLATTN_SELF_CHECK_ON, .log = keep_line, .log_user = &lines }), CLATTN_OK);
    /* rusticl grants the kernel fewer items than the device has: then the setting is left out, with a line of the log. */
    const bool served = strcmp(served_by(context, text), "gpu_tile") == 0;
    if (served) cr_expect_eq(count_lines(&lines, "checked matmul/gpu_tile, edge=64 depth=16"), 1, "%s", lines.text);
    else if (clattn_context_device(context)->max_work_group >= 256) cr_expect_eq(count_lines(&lines, "is not used in this context: demoted: its self-check failed, edge=64 depth=16"), 2, "%s", lines.text);
    clattn_close(&context);
}
