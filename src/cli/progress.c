#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <stdlib.h>
#include <unistd.h>

enum { WIDTH = 30, TEXT = 44 };

void progress_show(size_t done, size_t total, const char *what) {
    if (!isatty(STDERR_FILENO) || !total) return;
    char bar[WIDTH + 1];
    for (size_t i = 0; i < WIDTH; i++) bar[i] = i < done * WIDTH / total ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %zu/%zu %-*.*s", bar, done, total, TEXT, TEXT, what);
    fflush(stderr);
}

void progress_end(void) {
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

bool progress_colours(FILE *stream) {
    const char *refused = getenv("NO_COLOR");
    return isatty(fileno(stream)) && !(refused && *refused);
}
