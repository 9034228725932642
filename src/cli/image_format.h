/* What image.c shares with the decoder of each format; nobody else includes this. */
#ifndef CLATTN_CLI_IMAGE_FORMAT_H
#define CLATTN_CLI_IMAGE_FORMAT_H

#include <stdio.h>

#include "image.h"

enum { IMAGE_CAUSE_SIZE = 256 };

/* A decoder reads `file` from its first byte. It returns 0, or non-zero with the cause (without the file's
 * name) in `cause`; image.c frees what `image` then holds. */
int image_read_png(struct image *image, FILE *file, char cause[IMAGE_CAUSE_SIZE]);
int image_read_jpeg(struct image *image, FILE *file, char cause[IMAGE_CAUSE_SIZE]);

/* Checks the size against the limits and allocates the pixels, not yet set. */
int image_allocate(struct image *image, unsigned long width, unsigned long height, char cause[IMAGE_CAUSE_SIZE]);

static inline float image_luma(float red, float green, float blue)
{
    return 0.299f * red + 0.587f * green + 0.114f * blue;
}

#endif
