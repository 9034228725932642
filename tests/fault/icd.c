/* An OpenCL driver with one platform and no devices, as Mesa's Clover is on a machine without a GPU. CLATTN_TEST_ICD_END=crash
 * or exit makes it one that ends the process when it is looked at. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_icd.h>
#include <CL/cl_ext.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const cl_icd_dispatch dispatch;
static struct _cl_platform_id {
    const cl_icd_dispatch *dispatch;
} platform = { &dispatch };

static cl_int CL_API_CALL platform_info(cl_platform_id id, cl_platform_info name, size_t size, void *value, size_t *size_ret) {
    const char *text = name == CL_PLATFORM_NAME ? "Platform without devices" : name == CL_PLATFORM_VERSION ? "OpenCL 1.2 none" : name == CL_PLATFORM_EXTENSIONS ? "cl_khr_icd" : name == CL_PLATFORM_ICD_SUFFIX_KHR ? "NONE" : "none";
    const size_t length = strlen(text) + 1;
    (void)id;
    if (value && size < length) return CL_INVALID_VALUE;
    if (value) memcpy(value, text, length);
    if (size_ret) *size_ret = length;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL device_ids(cl_platform_id id, cl_device_type type, cl_uint capacity, cl_device_id *devices, cl_uint *count) {
    (void)id, (void)type, (void)capacity, (void)devices;
    if (count) *count = 0;
    return CL_DEVICE_NOT_FOUND;
}

static const cl_icd_dispatch dispatch = { .clGetPlatformInfo = platform_info, .clGetDeviceIDs = device_ids };

__attribute__((visibility("default"))) cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint capacity, cl_platform_id *platforms, cl_uint *count) {
    const char *end = getenv("CLATTN_TEST_ICD_END");
    if (end && strcmp(end, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL); /* sanitizers make an exit of it */
        raise(SIGSEGV);
    }
    if (end && strcmp(end, "exit") == 0) exit(7);
    if (platforms && capacity) platforms[0] = &platform;
    if (count) *count = 1;
    return CL_SUCCESS;
}

__attribute__((visibility("default"))) void *CL_API_CALL clGetExtensionFunctionAddress(const char *name) {
    return strcmp(name, "clIcdGetPlatformIDsKHR") == 0 ? (void *)(size_t)clIcdGetPlatformIDsKHR : NULL;
}

__attribute__((visibility("default"))) cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id id, cl_platform_info name, size_t size, void *value, size_t *size_ret) {
    return platform_info(id, name, size, value, size_ret);
}
