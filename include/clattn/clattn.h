/* clattn/clattn.h - attention mechanisms on any OpenCL device. Includes everything but clattn/opencl.h. */
#ifndef CLATTN_CLATTN_H
#define CLATTN_CLATTN_H

#include <clattn/device.h>
#include <clattn/kv_cache.h>
#include <clattn/log.h>
#include <clattn/ops.h>
#include <clattn/registry.h>
#include <clattn/status.h>
#include <clattn/tensor.h>
#include <clattn/tuning.h>

#endif
