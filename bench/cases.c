#include "cases.h"

const bench_case bench_cases[] = {
    { "attention", "attention query[1,8,1536,64] key[1,8,1536,64] value[1,8,1536,64]", "attention query[1,2,200,64] key[1,2,200,64] value[1,2,200,64]", "GFLOP/s" },
    { "attention causal", "attention query[1,8,1536,64] key[1,8,1536,64] value[1,8,1536,64] causal=top_left", "attention query[1,2,200,64] key[1,2,200,64] value[1,2,200,64] causal=top_left", "GFLOP/s" },
    { "attention BERT", "attention query[8,12,128,64] key[8,12,128,64] value[8,12,128,64]", "attention query[2,2,128,64] key[2,2,128,64] value[2,2,128,64]", "GFLOP/s" },
    { "additive", "additive_attention query[8,512,128] value[8,512,128] scale[128]", "additive_attention query[2,100,128] value[2,100,128] scale[128]", "Gelem/s" },
    { "matmul 512", "matmul a[512,512] b[512,512]", "matmul a[130,512] b[512,100]", "GFLOP/s" },
    { "matmul 1024", "matmul a[1024,1024] b[1024,1024]", "matmul a[130,1024] b[1024,100]", "GFLOP/s" },
    { "conv2d 3x3", "conv2d x[1,64,56,56] weight[64,64,3,3] padding=1", "conv2d x[1,64,9,56] weight[64,64,3,3] padding=1", "GFLOP/s" },
    { "squeeze_excite", "squeeze_excite x[8,256,56,56] w1[16,256] b1[16] w2[256,16] b2[256]", "squeeze_excite x[2,256,14,14] w1[16,256] b1[16] w2[256,16] b2[256]", "GB/s" },
    { "cbam", "cbam x[8,256,56,56] w1[16,256] b1[16] w2[256,16] b2[256] weight[1,2,7,7]*0.1", "cbam x[2,256,14,14] w1[16,256] b1[16] w2[256,16] b2[256] weight[1,2,7,7]*0.1", "GB/s" },
    { "softmax", "softmax x[6144,512]", "softmax x[64,512]", "GB/s" },
    { "gru", "gru x[64,20,256] w_ih[768,256]*0.06 w_hh[768,256]*0.06 b_ih[768] b_hh[768]", "gru x[5,4,256] w_ih[768,256]*0.06 w_hh[768,256]*0.06 b_ih[768] b_hh[768]", "GFLOP/s" },
};

const int bench_case_count = (int)(sizeof bench_cases / sizeof bench_cases[0]);
