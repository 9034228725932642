/* clattn/ops.h - the operations.
 *
 * One struct of arguments per operation: inputs, outputs and parameters under the field's standard names. A field that is
 * zero is absent or has its default. `?` marks an optional input; of the outputs any non-empty set may be asked for, what
 * is NULL is not computed, and asking for one never changes a bit of another on the same device.
 * Shapes are given in brackets; [..] is any number of axes. Images are NCHW.
 *
 * A call checks everything first: on an error nothing is enqueued and nothing is written, and clattn_message names the
 * argument with the shape expected and found. Then it enqueues and returns; clattn_tensor_read or clattn_finish wait.
 * Outputs are created by the caller (clattn_op_shapes tells their shapes) and may not overlap an input.
 * Floats are stored as f32, f16 or bf16; sums, softmax and reductions are in f32. Tensors of CLATTN_FIELD_STORED (registry.h)
 * are read and written as f16 by the kernels themselves where all of a call's are f16; others go through a copy in f32. Masks are u8 with true = attend; ids, lengths i32.
 * Values in device memory (lengths, ids) are never read back: kernels clamp lengths to 0..Tk, and an id outside
 * its table gives a zero row. A row with no key to attend gives 0 (lse -inf). */
#ifndef CLATTN_OPS_H
#define CLATTN_OPS_H

#include <clattn/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Parameters for which zero is a value of its own: set = true makes `value` count. */
typedef struct clattn_optional_int {
    bool set; /* the value counts; false: the default */
    int64_t value; /* within the range that the operation gives */
} clattn_optional_int;
typedef struct clattn_optional_float {
    bool set; /* the value counts; false: the default */
    float value; /* finite */
} clattn_optional_float;

/* A list of up to 8 integers; count 0 = default. Kernel, stride, padding, dilation: one value serves all axes. */
typedef struct clattn_ints {
    int count; /* 0 .. CLATTN_MAX_RANK */
    int64_t values[CLATTN_MAX_RANK]; /* the first `count` of them */
} clattn_ints;

/* A list of up to 8 real numbers; count 0 = default. Doubles, for a decimal fraction decides where floor(size * 0.7) lies. */
typedef struct clattn_doubles {
    int count; /* 0 .. CLATTN_MAX_RANK */
    double values[CLATTN_MAX_RANK]; /* the first `count` of them */
} clattn_doubles;

/* A switch whose default may be on. */
typedef enum clattn_toggle { CLATTN_DEFAULT, CLATTN_ON, CLATTN_OFF } clattn_toggle;

/* top_left: key j is attended by query i when j <= i + past; bottom_right: j <= i + n_b - Tq, n_b = the keys of batch b. */
typedef enum clattn_causal { CLATTN_CAUSAL_NONE, CLATTN_CAUSAL_TOP_LEFT, CLATTN_CAUSAL_BOTTOM_RIGHT } clattn_causal;
typedef enum clattn_scores_stage { CLATTN_SCORES_RAW, CLATTN_SCORES_SOFTCAP, CLATTN_SCORES_BIAS, CLATTN_SCORES_SOFTMAX } clattn_scores_stage;
typedef enum clattn_luong_score { CLATTN_LUONG_DOT, CLATTN_LUONG_GENERAL, CLATTN_LUONG_CONCAT } clattn_luong_score;
typedef enum clattn_luong_mode { CLATTN_LUONG_GLOBAL, CLATTN_LUONG_LOCAL_M, CLATTN_LUONG_LOCAL_P } clattn_luong_mode;
/* gelu: with erf; gelu_tanh: the tanh form; hard_sigmoid: relu6(x+3)/6; leaky_relu: slope 0.01. */
typedef enum clattn_activation_kind {
    CLATTN_ACTIVATION_DEFAULT, /* what the operation says */
    CLATTN_ACTIVATION_NONE,
    CLATTN_ACTIVATION_RELU,
    CLATTN_ACTIVATION_GELU,
    CLATTN_ACTIVATION_GELU_TANH,
    CLATTN_ACTIVATION_SILU,
    CLATTN_ACTIVATION_SIGMOID,
    CLATTN_ACTIVATION_HARD_SIGMOID,
    CLATTN_ACTIVATION_TANH,
    CLATTN_ACTIVATION_LEAKY_RELU
} clattn_activation_kind;
/* reset after: n = tanh(W x + b + r*(U h + c)) (PyTorch, cuDNN); before: n = tanh(W x + b + U (r*h) + c) (Cho, Bahdanau). */
typedef enum clattn_gru_reset { CLATTN_RESET_AFTER, CLATTN_RESET_BEFORE } clattn_gru_reset;
/* keep old: h' = z*h + (1-z)*n (PyTorch); new: h' = z*n + (1-z)*h (Bahdanau). */
typedef enum clattn_gru_keep { CLATTN_KEEP_OLD, CLATTN_KEEP_NEW } clattn_gru_keep;
typedef enum clattn_gate_kind { CLATTN_GATE_SIGMOID, CLATTN_GATE_HARD_SIGMOID } clattn_gate_kind;
typedef enum clattn_pool_kind { CLATTN_POOL_AVG, CLATTN_POOL_MAX, CLATTN_POOL_LP, CLATTN_POOL_LSE } clattn_pool_kind;
/* An ordered list of pools; count 0 = default. */
typedef struct clattn_pools {
    int count; /* 0 .. 4; no pool twice */
    int kinds[4]; /* clattn_pool_kind; for channel_pool avg is the mean */
} clattn_pools;
typedef enum clattn_spatial_order { CLATTN_ORDER_MAX_MEAN, CLATTN_ORDER_MEAN_MAX } clattn_spatial_order;
/* crd: the channels of a pixel lie in the order channel, row, column (PyTorch); dcr: row, column, channel (ONNX's default). */
typedef enum clattn_shuffle_mode { CLATTN_SHUFFLE_CRD, CLATTN_SHUFFLE_DCR } clattn_shuffle_mode;
typedef enum clattn_resize_mode { CLATTN_RESIZE_NEAREST, CLATTN_RESIZE_LINEAR, CLATTN_RESIZE_CUBIC } clattn_resize_mode;
/* Where output position i lies in the input, s = input size / output size (or 1 / scale): half_pixel (i + 0.5) s - 0.5;
 * align_corners i (in - 1) / (out - 1); asymmetric i s. */
typedef enum clattn_resize_coordinates { CLATTN_RESIZE_HALF_PIXEL, CLATTN_RESIZE_ALIGN_CORNERS, CLATTN_RESIZE_ASYMMETRIC } clattn_resize_coordinates;
typedef enum clattn_reduce_kind { CLATTN_REDUCE_SUM, CLATTN_REDUCE_MEAN, CLATTN_REDUCE_MAX, CLATTN_REDUCE_MIN, CLATTN_REDUCE_L2 } clattn_reduce_kind;
typedef enum clattn_precision { CLATTN_PRECISION_EXACT, CLATTN_PRECISION_FAST } clattn_precision;

/* ---- Text --------------------------------------------------------------------------------------------------------- */

/* Scaled dot-product attention, softmax(scale * Q K^T + bias) V, per query head h with key/value head h / (H / Hkv).
 * Vaswani et al. 2017; equals PyTorch's scaled_dot_product_attention and Keras' Attention (scale = 1).
 * P = the past keys' count, Tk = P + L; n_b = key_lengths[b], Tk without. A score is softcap * tanh(scale q k / softcap) + bias
 * - slope * |i + n_b - Tq - j|; causal and window as clattn_causal says (without causal the window's offset is P). A sink is a
 * score without a value: it joins lse; a row with nothing but a sink has out 0, lse = sink. With dropout (clattn_dropout's
 * bits, index ((b*H+h)*Tq+i)*Tk+j) only out changes; weights and key_sums are before it.
 * scores: raw = scaled, unmasked; softcap; bias = after bias, slopes and masks, -inf where excluded; softmax = weights.
 * PyTorch, ONNX Attention-23/24; Press et al. 2022 (ALiBi), Xiao et al. 2024 (sinks). */
typedef struct clattn_attention_args {
    const clattn_tensor *query;        /* [B,H,Tq,D] */
    const clattn_tensor *key;          /* [B,Hkv,L,D]; H % Hkv == 0 */
    const clattn_tensor *value;        /* [B,Hkv,L,Dv] */
    const clattn_tensor *mask;         /* ? u8, broadcast from the right to [B,H,Tq,Tk], rank 1-4; true = attend */
    const clattn_tensor *bias;         /* ? float, the same shapes, added to the scaled scores; -inf excludes */
    const clattn_tensor *alibi_slopes; /* ? [H] or [B,H]: the score loses slope * distance */
    const clattn_tensor *key_lengths;  /* ? [B] i32: keys from there on are excluded */
    const clattn_tensor *sinks;        /* ? [H]: a score per head that joins the denominator */
    const clattn_tensor *past_key;     /* ? [B,Hkv,P,D]: stand before key; with past_value */
    const clattn_tensor *past_value;   /* ? [B,Hkv,P,Dv] */
    clattn_tensor *out;                /* [B,H,Tq,Dv] */
    clattn_tensor *lse;                /* [B,H,Tq]: natural logarithm of the sum of exponentials of the scores */
    clattn_tensor *weights;            /* [B,H,Tq,Tk] */
    clattn_tensor *scores;             /* [B,H,Tq,Tk] at scores_stage */
    clattn_tensor *key_sums;           /* [B,H,Tk]: the weights' sums over the queries */
    clattn_tensor *present_key;        /* [B,Hkv,Tk,D]: past_key and key joined */
    clattn_tensor *present_value;      /* [B,Hkv,Tk,Dv] */
    float scale;                       /* 0 = 1/sqrt(D); may be negative */
    float softcap;                     /* 0 or more; 0 = off */
    clattn_causal causal; /* default none */
    clattn_optional_int window_left;   /* keys before the diagonal that count; unset or -1 = all */
    clattn_optional_int window_right;  /* keys after the diagonal that count; unset or -1 = all */
    float dropout;                     /* [0, 1) */
    uint64_t seed; /* of dropout's bits */
    uint64_t offset; /* of dropout; another one for each call that is to be independent */
    clattn_scores_stage scores_stage; /* default raw */
} clattn_attention_args;
CLATTN_API clattn_status clattn_attention(clattn_context *context, const clattn_attention_args *args);

/* attention over many sequences that stand one after the other: sequence b has the queries cu_query[b] .. cu_query[b+1]-1 and
 * the keys cu_key[b] .. cu_key[b+1]-1. The positions are never read back: kernels clamp them to 0..Nq, 0..Nk and make them
 * rising; queries of no sequence have out 0, lse -inf. Dropout's index is (h*Nq + query)*Nk + key, counted through all sequences.
 * FlashAttention's flash_attn_varlen_func. */
typedef struct clattn_attention_varlen_args {
    const clattn_tensor *query;       /* [Nq,H,D] */
    const clattn_tensor *key;         /* [Nk,Hkv,D]; H % Hkv == 0 */
    const clattn_tensor *value;       /* [Nk,Hkv,Dv] */
    const clattn_tensor *cu_query;    /* [B+1] i32 */
    const clattn_tensor *cu_key;      /* [B+1] i32 */
    clattn_tensor *out;               /* [Nq,H,Dv] */
    clattn_tensor *lse;               /* [H,Nq] */
    float scale;                      /* 0 = 1/sqrt(D); may be negative */
    float softcap;                    /* 0 or more; 0 = off */
    clattn_causal causal;             /* within each sequence */
    clattn_optional_int window_left;  /* unset or -1 = all */
    clattn_optional_int window_right; /* unset or -1 = all */
    float dropout;                    /* [0, 1) */
    uint64_t seed; /* of dropout's bits */
    uint64_t offset; /* of dropout; another one for each call that is to be independent */
} clattn_attention_varlen_args;
CLATTN_API clattn_status clattn_attention_varlen(clattn_context *context, const clattn_attention_varlen_args *args);

/* Joins S results of attention over disjoint keys (made without sinks): out = sum of out_s exp(lse_s - lse), lse the logarithm
 * of the sum of exponentials of lse_s. A part with lse -inf is ignored whatever it holds. */
typedef struct clattn_attention_merge_args {
    const clattn_tensor *out; /* [S,B,H,Tq,Dv] */
    const clattn_tensor *lse; /* [S,B,H,Tq] */
    clattn_tensor *out_out;   /* [B,H,Tq,Dv] */
    clattn_tensor *lse_out;   /* [B,H,Tq] */
} clattn_attention_merge_args;
CLATTN_API clattn_status clattn_attention_merge(clattn_context *context, const clattn_attention_merge_args *args);

/* Additive attention: score(i,j) = sum_d scale[d] * tanh(inner_scale * (query[i,d] + key[j,d]) + bias[d]).
 * Equals Keras' AdditiveAttention, and its Attention(score_mode="concat") with inner_scale. */
typedef struct clattn_additive_attention_args {
    const clattn_tensor *query;      /* [B,Tq,D] */
    const clattn_tensor *value;      /* [B,Tk,Dv] */
    const clattn_tensor *key;        /* ? [B,Tk,D]; absent = value */
    const clattn_tensor *scale;      /* ? [D]; absent = ones */
    const clattn_tensor *bias;       /* ? [D], inside the tanh */
    const clattn_tensor *key_mask;   /* ? u8 [B,Tk] */
    const clattn_tensor *query_mask; /* ? u8 [B,Tq]; false zeroes the row of out only */
    const clattn_tensor *mask;       /* ? u8 [B,Tq,Tk] */
    clattn_tensor *out;              /* [B,Tq,Dv] */
    clattn_tensor *weights;          /* [B,Tq,Tk] */
    clattn_tensor *lse;              /* [B,Tq] */
    clattn_tensor *scores;           /* [B,Tq,Tk], unmasked */
    bool causal;                     /* top-left */
    clattn_optional_float inner_scale; /* unset = 1 */
} clattn_additive_attention_args;
CLATTN_API clattn_status clattn_additive_attention(clattn_context *context, const clattn_additive_attention_args *args);

/* Bahdanau, Cho, Bengio 2014: e = v_a^T tanh(state W_a + annotations U_a), softmax over the annotations, context.
 * `projected` = annotations U_a is computed once per sentence and given again at every decoder step. */
typedef struct clattn_bahdanau_attention_args {
    const clattn_tensor *state;       /* [B,Tq,S]: the previous decoder state */
    const clattn_tensor *annotations; /* [B,Tk,N] */
    const clattn_tensor *w_a;         /* [S,A] */
    const clattn_tensor *u_a;         /* [N,A] */
    const clattn_tensor *v_a;         /* [A] */
    const clattn_tensor *projected;   /* ? [B,Tk,A], an earlier call's output of that name */
    const clattn_tensor *key_mask;    /* ? u8 [B,Tk] */
    clattn_tensor *context;           /* [B,Tq,N] */
    clattn_tensor *weights;           /* [B,Tq,Tk] */
    clattn_tensor *projected_out;     /* [B,Tk,A] */
} clattn_bahdanau_attention_args;
CLATTN_API clattn_status clattn_bahdanau_attention(clattn_context *context, const clattn_bahdanau_attention_args *args);

/* Luong, Pham, Manning 2015: global and local attention with the scores dot, general and concat; the attentional vector
 * tanh(w_c [context; target]). local_m centres the window of +-window at p_t = first_step + t (clamped to the source),
 * local_p at (S-1) * sigmoid(v_p^T tanh(w_p target)) with a Gaussian of sigma = window/2, not renormalised. */
typedef struct clattn_luong_attention_args {
    const clattn_tensor *target;      /* [B,Tq,D] */
    const clattn_tensor *source;      /* [B,Tk,N]; N = D for dot */
    const clattn_tensor *w_a;         /* general [D,N]; concat [A,D+N] */
    const clattn_tensor *v_a;         /* concat [A] */
    const clattn_tensor *w_c;         /* ? [Dout,N+D], context first */
    const clattn_tensor *w_p;         /* local_p [P,D] */
    const clattn_tensor *v_p;         /* local_p [P] */
    const clattn_tensor *key_lengths; /* ? [B] i32 */
    clattn_tensor *context;           /* [B,Tq,N] */
    clattn_tensor *weights;           /* [B,Tq,Tk]: those that multiply the source, after the Gaussian */
    clattn_tensor *attentional;       /* [B,Tq,Dout]; needs w_c */
    clattn_tensor *positions;         /* [B,Tq]: p_t, 0-based and real; local modes only */
    clattn_luong_score score; /* default dot */
    clattn_luong_mode mode; /* default global */
    clattn_optional_int window;       /* unset = 10 */
    int64_t first_step; /* local_m: t of the first query; default 0 */
} clattn_luong_attention_args;
CLATTN_API clattn_status clattn_luong_attention(clattn_context *context, const clattn_luong_attention_args *args);

/* Multi-head attention with its four projections (weights [out,in] as in PyTorch); equals torch.nn.MultiheadAttention.
 * D = rows of w_q / heads, Dv = rows of w_v / kv_heads. */
typedef struct clattn_multi_head_attention_args {
    const clattn_tensor *query;    /* [B,Tq,E] */
    const clattn_tensor *key;      /* ? [B,Tk,Ek]; absent = query */
    const clattn_tensor *value;    /* ? [B,Tk,Ev]; absent = key */
    const clattn_tensor *w_q;      /* [H*D,E] */
    const clattn_tensor *w_k;      /* [Hkv*D,Ek] */
    const clattn_tensor *w_v;      /* [Hkv*Dv,Ev] */
    const clattn_tensor *w_o;      /* [Eo,H*Dv] */
    const clattn_tensor *b_q;      /* ? [H*D] */
    const clattn_tensor *b_k;      /* ? [Hkv*D] */
    const clattn_tensor *b_v;      /* ? [Hkv*Dv] */
    const clattn_tensor *b_o;      /* ? [Eo] */
    const clattn_tensor *bias_k;   /* ? [Hkv*D]: one learned extra key; with bias_v */
    const clattn_tensor *bias_v;   /* ? [Hkv*Dv] */
    const clattn_tensor *key_mask; /* ? u8 [B,Tk]; true = attend (the inverse of PyTorch's key_padding_mask) */
    const clattn_tensor *mask;     /* ? u8, broadcast to [B,H,Tq,Tk]; extra keys are always attended */
    const clattn_tensor *bias;     /* ? float, the same */
    clattn_tensor *out;            /* [B,Tq,Eo] */
    clattn_tensor *weights;        /* [B,H,Tq,Tk + extra keys], or [B,Tq,Tk + extra keys] with average_weights */
    int64_t heads;                 /* H, required */
    int64_t kv_heads;              /* 0 = heads */
    clattn_causal causal; /* default none */
    float scale;                   /* 0 = 1/sqrt(D) */
    bool average_weights;          /* mean over the heads */
    bool zero_key;                 /* one extra key and value of zeros */
} clattn_multi_head_attention_args;
CLATTN_API clattn_status clattn_multi_head_attention(clattn_context *context, const clattn_multi_head_attention_args *args);

/* Rotary position embedding (Su et al. 2021): each pair (u, v) of a head's elements is turned by its position's angle to
 * (u cos - v sin, v cos + u sin). Pair i is elements i and i + D/2, interleaved 2i and 2i + 1; its angle is
 * position * base^(-2i/D), exact to f32 at any position, or stands in the tables. A position outside a given table has a
 * zero row there: out is 0. */
typedef struct clattn_rotary_args {
    const clattn_tensor *x;         /* [B,H,T,D], D even */
    const clattn_tensor *cos;       /* ? [Tmax,D/2]; with sin or not at all */
    const clattn_tensor *sin;       /* ? [Tmax,D/2] */
    const clattn_tensor *positions; /* ? [B,T] i32; absent: 0..T-1, which a given table must hold */
    clattn_tensor *out;             /* as x; may be x itself */
    bool interleaved;               /* false: halves (GPT-NeoX, Llama in transformers); true: pairs (the paper, GPT-J) */
    float base;                     /* 0 = 10000; at least 1; not used with tables */
} clattn_rotary_args;
CLATTN_API clattn_status clattn_rotary(clattn_context *context, const clattn_rotary_args *args);

/* Rows of a table by id; an id outside 0..V-1 gives a zero row. */
typedef struct clattn_embedding_args {
    const clattn_tensor *table; /* [V,E] */
    const clattn_tensor *ids;   /* [..] i32 */
    clattn_tensor *out;         /* [..,E] */
    clattn_optional_int padding_id; /* unset = -1: none; only its gradient is zero */
} clattn_embedding_args;
CLATTN_API clattn_status clattn_embedding(clattn_context *context, const clattn_embedding_args *args);

/* Gated recurrent unit over a sequence; gates in PyTorch's order r, z, n. With `bidirectional` the weights have a first
 * axis of 2 (forward, backward). Beyond a length out is 0 and the state is kept. Cho et al. 2014; torch.nn.GRU. */
typedef struct clattn_gru_args {
    const clattn_tensor *x;       /* [B,T,I] */
    const clattn_tensor *w_ih;    /* [3H,I] or [2,3H,I] */
    const clattn_tensor *w_hh;    /* [3H,H] or [2,3H,H] */
    const clattn_tensor *b_ih;    /* ? [3H] or [2,3H] */
    const clattn_tensor *b_hh;    /* ? the same */
    const clattn_tensor *h0;      /* ? [dir,B,H] */
    const clattn_tensor *lengths; /* ? [B] i32 */
    clattn_tensor *out;           /* [B,T,H*dir] */
    clattn_tensor *h_n;           /* [dir,B,H] */
    bool bidirectional; /* dir = 2 instead of 1 */
    clattn_gru_reset reset; /* default after */
    clattn_gru_keep keep; /* default old */
} clattn_gru_args;
CLATTN_API clattn_status clattn_gru(clattn_context *context, const clattn_gru_args *args);

/* One step of the same unit. */
typedef struct clattn_gru_cell_args {
    const clattn_tensor *x;    /* [B,I] */
    const clattn_tensor *h;    /* [B,H] */
    const clattn_tensor *w_ih; /* [3H,I] */
    const clattn_tensor *w_hh; /* [3H,H] */
    const clattn_tensor *b_ih; /* ? [3H] */
    const clattn_tensor *b_hh; /* ? [3H] */
    clattn_tensor *h_out;      /* [B,H] */
    clattn_gru_reset reset; /* default after */
    clattn_gru_keep keep; /* default old */
} clattn_gru_cell_args;
CLATTN_API clattn_status clattn_gru_cell(clattn_context *context, const clattn_gru_cell_args *args);

/* Long short-term memory over a sequence: c' = f c + i g, h' = o tanh(c'); gates in PyTorch's order i, f, g, o. Directions and
 * lengths as in gru. Hochreiter and Schmidhuber 1997, with Gers' forget gate; torch.nn.LSTM. */
typedef struct clattn_lstm_args {
    const clattn_tensor *x;       /* [B,T,I] */
    const clattn_tensor *w_ih;    /* [4H,I] or [2,4H,I] */
    const clattn_tensor *w_hh;    /* [4H,H] or [2,4H,H] */
    const clattn_tensor *b_ih;    /* ? [4H] or [2,4H] */
    const clattn_tensor *b_hh;    /* ? the same */
    const clattn_tensor *h0;      /* ? [dir,B,H] */
    const clattn_tensor *c0;      /* ? [dir,B,H] */
    const clattn_tensor *lengths; /* ? [B] i32 */
    clattn_tensor *out;           /* [B,T,H*dir] */
    clattn_tensor *h_n;           /* [dir,B,H] */
    clattn_tensor *c_n;           /* [dir,B,H] */
    bool bidirectional; /* dir = 2 instead of 1 */
} clattn_lstm_args;
CLATTN_API clattn_status clattn_lstm(clattn_context *context, const clattn_lstm_args *args);

/* One step of the same unit. */
typedef struct clattn_lstm_cell_args {
    const clattn_tensor *x;    /* [B,I] */
    const clattn_tensor *h;    /* [B,H] */
    const clattn_tensor *c;    /* [B,H] */
    const clattn_tensor *w_ih; /* [4H,I] */
    const clattn_tensor *w_hh; /* [4H,H] */
    const clattn_tensor *b_ih; /* ? [4H] */
    const clattn_tensor *b_hh; /* ? [4H] */
    clattn_tensor *h_out;      /* [B,H] */
    clattn_tensor *c_out;      /* [B,H] */
} clattn_lstm_cell_args;
CLATTN_API clattn_status clattn_lstm_cell(clattn_context *context, const clattn_lstm_cell_args *args);

/* ---- Vision (NCHW) ------------------------------------------------------------------------------------------------ */

/* Hu et al. 2017: gate = sigmoid(w2 act(w1 avgpool(x) + b1) + b2), out = x * gate. R = C / reduction ratio. */
typedef struct clattn_squeeze_excite_args {
    const clattn_tensor *x;  /* [B,C,H,W] */
    const clattn_tensor *w1; /* [R,C] */
    const clattn_tensor *b1; /* ? [R] */
    const clattn_tensor *w2; /* [C,R] */
    const clattn_tensor *b2; /* ? [C] */
    clattn_tensor *out;      /* [B,C,H,W] */
    clattn_tensor *gate_out; /* [B,C] */
    clattn_activation_kind activation; /* default relu */
    clattn_gate_kind gate; /* default sigmoid */
} clattn_squeeze_excite_args;
CLATTN_API clattn_status clattn_squeeze_excite(clattn_context *context, const clattn_squeeze_excite_args *args);

/* CBAM's channel half (Woo et al. 2018): the same MLP (relu) on each pool, summed before the sigmoid. */
typedef struct clattn_channel_attention_args {
    const clattn_tensor *x;  /* [B,C,H,W] */
    const clattn_tensor *w1; /* [R,C] */
    const clattn_tensor *b1; /* ? [R] */
    const clattn_tensor *w2; /* [C,R] */
    const clattn_tensor *b2; /* ? [C] */
    clattn_tensor *out;      /* [B,C,H,W] */
    clattn_tensor *gate;     /* [B,C] */
    clattn_pools pools;      /* default avg+max */
} clattn_channel_attention_args;
CLATTN_API clattn_status clattn_channel_attention(clattn_context *context, const clattn_channel_attention_args *args);

/* CBAM's spatial half: max and mean over the channels, k x k convolution (padding k/2, no bias), batch norm, sigmoid.
 * Batch norm needs mean and var; gamma or beta without them is refused. A NaN in any channel makes its pixel's maximum NaN. */
typedef struct clattn_spatial_attention_args {
    const clattn_tensor *x;      /* [B,C,H,W] */
    const clattn_tensor *weight; /* [1,2,k,k], k odd */
    const clattn_tensor *gamma;  /* ? [1] */
    const clattn_tensor *beta;   /* ? [1] */
    const clattn_tensor *mean;   /* ? [1]; neither mean nor var: no batch norm; only one: refused */
    const clattn_tensor *var;    /* ? [1] */
    clattn_tensor *out;          /* [B,C,H,W] */
    clattn_tensor *gate;         /* [B,1,H,W] */
    clattn_spatial_order order;  /* of the weight's two input channels */
    float eps;                   /* 0 = 1e-5 */
} clattn_spatial_attention_args;
CLATTN_API clattn_status clattn_spatial_attention(clattn_context *context, const clattn_spatial_attention_args *args);

/* CBAM: channel attention, then spatial attention on the refined map, which is never stored. With spatial off, weight and
 * batch norm are not used. */
typedef struct clattn_cbam_args {
    const clattn_tensor *x;      /* [B,C,H,W] */
    const clattn_tensor *w1;     /* [R,C] */
    const clattn_tensor *b1;     /* ? [R] */
    const clattn_tensor *w2;     /* [C,R] */
    const clattn_tensor *b2;     /* ? [C] */
    const clattn_tensor *weight; /* [1,2,k,k]; absent only with spatial off */
    const clattn_tensor *gamma;  /* ? [1] */
    const clattn_tensor *beta;   /* ? [1] */
    const clattn_tensor *mean;   /* ? [1] */
    const clattn_tensor *var;    /* ? [1] */
    clattn_tensor *out;          /* [B,C,H,W] */
    clattn_tensor *channel_gate; /* [B,C] */
    clattn_tensor *spatial_gate; /* [B,1,H,W]; not with spatial off */
    clattn_pools pools;          /* default avg+max */
    clattn_spatial_order order; /* of the weight's two input channels; default max, mean */
    float eps;                   /* 0 = 1e-5 */
    clattn_toggle spatial;       /* default on */
} clattn_cbam_args;
CLATTN_API clattn_status clattn_cbam(clattn_context *context, const clattn_cbam_args *args);

/* Wang et al. 2020: gate = sigmoid(1-D convolution of the channels' means, padding k/2), out = x * gate. */
typedef struct clattn_efficient_channel_attention_args {
    const clattn_tensor *x;      /* [B,C,H,W] */
    const clattn_tensor *weight; /* [1,1,k], k odd */
    clattn_tensor *out;          /* [B,C,H,W] */
    clattn_tensor *gate;         /* [B,C] */
} clattn_efficient_channel_attention_args;
CLATTN_API clattn_status clattn_efficient_channel_attention(clattn_context *context, const clattn_efficient_channel_attention_args *args);

/* 2-D cross-correlation with zero padding; torch.nn.functional.conv2d.
 * precision fast allows Winograd's F(4x4,3x3) for 3x3 kernels of stride and dilation 1: 36 products instead of 144, for errors of up
 * to 1e-4 of the largest |output| (some 1e-5 is usual, 25 to 60 times those of exact), and a NaN or an infinity of x makes NaN of the
 * whole 4x4 blocks of outputs whose windows touch it. */
typedef struct clattn_conv2d_args {
    const clattn_tensor *x;      /* [B,C,H,W] */
    const clattn_tensor *weight; /* [O,C/groups,kh,kw] */
    const clattn_tensor *bias;   /* ? [O] */
    clattn_tensor *out;          /* [B,O,OH,OW] */
    clattn_ints stride;          /* default 1 */
    clattn_ints padding;         /* default 0; one value; vertical,horizontal; or top,left,bottom,right */
    clattn_ints dilation;        /* default 1 */
    int64_t groups;              /* 0 = 1 */
    clattn_activation_kind activation; /* default none */
    clattn_precision precision; /* default exact */
} clattn_conv2d_args;
CLATTN_API clattn_status clattn_conv2d(clattn_context *context, const clattn_conv2d_args *args);

/* The transpose of conv2d (its gradient with respect to the input); torch.nn.functional.conv_transpose2d.
 * OH = (H - 1) stride - padding + dilation (kh - 1) + output_padding + 1, the padding of both sides. */
typedef struct clattn_conv_transpose2d_args {
    const clattn_tensor *x;      /* [B,C,H,W] */
    const clattn_tensor *weight; /* [C,O/groups,kh,kw] */
    const clattn_tensor *bias;   /* ? [O] */
    clattn_tensor *out;          /* [B,O,OH,OW] */
    clattn_ints stride;          /* default 1 */
    clattn_ints padding;         /* default 0: rows and columns of the result left out; forms as in conv2d */
    clattn_ints output_padding;  /* default 0: rows and columns added at the bottom and right; less than stride or dilation */
    clattn_ints dilation;        /* default 1 */
    int64_t groups;              /* 0 = 1 */
} clattn_conv_transpose2d_args;
CLATTN_API clattn_status clattn_conv_transpose2d(clattn_context *context, const clattn_conv_transpose2d_args *args);

/* Channels become pixels: out[b,c,h*r+i,w*r+j], r = block, is x's channel c*r*r + i*r + j (crd) or (i*r + j)*C/(r*r) + c (dcr)
 * at h,w. torch.nn.functional.pixel_shuffle; ONNX DepthToSpace. */
typedef struct clattn_pixel_shuffle_args {
    const clattn_tensor *x; /* [B,C,H,W], C divisible by block^2 */
    clattn_tensor *out;     /* [B,C/block^2,H*block,W*block] */
    int64_t block;          /* required */
    clattn_shuffle_mode mode; /* default crd */
} clattn_pixel_shuffle_args;
CLATTN_API clattn_status clattn_pixel_shuffle(clattn_context *context, const clattn_pixel_shuffle_args *args);

/* torch.nn.functional.interpolate without antialiasing: edges repeated, cubic with a = -0.75. Exactly one of size and scale.
 * With scale the output's size is floor(input * scale), and positions use the scale given, not the quotient of the sizes.
 * nearest takes the element at floor(i s), PyTorch's rule, for half_pixel as for asymmetric. */
typedef struct clattn_resize2d_args {
    const clattn_tensor *x; /* [B,C,H,W] */
    clattn_tensor *out;     /* [B,C,OH,OW] */
    clattn_ints size;       /* one value or height,width */
    clattn_doubles scale;   /* one value or height,width */
    clattn_resize_mode mode; /* default nearest */
    clattn_resize_coordinates coordinates; /* default half_pixel */
} clattn_resize2d_args;
CLATTN_API clattn_status clattn_resize2d(clattn_context *context, const clattn_resize2d_args *args);

/* Maximum over windows; NaN wins. indices = h*W + w of the first maximum (or first NaN) within its plane. torch max_pool2d.
 * Padding of more than half the dilated kernel is refused, as in PyTorch. A window between whose taps the whole input lies
 * gives -inf and the index -1 (avg_pool2d: 0). */
typedef struct clattn_max_pool2d_args {
    const clattn_tensor *x; /* [B,C,H,W] */
    clattn_tensor *out;     /* [B,C,OH,OW] */
    clattn_tensor *indices; /* i32 [B,C,OH,OW] */
    clattn_ints kernel;     /* required */
    clattn_ints stride;     /* default = kernel */
    clattn_ints padding;    /* default 0 */
    clattn_ints dilation;   /* default 1 */
    bool ceil_mode;         /* PyTorch's rule: the last window starts inside the input or its left padding */
} clattn_max_pool2d_args;
CLATTN_API clattn_status clattn_max_pool2d(clattn_context *context, const clattn_max_pool2d_args *args);

/* Mean over windows; torch avg_pool2d. */
typedef struct clattn_avg_pool2d_args {
    const clattn_tensor *x; /* [B,C,H,W] */
    clattn_tensor *out;     /* [B,C,OH,OW] */
    clattn_ints kernel;     /* required */
    clattn_ints stride;     /* default = kernel */
    clattn_ints padding;    /* default 0 */
    clattn_ints dilation;   /* default 1 */
    bool ceil_mode; /* as in max_pool2d */
    clattn_toggle count_include_pad; /* default on: padding counts in the divisor */
} clattn_avg_pool2d_args;
CLATTN_API clattn_status clattn_avg_pool2d(clattn_context *context, const clattn_avg_pool2d_args *args);

/* Pool over all pixels. lp: sqrt(sum x^2), not normalised; lse: log(sum e^x). Of an empty plane: avg NaN, max and lse -inf, lp 0. */
typedef struct clattn_global_pool2d_args {
    const clattn_tensor *x; /* [B,C,H,W] */
    clattn_tensor *out;     /* [B,C,1,1] */
    clattn_pool_kind kind; /* default avg */
} clattn_global_pool2d_args;
CLATTN_API clattn_status clattn_global_pool2d(clattn_context *context, const clattn_global_pool2d_args *args);

/* Pools over the channels, stacked in the order of `kinds` (K of them). */
typedef struct clattn_channel_pool_args {
    const clattn_tensor *x; /* [B,C,H,W] */
    clattn_tensor *out;     /* [B,K,H,W] */
    clattn_pools kinds;     /* default max+mean, which are all there are */
} clattn_channel_pool_args;
CLATTN_API clattn_status clattn_channel_pool(clattn_context *context, const clattn_channel_pool_args *args);

/* (x - mean) / sqrt(var + eps) * gamma + beta per channel. In training mean and var are the batch's (var biased). */
typedef struct clattn_batch_norm_args {
    const clattn_tensor *x;     /* [B,C,H,W] */
    const clattn_tensor *gamma; /* ? [C] */
    const clattn_tensor *beta;  /* ? [C] */
    const clattn_tensor *mean;  /* [C], running; absent with training */
    const clattn_tensor *var;   /* [C] */
    clattn_tensor *out;         /* [B,C,H,W] */
    clattn_tensor *mean_out;    /* [C]; training only */
    clattn_tensor *var_out;     /* [C] */
    float eps;                  /* 0 = 1e-5 */
    bool training; /* with the batch's own mean and var */
} clattn_batch_norm_args;
CLATTN_API clattn_status clattn_batch_norm(clattn_context *context, const clattn_batch_norm_args *args);

/* ---- Both --------------------------------------------------------------------------------------------------------- */

/* exp(x/temperature) / sum along an axis. A row that is all -inf or fully masked gives 0 (log_softmax: -inf). */
typedef struct clattn_softmax_args {
    const clattn_tensor *x;      /* [..] */
    const clattn_tensor *mask;   /* ? u8, broadcast from the right to x; true = counts */
    clattn_tensor *out;          /* as x */
    clattn_optional_int axis;    /* unset = -1 */
    clattn_optional_float temperature; /* unset = 1; 0 is refused */
} clattn_softmax_args;
typedef clattn_softmax_args clattn_log_softmax_args;
CLATTN_API clattn_status clattn_softmax(clattn_context *context, const clattn_softmax_args *args);
CLATTN_API clattn_status clattn_log_softmax(clattn_context *context, const clattn_log_softmax_args *args);

/* act(x weight^T + bias); torch.nn.functional.linear. */
typedef struct clattn_linear_args {
    const clattn_tensor *x;      /* [..,I] */
    const clattn_tensor *weight; /* [O,I] */
    const clattn_tensor *bias;   /* ? [O] */
    clattn_tensor *out;          /* [..,O] */
    clattn_activation_kind activation; /* default none */
} clattn_linear_args;
CLATTN_API clattn_status clattn_linear(clattn_context *context, const clattn_linear_args *args);

/* Matrix products over the last two axes; leading axes broadcast from the right. */
typedef struct clattn_matmul_args {
    const clattn_tensor *a; /* [..,M,K], with transpose_a [..,K,M] */
    const clattn_tensor *b; /* [..,K,N], with transpose_b [..,N,K] */
    clattn_tensor *out;     /* [..,M,N] */
    bool transpose_a; /* of a's last two axes */
    bool transpose_b; /* of b's last two axes */
} clattn_matmul_args;
CLATTN_API clattn_status clattn_matmul(clattn_context *context, const clattn_matmul_args *args);

/* (x - mean) / sqrt(var + eps) * gamma + beta over the axes from `axis` to the last, var biased. Ba et al. 2016;
 * torch.nn.functional.layer_norm. rms_norm: x / sqrt(mean(x^2) + eps) * gamma + beta; Zhang and Sennrich 2019. */
typedef struct clattn_layer_norm_args {
    const clattn_tensor *x;     /* [..] */
    const clattn_tensor *gamma; /* ? x's shape from `axis` on */
    const clattn_tensor *beta;  /* ? the same */
    clattn_tensor *out;         /* as x */
    clattn_optional_int axis;   /* unset = -1 */
    float eps;                  /* 0 = 1e-5 */
} clattn_layer_norm_args;
typedef clattn_layer_norm_args clattn_rms_norm_args;
CLATTN_API clattn_status clattn_layer_norm(clattn_context *context, const clattn_layer_norm_args *args);
CLATTN_API clattn_status clattn_rms_norm(clattn_context *context, const clattn_rms_norm_args *args);

/* The same over each of `groups` equal groups of channels with all their pixels; gamma and beta per channel.
 * Wu and He 2018; torch.nn.functional.group_norm. groups = C is instance norm. */
typedef struct clattn_group_norm_args {
    const clattn_tensor *x;     /* [B,C,..], C % groups == 0 */
    const clattn_tensor *gamma; /* ? [C] */
    const clattn_tensor *beta;  /* ? [C] */
    clattn_tensor *out;         /* as x */
    int64_t groups;             /* required */
    float eps;                  /* 0 = 1e-5 */
} clattn_group_norm_args;
CLATTN_API clattn_status clattn_group_norm(clattn_context *context, const clattn_group_norm_args *args);

/* The function `kind` of each element, exact to f32 (clattn_activation_kind). */
typedef struct clattn_activation_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out;     /* as x; may be x itself */
    clattn_activation_kind kind; /* default relu */
} clattn_activation_args;
CLATTN_API clattn_status clattn_activation(clattn_context *context, const clattn_activation_args *args);

/* Elementwise, with numpy's broadcasting. `out` may be an input of out's own shape and strides. */
typedef struct clattn_elementwise_args {
    const clattn_tensor *a; /* [..] */
    const clattn_tensor *b; /* [..] */
    clattn_tensor *out;     /* the broadcast shape */
} clattn_elementwise_args;
typedef clattn_elementwise_args clattn_add_args, clattn_subtract_args, clattn_multiply_args, clattn_divide_args, clattn_maximum_args, clattn_minimum_args;
CLATTN_API clattn_status clattn_add(clattn_context *context, const clattn_add_args *args);
CLATTN_API clattn_status clattn_subtract(clattn_context *context, const clattn_subtract_args *args);
CLATTN_API clattn_status clattn_multiply(clattn_context *context, const clattn_multiply_args *args);
CLATTN_API clattn_status clattn_divide(clattn_context *context, const clattn_divide_args *args);
/* NaN in either operand gives NaN, as in PyTorch. */
CLATTN_API clattn_status clattn_maximum(clattn_context *context, const clattn_maximum_args *args);
CLATTN_API clattn_status clattn_minimum(clattn_context *context, const clattn_minimum_args *args);

#define CLATTN_MAX_CONCAT 16
/* Joins tensors along one axis; all other sizes equal. */
typedef struct clattn_concat_args {
    const clattn_tensor *x[CLATTN_MAX_CONCAT]; /* x0, x1, ...: the first NULL ends the list */
    clattn_tensor *out; /* as the inputs, the sizes of `axis` added */
    clattn_optional_int axis; /* unset = -1 */
} clattn_concat_args;
CLATTN_API clattn_status clattn_concat(clattn_context *context, const clattn_concat_args *args);

/* x[starts:ends:steps] per axis, numpy's rules for positive steps: negative starts and ends count from the end, both are
 * clamped. A list shorter than the rank leaves the remaining axes whole. */
typedef struct clattn_slice_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out; /* per axis ceil((end - start) / step), 0 or more */
    clattn_ints starts; /* default 0 */
    clattn_ints ends;   /* default the size */
    clattn_ints steps;  /* default 1 */
} clattn_slice_args;
CLATTN_API clattn_status clattn_slice(clattn_context *context, const clattn_slice_args *args);

/* out's axis i is x's axis axes[i] (negative: from the end); default: all reversed. Copies; clattn_tensor_transposed makes a view instead. */
typedef struct clattn_transpose_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out; /* x's sizes in the new order */
    clattn_ints axes; /* a permutation */
} clattn_transpose_args;
CLATTN_API clattn_status clattn_transpose(clattn_context *context, const clattn_transpose_args *args);

/* numpy.take, ONNX Gather: out = x with `axis` replaced by the shape of indices; an index outside 0..n-1
 * (n the size of the axis) gives zeros. */
typedef struct clattn_gather_args {
    const clattn_tensor *x;       /* [..] */
    const clattn_tensor *indices; /* [..] i32 */
    clattn_tensor *out; /* x's shape with `axis` replaced by that of indices */
    int64_t axis; /* default 0 */
} clattn_gather_args;
CLATTN_API clattn_status clattn_gather(clattn_context *context, const clattn_gather_args *args);

/* x within a border of `value`: before[i] elements before axis i, after[i] after it. A list shorter than the rank leaves the
 * remaining axes as they are. numpy.pad with mode constant. */
typedef struct clattn_pad_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out;     /* x's sizes plus before plus after */
    clattn_ints before;     /* 0 or more, default 0 */
    clattn_ints after;      /* 0 or more, default 0 */
    float value;            /* default 0 */
} clattn_pad_args;
CLATTN_API clattn_status clattn_pad(clattn_context *context, const clattn_pad_args *args);

/* Over some axes: sum, mean, maximum, minimum, or l2 = sqrt(sum(x^2)). NaN among the elements gives NaN. Of nothing: 0, NaN,
 * -inf, inf, 0. numpy.sum, mean, max, min, linalg.norm. */
typedef struct clattn_reduce_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out;     /* x without the axes, or with 1 in their places */
    clattn_reduce_kind kind; /* default sum */
    clattn_ints axes;       /* negative: from the end; default all */
    bool keepdims; /* the axes stay, with size 1 */
} clattn_reduce_args;
CLATTN_API clattn_status clattn_reduce(clattn_context *context, const clattn_reduce_args *args);

/* Each element is 0 with probability `rate`, else x / (1 - rate). Srivastava et al. 2014. The bits are those of Philox 4x32-10
 * (Salmon et al. 2011), equal on every device: key = the words of seed, low first; counter = the words of index div 4, then
 * of offset; word = index mod 4; index in C order. Dropped: word < ceil(rate * 2^32). */
typedef struct clattn_dropout_args {
    const clattn_tensor *x; /* [..] */
    clattn_tensor *out;     /* as x; may be x itself */
    clattn_optional_float rate; /* [0, 1), unset = 0.5 */
    uint64_t seed; /* any */
    uint64_t offset;        /* another one for each call that is to be independent */
} clattn_dropout_args;
CLATTN_API clattn_status clattn_dropout(clattn_context *context, const clattn_dropout_args *args);

/* losses = (1 - e) * -log softmax(logits)[target] + e * mean over V of -log softmax(logits), e = label_smoothing: 0 where
 * the target is ignore_id; torch.nn.functional.cross_entropy. out is their mean over the targets that are not ignore_id;
 * NaN if there is none. A target outside 0..V-1 has the loss 0 of a zero row and counts in the mean. A row whose target has
 * the logit -inf, or that is all -inf, has the loss inf. */
typedef struct clattn_cross_entropy_args {
    const clattn_tensor *logits;  /* [N,V] */
    const clattn_tensor *targets; /* [N] i32 */
    clattn_tensor *out;           /* [1] */
    clattn_tensor *losses;        /* [N] */
    float label_smoothing;        /* 0..1 */
    clattn_optional_int ignore_id; /* unset = -100 */
} clattn_cross_entropy_args;
CLATTN_API clattn_status clattn_cross_entropy(clattn_context *context, const clattn_cross_entropy_args *args);

#ifdef __cplusplus
}
#endif
#endif
