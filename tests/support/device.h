/* The device under test: one context per Criterion test, on what CLATTN_DEVICE names or the best. No device is a failure. */
#ifndef CLATTN_TESTS_DEVICE_H
#define CLATTN_TESTS_DEVICE_H

#include <clattn/clattn.h>

/* Opens the context; fails the test when there is no device. */
clattn_context *test_open(void);

#endif
