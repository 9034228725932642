/* rotary: pairs of elements turned by their position's angle, which is computed or stands in the caller's tables. */
#include "op.h"

static const clattn_field fields[] = {
    CLATTN_IN(clattn_rotary_args, x, "B,H,T,2P", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED, "queries or keys; D = 2P"),
    CLATTN_IN(clattn_rotary_args, cos, "Tmax,P", CLATTN_FIELD_OPTIONAL, "cosines by position and pair; absent = of position * base^(-2i/D)"),
    CLATTN_IN(clattn_rotary_args, sin, "Tmax,P", CLATTN_FIELD_OPTIONAL, "sines; with cos or not at all"),
    CLATTN_IN_INT_LIMITED(clattn_rotary_args, positions, "B,T", "<Tmax", CLATTN_FIELD_OPTIONAL, "absent = 0..T-1; with tables one outside 0..Tmax-1 gives zeros, without any one counts"),
    CLATTN_OUT(clattn_rotary_args, out, "out", "B,H,T,2P", CLATTN_FIELD_STRIDED | CLATTN_FIELD_STORED | CLATTN_FIELD_IN_PLACE, "as x; may be x itself"),
    CLATTN_PARAM(clattn_rotary_args, interleaved, "interleaved", CLATTN_FIELD_BOOL, 0, 0, 0, "pairs are neighbours, not elements i and i + D/2"),
    CLATTN_PARAM(clattn_rotary_args, base, "base", CLATTN_FIELD_FLOAT, 10000, 1, 1e30, "pair i turns by base^(-2i/D) a position; not used with tables"),
};

#define POWERS 16 /* bits of a pair's number */

static clattn_status infer(clattn_call *call, const void *raw) {
    const clattn_rotary_args *a = raw;
    const int64_t times = clattn_dim(call, "T"), rows = clattn_dim(call, "Tmax");
    if (!a->cos != !a->sin) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "%s is missing: cos and sin go together", a->cos ? "sin" : "cos");
    if (a->cos && !a->positions && times > rows) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has %lld positions, cos and sin only %lld", (long long)times, (long long)rows);
    if (clattn_dim(call, "P") > INT64_C(1) << POWERS) return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "x has more than %lld elements a head", 2LL << POWERS);
    return CLATTN_OK;
}

/* A number of 0..1 as a 64-bit fraction. */
static int64_t fraction(long double value) {
    const long double scaled = ldexpl(value, 64);
    return (int64_t)(scaled >= ldexpl(1, 64) ? UINT64_MAX : (uint64_t)scaled);
}

static clattn_status angles(clattn_call *call, const clattn_rotary_args *a, clattn_tensor *cosines, clattn_tensor *sines) {
    const int64_t pairs = clattn_dim(call, "P"), times = clattn_dim(call, "T"), rows = a->positions ? clattn_dim(call, "B") * times : times;
    const long double two_pi = 6.283185307179586476925286766559L;
    clattn_arg powers[2] = { { .kind = CLATTN_ARG_I64X8 }, { .kind = CLATTN_ARG_I64X8 } };
    for (int k = 0; k < POWERS; k++) powers[k / 8].as.i64[k % 8] = fraction(powl((long double)a->base, -ldexpl(1, k) / (long double)pairs));
    clattn_status status = clattn_scratch(call, cosines, CLATTN_F32, 2, (int64_t[]){ rows, pairs });
    if (!status) status = clattn_scratch(call, sines, CLATTN_F32, 2, (int64_t[]){ rows, pairs });
    const char *options = a->positions ? "-DPOSITIONS" : "";
    return status ? status : clattn_run_kernel(call, "rotary", "angles", options, 1, (size_t[]){ (size_t)(rows * pairs) }, (size_t[]){ 0 }, ARG_T(a->positions), ARG_T(cosines), ARG_T(sines), powers[0], powers[1], ARG_I64(fraction(1 / two_pi)), ARG_I64(rows * pairs), ARG_I64(pairs));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const clattn_rotary_args *a = raw;
    const int64_t pairs = clattn_dim(call, "P"), times = clattn_dim(call, "T"), heads = clattn_dim(call, "H"), count = clattn_dim(call, "B") * heads * times * pairs;
    clattn_tensor cosines, sines;
    const clattn_status status = a->cos ? CLATTN_OK : angles(call, a, &cosines, &sines);
    if (status) return status;
    const clattn_tensor *c = a->cos ? a->cos : &cosines, *s = a->cos ? a->sin : &sines;
    const bool looked_up = a->cos && a->positions;
    char options[48];
    snprintf(options, sizeof options, "%s%s", looked_up ? "-DPOSITIONS " : "", a->interleaved ? "-DINTERLEAVED" : "");
    return clattn_run_kernel(call, "rotary", "scalar", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(c), ARG_T(s), ARG_T(looked_up ? a->positions : NULL), ARG_T(a->out), clattn_arg_strides4(a->x), clattn_arg_strides4(a->out), ARG_I64(heads), ARG_I64(times), ARG_I64(pairs), ARG_I64(c->shape[0]), ARG_I64(a->cos || !a->positions ? 0 : times), ARG_I64(count));
}

static const clattn_variant variants[] = { { "scalar", NULL, enqueue_scalar } };

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_rotary_args *a = raw;
    const double count = (double)clattn_tensor_count(a->x);
    (void)call;
    *flops = 3 * count;
    *bytes = 8 * count;
}

void clattn_reference_rotary(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const examples[] = { "rotary x[2,3,5,8]", "rotary x[2,3,5,8] cos[9,4] sin[9,4] positions[2,5]<9 interleaved=true", NULL };
static const clattn_op_code code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "scalar", .reference = clattn_reference_rotary, .work = work, .examples = examples };
static const clattn_op op_rotary = { "rotary", "pairs of elements turned by their position's angle", "Su et al. 2021; transformers' halves or GPT-J's pairs", sizeof(clattn_rotary_args), fields, CLATTN_COUNT(fields), &code };
CLATTN_DEFINE_CALL(rotary)

const clattn_op *const clattn_ops_rotary[] = { &op_rotary, NULL };
