#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image_format.h"

int image_allocate(struct image *image, unsigned long width, unsigned long height, char cause[IMAGE_CAUSE_SIZE])
{
    if (width == 0 || height == 0 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
        width * height > (unsigned long)IMAGE_MAX_PIXELS) {
        snprintf(cause, IMAGE_CAUSE_SIZE,
                 "a picture of %lu x %lu is outside the limits (sides 1 to %d, at most %ld pixels)", width, height,
                 IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
        return -1;
    }
    image->grey = malloc(width * height * sizeof *image->grey);
    if (!image->grey) {
        snprintf(cause, IMAGE_CAUSE_SIZE, "no memory for a picture of %lu x %lu", width, height);
        return -1;
    }
    image->width = (int)width;
    image->height = (int)height;
    return 0;
}

/* One byte decides, because one is all that a pipe lets us put back; the decoder checks the rest of the
 * signature. */
static int read_by_content(struct image *image, FILE *file, char cause[IMAGE_CAUSE_SIZE])
{
    int first = getc(file);
    if (first == EOF) {
        snprintf(cause, IMAGE_CAUSE_SIZE, "%s", ferror(file) ? strerror(errno) : "the file is empty");
        return -1;
    }
    ungetc(first, file);
    switch (first) {
    case 0x89: return image_read_png(image, file, cause);
    case 0xff: return image_read_jpeg(image, file, cause);
    default: snprintf(cause, IMAGE_CAUSE_SIZE, "neither a PNG nor a JPEG"); return -1;
    }
}

int image_read(struct image *image, const char *path, char *message, size_t message_size)
{
    char cause[IMAGE_CAUSE_SIZE] = "";
    *image = (struct image){ 0 };
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(message, message_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    int failed = read_by_content(image, file, cause);
    fclose(file);
    if (failed) {
        snprintf(message, message_size, "%s: %s", path, cause);
        image_free(image);
    }
    return failed;
}

void image_free(struct image *image)
{
    free(image->grey);
    *image = (struct image){ 0 };
}
