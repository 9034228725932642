/* Prints each kernel that clattn gives a GPU, as "operation<TAB>variant<TAB>source<TAB>kernel<TAB>options": the examples of
 * every operation and the cases below, run with each variant that is not refused on a device that poses as a GPU (layer.c). */
#include <clattn/clattn.h>
#include <stdio.h>
#include <string.h>

/* What the examples leave out: head sizes, masks, local-memory classes. */
static const char *const cases[] = {
    "attention query[1,2,33,64] key[1,2,40,64] value[1,2,40,64] mask[33,40] bias[33,40] -> out",
    "attention query[1,2,33,128] key[1,2,40,128] value[1,2,40,128] -> out weights",
    "attention query[1,2,33,128] key[1,2,40,128] value[1,2,40,128] mask[33,40] -> out",
    "attention query[1,2,33,32] key[1,2,40,32] value[1,2,40,32] -> out",
    "attention query[1,2,33,80] key[1,2,40,80] value[1,2,40,80] -> out",
    "attention query[1,2,33,256] key[1,2,40,256] value[1,2,40,256] -> out",
    "attention query[1,2,33,48] key[1,2,40,48] value[1,2,40,40] -> out",
    "attention query[1,2,33,192] key[1,2,40,192] value[1,2,40,128] -> out",
    "attention query[1,8,1,128] key[1,1,300,128] value[1,1,300,128] -> out",
    "attention query[1,4,1,128] key[1,1,300,128] value[1,1,300,128] mask[300] softcap=20 -> out",
    "attention query[1,8,1,256] key[1,1,300,256] value[1,1,300,200] -> out",
    "additive_attention query[1,33,64] value[1,40,64] scale[64]",
    "additive_attention query[1,33,64] value[1,40,128] key[1,40,64] scale[64] key_mask[1,40] -> out weights scores",
    "additive_attention query[1,33,64] value[1,40,256] key[1,40,64] scale[64]",
    "additive_attention query[1,33,64] value[1,40,512] key[1,40,64] scale[64]",
    "additive_attention query[1,4,256] value[1,40,512] key[1,40,256] scale[256]",
    "linear x[70,70] weight[130,70] bias[130] activation=gelu",
    "matmul a[130,70] b[70,130]",
    "matmul a[130,72] b[72,132]",
    "matmul a[1030,40] b[40,1032]",
    "matmul a[70,130] b[70,130] transpose_a=true",
    "matmul a[130,70] b[130,70] transpose_b=true",
    "squeeze_excite x[1,40,28,28] w1[5,40] b1[5] w2[40,5] b2[40] -> out gate",
    "squeeze_excite x[5,40,7,7] w1[5,40] w2[40,5] activation=gelu gate=hard_sigmoid",
    "channel_attention x[1,1,128,128] w1[1,1] w2[1,1] pools=avg+max+lp+lse",
    "channel_attention x[1,3,7,9] w1[1,3] w2[3,1] pools=lp+lse",
    "spatial_attention x[1,40,56,56] weight[1,2,7,7]",
    "cbam x[1,40,56,56] w1[5,40] w2[40,5] weight[1,2,7,7]",
    "cbam x[1,40,14,14] w1[5,40] w2[40,5] weight[1,2,7,7]",
    "cbam x[8,40,7,7] w1[5,40] w2[40,5] weight[1,2,7,7]",
    "cbam x[1,40,29,31] w1[5,40] w2[40,5] weight[1,2,3,3]",
    "cbam x[1,2,20,20] w1[1,2] w2[2,1] weight[1,2,33,33]*0.1",
    "channel_pool x[8,40,56,56]",
    "global_pool2d x[1,1,128,128] kind=max",
    "max_pool2d x[8,8,56,56] kernel=3 stride=2 padding=1 -> out indices",
    "avg_pool2d x[8,8,56,56] kernel=2",
    "avg_pool2d x[2,40,7,7] kernel=7",
    "batch_norm x[2,3,64,64] training=true -> out mean var",
    "conv2d x[1,64,16,16] weight[64,64,3,3] padding=1",
    "conv2d x[1,16,8,8] weight[64,16,3,3] padding=1",
    "conv2d x[1,16,4,8] weight[16,16,3,3] padding=1",
    "conv2d x[1,3,32,32] weight[64,3,7,7] stride=2 padding=3",
    "conv2d x[1,64,16,16] weight[64,64,1,1]",
    "conv2d x[1,600,7,7] weight[33,600,1,1]",
    "conv2d x[1,2,56,56] weight[1,2,7,7] padding=3",
    "conv2d x[1,8,28,28] weight[16,1,3,3] groups=8 stride=2 padding=1",
    "conv2d x[1,8,28,28] weight[4,8,3,3] padding=1",
    "conv2d x[1,8,9,9] weight[4,8,3,3] dilation=2",
    NULL,
};
/* Stored as f16. */
static const char *const half_cases[] = {
    "attention query[1,2,33,64] key[1,2,40,64] value[1,2,40,64] -> out",
    "attention query[1,2,33,128] key[1,2,40,128] value[1,2,40,120] mask[33,40] -> out",
    "attention query[1,8,1,128] key[1,1,300,128] value[1,1,300,128] -> out",
    "additive_attention query[1,33,64] value[1,40,64] scale[64]",
    "additive_attention query[1,4,256] value[1,40,300] key[1,40,256] scale[256]",
    "squeeze_excite x[1,40,28,28] w1[5,40] w2[40,5]",
    "cbam x[1,40,56,56] w1[5,40] w2[40,5] weight[1,2,7,7]",
    "cbam x[1,40,29,31] w1[5,40] w2[40,5] weight[1,2,7,7]",
    "max_pool2d x[8,8,56,56] kernel=3 stride=2 padding=1",
    "global_pool2d x[1,4,128,128]",
    "batch_norm x[2,3,16,16] gamma[3] beta[3] mean[3] var[3]:1",
    "conv2d x[1,16,16,16] weight[64,16,3,3] padding=1",
    "conv2d x[1,16,8,8] weight[64,16,1,1]",
    "conv2d x[1,8,28,28] weight[8,1,3,3] groups=8 padding=1",
    "softmax x[5,300]",
    "layer_norm x[5,70] gamma[70] beta[70]",
    "rms_norm x[5,3000] gamma[3000]",
    "group_norm x[2,6,5,7] gamma[6] beta[6] groups=3",
    "reduce x[5,3000] axes=1",
    NULL,
};

/* Programs told of so far, as "source/kernel options". */
static char seen[400][256];
static int seen_count, failed;
static const char *operation, *running;

static const char *last_of(const char *text, const char *part) {
    const char *last = NULL;
    while ((text = strstr(text, part))) last = text++;
    return last;
}

/* Hears "built source/kernel options in 1.2 ms". */
static void note(void *user, clattn_log_level level, const char *message) {
    const char *end = last_of(message, " in ");
    char text[256];
    (void)user;
    if (level != CLATTN_LOG_DEBUG || strncmp(message, "built ", 6) || !end) return;
    snprintf(text, sizeof text, "%.*s", (int)(end - message - 6), message + 6);
    for (int i = 0; i < seen_count; i++)
        if (strcmp(seen[i], text) == 0) return;
    if (seen_count == 400) return;
    strcpy(seen[seen_count++], text);
    const size_t source = strcspn(text, "/"), kernel = strcspn(text, " ");
    printf("%s\t%s\t%.*s\t%.*s\t%s\n", operation, running, (int)source, text, (int)(kernel - source - 1), text + source + 1, text[kernel] ? text + kernel + 1 : "");
}

static void run(clattn_context *context, const char *text, int flags) {
    clattn_case *c;
    if (clattn_case_open(context, text, 1, flags, &c)) {
        fprintf(stderr, "%s: %s\n", text, clattn_message(context));
        failed = 1;
        return;
    }
    const clattn_op *op = clattn_case_op(c);
    operation = op->name;
    for (size_t i = 0; (running = clattn_op_variant(op, i)); i++) {
        if (clattn_op_refusal(context, op, clattn_case_args(c), running)) continue;
        if (!clattn_case_check(c, running)) continue;
        fprintf(stderr, "%s, variant %s: %s\n", text, running, clattn_message(context));
        failed = 1;
    }
    clattn_case_close(&c);
}

int main(void) {
    clattn_context *context;
    const char *example;
    if (clattn_open(&context, &(clattn_open_params){ .log = note, .no_cache = true }) || clattn_context_device(context)->kind != CLATTN_DEVICE_GPU) {
        fprintf(stderr, "no device that poses as a GPU (OPENCL_LAYERS): %s\n", clattn_message(context));
        return 1;
    }
    for (size_t i = 0; i < clattn_op_count(); i++)
        for (size_t k = 0; (example = clattn_op_example(clattn_op_get(i), k)); k++) run(context, example, 0);
    for (int i = 0; cases[i]; i++) run(context, cases[i], 0);
    for (int i = 0; half_cases[i]; i++) run(context, half_cases[i], CLATTN_CASE_F16);
    clattn_close(&context);
    return failed;
}
