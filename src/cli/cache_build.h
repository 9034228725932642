/* `clattn cache build`: the kernels of operations, compiled by several processes at once. */
#ifndef CLATTN_CLI_CACHE_BUILD_H
#define CLATTN_CLI_CACHE_BUILD_H

#include "cli.h"

enum { CACHE_BUILD_MOST = 64 };

/* Builds the kernels of the operations named. `jobs` = 0: as many processes as suit the device. Returns the exit code. */
int cache_build(const cli_device_options *device, const char *const *names, size_t count, long jobs);

#endif
