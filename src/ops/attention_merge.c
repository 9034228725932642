/* Joins results of attention over disjoint keys. */
#include "op.h"

#define ARGS clattn_attention_merge_args
static const clattn_field fields[] = {
    CLATTN_IN(ARGS, out, "S,B,H,Tq,Dv", 0, "the parts' results, made without sinks"),
    CLATTN_IN(ARGS, lse, "S,B,H,Tq", 0, "the parts' lse; a part with -inf is ignored whatever it holds"),
    CLATTN_OUT(ARGS, out_out, "out", "B,H,Tq,Dv", 0, "the result over all keys; 0 where all parts are ignored"),
    CLATTN_OUT(ARGS, lse_out, "lse", "B,H,Tq", CLATTN_FIELD_OPTIONAL, "its lse"),
};

static clattn_status enqueue(clattn_call *call, const void *raw) {
    const ARGS *a = raw;
    const int64_t chunk = 16 /* CHUNK in attention_merge.cl */, width = clattn_dim(call, "Dv");
    const int64_t rows = clattn_dim(call, "B") * clattn_dim(call, "H") * clattn_dim(call, "Tq"), items = rows * (width > chunk ? (width + chunk - 1) / chunk : 1);
    return clattn_run_kernel(call, "attention_merge", "merge", "", 1, (size_t[]){ (size_t)items }, (size_t[]){ 0 }, ARG_T(a->out), ARG_T(a->lse), ARG_T(a->out_out), ARG_T(a->lse_out), ARG_I32(clattn_dim(call, "S")), ARG_I64(rows), ARG_I64(width), ARG_I32((a->out_out ? 1 : 0) | (a->lse_out ? 2 : 0)), ARG_I64(items));
}

static const clattn_variant variants[] = { { "scalar", NULL, enqueue } };

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const ARGS *a = raw;
    const double parts = (double)clattn_tensor_count(a->out), lses = (double)clattn_tensor_count(a->lse), count = (double)clattn_dim(call, "S");
    *flops = 2 * parts + 2 * lses;
    *bytes = 4 * (parts + lses) * (count > 0 ? 1 + 1 / count : 1);
}

void clattn_reference_attention_merge(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "attention_merge out[3,2,2,5,20] lse[3,2,2,5] -> out lse", NULL };
static const clattn_op_code code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .reference = clattn_reference_attention_merge, .work = work, .examples = examples };
static const clattn_op op_attention_merge = { "attention_merge", "results of attention over disjoint keys, joined by their lse", "FlashDecoding (Dao et al. 2023); merge_attn_states of vLLM", sizeof(ARGS), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(attention_merge)

const clattn_op *const clattn_ops_attention_merge[] = { &op_attention_merge, NULL };
