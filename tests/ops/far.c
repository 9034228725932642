/* Elements beyond number 2^31: every operation's examples on tensors that lie and reach that far in one large buffer, of
 * which only the pages that hold them are ever touched. Needs a device that gives buffers of 10 GB (the Intel CPU runtime
 * does, PoCL does not), so that it is a suite of its own: meson test --suite large, with -Dlarge=true. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/cases.h"
#include "../support/device.h"

#define FAR ((int64_t)1 << 31)
/* Each tensor has elements n * SLOTS * SLOT + its slot * SLOT + 0..SLOT-1 for some n: none meets another. */
#define SLOT ((int64_t)1 << 20)
#define SLOTS 64
#define INPUT_ELEMENTS (FAR + 9 * SLOT * SLOTS) /* outputs lie behind: an overlap of ranges is refused */
#define ELEMENTS (INPUT_ELEMENTS + SLOT * SLOTS)

typedef struct far_memory {
    clattn_tensor words, bytes; /* 4-byte elements, single bytes */
    clattn_tensor views[SLOTS];
    int count;
} far_memory;

/* A short first axis of an input strides over the 2^31 elements; other tensors begin behind them. */
static clattn_tensor far_view(const far_memory *m, const clattn_tensor *near, bool input) {
    clattn_tensor view = *near;
    int64_t stride = 1;
    view.buffer = near->dtype == CLATTN_U8 ? m->bytes.buffer : m->words.buffer;
    view.offset = m->count * SLOT;
    for (int i = near->rank - 1; i >= 0; i--) {
        view.strides[i] = stride;
        stride *= near->shape[i];
    }
    cr_assert_leq(stride, SLOT, "an example has a tensor of %lld elements", (long long)stride);
    const int64_t steps = near->rank ? near->shape[0] - 1 : 0, unit = SLOT * SLOTS;
    if (!input) view.offset += INPUT_ELEMENTS;
    else if (steps > 0 && steps <= 8) view.strides[0] = (FAR / steps + unit - 1) / unit * unit;
    else view.offset += FAR;
    return view;
}

/* Puts a far tensor with the same contents in the place of one of the case's own. */
static clattn_tensor *move_away(clattn_context *context, far_memory *m, const clattn_tensor *near, bool input) {
    static unsigned char host[SLOT * 4];
    cr_assert_lt(m->count, SLOTS);
    clattn_tensor *view = &m->views[m->count];
    *view = far_view(m, near, input);
    m->count++;
    if (input) {
        cr_assert_eq(clattn_tensor_read(context, near, host), CLATTN_OK, "%s", clattn_message(context));
        cr_assert_eq(clattn_tensor_write(context, view, host), CLATTN_OK, "%s", clattn_message(context));
    }
    return view;
}

static void move_all(clattn_context *context, far_memory *m, const clattn_op *op, char *args) {
    m->count = 0;
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_field *field = &op->fields[i];
        const bool input = field->kind == CLATTN_FIELD_INPUT;
        if (!input && field->kind != CLATTN_FIELD_OUTPUT) continue;
        const clattn_tensor **at = (const clattn_tensor **)(void *)(args + field->offset);
        for (int k = 0; k < (field->flags & CLATTN_FIELD_LIST ? CLATTN_MAX_CONCAT : 1); k++)
            if (at[k]) at[k] = move_away(context, m, at[k], input);
    }
}

static int check_op(clattn_context *context, far_memory *m, const clattn_op *op) {
    const char *text, *variant;
    int ran = 0;
    for (size_t i = 0; (text = clattn_op_example(op, i)); i++) {
        for (size_t v = 0; (variant = clattn_op_variant(op, v)); v++) {
            clattn_case *c;
            cr_assert_eq(clattn_case_open(context, text, test_seed(), 0, &c), CLATTN_OK, "%s", clattn_message(context));
            move_all(context, m, op, clattn_case_args(c));
            if (!clattn_op_refusal(context, op, clattn_case_args(c), variant)) {
                const clattn_status status = clattn_case_check(c, variant);
                cr_expect_eq(status, CLATTN_OK, "%s\n  case: %s, variant %s", clattn_message(context), text, variant);
                ran++;
            }
            clattn_case_close(&c);
        }
    }
    return ran;
}

Test(far, every_operation) {
    clattn_context *context = test_open();
    far_memory m = { .count = 0 };
    const clattn_op *op;
    int ran = 0;
    cr_assert_eq(clattn_tensor_create(context, &m.words, CLATTN_F32, 1, (int64_t[]){ ELEMENTS }, NULL), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_create(context, &m.bytes, CLATTN_U8, 1, (int64_t[]){ ELEMENTS }, NULL), CLATTN_OK, "%s", clattn_message(context));
    for (size_t i = 0; (op = clattn_op_get(i)); i++) {
        const int of_op = check_op(context, &m, op);
        fprintf(stderr, "far: %s, %d runs\n", op->name, of_op);
        cr_expect_gt(of_op, 0, "nothing ran of %s", op->name);
        ran += of_op;
    }
    printf("far: %d runs\n", ran);
    clattn_tensor_free(&m.words);
    clattn_tensor_free(&m.bytes);
    clattn_close(&context);
}
