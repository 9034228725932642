#include <math.h>
#include <stdio.h>

#include "canvas.h"
#include "draw.h"

enum { BARS_HEIGHT = 260, BARS_WIDTH = 640, LEVEL_TICKS = 4, MOST_TICKS = 16 };

/* 1, 2 or 5 times a power of ten, so that at most MOST_TICKS numbers stand along the axis. */
static int tick_step(int count)
{
    static const int steps[] = { 1, 2, 5 };
    for (int power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (count / (steps[i] * power) <= MOST_TICKS)
                return steps[i] * power;
}

static void draw_levels(cairo_t *cr, double width)
{
    char number[16];
    for (int i = 0; i <= LEVEL_TICKS; i++) {
        const double y = BARS_HEIGHT * (1.0 - (double)i / LEVEL_TICKS);
        cairo_set_source_rgb(cr, 0.86, 0.86, 0.86);
        cairo_rectangle(cr, 0.0, floor(y), width, 1.0);
        cairo_fill(cr);
        cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
        snprintf(number, sizeof number, "%.2f", (double)i / LEVEL_TICKS);
        canvas_text(cr, number, 12.0, CANVAS_RIGHT, -8.0, y);
    }
}

static void draw_bars(cairo_t *cr, const float *gate, int count, double pitch)
{
    const double gap = pitch >= 6.0 ? floor(0.2 * pitch) : 1.0;
    for (int i = 0; i < count; i++) {
        const double height = BARS_HEIGHT * canvas_unit(gate[i]);
        cairo_set_source_rgb(cr, 0.13, 0.42, 0.68);
        cairo_rectangle(cr, i * pitch + floor(0.5 * gap), BARS_HEIGHT - height, pitch - gap, height);
        cairo_fill(cr);
    }
}

static void draw_channel_axis(cairo_t *cr, int count, double pitch)
{
    char number[16];
    const int step = tick_step(count);
    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    cairo_rectangle(cr, 0.0, BARS_HEIGHT, count * pitch, 1.0);
    cairo_fill(cr);
    for (int i = 0; i < count; i += step) {
        cairo_rectangle(cr, floor((i + 0.5) * pitch), BARS_HEIGHT, 1.0, 5.0);
        cairo_fill(cr);
        snprintf(number, sizeof number, "%d", i);
        canvas_text(cr, number, 12.0, CANVAS_CENTRE, (i + 0.5) * pitch, BARS_HEIGHT + 15.0);
    }
    canvas_text(cr, "channel", 13.0, CANVAS_CENTRE, 0.5 * count * pitch, BARS_HEIGHT + 36.0);
}

int draw_channel_gates(const char *path, const float *gate, int count, const char *title, char *message,
                       size_t message_size)
{
    const double pitch = fmax(4.0, floor((double)BARS_WIDTH / (count > 0 ? count : 1)));
    const double width = count * pitch;
    struct canvas canvas;
    canvas_open(&canvas);
    draw_levels(canvas.cr, width);
    draw_bars(canvas.cr, gate, count, pitch);
    draw_channel_axis(canvas.cr, count, pitch);
    cairo_translate(canvas.cr, -56.0, 0.5 * BARS_HEIGHT);
    cairo_rotate(canvas.cr, -0.5 * 3.14159265358979);
    canvas_text(canvas.cr, "gate", 13.0, CANVAS_CENTRE, 0.0, 0.0);
    cairo_identity_matrix(canvas.cr);
    canvas_title(canvas.cr, title, 0.5 * width, -14.0, fmax(width, 420.0));
    return canvas_save(&canvas, path, message, message_size);
}
