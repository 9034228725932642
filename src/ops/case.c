/* Written cases: one line of text makes an operation's arguments, with canaries around the outputs. */
#include "check.h"
#include "dims.h"

#include <ctype.h>
#include <stdlib.h>

#define MAX_TENSORS 40
#define MARGIN 64 /* canary elements before and after every tensor */
#define CANARY 0x5a

struct clattn_case {
    clattn_context *context;
    const clattn_op *op;
    void *args;
    char *text;
    uint64_t random;
    int flags;
    clattn_tensor tensors[MAX_TENSORS]; /* views inside the whole buffers */
    clattn_tensor whole[MAX_TENSORS];
    bool digested[MAX_TENSORS];
    uint64_t digests[MAX_TENSORS];
    int count;
};

/* ---- Random values (splitmix64) ---- */

static double uniform(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static double normal(uint64_t *state) {
    const double u = 1 - uniform(state), v = uniform(state);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* How one tensor is to be filled. */
typedef struct filling {
    double scale, probability;
    int64_t limit;
    const char *values; /* the text after ':'; NULL = random */
} filling;

/* To an integer of low..high; NaN becomes low. */
static double clamped(double value, double low, double high) {
    return value > low ? fmin(value, high) : low;
}

static void put(void *host, clattn_dtype dtype, int64_t i, double value) {
    const float small = (float)value;
    if (dtype == CLATTN_F32) ((float *)host)[i] = small;
    else if (dtype == CLATTN_F16 || dtype == CLATTN_BF16) clattn_floats_store(dtype, &small, (uint16_t *)host + i, 1);
    else if (dtype == CLATTN_I32) ((int32_t *)host)[i] = (int32_t)clamped(value, INT32_MIN, INT32_MAX);
    else ((uint8_t *)host)[i] = (uint8_t)clamped(value, 0, UINT8_MAX);
}

static void fill_listed(void *host, clattn_dtype dtype, int64_t count, const char *values) {
    const char *at = values;
    for (int64_t i = 0; i < count; i++) {
        char *end;
        put(host, dtype, i, strtod(at, &end));
        at = *end == ',' ? end + 1 : values;
    }
}

static void fill(clattn_case *c, void *host, clattn_dtype dtype, int64_t count, const filling *f) {
    if (f->values) {
        fill_listed(host, dtype, count, f->values);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (dtype == CLATTN_I32) put(host, dtype, i, floor(uniform(&c->random) * (double)f->limit));
        else if (dtype == CLATTN_U8) put(host, dtype, i, uniform(&c->random) < f->probability);
        else put(host, dtype, i, f->scale * normal(&c->random));
    }
}

/* ---- Tensors ---- */

/* A view of `shape` inside a larger buffer: dense with margins, or with the axes of memory reversed and each padded. */
static clattn_status place(clattn_case *c, clattn_dtype dtype, int rank, const int64_t *shape, clattn_tensor **made) {
    if (c->count == MAX_TENSORS) return clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: too many tensors");
    clattn_tensor view = { .dtype = dtype, .rank = rank, .offset = MARGIN };
    int64_t stride = 1;
    for (int k = 0; k < rank; k++)
        if (shape[k] < 0 || stride > INT32_MAX || (stride *= shape[k] + 1) > INT32_MAX) return clattn_fail(c->context, CLATTN_ERROR_SHAPE, "case: size %lld of axis %d is negative or too large", (long long)shape[k], k);
    stride = 1;
    for (int k = 0; k < rank; k++) {
        const int i = c->flags & CLATTN_CASE_STRIDED ? k : rank - 1 - k;
        view.shape[i] = shape[i];
        view.strides[i] = stride;
        stride *= c->flags & CLATTN_CASE_STRIDED ? shape[i] + 1 : shape[i];
    }
    clattn_tensor *whole = &c->whole[c->count];
    const clattn_status status = clattn_tensor_create(c->context, whole, dtype, 1, (int64_t[]){ stride + 2 * MARGIN }, NULL);
    if (status) return status;
    view.buffer = whole->buffer;
    c->tensors[c->count] = view;
    *made = &c->tensors[c->count++];
    return clattn_enqueue_fill(c->context, whole->buffer, 0, (size_t)whole->shape[0] * clattn_dtype_size(dtype), CANARY);
}

/* How this case stores floats. */
static clattn_dtype float_type(const clattn_case *c) {
    return c->flags & CLATTN_CASE_F16 ? CLATTN_F16 : c->flags & CLATTN_CASE_BF16 ? CLATTN_BF16 : CLATTN_F32;
}

static clattn_status make_input(clattn_case *c, const clattn_field *field, int index, int rank, const int64_t *shape, const filling *f) {
    const clattn_dtype types[] = { float_type(c), CLATTN_I32, CLATTN_U8 };
    clattn_tensor *tensor;
    const clattn_dtype dtype = types[field->element];
    clattn_status status = place(c, dtype, rank, shape, &tensor);
    if (status) return status;
    const int64_t count = clattn_tensor_count(tensor);
    void *host = malloc((size_t)count * clattn_dtype_size(dtype) + 1);
    if (!host) return clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    fill(c, host, dtype, count, f);
    status = clattn_tensor_write(c->context, tensor, host);
    free(host);
    clattn_field_put(field, c->args, index, tensor);
    return status;
}

static clattn_status make_output(clattn_case *c, const char *name) {
    int ranks[8];
    int64_t shapes[8][CLATTN_MAX_RANK];
    clattn_dtype dtypes[8];
    size_t output = 0;
    const clattn_field *field = clattn_op_field(c->op, name, true);
    if (!field) return clattn_fail(c->context, CLATTN_ERROR_ARGUMENT, "case: %s has no output %s", c->op->name, name);
    clattn_status status = clattn_op_shapes(c->context, c->op, c->args, CLATTN_COUNT(ranks), ranks, shapes, dtypes);
    if (status) return status;
    for (const clattn_field *f = c->op->fields; f != field; f++) output += f->kind == CLATTN_FIELD_OUTPUT;
    if (ranks[output] < 0) return clattn_fail(c->context, CLATTN_ERROR_ARGUMENT, "case: %s has no output %s for these arguments", c->op->name, name);
    clattn_tensor *tensor;
    status = place(c, dtypes[output] == CLATTN_F32 ? float_type(c) : dtypes[output], ranks[output], shapes[output], &tensor);
    if (!status) clattn_field_put(field, c->args, 0, tensor);
    return status;
}

/* ---- Parsing ---- */

static clattn_status bad_word(clattn_case *c, const char *word) {
    return clattn_fail(c->context, CLATTN_ERROR_ARGUMENT, "case: cannot read \"%s\" in: %s", word, c->text);
}

static const clattn_field *find_input(const clattn_op *op, const char *name, int *index) {
    *index = 0;
    const clattn_field *field = clattn_op_field(op, name, false);
    if (field && !(field->flags & CLATTN_FIELD_LIST)) return field;
    const size_t stem = strcspn(name, "0123456789");
    char base[48];
    if (!name[stem] || stem >= sizeof base) return NULL;
    memcpy(base, name, stem);
    base[stem] = '\0';
    *index = atoi(name + stem);
    field = clattn_op_field(op, base, false);
    return field && (field->flags & CLATTN_FIELD_LIST) && *index >= 0 && *index < CLATTN_MAX_CONCAT ? field : NULL;
}

static bool parse_shape(char **text, int *rank, int64_t *shape) {
    char *at = *text;
    for (*rank = 0; *at && *at != ']';) {
        if (*rank == CLATTN_MAX_RANK) return false;
        char *end;
        shape[(*rank)++] = strtoll(at, &end, 10);
        if (end == at) return false;
        at = end + (*end == ',');
    }
    *text = at + 1;
    return *at == ']';
}

/* "1,nan,-2.5e3": what fill_listed repeats. */
static bool is_list(const char *text) {
    for (char *end;; text = end + 1) {
        strtod(text, &end);
        if (end == text || (*end && *end != ',')) return false;
        if (!*end) return true;
    }
}

static bool parse_filling(char *text, filling *f) {
    *f = (filling){ .scale = 1, .probability = 0.7, .limit = 4 };
    while (*text) {
        const char kind = *text++;
        char *end = text;
        if (kind == ':') {
            f->values = text;
            return is_list(text);
        }
        if (kind == '*') f->scale = strtod(text, &end);
        else if (kind == '%') f->probability = strtod(text, &end);
        else if (kind == '<') f->limit = strtoll(text, &end, 10);
        if (end == text) return false;
        text = end;
    }
    return true;
}

static clattn_status parse_tensor(clattn_case *c, char *word, char *bracket) {
    int64_t shape[CLATTN_MAX_RANK];
    int rank, index;
    filling f;
    *bracket = '\0';
    const clattn_field *field = find_input(c->op, word, &index);
    char *rest = bracket + 1;
    if (!field || field->kind != CLATTN_FIELD_INPUT || !parse_shape(&rest, &rank, shape) || !parse_filling(rest, &f)) return bad_word(c, word);
    return make_input(c, field, index, rank, shape, &f);
}

static clattn_status parse_parameter(clattn_case *c, char *word) {
    char *equals = strchr(word, '='), message[256];
    if (!equals) return bad_word(c, word);
    *equals = '\0';
    const clattn_field *field = clattn_op_field(c->op, word, false);
    if (!field || field->kind == CLATTN_FIELD_INPUT) return bad_word(c, word);
    const clattn_status status = clattn_field_set(c->op, field, c->args, equals + 1, message, sizeof message);
    return status ? clattn_fail(c->context, status, "case: %s", message) : CLATTN_OK;
}

/* Cuts the next word off `*rest`; NULL at the end. */
static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " "), *end = word + strcspn(word, " ");
    if (!*word) return NULL;
    *rest = end + (*end != '\0');
    *end = '\0';
    return word;
}

static const char *first_output(const clattn_op *op) {
    const clattn_field *field = op->fields;
    while (field->kind != CLATTN_FIELD_OUTPUT) field++;
    return field->name;
}

static clattn_status parse(clattn_case *c) {
    char *rest = c->text, *word = next_word(&rest);
    bool outputs = false, any = false;
    clattn_status status = CLATTN_OK;
    c->op = word ? clattn_op_find(word) : NULL;
    if (!c->op) return clattn_fail(c->context, CLATTN_ERROR_ARGUMENT, "case: no operation \"%s\"", word ? word : "");
    c->args = calloc(1, c->op->args_size);
    if (!c->args) return clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    while (!status && (word = next_word(&rest))) {
        char *bracket = strchr(word, '[');
        if (strcmp(word, "->") == 0) outputs = true;
        else if (outputs) any = true, status = make_output(c, word);
        else if (bracket) status = parse_tensor(c, word, bracket);
        else status = parse_parameter(c, word);
    }
    return status || any ? status : make_output(c, first_output(c->op));
}

clattn_status clattn_case_open(clattn_context *context, const char *text, uint64_t seed, int flags, clattn_case **made) {
    if (!made) return CLATTN_ERROR_ARGUMENT;
    *made = NULL;
    if (!context || !clattn_context_device(context) || !text) return CLATTN_ERROR_ARGUMENT;
    const size_t size = strlen(text) + 1;
    clattn_case *c = *made = calloc(1, sizeof *c);
    char *copy = malloc(size);
    if (!c || !copy) {
        free(c);
        free(copy);
        *made = NULL;
        return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    }
    memcpy(copy, text, size);
    *c = (clattn_case){ .context = context, .text = copy, .random = seed, .flags = flags };
    const clattn_status status = parse(c);
    if (status) clattn_case_close(made);
    return status;
}

void clattn_case_close(clattn_case **made) {
    clattn_case *c = made ? *made : NULL;
    if (!c) return;
    *made = NULL;
    for (int i = 0; i < c->count; i++) clattn_tensor_free(&c->whole[i]);
    free(c->args);
    free(c->text);
    free(c);
}

const clattn_op *clattn_case_op(const clattn_case *c) {
    return c->op;
}

void *clattn_case_args(clattn_case *c) {
    return c->args;
}

/* ---- Checking ---- */

static uint64_t digest(const unsigned char *bytes, size_t size) {
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

static bool is_output(const clattn_case *c, int index) {
    for (size_t i = 0; i < c->op->field_count; i++)
        if (c->op->fields[i].kind == CLATTN_FIELD_OUTPUT && clattn_field_tensor(&c->op->fields[i], c->args, 0) == &c->tensors[index]) return true;
    return false;
}

/* The whole buffer of an input must stay as it is: once its digest is taken, it is compared. */
static clattn_status check_input(clattn_case *c, int index) {
    const clattn_tensor *whole = &c->whole[index];
    const size_t bytes = (size_t)whole->shape[0] * clattn_dtype_size(whole->dtype);
    unsigned char *host = malloc(bytes);
    if (!host) return clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    const clattn_status status = clattn_tensor_read(c->context, whole, host);
    const uint64_t found = status ? 0 : digest(host, bytes);
    free(host);
    if (status) return status;
    if (c->digested[index] && found != c->digests[index]) return clattn_fail(c->context, CLATTN_ERROR_DRIVER, "%s: wrote to an input or around it (tensor %d of the case)", c->op->name, index);
    c->digested[index] = true;
    c->digests[index] = found;
    return CLATTN_OK;
}

static clattn_status check_inputs(clattn_case *c) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < c->count && !status; i++)
        if (!is_output(c, i)) status = check_input(c, i);
    return status;
}

/* Marks the elements of an output's whole buffer that belong to the view; every other byte must still be the canary. */
static clattn_status check_canaries(clattn_case *c, int index) {
    const clattn_tensor *whole = &c->whole[index], *view = &c->tensors[index];
    const int64_t total = whole->shape[0], count = clattn_tensor_count(view);
    const size_t size = clattn_dtype_size(whole->dtype);
    unsigned char *bytes = malloc((size_t)total * size), *ours = calloc((size_t)total, 1);
    clattn_status status = bytes && ours ? clattn_tensor_read(c->context, whole, bytes) : clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    int64_t position[CLATTN_MAX_RANK] = { 0 };
    for (int64_t n = 0; n < count && !status; n++) {
        int64_t at = view->offset;
        for (int i = 0; i < view->rank; i++) at += position[i] * view->strides[i];
        ours[at] = 1;
        for (int i = view->rank - 1; i >= 0 && ++position[i] == view->shape[i]; i--) position[i] = 0;
    }
    for (int64_t i = 0; i < total && !status; i++)
        for (size_t b = 0; b < size && !ours[i] && !status; b++)
            if (bytes[(size_t)i * size + b] != CANARY) status = clattn_fail(c->context, CLATTN_ERROR_DRIVER, "%s: wrote outside a tensor, at element %lld of its buffer (the tensor starts at %lld)", c->op->name, (long long)i, (long long)view->offset);
    free(bytes);
    free(ours);
    return status;
}

static clattn_status compare(clattn_case *c, const clattn_field *field, const double *expected, const clattn_bounds *bounds, const char *variant) {
    const clattn_tensor *tensor = clattn_field_tensor(field, c->args, 0);
    const int64_t count = clattn_tensor_count(tensor);
    float *found = malloc(((size_t)count + 1) * sizeof *found);
    void *raw = malloc(((size_t)count + 1) * clattn_dtype_size(tensor->dtype));
    clattn_status status = found && raw ? clattn_tensor_read(c->context, tensor, raw) : clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
    if (!status && tensor->dtype != CLATTN_I32) clattn_floats_load(tensor->dtype, raw, found, count);
    for (int64_t i = 0; i < count && !status && tensor->dtype == CLATTN_I32; i++) found[i] = (float)((int32_t *)raw)[i];
    free(raw);
    const clattn_comparison r = status ? (clattn_comparison){ .ok = true } : clattn_compare(found, tensor->dtype, expected, count, bounds);
    if (!r.ok) {
        char text[160];
        status = clattn_fail(c->context, CLATTN_ERROR_DRIVER, "%s/%s: %s %s differs from the reference: element %lld is %.9g, expected %.9g (largest error %.3g)", c->op->name, variant, field->name, clattn_shape_text(tensor, text, sizeof text), (long long)r.worst, (double)found[r.worst], expected[r.worst], r.max_abs);
    }
    free(found);
    return status;
}

static clattn_status compare_outputs(clattn_case *c, const char *variant) {
    double *results[8] = { NULL };
    clattn_bounds bounds;
    size_t output = 0;
    clattn_status status = CLATTN_OK;
    for (size_t i = 0; i < c->op->field_count; i++) {
        const clattn_field *field = &c->op->fields[i];
        const clattn_tensor *tensor = field->kind == CLATTN_FIELD_OUTPUT ? clattn_field_tensor(field, c->args, 0) : NULL;
        if (tensor && !(results[output] = malloc(((size_t)clattn_tensor_count(tensor) + 1) * sizeof(double)))) status = clattn_fail(c->context, CLATTN_ERROR_OUT_OF_MEMORY, "case: out of host memory");
        output += field->kind == CLATTN_FIELD_OUTPUT;
    }
    if (!status) status = clattn_op_reference(c->context, c->op, c->args, results, &bounds);
    output = 0;
    for (size_t i = 0; i < c->op->field_count; i++) {
        if (c->op->fields[i].kind != CLATTN_FIELD_OUTPUT) continue;
        if (results[output] && !status) status = compare(c, &c->op->fields[i], results[output], &bounds, variant);
        free(results[output++]);
    }
    return status;
}

clattn_status clattn_case_check(clattn_case *c, const char *variant) {
    const char *chosen = "?";
    clattn_status status = check_inputs(c);
    if (!status) status = clattn_op_run(c->context, c->op, c->args, variant, &chosen);
    if (!status) status = check_inputs(c);
    if (!status) status = compare_outputs(c, chosen);
    for (int i = 0; i < c->count && !status; i++)
        if (is_output(c, i)) status = check_canaries(c, i);
    return status;
}

/* ---- Prewarm: every example once ---- */

static clattn_status warm(clattn_context *context, const char *text) {
    clattn_case *c;
    clattn_status status = clattn_case_open(context, text, 1, 0, &c);
    if (!status) status = clattn_op_run(context, clattn_case_op(c), clattn_case_args(c), NULL, NULL);
    if (!status) status = clattn_finish(context);
    clattn_case_close(&c);
    return status;
}

static size_t count_examples(const clattn_op *op) {
    size_t count = 0;
    while (clattn_op_example(op, count)) count++;
    return count;
}

clattn_status clattn_prewarm(clattn_context *context, const char *const *names, size_t count, clattn_progress_fn progress, void *user) {
    size_t total = 0, done = 0;
    if (!context || !clattn_context_device(context)) return CLATTN_ERROR_ARGUMENT;
    if (!names) count = clattn_op_count();
    for (size_t i = 0; i < count; i++) {
        const clattn_op *op = names ? clattn_op_find(names[i]) : clattn_op_get(i);
        if (!op) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "prewarm: there is no operation \"%s\"", names && names[i] ? names[i] : "(NULL)");
        total += count_examples(op);
    }
    for (size_t i = 0; i < count; i++) {
        const clattn_op *op = names ? clattn_op_find(names[i]) : clattn_op_get(i);
        const char *example;
        for (size_t k = 0; (example = clattn_op_example(op, k)); k++) {
            if (progress && !progress(user, done, total, example)) return CLATTN_OK;
            const clattn_status status = warm(context, example);
            if (status) return status;
            done++;
        }
    }
    clattn_kernels_keep(context);
    if (progress) progress(user, done, total, "done");
    return CLATTN_OK;
}
