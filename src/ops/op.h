/* What an operation is made of. Each family's file describes its operations with these and lists them in
 * `const clattn_op *const clattn_ops_<file>[]` (NULL-terminated); Meson's list of files makes the registry. */
#ifndef CLATTN_OPS_OP_H
#define CLATTN_OPS_OP_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <clattn/tuning.h>

#include "../device/device.h"

/* ---- Sizes bound to the letters of the shapes ---- */

typedef struct clattn_dim_entry {
    char name[16];
    int64_t value;
    const char *origin;          /* the field that bound it */
    const clattn_tensor *tensor; /* the field's tensor; NULL for a parameter */
} clattn_dim_entry;

typedef struct clattn_dims {
    clattn_dim_entry entries[32];
    int count;
    int rest_rank; /* the axes that ".." stands for; -1 until bound */
    int64_t rest[CLATTN_MAX_RANK];
} clattn_dims;

#define CLATTN_MAX_LOCALS 64

/* One call of one operation, from the checks to the last launch. */
typedef struct clattn_call {
    clattn_context *context;
    const clattn_op *op;
    clattn_dims dims;
    clattn_tensor locals[CLATTN_MAX_LOCALS]; /* packed copies and scratch: released when the call returns */
    int local_count;
    struct {
        clattn_buffer *weight, *packed;
    } kept[CLATTN_MAX_LOCALS]; /* packed forms kept by this call: forgotten when it fails before they are filled */
    int kept_count;
    bool half; /* the variant that runs was given f16 (or bf16, to be moved) as it is: its kernels get -DHALF */
    const clattn_setting *setting; /* what is tuned; NULL: nothing */
    bool forced;                   /* by clattn_tuning_force: a variant that it does not fit refuses */
} clattn_call;

/* The size bound to a name; -1 if none. */
int64_t clattn_dim(const clattn_call *call, const char *name);
void clattn_dim_set(clattn_call *call, const char *name, int64_t value);

/* Keeps the message, with the operation's name before it. */
clattn_status clattn_call_fail(clattn_call *call, clattn_status status, const char *format, ...) CLATTN_PRINTF(3, 4);

/* ---- The description's private part ---- */

typedef struct clattn_variant {
    const char *name;
    /* Why it cannot serve these arguments; NULL when it can (or when the function is NULL). It must not look at which
     * outputs are asked for. */
    const char *(*refusal)(const clattn_call *call, const void *args);
    clattn_status (*enqueue)(clattn_call *call, const void *args);
} clattn_variant;

typedef struct clattn_op_code {
    /* Before the shapes are matched, on the call's own copy of args in which parameters already have their defaults: fill
     * in inputs that default to others, bind sizes that parameters give. May be NULL. Tensors may be NULL here. */
    clattn_status (*prepare)(clattn_call *call, void *args);
    /* After the inputs are matched: bind the sizes of outputs, check what the shapes cannot say. May be NULL. */
    clattn_status (*infer)(clattn_call *call, const void *args);
    const clattn_variant *variants; /* in order of preference; the last fits everything */
    size_t variant_count;
    /* The variants, separated by spaces, whose kernels read and write f16 themselves (STORED in common.cl) where all
     * tensors of CLATTN_FIELD_STORED are f16. NULL = none. */
    const char *half;
    bool moves; /* these variants take bf16 too: they only move what is stored */
    /* Why a variant that could serve is left to those who ask for it by name; NULL when it may be chosen. May be NULL. */
    const char *(*reserve)(const clattn_call *call, const void *args, const clattn_variant *variant);
    /* All tensors are host tensors (ref_at in reference.h): C order, double. */
    void (*reference)(const clattn_call *call, const void *args, clattn_bounds *bounds);
    void (*work)(const clattn_call *call, const void *args, double *flops, double *bytes);
    const char *const *examples; /* NULL-terminated cases */
    /* What can be tuned; NULL: nothing, and the members below are NULL too. A variant serves any shape with any of the values, or
     * its refusal says why not. The list ends with an entry without a name. */
    const clattn_tunable *tunables;
    /* Writes the class of shapes for which a setting is kept: few words, sizes by clattn_class_size. The types in which
     * tensors are stored are no part of it. */
    void (*shape_class)(const clattn_call *call, const void *args, char *text, size_t size);
    const char *kernels;             /* the files of cl/ that its variants launch, separated by spaces: when they change, settings are stale */
    const char *const *tuning_cases; /* NULL-terminated: what `clattn tune` measures unless it is told */
} clattn_op_code;

/* ---- Describing fields ---- */

#define CLATTN_IN(type, member, shape_text, flag_bits, line) { .name = #member, .kind = CLATTN_FIELD_INPUT, .offset = offsetof(type, member), .flags = (flag_bits), .shape = (shape_text), .text = (line) }
#define CLATTN_IN_INT(type, member, shape_text, flag_bits, line) { .name = #member, .kind = CLATTN_FIELD_INPUT, .offset = offsetof(type, member), .flags = (flag_bits), .element = CLATTN_ELEMENT_INT, .shape = (shape_text), .text = (line) }
/* With a limit on its values, "<V" or "<=Tk": see clattn_field. */
#define CLATTN_IN_INT_LIMITED(type, member, shape_text, limit_text, flag_bits, line) { .name = #member, .kind = CLATTN_FIELD_INPUT, .offset = offsetof(type, member), .flags = (flag_bits), .element = CLATTN_ELEMENT_INT, .shape = (shape_text), .value_limit = (limit_text), .text = (line) }
#define CLATTN_IN_BOOL(type, member, shape_text, flag_bits, line) { .name = #member, .kind = CLATTN_FIELD_INPUT, .offset = offsetof(type, member), .flags = (flag_bits), .element = CLATTN_ELEMENT_BOOL, .shape = (shape_text), .text = (line) }
/* `label` is the tool's name: "h" for the member h_out. */
#define CLATTN_OUT(type, member, label, shape_text, flag_bits, line) { .name = (label), .kind = CLATTN_FIELD_OUTPUT, .offset = offsetof(type, member), .flags = (flag_bits), .shape = (shape_text), .text = (line) }
#define CLATTN_OUT_INT(type, member, label, shape_text, flag_bits, line) { .name = (label), .kind = CLATTN_FIELD_OUTPUT, .offset = offsetof(type, member), .flags = (flag_bits), .element = CLATTN_ELEMENT_INT, .shape = (shape_text), .text = (line) }
#define CLATTN_PARAM(type, member, label, field_kind, default_value, lowest, highest, line) { .name = (label), .kind = (field_kind), .offset = offsetof(type, member), .fallback = (default_value), .low = (lowest), .high = (highest), .text = (line) }
#define CLATTN_PARAM_WORD(type, member, label, word_list, default_value, line) { .name = (label), .kind = CLATTN_FIELD_WORD, .offset = offsetof(type, member), .words = (word_list), .fallback = (default_value), .text = (line) }
#define CLATTN_PARAM_WORDS(type, member, label, word_list, line) { .name = (label), .kind = CLATTN_FIELD_WORDS, .offset = offsetof(type, member), .words = (word_list), .text = (line) }

#define CLATTN_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The words of clattn_activation_kind, the default's slot first. */
extern const char *const clattn_activation_words[];
extern const char *const clattn_pool_words[]; /* avg max lp lse */

/* Defines clattn_<name>(context, args). */
#define CLATTN_DEFINE_CALL(name)                                                                                       \
    clattn_status clattn_##name(clattn_context *context, const clattn_##name##_args *args) {                           \
        return clattn_op_run(context, &op_##name, args, NULL, NULL);                                                   \
    }

/* ---- For enqueue functions ---- */

static inline int64_t clattn_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

const clattn_device_info *clattn_call_device(const clattn_call *call);
/* True on CPU devices with at least `local_bytes` of local memory: where work-groups of one with float16 are the fast form. */
bool clattn_call_cpu(const clattn_call *call, size_t local_bytes);
/* How many float16 of sums a CPU kernel may hold in registers, beside what they are made of. */
int clattn_call_sums(const clattn_call *call);

/* The value of a tunable of the call's operation where a setting has one, else `fallback`. */
int clattn_tuned(const clattn_call *call, const char *name, int64_t fallback);
/* The power of two that is nearest, 768 to 1535 being 1024; 0 for 0. */
int64_t clattn_class_size(int64_t size);

/* A dense tensor of pooled memory that lives until the call returns. */
clattn_status clattn_scratch(clattn_call *call, clattn_tensor *tensor, clattn_dtype dtype, int rank, const int64_t *shape);
/* Copies between tensors of the same shape and type, any strides. */
clattn_status clattn_copy(clattn_call *call, const clattn_tensor *destination, const clattn_tensor *source);

/* The packed form of a weight under `key`: found when the weight is frozen and was packed before (*fresh = false), else a
 * new buffer of `size` bytes to be filled now (*fresh = true); kept with a frozen weight. */
clattn_status clattn_packed(clattn_call *call, const clattn_tensor *weight, const char *key, size_t size, clattn_buffer **buffer, bool *fresh);

/* Refuses a tensor that does not broadcast from the right to `target`'s shape. */
clattn_status clattn_check_broadcast(clattn_call *call, const char *name, const clattn_tensor *tensor, const char *target_name, const clattn_tensor *target);

bool clattn_tensor_dense(const clattn_tensor *tensor);
/* Whether a CPU kernel that writes all of the tensor gains by stores past the caches (-DSTREAM, cl/stream.cl). */
bool clattn_streams(const clattn_call *call, const clattn_tensor *tensor);
/* The same of a kernel that writes a row as soon as it has read it whole: it gains only where the last cache has no room. */
bool clattn_streams_rows(const clattn_call *call, const clattn_tensor *tensor);

static inline clattn_arg clattn_arg_tensor(const clattn_tensor *tensor) {
    clattn_arg arg = { .kind = CLATTN_ARG_BUFFER };
    if (tensor) {
        arg.as.memory.buffer = tensor->buffer;
        arg.as.memory.offset = tensor->offset;
    }
    return arg;
}
static inline clattn_arg clattn_arg_i64x4(int64_t a, int64_t b, int64_t c, int64_t d) {
    return (clattn_arg){ .kind = CLATTN_ARG_I64X4, .as = { .i64 = { a, b, c, d } } };
}
/* A buffer and its offset in elements: two kernel arguments, `__global T *x, long x_offset`. A NULL tensor is a NULL pointer. */
#define ARG_T(tensor) clattn_arg_tensor(tensor)
#define ARG_BUFFER(b) ((clattn_arg){ .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = (b), .offset = 0 } } })
#define ARG_I32(value) ((clattn_arg){ .kind = CLATTN_ARG_I32, .as = { .i32 = (int32_t)(value) } })
#define ARG_I64(value) ((clattn_arg){ .kind = CLATTN_ARG_I64, .as = { .i64 = { (int64_t)(value) } } })
#define ARG_F32(value) ((clattn_arg){ .kind = CLATTN_ARG_F32, .as = { .f32 = (float)(value) } })
#define ARG_LOCAL(bytes) ((clattn_arg){ .kind = CLATTN_ARG_LOCAL, .as = { .local_bytes = (bytes) } })
/* A tensor's strides from axis 0 as a long4 / long8 (missing axes 0). */
clattn_arg clattn_arg_strides4(const clattn_tensor *tensor);
clattn_arg clattn_arg_strides8(const clattn_tensor *tensor);
clattn_arg clattn_arg_shape8(const clattn_tensor *tensor);
/* Strides of a tensor broadcast from the right to `rank` axes of `shape` (at most 8): 0 along broadcast and missing axes. */
clattn_arg clattn_arg_broadcast8(const clattn_tensor *tensor, int rank, const int64_t *shape);
clattn_arg clattn_arg_broadcast4(const clattn_tensor *tensor, int rank, const int64_t *shape);

/* clattn_run_kernel(call, "attention", "scalar", options, 1, (size_t[]){ n }, (size_t[]){ 0 }, ARG_T(..), ARG_I32(..)):
 * global sizes in work-items; local 0 lets clattn choose (the kernel compares its id with a count). */
#define clattn_run_kernel(call, source_name, kernel_name, option_text, dims_count, global_sizes, local_sizes, ...)     \
    clattn_run_kernel_list((call), (source_name), (kernel_name), (option_text), (dims_count), (global_sizes), (local_sizes), (clattn_arg[]){ __VA_ARGS__ }, sizeof((clattn_arg[]){ __VA_ARGS__ }) / sizeof(clattn_arg))
/* The most work-items of a group of that kernel as the call would run it; it is built if need be. */
clattn_status clattn_call_kernel_items(clattn_call *call, const char *source, const char *kernel, const char *options, size_t *items);
clattn_status clattn_run_kernel_list(clattn_call *call, const char *source, const char *kernel, const char *options, int dimensions, const size_t *global, const size_t *local, const clattn_arg *args, size_t count);

#endif
