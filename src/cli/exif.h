/* The orientation that cameras store in Exif: a phone saves the sensor's rows and says how to turn them. */
#ifndef CLATTN_CLI_EXIF_H
#define CLATTN_CLI_EXIF_H

#include <stddef.h>

/* The orientation, 1 to 8, in the content of one JPEG APP1 marker; 0 where it has none. */
int exif_orientation(const unsigned char *bytes, size_t size);

/* Whether the orientation exchanges width and height. */
int exif_swaps_sides(int orientation);

/* The index, in the upright picture of width x height, of the stored pixel in column x of row y. */
size_t exif_place(int orientation, int x, int y, int width, int height);

#endif
