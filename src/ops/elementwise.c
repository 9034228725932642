/* Operations on two broadcast operands. */
#include "dims.h"
#include "walk.h"

#define GROUP_ELEMENTS 16384

static const clattn_field fields[] = {
    CLATTN_IN(clattn_elementwise_args, a, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape"),
    CLATTN_IN(clattn_elementwise_args, b, "*", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "any shape that broadcasts with a's, as in numpy"),
    CLATTN_OUT(clattn_elementwise_args, out, "out", "..", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED | CLATTN_FIELD_IN_PLACE, "the broadcast shape; may be an input of that shape itself"),
};

/* The size of an axis counted from the right; 1 beyond the rank. */
static int64_t size_from_right(const clattn_tensor *tensor, int axis) {
    return axis < tensor->rank ? tensor->shape[tensor->rank - 1 - axis] : 1;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_elementwise_args *args = raw;
    char a_text[160], b_text[160];
    clattn_dims *dims = &call->dims;
    dims->rest_rank = args->a->rank > args->b->rank ? args->a->rank : args->b->rank;
    for (int i = 0; i < dims->rest_rank; i++) {
        const int64_t a = size_from_right(args->a, i), b = size_from_right(args->b, i);
        if (a != b && a != 1 && b != 1)
            return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "a %s and b %s do not broadcast: %lld and %lld at axis %d from the right", clattn_shape_text(args->a, a_text, sizeof a_text), clattn_shape_text(args->b, b_text, sizeof b_text), (long long)a, (long long)b, i + 1);
        dims->rest[dims->rest_rank - 1 - i] = a == 1 ? b : a;
    }
    return CLATTN_OK;
}

static clattn_walk walk_of(const clattn_elementwise_args *args) {
    clattn_walk walk;
    clattn_walk_make(&walk, 3, (const clattn_tensor *const[]){ args->out, args->a, args->b });
    return walk;
}

/* The build option that chooses the operation. */
static const char *options_of(const clattn_call *call) {
    static const char *const table[][2] = { { "add", "-DADD" }, { "subtract", "-DSUBTRACT" }, { "multiply", "-DMULTIPLY" }, { "divide", "-DDIVIDE" }, { "maximum", "-DMAXIMUM" }, { "minimum", "-DMINIMUM" } };
    size_t i = 0;
    while (strcmp(table[i][0], call->op->name) != 0) i++;
    return table[i][1];
}

/* Vectors along rows in which each operand is contiguous or constant. */
static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const clattn_elementwise_args *args = raw;
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (!args->out) return NULL;
    const clattn_walk walk = walk_of(args);
    const int64_t a = clattn_walk_step(&walk, 1), b = clattn_walk_step(&walk, 2);
    return clattn_walk_step(&walk, 0) == 1 && (a == 0 || a == 1) && (b == 0 || b == 1) ? NULL : "the innermost axis is strided";
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const clattn_elementwise_args *args = raw;
    const clattn_walk walk = walk_of(args);
    const int64_t count = clattn_walk_count(&walk);
    const size_t groups = (size_t)((count + GROUP_ELEMENTS - 1) / GROUP_ELEMENTS);
    char options[40];
    snprintf(options, sizeof options, "%s%s", options_of(call), clattn_streams(call, args->out) ? " -DSTREAM" : "");
    return clattn_run_kernel(call, "elementwise", "rows", options, 1, (size_t[]){ groups }, (size_t[]){ 1 }, ARG_T(args->a), ARG_T(args->b), ARG_T(args->out), clattn_walk_strides(&walk, 1), clattn_walk_strides(&walk, 2), clattn_walk_strides(&walk, 0), clattn_walk_shape(&walk), ARG_I32(walk.rank - 1), ARG_I32(clattn_walk_step(&walk, 1)), ARG_I32(clattn_walk_step(&walk, 2)), ARG_I64(walk.shape[walk.rank - 1]), ARG_I64(count), ARG_I64(GROUP_ELEMENTS));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_elementwise_args *args = raw;
    const clattn_walk walk = walk_of(args);
    const int64_t count = clattn_walk_count(&walk);
    return clattn_run_kernel(call, "elementwise", "scalar", options_of(call), 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(args->a), ARG_T(args->b), ARG_T(args->out), clattn_walk_strides(&walk, 1), clattn_walk_strides(&walk, 2), clattn_walk_strides(&walk, 0), clattn_walk_shape(&walk), ARG_I32(walk.rank), ARG_I64(count));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_elementwise_args *args = raw;
    double count = 1;
    for (int i = 0; i < call->dims.rest_rank; i++) count *= (double)call->dims.rest[i];
    *flops = count;
    *bytes = 4 * (count + (double)clattn_tensor_count(args->a) + (double)clattn_tensor_count(args->b));
}

#define ELEMENTWISE(name, text, peer)                                                                                                                                                    \
    void clattn_reference_##name(const clattn_call *call, const void *args, clattn_bounds *bounds);                                                                                      \
    static const char *const name##_examples[] = { #name " a[3,40] b[40]", NULL };                                                                                                       \
    static const clattn_op_code name##_code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows scalar", .reference = clattn_reference_##name, .work = work, .examples = name##_examples }; \
    static const clattn_op op_##name = { #name, text, peer, sizeof(clattn_elementwise_args), fields, CLATTN_COUNT(fields), &name##_code };                                               \
    CLATTN_DEFINE_CALL(name)

ELEMENTWISE(add, "a + b", "torch.add")
ELEMENTWISE(subtract, "a - b", "torch.subtract")
ELEMENTWISE(multiply, "a * b", "torch.multiply")
ELEMENTWISE(divide, "a / b", "torch.divide; division by zero as in IEEE 754")
ELEMENTWISE(maximum, "the larger of a and b", "torch.maximum; NaN in either operand gives NaN")
ELEMENTWISE(minimum, "the smaller of a and b", "torch.minimum; NaN in either operand gives NaN")

const clattn_op *const clattn_ops_elementwise[] = { &op_add, &op_subtract, &op_multiply, &op_divide, &op_maximum, &op_minimum, NULL };
