/* A page to draw on, as large as what is drawn on it turns out to be, and what all our pictures share. */
#ifndef CLATTN_CLI_CANVAS_H
#define CLATTN_CLI_CANVAS_H

#include <cairo.h>
#include <stddef.h>

/* Draw on `cr` at any coordinates, in pixels. cairo keeps errors in it, so that only canvas_save() need look. */
struct canvas {
    cairo_surface_t *record;
    cairo_t *cr;
};

struct colour {
    double red, green, blue;
};

enum canvas_align { CANVAS_LEFT, CANVAS_CENTRE, CANVAS_RIGHT };

void canvas_open(struct canvas *canvas);

/* Writes all that was drawn, with a margin around it, as draw.h promises; closes the canvas in every case. */
int canvas_save(struct canvas *canvas, const char *path, char *message, size_t message_size);

void canvas_colour(cairo_t *cr, struct colour colour);

/* Text at a size in pixels; its middle line lies at y. */
void canvas_text(cairo_t *cr, const char *text, double size, enum canvas_align align, double x, double y);

double canvas_text_width(cairo_t *cr, const char *text, double size);

/* A title in lines no wider than `width` (a single word may be), centred, the last one ending above y. */
void canvas_title(cairo_t *cr, const char *title, double x, double y, double width);

/* White over blue to nearly black: strong values are dark, and labels and grid stay readable. */
struct colour colour_ink(double value);

/* Dark violet over green to yellow (viridis): even steps look even, also without colour vision. */
struct colour colour_glow(double value);

/* Where a colour bar stands, and the values at its bottom and its top. */
struct colour_bar {
    double x, y, width, height, lowest, highest;
};

/* The colours of a map with ticks and numbers to their right. */
void canvas_colour_bar(cairo_t *cr, struct colour (*map)(double), const struct colour_bar *bar);

/* 0 to 1; what is not a number is 0. */
double canvas_unit(float value);

#endif
