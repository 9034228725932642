/* Keys and values kept from step to step. The host knows all lengths; the device has them for attention's key_lengths. */
#include <clattn/kv_cache.h>

#include <stdlib.h>

#include "op.h"

enum { AT_ONCE = 8 }; /* sequences per launch: what a vector argument holds */

struct clattn_kv_cache {
    clattn_context *context;
    clattn_kv_cache_params params;
    int64_t room, *lengths;
    clattn_tensor key, value; /* [B,Hkv,room,..] */
    clattn_tensor device_lengths;
};

static const clattn_op op_kv_cache = { .name = "kv_cache", .text = "keys and values kept from step to step" };

static clattn_call call_of(const clattn_kv_cache *cache) {
    return (clattn_call){ .context = cache->context, .op = &op_kv_cache };
}

/* ---- Making ---- */

static clattn_status check_params(clattn_context *context, const clattn_kv_cache_params *p) {
    if (p->sequences < 1 || p->kv_heads < 1 || p->depth < 1 || p->value_depth < 0)
        return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "kv_cache: sequences = %lld, kv_heads = %lld, depth = %lld, value_depth = %lld: 1 or more expected", (long long)p->sequences, (long long)p->kv_heads, (long long)p->depth, (long long)p->value_depth);
    if (p->limit < 1 || p->limit > INT32_MAX) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "kv_cache: limit = %lld is outside 1..%lld", (long long)p->limit, (long long)INT32_MAX);
    if (p->initial < 0) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "kv_cache: initial = %lld is below 0", (long long)p->initial);
    return CLATTN_OK;
}

/* Zeros, so that the views of keys and values hold nothing unknown past the end of a shorter sequence. */
static clattn_status make_rows(const clattn_kv_cache *cache, int64_t room, int64_t width, clattn_tensor *rows) {
    clattn_status status = clattn_tensor_create(cache->context, rows, CLATTN_F32, 4, (int64_t[]){ cache->params.sequences, cache->params.kv_heads, room, width }, NULL);
    if (status) return status;
    status = clattn_enqueue_fill(cache->context, rows->buffer, 0, clattn_buffer_size(rows->buffer), 0);
    if (status) clattn_tensor_free(rows);
    return status;
}

static clattn_status make_room(const clattn_kv_cache *cache, int64_t room, clattn_tensor *key, clattn_tensor *value) {
    clattn_status status = make_rows(cache, room, cache->params.depth, key);
    if (status) return status;
    status = make_rows(cache, room, cache->params.value_depth, value);
    if (status) clattn_tensor_free(key);
    return status;
}

static clattn_status write_lengths(clattn_kv_cache *cache) {
    clattn_call call = call_of(cache);
    clattn_status status = CLATTN_OK;
    for (int64_t first = 0; first < cache->params.sequences && !status; first += AT_ONCE) {
        const int64_t left = cache->params.sequences - first, count = left < AT_ONCE ? left : AT_ONCE;
        clattn_arg values = { .kind = CLATTN_ARG_I64X8 };
        for (int64_t i = 0; i < count; i++) values.as.i64[i] = cache->lengths[first + i];
        status = clattn_run_kernel(&call, "kv_cache", "set_lengths", "", 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(&cache->device_lengths), ARG_I64(first), values, ARG_I32(count));
    }
    return status;
}

static clattn_status fill(clattn_kv_cache *cache) {
    cache->lengths = calloc((size_t)cache->params.sequences, sizeof *cache->lengths);
    if (!cache->lengths) return clattn_fail(cache->context, CLATTN_ERROR_OUT_OF_MEMORY, "kv_cache: no memory for %lld lengths", (long long)cache->params.sequences);
    clattn_status status = make_room(cache, cache->room, &cache->key, &cache->value);
    if (!status) status = clattn_tensor_create(cache->context, &cache->device_lengths, CLATTN_I32, 1, (int64_t[]){ cache->params.sequences }, NULL);
    return status ? status : write_lengths(cache);
}

clattn_status clattn_kv_cache_create(clattn_context *context, const clattn_kv_cache_params *params, clattn_kv_cache **cache) {
    if (cache) *cache = NULL;
    if (!context || !clattn_context_device(context)) return CLATTN_ERROR_ARGUMENT;
    if (!cache || !params) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "kv_cache: %s is NULL", cache ? "params" : "cache");
    clattn_status status = check_params(context, params);
    if (status) return status;
    clattn_kv_cache *made = calloc(1, sizeof *made);
    if (!made) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "kv_cache: no memory");
    made->context = context;
    made->params = *params;
    if (!made->params.value_depth) made->params.value_depth = params->depth;
    made->room = params->initial ? params->initial : 64;
    if (made->room > params->limit) made->room = params->limit;
    status = fill(made);
    if (status) clattn_kv_cache_free(&made);
    *cache = made;
    return status;
}

void clattn_kv_cache_free(clattn_kv_cache **cache) {
    if (!cache || !*cache) return;
    clattn_tensor_free(&(*cache)->key);
    clattn_tensor_free(&(*cache)->value);
    clattn_tensor_free(&(*cache)->device_lengths);
    free((*cache)->lengths);
    free(*cache);
    *cache = NULL;
}

/* ---- Growing ---- */

static int64_t longest(const clattn_kv_cache *cache) {
    int64_t length = 0;
    for (int64_t b = 0; b < cache->params.sequences; b++) length = cache->lengths[b] > length ? cache->lengths[b] : length;
    return length;
}

static clattn_status copy_start(clattn_call *call, const clattn_tensor *to, const clattn_tensor *from, int64_t length) {
    const clattn_tensor target = clattn_tensor_sliced(to, 2, 0, length), source = clattn_tensor_sliced(from, 2, 0, length);
    return clattn_copy(call, &target, &source);
}

/* Doubles the room until `needed` fits. */
static clattn_status grow(clattn_kv_cache *cache, int64_t needed) {
    clattn_tensor key, value;
    clattn_call call = call_of(cache);
    int64_t room = cache->room;
    if (needed <= room) return CLATTN_OK;
    while (room < needed) room *= 2;
    if (room > cache->params.limit) room = cache->params.limit;
    clattn_status status = make_room(cache, room, &key, &value);
    if (status) return status;
    status = copy_start(&call, &key, &cache->key, longest(cache));
    if (!status) status = copy_start(&call, &value, &cache->value, longest(cache));
    clattn_tensor_free(status ? &key : &cache->key);
    clattn_tensor_free(status ? &value : &cache->value);
    if (status) return status;
    cache->key = key;
    cache->value = value;
    cache->room = room;
    return CLATTN_OK;
}

/* ---- Appending ---- */

static clattn_status check_rows(const clattn_kv_cache *cache, const char *name, const clattn_tensor *rows, int64_t count, int64_t width) {
    const clattn_kv_cache_params *p = &cache->params;
    if (!rows || !rows->buffer) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: %s is missing", name);
    if (clattn_buffer_context(rows->buffer) != cache->context) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: %s belongs to another context", name);
    if (rows->dtype != CLATTN_F32) return clattn_fail(cache->context, CLATTN_ERROR_TYPE, "kv_cache: %s is %s, expected f32", name, clattn_dtype_name(rows->dtype));
    const bool fits = rows->rank == 4 && rows->shape[0] == p->sequences && rows->shape[1] == p->kv_heads && rows->shape[2] == count && rows->shape[3] == width;
    if (!fits) return clattn_fail(cache->context, CLATTN_ERROR_SHAPE, "kv_cache: %s is not [%lld,%lld,%lld,%lld]", name, (long long)p->sequences, (long long)p->kv_heads, (long long)count, (long long)width);
    const int64_t span = clattn_tensor_span(rows), room = (int64_t)(clattn_buffer_size(rows->buffer) / sizeof(float));
    if (rows->offset < 0 || span < 0 || (span && span > room - rows->offset)) return clattn_fail(cache->context, CLATTN_ERROR_SHAPE, "kv_cache: %s reaches past its buffer", name);
    return CLATTN_OK;
}

static clattn_status check_counts(const clattn_kv_cache *cache, int64_t rows, const int64_t *counts, int64_t *needed) {
    *needed = 0;
    for (int64_t b = 0; b < cache->params.sequences; b++) {
        const int64_t count = counts ? counts[b] : rows, length = cache->lengths[b] + count;
        if (count < 0 || count > rows) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: counts[%lld] = %lld is outside 0..%lld", (long long)b, (long long)count, (long long)rows);
        if (length > cache->params.limit) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: sequence %lld would hold %lld keys, the limit is %lld", (long long)b, (long long)length, (long long)cache->params.limit);
        if (length > *needed) *needed = length;
    }
    return CLATTN_OK;
}

static clattn_status put_rows(const clattn_kv_cache *cache, const clattn_tensor *rows, const clattn_tensor *to, const int64_t *counts) {
    clattn_call call = call_of(cache);
    clattn_status status = CLATTN_OK;
    for (int64_t first = 0; first < cache->params.sequences && !status; first += AT_ONCE) {
        const int64_t left = cache->params.sequences - first, some = left < AT_ONCE ? left : AT_ONCE, items = some * rows->shape[1] * rows->shape[2] * rows->shape[3];
        clattn_arg starts = { .kind = CLATTN_ARG_I64X8 }, numbers = { .kind = CLATTN_ARG_I64X8 };
        for (int64_t i = 0; i < some; i++) {
            starts.as.i64[i] = cache->lengths[first + i];
            numbers.as.i64[i] = counts ? counts[first + i] : rows->shape[2];
        }
        status = clattn_run_kernel(&call, "kv_cache", "append", "", 1, (size_t[]){ (size_t)items }, (size_t[]){ 0 }, ARG_T(rows), clattn_arg_strides4(rows), ARG_T(to), clattn_arg_strides4(to), clattn_arg_i64x4(first, rows->shape[1], rows->shape[2], rows->shape[3]), starts, numbers, ARG_I64(items));
    }
    return status;
}

clattn_status clattn_kv_cache_append(clattn_kv_cache *cache, const clattn_tensor *key, const clattn_tensor *value, const int64_t *counts) {
    int64_t needed;
    if (!cache) return CLATTN_ERROR_ARGUMENT;
    const int64_t rows = key && key->rank == 4 ? key->shape[2] : 0;
    clattn_status status = check_rows(cache, "key", key, rows, cache->params.depth);
    if (!status) status = check_rows(cache, "value", value, rows, cache->params.value_depth);
    if (!status) status = check_counts(cache, rows, counts, &needed);
    if (!status) status = grow(cache, needed);
    if (!status) status = put_rows(cache, key, &cache->key, counts);
    if (!status) status = put_rows(cache, value, &cache->value, counts);
    if (status) return status;
    for (int64_t b = 0; b < cache->params.sequences; b++) cache->lengths[b] += counts ? counts[b] : rows;
    return write_lengths(cache);
}

clattn_status clattn_kv_cache_truncate(clattn_kv_cache *cache, int64_t sequence, int64_t length) {
    const int64_t now = clattn_kv_cache_length(cache, sequence);
    if (!cache) return CLATTN_ERROR_ARGUMENT;
    if (now < 0) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: sequence %lld is outside 0..%lld", (long long)sequence, (long long)cache->params.sequences - 1);
    if (length < 0 || length > now) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: length %lld is outside 0..%lld", (long long)length, (long long)now);
    cache->lengths[sequence] = length;
    return write_lengths(cache);
}

/* ---- Reading ---- */

int64_t clattn_kv_cache_length(const clattn_kv_cache *cache, int64_t sequence) {
    return cache && sequence >= 0 && sequence < cache->params.sequences ? cache->lengths[sequence] : -1;
}

int64_t clattn_kv_cache_room(const clattn_kv_cache *cache) {
    return cache ? cache->room : 0;
}

clattn_tensor clattn_kv_cache_key(const clattn_kv_cache *cache) {
    return cache ? clattn_tensor_sliced(&cache->key, 2, 0, longest(cache)) : (clattn_tensor){ 0 };
}

clattn_tensor clattn_kv_cache_value(const clattn_kv_cache *cache) {
    return cache ? clattn_tensor_sliced(&cache->value, 2, 0, longest(cache)) : (clattn_tensor){ 0 };
}

clattn_tensor clattn_kv_cache_lengths(const clattn_kv_cache *cache) {
    return cache ? cache->device_lengths : (clattn_tensor){ 0 };
}

clattn_status clattn_kv_cache_attention(const clattn_kv_cache *cache, const clattn_attention_args *args) {
    if (!cache) return CLATTN_ERROR_ARGUMENT;
    if (!args || args->key || args->value || args->key_lengths || args->past_key || args->past_value) return clattn_fail(cache->context, CLATTN_ERROR_ARGUMENT, "kv_cache: %s", args ? "key, value, key_lengths and past are the cache's own" : "args is NULL");
    const clattn_tensor key = clattn_kv_cache_key(cache), value = clattn_kv_cache_value(cache), lengths = clattn_kv_cache_lengths(cache);
    clattn_attention_args all = *args;
    all.key = &key;
    all.value = &value;
    all.key_lengths = &lengths;
    return clattn_attention(cache->context, &all);
}
