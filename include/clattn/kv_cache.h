/* clattn/kv_cache.h - keys and values kept from step to step: one or many sequences, decoded together.
 *
 * A cache belongs to its context and is used by one thread at a time with it. Its memory begins small and doubles as sequences
 * get longer, up to the limit it was made with. Nothing waits: appending and attending are only enqueued. */
#ifndef CLATTN_KV_CACHE_H
#define CLATTN_KV_CACHE_H

#include <clattn/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct clattn_kv_cache clattn_kv_cache;

/* The sizes of a cache. */
typedef struct clattn_kv_cache_params {
    int64_t sequences;   /* B, 1 or more */
    int64_t kv_heads;    /* Hkv */
    int64_t depth;       /* D of the keys */
    int64_t value_depth; /* Dv; 0 = D */
    int64_t limit;       /* the most keys of a sequence; 1 .. 2^31-1 */
    int64_t initial;     /* room at first; 0 = 64, never above the limit */
} clattn_kv_cache_params;

/* On success the caller owns `*cache` and frees it before the context is closed; on failure it is NULL. */
CLATTN_API clattn_status clattn_kv_cache_create(clattn_context *context, const clattn_kv_cache_params *params, clattn_kv_cache **cache);
/* Sets `*cache` to NULL; work already enqueued still sees the memory. Accepts NULL. */
CLATTN_API void clattn_kv_cache_free(clattn_kv_cache **cache);

/* Puts the first counts[b] of the L rows of key [B,Hkv,L,D] and value [B,Hkv,L,Dv] after what sequence b holds (`counts` NULL: all
 * L of each). A sequence that would pass the limit, or no memory: an error, and the cache is as before. */
CLATTN_API clattn_status clattn_kv_cache_append(clattn_kv_cache *cache, const clattn_tensor *key, const clattn_tensor *value, const int64_t *counts);

/* How many keys a sequence holds; -1 for a sequence that there is not. */
CLATTN_API int64_t clattn_kv_cache_length(const clattn_kv_cache *cache, int64_t sequence);
/* How many keys there is room for before the memory grows. */
CLATTN_API int64_t clattn_kv_cache_room(const clattn_kv_cache *cache);
/* Forgets what a sequence holds from `length` on: 0 to begin another, less than now to take steps back. */
CLATTN_API clattn_status clattn_kv_cache_truncate(clattn_kv_cache *cache, int64_t sequence, int64_t length);

/* Views for attention's key [B,Hkv,T,D], value [B,Hkv,T,Dv] and key_lengths [B], T = the longest length; rows past
 * the length of a shorter sequence hold zeros or what was truncated. Valid until the next append or truncate; not to be freed. */
CLATTN_API clattn_tensor clattn_kv_cache_key(const clattn_kv_cache *cache);
CLATTN_API clattn_tensor clattn_kv_cache_value(const clattn_kv_cache *cache);
CLATTN_API clattn_tensor clattn_kv_cache_lengths(const clattn_kv_cache *cache);

/* clattn_attention of `args` over what the cache holds; its key, value, past and key_lengths must be NULL. With causal
 * bottom_right the queries are each sequence's last ones: append a step's keys, then attend with its queries. */
CLATTN_API clattn_status clattn_kv_cache_attention(const clattn_kv_cache *cache, const clattn_attention_args *args);

#ifdef __cplusplus
}
#endif
#endif
