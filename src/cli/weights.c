#include "weights.h"

#include <stdio.h>
#include <stdlib.h>

static int exists(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

void cli_weights_path(const char *name, char *path, size_t size) {
    const char *directory = getenv("CLATTN_MODELS");
    if (directory && *directory) {
        snprintf(path, size, "%s/%s", directory, name);
        return;
    }
    snprintf(path, size, "%s/%s", CLI_SOURCE_MODELS, name);
    if (!exists(path)) snprintf(path, size, "%s/%s", CLI_INSTALLED_MODELS, name);
}
