/* Makes of any picture of one digit what MNIST would have made of it: bright ink on black, the ink's box fitted
 * into 20 x 20, centred by mass in 28 x 28. */
#ifndef CLATTN_CLI_DIGIT_H
#define CLATTN_CLI_DIGIT_H

#include <stddef.h>

#include "image.h"

enum { DIGIT_SIDE = 28, DIGIT_BOX = 20, DIGIT_PIXELS = DIGIT_SIDE * DIGIT_SIDE };

/* The square of the original picture, in its pixels, that the 28 x 28 covers. It may reach beyond the picture. */
struct digit_frame {
    double left, top, side;
};

/* The background is the median of the picture's border, the ink whatever differs from it, dark or bright. A picture
 * that already has MNIST's form comes out as it is, each value exactly. `frame` may be NULL.
 * pixels: [28, 28], 0 background to 1 ink.
 * Returns 0, or non-zero with the cause in `message` where there is no ink: a blank picture, or one of noise. */
int digit_prepare(const struct image *picture, float pixels[DIGIT_PIXELS], struct digit_frame *frame, char *message,
                  size_t message_size);

#endif
