/* Every parameter of every operation beyond its limits, and every tensor with a shape, type or memory that does not fit:
 * refused with a message before anything is launched. The cases come from the operations' descriptions alone. */
#include <criterion/criterion.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/device.h"

#define LARGEST_ARGS 1024

/* One operation's example, whose arguments are spoilt one at a time. */
typedef struct patient {
    clattn_context *context;
    const clattn_op *op;
    clattn_case *made;
    unsigned char healthy[LARGEST_ARGS];
    int launches, refusals;
} patient;

static void count_launch(void *user, const clattn_launch_record *record) {
    (void)record;
    ((patient *)user)->launches++;
}

static void *at(patient *p, const clattn_field *field) {
    return (char *)clattn_case_args(p->made) + field->offset;
}

/* The arguments as they are now are refused, and are whole again afterwards. */
static void expect_refused(patient *p, const clattn_field *field, const char *what) {
    p->launches = 0;
    clattn_trace(p->context, count_launch, p);
    const clattn_status status = clattn_op_run(p->context, p->op, clattn_case_args(p->made), NULL, NULL);
    clattn_trace(p->context, NULL, NULL);
    cr_expect_neq(status, CLATTN_OK, "%s takes %s as its %s", p->op->name, what, field->name);
    cr_expect_eq(p->launches, 0, "%s launches %d kernels before it refuses %s as its %s", p->op->name, p->launches, what, field->name);
    if (status) cr_expect_eq(strncmp(clattn_message(p->context), p->op->name, strlen(p->op->name)), 0, "%s, %s = %s: %s", p->op->name, field->name, what, clattn_message(p->context));
    p->refusals++;
    memcpy(clattn_case_args(p->made), p->healthy, p->op->args_size);
}

/* ---- Parameters ---- */

static void spoil_number(patient *p, const clattn_field *field, double value) {
    char what[64];
    snprintf(what, sizeof what, "%.17g", value);
    const bool zero = value == 0;
    switch (field->kind) {
    case CLATTN_FIELD_INT:
        if (zero) return; /* the default */
        *(int64_t *)at(p, field) = (int64_t)value;
        break;
    case CLATTN_FIELD_FLOAT:
        if (zero) return;
        *(float *)at(p, field) = (float)value;
        break;
    case CLATTN_FIELD_OPT_INT: *(clattn_optional_int *)at(p, field) = (clattn_optional_int){ .set = true, .value = (int64_t)value }; break;
    case CLATTN_FIELD_OPT_FLOAT: *(clattn_optional_float *)at(p, field) = (clattn_optional_float){ .set = true, .value = (float)value }; break;
    case CLATTN_FIELD_INTS: *(clattn_ints *)at(p, field) = (clattn_ints){ .count = 1, .values = { (int64_t)value } }; break;
    case CLATTN_FIELD_DOUBLES: *(clattn_doubles *)at(p, field) = (clattn_doubles){ .count = 1, .values = { value } }; break;
    default: cr_assert_fail("%s is no number", field->name);
    }
    expect_refused(p, field, what);
}

static bool is_real(const clattn_field *field) {
    return field->kind == CLATTN_FIELD_FLOAT || field->kind == CLATTN_FIELD_OPT_FLOAT || field->kind == CLATTN_FIELD_DOUBLES;
}

/* The next value that the field's type can hold. */
static double beyond(const clattn_field *field, double limit, double direction) {
    return !is_real(field) ? limit + direction : field->kind == CLATTN_FIELD_DOUBLES ? nextafter(limit, direction * INFINITY) : (double)nextafterf((float)limit, (float)direction * INFINITY);
}

static void spoil_numbers(patient *p, const clattn_field *field) {
    const bool limited = field->low != 0 || field->high != 0;
    if (is_real(field)) {
        spoil_number(p, field, NAN);
        spoil_number(p, field, INFINITY);
        spoil_number(p, field, -INFINITY);
    }
    if (limited && field->low > -0x1p53) spoil_number(p, field, beyond(field, field->low, -1));
    if (limited && field->low > -0x1p53) spoil_number(p, field, -0x1p63);
    if (limited && field->high < 0x1p53 && (!is_real(field) || field->high < FLT_MAX)) spoil_number(p, field, beyond(field, field->high, 1));
    if (limited && field->high < 0x1p53) spoil_number(p, field, 0x1p62);
    if (field->flags & CLATTN_FIELD_NOT_ZERO) spoil_number(p, field, 0);
}

/* Any integer is legal for the description; that it fits these tensors is the operation's own rule. It may not crash. */
static void try_extremes(patient *p, const clattn_field *field) {
    static const int64_t values[] = { INT64_MIN, INT64_MIN + 1, INT32_MIN, INT32_MAX, INT64_MAX - 1, INT64_MAX };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (field->kind == CLATTN_FIELD_INT) *(int64_t *)at(p, field) = values[i];
        else if (field->kind == CLATTN_FIELD_OPT_INT) *(clattn_optional_int *)at(p, field) = (clattn_optional_int){ .set = true, .value = values[i] };
        else *(clattn_ints *)at(p, field) = (clattn_ints){ .count = CLATTN_MAX_RANK, .values = { values[i], values[i], values[i], values[i], values[i], values[i], values[i], values[i] } };
        int ranks[16];
        int64_t shapes[16][CLATTN_MAX_RANK];
        clattn_dtype dtypes[16];
        if (clattn_op_shapes(p->context, p->op, clattn_case_args(p->made), 16, ranks, shapes, dtypes)) cr_expect(*clattn_message(p->context));
        memcpy(clattn_case_args(p->made), p->healthy, p->op->args_size);
    }
}

static void spoil_counts(patient *p, const clattn_field *field) {
    static const int counts[] = { -1, CLATTN_MAX_RANK + 1, INT_MAX, INT_MIN };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char what[64];
        snprintf(what, sizeof what, "a list of %d", counts[i]);
        if (field->kind == CLATTN_FIELD_INTS) ((clattn_ints *)at(p, field))->count = counts[i];
        else if (field->kind == CLATTN_FIELD_DOUBLES) ((clattn_doubles *)at(p, field))->count = counts[i];
        else ((clattn_pools *)at(p, field))->count = counts[i];
        expect_refused(p, field, what);
    }
}

static void spoil_words(patient *p, const clattn_field *field) {
    int words = 0;
    while (field->words[words]) words++;
    const int values[] = { -1, words, INT_MAX, INT_MIN };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char what[64];
        snprintf(what, sizeof what, "the word %d", values[i]);
        if (field->kind == CLATTN_FIELD_WORD) *(int *)at(p, field) = values[i];
        else *(clattn_pools *)at(p, field) = (clattn_pools){ .count = 1, .kinds = { values[i] } };
        expect_refused(p, field, what);
    }
    if (field->kind != CLATTN_FIELD_WORDS) return;
    *(clattn_pools *)at(p, field) = (clattn_pools){ .count = 2, .kinds = { words - 1, words - 1 } };
    expect_refused(p, field, "one word twice");
}

static void spoil_toggle(patient *p, const clattn_field *field) {
    *(int *)at(p, field) = 3;
    expect_refused(p, field, "3");
    *(int *)at(p, field) = -1;
    expect_refused(p, field, "-1");
}

/* ---- Tensors ---- */

static clattn_tensor *tensor_of(patient *p, const clattn_field *field) {
    return *(clattn_tensor **)at(p, field);
}

static void expect_tensor_refused(patient *p, const clattn_field *field, const clattn_tensor *spoilt, const char *what) {
    *(const clattn_tensor **)at(p, field) = spoilt;
    expect_refused(p, field, what);
}

static void spoil_tensor(patient *p, const clattn_field *field) {
    const clattn_tensor *tensor = tensor_of(p, field);
    clattn_tensor spoilt;
    if (!tensor) return;
    if (!(field->flags & CLATTN_FIELD_OPTIONAL) && field->kind == CLATTN_FIELD_INPUT) expect_tensor_refused(p, field, NULL, "nothing");
    spoilt = *tensor;
    spoilt.buffer = NULL;
    expect_tensor_refused(p, field, &spoilt, "a tensor without a buffer");
    spoilt = *tensor;
    spoilt.rank = CLATTN_MAX_RANK + 1;
    expect_tensor_refused(p, field, &spoilt, "rank 9");
    spoilt.rank = -1;
    expect_tensor_refused(p, field, &spoilt, "rank -1");
    spoilt = *tensor;
    spoilt.dtype = tensor->dtype == CLATTN_I32 ? CLATTN_F32 : CLATTN_I32;
    expect_tensor_refused(p, field, &spoilt, "another type");
    spoilt = *tensor;
    spoilt.offset = -1;
    expect_tensor_refused(p, field, &spoilt, "a negative offset");
    for (int axis = 0; axis < tensor->rank; axis++) {
        spoilt = *tensor;
        spoilt.shape[axis] = -1;
        expect_tensor_refused(p, field, &spoilt, "a negative size");
        spoilt.shape[axis] = INT64_MAX;
        expect_tensor_refused(p, field, &spoilt, "a size of 2^63 - 1");
        spoilt = *tensor;
        spoilt.strides[axis] = -1;
        expect_tensor_refused(p, field, &spoilt, "a negative stride");
    }
    if (clattn_tensor_count(tensor) == 0) return;
    spoilt = *tensor;
    spoilt.offset = INT64_MAX;
    expect_tensor_refused(p, field, &spoilt, "an offset of 2^63 - 1");
}

/* An output's shape follows from the inputs, so that any other is wrong. */
static void spoil_output_shape(patient *p, const clattn_field *field) {
    const clattn_tensor *tensor = tensor_of(p, field);
    for (int axis = 0; tensor && axis < tensor->rank; axis++) {
        clattn_tensor spoilt = *tensor;
        spoilt.shape[axis]++;
        expect_tensor_refused(p, field, &spoilt, "a larger shape");
        spoilt.shape[axis] -= 2;
        if (spoilt.shape[axis] >= 0) expect_tensor_refused(p, field, &spoilt, "a smaller shape");
    }
    if (!tensor || tensor->rank == CLATTN_MAX_RANK) return;
    clattn_tensor spoilt = *tensor;
    spoilt.shape[spoilt.rank] = spoilt.strides[spoilt.rank] = 1;
    spoilt.rank++;
    expect_tensor_refused(p, field, &spoilt, "a further axis");
}

static void spoil(patient *p, const clattn_field *field) {
    if (field->flags & CLATTN_FIELD_LATER) return;
    switch (field->kind) {
    case CLATTN_FIELD_OUTPUT: spoil_output_shape(p, field); spoil_tensor(p, field); break;
    case CLATTN_FIELD_INPUT: spoil_tensor(p, field); break;
    case CLATTN_FIELD_BOOL: case CLATTN_FIELD_U64: break; /* each value is legal */
    case CLATTN_FIELD_TOGGLE: spoil_toggle(p, field); break;
    case CLATTN_FIELD_INT: case CLATTN_FIELD_OPT_INT: try_extremes(p, field); spoil_numbers(p, field); break;
    case CLATTN_FIELD_FLOAT: case CLATTN_FIELD_OPT_FLOAT: spoil_numbers(p, field); break;
    case CLATTN_FIELD_INTS: try_extremes(p, field); spoil_numbers(p, field); spoil_counts(p, field); break;
    case CLATTN_FIELD_DOUBLES: spoil_numbers(p, field); spoil_counts(p, field); break;
    case CLATTN_FIELD_WORD: spoil_words(p, field); break;
    case CLATTN_FIELD_WORDS: spoil_words(p, field); spoil_counts(p, field); break;
    }
}

static int spoil_all(clattn_context *context, const clattn_op *op, const char *example) {
    patient p = { .context = context, .op = op };
    cr_assert_eq(clattn_case_open(context, example, 1, 0, &p.made), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_leq(op->args_size, sizeof p.healthy);
    memcpy(p.healthy, clattn_case_args(p.made), op->args_size);
    for (size_t i = 0; i < op->field_count; i++) spoil(&p, &op->fields[i]);
    cr_expect_eq(clattn_op_run(context, op, clattn_case_args(p.made), NULL, NULL), CLATTN_OK, "afterwards: %s", clattn_message(context));
    clattn_case_close(&p.made);
    return p.refusals;
}

Test(limits, nothing_beyond_them_is_launched) {
    clattn_context *context = test_open();
    const clattn_op *op;
    const char *example;
    int refusals = 0;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; (example = clattn_op_example(op, k)); k++) refusals += spoil_all(context, op, example);
    cr_expect_gt(refusals, 1000, "%d", refusals);
    clattn_close(&context);
}

/* The same through the text of --set. */
static void expect_text_refused(const clattn_op *op, const clattn_field *field, const char *text) {
    char args[LARGEST_ARGS] = { 0 }, message[512] = "";
    cr_expect_neq(clattn_field_set(op, field, args, text, message, sizeof message), CLATTN_OK, "%s takes --set %s=%s", op->name, field->name, text);
    cr_expect(strstr(message, op->name) && strstr(message, field->name), "%s", message);
}

Test(limits, texts_beyond_them_are_refused) {
    static const char *const always[] = { "", " ", "nonesuch", "1e", "0x", "--", "true ", "1,", ",1", "+", "nan", "inf", "99999999999999999999" };
    const clattn_op *op;
    for (size_t i = 0; (op = clattn_op_get(i)); i++)
        for (size_t k = 0; k < op->field_count; k++) {
            const clattn_field *field = &op->fields[k];
            char text[400];
            const bool limited = (field->low != 0 || field->high != 0) && field->kind != CLATTN_FIELD_WORD && field->kind != CLATTN_FIELD_WORDS && field->kind != CLATTN_FIELD_BOOL && field->kind != CLATTN_FIELD_TOGGLE;
            for (size_t n = 0; n < sizeof always / sizeof *always; n++)
                if (!(is_real(field) && n == sizeof always / sizeof *always - 1)) expect_text_refused(op, field, always[n]);
            if (!limited) continue;
            if (field->low > -0x1p53) snprintf(text, sizeof text, "%.17g", beyond(field, field->low, -1)), expect_text_refused(op, field, text);
            if (field->high < 0x1p53) snprintf(text, sizeof text, "%.17g", beyond(field, field->high, 1)), expect_text_refused(op, field, text);
        }
}
