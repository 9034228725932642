/* What attention and attention_varlen share: the sizes and arguments of the kernels of attention.cl, and how they are cut. */
#ifndef CLATTN_OPS_ATTENTION_H
#define CLATTN_OPS_ATTENTION_H

#include "op.h"

enum {
    ATTENTION_MASK = 1,
    ATTENTION_BIAS = 2,
    ATTENTION_LENGTHS = 4,
    ATTENTION_BOTTOM_RIGHT = 8,
    ATTENTION_SLOPES = 16,
    ATTENTION_SLOPES_PER_BATCH = 32,
    ATTENTION_SINKS = 64,
    ATTENTION_CAP = 128
};

/* One call in plain sizes. `tensors` are the caller's or copies that the kernels can walk; out and lse always exist. */
typedef struct attention_problem {
    int64_t batches, heads, kv_heads, queries, keys, depth, value_depth;
    int64_t left, right; /* the window with causal and past keys folded in; as wide as everything when unbounded */
    int flags;
    float scale;
    uint64_t dropped_below; /* of 2^32 */
    bool varlen;            /* the kernels find the sequences' places themselves */
    clattn_attention_args tensors;
    clattn_tensor *row_sums; /* [B,H,Tq,2] where weights are made: see attention.cl */
    clattn_tensor own[9];
    int own_count;
} attention_problem;

/* Tile sizes: see attention_tile.cl for what they cut. */
typedef struct attention_tile {
    int vectors;     /* of 16 queries in a block */
    int score_keys;  /* keys whose scores are in registers at a time */
    int keys;        /* in a tile */
    int chunk, rows; /* of the value's vectors and of the queries, in registers at a time */
} attention_tile;

/* Flags, scale, window and dropout from the parameters; sizes are set before. `past` keys stand before the others. */
void clattn_attention_set(attention_problem *p, const clattn_attention_args *a, int64_t past);

/* The variants always compute out and lse: what is not asked for goes to scratch, so that no result depends on it. Where weights
 * are made, row_sums too. */
clattn_status clattn_attention_add_results(clattn_call *call, attention_problem *p);

/* For the kernels that load vectors: rows with a last stride of 1, and add_results. */
clattn_status clattn_attention_pack(clattn_call *call, attention_problem *p);

/* For the kernel `cpu`, before pack: keys and values one row after the other where their rows collide in a CPU's caches and are met by
 * enough queries to be worth a copy. `sequences` share the queries. */
clattn_status clattn_attention_gather(clattn_call *call, attention_problem *p, int64_t sequences);

/* Why the kernel `cpu` cannot serve; NULL when it can. */
const char *clattn_attention_cpu_refusal(const clattn_call *call, const attention_problem *p);

attention_tile clattn_attention_tile(const clattn_call *call, const attention_problem *p);

/* -D of what the kernels cut their arrays by and of the features in use; `values` adds what only the kernel that reads the
 * values has. */
void clattn_attention_options(char *text, size_t size, const attention_problem *p, const attention_tile *t, bool values);
/* The features alone: " -DFORM ..." */
void clattn_attention_features(char *text, size_t size, const attention_problem *p, bool values);

clattn_arg clattn_attention_extra_strides(const attention_problem *p, const clattn_tensor *tensor);

/* How many groups of CHUNK of the value's width the kernel `scalar` has. */
int64_t clattn_attention_chunks(const attention_problem *p);

/* Pairs of a head inside causal and window; `keys` count as they are, whatever key_lengths hold. */
double clattn_attention_pairs(const attention_problem *p);

/* What a tensor of lengths in device memory holds, for `work`; waits. The caller frees it; NULL when it cannot be read. */
int32_t *clattn_attention_read_lengths(const clattn_call *call, const clattn_tensor *tensor);

/* The variant gpu_tile: why it cannot serve, and out and lse of a packed problem. */
const char *clattn_attention_gpu_refusal(const clattn_call *call, const attention_problem *p);
clattn_status clattn_attention_gpu_run(clattn_call *call, attention_problem *p);
/* The same of gpu_decode. */
const char *clattn_attention_gpu_decode_refusal(const clattn_call *call, const attention_problem *p);
clattn_status clattn_attention_gpu_decode_run(clattn_call *call, attention_problem *p);

/* The arguments that every kernel begins with; see PROBLEM in attention_problem.cl. */
#define ATTENTION_ARGS(p)                                                                                              \
    ARG_T((p)->tensors.query), ARG_T((p)->tensors.key), ARG_T((p)->tensors.mask), ARG_T((p)->tensors.bias), ARG_T((p)->tensors.key_lengths), \
        clattn_arg_strides4((p)->tensors.query), clattn_arg_strides4((p)->tensors.key), clattn_attention_extra_strides(p, (p)->tensors.mask), clattn_attention_extra_strides(p, (p)->tensors.bias), \
        clattn_arg_i64x4((p)->heads, (p)->kv_heads, (p)->queries, (p)->keys), clattn_arg_i64x4((p)->depth, (p)->value_depth, (p)->left, (p)->right), ARG_I32((p)->flags), ARG_F32((p)->scale), \
        ARG_T((p)->tensors.alibi_slopes), ARG_T((p)->tensors.sinks), ARG_F32((p)->tensors.softcap), \
        clattn_arg_i64x4((int64_t)(p)->tensors.seed, (int64_t)(p)->tensors.offset, (int64_t)(p)->dropped_below, 0), ARG_F32(1 / (1 - (p)->tensors.dropout))
/* And the values, out, lse and row_sums after them. */
#define ATTENTION_RESULTS(p) ARG_T((p)->tensors.value), clattn_arg_strides4((p)->tensors.value), ARG_T((p)->tensors.out), clattn_arg_strides4((p)->tensors.out), ARG_T((p)->tensors.lse), ARG_T((p)->row_sums)

#endif
