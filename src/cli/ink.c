#include "ink.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Grey levels from files are k/255 or k/65535; with this many steps their quantiles are exact. */
enum { LEVELS = 65535 };
/* The grid on which ink is joined into pieces. Small pictures have a pixel per cell. */
enum { GRID = 256 };

#define LEAST_CONTRAST 0.04f /* what differs less is a stain or compression, not ink */
#define NOISE_SIGMAS 3.0f
#define SIGMA_OF_MAD 1.4826f /* for normal noise */
#define FULL_INK_QUANTILE 0.97
#define NEARLY_FULL 0.9f     /* MNIST's own peaks vary this much */
#define FAINTEST 0.1f          /* fainter ink, as compression leaves around a stroke, does not widen the box */
#define SPECK 0.05           /* a piece of less than this part of the largest one is dust */
#define MOST_UNEVEN 0.3f     /* a larger step from side to side is ink that touches one side, not light */

struct histogram {
    size_t *count; /* [LEVELS + 1] */
    size_t total;
};

static void histogram_add(struct histogram *histogram, float value)
{
    const float clamped = fminf(fmaxf(value, 0.0f), 1.0f);
    histogram->count[lrintf(clamped * LEVELS)]++;
    histogram->total++;
}

static void histogram_clear(struct histogram *histogram)
{
    for (int i = 0; i <= LEVELS; i++)
        histogram->count[i] = 0;
    histogram->total = 0;
}

static float histogram_quantile(const struct histogram *histogram, double quantile)
{
    const double rank = quantile * (double)histogram->total;
    double seen = 0.0;
    for (int i = 0; i <= LEVELS; i++) {
        seen += (double)histogram->count[i];
        if (seen > rank)
            return (float)i / LEVELS;
    }
    return 1.0f;
}

/* A rectangle of pixels, right and bottom exclusive. */
struct part {
    int left, top, right, bottom;
};

enum { SIDES = 4 };

/* The border as four strips, top, bottom, left and right, a little thicker in large pictures. */
static struct part border_side(const struct image *picture, int side)
{
    const int width = picture->width, height = picture->height;
    const int smaller = width < height ? width : height;
    const int thick = 1 + smaller / 100;
    switch (side) {
    case 0: return (struct part){ 0, 0, width, thick };
    case 1: return (struct part){ 0, height - thick, width, height };
    case 2: return (struct part){ 0, 0, thick, height };
    default: return (struct part){ width - thick, 0, width, height };
    }
}

static float grey_at(const struct image *picture, int x, int y)
{
    return picture->grey[(size_t)y * (size_t)picture->width + (size_t)x];
}

static float background_at(const struct ink *ink, int x, int y)
{
    return ink->background + ink->slope_x * ((float)x - 0.5f * (float)(ink->picture->width - 1)) +
           ink->slope_y * ((float)y - 0.5f * (float)(ink->picture->height - 1));
}

static float difference_at(const struct ink *ink, int x, int y)
{
    return ink->sign * (grey_at(ink->picture, x, y) - background_at(ink, x, y));
}

static float median_of_side(const struct image *picture, int side, struct histogram *histogram)
{
    const struct part part = border_side(picture, side);
    histogram_clear(histogram);
    for (int y = part.top; y < part.bottom; y++)
        for (int x = part.left; x < part.right; x++)
            histogram_add(histogram, grey_at(picture, x, y));
    return histogram_quantile(histogram, 0.5);
}

/* The median over the border of its grey (about == NULL), or of how far it is from the background. */
static float median_of_border(const struct image *picture, const struct ink *about, struct histogram *histogram)
{
    histogram_clear(histogram);
    for (int side = 0; side < SIDES; side++) {
        const struct part part = border_side(picture, side);
        for (int y = part.top; y < part.bottom; y++)
            for (int x = part.left; x < part.right; x++)
                histogram_add(histogram, about ? fabsf(difference_at(about, x, y)) : grey_at(picture, x, y));
    }
    return histogram_quantile(histogram, 0.5);
}

/* Light falls unevenly on a photographed sheet: opposite sides of the border tell its slope. */
static void find_background(struct ink *ink, struct histogram *histogram)
{
    const struct image *picture = ink->picture;
    float sides[SIDES];
    for (int side = 0; side < SIDES; side++)
        sides[side] = median_of_side(picture, side, histogram);
    ink->background = median_of_border(picture, NULL, histogram);
    const float step_y = sides[1] - sides[0], step_x = sides[3] - sides[2];
    if (picture->width > 1 && fabsf(step_x) <= MOST_UNEVEN)
        ink->slope_x = step_x / (float)(picture->width - 1);
    if (picture->height > 1 && fabsf(step_y) <= MOST_UNEVEN)
        ink->slope_y = step_y / (float)(picture->height - 1);
}

/* Ink is the side of the background on which the strong differences lie. */
static void find_polarity(struct ink *ink)
{
    double bright = 0.0, dark = 0.0;
    ink->sign = 1.0f;
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++) {
            const double difference = (double)difference_at(ink, x, y);
            *(difference > 0.0 ? &bright : &dark) += difference * difference;
        }
    ink->sign = bright >= dark ? 1.0f : -1.0f;
}

static float largest_difference(const struct ink *ink)
{
    float largest = 0.0f;
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++)
            largest = fmaxf(largest, difference_at(ink, x, y));
    return largest;
}

/* Full ink is what most of the strong pixels reach, so that one bright speck does not dim the digit. */
static int find_levels(struct ink *ink, struct histogram *histogram)
{
    const float largest = largest_difference(ink);
    ink->low = NOISE_SIGMAS * SIGMA_OF_MAD * median_of_border(ink->picture, ink, histogram);
    if (largest < LEAST_CONTRAST || largest < 2.0f * ink->low)
        return -1;
    histogram_clear(histogram);
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++)
            if (difference_at(ink, x, y) >= 0.5f * largest)
                histogram_add(histogram, difference_at(ink, x, y));
    ink->high = histogram_quantile(histogram, FULL_INK_QUANTILE);
    if (ink->low == 0.0f && ink->high >= NEARLY_FULL)
        ink->high = 1.0f;
    return 0;
}

float ink_at(const struct ink *ink, int x, int y)
{
    const float value = (difference_at(ink, x, y) - ink->low) / (ink->high - ink->low);
    return fminf(fmaxf(value, 0.0f), 1.0f);
}

struct grid {
    int columns, rows, cell; /* cell: pixels along a side */
    float *mass;             /* [rows, columns] the ink in each cell */
    int *piece;              /* [rows, columns] 0 no ink or not yet seen, else the number of its piece */
    int *stack;              /* [rows * columns] cells still to visit */
    double *weight;          /* [rows * columns + 1] the ink of each piece */
    int pieces;
};

static void grid_free(struct grid *grid)
{
    free(grid->mass);
    free(grid->piece);
    free(grid->stack);
    free(grid->weight);
}

static int grid_open(struct grid *grid, const struct image *picture)
{
    const int longer = picture->width > picture->height ? picture->width : picture->height;
    const int cell = (longer + GRID - 1) / GRID;
    *grid = (struct grid){ .cell = cell,
                           .columns = (picture->width + cell - 1) / cell,
                           .rows = (picture->height + cell - 1) / cell };
    const size_t cells = (size_t)grid->columns * (size_t)grid->rows;
    grid->mass = calloc(cells, sizeof *grid->mass);
    grid->piece = calloc(cells, sizeof *grid->piece);
    grid->stack = calloc(cells, sizeof *grid->stack);
    grid->weight = calloc(cells + 1, sizeof *grid->weight);
    return grid->mass && grid->piece && grid->stack && grid->weight ? 0 : -1;
}

static void grid_fill(struct grid *grid, const struct ink *ink)
{
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++) {
            const float value = ink_at(ink, x, y);
            if (value > FAINTEST)
                grid->mass[y / grid->cell * grid->columns + x / grid->cell] += value;
        }
}

/* Gives the cell to the newest piece and has its neighbours visited later. */
static int grid_take(struct grid *grid, int at, int waiting)
{
    if (grid->mass[at] <= 0.0f || grid->piece[at] != 0)
        return waiting;
    grid->piece[at] = grid->pieces;
    grid->weight[grid->pieces] += (double)grid->mass[at];
    grid->stack[waiting] = at;
    return waiting + 1;
}

static void grid_flood(struct grid *grid, int start)
{
    int waiting = grid_take(grid, start, 0);
    while (waiting > 0) {
        const int at = grid->stack[--waiting], column = at % grid->columns, row = at / grid->columns;
        for (int y = row - 1; y <= row + 1; y++)
            for (int x = column - 1; x <= column + 1; x++)
                if (x >= 0 && y >= 0 && x < grid->columns && y < grid->rows)
                    waiting = grid_take(grid, y * grid->columns + x, waiting);
    }
}

/* Joins cells that touch into pieces and returns the weight below which a piece is dust. */
static double grid_join(struct grid *grid)
{
    double largest = 0.0;
    for (int at = 0; at < grid->columns * grid->rows; at++) {
        if (grid->mass[at] <= 0.0f || grid->piece[at] != 0)
            continue;
        grid->pieces++;
        grid_flood(grid, at);
        largest = fmax(largest, grid->weight[grid->pieces]);
    }
    return SPECK * largest;
}

static bool in_kept_piece(const struct grid *grid, int x, int y, double dust)
{
    const int piece = grid->piece[y / grid->cell * grid->columns + x / grid->cell];
    return piece != 0 && grid->weight[piece] >= dust;
}

void ink_widen_box(struct ink *ink, int x, int y)
{
    ink->left = x < ink->left ? x : ink->left;
    ink->top = y < ink->top ? y : ink->top;
    ink->right = x >= ink->right ? x + 1 : ink->right;
    ink->bottom = y >= ink->bottom ? y + 1 : ink->bottom;
}

static void fit_box(struct ink *ink, const struct grid *grid, double dust)
{
    ink->left = ink->picture->width;
    ink->top = ink->picture->height;
    for (int y = 0; y < ink->picture->height; y++)
        for (int x = 0; x < ink->picture->width; x++)
            if (in_kept_piece(grid, x, y, dust) && ink_at(ink, x, y) > FAINTEST)
                ink_widen_box(ink, x, y);
}

static int find_box(struct ink *ink)
{
    struct grid grid;
    int failed = grid_open(&grid, ink->picture);
    if (!failed) {
        grid_fill(&grid, ink);
        fit_box(ink, &grid, grid_join(&grid));
        failed = ink->right > ink->left && ink->bottom > ink->top ? 0 : -1;
    }
    grid_free(&grid);
    return failed;
}

int ink_find(struct ink *ink, const struct image *picture)
{
    struct histogram histogram = { .count = calloc(LEVELS + 1, sizeof *histogram.count) };
    *ink = (struct ink){ .picture = picture, .sign = 1.0f };
    if (!histogram.count)
        return -1;
    find_background(ink, &histogram);
    find_polarity(ink);
    const int failed = find_levels(ink, &histogram);
    free(histogram.count);
    return failed ? failed : find_box(ink);
}
