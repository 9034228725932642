#include <criterion/criterion.h>

#include "../support/cases.h"
#include "../support/device.h"

Test(dropout, against_reference) {
    test_cases((const char *const[]){
        "dropout x[]", "dropout x[1]", "dropout x[0]", "dropout x[3]", "dropout x[4]", "dropout x[5]", "dropout x[5,7] rate=0", "dropout x[5,7] rate=0.1 seed=1", "dropout x[5,7] rate=0.99999994 offset=9", "dropout x[3,1025] seed=18446744073709551615 offset=18446744073709551615",
        "dropout x[2,2,2,2,2,2,2,3] seed=7", "dropout x[40]:nan,inf rate=0.5", "dropout x[4096]", "dropout x[8209] rate=0.9 offset=4294967295", "dropout x[1000]*1e30 rate=0.75", NULL });
}

Test(dropout, refusals) {
    test_refusals((const char *const[]){
        "dropout x[5] rate=1 => rate", "dropout x[5] rate=-0.1 => rate", "dropout x[5] rate=nan => finite", "dropout x[5] seed=-1 => seed", "dropout rate=0.1 => x is missing", NULL });
}

/* As many as the rate says, and another offset drops others. */
Test(dropout, rates) {
    enum { COUNT = 100000 };
    clattn_context *context = test_open();
    static float ones[COUNT], first[COUNT], second[COUNT];
    clattn_tensor x, out;
    for (int i = 0; i < COUNT; i++) ones[i] = 1;
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ COUNT }, ones), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 1, (int64_t[]){ COUNT }, NULL), CLATTN_OK);
    clattn_dropout_args args = { .x = &x, .out = &out, .rate = { true, 0.3f } };
    int dropped = 0, both = 0;
    cr_assert_eq(clattn_dropout(context, &args), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &out, first), CLATTN_OK);
    args.offset = 1;
    args.out = &x; /* in place */
    cr_assert_eq(clattn_dropout(context, &args), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &x, second), CLATTN_OK);
    for (int i = 0; i < COUNT; i++) {
        dropped += first[i] == 0;
        both += first[i] == 0 && second[i] == 0;
    }
    cr_expect(dropped > 29000 && dropped < 31000, "%d of %d dropped", dropped, COUNT);
    cr_expect(both > 8500 && both < 9500, "%d dropped by both of two independent calls", both);
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    clattn_close(&context);
}

Test(dropout, f16) {
    test_cases_f16((const char *const[]){
        "dropout x[5,7] rate=0.1 seed=1", "dropout x[3,1025] seed=18446744073709551615", "dropout x[40]:nan,inf rate=0.5", NULL });
}

Test(dropout, goldens) {
    test_goldens("dropout");
}
