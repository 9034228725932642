#include "cases.h"

#include <clattn/file.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "small.h"

#define MAX_VARIANTS 64

uint64_t test_seed(void) {
    const char *text = getenv("CLATTN_TEST_SEED");
    return text && *text ? strtoull(text, NULL, 0) : 20141;
}

/* Which variants of which operations a table has reached. */
typedef struct reached_list {
    const clattn_op *op[MAX_VARIANTS];
    const char *variant[MAX_VARIANTS];
    int runs[MAX_VARIANTS], count;
} reached_list;

static void note(reached_list *list, const clattn_op *op, const char *variant, int runs) {
    int i = 0;
    while (i < list->count && (list->op[i] != op || strcmp(list->variant[i], variant))) i++;
    cr_assert_lt(i, MAX_VARIANTS);
    if (i == list->count) {
        list->op[i] = op;
        list->variant[i] = variant;
        list->runs[list->count++] = 0;
    }
    list->runs[i] += runs;
}

/* Where every variant can run, but for what needs subgroups: a CPU whose local memory is ordinary memory, nothing masked.
 * Elsewhere the last of an operation, which fits everything, must be reached. */
static bool must_be_reached(clattn_context *context, const clattn_op *op, const char *variant) {
    if (strcmp(variant, "clblast") == 0) return false; /* CPUs are never given it: tests/device/clblast.c asks for it */
    const clattn_device_info *info = clattn_context_device(context);
    const char *caps = getenv("CLATTN_CAPS");
    if (strstr(variant, "subgroup") && !info->subgroups) return false;
    if (info->kind == CLATTN_DEVICE_CPU && info->local_memory >= 128 << 10 && !(caps && *caps)) return true;
    size_t i = 0;
    while (clattn_op_variant(op, i + 1)) i++;
    return strcmp(clattn_op_variant(op, i), variant) == 0;
}

static void expect_all_reached(clattn_context *context, const reached_list *list) {
    cr_assert_gt(list->count, 0, "the table is empty");
    for (int i = 0; i < list->count; i++)
        if (must_be_reached(context, list->op[i], list->variant[i]))
            cr_expect_gt(list->runs[i], 0, "no case of the table reached %s/%s", list->op[i]->name, list->variant[i]);
}

/* Runs one variant on a case made anew, so that nothing of another variant's result is left. False when it does not fit, or
 * its kernel is granted less than the device has. */
static bool run_variant(clattn_context *context, const char *text, int flags, const char *variant) {
    clattn_case *c;
    clattn_status status = clattn_case_open(context, text, test_seed(), flags, &c);
    cr_assert_eq(status, CLATTN_OK, "%s\n  case: %s", clattn_message(context), text);
    bool fits = clattn_op_refusal(context, clattn_case_op(c), clattn_case_args(c), variant) == NULL;
    if (fits) status = clattn_case_check(c, variant);
    if (status == CLATTN_ERROR_UNSUPPORTED) fits = false, status = CLATTN_OK;
    cr_expect_eq(status, CLATTN_OK, "%s\n  case: %s\n  variant %s%s%s, seed %llu", clattn_message(context), text, variant, flags & CLATTN_CASE_F16 ? ", f16" : "", flags & CLATTN_CASE_STRIDED ? ", strided" : "", (unsigned long long)test_seed());
    clattn_case_close(&c);
    return fits;
}

static const clattn_op *op_of(const char *text) {
    char name[64];
    const size_t length = strcspn(text, " ");
    cr_assert_lt(length, sizeof name);
    memcpy(name, text, length);
    name[length] = '\0';
    const clattn_op *op = clattn_op_find(name);
    cr_assert_not_null(op, "there is no operation %s", name);
    return op;
}

/* `storage` is a flag of clattn_case_open, or 0. Variants with other names are left alone. */
static void run_table(const char *const *cases, const char *prefix, int storage) {
    reached_list reached = { .count = 0 };
    clattn_context *context = test_open();
    small_table table = { 0 };
    small_see_all(&table, context, cases);
    for (; *cases; cases++) {
        const clattn_op *op = op_of(*cases);
        const char *variant;
        if (!small_takes_text(&table, context, *cases)) continue;
        for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++) {
            if (strncmp(variant, prefix, strlen(prefix)) != 0) continue;
            for (int flags = 0; flags <= CLATTN_CASE_STRIDED; flags += CLATTN_CASE_STRIDED)
                note(&reached, op, variant, run_variant(context, *cases, flags | storage, variant));
        }
    }
    small_report(&table);
    expect_all_reached(context, &reached);
    clattn_close(&context);
}

void test_cases(const char *const *cases) {
    run_table(cases, "", 0);
}

void test_cases_f16(const char *const *cases) {
    run_table(cases, "", CLATTN_CASE_F16);
}

void test_gpu_cases(const char *const *cases) {
    run_table(cases, "gpu", 0);
}

void test_gpu_cases_f16(const char *const *cases) {
    run_table(cases, "gpu", CLATTN_CASE_F16);
}

void test_refusals(const char *const *cases) {
    clattn_context *context = test_open();
    int count = 0;
    for (; *cases; cases++, count++) {
        char text[1024];
        const char *arrow = strstr(*cases, " => ");
        cr_assert_not_null(arrow, "no => in: %s", *cases);
        snprintf(text, sizeof text, "%.*s", (int)(arrow - *cases), *cases);
        clattn_case *c = NULL;
        /* Making the outputs asks for their shapes, which runs the same checks. */
        clattn_status status = clattn_case_open(context, text, test_seed(), 0, &c);
        if (!status) status = clattn_op_run(context, clattn_case_op(c), clattn_case_args(c), NULL, NULL);
        cr_expect_neq(status, CLATTN_OK, "not refused: %s", *cases);
        cr_expect(status == CLATTN_OK || strstr(clattn_message(context), arrow + 4), "refused with \"%s\"\n  case: %s", clattn_message(context), *cases);
        clattn_case_close(&c);
    }
    cr_assert_gt(count, 0, "the table is empty");
    clattn_close(&context);
}

/* ---- Outputs asked for one by one ---- */

static clattn_tensor **output_slot(const clattn_op *op, void *args, size_t *field) {
    for (; *field < op->field_count; ++*field)
        if (op->fields[*field].kind == CLATTN_FIELD_OUTPUT) return (clattn_tensor **)((char *)args + op->fields[*field].offset);
    return NULL;
}

static void *contents(clattn_context *context, const clattn_tensor *tensor) {
    void *host = calloc((size_t)clattn_tensor_count(tensor) + 1, clattn_dtype_size(tensor->dtype));
    cr_assert_not_null(host);
    cr_assert_eq(clattn_tensor_read(context, tensor, host), CLATTN_OK, "%s", clattn_message(context));
    return host;
}

static void expect_same_alone(clattn_context *context, clattn_case *c, const char *text) {
    const clattn_op *op = clattn_case_op(c);
    void *args = clattn_case_args(c), *alone = malloc(op->args_size);
    clattn_tensor **slot, **other;
    cr_assert_not_null(alone);
    cr_assert_eq(clattn_op_run(context, op, args, NULL, NULL), CLATTN_OK, "%s", clattn_message(context));
    for (size_t i = 0; (slot = output_slot(op, args, &i)); i++) {
        if (!*slot) continue;
        void *expected = contents(context, *slot);
        memcpy(alone, args, op->args_size);
        for (size_t k = 0; (other = output_slot(op, alone, &k)); k++)
            if (k != i) *other = NULL;
        cr_assert_eq(clattn_op_run(context, op, alone, NULL, NULL), CLATTN_OK, "%s", clattn_message(context));
        void *found = contents(context, *slot);
        cr_expect_eq(memcmp(found, expected, (size_t)clattn_tensor_count(*slot) * clattn_dtype_size((*slot)->dtype)), 0, "%s changes when it is asked for alone\n  case: %s", op->fields[i].name, text);
        free(found);
        free(expected);
    }
    free(alone);
}

void test_outputs_independent(const char *const *cases) {
    clattn_context *context = test_open();
    small_table table = { 0 };
    small_see_all(&table, context, cases);
    for (; *cases; cases++) {
        clattn_case *c;
        cr_assert_eq(clattn_case_open(context, *cases, test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
        if (small_takes(&table, context, clattn_case_op(c), clattn_case_args(c))) expect_same_alone(context, c, *cases);
        clattn_case_close(&c);
    }
    small_report(&table);
    clattn_close(&context);
}

/* ---- Goldens ---- */

#define MAX_TENSORS 48

typedef struct golden {
    clattn_context *context;
    clattn_weights *file;
    const clattn_op *op;
    char name[128];
    void *args;
    clattn_tensor tensors[MAX_TENSORS];
    int count;
    const clattn_field *outputs[8];
    clattn_array expected[8];
    int output_count;
} golden;

static clattn_dtype device_type(clattn_file_dtype dtype) {
    return dtype == CLATTN_FILE_F32 ? CLATTN_F32 : dtype == CLATTN_FILE_I32 ? CLATTN_I32 : CLATTN_U8;
}

static clattn_tensor *upload(golden *g, const clattn_array *array, const void *data) {
    cr_assert_lt(g->count, MAX_TENSORS);
    clattn_tensor *tensor = &g->tensors[g->count++];
    cr_assert_eq(clattn_tensor_create(g->context, tensor, device_type(array->dtype), array->rank, array->shape, data), CLATTN_OK, "%s", clattn_message(g->context));
    return tensor;
}

static const clattn_field *input_field(const clattn_op *op, const char *name, int *index) {
    char base[64];
    const size_t stem = strcspn(name, "0123456789");
    const clattn_field *field = clattn_op_field(op, name, false);
    *index = 0;
    if (field && !(field->flags & CLATTN_FIELD_LIST)) return field;
    snprintf(base, sizeof base, "%.*s", (int)stem, name);
    *index = atoi(name + stem);
    return clattn_op_field(op, base, false);
}

static void add_tensor(golden *g, const char *name, const clattn_array *array) {
    const bool input = strncmp(name, "in/", 3) == 0;
    int index = 0;
    const clattn_field *field = input ? input_field(g->op, name + 3, &index) : clattn_op_field(g->op, name + 4, true);
    cr_assert_not_null(field, "%s: %s has no %s", g->name, g->op->name, name);
    clattn_tensor *tensor = upload(g, array, input ? array->data : NULL);
    ((clattn_tensor **)((char *)g->args + field->offset))[index] = tensor;
    if (input) return;
    g->outputs[g->output_count] = field;
    g->expected[g->output_count++] = *array;
}

static void set_parameters(golden *g) {
    char key[160], message[256];
    snprintf(key, sizeof key, "%s/set", g->name);
    const char *text = clattn_weights_metadata(g->file, key);
    while (text && *text) {
        char line[256];
        const size_t length = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        char *equals = strchr(line, '=');
        cr_assert_not_null(equals, "%s: bad parameter %s", g->name, line);
        *equals = '\0';
        const clattn_field *field = clattn_op_field(g->op, line, false);
        cr_assert_not_null(field, "%s has no parameter %s", g->op->name, line);
        cr_assert_eq(clattn_field_set(g->op, field, g->args, equals + 1, message, sizeof message), CLATTN_OK, "%s", message);
        text += length + (text[length] == '\n');
    }
}

static void load_case(golden *g) {
    char prefix[160];
    const size_t length = (size_t)snprintf(prefix, sizeof prefix, "%s/", g->name);
    for (size_t i = 0; i < clattn_weights_count(g->file); i++) {
        const char *name = clattn_weights_name(g->file, i);
        clattn_array array;
        if (strncmp(name, prefix, length)) continue;
        cr_assert_eq(clattn_weights_get(g->file, name, &array, NULL, 0), CLATTN_OK);
        add_tensor(g, name + length, &array);
    }
    set_parameters(g);
}

static void to_double(const clattn_array *array, double *values) {
    const int64_t count = clattn_array_count(array);
    for (int64_t i = 0; i < count; i++) values[i] = array->dtype == CLATTN_FILE_I32 ? (double)((const int32_t *)array->data)[i] : (double)((const float *)array->data)[i];
}

static void expect_close(const golden *g, int k, const float *found, const clattn_bounds *bounds, const char *who) {
    const int64_t count = clattn_array_count(&g->expected[k]);
    double *expected = malloc(((size_t)count + 1) * sizeof *expected);
    cr_assert_not_null(expected);
    to_double(&g->expected[k], expected);
    const clattn_comparison r = clattn_compare(found, CLATTN_F32, expected, count, bounds);
    cr_expect(r.ok, "%s %s (%s): %s element %lld is %.9g, the peer has %.9g (largest error %.3g)", g->op->name, g->name, who, g->outputs[k]->name, (long long)r.worst, (double)found[r.worst < 0 ? 0 : r.worst], expected[r.worst < 0 ? 0 : r.worst], r.max_abs);
    free(expected);
}

static size_t output_index(const golden *g, int k) {
    size_t index = 0;
    for (const clattn_field *f = g->op->fields; f != g->outputs[k]; f++) index += f->kind == CLATTN_FIELD_OUTPUT;
    return index;
}

static clattn_bounds compare_reference(const golden *g) {
    double *results[8] = { NULL };
    clattn_bounds bounds;
    for (int k = 0; k < g->output_count; k++) {
        results[output_index(g, k)] = malloc(((size_t)clattn_array_count(&g->expected[k]) + 1) * sizeof(double));
        cr_assert_not_null(results[output_index(g, k)]);
    }
    cr_assert_eq(clattn_op_reference(g->context, g->op, g->args, results, &bounds), CLATTN_OK, "%s: %s", g->name, clattn_message(g->context));
    for (int k = 0; k < g->output_count; k++) {
        double *values = results[output_index(g, k)];
        const int64_t count = clattn_array_count(&g->expected[k]);
        float *found = malloc(((size_t)count + 1) * sizeof *found);
        cr_assert_not_null(found);
        for (int64_t i = 0; i < count; i++) found[i] = (float)values[i];
        expect_close(g, k, found, &(clattn_bounds){ 0 }, "reference");
        free(found);
        free(values);
    }
    return bounds;
}

static int compare_variants(const golden *g, const clattn_bounds *bounds) {
    const char *variant;
    int runs = 0;
    for (size_t i = 0; (variant = clattn_op_variant(g->op, i)); i++) {
        if (clattn_op_refusal(g->context, g->op, g->args, variant)) continue;
        const clattn_status status = clattn_op_run(g->context, g->op, g->args, variant, NULL);
        if (status == CLATTN_ERROR_UNSUPPORTED) continue;
        cr_expect_eq(status, CLATTN_OK, "%s: %s", g->name, clattn_message(g->context));
        for (int k = 0; k < g->output_count; k++) {
            const clattn_tensor *tensor = *(clattn_tensor **)((char *)g->args + g->outputs[k]->offset);
            float *found = contents(g->context, tensor);
            if (tensor->dtype == CLATTN_I32)
                for (int64_t n = 0; n < clattn_tensor_count(tensor); n++) found[n] = (float)((int32_t *)(void *)found)[n];
            expect_close(g, k, found, bounds, variant);
            free(found);
        }
        runs++;
    }
    return runs;
}

static void open_golden(golden *g, clattn_context *context, clattn_weights *file, const clattn_op *op, const char *name, size_t length) {
    *g = (golden){ .context = context, .file = file, .op = op, .args = calloc(1, op->args_size) };
    cr_assert_not_null(g->args);
    cr_assert_lt(length, sizeof g->name);
    memcpy(g->name, name, length);
    load_case(g);
    cr_assert_gt(g->output_count, 0, "%s has no outputs", g->name);
}

static void close_golden(golden *g) {
    for (int i = 0; i < g->count; i++) clattn_tensor_free(&g->tensors[i]);
    free(g->args);
}

/* How many variants ran. */
static int run_golden(golden *g, small_table *table) {
    const clattn_bounds bounds = compare_reference(g);
    return small_takes(table, g->context, g->op, g->args) ? compare_variants(g, &bounds) : 0;
}

void test_goldens(const char *name) {
    char path[512], message[512];
    const char *directory = getenv("CLATTN_TEST_GOLDEN");
    cr_assert_not_null(directory, "CLATTN_TEST_GOLDEN names the directory tests/golden; `meson test` sets it");
    clattn_weights *file;
    clattn_context *context = test_open();
    snprintf(path, sizeof path, "%s/ops/%s.safetensors", directory, name);
    cr_assert_eq(clattn_weights_open(&file, path, message, sizeof message), CLATTN_OK, "%s", message);
    const char *op_name = clattn_weights_metadata(file, "op");
    cr_assert_not_null(op_name, "%s names no operation", path);
    const clattn_op *op = clattn_op_find(op_name);
    cr_assert_not_null(op, "there is no operation %s", op_name);
    const char *cases = clattn_weights_metadata(file, "cases");
    cr_assert_not_null(cases, "%s lists no cases", path);
    small_table table = { 0 };
    int runs = 0;
    for (int pass = 0; pass < 2; pass++)
        for (const char *at = cases; *at;) {
            const size_t length = strcspn(at, "\n");
            golden g;
            open_golden(&g, context, file, op, at, length);
            if (pass == 0) small_see(&table, context, op, g.args);
            else runs += run_golden(&g, &table);
            close_golden(&g);
            at += length + (at[length] == '\n');
        }
    small_report(&table);
    cr_assert_gt(runs, 0, "no golden of %s ran", name);
    clattn_weights_close(&file);
    clattn_close(&context);
}
