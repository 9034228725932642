/* A layer (OPENCL_LAYERS=this.so) that makes the device pose as a GPU: its kind, work-groups of 256, CLATTN_VENDOR_LOCAL
 * bytes of local memory (48 KiB, what NVIDIA allows), vendor and name CLATTN_VENDOR_NAME: the machine's own processor must not
 * tell through its name. clattn then chooses what it would on a GPU. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_layer.h>
#include <stdlib.h>
#include <string.h>

static cl_icd_dispatch dispatch;
static const cl_icd_dispatch *next;

static cl_int CL_API_CALL pose(cl_device_id device, cl_device_info name, size_t size, void *value, size_t *size_ret) {
    const cl_int error = next->clGetDeviceInfo(device, name, size, value, size_ret);
    const char *local = getenv("CLATTN_VENDOR_LOCAL");
    const char *vendor = getenv("CLATTN_VENDOR_NAME");
    if (error || !value) return error;
    if ((name == CL_DEVICE_VENDOR || name == CL_DEVICE_NAME) && vendor && strlen(vendor) < size) strcpy(value, vendor);
    if (name == CL_DEVICE_TYPE) *(cl_device_type *)value = CL_DEVICE_TYPE_GPU;
    if (name == CL_DEVICE_MAX_WORK_GROUP_SIZE) *(size_t *)value = 256;
    if (name == CL_DEVICE_LOCAL_MEM_SIZE) *(cl_ulong *)value = local ? strtoull(local, NULL, 10) : 48 * 1024;
    return CL_SUCCESS;
}

#define LAYER_EXPORT __attribute__((visibility("default")))

LAYER_EXPORT cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *size_ret) {
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    if (name != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
    if (value && size >= sizeof version) memcpy(value, &version, sizeof version);
    if (size_ret) *size_ret = sizeof version;
    return CL_SUCCESS;
}

LAYER_EXPORT cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target, cl_uint *entries_ret, const cl_icd_dispatch **result) {
    const size_t known = sizeof dispatch / sizeof(void *);
    next = target;
    memcpy(&dispatch, target, (entries < known ? entries : known) * sizeof(void *));
    dispatch.clGetDeviceInfo = pose;
    *entries_ret = (cl_uint)known;
    *result = &dispatch;
    return CL_SUCCESS;
}
