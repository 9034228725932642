/* Finding devices, describing them, and choosing one by a SPEC. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "system.h"

#define MAX_PLATFORMS 32
#define MAX_DEVICES 64

/* One snapshot of what the ICD loader shows. */
typedef struct device_table {
    cl_uint platforms;
    size_t count;
    cl_device_id ids[MAX_DEVICES];
    clattn_device_info infos[MAX_DEVICES];
} device_table;

static const char advice[] =
    "install an OpenCL driver: pocl-opencl-icd (any CPU), intel-opencl-icd (Intel GPUs), mesa-opencl-icd (AMD, with RUSTICL_ENABLE), or your GPU vendor's; "
    "then `clinfo -l` shows it. If OCL_ICD_VENDORS is set, check that it names an existing .icd file; PoCL shows no device when its cache directory (POCL_CACHE_DIR) is not writable";

/* Drivers refuse a buffer that is too short, so longer texts than clattn keeps are fetched whole and cut here. */
static void platform_text(cl_platform_id platform, cl_platform_info name, char *text, size_t size) {
    size_t length = 0;
    text[0] = '\0';
    if (clGetPlatformInfo(platform, name, 0, NULL, &length) != CL_SUCCESS || length == 0) return;
    char *whole = calloc(1, length + 1);
    if (whole && clGetPlatformInfo(platform, name, length, whole, NULL) == CL_SUCCESS) snprintf(text, size, "%s", whole);
    free(whole);
}

/* New memory, or NULL. */
static char *device_text_whole(cl_device_id device, cl_device_info name) {
    size_t length = 0;
    if (clGetDeviceInfo(device, name, 0, NULL, &length) != CL_SUCCESS || length == 0) return NULL;
    char *whole = calloc(1, length + 1);
    if (whole && clGetDeviceInfo(device, name, length, whole, NULL) != CL_SUCCESS) whole[0] = '\0';
    return whole;
}

static void device_text(cl_device_id device, cl_device_info name, char *text, size_t size) {
    char *whole = device_text_whole(device, name);
    snprintf(text, size, "%s", whole ? whole : "");
    free(whole);
}

static uint64_t device_number(cl_device_id device, cl_device_info name, size_t size) {
    uint64_t value = 0;
    uint32_t small = 0;
    if (clGetDeviceInfo(device, name, size, size == 4 ? (void *)&small : (void *)&value, NULL) != CL_SUCCESS) return 0;
    return size == 4 ? small : value;
}

static bool has_extension(cl_device_id device, const char *extension) {
    char *text = device_text_whole(device, CL_DEVICE_EXTENSIONS);
    const bool found = text && strstr(text, extension);
    free(text);
    return found;
}

static clattn_device_kind kind_of(uint64_t type) {
    if (type & CL_DEVICE_TYPE_GPU) return CLATTN_DEVICE_GPU;
    if (type & CL_DEVICE_TYPE_CPU) return CLATTN_DEVICE_CPU;
    if (type & CL_DEVICE_TYPE_ACCELERATOR) return CLATTN_DEVICE_ACCELERATOR;
    return CLATTN_DEVICE_OTHER;
}

void clattn_device_describe(cl_device_id device, clattn_device_info *info) {
    cl_platform_id platform = NULL;
    device_text(device, CL_DEVICE_NAME, info->name, sizeof info->name);
    device_text(device, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    device_text(device, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    device_text(device, CL_DEVICE_VERSION, info->version, sizeof info->version);
    if (clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL) == CL_SUCCESS) {
        platform_text(platform, CL_PLATFORM_NAME, info->platform, sizeof info->platform);
        platform_text(platform, CL_PLATFORM_VERSION, info->platform_version, sizeof info->platform_version);
    }
    info->kind = kind_of(device_number(device, CL_DEVICE_TYPE, sizeof(cl_device_type)));
    info->compute_units = (uint32_t)device_number(device, CL_DEVICE_MAX_COMPUTE_UNITS, 4);
    info->global_memory = device_number(device, CL_DEVICE_GLOBAL_MEM_SIZE, 8);
    info->max_allocation = device_number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 8);
    info->local_memory = device_number(device, CL_DEVICE_LOCAL_MEM_SIZE, 8);
    info->cache = device_number(device, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, 8);
    info->max_work_group = (size_t)device_number(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
    info->vector_width = (uint32_t)device_number(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, 4);
    info->fp16 = has_extension(device, "cl_khr_fp16");
    info->subgroups = has_extension(device, "cl_khr_subgroups") || has_extension(device, "cl_intel_subgroups");
    info->available = device_number(device, CL_DEVICE_AVAILABLE, 4) && device_number(device, CL_DEVICE_COMPILER_AVAILABLE, 4);
}

bool clattn_few_registers(const clattn_device_info *info) {
    return info->kind == CLATTN_DEVICE_CPU && info->vector_width < 16;
}

static void table_add_platform(device_table *table, cl_platform_id platform, int platform_index) {
    cl_device_id ids[MAX_DEVICES];
    cl_uint count = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &count) != CL_SUCCESS) return;
    for (cl_uint i = 0; i < count && table->count < MAX_DEVICES; i++) {
        clattn_device_info *info = &table->infos[table->count];
        *info = (clattn_device_info){ .platform_index = platform_index, .device_index = (int)i };
        clattn_device_describe(ids[i], info);
        table->ids[table->count++] = ids[i];
    }
}

/* Leaves a message and returns a status when there is nothing to choose from. */
static clattn_status table_fill_alone(device_table *table, char *message, size_t size) {
    cl_platform_id platforms[MAX_PLATFORMS];
    table->platforms = 0;
    table->count = 0;
    const cl_int error = clGetPlatformIDs(MAX_PLATFORMS, platforms, &table->platforms);
    if (error != CL_SUCCESS || table->platforms == 0) {
        snprintf(message, size, "no OpenCL platform found (clGetPlatformIDs returned %d): %s", error, advice);
        return CLATTN_ERROR_NO_DEVICE;
    }
    if (table->platforms > MAX_PLATFORMS) table->platforms = MAX_PLATFORMS;
    for (cl_uint i = 0; i < table->platforms; i++) table_add_platform(table, platforms[i], (int)i);
    if (table->count) return CLATTN_OK;
    char name[160];
    platform_text(platforms[0], CL_PLATFORM_NAME, name, sizeof name);
    snprintf(message, size, "%u OpenCL platform(s) found (the first is \"%s\"), but none has a device: %s", table->platforms, name, advice);
    return CLATTN_ERROR_NO_DEVICE;
}

/* One thread at a time: while another one makes PoCL find its devices, PoCL 3.1 says that there are none. */
static clattn_status table_fill(device_table *table, char *message, size_t size) {
    clattn_system_lock();
    const clattn_status status = table_fill_alone(table, message, size);
    clattn_system_unlock();
    return status;
}

clattn_status clattn_device_list(clattn_device_info *devices, size_t capacity, size_t *count, char *message, size_t message_size) {
    device_table table;
    if (message && message_size) message[0] = '\0';
    if (!count || (!devices && capacity)) return CLATTN_ERROR_ARGUMENT;
    *count = 0;
    const clattn_status status = table_fill(&table, message, message_size);
    if (status) return status;
    for (size_t i = 0; i < table.count && i < capacity; i++) devices[i] = table.infos[i];
    *count = table.count;
    return CLATTN_OK;
}

/* GPU before accelerator before CPU before the rest. */
static int kind_rank(clattn_device_kind kind) {
    return kind == CLATTN_DEVICE_GPU ? 3 : kind == CLATTN_DEVICE_ACCELERATOR ? 2 : kind == CLATTN_DEVICE_CPU ? 1 : 0;
}

static bool better(const clattn_device_info *a, const clattn_device_info *b) {
    if (kind_rank(a->kind) != kind_rank(b->kind)) return kind_rank(a->kind) > kind_rank(b->kind);
    return a->compute_units > b->compute_units;
}

static bool contains(const char *text, const char *part) {
    const size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
        if (i == length) return true;
    }
    return false;
}

static bool same_word(const char *text, const char *word) {
    return strlen(text) == strlen(word) && contains(text, word);
}

/* "PLATFORM:DEVICE"; numbers too large for an index match nothing. */
static bool parse_indices(const char *spec, long *platform, long *device) {
    char *colon, *end;
    if (!isdigit((unsigned char)*spec)) return false;
    *platform = strtol(spec, &colon, 10);
    if (*colon != ':' || !isdigit((unsigned char)colon[1])) return false;
    *device = strtol(colon + 1, &end, 10);
    return *end == '\0';
}

static bool matches(const clattn_device_info *info, const char *spec) {
    long platform, device;
    if (parse_indices(spec, &platform, &device)) return info->platform_index == platform && info->device_index == device;
    if (same_word(spec, "gpu")) return info->kind == CLATTN_DEVICE_GPU;
    if (same_word(spec, "cpu")) return info->kind == CLATTN_DEVICE_CPU;
    if (same_word(spec, "accelerator")) return info->kind == CLATTN_DEVICE_ACCELERATOR;
    return contains(info->name, spec) || contains(info->platform, spec);
}

static clattn_status fail_no_match(clattn_context *context, const device_table *table, const char *spec, const char *origin) {
    char list[1200] = "";
    size_t used = 0;
    for (size_t i = 0; i < table->count && used + 1 < sizeof list; i++) {
        const clattn_device_info *info = &table->infos[i];
        const int length = snprintf(list + used, sizeof list - used, "%s%d:%d %s%s", i ? ", " : "", info->platform_index, info->device_index, info->name, info->available ? "" : " (no compiler or not available)");
        used += length > 0 ? (size_t)length : 0;
    }
    if (!spec) return clattn_fail(context, CLATTN_ERROR_NO_DEVICE, "no device can be used; there is: %s", list);
    return clattn_fail(context, CLATTN_ERROR_NO_DEVICE, "no usable device matches \"%s\" (from %s); there is: %s", spec, origin, list);
}

clattn_status clattn_device_choose(clattn_context *context, const char *spec, cl_device_id *device) {
    device_table table;
    const clattn_status status = table_fill(&table, context->message, sizeof context->message);
    if (status) return status;
    const char *origin = "the caller";
    if (!spec || !*spec) {
        spec = clattn_system_environment("CLATTN_DEVICE");
        origin = "CLATTN_DEVICE";
    }
    size_t best = table.count;
    for (size_t i = 0; i < table.count; i++) {
        if (!table.infos[i].available || (spec && !matches(&table.infos[i], spec))) continue;
        if (best == table.count || better(&table.infos[i], &table.infos[best])) best = i;
    }
    if (best == table.count) return fail_no_match(context, &table, spec, origin);
    context->info = table.infos[best];
    *device = table.ids[best];
    if (spec)
        clattn_log(context, CLATTN_LOG_INFO, "device %d:%d %s: the best match for \"%s\" (from %s)", context->info.platform_index, context->info.device_index, context->info.name, spec, origin);
    else
        clattn_log(context, CLATTN_LOG_INFO, "device %d:%d %s: the best of %zu (GPUs first, then accelerators, then CPUs; most compute units)", context->info.platform_index, context->info.device_index, context->info.name, table.count);
    return CLATTN_OK;
}
