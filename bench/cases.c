#include "cases.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Words that recur ---- */

#define QKV(b, h, t, d) "attention query[" #b "," #h "," #t "," #d "] key[" #b "," #h "," #t "," #d "] value[" #b "," #h "," #t "," #d "]"
#define STEP(b, h, hkv, t, d) "attention query[" #b "," #h ",1," #d "] key[" #b "," #hkv "," #t "," #d "] value[" #b "," #hkv "," #t "," #d "]"
#define ADDITIVE(b, q, k, d) "additive_attention query[" #b "," #q "," #d "] value[" #b "," #k "," #d "] scale[" #d "]"
#define MLP(c, r) "w1[" #r "," #c "] b1[" #r "] w2[" #c "," #r "] b2[" #c "]"
#define UNIT(op, gates, b, t, h) op " x[" #b "," #t "," #h "] w_ih[" #gates "," #h "]*0.06 w_hh[" #gates "," #h "]*0.06 b_ih[" #gates "] b_hh[" #gates "]"
#define FMA BENCH_FMA, "GFLOP/s", false, NULL, 0
#define FMA_HALF BENCH_FMA, "GFLOP/s", true, NULL, 0
#define ELEMENTS BENCH_FMA, "Gelem/s", false, NULL, 0
#define COPY BENCH_COPY, "GB/s", false, NULL, 0
#define COPY_HALF BENCH_COPY, "GB/s", true, NULL, 0
#define READ BENCH_READ, "GB/s", false, NULL, 0
#define READ_HALF BENCH_READ, "GB/s", true, NULL, 0
#define GROWTH(limit, unit, series, size) limit, unit, false, series, size

/* Attention of 8 heads, plain and causal. */
#define PREFILL(t, d)                                                                                                  \
    { "attention T" #t " D" #d, QKV(1, 8, t, d), "8=2 " #t "=150", FMA },                                              \
    { "attention causal T" #t " D" #d, QKV(1, 8, t, d) " causal=top_left", "8=2 " #t "=150", FMA }
#define HEAD_SIZE(d) { "attention T1024 D" #d, QKV(1, 8, 1024, d), "8=2 1024=100", FMA }
#define GROWING_ATTENTION(t) { "growth attention T" #t, QKV(1, 2, t, 64), #t "=150", GROWTH(BENCH_FMA, "GFLOP/s", "attention, T", t) }
/* Larger than the caches from the smallest on; each image fits them. */
#define GROWING_CBAM(text_name, series, size, c, h, w) { "growth cbam " text_name, "cbam x[32," #c "," #h "," #w "] " MLP(c, 16) " weight[1,2,7,7]*0.1", "32=1 " #h "=10 " #w "=10", GROWTH(BENCH_COPY, "GB/s", series, size) }

const bench_case bench_cases[] = {
    /* ---- Attention, many queries ---- */
    PREFILL(512, 64), PREFILL(1024, 64), PREFILL(1536, 64), PREFILL(2048, 64),
    PREFILL(512, 128), PREFILL(1024, 128), PREFILL(1536, 128), PREFILL(2048, 128),
    { "attention BERT", QKV(8, 12, 128, 64), "8=2 12=2", FMA },
    { "attention BERT causal", QKV(8, 12, 128, 64) " causal=top_left", "8=2 12=2", FMA },
    { "attention many small", QKV(8, 12, 64, 64), "8=2 12=2", FMA },
    { "attention GQA", "attention query[1,32,1024,64] key[1,8,1024,64] value[1,8,1024,64]", "32=4 8=2 1024=100", FMA },
    { "attention mask", QKV(1, 8, 1024, 64) " mask[1024,1024]", "8=2 1024=100", FMA },
    { "attention key mask", QKV(1, 8, 1024, 64) " mask[1,1,1,1024]", "8=2 1024=100", FMA },
    { "attention lengths", QKV(2, 8, 1024, 64) " key_lengths[2]:1000,700", "8=2 1024=100 1000=90 700=70", FMA },
    { "attention bias", QKV(1, 8, 1024, 64) " bias[8,1024,1024]", "8=2 1024=100", FMA },
    { "attention window 256", QKV(1, 8, 2048, 64) " causal=top_left window_left=256", "8=2 2048=400", FMA },
    { "attention softcap", QKV(1, 8, 1024, 64) " softcap=30", "8=2 1024=100", FMA },
    { "attention ALiBi", QKV(1, 8, 1024, 64) " alibi_slopes[8]:0.5,0.25,0.125,0.0625 causal=top_left", "8=2 1024=100", FMA },
    { "attention varlen", "attention_varlen query[4096,8,64] key[4096,8,64] value[4096,8,64] cu_query[6]:0,300,1324,1836,3584,4096 cu_key[6]:0,300,1324,1836,3584,4096", "4096=200 8=2 300=10 1324=70 1836=71 3584=150", FMA },
    { "attention f16 T1024 D64", QKV(1, 8, 1024, 64), "8=2 1024=100", FMA_HALF },
    { "attention f16 T1024 D128", QKV(1, 8, 1024, 128), "8=2 1024=100", FMA_HALF },
    HEAD_SIZE(32), HEAD_SIZE(48), HEAD_SIZE(72), HEAD_SIZE(80), HEAD_SIZE(96), HEAD_SIZE(112), HEAD_SIZE(160), HEAD_SIZE(192), HEAD_SIZE(256),
    { "attention T1021 D64", QKV(1, 8, 1021, 64), "8=2 1021=101", FMA },
    { "attention T777 D64", QKV(1, 8, 777, 64), "8=2 777=77", FMA },
    { "attention causal T1021 D64", QKV(1, 8, 1021, 64) " causal=top_left", "8=2 1021=101", FMA },
    { "attention weights", QKV(1, 8, 1024, 64) " -> out weights", "8=2 1024=100", FMA },
    { "attention scores", QKV(1, 8, 1024, 64) " -> out scores", "8=2 1024=100", FMA },

    /* ---- Attention, one query ---- */
    { "decode MHA", STEP(1, 32, 32, 4096, 128), "32=2 4096=300", READ },
    { "decode GQA", STEP(1, 32, 8, 16384, 128), "32=4 8=1 16384=300", READ },
    { "decode batch", STEP(8, 16, 16, 1024, 64), "8=2 16=2 1024=300", READ },
    { "decode f16", STEP(1, 32, 32, 4096, 128), "32=2 4096=300", READ_HALF },

    /* ---- Additive attention, and the decoder's steps ---- */
    { "additive T128 D128", ADDITIVE(8, 128, 128, 128), "8=2", ELEMENTS },
    { "additive T256 D128", ADDITIVE(8, 256, 256, 128), "8=2 256=100", ELEMENTS },
    { "additive T512 D128", ADDITIVE(8, 512, 512, 128), "8=2 512=100", ELEMENTS },
    { "additive T1024 D128", ADDITIVE(2, 1024, 1024, 128), "1024=100", ELEMENTS },
    { "additive T256 D256", ADDITIVE(8, 256, 256, 256), "8=1", ELEMENTS },
    { "additive T256 D512", ADDITIVE(8, 256, 256, 512), "8=2 256=50", ELEMENTS },
    { "step additive", ADDITIVE(64, 1, 50, 1000), "64=3", READ },
    { "step Bahdanau", "bahdanau_attention state[64,1,1000] annotations[64,50,2000] w_a[1000,1000]*0.03 u_a[2000,1000]*0.03 v_a[1000] projected[64,50,1000]", "64=2 1000=100 2000=200", READ },
    { "step Luong", "luong_attention target[64,1,1000] source[64,50,1000]*0.1 w_a[1000,1000]*0.03 w_c[1000,2000]*0.03 score=general -> attentional", "64=2 1000=100 2000=200", READ },

    /* ---- Channel and spatial attention ---- */
    { "SE 56", "squeeze_excite x[8,256,56,56] " MLP(256, 16), "8=2 56=14", COPY },
    { "SE 14", "squeeze_excite x[8,1024,14,14] " MLP(1024, 64), "8=2 1024=64 14=7", COPY },
    { "CBAM 56", "cbam x[8,256,56,56] " MLP(256, 16) " weight[1,2,7,7]*0.1", "8=2 56=14", COPY },
    { "CBAM 14", "cbam x[8,1024,14,14] " MLP(1024, 64) " weight[1,2,7,7]*0.1", "8=2 1024=64 14=7", COPY },
    { "CAM 56", "channel_attention x[8,256,56,56] " MLP(256, 16), "8=2 56=14", COPY },
    { "SAM 56", "spatial_attention x[8,256,56,56] weight[1,2,7,7]*0.1", "8=2 56=14", COPY },
    { "SE f16", "squeeze_excite x[8,256,56,56] " MLP(256, 16), "8=2 56=14", COPY_HALF },
    { "CBAM f16", "cbam x[8,256,56,56] " MLP(256, 16) " weight[1,2,7,7]*0.1", "8=2 56=14", COPY_HALF },
    { "ECA 56", "efficient_channel_attention x[8,256,56,56] weight[1,1,5]", "8=2 56=14", COPY },

    /* ---- Products of matrices ---- */
    { "matmul 256", "matmul a[256,256] b[256,256]", "", FMA },
    { "matmul 512", "matmul a[512,512] b[512,512]", "512=130", FMA },
    { "matmul 1024", "matmul a[1024,1024] b[1024,1024]", "1024=200", FMA },
    { "matmul 2048", "matmul a[2048,2048] b[2048,2048]", "2048=200", FMA },
    { "matmul batched 64", "matmul a[96,64,64] b[96,64,64]", "96=5", FMA },
    { "matmul batched 32", "matmul a[512,32,32] b[512,32,32]", "512=5", FMA },

    /* ---- Convolution ---- */
    { "conv2d 3x3 56", "conv2d x[1,64,56,56] weight[64,64,3,3] padding=1", "", FMA },
    { "conv2d 3x3 56 B8", "conv2d x[8,64,56,56] weight[64,64,3,3] padding=1", "8=2 56=20", FMA },
    { "conv2d 3x3 28", "conv2d x[1,128,28,28] weight[128,128,3,3] padding=1", "", FMA },
    { "conv2d 3x3 14", "conv2d x[1,256,14,14] weight[256,256,3,3] padding=1", "", FMA },
    { "conv2d fast 56", "conv2d x[1,64,56,56] weight[64,64,3,3] padding=1 precision=fast", "", FMA },
    { "conv2d fast 14", "conv2d x[1,256,14,14] weight[256,256,3,3] padding=1 precision=fast", "", FMA },
    { "conv2d 1x1", "conv2d x[8,256,56,56] weight[64,256,1,1]", "8=2 56=20", FMA },
    { "conv2d 7x7/2", "conv2d x[1,3,224,224] weight[64,3,7,7] stride=2 padding=3", "224=60", FMA },
    { "conv2d depthwise", "conv2d x[1,256,56,56] weight[256,1,3,3] padding=1 groups=256", "", COPY },
    { "conv2d 2->1 7x7", "conv2d x[8,2,56,56] weight[1,2,7,7] padding=3", "", FMA },
    { "conv2d 3x3/2", "conv2d x[1,64,56,56] weight[128,64,3,3] stride=2 padding=1", "", FMA },

    /* ---- Rows, windows and elements ---- */
    { "softmax 64", "softmax x[65536,64]", "65536=50", COPY },
    { "softmax 512", "softmax x[6144,512]", "6144=50", COPY },
    { "softmax 4096", "softmax x[4096,4096]", "4096=300", COPY },
    { "softmax 100000", "softmax x[128,100000]", "128=3", COPY },
    { "layer norm", "layer_norm x[8192,768] gamma[768] beta[768]", "8192=50", COPY },
    { "max pool 3x3/2", "max_pool2d x[8,64,112,112] kernel=3 stride=2 padding=1", "8=2 112=30", COPY },
    { "average pool 2x2", "avg_pool2d x[8,64,112,112] kernel=2 stride=2", "8=2 112=30", COPY },
    { "global pool", "global_pool2d x[8,256,56,56]", "8=2 56=14", READ },
    { "batch norm", "batch_norm x[8,64,112,112] gamma[64] beta[64] mean[64] var[64]:0.5,1,2", "8=2 112=30", COPY },
    { "add", "add a[4096,4096] b[4096,4096]", "4096=200", COPY },
    { "gelu", "activation x[4096,4096] kind=gelu", "4096=200", COPY },
    { "softmax f16", "softmax x[4096,4096]", "4096=300", COPY_HALF },
    { "layer norm f16", "layer_norm x[8192,768] gamma[768] beta[768]", "8192=50", COPY_HALF },
    { "max pool f16", "max_pool2d x[8,64,112,112] kernel=3 stride=2 padding=1", "8=2 112=30", COPY_HALF },
    { "batch norm f16", "batch_norm x[8,64,112,112] gamma[64] beta[64] mean[64] var[64]:0.5,1,2", "8=2 112=30", COPY_HALF },
    { "add f16", "add a[4096,4096] b[4096,4096]", "4096=200", COPY_HALF },
    { "transpose f16", "transpose x[4096,4096] axes=1,0", "4096=200", COPY_HALF },
    { "transpose", "transpose x[4096,4096] axes=1,0", "4096=200", COPY },
    { "reduce", "reduce x[4096,4096] kind=sum axes=1", "4096=200", READ },
    { "reduce f16", "reduce x[4096,4096] kind=sum axes=1", "4096=200", READ_HALF },

    /* ---- Recurrent units ---- */
    { "gru", UNIT("gru", 768, 64, 20, 256), "64=5 20=4", FMA },
    { "lstm", UNIT("lstm", 1024, 64, 20, 256), "64=5 20=4", FMA },
    { "gru step", UNIT("gru", 768, 64, 1, 256), "64=5", FMA },

    /* ---- How the time grows ---- */
    GROWING_ATTENTION(512), GROWING_ATTENTION(1024), GROWING_ATTENTION(2048), GROWING_ATTENTION(4096), GROWING_ATTENTION(8192), GROWING_ATTENTION(16384),
    GROWING_CBAM("C64", "CBAM, C", 64, 64, 56, 56), GROWING_CBAM("C128", "CBAM, C", 128, 128, 56, 56), GROWING_CBAM("C256", "CBAM, C", 256, 256, 56, 56), GROWING_CBAM("C512", "CBAM, C", 512, 512, 56, 56),
    GROWING_CBAM("H28", "CBAM, H", 28, 128, 28, 56), GROWING_CBAM("H56", "CBAM, H", 56, 128, 56, 56), GROWING_CBAM("H112", "CBAM, H", 112, 128, 112, 56), GROWING_CBAM("H224", "CBAM, H", 224, 128, 224, 56),
    GROWING_CBAM("W28", "CBAM, W", 28, 128, 56, 28), GROWING_CBAM("W56", "CBAM, W", 56, 128, 56, 56), GROWING_CBAM("W112", "CBAM, W", 112, 128, 56, 112), GROWING_CBAM("W224", "CBAM, W", 224, 128, 56, 224),
};

const int bench_case_count = (int)(sizeof bench_cases / sizeof bench_cases[0]);

/* ---- The smaller form ---- */

/* What "FULL=SMALL FULL=SMALL" says of a number; the number itself when it is not there. */
static long smaller_size(const char *pairs, long full) {
    for (char *end; *pairs; pairs = end + strspn(end, " ")) {
        const long from = strtol(pairs, &end, 10);
        const long to = strtol(end + (*end == '='), &end, 10);
        if (from == full) return to;
    }
    return full;
}

bool bench_case_check_text(const bench_case *c, char *text, size_t size) {
    size_t length = 0;
    for (const char *at = c->text; *at;) {
        /* A whole integer after '[', ',' or ':', but not the beginning of 0.25. */
        const bool number = isdigit((unsigned char)*at) && at > c->text && strchr("[,:", at[-1]);
        char *end = (char *)at;
        const long full = number ? strtol(at, &end, 10) : 0;
        const int written = number && *end != '.' ? snprintf(text + length, size - length, "%ld", smaller_size(c->smaller, full)) : snprintf(text + length, size - length, "%c", *at);
        if (written < 0 || (size_t)written >= size - length) return false;
        length += (size_t)written;
        at = number && *end != '.' ? end : at + 1;
    }
    text[length] = '\0';
    return true;
}
