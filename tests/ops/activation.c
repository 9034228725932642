#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/cases.h"
#include "../support/device.h"

static const char *const kinds[] = { "none", "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "hard_sigmoid", "tanh", "leaky_relu", NULL };

/* Every kind on one set of values. */
static void test_kinds(const char *x) {
    char texts[9][512];
    const char *cases[10] = { NULL };
    for (int i = 0; kinds[i]; i++) {
        snprintf(texts[i], sizeof texts[i], "activation %s kind=%s", x, kinds[i]);
        cases[i] = texts[i];
    }
    test_cases(cases);
}

Test(activation, shapes) {
    test_cases((const char *const[]){ "activation x[]", "activation x[1]", "activation x[0]", "activation x[3,0,5]", "activation x[15]", "activation x[16]", "activation x[17]",
        "activation x[2,3,5,7]", "activation x[1,2,1,2,1,2,1,5]", "activation x[8191]", "activation x[8193] kind=tanh", "activation x[3,8192] kind=gelu", NULL });
}

Test(activation, every_kind) {
    test_kinds("x[7,59]*3");
}

/* Away from 0 nothing hides a relative error: each value alone sets the tolerance. */
Test(activation, tails) {
    static const char *const values[] = { "x[17]:-5", "x[17]:-5.5,-5.25", "x[17]:5", "x[17]:1e-6,-1e-6", "x[17]:0.625,0.6249999", "x[17]:-0.7,-0.3", "x[17]:-2.5,-2.4", "x[17]:1e-30", NULL };
    for (int i = 0; values[i]; i++) test_kinds(values[i]);
}

Test(activation, extremes) {
    test_kinds("x[19]:0,-0.0,1e-38,-1e-38,88,-88,89,-89,104,-104,1e4,-1e4,1e30,-1e30,3,-3,3.4e38,-3.4e38,9");
}

Test(activation, nan_and_infinity) {
    test_kinds("x[19]:nan,1,inf,2,-inf,-3");
}

Test(activation, refusals) {
    test_refusals((const char *const[]){ "activation kind=relu => x is missing", "activation x[3] kind=swish => expected one of none, relu, gelu", NULL });
}

/* On the input itself, with every variant. */
Test(activation, in_place) {
    static const float values[] = { -2, -1, 0, 1, 2, 3, -4, 5, -6, 7, -8, 9, -10, 11, 12, -13, 14, -15, 16 };
    enum { COUNT = sizeof values / sizeof *values };
    clattn_context *context = test_open();
    const clattn_op *op = clattn_op_find("activation");
    const char *variant;
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++) {
        clattn_tensor x;
        float found[COUNT];
        cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ COUNT }, values), CLATTN_OK);
        const clattn_activation_args args = { .x = &x, .out = &x };
        if (!clattn_op_refusal(context, op, &args, variant)) {
            cr_assert_eq(clattn_op_run(context, op, &args, variant, NULL), CLATTN_OK, "%s", clattn_message(context));
            cr_assert_eq(clattn_tensor_read(context, &x, found), CLATTN_OK);
            for (int k = 0; k < COUNT; k++) cr_expect_float_eq(found[k], values[k] < 0 ? 0 : values[k], 0, "%s: element %d", variant, k);
        }
        clattn_tensor_free(&x);
    }
    clattn_close(&context);
}

Test(activation, goldens) {
    test_goldens("activation");
}
