/* Reads PNG and JPEG files as grey pictures. */
#ifndef CLATTN_CLI_IMAGE_H
#define CLATTN_CLI_IMAGE_H

#include <stddef.h>

/* A larger picture is refused, so that a header of a few bytes cannot claim all of the memory. */
#define IMAGE_MAX_SIDE 65535
#define IMAGE_MAX_PIXELS (64L * 1024 * 1024)

struct image {
    int width, height; /* as seen: the orientation that a camera stored is applied */
    float *grey;       /* [height, width] luma (0.299 R + 0.587 G + 0.114 B), 0 black to 1 white */
};

/* Reads any PNG or JPEG, recognised by its content. What is transparent lies over white. The file is read
 * once from front to back, so a pipe serves too. Returns 0, and image_free() frees the pixels; or non-zero
 * with `image` empty and `message` naming the file and the cause: also for a file that is cut short. */
int image_read(struct image *image, const char *path, char *message, size_t message_size);

/* Frees the pixels and empties the struct; an empty one is fine. */
void image_free(struct image *image);

#endif
