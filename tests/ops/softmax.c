#define _POSIX_C_SOURCE 200809L
#include <clattn/clattn.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../support/cases.h"
#include "../support/device.h"

Test(softmax, against_reference) {
    test_cases((const char *const[]){
        "softmax x[1]", "softmax x[3,1]", "softmax x[1,15]", "softmax x[5,16]", "softmax x[4,17]", "softmax x[3,1025]", "softmax x[0,5]", "softmax x[5,0]",
        "softmax x[2,3,5,7] axis=1", "softmax x[2,3,5,7] axis=-4", "softmax x[1,2,2,2,2,2,2,33]", "softmax x[7,33] temperature=0.25", "softmax x[7,33] temperature=-2",
        "softmax x[3,50]*10000", "softmax x[2,16]:-inf", "softmax x[3,17]:-inf,1,2", "softmax x[2,20]:nan,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19",
        "softmax x[4,37] mask[37]%0.5", "softmax x[4,37] mask[4,1]:0,1", "softmax x[3,4,5] mask[4,5] axis=1",
        "log_softmax x[5,17]", "log_softmax x[3,100]", "log_softmax x[2,3,50] axis=1", "log_softmax x[3,50]*10000", "log_softmax x[2,16]:-inf", "log_softmax x[4,37] mask[4,37]%0.3", NULL });
}

/* One row to a few items, to all of a group, held in its registers to different degrees, and read twice. */
Test(softmax, rows_of_any_length) {
    test_cases((const char *const[]){
        "softmax x[300,3]", "softmax x[70,33]", "softmax x[9,64]", "softmax x[5,200]", "softmax x[7,300]", "softmax x[4,1000]", "softmax x[3,1024]", "softmax x[3,2000]", "softmax x[2,4096]", "softmax x[2,8191]", "softmax x[2,8193]", "softmax x[1,100003]*20", "softmax x[3,9000] mask[9000]%0.5", "softmax x[3,9000] mask[3,1]:0,1",
        "log_softmax x[5,200]", "log_softmax x[2,8193]", "log_softmax x[2,9000] mask[9000]%0.5", NULL });
}

/* Of up to 8 vectors, 16 rows together: a last vector that overlaps, groups that are not full, rows of each kind side by side. */
Test(softmax, short_rows) {
    test_cases((const char *const[]){
        "softmax x[1,16]", "softmax x[15,17]", "softmax x[16,31]*20", "softmax x[17,32]", "softmax x[33,48]", "softmax x[50,65] temperature=-0.5", "softmax x[31,100]*1000", "softmax x[2100,128]", "softmax x[40,129]", "softmax x[20,40] mask[40]%0.5",
        "softmax x[40,16]:1,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf,-inf", "softmax x[40,24]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,nan",
        "softmax x[40,24]:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,inf,-inf", "softmax x[40,100]:-inf", NULL });
    test_cases_f16((const char *const[]){ "softmax x[33,16]", "softmax x[20,77]", "softmax x[2100,128]", NULL });
}

/* Stored past the caches on PoCL: outputs above 10 MiB where the last cache is small. The first is for devices that are given only small
 * cases. */
Test(softmax, larger_than_the_cache) {
    setenv("CLATTN_CAPS", "cache=1", 1);
    test_cases((const char *const[]){ "softmax x[3,16]", "softmax x[28000,96]", "softmax x[2700,1000]", "softmax x[650,4112]", "log_softmax x[2700,1008]", NULL });
}

static void see_stream(void *user, const clattn_launch_record *launch) {
    *(bool *)user = strstr(launch->options, "-DSTREAM") != NULL;
}

/* `*above`: whether the output, above 10 MiB on PoCL, is also above the sixteenth of the last cache that is kept for it. */
static bool is_streamed(const char *caps, bool *above) {
    bool streamed = false;
    setenv("CLATTN_CAPS", caps, 1);
    clattn_context *context = test_open();
    const clattn_device_info *info = clattn_context_device(context);
    const bool pocl = strstr(info->platform, "Portable Computing") != NULL;
    const int64_t shape[] = { pocl ? 2700 : 3, 1000 };
    static const float zeros[2700 * 1000];
    clattn_tensor x, out;
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 2, shape, zeros), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, shape, NULL), CLATTN_OK);
    clattn_trace(context, see_stream, &streamed);
    cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &x, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    *above = pocl && (uint64_t)(4 * shape[0] * shape[1]) > info->cache / 16;
    clattn_tensor_free(&x);
    clattn_tensor_free(&out);
    clattn_close(&context);
    return streamed;
}

Test(softmax, streams_past_what_the_cache_keeps) {
    bool above;
    cr_expect_eq(is_streamed("cache=1", &above), above);
    cr_expect_eq(is_streamed("vector=64", &above), above); /* a mask that leaves the cache as it is */
}

Test(softmax, odd_values) {
    test_cases((const char *const[]){
        "softmax x[2,70]:inf,1", "softmax x[2,20]:nan,-inf", "softmax x[2,20]:-inf,-inf,nan", "softmax x[2,9000]:1,-inf,nan", "softmax x[2,9000]:-inf", "softmax x[2,9000]:2,inf", "softmax x[2,70]:nan,1 mask[70]:0,1", "softmax x[2,70]:nan,1 mask[70]:1,0", "softmax x[2,70]:-3.4e38", "softmax x[2,9000]:-3.4e38,-3.3e38",
        "log_softmax x[2,70]:nan,-inf", "log_softmax x[2,9000]:-inf", NULL });
}

/* Long rows are summed in blocks: whole blocks of -inf come before, between and after those that count. */
Test(softmax, blocks_that_count_nothing) {
    enum { ROWS = 5, LENGTH = 7000 };
    static const int from[ROWS] = { 0, 2048, 4500, 6999, 2000 }, to[ROWS] = { LENGTH, LENGTH, 4600, LENGTH, 2001 };
    static float x[ROWS][LENGTH], found[ROWS][LENGTH], logarithm[ROWS][LENGTH];
    double sums[ROWS] = { 0 };
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < LENGTH; i++) {
            const bool counts = i >= from[r] && i < to[r] && (r != 1 || i < 2100 || i > 6300);
            x[r][i] = counts ? (float)(i * 37 % 101) / 10 - 60 * (float)(i % 2) : -INFINITY;
            sums[r] += exp((double)x[r][i]);
        }
    clattn_context *context = test_open();
    clattn_tensor in, out;
    cr_assert_eq(clattn_tensor_create(context, &in, CLATTN_F32, 2, (int64_t[]){ ROWS, LENGTH }, x), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 2, (int64_t[]){ ROWS, LENGTH }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_softmax(context, &(clattn_softmax_args){ .x = &in, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &out, found), CLATTN_OK);
    cr_assert_eq(clattn_log_softmax(context, &(clattn_softmax_args){ .x = &in, .out = &out }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_read(context, &out, logarithm), CLATTN_OK);
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < LENGTH; i++) {
            const double expected = exp((double)x[r][i]) / sums[r], expected_log = (double)x[r][i] - log(sums[r]);
            cr_assert(fabs((double)found[r][i] - expected) <= 2e-5 * expected + 1e-37, "row %d, element %d: %g, expected %g", r, i, (double)found[r][i], expected);
            cr_assert(isinf(expected_log) ? (double)logarithm[r][i] == expected_log : fabs((double)logarithm[r][i] - expected_log) <= 1e-5 * (1 + fabs(expected_log)), "row %d, element %d: logarithm %g, expected %g", r, i, (double)logarithm[r][i], expected_log);
        }
    clattn_tensor_free(&in);
    clattn_tensor_free(&out);
    clattn_close(&context);
}

Test(softmax, refusals) {
    test_refusals((const char *const[]){
        "softmax x[2,3] axis=2 => axis 2 is outside x's rank 2", "softmax x[2,3] axis=-3 => axis -3", "softmax x[] => axis -1 is outside x's rank 0",
        "softmax x[2,3] temperature=0 => temperature=0: expected a number other than zero", "softmax x[2,3] temperature=nan => finite", "softmax x[2,3] mask[2,4] => mask [2,4] does not broadcast to x [2,3]", NULL });
}

Test(softmax, goldens) {
    test_goldens("softmax");
}

Test(log_softmax, goldens) {
    test_goldens("log_softmax");
}

Test(softmax, f16_itself) {
    test_cases_f16((const char *const[]){ "softmax x[5,70]", "log_softmax x[5,70]", NULL });
}
