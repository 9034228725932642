#include "digit.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "ink.h"

/* Where the ink's box goes: pixel x of the picture lies at left + (x - box left) * scale in the 28 x 28. */
struct placement {
    double scale, left, top;
};

/* The centre of the ink's mass in the picture's coordinates, in which pixel 0 reaches from 0 to 1. */
static void centre_of_mass(const struct ink *ink, double *x_centre, double *y_centre)
{
    double mass = 0.0, x_sum = 0.0, y_sum = 0.0;
    for (int y = ink->top; y < ink->bottom; y++)
        for (int x = ink->left; x < ink->right; x++) {
            const double value = (double)ink_at(ink, x, y);
            mass += value;
            x_sum += value * ((double)x + 0.5);
            y_sum += value * ((double)y + 0.5);
        }
    *x_centre = x_sum / mass;
    *y_centre = y_sum / mass;
}

/* MNIST moves by whole pixels, the centre to within half a pixel of the middle of pixel 14; the small allowance
 * keeps a centre that already lies there from rounding over. The box must stay inside. */
static double whole_offset(double centre_in_box, double size)
{
    const double offset = ceil(DIGIT_SIDE / 2 - centre_in_box - 1e-4);
    return fmax(0.0, fmin(offset, floor(DIGIT_SIDE - size + 1e-9)));
}

static struct placement place(const struct ink *ink)
{
    const double width = ink->right - ink->left, height = ink->bottom - ink->top;
    double x_centre = 0.0, y_centre = 0.0;
    struct placement placement = { .scale = DIGIT_BOX / fmax(width, height) };
    centre_of_mass(ink, &x_centre, &y_centre);
    placement.left = whole_offset((x_centre - ink->left) * placement.scale, width * placement.scale);
    placement.top = whole_offset((y_centre - ink->top) * placement.scale, height * placement.scale);
    return placement;
}

static bool fits(const struct ink *ink)
{
    const int width = ink->right - ink->left, height = ink->bottom - ink->top;
    const int longer = width > height ? width : height;
    double x = 0.0, y = 0.0;
    if (longer < DIGIT_BOX - 2 || longer > DIGIT_BOX + 1)
        return false;
    centre_of_mass(ink, &x, &y);
    return fabs(x - 0.5 - DIGIT_SIDE / 2) <= 1.0 && fabs(y - 0.5 - DIGIT_SIDE / 2) <= 1.0;
}

/* The same ink with the box around every trace of it, as MNIST drew it: around its specks too. */
static struct ink with_specks(const struct ink *ink)
{
    struct ink all = *ink;
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++)
            if (ink_at(ink, x, y) > 0.0f)
                ink_widen_box(&all, x, y);
    return all;
}

/* Scaling by a twentieth would only blur: a picture of 28 x 28 whose ink nearly fills the box and is already
 * centred is MNIST's and stays. */
static bool has_the_form(const struct ink *ink)
{
    if (ink->picture->width != DIGIT_SIDE || ink->picture->height != DIGIT_SIDE)
        return false;
    const struct ink all = with_specks(ink);
    return fits(ink) || fits(&all);
}

/* Ink inside the box only: dust around the digit is not part of it. */
static double boxed_ink(const struct ink *ink, int x, int y)
{
    const bool inside = x >= ink->left && x < ink->right && y >= ink->top && y < ink->bottom;
    return inside ? (double)ink_at(ink, x, y) : 0.0;
}

/* The length of [from, to) that lies in pixel `at`. */
static double overlap(double from, double to, int at)
{
    return fmax(0.0, fmin(to, at + 1.0) - fmax(from, (double)at));
}

/* The mean of the ink over a square of the picture, partly covered pixels counting in part. */
static float mean_over(const struct ink *ink, double left, double top, double side)
{
    const int first_x = (int)fmax(floor(left), ink->left), last_x = (int)fmin(ceil(left + side), ink->right);
    const int first_y = (int)fmax(floor(top), ink->top), last_y = (int)fmin(ceil(top + side), ink->bottom);
    double sum = 0.0;
    for (int y = first_y; y < last_y; y++)
        for (int x = first_x; x < last_x; x++)
            sum += boxed_ink(ink, x, y) * overlap(left, left + side, x) * overlap(top, top + side, y);
    return (float)(sum / (side * side));
}

/* The ink between the middles of four pixels. */
static float bilinear_at(const struct ink *ink, double x, double y)
{
    const double column = floor(x - 0.5), row = floor(y - 0.5);
    const double right = x - 0.5 - column, lower = y - 0.5 - row;
    const int left_x = (int)column, top_y = (int)row;
    const double above = boxed_ink(ink, left_x, top_y) * (1.0 - right) + boxed_ink(ink, left_x + 1, top_y) * right;
    const double below =
        boxed_ink(ink, left_x, top_y + 1) * (1.0 - right) + boxed_ink(ink, left_x + 1, top_y + 1) * right;
    return (float)(above * (1.0 - lower) + below * lower);
}

static void scale_ink(const struct ink *ink, const struct digit_frame *frame, float pixels[DIGIT_PIXELS])
{
    const double step = frame->side / DIGIT_SIDE;
    for (int row = 0; row < DIGIT_SIDE; row++)
        for (int column = 0; column < DIGIT_SIDE; column++) {
            const double x = frame->left + column * step, y = frame->top + row * step;
            pixels[row * DIGIT_SIDE + column] =
                step >= 1.0 ? mean_over(ink, x, y, step) : bilinear_at(ink, x + 0.5 * step, y + 0.5 * step);
        }
}

static int descending(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a < b) - (a > b);
}

/* A line thinner than a pixel of the 28 x 28 comes out grey, where a pen in MNIST is white: the upper tenth of
 * the ink is brought to full. */
static void brighten(float pixels[DIGIT_PIXELS])
{
    float sorted[DIGIT_PIXELS];
    int inked = 0;
    for (int i = 0; i < DIGIT_PIXELS; i++)
        if (pixels[i] > 0.0f)
            sorted[inked++] = pixels[i];
    qsort(sorted, (size_t)inked, sizeof *sorted, descending);
    const float full = inked ? sorted[inked / 10] : 1.0f;
    if (full > 0.0f && full < 0.95f)
        for (int i = 0; i < DIGIT_PIXELS; i++)
            pixels[i] = fminf(pixels[i] / full, 1.0f);
}

static void copy_ink(const struct ink *ink, float pixels[DIGIT_PIXELS])
{
    for (int y = 0; y < DIGIT_SIDE; y++)
        for (int x = 0; x < DIGIT_SIDE; x++)
            pixels[y * DIGIT_SIDE + x] = ink_at(ink, x, y);
}

int digit_prepare(const struct image *picture, float pixels[DIGIT_PIXELS], struct digit_frame *frame, char *message,
                  size_t message_size)
{
    struct ink ink;
    struct digit_frame covered = { 0.0, 0.0, DIGIT_SIDE };
    if (ink_find(&ink, picture)) {
        snprintf(message, message_size, "no digit stands out from the background");
        return -1;
    }
    if (has_the_form(&ink)) {
        copy_ink(&ink, pixels);
    } else {
        const struct placement placement = place(&ink);
        covered.side = DIGIT_SIDE / placement.scale;
        covered.left = ink.left - placement.left / placement.scale;
        covered.top = ink.top - placement.top / placement.scale;
        scale_ink(&ink, &covered, pixels);
        brighten(pixels);
    }
    if (frame)
        *frame = covered;
    return 0;
}
