/* Known hazards around the drivers: how they are found, and what they need from the environment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examine.h"
#include "system.h"

/* Bytes: a few hundred of PoCL's kernels. */
#define LEAST_ROOM ((uint64_t)64 << 20)
#define VENDORS "/etc/OpenCL/vendors"

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* ---- The .icd files ---- */

/* An .icd file holds the name of a library; only a path can be looked up here. */
static void examine_icd(const examination *e, const char *path) {
    char name[1024] = "";
    size_t size = 0;
    unsigned char *data = clattn_system_read_file(path, sizeof name - 1, &size);
    if (!data) {
        clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-files", "reinstall the driver's package, or remove the file", "%s cannot be read", path);
        return;
    }
    memcpy(name, data, size);
    free(data);
    name[strcspn(name, "\r\n")] = '\0';
    if (!*name) clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-files", "reinstall the driver's package, or remove the file", "%s names no library", path);
    else if (*name == '/' && !clattn_system_exists(name)) clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-files", "reinstall the driver's package, or remove the file", "%s names the library %s, which does not exist", path, name);
}

static size_t examine_icd_directory(const examination *e, const char *directory) {
    clattn_system_file *files;
    size_t count, found = 0;
    char path[4200];
    if (clattn_system_list(directory, &files, &count)) return 0;
    for (size_t i = 0; i < count; i++) {
        if (!ends_with(files[i].name, ".icd")) continue;
        snprintf(path, sizeof path, "%s/%s", directory, files[i].name);
        examine_icd(e, path);
        found++;
    }
    clattn_system_free_files(files, count);
    return found;
}

static void examine_vendors(const examination *e) {
    const char *value = clattn_system_environment("OCL_ICD_VENDORS");
    char path[4200];
    if (!value) {
        examine_icd_directory(e, VENDORS);
        return;
    }
    snprintf(path, sizeof path, "%s%s", strchr(value, '/') ? "" : VENDORS "/", value);
    if (clattn_system_is_directory(path)) {
        if (!examine_icd_directory(e, path)) clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-vendors", "unset OCL_ICD_VENDORS, or name a directory with .icd files", "OCL_ICD_VENDORS=%s holds no .icd file that can be read, so that no driver is found", value);
    } else if (ends_with(path, ".icd")) {
        if (clattn_system_exists(path)) examine_icd(e, path);
        else clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-vendors", "unset OCL_ICD_VENDORS, or name an existing .icd file", "OCL_ICD_VENDORS=%s: %s does not exist, so that no driver is found", value, path);
    } else if (strchr(value, '/') && !clattn_system_exists(path)) {
        clattn_examine_tell(e, CLATTN_FINDING_WARNING, "icd-vendors", "unset OCL_ICD_VENDORS, or name an existing directory, .icd file or library", "OCL_ICD_VENDORS=%s does not exist, so that no driver is found", value);
    }
    if (clattn_system_environment("OCL_ICD_FILENAMES")) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "icd-vendors", "some loaders read the one, some the other: set one of them", "both OCL_ICD_VENDORS and OCL_ICD_FILENAMES are set");
}

/* ---- Platforms without devices ---- */

static void examine_platform(const examination *e, cl_platform_id platform) {
    char name[256] = "";
    cl_uint count = 0;
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) == CL_SUCCESS && count) return;
    const char *advice = strstr(name, "rusticl") ? "set RUSTICL_ENABLE to the drivers it may use, as in RUSTICL_ENABLE=radeonsi,iris"
        : strstr(name, "Portable Computing Language") ? "PoCL shows no device when its cache directory cannot be written: set POCL_CACHE_DIR to one that can"
        : "nothing if the hardware is not there; else see the driver's documentation";
    clattn_examine_tell(e, CLATTN_FINDING_NOTE, "empty-platform", advice, "the platform \"%s\" has no devices", name);
}

static void examine_platforms(const examination *e) {
    cl_platform_id platforms[32];
    cl_uint count = 0;
    if (clGetPlatformIDs(32, platforms, &count) != CL_SUCCESS) return; /* clattn_device_list says so */
    for (cl_uint i = 0; i < count && i < 32; i++) examine_platform(e, platforms[i]);
}

/* ---- Variables ---- */

static void examine_pocl(const examination *e) {
    char path[4200];
    const char *cache = clattn_system_environment("POCL_CACHE_DIR"), *home = clattn_system_environment("HOME"), *xdg = clattn_system_environment("XDG_CACHE_HOME");
    if (!clattn_system_environment("POCL_AFFINITY"))
        clattn_examine_tell(e, CLATTN_FINDING_NOTE, "pocl-affinity", "set POCL_AFFINITY=1 before the first OpenCL call, as the tool does", "POCL_AFFINITY is not set: PoCL's threads may share a core, which can halve the speed");
    if (cache) snprintf(path, sizeof path, "%s", cache);
    else snprintf(path, sizeof path, "%s%s", xdg ? xdg : home ? home : "/tmp", xdg || !home ? "/pocl" : "/.cache/pocl");
    uint64_t room = 0;
    if (clattn_system_room(path, &room) && room < LEAST_ROOM)
        clattn_examine_tell(e, CLATTN_FINDING_WARNING, "full-disk", "free some space, or set POCL_CACHE_DIR to a directory on another disk", "%llu MiB are left where PoCL keeps its kernels (%s): on a full disk PoCL ends the process without a message", (unsigned long long)(room >> 20), path);
    if (!clattn_system_can_make(path)) clattn_examine_tell(e, CLATTN_FINDING_WARNING, "pocl-cache", "set POCL_CACHE_DIR to a directory that can be written", "PoCL's cache directory %s cannot be written: PoCL then shows no device", path);
}

void clattn_examine_environment(const examination *e) {
    const char *layers = clattn_system_environment("OPENCL_LAYERS");
    examine_vendors(e);
    examine_pocl(e);
    if (layers) clattn_examine_tell(e, CLATTN_FINDING_NOTE, "layers", "unset OPENCL_LAYERS unless it is meant", "OPENCL_LAYERS=%s stands between clattn and the drivers", layers);
    examine_platforms(e);
}
