/* Tells a picture's ink from its background and finds the box that holds the ink. */
#ifndef CLATTN_CLI_INK_H
#define CLATTN_CLI_INK_H

#include "image.h"

struct ink {
    const struct image *picture;
    float background, slope_x, slope_y; /* the background in the middle of the picture, and its change per pixel */
    float sign;                         /* +1 bright ink, -1 dark ink */
    float low, high;                    /* differences from the background that count as no ink and as full ink */
    int left, top, right, bottom;       /* the box, right and bottom exclusive */
};

/* Returns 0, or non-zero where nothing stands out from the background, or memory lacks. */
int ink_find(struct ink *ink, const struct image *picture);

/* The ink at a pixel, 0 to 1. */
float ink_at(const struct ink *ink, int x, int y);

/* Widens the box to take in a pixel. */
void ink_widen_box(struct ink *ink, int x, int y);

#endif
