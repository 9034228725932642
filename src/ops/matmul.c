/* matmul and linear: one product of matrices, batched, with any strides. */
#include "matmul.h"

#include "dims.h"

/* ---- matmul's shapes ---- */

static const clattn_field matmul_fields[] = {
    CLATTN_IN(clattn_matmul_args, a, "*", CLATTN_FIELD_STRIDED, "[..,M,K], with transpose_a [..,K,M]"),
    CLATTN_IN(clattn_matmul_args, b, "*", CLATTN_FIELD_STRIDED, "[..,K,N], with transpose_b [..,N,K]; leading axes broadcast from the right"),
    CLATTN_OUT(clattn_matmul_args, out, "out", "..,M,N", 0, "[..,M,N]"),
    CLATTN_PARAM(clattn_matmul_args, transpose_a, "transpose_a", CLATTN_FIELD_BOOL, 0, 0, 0, "the last two axes of a stand the other way round"),
    CLATTN_PARAM(clattn_matmul_args, transpose_b, "transpose_b", CLATTN_FIELD_BOOL, 0, 0, 0, "the same for b"),
};

static clattn_status check_rank(clattn_call *call, const char *name, const clattn_tensor *tensor) {
    if (tensor->rank >= 2) return CLATTN_OK;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "%s has rank %d, expected at least 2: a matrix in the last two axes", name, tensor->rank);
}

/* The size of the i-th axis from the right; 1 where there is none. */
static int64_t size_from_right(const clattn_tensor *tensor, int i) {
    return i < tensor->rank ? tensor->shape[tensor->rank - 1 - i] : 1;
}

static clattn_status fail_pair(clattn_call *call, const clattn_matmul_args *p, const char *what, int64_t left, int64_t right) {
    char a[160], b[160];
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "a %s%s does not fit b %s%s: %s is %lld there, %lld here", clattn_shape_text(p->a, a, sizeof a), p->transpose_a ? " transposed" : "", clattn_shape_text(p->b, b, sizeof b), p->transpose_b ? " transposed" : "", what, (long long)left, (long long)right);
}

static clattn_status infer_matmul(clattn_call *call, const void *raw) {
    const clattn_matmul_args *p = raw;
    clattn_status status = check_rank(call, "a", p->a);
    if (!status) status = check_rank(call, "b", p->b);
    if (status) return status;
    const int64_t k = size_from_right(p->a, p->transpose_a ? 1 : 0), k_b = size_from_right(p->b, p->transpose_b ? 0 : 1);
    if (k != k_b) return fail_pair(call, p, "K", k, k_b);
    clattn_dim_set(call, "M", size_from_right(p->a, p->transpose_a ? 0 : 1));
    clattn_dim_set(call, "N", size_from_right(p->b, p->transpose_b ? 1 : 0));
    clattn_dim_set(call, "K", k);
    const int rank = (p->a->rank > p->b->rank ? p->a->rank : p->b->rank) - 2;
    call->dims.rest_rank = rank;
    for (int i = 0; i < rank; i++) {
        const int64_t left = size_from_right(p->a, i + 2), right = size_from_right(p->b, i + 2);
        if (left != right && left != 1 && right != 1) return fail_pair(call, p, "a leading axis", left, right);
        call->dims.rest[rank - 1 - i] = left == 1 ? right : left;
    }
    return CLATTN_OK;
}

/* ---- The product of a call ---- */

/* A tensor's strides along the right-aligned leading axes; 0 where it is broadcast. */
static void lead_strides(const clattn_tensor *tensor, int64_t strides[8]) {
    for (int i = 0; i < 8; i++) {
        const int axis = tensor->rank - 3 - (7 - i);
        strides[i] = axis < 0 || tensor->shape[axis] == 1 ? 0 : tensor->strides[axis];
    }
}

/* One matrix of many rows in the place of many matrices, where they all meet the same b and lie one after the other. */
static void fold(clattn_product *p) {
    int64_t rows = p->m, step = p->a_m;
    for (int i = 7; i >= 0; i--) {
        if (p->lead[i] == 1) continue;
        if (rows == 1) step = p->a_lead[i];
        if (p->b_lead[i] != 0 || p->a_lead[i] != rows * step) return;
        rows *= p->lead[i];
    }
    p->m = rows;
    p->a_m = step;
    p->batches = 1;
    for (int i = 0; i < 8; i++) p->lead[i] = 1;
}

/* `axes` are the sizes of out but its last two. */
static void set_lead(clattn_product *p, int rank, const int64_t *axes) {
    p->batches = 1;
    for (int i = 0; i < 8; i++) {
        p->lead[i] = i < 8 - rank ? 1 : axes[i - (8 - rank)];
        p->batches *= p->lead[i];
    }
    lead_strides(p->a, p->a_lead);
    lead_strides(p->b, p->b_lead);
}

static clattn_product product_of_matmul(const clattn_call *call, const clattn_matmul_args *args) {
    const clattn_tensor *a = args->a, *b = args->b;
    clattn_product p = { .a = a, .b = b, .out = args->out, .activation = CLATTN_ACTIVATION_NONE };
    p.m = clattn_dim(call, "M");
    p.n = clattn_dim(call, "N");
    p.k = clattn_dim(call, "K");
    p.a_m = a->strides[a->rank - (args->transpose_a ? 1 : 2)];
    p.a_k = a->strides[a->rank - (args->transpose_a ? 2 : 1)];
    p.b_k = b->strides[b->rank - (args->transpose_b ? 1 : 2)];
    p.b_n = b->strides[b->rank - (args->transpose_b ? 2 : 1)];
    set_lead(&p, call->dims.rest_rank, call->dims.rest);
    fold(&p);
    return p;
}

static clattn_product product_of_linear(const clattn_call *call, const clattn_linear_args *args) {
    const clattn_tensor *x = args->x, *w = args->weight;
    clattn_product p = { .a = x, .b = w, .bias = args->bias, .out = args->out, .activation = (int)args->activation };
    p.m = x->rank > 1 ? x->shape[x->rank - 2] : 1;
    p.n = clattn_dim(call, "O");
    p.k = clattn_dim(call, "I");
    p.a_m = x->rank > 1 ? x->strides[x->rank - 2] : 0;
    p.a_k = x->strides[x->rank - 1];
    p.b_k = w->strides[1];
    p.b_n = w->strides[0];
    set_lead(&p, x->rank > 2 ? x->rank - 2 : 0, x->shape);
    fold(&p);
    return p;
}

clattn_product clattn_product_of(const clattn_call *call, const void *args) {
    return strcmp(call->op->name, "linear") == 0 ? product_of_linear(call, args) : product_of_matmul(call, args);
}

/* Tiles of `rows` by 16 * `vectors`. */
static const char *options_of(const clattn_product *p, int rows, int vectors, char text[96]) {
    char activation[24] = "";
    if (p->activation != CLATTN_ACTIVATION_NONE) snprintf(activation, sizeof activation, " -DACT=%d", p->activation);
    snprintf(text, 96, "-DMR=%d -DNV=%d%s", rows, vectors, activation);
    return text;
}

/* ---- scalar: one work-item per element of out ---- */

static clattn_status enqueue_scalar(clattn_call *call, const void *args) {
    char options[96];
    const clattn_product p = clattn_product_of(call, args);
    return clattn_run_kernel(call, "matmul", "scalar", options_of(&p, 1, 1, options), 1, (size_t[]){ (size_t)(p.batches * p.m * p.n) }, (size_t[]){ 0 }, ARG_T(p.a), ARG_T(p.b), ARG_T(p.bias), ARG_T(p.out), ARG_I32(p.bias != NULL), ARG_I64(p.batches), ARG_I64(p.m), ARG_I64(p.n), ARG_I64(p.k), clattn_arg_i64x4(p.a_m, p.a_k, p.b_k, p.b_n), clattn_arg_i64x8(p.lead), clattn_arg_i64x8(p.a_lead), clattn_arg_i64x8(p.b_lead));
}

/* ---- cpu: b packed in panels, a block of rows a group ---- */

#define PACK_DEPTH 256 /* values of k that a group packs */
#define MAX_ROWS 256 /* of a group: they and a panel's values of k stay in the level-2 cache */
#define MAX_PACKED_ROWS 128 /* where a is packed too, into local memory */
#define PACKED_BYTES (MAX_PACKED_ROWS * 256 * sizeof(float))
#define FEW_ROWS 8
#define WANTED_GROUPS 16

/* Vectors in a panel's row: wide panels unless much of the last one would be empty; one where registers are few. */
static int panel_vectors(int64_t n, int sums) {
    if (n <= 16 || sums < 16) return 1;
    return clattn_ceil_div(n, 64) * 64 <= clattn_ceil_div(n, 32) * 32 * 9 / 8 ? 4 : 2;
}

/* b's own leading axes, without what they are broadcast to. */
static int64_t own_lead(const clattn_product *p, int64_t sizes[8]) {
    int64_t count = 1;
    for (int i = 0; i < 8; i++) {
        const int axis = p->b->rank - 3 - (7 - i);
        sizes[i] = axis < 0 || p->b_lead[i] == 0 ? 1 : p->b->shape[axis];
        count *= sizes[i];
    }
    return count;
}

static clattn_status pack_b(clattn_call *call, const clattn_product *p, int vectors, clattn_buffer **packed, int64_t packed_lead[8]) {
    int64_t sizes[8];
    char key[96], options[32];
    const int64_t matrices = own_lead(p, sizes), panels = clattn_ceil_div(p->n, 16 * vectors), matrix_size = panels * p->k * 16 * vectors;
    bool fresh;
    snprintf(key, sizeof key, "matmul %d %lld %lld/%lld", vectors, (long long)p->k, (long long)p->b_k, (long long)p->b_n);
    snprintf(options, sizeof options, "-DNV=%d", vectors);
    for (int64_t i = 7, step = matrix_size; i >= 0; step *= sizes[i--]) packed_lead[i] = p->b_lead[i] ? step : 0;
    const clattn_status status = clattn_packed(call, p->b, key, (size_t)(matrices * matrix_size + 1) * sizeof(float), packed, &fresh);
    if (status || !fresh) return status;
    return clattn_run_kernel(call, "matmul", "pack", options, 3, ((size_t[]){ (size_t)panels, (size_t)clattn_ceil_div(p->k, PACK_DEPTH), (size_t)matrices }), ((size_t[]){ 1, 1, 1 }), ARG_T(p->b), ARG_BUFFER(*packed), ARG_I64(p->n), ARG_I64(p->k), ARG_I64(PACK_DEPTH), ARG_I64(p->b_k), ARG_I64(p->b_n), clattn_arg_i64x8(sizes), clattn_arg_i64x8(p->b_lead));
}

/* How out is cut: sums of `tile` rows by `vectors` in registers, `rows` and some panels a group, at least `groups` groups. */
typedef struct cut {
    int vectors, tile, groups;
    int64_t rows;
} cut;

/* Rows whose sums with a panel are in registers: with four vectors 6, as each row of the panel is loaded for every tile, or 4 where the
 * last tile would be too empty. */
static int tile_rows(int vectors, int64_t m, int sums) {
    if (vectors != 4 && 8 * vectors <= sums) return 8;
    return 16 * 6 * clattn_ceil_div(m, 6) <= 17 * m ? 6 : 4;
}

/* Rows of a group: few enough that all cores have work, and about as many in each (a tile more than `most` where that is no multiple of
 * it). The panels are shared out first: each group reads its panels once. */
static int64_t block_rows(const clattn_product *p, int tile, int64_t most, int64_t groups, int64_t panels) {
    int64_t rows = most;
    while (rows > 4 * tile && p->batches * panels * clattn_ceil_div(p->m, rows) < groups) rows /= 2;
    const int64_t blocks = p->m > rows ? clattn_ceil_div(p->m, rows) : 1;
    return clattn_ceil_div(clattn_ceil_div(p->m, blocks), tile) * tile;
}

static cut cut_of(const clattn_call *call, const clattn_product *p) {
    const int sums = clattn_call_sums(call), block = clattn_tuned(call, "block", MAX_ROWS);
    cut c = { .vectors = clattn_tuned(call, "panel", panel_vectors(p->n, sums)), .groups = clattn_tuned(call, "groups", WANTED_GROUPS) };
    c.tile = clattn_tuned(call, "tile", tile_rows(c.vectors, p->m, sums));
    const int most = p->a_k == 1 || block < MAX_PACKED_ROWS ? block : MAX_PACKED_ROWS / c.tile * c.tile;
    c.rows = block_rows(p, c.tile, most, c.groups, clattn_ceil_div(p->n, 16 * c.vectors));
    return c;
}

static const char *cpu_refusal(const clattn_call *call, const void *args) {
    const clattn_product p = clattn_product_of(call, args);
    const cut c = cut_of(call, &p);
    if (!clattn_call_cpu(call, PACKED_BYTES)) return "the device is not a CPU with 128 KiB of local memory";
    return c.tile * c.vectors <= clattn_call_sums(call) ? NULL : "the tile has more sums than there are registers";
}

static clattn_status enqueue_cpu(clattn_call *call, const void *args) {
    char options[96], text[160], pack_a[32] = "";
    int64_t packed_lead[8];
    clattn_buffer *packed;
    const clattn_product p = clattn_product_of(call, args);
    const cut c = cut_of(call, &p);
    const clattn_status status = pack_b(call, &p, c.vectors, &packed, packed_lead);
    if (status) return status;
    const int64_t blocks = clattn_ceil_div(p.m, c.rows), panels = clattn_ceil_div(p.n, 16 * c.vectors);
    const int64_t shares = clattn_ceil_div(c.groups, blocks * p.batches), per_group = clattn_ceil_div(panels, shares);
    if (p.a_k != 1) snprintf(pack_a, sizeof pack_a, " -DPACK_A -DROWS=%d", MAX_PACKED_ROWS);
    const bool many = p.batches > 1 && blocks == 1 && per_group == panels;
    snprintf(text, sizeof text, "%s%s%s", options_of(&p, c.tile, c.vectors, options), pack_a, many ? " -DMANY" : "");
    return clattn_run_kernel(call, "matmul", "blocked", text, 3, ((size_t[]){ (size_t)blocks, (size_t)clattn_ceil_div(panels, per_group), (size_t)p.batches }), ((size_t[]){ 1, 1, 1 }), ARG_T(p.a), ARG_BUFFER(packed), ARG_T(p.bias), ARG_T(p.out), ARG_I32(p.bias != NULL), ARG_I64(p.m), ARG_I64(p.n), ARG_I64(p.k), ARG_I64(p.a_m), ARG_I64(p.a_k), clattn_arg_i64x8(p.lead), clattn_arg_i64x8(p.a_lead), clattn_arg_i64x8(packed_lead), ARG_I64(c.rows), ARG_I64(panels), ARG_I64(per_group));
}

/* ---- cpu_rows: few rows, b read once as it lies ---- */

static const char *rows_refusal(const clattn_call *call, const void *args) {
    const clattn_product p = clattn_product_of(call, args);
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    if (p.m > FEW_ROWS) return "there are more than 8 rows";
    return p.b_n == 1 || (p.b_k == 1 && p.a_k == 1) ? NULL : "the rows of a or b are not contiguous";
}

static clattn_status enqueue_rows(clattn_call *call, const void *args) {
    char options[96];
    const clattn_product p = clattn_product_of(call, args);
    const bool columns = p.b_n == 1;
    const int64_t groups = clattn_tuned(call, "strips", WANTED_GROUPS), unit = columns ? 64 : 8, per_group = clattn_ceil_div(clattn_ceil_div(p.n, groups), unit) * unit;
    return clattn_run_kernel(call, "matmul", columns ? "rows_columns" : "rows_dot", options_of(&p, p.m == 1 ? 1 : p.m == 2 ? 2
                                                                                                                           : 4,
                                                                                        4, options),
        2, ((size_t[]){ (size_t)clattn_ceil_div(p.n, per_group), (size_t)p.batches }), ((size_t[]){ 1, 1 }), ARG_T(p.a), ARG_T(p.b), ARG_T(p.bias), ARG_T(p.out), ARG_I32(p.bias != NULL), ARG_I64(p.m), ARG_I64(p.n), ARG_I64(p.k), clattn_arg_i64x4(p.a_m, p.a_k, p.b_k, p.b_n), clattn_arg_i64x8(p.lead), clattn_arg_i64x8(p.a_lead), clattn_arg_i64x8(p.b_lead), ARG_I64(per_group));
}

static const clattn_variant variants[] = {
    { "cpu_rows", rows_refusal, enqueue_rows },
    { "cpu", cpu_refusal, enqueue_cpu },
    { "clblast", clattn_matmul_clblast_refusal, clattn_matmul_clblast },
    { "gpu_tile", clattn_matmul_gpu_refusal, clattn_matmul_gpu },
    { "scalar", NULL, enqueue_scalar },
};

/* ---- Tuning ---- */

static const clattn_tunable tunables[] = {
    { "cpu_rows", "strips", "of columns, one a group", { 4, 8, 16, 32, 64 } },
    { "cpu", "panel", "vectors of 16 columns in a panel of b", { 1, 2, 4 } },
    { "cpu", "tile", "rows whose sums with a panel are in registers", { 4, 6, 8, 12 } },
    { "cpu", "block", "rows of a group at most", { 32, 64, 128, 256 } },
    { "cpu", "groups", "wanted at least", { 4, 8, 16, 32, 64 } },
    { "gpu_tile", "edge", "rows and columns of a group", { 64, 128 } },
    { "gpu_tile", "depth", "values of k in local memory at a time", { 8, 16 } },
    { .name = NULL },
};

static void shape_class(const clattn_call *call, const void *args, char *text, size_t size) {
    const clattn_product p = clattn_product_of(call, args);
    const size_t used = p.batches > 1 ? (size_t)snprintf(text, size, "b%lld ", (long long)clattn_class_size(p.batches)) : 0;
    snprintf(text + used, size - used, "m%lld n%lld k%lld", (long long)clattn_class_size(p.m), (long long)clattn_class_size(p.n), (long long)clattn_class_size(p.k));
}

#define TUNING .tunables = tunables, .shape_class = shape_class, .kernels = "matmul matmul_gpu"

static void work(const clattn_call *call, const void *args, double *flops, double *bytes) {
    const clattn_product p = clattn_product_of(call, args);
    const double out = (double)p.batches * (double)p.m * (double)p.n;
    *flops = 2 * out * (double)p.k;
    *bytes = 4 * ((double)clattn_tensor_count(p.a) + (double)clattn_tensor_count(p.b) + out);
}

void clattn_reference_matmul(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_linear(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const matmul_examples[] = { "matmul a[3,40] b[40,70]", "matmul a[20,300] b[300,70]", "matmul a[2,9,5] b[2,5,10]", "matmul a[300,20] b[70,300] transpose_a=true transpose_b=true", NULL };
static const char *const matmul_tuning[] = { "matmul a[256,256] b[256,256]", "matmul a[512,512] b[512,512]", "matmul a[1024,1024] b[1024,1024]", "matmul a[96,64,64] b[96,64,64]", NULL };
static const clattn_op_code matmul_code = { .infer = infer_matmul, .variants = variants, .variant_count = CLATTN_COUNT(variants), .reserve = clattn_matmul_reserve, .reference = clattn_reference_matmul, .work = work, .examples = matmul_examples, TUNING, .tuning_cases = matmul_tuning };
static const clattn_op op_matmul = { "matmul", "products of matrices, batched", "numpy.matmul; rank 2 and more", sizeof(clattn_matmul_args), matmul_fields, CLATTN_COUNT(matmul_fields), &matmul_code };
CLATTN_DEFINE_CALL(matmul)

static const clattn_field linear_fields[] = {
    CLATTN_IN(clattn_linear_args, x, "..,I", CLATTN_FIELD_STRIDED, "any leading axes"),
    CLATTN_IN(clattn_linear_args, weight, "O,I", CLATTN_FIELD_STRIDED, "PyTorch's layout; packed once when frozen"),
    CLATTN_IN(clattn_linear_args, bias, "O", CLATTN_FIELD_OPTIONAL, "added to each row"),
    CLATTN_OUT(clattn_linear_args, out, "out", "..,O", 0, "x weight^T + bias"),
    CLATTN_PARAM_WORD(clattn_linear_args, activation, "activation", clattn_activation_words, CLATTN_ACTIVATION_NONE, "applied to the sum"),
};

static const char *const linear_examples[] = { "linear x[40] weight[7,40] bias[7]", "linear x[3,40] weight[7,40] bias[7] activation=tanh", "linear x[20,300] weight[70,300] bias[70]", NULL };
static const char *const linear_tuning[] = { "linear x[512,768] weight[768,768] bias[768]", "linear x[512,768] weight[3072,768] bias[3072]", "linear x[1,1024] weight[1024,1024] bias[1024]", NULL };
static const clattn_op_code linear_code = { .variants = variants, .variant_count = CLATTN_COUNT(variants), .reserve = clattn_matmul_reserve, .reference = clattn_reference_linear, .work = work, .examples = linear_examples, TUNING, .tuning_cases = linear_tuning };
static const clattn_op op_linear = { "linear", "act(x weight^T + bias)", "torch.nn.functional.linear", sizeof(clattn_linear_args), linear_fields, CLATTN_COUNT(linear_fields), &linear_code };
CLATTN_DEFINE_CALL(linear)

const clattn_op *const clattn_ops_matmul[] = { &op_linear, &op_matmul, NULL };
