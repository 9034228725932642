/* max_pool2d, avg_pool2d: windows over planes; global_pool2d: whole planes. */
#include "gpu.h"
#include "planes_gpu.h"
#include "window.h"

/* ---- Windows ---- */

#define WINDOW_PARAMS(type)                                                                                            \
    { .name = "kernel", .kind = CLATTN_FIELD_INTS, .offset = offsetof(type, kernel), .flags = CLATTN_FIELD_REQUIRED, .low = 1, .high = CLATTN_WINDOW_LIMIT, .text = "one value or vertical,horizontal" }, \
    CLATTN_PARAM(type, stride, "stride", CLATTN_FIELD_INTS, 0, 1, CLATTN_WINDOW_LIMIT, "default the kernel"),          \
    CLATTN_PARAM(type, padding, "padding", CLATTN_FIELD_INTS, 0, 0, CLATTN_WINDOW_LIMIT, "at most half the dilated kernel; one value, vertical,horizontal or top,left,bottom,right"), \
    CLATTN_PARAM(type, dilation, "dilation", CLATTN_FIELD_INTS, 1, 1, CLATTN_WINDOW_LIMIT, "one value or vertical,horizontal"), \
    CLATTN_PARAM(type, ceil_mode, "ceil_mode", CLATTN_FIELD_BOOL, 0, 0, 0, "also the window that ends outside, if it begins inside")

static const clattn_field max_fields[] = {
    CLATTN_IN(clattn_max_pool2d_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_OUT(clattn_max_pool2d_args, out, "out", "B,C,OH,OW", CLATTN_FIELD_STORED, "NaN wins; a window without any input gives -inf"),
    CLATTN_OUT_INT(clattn_max_pool2d_args, indices, "indices", "B,C,OH,OW", CLATTN_FIELD_OPTIONAL, "h*W + w of the first maximum; -1 for a window without any input"),
    WINDOW_PARAMS(clattn_max_pool2d_args),
};

static const clattn_field avg_fields[] = {
    CLATTN_IN(clattn_avg_pool2d_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_OUT(clattn_avg_pool2d_args, out, "out", "B,C,OH,OW", CLATTN_FIELD_STORED, "a window without anything to count gives 0"),
    WINDOW_PARAMS(clattn_avg_pool2d_args),
    CLATTN_PARAM(clattn_avg_pool2d_args, count_include_pad, "count_include_pad", CLATTN_FIELD_TOGGLE, 1, 0, 0, "padding counts in the divisor"),
};

/* What the two have in common. */
typedef struct pool {
    const clattn_tensor *x;
    clattn_tensor *out, *indices;
    clattn_window window;
    bool max, ceil_mode, include_pad;
    const clattn_ints *kernel, *stride, *padding, *dilation;
} pool;

static pool complete(pool p) {
    const int64_t kernel[2] = { clattn_window_value(p.kernel, 0, 1), clattn_window_value(p.kernel, 1, 1) };
    p.window = clattn_window_read(kernel, p.stride, p.padding, p.dilation, kernel);
    return p;
}

static pool pool_of(const clattn_call *call, const void *raw) {
    if (strcmp(call->op->name, "max_pool2d") == 0) {
        const clattn_max_pool2d_args *a = raw;
        return complete((pool){ .x = a->x, .out = a->out, .indices = a->indices, .max = true, .ceil_mode = a->ceil_mode, .kernel = &a->kernel, .stride = &a->stride, .padding = &a->padding, .dilation = &a->dilation });
    }
    const clattn_avg_pool2d_args *a = raw;
    return complete((pool){ .x = a->x, .out = a->out, .ceil_mode = a->ceil_mode, .include_pad = a->count_include_pad == CLATTN_ON, .kernel = &a->kernel, .stride = &a->stride, .padding = &a->padding, .dilation = &a->dilation });
}

static clattn_status check_lists(clattn_call *call, const pool *p) {
    clattn_status status = clattn_window_check_list(call, "kernel", p->kernel, false);
    if (!status) status = clattn_window_check_list(call, "stride", p->stride, false);
    if (!status) status = clattn_window_check_list(call, "padding", p->padding, true);
    if (!status) status = clattn_window_check_list(call, "dilation", p->dilation, false);
    return status;
}

static clattn_status infer(clattn_call *call, const void *raw) {
    static const char *const names[] = { "OH", "OW" };
    const pool p = pool_of(call, raw);
    clattn_status status = check_lists(call, &p);
    for (int axis = 0; axis < 2 && !status; axis++) {
        const int64_t span = clattn_window_span(&p.window, axis), most = p.window.before[axis] > p.window.after[axis] ? p.window.before[axis] : p.window.after[axis];
        int64_t outputs;
        if (most > span / 2) return clattn_call_fail(call, CLATTN_ERROR_ARGUMENT, "padding = %lld is more than half of the kernel, which covers %lld along the %s", (long long)most, (long long)span, axis ? "width" : "height");
        status = clattn_window_outputs(call, &p.window, axis, p.x->shape[2 + axis], p.ceil_mode, &outputs);
        if (!status) clattn_dim_set(call, names[axis], outputs);
    }
    if (status || !p.max || (double)p.x->shape[2] * (double)p.x->shape[3] <= 2147483647.0) return status;
    return clattn_call_fail(call, CLATTN_ERROR_SHAPE, "a plane of x has more than 2147483647 values: indices would not fit i32");
}

static clattn_arg sizes_arg(const clattn_call *call, const pool *p) {
    return clattn_arg_i64x8(p->x->shape[2], p->x->shape[3], clattn_dim(call, "OH"), clattn_dim(call, "OW"), p->window.kernel[0], p->window.kernel[1], p->include_pad, 0);
}

static int64_t count_of(const clattn_call *call, const pool *p) {
    return p->x->shape[0] * p->x->shape[1] * clattn_dim(call, "OH") * clattn_dim(call, "OW");
}

static clattn_status enqueue_scalar_one(clattn_call *call, const pool *p, const char *options, const clattn_tensor *out) {
    const int64_t count = count_of(call, p);
    if (!out) return CLATTN_OK;
    return clattn_run_kernel(call, "pool2d", "scalar", options, 1, (size_t[]){ (size_t)count }, (size_t[]){ 0 }, ARG_T(p->x), ARG_T(out), sizes_arg(call, p), clattn_window_arg(&p->window), ARG_I64(count));
}

static clattn_status enqueue_scalar(clattn_call *call, const void *raw) {
    const pool p = pool_of(call, raw);
    const clattn_status status = enqueue_scalar_one(call, &p, p.max ? "-DMAX" : "-DAVG", p.out);
    return status ? status : enqueue_scalar_one(call, &p, "-DINDEX", p.indices);
}

/* One reduced row of the input, padded, with room for whole vectors; and a count for each output of a row. */
static int64_t row_length(const clattn_call *call, const pool *p) {
    const int64_t outputs = (clattn_dim(call, "OW") + 15) / 16 * 16, needed = (outputs - 1) * p->window.stride[1] + clattn_window_span(&p->window, 1);
    const int64_t whole = p->window.before[1] + p->x->shape[3];
    return (needed > whole ? needed : whole) + 16;
}

static size_t row_bytes(const clattn_call *call, const pool *p) {
    return (size_t)(row_length(call, p) + clattn_dim(call, "OW") + 16) * 4;
}

static const char *rows_refusal(const clattn_call *call, const void *raw) {
    const pool p = pool_of(call, raw);
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    return clattn_call_cpu(call, row_bytes(call, &p)) && row_length(call, &p) < 1 << 30 ? NULL : "a padded row does not fit local memory";
}

static clattn_status enqueue_rows(clattn_call *call, const void *raw) {
    const pool p = pool_of(call, raw);
    const int64_t rows = p.x->shape[0] * p.x->shape[1] * clattn_dim(call, "OH");
    /* About 16 groups a launch for small maps, 64 KiB of outputs a group for large ones. */
    int64_t per_group = (rows + 15) / 16, most = 1 + 16384 / clattn_dim(call, "OW");
    if (per_group > most) per_group = most;
    if (p.out) {
        const clattn_status status = clattn_run_kernel(call, "pool2d", "rows", p.max ? "-DMAX" : "-DAVG", 1, (size_t[]){ (size_t)((rows + per_group - 1) / per_group) }, (size_t[]){ 1 }, ARG_T(p.x), ARG_T(p.out), sizes_arg(call, &p), clattn_window_arg(&p.window), ARG_I64(rows), ARG_I64(per_group), ARG_I64(row_length(call, &p)), ARG_LOCAL(row_bytes(call, &p)));
        if (status) return status;
    }
    return enqueue_scalar_one(call, &p, "-DINDEX", p.indices);
}

/* ---- Windows from tiles in local memory ---- */

/* A group: wide x (tall * down) outputs in each of several planes, and what their windows cover in one. */
typedef struct gpu_tile {
    int64_t items, wide, tall, down, rows, pitch;
} gpu_tile;

#define FEW_ITEMS 64       /* fewer leave NVIDIA too few warps */
#define USUAL_LOCAL 8192   /* bytes: with more, groups are too few to hide latency */
#define MOST_LOCAL 16384

static int64_t next_power_of_two(int64_t least) {
    int64_t power = 1;
    while (power < least) power *= 2;
    return power;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static gpu_tile tile_of(const clattn_call *call, const pool *p, int64_t items, int64_t down) {
    const int64_t across = next_power_of_two(clattn_dim(call, "OW")), high = next_power_of_two(clattn_dim(call, "OH"));
    gpu_tile t = { .items = items, .wide = smaller(across, 32), .down = down };
    t.tall = smaller(high, items / t.wide);
    t.down = smaller(down, high / t.tall);
    t.rows = (t.tall * t.down - 1) * p->window.stride[0] + clattn_window_span(&p->window, 0);
    t.pitch = (t.wide - 1) * p->window.stride[1] + clattn_window_span(&p->window, 1);
    return t;
}

static int64_t tile_planes(const gpu_tile *t) {
    return t->items / (t->wide * t->tall);
}

static double tile_bytes(const gpu_tile *t) {
    return 4.0 * (double)tile_planes(t) * (double)t->rows * (double)t->pitch;
}

static double tile_groups(const clattn_call *call, const pool *p, const gpu_tile *t) {
    return (double)clattn_ceil_div(clattn_dim(call, "OW"), t->wide) * (double)clattn_ceil_div(clattn_dim(call, "OH"), t->tall * t->down) * (double)clattn_ceil_div(p->x->shape[0] * p->x->shape[1], tile_planes(t));
}

/* Taller tiles read less twice, as long as there are groups enough; fewer items than `most` where the windows are large. */
static gpu_tile choose_tile(const clattn_call *call, const pool *p, int64_t most) {
    gpu_tile t = { 0 };
    for (int64_t items = most; items == most || items >= FEW_ITEMS; items /= 2)
        for (int64_t down = 8; down; down /= 2) {
            t = tile_of(call, p, items, down);
            if (tile_bytes(&t) <= USUAL_LOCAL && (down == 1 || tile_groups(call, p, &t) >= (double)clattn_planes_groups(call))) return t;
        }
    return t;
}

static const char *tile_refusal(const clattn_call *call, const pool *p, const gpu_tile *t) {
    const size_t local = clattn_call_device(call)->local_memory;
    if (tile_bytes(t) > (local < MOST_LOCAL ? (double)local : MOST_LOCAL)) return "a few windows do not fit local memory";
    if (t->rows * t->pitch > t->wide * t->tall * t->down * p->window.kernel[0] * p->window.kernel[1]) return "the windows leave out more of the input than they share";
    return tile_groups(call, p, t) > 2147483647.0 ? "there are more than 2^31 tiles" : NULL;
}

static const char *gpu_refusal(const clattn_call *call, const void *raw) {
    const pool p = pool_of(call, raw);
    const gpu_tile t = choose_tile(call, &p, (int64_t)clattn_planes_items(call));
    if (clattn_call_gpu(call)->local_is_memory) return "local memory is as far as any: what windows share is as near in the cache";
    if (clattn_call_device(call)->max_work_group < CLATTN_LEAST_ITEMS) return "the device's work-groups have fewer than 32 items";
    if ((double)p.x->shape[2] * (double)p.x->shape[3] > 1 << 30) return "a plane has more than 2^30 pixels";
    return tile_refusal(call, &p, &t);
}

static clattn_status enqueue_gpu(clattn_call *call, const void *raw) {
    const pool p = pool_of(call, raw);
    char options[80];
    size_t limit, most = 2 * clattn_planes_items(call);
    gpu_tile t;
    clattn_status status;
    do {
        most /= 2;
        t = choose_tile(call, &p, (int64_t)most);
        snprintf(options, sizeof options, "%s%s -DGROUP=%d -DWIDE=%d -DTALL=%d", p.max ? "-DMAX" : "-DAVG", p.indices ? " -DINDEX" : "", (int)t.items, (int)t.wide, (int)t.tall);
        status = clattn_call_kernel_items(call, "pool2d_gpu", "gpu", options, &limit);
    } while (!status && (size_t)t.items > limit && most > CLATTN_LEAST_ITEMS);
    const char *why = status ? NULL : tile_refusal(call, &p, &t);
    if (why) return clattn_call_fail(call, CLATTN_ERROR_UNSUPPORTED, "%s", why);
    return status ? status : clattn_run_kernel(call, "pool2d_gpu", "gpu", options, 1, (size_t[]){ (size_t)tile_groups(call, &p, &t) * (size_t)t.items }, (size_t[]){ (size_t)t.items }, ARG_T(p.x), ARG_T(p.out), ARG_T(p.indices), sizes_arg(call, &p), clattn_window_arg(&p.window), ARG_I64(p.x->shape[0] * p.x->shape[1]), ARG_I32(t.down), ARG_I32(t.rows), ARG_I32(t.pitch),
        ARG_I32(clattn_ceil_div(clattn_dim(call, "OW"), t.wide)), ARG_I32(clattn_ceil_div(clattn_dim(call, "OH"), t.tall * t.down)), ARG_LOCAL((size_t)tile_bytes(&t)));
}

static const clattn_variant variants[] = {
    { "rows", rows_refusal, enqueue_rows },
    { "gpu", gpu_refusal, enqueue_gpu },
    { "scalar", NULL, enqueue_scalar },
};

static void work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const pool p = pool_of(call, raw);
    const double outputs = (double)count_of(call, &p);
    *flops = outputs * (double)p.window.kernel[0] * (double)p.window.kernel[1];
    *bytes = 4 * (outputs + (double)clattn_tensor_count(p.x));
}

void clattn_reference_max_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_avg_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const max_examples[] = { "max_pool2d x[1,4,28,28] kernel=2", "max_pool2d x[1,4,28,28] kernel=3 stride=2 padding=1 -> out indices", NULL };
static const clattn_op_code max_code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu scalar", .reference = clattn_reference_max_pool2d, .work = work, .examples = max_examples };
static const clattn_op op_max_pool2d = { "max_pool2d", "maximum over windows", "torch.nn.functional.max_pool2d", sizeof(clattn_max_pool2d_args), max_fields, CLATTN_COUNT(max_fields), &max_code };
CLATTN_DEFINE_CALL(max_pool2d)

static const char *const avg_examples[] = { "avg_pool2d x[1,4,28,28] kernel=2", "avg_pool2d x[1,4,28,28] kernel=3 stride=2 padding=1", NULL };
static const clattn_op_code avg_code = { .infer = infer, .variants = variants, .variant_count = CLATTN_COUNT(variants), .half = "rows gpu scalar", .reference = clattn_reference_avg_pool2d, .work = work, .examples = avg_examples };
static const clattn_op op_avg_pool2d = { "avg_pool2d", "mean over windows", "torch.nn.functional.avg_pool2d", sizeof(clattn_avg_pool2d_args), avg_fields, CLATTN_COUNT(avg_fields), &avg_code };
CLATTN_DEFINE_CALL(avg_pool2d)

/* ---- Whole planes ---- */

static const clattn_field global_fields[] = {
    CLATTN_IN(clattn_global_pool2d_args, x, "B,C,H,W", CLATTN_FIELD_STORED, "images"),
    CLATTN_OUT(clattn_global_pool2d_args, out, "out", "B,C,1,1", CLATTN_FIELD_STORED, "of an empty plane: avg NaN, max and lse -inf, lp 0"),
    CLATTN_PARAM_WORD(clattn_global_pool2d_args, kind, "kind", clattn_pool_words, CLATTN_POOL_AVG, "lp: sqrt(sum x^2), not normalised; lse: log(sum e^x)"),
};

/* By kind: the build option. */
static const char *const global_options[] = { "-DAVG", "-DMAX", "-DLP", "-DLSE" };

static bool special(const clattn_global_pool2d_args *a) {
    return a->kind == CLATTN_POOL_LP || a->kind == CLATTN_POOL_LSE;
}

static const char *planes_refusal(const clattn_call *call, const void *raw) {
    (void)raw;
    return clattn_call_cpu(call, 0) ? NULL : "the device is not a CPU";
}

static clattn_status enqueue_planes(clattn_call *call, const void *raw) {
    const clattn_global_pool2d_args *a = raw;
    const int64_t planes = a->x->shape[0] * a->x->shape[1], size = a->x->shape[2] * a->x->shape[3];
    const int64_t per_group = 1 + 32768 / (size + 1);
    return clattn_run_kernel(call, "pool2d", special(a) ? "planes_special" : "planes", global_options[a->kind], 1, (size_t[]){ (size_t)((planes + per_group - 1) / per_group) }, (size_t[]){ 1 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(planes), ARG_I64(size), ARG_I64(per_group));
}

static const char *global_gpu_refusal(const clattn_call *call, const void *raw) {
    const clattn_global_pool2d_args *a = raw;
    return clattn_planes_refusal(call, a->x);
}

static clattn_status enqueue_global_gpu(clattn_call *call, const void *raw) {
    const clattn_global_pool2d_args *a = raw;
    return clattn_planes_pool(call, a->x, 1 << a->kind, a->out, true);
}

static clattn_status enqueue_global_scalar(clattn_call *call, const void *raw) {
    const clattn_global_pool2d_args *a = raw;
    const int64_t planes = a->x->shape[0] * a->x->shape[1];
    return clattn_run_kernel(call, "pool2d", special(a) ? "planes_special_scalar" : "planes_scalar", global_options[a->kind], 1, (size_t[]){ (size_t)planes }, (size_t[]){ 0 }, ARG_T(a->x), ARG_T(a->out), ARG_I64(planes), ARG_I64(a->x->shape[2] * a->x->shape[3]));
}

static const clattn_variant global_variants[] = {
    { "planes", planes_refusal, enqueue_planes },
    { "gpu", global_gpu_refusal, enqueue_global_gpu },
    { "scalar", NULL, enqueue_global_scalar },
};

static void global_work(const clattn_call *call, const void *raw, double *flops, double *bytes) {
    const clattn_global_pool2d_args *a = raw;
    (void)call;
    *flops = (double)clattn_tensor_count(a->x);
    *bytes = 4 * *flops;
}

void clattn_reference_global_pool2d(const clattn_call *call, const void *args, clattn_bounds *bounds);

static const char *const global_examples[] = { "global_pool2d x[2,5,7,7]", "global_pool2d x[2,5,7,7] kind=max", "global_pool2d x[2,5,7,7] kind=lp", "global_pool2d x[2,5,7,7] kind=lse", NULL };
static const clattn_op_code global_code = { .variants = global_variants, .variant_count = CLATTN_COUNT(global_variants), .half = "planes gpu scalar", .reference = clattn_reference_global_pool2d, .work = global_work, .examples = global_examples };
static const clattn_op op_global_pool2d = { "global_pool2d", "mean, maximum, 2-norm or log-sum-exp over all pixels of a plane", "torch.nn.functional.adaptive_avg_pool2d, adaptive_max_pool2d, lp_pool2d; torch.logsumexp", sizeof(clattn_global_pool2d_args), global_fields, CLATTN_COUNT(global_fields), &global_code };
CLATTN_DEFINE_CALL(global_pool2d)

const clattn_op *const clattn_ops_pool2d[] = { &op_max_pool2d, &op_avg_pool2d, &op_global_pool2d, NULL };
