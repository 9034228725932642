/* What the device can do at best, measured once and kept in the cache directory: the larger figures of all measurements. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "source.h"
#include "system.h"

#define LONG_ENOUGH 0.01 /* seconds of one run: launching costs well below 1 % of that */
#define TOO_LONG 0.2     /* a simulator: one run must do */
#define RUNS 10 /* the best counts: other work on the machine only slows */
#define LARGEST_COPY ((size_t)256 << 20)
#define VECTORS 4096 /* float16 that one group copies: 256 KiB */

/* One run of `amount` (rounds or bytes). */
typedef clattn_status (*run_function)(clattn_context *context, const clattn_tensor *tensors, int64_t amount, const char *options);

typedef struct measurement {
    run_function run;
    const char *options;
    int64_t first, limit; /* the amounts to begin and to end with */
    double enough;        /* seconds after which the amount need not grow */
    bool typical;         /* the median of the runs counts, not the best */
} measurement;

static clattn_status timed(clattn_context *context, const measurement *m, const clattn_tensor *tensors, int64_t amount, double *seconds) {
    const double start = clattn_system_seconds();
    clattn_status status = m->run(context, tensors, amount, m->options);
    if (!status) status = clattn_finish(context);
    *seconds = clattn_system_seconds() - start;
    return status;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The best (or typical) amount per second of a few runs, each long enough to be timed; raises `*best`. */
static clattn_status measure(clattn_context *context, const measurement *m, const clattn_tensor *tensors, double *best) {
    double seconds = 0, rates[RUNS];
    size_t count = 0;
    int64_t amount = m->first;
    clattn_status status = timed(context, m, tensors, amount, &seconds); /* compiles */
    while (!status && !(status = timed(context, m, tensors, amount, &seconds)) && seconds < m->enough && amount < m->limit)
        amount = amount * 2 < m->limit ? amount * 2 : m->limit;
    for (int i = 0; i < RUNS && !status; i++) {
        if (seconds > 0) rates[count++] = (double)amount / seconds;
        if (seconds > TOO_LONG) break;
        status = timed(context, m, tensors, amount, &seconds);
    }
    qsort(rates, count, sizeof *rates, ascending);
    const double found = !count ? 0 : rates[m->typical ? count / 2 : count - 1];
    if (found > *best) *best = found;
    return status;
}

/* ---- Multiply-adds: the amount is in rounds of every chain ---- */

static const clattn_arg *fma_arguments(clattn_arg args[4], const clattn_tensor *y, int64_t rounds) {
    args[0] = (clattn_arg){ .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = y->buffer, .offset = y->offset } } };
    args[1] = (clattn_arg){ .kind = CLATTN_ARG_I32, .as = { .i32 = (int32_t)rounds } };
    args[2] = (clattn_arg){ .kind = CLATTN_ARG_F32, .as = { .f32 = 0.5f } };
    args[3] = (clattn_arg){ .kind = CLATTN_ARG_F32, .as = { .f32 = 1 } };
    return args;
}

static size_t fma_groups(const clattn_context *context) {
    return (context->info.compute_units ? context->info.compute_units : 1) * (size_t)16;
}

static size_t fma_items(const clattn_context *context) {
    return fma_groups(context) * 256;
}

static clattn_status run_fma_groups(clattn_context *context, const char *kernel, const clattn_tensor *tensors, int64_t rounds, const char *options) {
    clattn_arg args[4];
    return clattn_launch(context, &(clattn_launch_info){ .source = "peak", .kernel = kernel, .options = options, .dimensions = 1, .global = { fma_groups(context) }, .local = { 1 }, .args = fma_arguments(args, &tensors[0], rounds), .arg_count = 4 });
}

static clattn_status run_fma_single(clattn_context *context, const clattn_tensor *tensors, int64_t rounds, const char *options) {
    return run_fma_groups(context, "fma_single", tensors, rounds, options);
}

static clattn_status run_fma_fed(clattn_context *context, const clattn_tensor *tensors, int64_t rounds, const char *options) {
    return run_fma_groups(context, "fma_fed", tensors, rounds, options);
}

static clattn_status run_fma_items(clattn_context *context, const clattn_tensor *tensors, int64_t rounds, const char *options) {
    clattn_arg args[4];
    return clattn_launch(context, &(clattn_launch_info){ .source = "peak", .kernel = "fma_items", .options = options, .dimensions = 1, .global = { fma_items(context) }, .args = fma_arguments(args, &tensors[0], rounds), .arg_count = 4 });
}

static clattn_status measure_fma(clattn_context *context, const clattn_tensor *tensors, double *flops) {
    const measurement wide = { run_fma_single, "-DCHAINS=24", 64, 1 << 24, LONG_ENOUGH, false }, narrow = { run_fma_single, "-DCHAINS=6", 64, 1 << 24, LONG_ENOUGH, false }, items = { run_fma_items, "", 64, 1 << 24, LONG_ENOUGH, false };
    double rounds_wide = 0, rounds_narrow = 0, rounds_items = 0;
    const bool cpu = context->info.kind == CLATTN_DEVICE_CPU;
    clattn_status status = cpu ? measure(context, &wide, tensors, &rounds_wide) : measure(context, &items, tensors, &rounds_items);
    if (cpu && !status) status = measure(context, &narrow, tensors, &rounds_narrow);
    const double per_group = 2 * 16 * (double)fma_groups(context), all[] = { rounds_wide * 24 * per_group, rounds_narrow * 6 * per_group, rounds_items * 2 * 16 * (double)fma_items(context) };
    for (int i = 0; i < 3; i++)
        if (all[i] > *flops) *flops = all[i];
    return status;
}

/* What a tile of sums in registers does whose factors are read from the level-1 cache: as typical, since it is what the products of an operation
 * can hope for beside the other work on the machine. A round is 128 vectors of columns by 6 rows (STEPS * VECTORS and ROWS of peak.cl). */
static clattn_status measure_fed(clattn_context *context, const clattn_tensor *tensors, double *flops) {
    const bool few = clattn_few_registers(&context->info);
    const measurement tile = { run_fma_fed, few ? "-DROWS=6 -DVECTORS=1" : "-DROWS=6 -DVECTORS=4", 4, 1 << 24, LONG_ENOUGH, true };
    double rounds = 0;
    if (context->info.kind != CLATTN_DEVICE_CPU) return CLATTN_OK;
    const clattn_status status = measure(context, &tile, tensors, &rounds);
    *flops = 2 * 16 * rounds * 128 * 6 * (double)fma_groups(context);
    return status;
}

/* ---- Copies: the amount is in bytes of one side ---- */

/* A kernel of the first tensor's `bytes` and the second: groups of one item, each with VECTORS float16, */
static clattn_status run_groups(clattn_context *context, const char *kernel, const clattn_tensor *tensors, int64_t bytes, const char *options) {
    const clattn_arg args[] = {
        { .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = tensors[0].buffer } } },
        { .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = tensors[1].buffer } } },
        { .kind = CLATTN_ARG_I32, .as = { .i32 = VECTORS } },
    };
    return clattn_launch(context, &(clattn_launch_info){ .source = "peak", .kernel = kernel, .options = options, .dimensions = 1, .global = { (size_t)bytes / (VECTORS * 64) }, .local = { 1 }, .args = args, .arg_count = 3 });
}

/* or `items` that take neighbouring float4. */
static clattn_status run_items(clattn_context *context, const char *kernel, const clattn_tensor *tensors, int64_t bytes, size_t items) {
    const clattn_arg args[] = {
        { .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = tensors[0].buffer } } },
        { .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = tensors[1].buffer } } },
        { .kind = CLATTN_ARG_I64, .as = { .i64 = { bytes / 16 } } },
    };
    return clattn_launch(context, &(clattn_launch_info){ .source = "peak", .kernel = kernel, .options = "", .dimensions = 1, .global = { items }, .args = args, .arg_count = 3 });
}

static clattn_status run_copy_single(clattn_context *context, const clattn_tensor *tensors, int64_t bytes, const char *options) {
    return run_groups(context, "copy_single", tensors, bytes, options);
}

static clattn_status run_copy_items(clattn_context *context, const clattn_tensor *tensors, int64_t bytes, const char *options) {
    (void)options;
    return run_items(context, "copy_items", tensors, bytes, (size_t)bytes / 16);
}

static clattn_status measure_copy(clattn_context *context, const clattn_tensor *tensors, double *bytes) {
    const int64_t size = tensors[0].shape[0] * 4, first = VECTORS * 64;
    const bool cpu = context->info.kind == CLATTN_DEVICE_CPU;
    const measurement plain = { cpu ? run_copy_single : run_copy_items, "", first, size, TOO_LONG, false }, streaming = { run_copy_single, "-DSTREAM", first, size, TOO_LONG, false };
    /* All of it unless that takes too long: less might stay in a cache. */
    double best = 0;
    clattn_status status = measure(context, &plain, tensors, &best);
    if (!status && cpu) status = measure(context, &streaming, tensors, &best);
    *bytes = 2 * best; /* read and written */
    return status;
}

/* ---- Reads: the amount is in bytes; tensors[1] gets a sum for each group ---- */

static clattn_status run_read_single(clattn_context *context, const clattn_tensor *tensors, int64_t bytes, const char *options) {
    return run_groups(context, "read_single", tensors, bytes, options);
}

static clattn_status run_read_items(clattn_context *context, const clattn_tensor *tensors, int64_t bytes, const char *options) {
    (void)options;
    return run_items(context, "read_items", tensors, bytes, fma_items(context));
}

static clattn_status measure_read(clattn_context *context, const clattn_tensor *tensors, double *bytes) {
    const int64_t size = tensors[0].shape[0] * 4, first = VECTORS * 64;
    const measurement all = { context->info.kind == CLATTN_DEVICE_CPU ? run_read_single : run_read_items, "", first, size, TOO_LONG, false };
    return measure(context, &all, tensors, bytes);
}

static clattn_status measure_all(clattn_context *context, clattn_peaks *peaks) {
    clattn_tensor tensors[2] = { { 0 }, { 0 } };
    size_t size = LARGEST_COPY;
    while (size > context->info.max_allocation / 2 || size > context->info.global_memory / 8) size /= 2;
    if (size < VECTORS * 64) size = VECTORS * 64;
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < 2 && !status; i++) {
        status = clattn_tensor_create(context, &tensors[i], CLATTN_F32, 1, (int64_t[]){ (int64_t)size / 4 }, NULL);
        if (!status) status = clattn_enqueue_fill(context, tensors[i].buffer, 0, size, 0); /* its pages exist from now on */
    }
    if (!status) status = measure_fma(context, tensors, &peaks->flops);
    if (!status) status = measure_fed(context, tensors, &peaks->fed_flops);
    if (!status) status = measure_copy(context, tensors, &peaks->copy_bytes);
    if (!status) status = measure_read(context, tensors, &peaks->read_bytes);
    for (int i = 0; i < 2; i++) clattn_tensor_free(&tensors[i]);
    clattn_buffers_trim(context);
    return status;
}

/* ---- The entry in the cache: four numbers as text ---- */

static char *entry_key(const clattn_context *context) {
    char units[48];
    snprintf(units, sizeof units, "compute units %u", (unsigned)context->info.compute_units);
    const clattn_source *source = clattn_sources;
    while (strcmp(source->name, "peak") != 0) source++;
    return clattn_cache_key(context, (const char *)source->text, source->size, "peaks", units);
}

static bool load(clattn_context *context, const char *key, clattn_peaks *peaks) {
    char text[128];
    size_t size = 0;
    unsigned char *data = clattn_cache_load(context, key, &size);
    const bool fits = data && size < sizeof text;
    if (fits) {
        memcpy(text, data, size);
        text[size] = '\0';
    }
    free(data);
    return fits && sscanf(text, "flops %lf fed %lf copy %lf read %lf", &peaks->flops, &peaks->fed_flops, &peaks->copy_bytes, &peaks->read_bytes) == 4 && peaks->flops > 0 && peaks->copy_bytes > 0 && peaks->read_bytes > 0;
}

static void store(clattn_context *context, const char *key, const clattn_peaks *peaks) {
    char text[128];
    const int size = snprintf(text, sizeof text, "flops %.6g fed %.6g copy %.6g read %.6g\n", peaks->flops, peaks->fed_flops, peaks->copy_bytes, peaks->read_bytes);
    if (size > 0 && (size_t)size < sizeof text) clattn_cache_store(context, key, (const unsigned char *)text, (size_t)size);
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static clattn_status measure_and_store(clattn_context *context, const char *key, clattn_peaks *peaks) {
    clattn_peaks found = { 0 };
    const clattn_status status = measure_all(context, &found);
    if (status) return status;
    const clattn_peaks best = { .flops = larger(found.flops, peaks->flops), .fed_flops = larger(found.fed_flops, peaks->fed_flops), .copy_bytes = larger(found.copy_bytes, peaks->copy_bytes), .read_bytes = larger(found.read_bytes, peaks->read_bytes) };
    *peaks = found;
    store(context, key, &best);
    clattn_log(context, CLATTN_LOG_INFO, "peaks measured: %.1f GFLOP/s, copy %.1f GB/s, read %.1f GB/s", 1e-9 * peaks->flops, 1e-9 * peaks->copy_bytes, 1e-9 * peaks->read_bytes);
    return CLATTN_OK;
}

clattn_status clattn_device_peaks(clattn_context *context, bool again, clattn_peaks *peaks) {
    if (!context || !context->opened || !peaks) return CLATTN_ERROR_ARGUMENT;
    *peaks = (clattn_peaks){ 0 };
    char *key = entry_key(context);
    if (!key) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "peaks: out of host memory");
    const bool known = load(context, key, peaks);
    if (!known) *peaks = (clattn_peaks){ 0 };
    const clattn_status status = known && !again ? CLATTN_OK : measure_and_store(context, key, peaks);
    free(key);
    return status;
}
