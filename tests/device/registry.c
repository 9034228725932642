/* What every operation's description must hold, and each example with each variant: the self-test that nobody can forget. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../support/device.h"

#define LARGEST_ARGS 1024 /* the copy in run.c and oracle.c */
#define LARGEST_OUTPUTS 8
#define LARGEST_LETTER 15

static bool is_tensor(const clattn_field *field) {
    return field->kind == CLATTN_FIELD_INPUT || field->kind == CLATTN_FIELD_OUTPUT;
}

static size_t size_of(const clattn_field *field) {
    switch (field->kind) {
    case CLATTN_FIELD_INPUT: case CLATTN_FIELD_OUTPUT: return sizeof(void *) * (field->flags & CLATTN_FIELD_LIST ? CLATTN_MAX_CONCAT : 1);
    case CLATTN_FIELD_BOOL: return sizeof(bool);
    case CLATTN_FIELD_TOGGLE: return sizeof(clattn_toggle);
    case CLATTN_FIELD_INT: return sizeof(int64_t);
    case CLATTN_FIELD_U64: return sizeof(uint64_t);
    case CLATTN_FIELD_OPT_INT: return sizeof(clattn_optional_int);
    case CLATTN_FIELD_FLOAT: return sizeof(float);
    case CLATTN_FIELD_OPT_FLOAT: return sizeof(clattn_optional_float);
    case CLATTN_FIELD_WORD: return sizeof(int);
    case CLATTN_FIELD_INTS: return sizeof(clattn_ints);
    case CLATTN_FIELD_DOUBLES: return sizeof(clattn_doubles);
    case CLATTN_FIELD_WORDS: return sizeof(clattn_pools);
    }
    return 0;
}

static void check_words(const clattn_op *op, const clattn_field *f) {
    if (f->kind != CLATTN_FIELD_WORD && f->kind != CLATTN_FIELD_WORDS) return;
    cr_assert_not_null(f->words, "%s.%s has no words", op->name, f->name);
    int count = 0;
    for (; f->words[count]; count++)
        for (int k = 0; k < count; k++) cr_expect_str_neq(f->words[count], f->words[k], "%s.%s names %s twice", op->name, f->name, f->words[k]);
    cr_expect_geq(count, 2, "%s.%s has %d words", op->name, f->name, count);
    for (int k = 1; k < count; k++) cr_expect(*f->words[k], "%s.%s: only the first slot may be the default's", op->name, f->name);
    if (f->kind == CLATTN_FIELD_WORD) cr_expect(f->fallback >= 0 && f->fallback < count && *f->words[(int)f->fallback], "%s.%s: the default is no word", op->name, f->name);
}

static void check_shape(const clattn_op *op, const clattn_field *f) {
    if (!is_tensor(f)) return;
    cr_assert(f->shape && *f->shape, "%s.%s has no shape", op->name, f->name);
    size_t length = 0;
    for (const char *at = f->shape; *at; at++) {
        length = isalnum((unsigned char)*at) ? length + 1 : 0;
        cr_expect_leq(length, LARGEST_LETTER, "%s.%s: a size's name in %s is too long", op->name, f->name, f->shape);
    }
}

static void check_field(const clattn_op *op, size_t index) {
    const clattn_field *f = &op->fields[index];
    cr_assert(f->name && *f->name, "%s: field %zu has no name", op->name, index);
    cr_expect(f->text && *f->text, "%s.%s has no text", op->name, f->name);
    cr_expect_leq(f->offset + size_of(f), op->args_size, "%s.%s lies outside the args struct", op->name, f->name);
    cr_expect_leq(f->low, f->high, "%s.%s: %g..%g", op->name, f->name, f->low, f->high);
    for (size_t k = 0; k < index; k++) {
        const clattn_field *other = &op->fields[k];
        cr_expect(strcmp(f->name, other->name) || (f->kind == CLATTN_FIELD_OUTPUT) != (other->kind == CLATTN_FIELD_OUTPUT), "%s has two fields %s", op->name, f->name);
        cr_expect(f->offset + size_of(f) <= other->offset || other->offset + size_of(other) <= f->offset, "%s: %s and %s share memory", op->name, f->name, other->name);
    }
    check_shape(op, f);
    check_words(op, f);
}

static void check_op(const clattn_op *op) {
    size_t outputs = 0, variants = 0;
    cr_expect(op->text && *op->text && op->source && *op->source, "%s has no text or source", op->name);
    cr_expect_leq(op->args_size, LARGEST_ARGS, "%s", op->name);
    for (size_t i = 0; i < op->field_count; i++) {
        check_field(op, i);
        outputs += op->fields[i].kind == CLATTN_FIELD_OUTPUT;
        cr_expect_eq(clattn_op_field(op, op->fields[i].name, op->fields[i].kind == CLATTN_FIELD_OUTPUT), &op->fields[i]);
    }
    cr_expect(outputs >= 1 && outputs <= LARGEST_OUTPUTS, "%s has %zu outputs", op->name, outputs);
    while (clattn_op_variant(op, variants)) variants++;
    cr_expect_geq(variants, 1, "%s has no variant", op->name);
    cr_expect_eq(clattn_op_find(op->name), op, "%s is not found by its name", op->name);
}

Test(registry, descriptions) {
    const clattn_op *op;
    cr_assert_gt(clattn_op_count(), 0, "there are no operations");
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        check_op(op);
        for (size_t k = 0; k < i; k++) cr_expect_str_neq(op->name, clattn_op_get(k)->name, "two operations have one name");
    }
    cr_expect_null(clattn_op_get(clattn_op_count()));
    cr_expect_null(clattn_op_find("no such operation"));
    cr_expect_null(clattn_op_find(NULL));
}

/* Runs the example with each variant that can; the number that did. */
static int run_example(clattn_context *context, const clattn_op *op, const char *text) {
    const char *variant, *refusal = "";
    int runs = 0;
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, text, 7 + i, 0, &c), CLATTN_OK, "%s\n  example: %s", clattn_message(context), text);
        cr_expect_eq(clattn_case_op(c), op, "the example of %s is another operation's: %s", op->name, text);
        refusal = clattn_op_refusal(context, op, clattn_case_args(c), variant);
        if (!refusal) cr_expect_eq(clattn_case_check(c, variant), CLATTN_OK, "%s\n  example: %s\n  variant %s", clattn_message(context), text, variant);
        runs += refusal == NULL;
        clattn_case_close(&c);
    }
    cr_expect_null(refusal, "the last variant of %s refuses %s: %s", op->name, text, refusal ? refusal : "");
    return runs;
}

/* Refusals that a device gives for every call, not for this one. */
static bool is_of_the_device(const char *refusal) {
    return strncmp(refusal, "the device", 10) == 0;
}

/* Why no example reaches the variant; NULL when one does, or when only the device stands in the way of one. */
static const char *why_unchecked(clattn_context *context, const clattn_op *op, const char *variant) {
    static char reason[300];
    const char *example;
    bool of_the_device = false;
    for (size_t k = 0; (example = clattn_op_example(op, k)); k++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, example, 1, 0, &c), CLATTN_OK, "%s", clattn_message(context));
        const char *refusal = clattn_op_refusal(context, op, clattn_case_args(c), variant);
        if (refusal) snprintf(reason, sizeof reason, "%s", refusal);
        clattn_case_close(&c);
        if (!refusal) return NULL;
        of_the_device = of_the_device || is_of_the_device(reason);
    }
    return of_the_device ? NULL : reason;
}

/* The first-use check needs an example for each: a variant without one would pass unseen. */
Test(registry, an_example_fits_every_variant) {
    clattn_context *context = test_open();
    const clattn_op *op;
    const char *variant;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; (variant = clattn_op_variant(op, k)); k++) {
            const char *reason = why_unchecked(context, op, variant);
            cr_expect_null(reason, "no example of %s fits its variant %s: %s", op->name, variant, reason);
        }
    clattn_close(&context);
}

static void check_work(clattn_context *context, const clattn_op *op, const char *text) {
    clattn_case *c;
    double flops = -1, bytes = -1;
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &c), CLATTN_OK);
    cr_expect_eq(clattn_op_work(context, op, clattn_case_args(c), &flops, &bytes), CLATTN_OK, "%s", clattn_message(context));
    cr_expect(flops >= 0 && bytes > 0 && flops < 1e15 && bytes < 1e15, "%s: %g operations and %g bytes for %s", op->name, flops, bytes, text);
    clattn_case_close(&c);
}

Test(registry, examples_run_with_every_variant) {
    clattn_context *context = test_open();
    const clattn_op *op;
    const char *example;
    int runs = 0;
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        cr_expect(clattn_op_example(op, 0), "%s has no example", op->name);
        for (size_t k = 0; (example = clattn_op_example(op, k)); k++) {
            runs += run_example(context, op, example);
            check_work(context, op, example);
        }
    }
    cr_assert_gt(runs, 0, "no example ran");
    clattn_close(&context);
}

/* A required input left out, no output, a frozen output, another context's tensor: refused for every operation. */
Test(registry, bad_calls_are_refused) {
    clattn_context *context = test_open(), *other = test_open();
    const clattn_op *op;
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, clattn_op_example(op, 0), 1, 0, &c), CLATTN_OK);
        void *args = clattn_case_args(c);
        cr_expect_neq(clattn_op_run(other, op, args, NULL, NULL), CLATTN_OK, "%s takes another context's tensors", op->name);
        cr_expect(strstr(clattn_message(other), "another context"), "%s", clattn_message(other));
        cr_expect_neq(clattn_op_run(context, op, args, "no such variant", NULL), CLATTN_OK);
        cr_expect_neq(clattn_op_run(context, op, NULL, NULL, NULL), CLATTN_OK);
        memset(args, 0, op->args_size);
        cr_expect_neq(clattn_op_run(context, op, args, NULL, NULL), CLATTN_OK, "%s runs without tensors", op->name);
        cr_expect_eq(strncmp(clattn_message(context), op->name, strlen(op->name)), 0, "the message does not name the operation: %s", clattn_message(context));
        clattn_case_close(&c);
    }
    clattn_close(&other);
    clattn_close(&context);
}

Test(registry, bad_cases_are_refused) {
    clattn_context *context = test_open();
    const char *const bad[] = { "", "nothing x[1]", "softmax", "softmax x", "softmax x[", "softmax x[1", "softmax x[a]", "softmax x[1,2,3,4,5,6,7,8,9]", "softmax x[-1]", "softmax x[99999999999999,99999999999999]",
        "softmax x[3]:abc", "softmax x[3]:1,,2", "softmax x[3]*", "softmax x[3]?", "softmax y[3]", "softmax x[3] axis", "softmax x[3] axis=", "softmax x[3] axis=x", "softmax x[3] nothing=1", "softmax x[3] -> nothing", "softmax x[3] x0[3]", NULL };
    for (int i = 0; bad[i]; i++) {
        clattn_case *c = (void *)1;
        cr_expect_neq(clattn_case_open(context, bad[i], 1, 0, &c), CLATTN_OK, "accepted: %s", bad[i]);
        cr_expect_null(c);
    }
    cr_expect_neq(clattn_case_open(context, NULL, 1, 0, &(clattn_case *){ NULL }), CLATTN_OK);
    clattn_close(&context);
}

/* Outputs that would be written over inputs, by whatever names the memory goes. */
Test(registry, overlap) {
    clattn_context *context = test_open();
    clattn_tensor whole, x, out;
    float values[4 * 16] = { 1, 2, 3 };
    cr_assert_eq(clattn_tensor_create(context, &whole, CLATTN_F32, 2, (int64_t[]){ 4, 16 }, values), CLATTN_OK);
    x = clattn_tensor_sliced(&whole, 1, 0, 8);
    out = clattn_tensor_sliced(&whole, 1, 8, 8);
    cr_expect_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK, "side by side: %s", clattn_message(context));
    out = clattn_tensor_sliced(&whole, 1, 7, 8);
    cr_expect_neq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK);
    cr_expect(strstr(clattn_message(context), "overlaps"), "%s", clattn_message(context));
    out = clattn_tensor_sliced(&whole, 1, 0, 8);
    out.strides[0] = 1;
    x = clattn_tensor_sliced(&whole, 0, 0, 2);
    out.offset = 32;
    cr_expect_neq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK);
    x = out = whole;
    x.strides[0] = INT64_MAX / 2;
    cr_expect_neq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK);
    x.strides[0] = -16;
    cr_expect_neq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK);
    clattn_tensor_free(&whole);
    clattn_close(&context);
}
