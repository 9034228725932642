/* Small runs of what is more than one operation, for the tests in which something fails midway. */
#ifndef CLATTN_TESTS_RUNS_H
#define CLATTN_TESTS_RUNS_H

#include <clattn/clattn.h>
#include <clattn/model.h>

/* Three steps of decoding with a cache that grows on the way. Right results are CLATTN_OK; the context has the message. */
clattn_status run_decoding(clattn_context *context);

/* Two words through a network, "rnnsearch" or "luong", with the weights at `path`. */
clattn_status run_translation(clattn_context *context, const char *network, const char *path, char *message, size_t size);

/* The path of a file of models/; the environment's CLATTN_TEST_DATA tells where the tree is. */
void model_path(const char *file, char *path, size_t size);

#endif
