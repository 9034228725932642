#include <math.h>
#include <stdint.h>

#include "canvas.h"
#include "draw.h"

enum { PANEL = 336, PANEL_GAP = 20 };

#define GATE_SHARE 0.62 /* of the gate's colour over the picture's grey */
#define BEYOND 0.93     /* the grey around the picture */
#define SCALE_STEP 0.05 /* the colour scale begins and ends at a multiple of this */

/* The part of the picture that the panels show, in the picture's pixels, and panel pixels per picture pixel. */
struct view {
    double left, top, width, height, zoom;
};

struct overlay {
    const struct image *picture;
    struct digit_frame frame;
    double frame_height; /* frame.side is the width */
    const float *gate;   /* [rows, columns] */
    int rows, columns;
    double lowest, highest; /* the colour scale */
    struct view view;
};

/* The picture and the frame; of a picture far larger than the digit, only the frame. */
static struct view choose_view(const struct overlay *overlay)
{
    const struct digit_frame *frame = &overlay->frame;
    const double width = overlay->picture->width, height = overlay->picture->height;
    struct view view = { fmin(0.0, frame->left), fmin(0.0, frame->top), 0.0, 0.0, 1.0 };
    view.width = fmax(width, frame->left + frame->side) - view.left;
    view.height = fmax(height, frame->top + overlay->frame_height) - view.top;
    if (3.0 * fmax(frame->side, overlay->frame_height) < fmax(width, height))
        view = (struct view){ frame->left, frame->top, frame->side, overlay->frame_height, 1.0 };
    view.zoom = PANEL / fmax(view.width, view.height);
    return view;
}

/* Gates often differ by little: the scale spans what occurs, and its numbers say so. */
static void choose_scale(struct overlay *overlay)
{
    double least = 1.0, most = 0.0;
    for (int i = 0; i < overlay->rows * overlay->columns; i++) {
        least = fmin(least, canvas_unit(overlay->gate[i]));
        most = fmax(most, canvas_unit(overlay->gate[i]));
    }
    overlay->lowest = fmin(floor(least / SCALE_STEP), 1.0 / SCALE_STEP - 2.0) * SCALE_STEP;
    overlay->highest = fmax(ceil(most / SCALE_STEP) * SCALE_STEP, overlay->lowest + 2.0 * SCALE_STEP);
}

/* The mean of the picture's pixels that a panel pixel covers; a single one where the panel enlarges. */
static double grey_over(const struct image *picture, double x, double y, double side)
{
    const int left = (int)floor(x), top = (int)floor(y);
    const int right = side > 1.0 ? (int)floor(x + side) : left + 1;
    const int bottom = side > 1.0 ? (int)floor(y + side) : top + 1;
    double sum = 0.0;
    for (int row = top; row < bottom; row++)
        for (int column = left; column < right; column++)
            sum += column >= 0 && row >= 0 && column < picture->width && row < picture->height
                       ? (double)picture->grey[(size_t)row * (size_t)picture->width + (size_t)column]
                       : BEYOND;
    return sum / ((double)(right - left) * (bottom - top));
}

/* The gate at a place in the picture laid over its grey; grey alone outside the frame. */
static struct colour gated(const struct overlay *overlay, double x, double y, double grey)
{
    const double column = floor((x - overlay->frame.left) / overlay->frame.side * overlay->columns);
    const double row = floor((y - overlay->frame.top) / overlay->frame_height * overlay->rows);
    if (column < 0.0 || row < 0.0 || column >= overlay->columns || row >= overlay->rows)
        return (struct colour){ grey, grey, grey };
    const double gate = canvas_unit(overlay->gate[(int)row * overlay->columns + (int)column]);
    const struct colour glow = colour_glow((gate - overlay->lowest) / (overlay->highest - overlay->lowest));
    const double rest = (1.0 - GATE_SHARE) * grey;
    return (struct colour){ GATE_SHARE * glow.red + rest, GATE_SHARE * glow.green + rest,
                            GATE_SHARE * glow.blue + rest };
}

static uint32_t packed(struct colour colour)
{
    return (uint32_t)lrint(255.0 * colour.red) << 16 | (uint32_t)lrint(255.0 * colour.green) << 8 |
           (uint32_t)lrint(255.0 * colour.blue);
}

static void fill_row(const struct overlay *overlay, int with_gate, int row, int width, uint32_t *pixels)
{
    const struct view *view = &overlay->view;
    const double y = view->top + row / view->zoom, half = 0.5 / view->zoom;
    for (int column = 0; column < width; column++) {
        const double x = view->left + column / view->zoom;
        const double side = 1.0 / view->zoom;
        const double grey = side > 1.0 ? grey_over(overlay->picture, x, y, side)
                                       : grey_over(overlay->picture, x + half, y + half, side);
        pixels[column] =
            packed(with_gate ? gated(overlay, x + half, y + half, grey) : (struct colour){ grey, grey, grey });
    }
}

static void draw_panel(cairo_t *cr, const struct overlay *overlay, int with_gate, double left)
{
    const int width = (int)fmax(1.0, round(overlay->view.width * overlay->view.zoom));
    const int height = (int)fmax(1.0, round(overlay->view.height * overlay->view.zoom));
    cairo_surface_t *panel = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    unsigned char *bytes = cairo_image_surface_get_data(panel);
    for (int row = 0; bytes && row < height; row++, bytes += cairo_image_surface_get_stride(panel))
        fill_row(overlay, with_gate, row, width, (uint32_t *)(void *)bytes);
    cairo_surface_mark_dirty(panel);
    cairo_set_source_surface(cr, panel, left, 0.0);
    cairo_paint(cr);
    cairo_surface_destroy(panel);
    cairo_set_source_rgb(cr, 0.3, 0.3, 0.3);
    cairo_set_line_width(cr, 1.0);
    cairo_rectangle(cr, left - 0.5, -0.5, width + 1.0, height + 1.0);
    cairo_stroke(cr);
}

static int save_panels(const char *path, const struct overlay *overlay, const char *title, char *message,
                       size_t message_size)
{
    const double width = round(overlay->view.width * overlay->view.zoom);
    const double height = round(overlay->view.height * overlay->view.zoom);
    struct canvas canvas;
    canvas_open(&canvas);
    draw_panel(canvas.cr, overlay, 0, 0.0);
    draw_panel(canvas.cr, overlay, 1, width + PANEL_GAP);
    canvas_colour_bar(canvas.cr, colour_glow,
                      &(struct colour_bar){ 2.0 * width + 2.0 * PANEL_GAP, 0.0, 16.0, fmax(height, 110.0),
                                            overlay->lowest, overlay->highest });
    canvas_title(canvas.cr, title, width + 0.5 * PANEL_GAP, -12.0, fmax(2.0 * width, 420.0));
    return canvas_save(&canvas, path, message, message_size);
}

int draw_spatial_gate(const char *path, const struct image *picture, const struct digit_frame *frame, const float *gate,
                      int rows, int columns, const char *title, char *message, size_t message_size)
{
    struct overlay overlay = { .picture = picture, .gate = gate, .rows = rows, .columns = columns };
    overlay.frame = frame ? *frame : (struct digit_frame){ 0.0, 0.0, picture->width };
    overlay.frame_height = frame ? frame->side : picture->height;
    overlay.view = choose_view(&overlay);
    choose_scale(&overlay);
    return save_panels(path, &overlay, title, message, message_size);
}
