#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../support/cases.h"
#include "../support/device.h"

static const char *const names[] = { "add", "subtract", "multiply", "divide", "maximum", "minimum" };
enum { NAMES = sizeof names / sizeof *names };

/* Every operation on the same operands. */
static void test_all(const char *operands) {
    char texts[NAMES][256];
    const char *cases[NAMES + 1] = { NULL };
    for (int i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof texts[i], "%s %s", names[i], operands);
        cases[i] = texts[i];
    }
    test_cases(cases);
}

Test(elementwise, equal_shapes) {
    test_cases((const char *const[]){ "add a[] b[]", "add a[1] b[1]", "subtract a[15] b[15]", "multiply a[16] b[16]", "divide a[17] b[17]", "add a[0] b[0]", "add a[3,0,5] b[3,0,5]",
        "maximum a[2,3,5,7] b[2,3,5,7]", "minimum a[1,2,1,2,2,1,2,33] b[1,2,1,2,2,1,2,33]", "add a[3,16385] b[3,16385]", NULL });
    test_all("a[5,37] b[5,37]");
}

Test(elementwise, broadcast) {
    test_cases((const char *const[]){ "add a[5,7] b[7]", "add a[7] b[5,7]", "subtract a[5,7] b[5,1]", "subtract a[5,1] b[5,7]", "divide a[5,33] b[]", "divide a[] b[5,33]", "multiply a[4,1,6] b[5,1]",
        "subtract a[2,1,5,1] b[1,3,1,7]", "multiply a[2,5,3,4] b[5,1,1]", "add a[2,3,1,37] b[3,5,1]", "add a[1,2,1,2,1,2,1,2] b[2,1,2,1,2,1,17,1]", "add a[3,1,17] b[1,1,1]",
        "add a[0,5] b[1,5]", "add a[1,5] b[0,1]", "add a[3,1] b[1,0]", "subtract a[37,64] b[64]", "subtract a[300,129] b[300,1]", "subtract a[1,1] b[1]", "add a[16385,3] b[3]", NULL });
    test_all("a[3,1,19] b[4,1]");
}

Test(elementwise, nan_zero_and_infinity) {
    test_all("a[42]:nan,1,0,-0.0,inf,-inf b[42]:nan,1,0,-0.0,inf,-inf,2");
    test_all("a[6,1]:nan,1,0,-0.0,inf,-inf b[1,19]:nan,1,0,-0.0,inf,-inf,2");
    test_all("a[17]:3e38,-3e38,1e-30 b[17]:3e38,1e-30,2e38,-1");
}

Test(elementwise, refusals) {
    test_refusals((const char *const[]){ "add a[2,3] b[2,4] => add: a [2,3] and b [2,4] do not broadcast: 3 and 4 at axis 1 from the right", "divide a[3,1] b[2,1] => 3 and 2 at axis 2 from the right",
        "maximum a[0] b[2] => a [0] and b [2] do not broadcast", "minimum a[3] => b is missing", "subtract b[3] => a is missing", NULL });
}

static void create(clattn_context *context, clattn_tensor *tensor, int64_t rows, int64_t columns) {
    float values[64];
    for (int i = 0; i < 64; i++) values[i] = (float)(i + 1);
    cr_assert_eq(clattn_tensor_create(context, tensor, CLATTN_F32, 2, (int64_t[]){ rows, columns }, values), CLATTN_OK, "%s", clattn_message(context));
}

/* a - b into a, into b, and a - a into a, with every variant. */
Test(elementwise, in_place) {
    clattn_context *context = test_open();
    const clattn_op *op = clattn_op_find("subtract");
    const char *variant;
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++)
        for (int form = 0; form < 3; form++) {
            clattn_tensor a, b;
            float found[57];
            create(context, &a, 3, 19);
            create(context, &b, form == 1 ? 3 : 1, 19);
            const clattn_subtract_args args = { .a = &a, .b = form == 2 ? &a : &b, .out = form == 1 ? &b : &a };
            if (!clattn_op_refusal(context, op, &args, variant)) {
                cr_assert_eq(clattn_op_run(context, op, &args, variant, NULL), CLATTN_OK, "%s", clattn_message(context));
                cr_assert_eq(clattn_tensor_read(context, args.out, found), CLATTN_OK);
                for (int k = 0; k < 57; k++) cr_expect_float_eq(found[k], form == 0 ? (float)(k / 19 * 19) : 0.0f, 0, "%s, form %d: element %d", variant, form, k);
            }
            clattn_tensor_free(&a);
            clattn_tensor_free(&b);
        }
    clattn_close(&context);
}

/* A row of the output is not the output: the broadcast would read what is being written. */
Test(elementwise, overlap_is_refused) {
    clattn_context *context = test_open();
    clattn_tensor a, row;
    create(context, &a, 3, 19);
    row = clattn_tensor_sliced(&a, 0, 0, 1);
    cr_assert_neq(clattn_add(context, &(clattn_add_args){ .a = &a, .b = &row, .out = &a }), CLATTN_OK);
    cr_expect(strstr(clattn_message(context), "overlaps b"), "%s", clattn_message(context));
    clattn_tensor_free(&a);
    clattn_close(&context);
}

Test(elementwise, goldens) {
    for (int i = 0; i < NAMES; i++) test_goldens(names[i]);
}
