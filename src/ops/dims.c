#include "dims.h"

#include <ctype.h>
#include <stdlib.h>

static clattn_dim_entry *find(clattn_dims *dims, const char *name, size_t length) {
    for (int i = 0; i < dims->count; i++)
        if (strlen(dims->entries[i].name) == length && memcmp(dims->entries[i].name, name, length) == 0) return &dims->entries[i];
    return NULL;
}

int64_t clattn_dim(const clattn_call *call, const char *name) {
    for (int i = 0; i < call->dims.count; i++)
        if (strcmp(call->dims.entries[i].name, name) == 0) return call->dims.entries[i].value;
    return -1;
}

static void bind(clattn_dims *dims, const char *name, size_t length, int64_t value, const char *origin, const clattn_tensor *tensor) {
    clattn_dim_entry *entry = find(dims, name, length);
    if (!entry) {
        if (dims->count == (int)CLATTN_COUNT(dims->entries) || length >= sizeof dims->entries[0].name) return;
        entry = &dims->entries[dims->count++];
        memcpy(entry->name, name, length);
        entry->name[length] = '\0';
    }
    entry->value = value;
    entry->origin = origin;
    entry->tensor = tensor;
}

void clattn_dim_set(clattn_call *call, const char *name, int64_t value) {
    bind(&call->dims, name, strlen(name), value, NULL, NULL);
}

/* One size of a shape text, "3H", "H*D", "N+D", as a sum of products: what is known of it, and the one free letter. */
typedef struct size_expression {
    int64_t known;  /* the sum of the products without a free letter */
    int64_t factor; /* of the free letter */
    const char *free_name;
    size_t free_length;
    bool solvable; /* at most one free letter, in one product */
} size_expression;

/* Sizes are never negative; beyond 2^59 they stay there, which no memory has. */
#define LARGEST_SIZE (INT64_MAX / 16)

static int64_t multiply(int64_t a, int64_t b) {
    if (a <= 0 || b <= 0) return 0;
    return a > LARGEST_SIZE / b ? LARGEST_SIZE : a * b;
}

static int64_t add(int64_t a, int64_t b) {
    return a > LARGEST_SIZE - b ? LARGEST_SIZE : a + b;
}

static const char *parse_product(clattn_dims *dims, const char *text, size_expression *e) {
    int64_t product = 1;
    const char *free_name = NULL;
    size_t free_length = 0;
    while (*text && *text != ',' && *text != '|' && *text != '+') {
        if (*text == '*') {
            text++;
        } else if (isdigit((unsigned char)*text)) {
            char *end;
            product = multiply(product, strtol(text, &end, 10));
            text = end;
        } else {
            const char *start = text;
            while (isalnum((unsigned char)*text)) text++;
            const clattn_dim_entry *entry = find(dims, start, (size_t)(text - start));
            if (entry) product = multiply(product, entry->value);
            else if (free_name) e->solvable = false;
            else free_name = start, free_length = (size_t)(text - start);
            if (text == start) text++; /* not part of the grammar */
        }
    }
    if (!free_name) {
        e->known = add(e->known, product);
    } else {
        e->solvable = e->solvable && !e->free_name;
        e->free_name = free_name;
        e->free_length = free_length;
        e->factor = product;
    }
    return text;
}

static const char *parse_size(clattn_dims *dims, const char *text, size_expression *e) {
    *e = (size_expression){ .solvable = true };
    for (;;) {
        text = parse_product(dims, text, e);
        if (*text != '+') return text;
        text++;
    }
}

const char *clattn_shape_text(const clattn_tensor *tensor, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < tensor->rank && used < size; i++) used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "," : "", (long long)tensor->shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

static int count_sizes(const char *text, size_t length) {
    int count = length ? 1 : 0;
    for (size_t i = 0; i < length; i++) count += text[i] == ',';
    return count;
}

/* The alternative of "a|b" whose number of sizes is the tensor's rank; else the first. */
static const char *alternative(const char *shape, int rank, size_t *length) {
    for (const char *start = shape;; start++) {
        const char *end = strchr(start, '|');
        *length = end ? (size_t)(end - start) : strlen(start);
        if (count_sizes(start, *length) == rank) return start;
        if (!end) break;
        start = end;
    }
    const char *bar = strchr(shape, '|');
    *length = bar ? (size_t)(bar - shape) : strlen(shape);
    return shape;
}

static clattn_status fail_rank(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor) {
    char found[160];
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not fit [%s]: wrong rank %d", name, clattn_shape_text(tensor, found, sizeof found), field->shape + (field->shape[0] == '~'), tensor->rank);
}

static clattn_status fail_size(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor, int axis, const char *term, size_t term_length, int64_t expected) {
    char found[160], other[160];
    size_t name_length = 0;
    while (isalnum((unsigned char)term[name_length])) name_length++;
    const clattn_dim_entry *entry = name_length == term_length ? find(&call->dims, term, term_length) : NULL;
    clattn_shape_text(tensor, found, sizeof found);
    if (entry && entry->tensor)
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not fit %s %s: %.*s is %lld there, %lld here", name, found, entry->origin, clattn_shape_text(entry->tensor, other, sizeof other), (int)term_length, term, (long long)expected, (long long)tensor->shape[axis]);
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not fit [%s]: expected %.*s = %lld, found %lld", name, found, field->shape + (field->shape[0] == '~'), (int)term_length, term, (long long)expected, (long long)tensor->shape[axis]);
}

/* Checks one size against its term, or binds the term's free letter. */
static clattn_status match_size(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor, int axis, const char **term, bool broadcast) {
    size_expression e;
    const char *start = *term, *end = parse_size(&call->dims, start, &e);
    const size_t length = (size_t)(end - start);
    *term = end + (*end == ',');
    const int64_t size = tensor->shape[axis];
    if (!e.free_name) return size == e.known || (broadcast && size == 1) ? CLATTN_OK : fail_size(call, field, name, tensor, axis, start, length, e.known);
    if (!e.solvable) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s: the size %.*s is not determined", name, (int)length, start);
    const int64_t rest = size - e.known;
    if (rest < 0 || e.factor == 0 || rest % e.factor != 0) {
        char found[160];
        return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not fit [%s]: %lld is not %lld times a size plus %lld", name, clattn_shape_text(tensor, found, sizeof found), field->shape, (long long)size, (long long)e.factor, (long long)e.known);
    }
    bind(&call->dims, e.free_name, e.free_length, rest / e.factor, name, tensor);
    return CLATTN_OK;
}

static clattn_status match_rest(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor, int rest_rank) {
    clattn_dims *dims = &call->dims;
    if (rest_rank < 0) return fail_rank(call, field, name, tensor);
    if (dims->rest_rank < 0) {
        dims->rest_rank = rest_rank;
        memcpy(dims->rest, tensor->shape, sizeof dims->rest);
        return CLATTN_OK;
    }
    bool same = rest_rank == dims->rest_rank;
    for (int i = 0; i < rest_rank && same; i++) same = tensor->shape[i] == dims->rest[i];
    if (same) return CLATTN_OK;
    char found[160], expected[160];
    clattn_tensor rest = { .rank = dims->rest_rank };
    memcpy(rest.shape, dims->rest, sizeof dims->rest);
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not fit [%s]: .. is %s", name, clattn_shape_text(tensor, found, sizeof found), field->shape, clattn_shape_text(&rest, expected, sizeof expected));
}

clattn_status clattn_dims_match(clattn_call *call, const clattn_field *field, const char *name, const clattn_tensor *tensor) {
    if (field->shape[0] == '*') return CLATTN_OK; /* the operation looks itself */
    const bool broadcast = field->shape[0] == '~';
    size_t length;
    const char *text = alternative(field->shape + broadcast, tensor->rank, &length);
    int sizes = count_sizes(text, length), axis = 0;
    if (length >= 2 && text[0] == '.' && text[1] == '.') {
        const clattn_status status = match_rest(call, field, name, tensor, tensor->rank - (sizes - 1));
        if (status) return status;
        axis = tensor->rank - --sizes;
        text += length > 2 ? 3 : 2;
    } else if (broadcast) {
        if (tensor->rank < 1 || tensor->rank > sizes) return fail_rank(call, field, name, tensor);
        for (; sizes > tensor->rank; sizes--) text = strchr(text, ',') + 1;
    } else if (tensor->rank != sizes) {
        return fail_rank(call, field, name, tensor);
    }
    for (int i = 0; i < sizes; i++) {
        const clattn_status status = match_size(call, field, name, tensor, axis + i, &text, broadcast);
        if (status) return status;
    }
    return CLATTN_OK;
}

int clattn_dims_shape(const clattn_call *call, const clattn_field *field, int64_t shape[CLATTN_MAX_RANK]) {
    clattn_dims dims = call->dims; /* parsing needs it writable; nothing is bound */
    const char *text = field->shape;
    int rank = 0;
    for (int64_t skip = clattn_dim(call, "alt"); skip > 0 && strchr(text, '|'); skip--) text = strchr(text, '|') + 1;
    if (text[0] == '.' && text[1] == '.') {
        if (dims.rest_rank < 0) return -1;
        for (; rank < dims.rest_rank; rank++) shape[rank] = dims.rest[rank];
        text += text[2] == ',' ? 3 : 2;
    }
    while (*text && *text != '|') {
        size_expression e;
        text = parse_size(&dims, text, &e);
        if (e.free_name || rank == CLATTN_MAX_RANK) return -1;
        shape[rank++] = e.known;
        if (*text == ',') text++;
    }
    return rank;
}

int64_t clattn_dims_value(const clattn_call *call, const char *expression) {
    clattn_dims dims = call->dims;
    size_expression e;
    parse_size(&dims, expression, &e);
    return e.free_name ? -1 : e.known;
}

clattn_status clattn_check_broadcast(clattn_call *call, const char *name, const clattn_tensor *tensor, const char *target_name, const clattn_tensor *target) {
    char found[160], expected[160];
    bool fits = tensor->rank <= target->rank;
    for (int i = 1; i <= tensor->rank && fits; i++) {
        const int64_t size = tensor->shape[tensor->rank - i];
        fits = size == 1 || size == target->shape[target->rank - i];
    }
    if (fits) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s %s does not broadcast to %s %s", name, clattn_shape_text(tensor, found, sizeof found), target_name, clattn_shape_text(target, expected, sizeof expected));
}
