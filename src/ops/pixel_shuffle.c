/* pixel_shuffle: a transpose of views in which the channels and the output's rows and columns are split. */
#include "op.h"

#define BLOCK_LIMIT 32768

static const char *const mode_words[] = { "crd", "dcr", NULL };

static const clattn_field fields[] = {
    CLATTN_IN(clattn_pixel_shuffle_args, x, "B,C,H,W", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "images; C is divisible by block * block"),
    CLATTN_OUT(clattn_pixel_shuffle_args, out, "out", "B,O,OH,OW", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "O = C / block / block, OH = H * block, OW = W * block"),
    { .name = "block", .kind = CLATTN_FIELD_INT, .offset = offsetof(clattn_pixel_shuffle_args, block), .flags = CLATTN_FIELD_REQUIRED, .low = 1, .high = BLOCK_LIMIT, .text = "how many rows and columns a pixel becomes" },
    CLATTN_PARAM_WORD(clattn_pixel_shuffle_args, mode, "mode", mode_words, CLATTN_SHUFFLE_CRD, "the order of channel, row and column within C: crd as in PyTorch, dcr with the channel last"),
};

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_pixel_shuffle_args *a = raw;
    const int64_t c = a->x->shape[1], square = a->block * a->block;
    if (c % square) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has %lld channels, not divisible by block * block = %lld", (long long)c, (long long)square);
    for (int axis = 2; axis < 4; axis++)
        if (a->x->shape[axis] > INT64_MAX / 16 / a->block) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "out would be larger than any memory");
    clattn_dim_set(call, "O", c / square);
    clattn_dim_set(call, "OH", a->x->shape[2] * a->block);
    clattn_dim_set(call, "OW", a->x->shape[3] * a->block);
    return CLATTN_OK;
}

/* The view in which `axis` is split into sizes[0..count-1]; the last of them is the innermost. */
static clattn_tensor split(const clattn_tensor *tensor, int axis, int count, const int64_t *sizes) {
    clattn_tensor view = *tensor;
    int64_t stride = tensor->strides[axis];
    view.rank += count - 1;
    for (int i = tensor->rank - 1; i > axis; i--) view.shape[i + count - 1] = tensor->shape[i], view.strides[i + count - 1] = tensor->strides[i];
    for (int i = count - 1; i >= 0; i--) {
        view.shape[axis + i] = sizes[i];
        view.strides[axis + i] = stride;
        stride *= sizes[i];
    }
    return view;
}

static clattn_status enqueue(clattn_call *call, const void *raw) {
    const clattn_pixel_shuffle_args *a = raw;
    const int64_t r = a->block, channels = clattn_dim(call, "O");
    const bool crd = a->mode == CLATTN_SHUFFLE_CRD;
    /* x as [B,O,r,r,H,W] or [B,r,r,O,H,W], out as [B,O,H,r,W,r] */
    const clattn_tensor x = split(a->x, 1, 3, crd ? (int64_t[]){ channels, r, r } : (int64_t[]){ r, r, channels });
    clattn_tensor out = split(a->out, 3, 2, (int64_t[]){ a->x->shape[3], r });
    out = split(&out, 2, 2, (int64_t[]){ a->x->shape[2], r });
    const clattn_ints axes = crd ? (clattn_ints){ 6, { 0, 1, 4, 2, 5, 3 } } : (clattn_ints){ 6, { 0, 3, 4, 1, 5, 2 } };
    return clattn_transpose(call->context, &(clattn_transpose_args){ .x = &x, .out = &out, .axes = axes });
}

static const clattn_variant variants[] = {
    { "transpose", NULL, enqueue },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_pixel_shuffle_args *a = raw;
    (void)call;
    *flops = 0;
    *bytes = 8 * (double)clattn_tensor_count(a->x);
}

void clattn_reference_pixel_shuffle(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "pixel_shuffle x[2,12,5,7] block=2", "pixel_shuffle x[1,18,3,20] block=3 mode=dcr", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "transpose", .moves = true, .reference = clattn_reference_pixel_shuffle, .work = work, .examples = examples };
static const clattn_op op_pixel_shuffle = { "pixel_shuffle", "block * block channels become a block of pixels", "torch.nn.functional.pixel_shuffle; dcr: ONNX DepthToSpace's default", sizeof(clattn_pixel_shuffle_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(pixel_shuffle)

const clattn_op *const clattn_ops_pixel_shuffle[] = { &op_pixel_shuffle, NULL };
