/* Known hazards of OpenCL drivers on one device, found by small kernels. What each stands for is in the text it gives. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examine.h"
#include "system.h"

void clattn_examine_tell(const examination *e, clattn_finding_level level, const char *name, const char *advice, const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    e->finding(e->user, &(clattn_finding){ .level = level, .name = name, .text = text, .advice = advice });
}

/* ---- Running ---- */

static clattn_arg memory_arg(const clattn_tensor *tensor) {
    return (clattn_arg){ .kind = CLATTN_ARG_BUFFER, .as = { .memory = { .buffer = tensor->buffer, .offset = tensor->offset } } };
}

static clattn_arg int_arg(int32_t value) {
    return (clattn_arg){ .kind = CLATTN_ARG_I32, .as = { .i32 = value } };
}

static clattn_arg local_arg(size_t bytes) {
    return (clattn_arg){ .kind = CLATTN_ARG_LOCAL, .as = { .local_bytes = bytes } };
}

static clattn_status launch(clattn_context *context, const char *kernel, size_t global, size_t local, const clattn_arg *args, size_t count) {
    return clattn_launch(context, &(clattn_launch_info){ .source = "doctor", .kernel = kernel, .dimensions = 1, .global = { global }, .local = { local }, .args = args, .arg_count = count });
}

/* ---- Loops that end early (rusticl on llvmpipe: after 65,535 steps, and it reports success) ---- */

enum { STEPS = 200000, LOOPERS = 4 };

static uint32_t drawn(uint32_t state, int steps) {
    for (int i = 0; i < steps; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
    }
    return state;
}

static clattn_status examine_loops(const examination *e) {
    clattn_context *context = e->context;
    clattn_tensor y;
    int32_t found[2 * LOOPERS] = { 0 };
    clattn_status status = clattn_tensor_create(context, &y, CLATTN_I32, 1, (int64_t[]){ 2 * LOOPERS }, found);
    if (status) return status;
    const clattn_arg args[] = { memory_arg(&y), int_arg(STEPS), { .kind = CLATTN_ARG_I64, .as = { .i64 = { LOOPERS } } } };
    status = launch(context, "long_loop", LOOPERS, 0, args, 3);
    if (!status) status = clattn_tensor_read(context, &y, found);
    clattn_tensor_free(&y);
    for (int i = 0; i < LOOPERS && !status; i++) {
        if (found[2 * i + 1] == STEPS && (uint32_t)found[2 * i] == drawn((uint32_t)i + 1, STEPS)) continue;
        clattn_examine_tell(e, CLATTN_FINDING_FAILURE, "long-loops", "rows longer than 65,535 elements give wrong results without an error (known of rusticl on llvmpipe); take another device for them",
            "a loop of %d steps ended after %d, and the driver reported success", STEPS, found[2 * i + 1]);
        break;
    }
    return status;
}

/* ---- Local memory that the next kernel can read (CVE-2023-4969) ---- */

enum { LISTENERS = 16, WORDS = 1024, PATTERN = 0x5ca1ab1e };

static clattn_status run_pair(clattn_context *context, const clattn_tensor *y, int words) {
    const clattn_arg args[] = { memory_arg(y), local_arg((size_t)words * 4), int_arg(words), int_arg(PATTERN) };
    clattn_status status = launch(context, "leave", LISTENERS, 1, args, 4);
    if (!status) status = launch(context, "listen", LISTENERS, 1, args, 4);
    return status;
}

static clattn_status examine_local_memory(const examination *e) {
    clattn_tensor y;
    int32_t found[LISTENERS] = { 0 };
    int most = 0;
    const int words = e->context->info.local_memory / 4 < WORDS ? (int)(e->context->info.local_memory / 4) : WORDS;
    if (words == 0 || strstr(e->context->info.platform, "Oclgrind")) return CLATTN_OK; /* it reports the listening itself */
    clattn_status status = clattn_tensor_create(e->context, &y, CLATTN_I32, 1, (int64_t[]){ LISTENERS }, found);
    if (status) return status;
    status = run_pair(e->context, &y, words);
    if (!status) status = clattn_tensor_read(e->context, &y, found);
    clattn_tensor_free(&y);
    for (int i = 0; i < LISTENERS; i++)
        if (found[i] > most) most = found[i];
    if (!status && most > words / 8)
        clattn_examine_tell(e, CLATTN_FINDING_NOTE, "leftover-local-memory", "programs that share this device may read what kernels left in local memory (CVE-2023-4969): keep secrets and strangers on different devices",
            "a kernel found %d of %d words that the one before had left in local memory", most, words);
    return status;
}

/* ---- Arithmetic that masks and softmax stand on ---- */

enum { SPECIALS = 8 };

static clattn_status examine_arithmetic(const examination *e) {
    static const char *const names[SPECIALS] = { "isnan(NaN)", "NaN != NaN", "isinf(infinity)", "exp(-infinity)", "comparisons with infinities", "select past a NaN", "fma without rounding in between", "infinity - infinity" };
    const float a = 1.0f + 0x1p-12f, x[] = { NAN, INFINITY, -INFINITY, 0, a, a, -1 }, expected[SPECIALS] = { 1, 1, 1, 0, 1, 0, 0x1p-11f + 0x1p-24f, 1 };
    float found[SPECIALS] = { 0 };
    clattn_tensor in = { 0 }, y = { 0 };
    clattn_status status = clattn_tensor_create(e->context, &in, CLATTN_F32, 1, (int64_t[]){ 7 }, x);
    if (!status) status = clattn_tensor_create(e->context, &y, CLATTN_F32, 1, (int64_t[]){ SPECIALS }, found);
    const clattn_arg args[] = { memory_arg(&in), memory_arg(&y) };
    if (!status) status = launch(e->context, "special", 1, 0, args, 2);
    if (!status) status = clattn_tensor_read(e->context, &y, found);
    clattn_tensor_free(&in);
    clattn_tensor_free(&y);
    for (int i = 0; i < SPECIALS && !status; i++)
        if (!(found[i] == expected[i])) clattn_examine_tell(e, CLATTN_FINDING_FAILURE, "arithmetic", "masked rows and infinities give wrong results; update the driver, and look for options that relax its arithmetic", "%s gave %g instead of %g", names[i], (double)found[i], (double)expected[i]);
    return status;
}

/* ---- Barriers ---- */

static clattn_status examine_barriers(const examination *e) {
    clattn_context *context = e->context;
    const size_t size = context->info.max_work_group < 64 ? 1 : 64;
    int32_t found[128] = { 0 };
    clattn_tensor y;
    clattn_status status = clattn_tensor_create(context, &y, CLATTN_I32, 1, (int64_t[]){ 128 }, found);
    if (status) return status;
    const clattn_arg args[] = { memory_arg(&y), local_arg(size * 4) };
    status = launch(context, "meet", 2 * size, size, args, 2);
    if (status == CLATTN_ERROR_DRIVER) {
        clattn_examine_tell(e, CLATTN_FINDING_NOTE, "work-groups", "variants that share local memory are not used here", "a work-group of %zu with barriers was refused: %s", size, context->message);
        status = CLATTN_OK;
    } else if (!status && !(status = clattn_tensor_read(context, &y, found))) {
        for (size_t i = 0; i < 2 * size; i++) {
            const int n = (int)(i % size) + 1;
            if (found[i] == n * (n + 1) / 2) continue;
            clattn_examine_tell(e, CLATTN_FINDING_FAILURE, "barriers", "kernels that share local memory give wrong results; update the driver", "work-item %zu of %zu saw %d instead of %d behind a barrier", i % size, size, (int)found[i], n * (n + 1) / 2);
            break;
        }
    }
    clattn_tensor_free(&y);
    return status;
}

/* ---- What the device lacks ---- */

static void examine_limits(const examination *e) {
    const clattn_device_info *info = &e->context->info;
    if (!info->fp16) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "no-fp16", "arithmetic is in f32; half-precision storage does not need it", "the device does not compute in half precision (cl_khr_fp16)");
    if (info->local_memory < 16384) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "small-local-memory", "tiled variants are replaced by simpler, slower ones", "%llu bytes of local memory; most variants want 16384", (unsigned long long)info->local_memory);
    if (info->max_work_group < 64) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "small-work-groups", "variants with larger work-groups are replaced by simpler, slower ones", "work-groups of %zu items at most", info->max_work_group);
    if (info->max_allocation < info->global_memory / 8) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "small-allocations", "large tensors are refused though memory is free; split the batch", "one buffer holds %llu of %llu bytes", (unsigned long long)info->max_allocation, (unsigned long long)info->global_memory);
}

/* ---- What is known of a driver and cannot be tried without harm ---- */

static void examine_driver(const examination *e) {
    static const struct {
        const char *platform, *text, *advice;
    } known[] = {
        { "Portable Computing Language", "PoCL ends the process when a program binary is damaged, those of its own cache included (SIGBUS)",
          "clattn verifies its own cache; when programs end with SIGBUS, remove PoCL's (POCL_CACHE_DIR, else ~/.cache/pocl)" },
        { "rusticl", "rusticl takes a damaged program binary for a whole one", "clattn verifies its own cache; an application that keeps binaries itself must do the same" },
        { "Oclgrind", "Oclgrind writes program binaries past the size that it announces", "clattn keeps no kernels of this device; an application that asks for binaries needs larger buffers" },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(e->context->info.platform, known[i].platform)) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "program-binaries", known[i].advice, "%s", known[i].text);
}

static void examine_cache(const examination *e) {
    const char *directory = e->context->cache_directory;
    char path[4200];
    if (!directory) {
        clattn_examine_tell(e, CLATTN_FINDING_WARNING, "no-cache", "set CLATTN_CACHE_DIR, or HOME", "kernels are built anew in each process: there is no cache directory");
        return;
    }
    snprintf(path, sizeof path, "%s/doctor", directory);
    const bool writable = clattn_system_make_directories(directory) && clattn_system_write_file(path, (const void *[]){ "doctor" }, (size_t[]){ 6 }, 1);
    if (writable) clattn_system_remove(path);
    else clattn_examine_tell(e, CLATTN_FINDING_WARNING, "unwritable-cache", "make it writable, or set CLATTN_CACHE_DIR to a directory that is", "kernels are built anew in each process: %s cannot be written", directory);
}

clattn_status clattn_examine(clattn_context *context, clattn_finding_fn finding, void *user) {
    const examination e = { .context = context, .finding = finding, .user = user };
    static clattn_status (*const kernels[])(const examination *) = { examine_loops, examine_arithmetic, examine_barriers, examine_local_memory };
    if (!finding || (context && !context->opened)) return CLATTN_ERROR_ARGUMENT;
    if (!context) return clattn_examine_environment(&e), CLATTN_OK;
    examine_limits(&e);
    examine_driver(&e);
    examine_cache(&e);
    clattn_status status = CLATTN_OK;
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels && !status; i++) status = kernels[i](&e);
    return status;
}
