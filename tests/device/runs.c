#include "runs.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 2, DEPTH = 4, STEPS = 3 };

/* One step: the values of step t are all t + 1 and the scores are equal, so that the result is the mean of those so far. */
static clattn_status step(clattn_context *context, clattn_kv_cache *cache, int t) {
    static const int64_t shape[] = { 1, HEADS, 1, DEPTH };
    float zeros[HEADS * DEPTH] = { 0 }, values[HEADS * DEPTH];
    clattn_tensor query = { 0 }, value = { 0 }, out = { 0 };
    for (int i = 0; i < HEADS * DEPTH; i++) values[i] = (float)t + 1;
    clattn_status status = clattn_tensor_create(context, &query, CLATTN_F32, 4, shape, zeros);
    if (!status) status = clattn_tensor_create(context, &value, CLATTN_F32, 4, shape, values);
    if (!status) status = clattn_tensor_create(context, &out, CLATTN_F32, 4, shape, NULL);
    if (!status) status = clattn_kv_cache_append(cache, &query, &value, NULL);
    if (!status) status = clattn_kv_cache_attention(cache, &(clattn_attention_args){ .query = &query, .out = &out });
    if (!status) status = clattn_tensor_read(context, &out, values);
    for (int i = 0; i < HEADS * DEPTH && !status; i++)
        if (values[i] < 0.5f * (float)t + 0.999f || values[i] > 0.5f * (float)t + 1.001f) status = CLATTN_ERROR_DRIVER;
    clattn_tensor_free(&query);
    clattn_tensor_free(&value);
    clattn_tensor_free(&out);
    return status;
}

clattn_status run_decoding(clattn_context *context) {
    clattn_kv_cache *cache = NULL;
    clattn_status status = clattn_kv_cache_create(context, &(clattn_kv_cache_params){ .sequences = 1, .kv_heads = HEADS, .depth = DEPTH, .value_depth = DEPTH, .limit = 8, .initial = 1 }, &cache);
    for (int t = 0; t < STEPS && !status; t++) status = step(context, cache, t);
    clattn_kv_cache_free(&cache);
    return status;
}

void model_path(const char *file, char *path, size_t size) {
    const char *data = getenv("CLATTN_TEST_DATA");
    snprintf(path, size, "%s/../../models/%s", data ? data : "(CLATTN_TEST_DATA is not set)", file);
}

clattn_status run_translation(clattn_context *context, const char *network, const char *path, char *message, size_t size) {
    static const char *const sentence = "forty two";
    clattn_translation result = { 0 };
    clattn_translator *translator = NULL;
    clattn_status status = clattn_translator_open(context, network, path, &translator, message, size);
    if (!status) status = clattn_translator_translate(translator, &sentence, 1, 2, &result, message, size);
    if (!status) clattn_translation_free(&result);
    clattn_translator_close(&translator);
    return status;
}
