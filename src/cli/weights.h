/* Where the shipped weights are. */
#ifndef CLATTN_CLI_WEIGHTS_H
#define CLATTN_CLI_WEIGHTS_H

#include <stddef.h>

/* Puts the path of models/NAME into `path`: in the directory that the environment's CLATTN_MODELS names, else in the source
 * tree that the tool was built from, else where `meson install` puts it. */
void cli_weights_path(const char *name, char *path, size_t size);

#endif
