/* Tensors: creation, transfers, views, and what is refused. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/device.h"

static clattn_tensor counted(clattn_context *context, int rank, const int64_t *shape) {
    float values[256];
    clattn_tensor tensor;
    for (int i = 0; i < 256; i++) values[i] = (float)i;
    cr_assert_eq(clattn_tensor_create(context, &tensor, CLATTN_F32, rank, shape, values), CLATTN_OK, "%s", clattn_message(context));
    return tensor;
}

static void expect_values(clattn_context *context, clattn_tensor view, int count, const float *expected) {
    float found[64];
    cr_assert_eq(clattn_tensor_count(&view), count);
    cr_assert_eq(clattn_tensor_read(context, &view, found), CLATTN_OK, "%s", clattn_message(context));
    for (int i = 0; i < count; i++) cr_expect_eq(found[i], expected[i], "element %d is %g, expected %g", i, (double)found[i], (double)expected[i]);
}

Test(tensors, views) {
    clattn_context *context = test_open();
    clattn_tensor t = counted(context, 2, (int64_t[]){ 3, 4 }), turned = clattn_tensor_transposed(&t, (int[]){ 1, 0 });
    expect_values(context, t, 12, (float[]){ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 });
    expect_values(context, turned, 12, (float[]){ 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11 });
    expect_values(context, clattn_tensor_sliced(&t, 1, 1, 2), 6, (float[]){ 1, 2, 5, 6, 9, 10 });
    expect_values(context, clattn_tensor_sliced(&turned, 0, 3, 1), 3, (float[]){ 3, 7, 11 });
    expect_values(context, clattn_tensor_sliced(&t, 0, 3, 0), 0, NULL);
    clattn_tensor row = clattn_tensor_sliced(&t, 0, 1, 1), flat = clattn_tensor_reshaped(&t, 3, (int64_t[]){ 2, 3, 2 });
    expect_values(context, clattn_tensor_reshaped(&row, 1, (int64_t[]){ 4 }), 4, (float[]){ 4, 5, 6, 7 });
    expect_values(context, clattn_tensor_sliced(&flat, 1, 2, 1), 4, (float[]){ 4, 5, 10, 11 });
    row.strides[0] = 0, row.shape[0] = 2;
    expect_values(context, row, 8, (float[]){ 4, 5, 6, 7, 4, 5, 6, 7 });
    cr_expect_neq(clattn_tensor_write(context, &row, (float[8]){ 0 }), CLATTN_OK, "a broadcast view was written");
    clattn_tensor middle = clattn_tensor_sliced(&turned, 0, 1, 2);
    cr_expect_eq(clattn_tensor_write(context, &middle, (float[]){ -1, -2, -3, -4, -5, -6 }), CLATTN_OK, "%s", clattn_message(context));
    expect_values(context, t, 12, (float[]){ 0, -1, -4, 3, 4, -2, -5, 7, 8, -3, -6, 11 });
    clattn_tensor_free(&t);
    cr_expect_null(t.buffer);
    clattn_tensor_free(&t);
    clattn_close(&context);
}

Test(tensors, bad_views_are_cleared) {
    clattn_context *context = test_open();
    clattn_tensor t = counted(context, 2, (int64_t[]){ 3, 4 }), turned = clattn_tensor_transposed(&t, (int[]){ 1, 0 }), none = { 0 };
    const clattn_tensor bad[] = {
        clattn_tensor_transposed(&t, (int[]){ 0, 0 }), clattn_tensor_transposed(&t, (int[]){ 0, 2 }), clattn_tensor_transposed(&t, (int[]){ -1, 0 }), clattn_tensor_transposed(&t, NULL), clattn_tensor_transposed(NULL, NULL),
        clattn_tensor_sliced(&t, 2, 0, 1), clattn_tensor_sliced(&t, -1, 0, 1), clattn_tensor_sliced(&t, 0, 2, 2), clattn_tensor_sliced(&t, 0, -1, 1), clattn_tensor_sliced(&t, 0, 1, -1), clattn_tensor_sliced(&t, 0, 1, INT64_MAX), clattn_tensor_sliced(NULL, 0, 0, 0),
        clattn_tensor_reshaped(&t, 1, (int64_t[]){ 11 }), clattn_tensor_reshaped(&t, 2, (int64_t[]){ -3, -4 }), clattn_tensor_reshaped(&t, 9, (int64_t[9]){ 12, 1, 1, 1, 1, 1, 1, 1, 1 }), clattn_tensor_reshaped(&t, 2, (int64_t[]){ INT64_MAX, INT64_MAX }),
        clattn_tensor_reshaped(&turned, 1, (int64_t[]){ 12 }), clattn_tensor_reshaped(NULL, 0, NULL) };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_null(bad[i].buffer, "view %zu", i);
        cr_expect_neq(clattn_tensor_read(context, &bad[i], NULL), CLATTN_OK);
        cr_expect_neq(clattn_softmax(context, &(clattn_softmax_args){ .x = &bad[i], .out = &none }), CLATTN_OK);
    }
    clattn_tensor_free(&t);
    clattn_close(&context);
}

Test(tensors, refusals) {
    clattn_context *context = test_open(), *other = test_open();
    clattn_tensor t;
    const int64_t huge[] = { INT64_MAX / 2, 3 }, negative[] = { 2, -1 }, ones[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 9, ones, NULL), CLATTN_ERROR_SHAPE);
    cr_expect(strstr(clattn_message(context), "rank 9"), "%s", clattn_message(context));
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, -1, ones, NULL), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 2, negative, NULL), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 2, huge, NULL), CLATTN_ERROR_SHAPE);
    cr_expect_eq(clattn_tensor_create(context, &t, (clattn_dtype)77, 1, ones, NULL), CLATTN_ERROR_TYPE);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_F32, 1, NULL, NULL), CLATTN_ERROR_ARGUMENT);
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_U8, 1, (int64_t[]){ INT64_MAX / 32 }, NULL), CLATTN_ERROR_OUT_OF_MEMORY);
    cr_expect_null(t.buffer);
    cr_expect_neq(clattn_tensor_create(NULL, &t, CLATTN_F32, 1, ones, NULL), CLATTN_OK);
    cr_expect_neq(clattn_tensor_create(context, NULL, CLATTN_F32, 1, ones, NULL), CLATTN_OK);
    t = counted(context, 2, (int64_t[]){ 3, 4 });
    float host[64];
    clattn_tensor bad[7] = { t, t, t, t, t, t, t };
    bad[0].strides[0] = -4, bad[1].offset = -1, bad[2].offset = INT64_MAX, bad[3].shape[0] = 1000, bad[4].rank = 9, bad[5].strides[0] = INT64_MAX, bad[6].dtype = (clattn_dtype)9;
    for (int i = 0; i < 7; i++) {
        cr_expect_neq(clattn_tensor_read(context, &bad[i], host), CLATTN_OK, "tensor %d", i);
        cr_expect_neq(clattn_tensor_write(context, &bad[i], host), CLATTN_OK, "tensor %d", i);
    }
    cr_expect_neq(clattn_tensor_read(other, &t, host), CLATTN_OK, "another context reads the tensor");
    cr_expect_neq(clattn_tensor_read(context, &t, NULL), CLATTN_OK);
    clattn_tensor_freeze(&t);
    cr_expect_neq(clattn_tensor_write(context, &t, host), CLATTN_OK, "a frozen tensor was written");
    clattn_tensor_thaw(&t);
    cr_expect_eq(clattn_tensor_write(context, &t, host), CLATTN_OK);
    clattn_close(&other);
    clattn_tensor_free(&t);
    clattn_close(&context);
}

Test(tensors, of_every_size) {
    clattn_context *context = test_open();
    clattn_tensor t;
    float value = 3, found = 0;
    cr_assert_eq(clattn_tensor_create(context, &t, CLATTN_F32, 0, NULL, &value), CLATTN_OK);
    cr_expect(clattn_tensor_count(&t) == 1 && clattn_tensor_read(context, &t, &found) == CLATTN_OK && found == 3);
    clattn_tensor_free(&t);
    cr_assert_eq(clattn_tensor_create(context, &t, CLATTN_I32, 3, (int64_t[]){ 4, 0, 5 }, NULL), CLATTN_OK);
    cr_expect_eq(clattn_tensor_read(context, &t, NULL), CLATTN_OK);
    cr_expect_eq(clattn_tensor_write(context, &t, NULL), CLATTN_OK);
    /* Its own shape may be the shape of what replaces it. */
    const clattn_tensor before = t;
    cr_expect_eq(clattn_tensor_create(context, &t, CLATTN_U8, t.rank, t.shape, NULL), CLATTN_OK);
    cr_expect(t.shape[0] == 4 && t.shape[2] == 5);
    clattn_tensor_free(&t);
    clattn_tensor_free(&(clattn_tensor){ .buffer = before.buffer });
    cr_expect(clattn_dtype_size((clattn_dtype)-1) == 0 && strcmp(clattn_dtype_name((clattn_dtype)-1), "?") == 0);
    clattn_close(&context);
}

Test(tensors, freed_after_the_context) {
    clattn_context *context = test_open();
    clattn_tensor t = counted(context, 1, (int64_t[]){ 9 });
    clattn_close(&context);
    clattn_tensor_free(&t);
}

/* Slices that lie far from each other go one by one: what stands between them stays. */
Test(tensors, slices_apart) {
    enum { STEP = (1 << 18) + 3, WHOLE = 2 * STEP + 8 };
    clattn_context *context = test_open();
    float *zeros = calloc(WHOLE, sizeof *zeros), *after = malloc(WHOLE * sizeof *after);
    const float values[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    float back[12];
    clattn_tensor whole;
    cr_assert(zeros && after);
    cr_assert_eq(clattn_tensor_create(context, &whole, CLATTN_F32, 1, (int64_t[]){ WHOLE }, zeros), CLATTN_OK);
    clattn_tensor view = { .buffer = whole.buffer, .offset = 1, .dtype = CLATTN_F32, .rank = 3, .shape = { 3, 2, 2 }, .strides = { STEP, 1, 3 } };
    cr_assert_eq(clattn_tensor_write(context, &view, values), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &view, back), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &whole, after), CLATTN_OK, "%s", clattn_message(context));
    for (int n = 0; n < 12; n++) {
        const int at = 1 + n / 4 * STEP + n / 2 % 2 + n % 2 * 3;
        cr_expect_eq(back[n], values[n]);
        cr_expect_eq(after[at], values[n]);
        after[at] = 0;
    }
    for (int n = 0; n < WHOLE; n++) cr_expect_eq(after[n], 0, "element %d", n);
    clattn_tensor_free(&whole);
    clattn_close(&context);
    free(zeros);
    free(after);
}
