/* A cache is right when decoding step by step gives what attention over the whole sequences gives. */
#include <clattn/clattn.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/device.h"

/* Eight sequences are one launch of the cache's kernels: 11 are two. */
enum { SEQUENCES = 11, HEADS = 4, KV_HEADS = 2, DEPTH = 16, VALUE_DEPTH = 20, STEPS = 40 };

static clattn_context *context;

static clattn_tensor random_tensor(int64_t b, int64_t h, int64_t t, int64_t d) {
    clattn_tensor tensor;
    const int64_t shape[] = { b, h, t, d }, count = b * h * t * d;
    float *values = malloc((size_t)(count + 1) * sizeof *values);
    cr_assert_not_null(values);
    for (int64_t i = 0; i < count; i++) values[i] = (float)(rand() % 2001 - 1000) / 500;
    cr_assert_eq(clattn_tensor_create(context, &tensor, CLATTN_F32, 4, shape, values), CLATTN_OK, "%s", clattn_message(context));
    free(values);
    return tensor;
}

static float *contents(const clattn_tensor *tensor) {
    float *values = malloc((size_t)(clattn_tensor_count(tensor) + 1) * sizeof *values);
    cr_assert_not_null(values);
    cr_assert_eq(clattn_tensor_read(context, tensor, values), CLATTN_OK, "%s", clattn_message(context));
    return values;
}

static void expect_close(const clattn_tensor *found, const clattn_tensor *expected, int step) {
    float *a = contents(found), *b = contents(expected);
    for (int64_t i = 0; i < clattn_tensor_count(found); i++) cr_assert_float_eq(a[i], b[i], 1e-5, "step %d, element %lld: %g, expected %g", step, (long long)i, (double)a[i], (double)b[i]);
    free(a);
    free(b);
}

static clattn_kv_cache *make(int64_t sequences, int64_t limit, int64_t initial) {
    clattn_kv_cache *cache;
    const clattn_kv_cache_params params = { .sequences = sequences, .kv_heads = KV_HEADS, .depth = DEPTH, .value_depth = VALUE_DEPTH, .limit = limit, .initial = initial };
    cr_assert_eq(clattn_kv_cache_create(context, &params, &cache), CLATTN_OK, "%s", clattn_message(context));
    return cache;
}

/* One step of all sequences against attention over their first `step` + 1 keys. */
static void check_step(clattn_kv_cache *cache, const clattn_tensor *query, const clattn_tensor *key, const clattn_tensor *value, int step) {
    clattn_tensor out, expected, q = clattn_tensor_sliced(query, 2, step, 1), k = clattn_tensor_sliced(key, 2, step, 1), v = clattn_tensor_sliced(value, 2, step, 1);
    const int64_t shape[] = { query->shape[0], HEADS, 1, VALUE_DEPTH };
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 4, shape, NULL), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &expected, CLATTN_F32, 4, shape, NULL), CLATTN_OK);
    cr_assert_eq(clattn_kv_cache_append(cache, &k, &v, NULL), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_kv_cache_attention(cache, &(clattn_attention_args){ .query = &q, .out = &out, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT }), CLATTN_OK, "%s", clattn_message(context));
    k = clattn_tensor_sliced(key, 2, 0, step + 1);
    v = clattn_tensor_sliced(value, 2, 0, step + 1);
    cr_assert_eq(clattn_attention(context, &(clattn_attention_args){ .query = &q, .key = &k, .value = &v, .out = &expected }), CLATTN_OK, "%s", clattn_message(context));
    expect_close(&out, &expected, step);
    clattn_tensor_free(&out);
    clattn_tensor_free(&expected);
}

Test(kv_cache, step_by_step) {
    context = test_open();
    clattn_tensor query = random_tensor(SEQUENCES, HEADS, STEPS, DEPTH), key = random_tensor(SEQUENCES, KV_HEADS, STEPS, DEPTH), value = random_tensor(SEQUENCES, KV_HEADS, STEPS, VALUE_DEPTH);
    clattn_kv_cache *cache = make(SEQUENCES, STEPS, 3);
    const int steps = getenv("CLATTN_TEST_SMALL") ? 5 : STEPS; /* past the first growth */
    for (int step = 0; step < steps; step++) {
        check_step(cache, &query, &key, &value, step);
        cr_assert_eq(clattn_kv_cache_length(cache, SEQUENCES - 1), step + 1);
    }
    if (steps == STEPS) cr_expect_eq(clattn_kv_cache_room(cache), STEPS);
    clattn_kv_cache_free(&cache);
    clattn_tensor_free(&query);
    clattn_tensor_free(&key);
    clattn_tensor_free(&value);
    clattn_close(&context);
}

/* Each sequence gets its own number of rows each time, twice; then each is compared with attention over it alone. */
static void fill_unevenly(clattn_kv_cache *cache, const clattn_tensor *key, const clattn_tensor *value, int64_t lengths[SEQUENCES], clattn_tensor whole[SEQUENCES][2]) {
    const int rounds = 3, rows = 6;
    for (int64_t b = 0; b < SEQUENCES; b++) {
        lengths[b] = 0;
        whole[b][0] = random_tensor(1, KV_HEADS, rounds * rows, DEPTH);
        whole[b][1] = random_tensor(1, KV_HEADS, rounds * rows, VALUE_DEPTH);
    }
    for (int round = 0; round < rounds; round++) {
        int64_t counts[SEQUENCES];
        const clattn_tensor k = clattn_tensor_sliced(key, 2, round * rows, rows), v = clattn_tensor_sliced(value, 2, round * rows, rows);
        for (int64_t b = 0; b < SEQUENCES; b++) {
            counts[b] = (b * 5 + round * 3) % (rows + 1);
            const clattn_tensor *from[] = { &k, &v };
            for (int i = 0; i < 2 && counts[b]; i++) {
                const clattn_tensor one = clattn_tensor_sliced(from[i], 0, b, 1), some = clattn_tensor_sliced(&one, 2, 0, counts[b]), to = clattn_tensor_sliced(&whole[b][i], 2, lengths[b], counts[b]);
                float *values = contents(&some);
                cr_assert_eq(clattn_tensor_write(context, &to, values), CLATTN_OK, "%s", clattn_message(context));
                free(values);
            }
            lengths[b] += counts[b];
        }
        cr_assert_eq(clattn_kv_cache_append(cache, &k, &v, counts), CLATTN_OK, "%s", clattn_message(context));
    }
}

Test(kv_cache, lengths_of_their_own) {
    int64_t lengths[SEQUENCES];
    clattn_tensor whole[SEQUENCES][2], out, expected;
    context = test_open();
    clattn_tensor query = random_tensor(SEQUENCES, HEADS, 2, DEPTH), key = random_tensor(SEQUENCES, KV_HEADS, 18, DEPTH), value = random_tensor(SEQUENCES, KV_HEADS, 18, VALUE_DEPTH);
    clattn_kv_cache *cache = make(SEQUENCES, 100, 1);
    fill_unevenly(cache, &key, &value, lengths, whole);
    lengths[3] -= lengths[3] / 2;
    cr_assert_eq(clattn_kv_cache_truncate(cache, 3, lengths[3]), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_tensor_create(context, &out, CLATTN_F32, 4, (int64_t[]){ SEQUENCES, HEADS, 2, VALUE_DEPTH }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_tensor_create(context, &expected, CLATTN_F32, 4, (int64_t[]){ 1, HEADS, 2, VALUE_DEPTH }, NULL), CLATTN_OK);
    cr_assert_eq(clattn_kv_cache_attention(cache, &(clattn_attention_args){ .query = &query, .out = &out, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT }), CLATTN_OK, "%s", clattn_message(context));
    for (int64_t b = 0; b < SEQUENCES; b++) {
        const clattn_tensor q = clattn_tensor_sliced(&query, 0, b, 1), k = clattn_tensor_sliced(&whole[b][0], 2, 0, lengths[b]), v = clattn_tensor_sliced(&whole[b][1], 2, 0, lengths[b]), found = clattn_tensor_sliced(&out, 0, b, 1);
        cr_expect_eq(clattn_kv_cache_length(cache, b), lengths[b]);
        cr_assert_eq(clattn_attention(context, &(clattn_attention_args){ .query = &q, .key = &k, .value = &v, .out = &expected, .causal = CLATTN_CAUSAL_BOTTOM_RIGHT }), CLATTN_OK, "%s", clattn_message(context));
        expect_close(&found, &expected, (int)b);
        clattn_tensor_free(&whole[b][0]);
        clattn_tensor_free(&whole[b][1]);
    }
    clattn_kv_cache_free(&cache);
    clattn_tensor *all[] = { &query, &key, &value, &out, &expected };
    for (int i = 0; i < 5; i++) clattn_tensor_free(all[i]);
    clattn_close(&context);
}

static void expect_refused(clattn_status status, const char *part) {
    cr_expect_neq(status, CLATTN_OK, "not refused: %s", part);
    cr_expect(strstr(clattn_message(context), part), "\"%s\" does not say \"%s\"", clattn_message(context), part);
}

Test(kv_cache, refusals) {
    context = test_open();
    clattn_kv_cache *cache = make(2, 5, 0), *none;
    clattn_tensor key = random_tensor(2, KV_HEADS, 3, DEPTH), value = random_tensor(2, KV_HEADS, 3, VALUE_DEPTH), query = random_tensor(2, HEADS, 1, DEPTH);
    cr_expect_eq(clattn_kv_cache_room(cache), 5);
    cr_expect_eq(clattn_kv_cache_append(cache, &key, &value, NULL), CLATTN_OK);
    expect_refused(clattn_kv_cache_append(cache, &key, &value, NULL), "sequence 0 would hold 6 keys, the limit is 5");
    expect_refused(clattn_kv_cache_append(cache, &key, &value, (int64_t[]){ 2, 4 }), "counts[1] = 4 is outside 0..3");
    expect_refused(clattn_kv_cache_append(cache, &key, &key, NULL), "value is not [2,2,3,20]");
    expect_refused(clattn_kv_cache_append(cache, &key, NULL, NULL), "value is missing");
    expect_refused(clattn_kv_cache_truncate(cache, 0, 4), "length 4 is outside 0..3");
    expect_refused(clattn_kv_cache_truncate(cache, 2, 0), "sequence 2 is outside 0..1");
    expect_refused(clattn_kv_cache_attention(cache, &(clattn_attention_args){ .query = &query, .key = &key }), "the cache's own");
    expect_refused(clattn_kv_cache_create(context, &(clattn_kv_cache_params){ .sequences = 1, .kv_heads = 1, .depth = 1 }, &none), "limit = 0");
    expect_refused(clattn_kv_cache_create(context, &(clattn_kv_cache_params){ .kv_heads = 1, .depth = 1, .limit = 4 }, &none), "sequences = 0");
    cr_expect_null(none);
    cr_expect_eq(clattn_kv_cache_length(cache, 1), 3);
    cr_expect_eq(clattn_kv_cache_length(cache, 7), -1);
    clattn_kv_cache_free(&cache);
    clattn_kv_cache_free(NULL);
    clattn_tensor_free(&key);
    clattn_tensor_free(&value);
    clattn_tensor_free(&query);
    clattn_close(&context);
}
