/* Every operation on f16 and bf16 tensors, and the conversions on the host. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "../support/cases.h"
#include "../support/device.h"
#include "../support/small.h"

static void check_examples(clattn_context *context, const clattn_op *op, int flags, small_table *all) {
    const char *text;
    small_table table = { 0 };
    for (size_t i = 0; (text = clattn_op_example(op, i)); i++) small_see_all(&table, context, (const char *const[]){ text, NULL });
    for (size_t i = 0; (text = clattn_op_example(op, i)); i++) {
        clattn_case *c;
        if (!small_takes_text(&table, context, text)) continue;
        clattn_status status = clattn_case_open(context, text, test_seed(), flags, &c);
        if (!status) status = clattn_case_check(c, NULL);
        cr_expect_eq(status, CLATTN_OK, "%s\n  case: %s (flags %d)", clattn_message(context), text, flags);
        clattn_case_close(&c);
    }
    all->ran += table.ran;
    all->of += table.of;
}

static void check_all(int flags) {
    clattn_context *context = test_open();
    const clattn_op *op;
    small_table all = { 0 };
    for (size_t i = 0; (op = clattn_op_get(i)); i++) check_examples(context, op, flags, &all);
    small_report(&all);
    clattn_close(&context);
}

Test(storage, f16) {
    check_all(CLATTN_CASE_F16);
}

Test(storage, f16_strided) {
    check_all(CLATTN_CASE_F16 | CLATTN_CASE_STRIDED);
}

Test(storage, bf16) {
    check_all(CLATTN_CASE_BF16);
}

/* Each f16 is exactly its own f32 and back. */
Test(storage, every_half_survives) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint16_t half = (uint16_t)bits;
        uint16_t back;
        float value;
        clattn_floats_load(CLATTN_F16, &half, &value, 1);
        clattn_floats_store(CLATTN_F16, &value, &back, 1);
        if (isnan(value)) cr_assert((back & 0x7fff) > 0x7c00, "NaN %04x became %04x", bits, (unsigned)back);
        else cr_assert_eq(back, half, "%04x became %04x", bits, (unsigned)back);
    }
}

Test(storage, halves_round_to_nearest_even) {
    static const struct {
        float value;
        uint16_t half;
    } cases[] = { { 1.0f, 0x3c00 }, { 65504.0f, 0x7bff }, { 65519.0f, 0x7bff }, { 65520.0f, 0x7c00 }, { 0x1p-24f, 0x0001 }, { 0x1p-25f, 0x0000 }, { 0x1.000002p-25f, 0x0001 },
        { 1.0f + 0x1p-11f, 0x3c00 }, { 1.0f + 0x1.8p-10f, 0x3c02 }, { -0.0f, 0x8000 }, { 0x1.ff8p-15f, 0x03ff }, { 0x1.ffcp-15f, 0x0400 }, { INFINITY, 0x7c00 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t half;
        clattn_floats_store(CLATTN_F16, &cases[i].value, &half, 1);
        cr_expect_eq(half, cases[i].half, "%a became %04x, expected %04x", (double)cases[i].value, (unsigned)half, (unsigned)cases[i].half);
    }
}

/* A frozen 16-bit weight is widened once; thawed and rewritten it is read anew. */
Test(storage, frozen_weights) {
    clattn_context *context = test_open();
    const float one[] = { 1, 2, 3, 4 }, two[] = { 5, 6, 7, 8 };
    uint16_t half[4];
    float found[2];
    clattn_tensor x, weight, out;
    clattn_floats_store(CLATTN_F16, one, half, 4);
    cr_assert_eq(clattn_tensor_create(context, &weight, CLATTN_F16, 2, (int64_t[]){ 2, 2 }, half), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 2, (int64_t[]){ 1, 2 }, (float[]){ 1, 10 }), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ 1, 2 }, NULL), CLATTN_OK);
    clattn_tensor_freeze(&weight);
    for (int i = 0; i < 3; i++) {
        if (i == 2) {
            clattn_tensor_thaw(&weight);
            clattn_floats_store(CLATTN_F16, two, half, 4);
            cr_assert_eq(clattn_tensor_write(context, &weight, half), CLATTN_OK);
            clattn_tensor_freeze(&weight);
        }
        cr_assert_eq(clattn_linear(context, &(clattn_linear_args){ .x = &x, .weight = &weight, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
        cr_assert_eq(clattn_tensor_read(context, &out, found), CLATTN_OK);
        cr_expect_float_eq(found[0], i == 2 ? 65 : 21, 1e-5);
        cr_expect_float_eq(found[1], i == 2 ? 87 : 43, 1e-5);
    }
    clattn_tensor_free(&x);
    clattn_tensor_free(&weight);
    clattn_tensor_free(&out);
    clattn_close(&context);
}
