/* clattn/registry.h - the operations as data: list them and their fields, run one by name, run its reference.
 *
 * Each operation has one description beside its code; the tool, the checks' messages, the tests, the bench and the tables
 * of the documentation are all derived from it. */
#ifndef CLATTN_REGISTRY_H
#define CLATTN_REGISTRY_H

#include <clattn/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum clattn_field_kind {
    CLATTN_FIELD_INPUT,    /* const clattn_tensor * */
    CLATTN_FIELD_OUTPUT,   /* clattn_tensor * */
    CLATTN_FIELD_BOOL,     /* bool */
    CLATTN_FIELD_TOGGLE,   /* clattn_toggle */
    CLATTN_FIELD_INT,      /* int64_t; 0 = default */
    CLATTN_FIELD_OPT_INT,  /* clattn_optional_int */
    CLATTN_FIELD_U64,      /* uint64_t */
    CLATTN_FIELD_FLOAT,    /* float; 0 = default */
    CLATTN_FIELD_OPT_FLOAT,/* clattn_optional_float */
    CLATTN_FIELD_WORD,     /* an enum (int): the index of a word */
    CLATTN_FIELD_INTS,     /* clattn_ints */
    CLATTN_FIELD_DOUBLES,  /* clattn_doubles */
    CLATTN_FIELD_WORDS     /* clattn_pools: an ordered list of words */
} clattn_field_kind;

enum {
    CLATTN_FIELD_OPTIONAL = 1, /* an input that may be absent, or an output whose being absent is the usual case */
    CLATTN_FIELD_LIST = 2,     /* an array of CLATTN_MAX_CONCAT inputs, named NAME0, NAME1, ... */
    CLATTN_FIELD_STRIDED = 4,  /* the kernels take any strides; other tensors are packed first when they are not dense */
    CLATTN_FIELD_LATER = 8,    /* refused, with a message, in this release */
    CLATTN_FIELD_REQUIRED = 16,/* a parameter without default */
    CLATTN_FIELD_IN_PLACE = 32,/* an output that may be an input of the same shape and strides */
    CLATTN_FIELD_NOT_ZERO = 64,/* zero is refused (the tool; in C zero may mean the default) */
    CLATTN_FIELD_STORED = 128  /* some variants read or write it as f16 without a copy in f32 */
};

/* What an input's or output's elements are. */
typedef enum clattn_element { CLATTN_ELEMENT_FLOAT, CLATTN_ELEMENT_INT, CLATTN_ELEMENT_BOOL } clattn_element;

/* One input, output or parameter of an operation. */
typedef struct clattn_field {
    const char *name; /* as in the tool; an output that shares its name with an input is NAME_out in C */
    clattn_field_kind kind; /* the C type and the meaning */
    size_t offset; /* in the args struct */
    int flags; /* CLATTN_FIELD_OPTIONAL and the others, joined by | */
    clattn_element element; /* tensors only */
    const char *shape;        /* tensors: "B,H,Tq,D"; "..,I"; a size may be a sum of products of letters: "N+D" */
    const char *const *words; /* WORD, WORDS: NULL-terminated; a leading "" stands for the default's slot */
    double low, high;         /* numeric range; both 0 = any finite value */
    double fallback;          /* the default */
    const char *text;         /* one line for the documentation */
    const char *value_limit;  /* INT inputs: their values are 0 or more and "<V" or "<=Tk", a size as in `shape`; NULL = any */
    const char *value_exception; /* the OPT_INT parameter whose value such an input may hold as well (cross_entropy's ignore_id); NULL = none */
} clattn_field;

/* One operation. Static storage. */
typedef struct clattn_op {
    const char *name; /* as in the tool and in clattn_NAME */
    const char *text;   /* one line: what it computes */
    const char *source; /* the paper or peer it equals */
    size_t args_size; /* bytes of the args struct */
    const clattn_field *fields; /* in the order of the documentation */
    size_t field_count; /* of `fields` */
    const struct clattn_op_code *code; /* private */
} clattn_op;

CLATTN_API size_t clattn_op_count(void);
/* In the order of the documentation; NULL outside 0..count-1. */
CLATTN_API const clattn_op *clattn_op_get(size_t index);
/* NULL if there is none of that name. */
CLATTN_API const clattn_op *clattn_op_find(const char *name);
/* The field of that name and kind class (an output shares its name with an input in a few operations); NULL if none. */
CLATTN_API const clattn_field *clattn_op_field(const clattn_op *op, const char *name, bool output);

/* Variants, in the order in which they are tried; the last fits any device. NULL past the end. */
CLATTN_API const char *clattn_op_variant(const clattn_op *op, size_t index);
/* Why clattn does not choose a variant by itself for these arguments on this context's device, mostly because it cannot serve
 * them; NULL if it would when no other came first. Valid until the next call. */
CLATTN_API const char *clattn_op_refusal(clattn_context *context, const clattn_op *op, const void *args, const char *variant);

/* The variants that this context does not use because their first use gave wrong results or could not be built: at that
 * time examples of the operation are run with the variant on a queue of clattn's own and compared with the reference; it
 * waits for these only, never for the application's queue. Whatever fits next takes the place; each demotion is logged as a
 * warning. What passes is remembered in the cache directory for this device, driver and release. Gives the reason of the
 * index-th demotion, with its operation and variant (each may be NULL); NULL past the end. */
CLATTN_API const char *clattn_op_demotion(clattn_context *context, size_t index, const clattn_op **op, const char **variant);

/* Checks the inputs and parameters of `args` (its output pointers are ignored) and gives the shape of every output in the
 * order of the fields: ranks[i], shapes[i][..], dtypes[i] for the i-th OUTPUT field; rank -1 for an output that these
 * arguments do not have. Arrays hold `capacity` entries. Tensors need no buffer. */
CLATTN_API clattn_status clattn_op_shapes(clattn_context *context, const clattn_op *op, const void *args, size_t capacity, int *ranks, int64_t (*shapes)[CLATTN_MAX_RANK], clattn_dtype *dtypes);

/* Least and largest value that an INT input may hold with these arguments (field->value_limit with its letters resolved);
 * the whole range of int32_t where the field has no limit. Kernels treat other values as the operation says (a length is
 * clamped, an id gives a zero row); who has the values on the host can refuse them. Tensors need no buffer. */
CLATTN_API clattn_status clattn_op_value_limits(clattn_context *context, const clattn_op *op, const void *args, const clattn_field *field, int64_t *low, int64_t *high);
/* The value that the input may hold beside those (field->value_exception); false if there is none. */
CLATTN_API bool clattn_op_value_exception(const clattn_op *op, const void *args, const clattn_field *field, int64_t *value);

/* Runs an operation on its args struct; `variant` NULL = the first that fits, else that one or an error that says why not.
 * `*chosen` (may be NULL) gets the name of the variant that ran. */
CLATTN_API clattn_status clattn_op_run(clattn_context *context, const clattn_op *op, const void *args, const char *variant, const char **chosen);

/* Sets one parameter of an args struct from text, as the tool's --set takes it: true/false, numbers, "1,2", words,
 * "avg+max". Unknown words, non-finite and out-of-range values are refused with a message. */
CLATTN_API clattn_status clattn_field_set(const clattn_op *op, const clattn_field *field, void *args, const char *text, char *message, size_t message_size);

/* What the reference learned about the sizes of things, for the tolerance. */
typedef struct clattn_bounds {
    double score; /* the largest absolute score of a softmax-weighted result; 0 for other operations */
    double sum;   /* the largest sqrt(n) * rms(terms) of the sums inside; 0 where results are not sums of products */
    double share; /* what an allowed approximation may cost, of the largest |expected|; 0 where there is none */
} clattn_bounds;

/* Runs the double-precision reference on the host on the same arguments (inputs are read from the device) and leaves the
 * result of each output asked for in `results[i]` for the i-th OUTPUT field (C order, room for the whole tensor; NULL
 * where args has no such output). `bounds` may be NULL. Waits. */
CLATTN_API clattn_status clattn_op_reference(clattn_context *context, const clattn_op *op, const void *args, double *const *results, clattn_bounds *bounds);

/* Floating-point operations and least bytes moved for these arguments. Waits where lengths in device memory tell how many there are. */
CLATTN_API clattn_status clattn_op_work(clattn_context *context, const clattn_op *op, const void *args, double *flops, double *bytes);

/* How far a result is from the reference. */
typedef struct clattn_comparison {
    double max_abs, max_rel; /* over the elements that are finite on both sides */
    int64_t worst;           /* index of the element furthest outside (or nearest to) the tolerance; -1 when empty */
    bool ok; /* every element is within the tolerance */
} clattn_comparison;

/* ok: |found - expected| <= atol + rtol * |expected| for every element, equal infinities, NaN only against NaN.
 * `storage`: where `found` was kept. f32 has rtol 1e-5 and atol 3e-6 a + 4 2^-24 score a + 8 2^-24 sum, a = the largest
 * |expected|; for f16 and bf16 rtol is 2e-3 and 1.6e-2, and 3e-6 becomes 1e-3 and 1e-2; a larger bounds->share replaces it. */
CLATTN_API clattn_comparison clattn_compare(const float *found, clattn_dtype storage, const double *expected, int64_t count, const clattn_bounds *bounds);

/* ---- Written cases: one line of text that makes an operation's arguments. Tests, bench and prewarm use the same. ----
 *
 *   attention query[1,2,5,16] key[1,2,7,16] value[1,2,7,16]*2 key_lengths[1]:3 mask[5,7]%0.5 causal=top_left -> out lse
 *
 * NAME[SHAPE] is a tensor of random values: floats normal with deviation 1, or *S times that; bools true with probability 0.7
 * or %P; ints uniform in 0..N-1 with <N (default 4). NAME[SHAPE]:V,V,... repeats the values given (nan and inf allowed).
 * KEY=VALUE is a parameter. After -> stand the outputs asked for (without it: the first). */
typedef struct clattn_case clattn_case;

enum {
    CLATTN_CASE_F16 = 2,    /* floats are stored as f16, */
    CLATTN_CASE_BF16 = 4,   /* or as bf16 */
    CLATTN_CASE_STRIDED = 1 /* every tensor is a transposed view with an offset in a larger buffer */
};

/* Makes the tensors (around each output lie canaries) and fills the inputs from `seed`. */
CLATTN_API clattn_status clattn_case_open(clattn_context *context, const char *text, uint64_t seed, int flags, clattn_case **made);
CLATTN_API const clattn_op *clattn_case_op(const clattn_case *c);
/* The args struct, complete with tensors; belongs to the case. */
CLATTN_API void *clattn_case_args(clattn_case *c);
/* Runs `variant` (NULL = the first that fits), compares every output with the reference and looks at the canaries. A
 * difference is CLATTN_ERROR_DRIVER with a message that shows the worst element; bad arguments give their own status. */
CLATTN_API clattn_status clattn_case_check(clattn_case *c, const char *variant);
CLATTN_API void clattn_case_close(clattn_case **c);
/* The operation's own examples, small and together reaching each of its variants' kernels; NULL past the end. */
CLATTN_API const char *clattn_op_example(const clattn_op *op, size_t index);

#ifdef __cplusplus
}
#endif
#endif
