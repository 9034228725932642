/* Traces of launches, the size of the cache, the search for hazards. */
#define _XOPEN_SOURCE 700
#include <clattn/opencl.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

TestSuite(diagnosis, .fini = remove_scratch_directory);

static clattn_context *open_with(clattn_open_params params) {
    clattn_context *context;
    cr_assert_eq(clattn_open(&context, &params), CLATTN_OK, "%s", clattn_message(context));
    return context;
}

static void run_case(clattn_context *context, const char *text) {
    clattn_case *made;
    cr_assert_eq(clattn_case_open(context, text, 1, 0, &made), CLATTN_OK, "%s", clattn_message(context));
    cr_expect_eq(clattn_case_check(made, NULL), CLATTN_OK, "%s", clattn_message(context));
    clattn_case_close(&made);
}

/* ---- Traces ---- */

typedef struct trace {
    int launches, timed;
    char source[64];
    size_t global, local;
    uint64_t memory, bytes;
} trace;

static void take_launch(void *user, const clattn_launch_record *record) {
    trace *t = user;
    t->launches++;
    t->timed += record->seconds >= 0;
    snprintf(t->source, sizeof t->source, "%s", record->source);
    t->global = record->global[0] * record->global[1] * record->global[2];
    t->local = record->local[0] * record->local[1] * record->local[2];
    t->memory = record->memory_used;
    t->bytes = record->bytes;
}

Test(diagnosis, traces_without_times) {
    clattn_context *context = open_with((clattn_open_params){ 0 });
    trace t = { 0 };
    run_case(context, "softmax x[3,7]");
    clattn_trace(context, take_launch, &t);
    run_case(context, "softmax x[3,7]");
    cr_expect_eq(t.launches, 1, "%d", t.launches);
    cr_expect_eq(t.timed, 0);
    cr_expect_str_eq(t.source, "softmax");
    cr_expect(t.local >= 1 && t.global >= t.local);
    cr_expect_geq(t.memory, 2 * 21 * sizeof(float));
    cr_expect(t.bytes >= 2 * 21 * sizeof(float) && t.bytes <= t.memory, "%llu of %llu", (unsigned long long)t.bytes, (unsigned long long)t.memory);
    clattn_trace(context, NULL, NULL);
    run_case(context, "softmax x[3,7]");
    cr_expect_eq(t.launches, 1);
    clattn_close(&context);
}

Test(diagnosis, traces_with_times) {
    clattn_context *context = open_with((clattn_open_params){ .profile = true });
    trace t = { 0 };
    clattn_trace(context, take_launch, &t);
    run_case(context, "attention query[1,2,5,16] key[1,2,7,16] value[1,2,7,16]");
    cr_expect_geq(t.launches, 1);
    cr_expect_eq(t.timed, t.launches);
    clattn_close(&context);
}

/* A borrowed out-of-order queue, whose commands are ordered by the events that also carry the times. */
Test(diagnosis, traces_on_a_borrowed_queue) {
    clattn_context *owner = open_with((clattn_open_params){ 0 });
    clattn_opencl_objects objects = clattn_opencl_get(owner);
    cl_int error;
    objects.queue = clCreateCommandQueue(objects.context, objects.device, CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &error);
    if (error) objects.queue = clCreateCommandQueue(objects.context, objects.device, CL_QUEUE_PROFILING_ENABLE, &error);
    cr_assert_eq(error, CL_SUCCESS);
    clattn_context *context = open_with((clattn_open_params){ .opencl = &objects });
    trace t = { 0 };
    clattn_trace(context, take_launch, &t);
    run_case(context, "cbam x[2,8,5,5] w1[2,8] w2[8,2] weight[1,2,7,7]");
    run_case(context, "softmax x[3,7]");
    cr_expect_geq(t.launches, 2);
    cr_expect_eq(t.timed, t.launches);
    clattn_close(&context);
    clReleaseCommandQueue(objects.queue);
    clattn_close(&owner);
}

Test(diagnosis, memory_in_use) {
    clattn_context *context = open_with((clattn_open_params){ 0 });
    uint64_t used = 1, idle = 1;
    clattn_tensor x;
    clattn_context_memory(context, &used, &idle);
    cr_expect_eq(used, 0);
    cr_expect_eq(idle, 0);
    cr_assert_eq(clattn_tensor_create(context, &x, CLATTN_F32, 1, (int64_t[]){ 1000 }, NULL), CLATTN_OK);
    clattn_context_memory(context, &used, NULL);
    cr_expect_geq(used, 4000);
    clattn_tensor_free(&x);
    clattn_context_memory(context, &used, &idle);
    cr_expect_eq(used, 0);
    cr_expect_geq(idle, 4000);
    clattn_context_memory(NULL, &used, &idle);
    clattn_trace(NULL, NULL, NULL);
    clattn_close(&context);
}

/* ---- The cache's size ---- */

typedef struct inventory {
    size_t count;
    uint64_t bytes;
    bool has_add;
} inventory;

static bool count_entry(void *user, const clattn_cache_entry *entry) {
    inventory *i = user;
    cr_expect_eq(entry->state, CLATTN_CACHE_VALID);
    i->count++;
    i->bytes += entry->size;
    i->has_add = i->has_add || strncmp(entry->kernel, "elementwise/", 12) == 0;
    return true;
}

static inventory look(void) {
    inventory i = { 0 };
    char message[512] = "";
    cr_expect_eq(clattn_cache_visit(in_scratch("cache"), count_entry, &i, message, sizeof message), CLATTN_OK, "%s", message);
    return i;
}

static void run_with_limit(uint64_t limit, const char *text) {
    clattn_context *context = open_with((clattn_open_params){ .cache_directory = in_scratch("cache"), .cache_limit = limit });
    run_case(context, text);
    clattn_close(&context);
}

Test(diagnosis, cache_keeps_its_limit) {
    cr_expect_eq(look().count, 0); /* no directory yet */
    run_with_limit(0, "softmax x[3,7]");
    const inventory softmax = look();
    cr_assert_geq(softmax.count, 1);
    run_with_limit(softmax.bytes + 1000, "add a[3,7] b[3,7]");
    const inventory both = look();
    cr_expect_leq(both.bytes, softmax.bytes + 1000, "the older entry goes");
    run_with_limit(1, "add a[3,7] b[3,7]"); /* nothing may stay, and everything works */
    run_with_limit(1, "softmax x[3,7]");
    cr_expect_eq(look().count, 0);
    run_with_limit(0, "softmax x[3,7]");
    size_t removed = 0;
    uint64_t bytes = 0;
    cr_expect_eq(clattn_cache_clear(in_scratch("cache"), UINT64_MAX, &removed, &bytes, NULL, 0), CLATTN_OK);
    cr_expect_eq(removed, 0);
    cr_expect_eq(clattn_cache_clear(in_scratch("cache"), 0, &removed, &bytes, NULL, 0), CLATTN_OK);
    cr_expect_geq(removed, 1);
    cr_expect_gt(bytes, 0);
    cr_expect_eq(look().count, 0);
}

/* ---- Hazards ---- */

typedef struct findings {
    int count, failures;
    char names[2048];
} findings;

static void take_finding(void *user, const clattn_finding *found) {
    findings *f = user;
    f->count++;
    f->failures += found->level == CLATTN_FINDING_FAILURE;
    cr_expect(*found->name && *found->text && found->advice);
    snprintf(f->names + strlen(f->names), sizeof f->names - strlen(f->names), "%s ", found->name);
}

static findings examine(clattn_context *context) {
    findings f = { 0 };
    cr_expect_eq(clattn_examine(context, take_finding, &f), CLATTN_OK);
    return f;
}

Test(diagnosis, finds_hazards_of_the_device) {
    clattn_context *context = open_with((clattn_open_params){ .cache_directory = "/proc/nowhere" });
    cr_expect(strstr(examine(context).names, "unwritable-cache"));
    clattn_close(&context);
    context = open_with((clattn_open_params){ .no_cache = true });
    const findings f = examine(context);
    cr_expect(strstr(f.names, "no-cache"));
    const char *platform = clattn_context_device(context)->platform;
    const bool named = strstr(platform, "Portable Computing Language") || strstr(platform, "rusticl") || strstr(platform, "Oclgrind");
    cr_expect_eq(named, strstr(f.names, "program-binaries") != NULL, "%s", f.names);
    cr_expect_eq(f.failures, 0, "%s", f.names);
    cr_expect_eq(clattn_examine(context, NULL, NULL), CLATTN_ERROR_ARGUMENT);
    clattn_close(&context);
}

Test(diagnosis, finds_hazards_of_the_environment) {
    unsetenv("POCL_AFFINITY");
    setenv("POCL_CACHE_DIR", "/etc/passwd/pocl", 1);
    setenv("OCL_ICD_VENDORS", "/nowhere/at/all", 1);
    const findings f = examine(NULL);
    cr_expect(strstr(f.names, "pocl-affinity"), "%s", f.names);
    cr_expect(strstr(f.names, "pocl-cache"), "%s", f.names);
    cr_expect(strstr(f.names, "icd-vendors"), "%s", f.names);
    cr_expect(strstr(f.names, "layers"), "%s", f.names);
}
