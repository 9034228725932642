#define _POSIX_C_SOURCE 200809L

#include "canvas.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "utf8.h"

enum { MARGIN = 14, TITLE_SIZE = 16, LINE_HEIGHT = 22, BAR_STEPS = 128, BAR_TICKS = 4, TEMPORARIES = 100 };

void canvas_open(struct canvas *canvas)
{
    canvas->record = cairo_recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, NULL);
    canvas->cr = cairo_create(canvas->record);
    cairo_select_font_face(canvas->cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

void canvas_colour(cairo_t *cr, struct colour colour)
{
    cairo_set_source_rgb(cr, colour.red, colour.green, colour.blue);
}

double canvas_unit(float value)
{
    return value > 0.0f ? fmin((double)value, 1.0) : 0.0;
}

double canvas_text_width(cairo_t *cr, const char *text, double size)
{
    cairo_text_extents_t extents = { 0 };
    char *valid = utf8_valid_copy(text);
    cairo_set_font_size(cr, size);
    if (valid)
        cairo_text_extents(cr, valid, &extents);
    free(valid);
    return extents.x_advance;
}

void canvas_text(cairo_t *cr, const char *text, double size, enum canvas_align align, double x, double y)
{
    const double width = canvas_text_width(cr, text, size);
    char *valid = utf8_valid_copy(text);
    /* The middle of small letters with half their ascenders, which the eye takes for the middle of a line. */
    const double baseline = y + 0.36 * size;
    cairo_move_to(cr, align == CANVAS_LEFT ? x : align == CANVAS_RIGHT ? x - width : x - 0.5 * width, baseline);
    if (valid)
        cairo_show_text(cr, valid);
    free(valid);
}

/* The length of the longest beginning of `text` that ends at a word's end and fits; a word too long stays whole. */
static size_t fitting_length(cairo_t *cr, char *text, double width)
{
    size_t fitting = strcspn(text, " ");
    for (size_t end = fitting; text[end]; fitting = end) {
        end += strspn(text + end, " ");
        end += strcspn(text + end, " ");
        const char kept = text[end];
        text[end] = '\0';
        const bool fits = canvas_text_width(cr, text, TITLE_SIZE) <= width;
        text[end] = kept;
        if (!fits)
            break;
    }
    return fitting;
}

/* Draws the lines in `text` from y downwards, or only counts them. */
static int title_lines(cairo_t *cr, char *text, double x, double y, double width, bool draw)
{
    int lines = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " "), lines++) {
        const size_t length = fitting_length(cr, text, width);
        const char kept = text[length];
        text[length] = '\0';
        if (draw)
            canvas_text(cr, text, TITLE_SIZE, CANVAS_CENTRE, x, y + (lines + 0.5) * LINE_HEIGHT);
        text[length] = kept;
        text += length;
    }
    return lines;
}

void canvas_title(cairo_t *cr, const char *title, double x, double y, double width)
{
    char *text = title ? utf8_valid_copy(title) : NULL;
    if (!text)
        return;
    const int lines = title_lines(cr, text, x, 0.0, width, false);
    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    title_lines(cr, text, x, y - lines * LINE_HEIGHT, width, true);
    free(text);
}

static struct colour between(const struct colour *stops, int count, double value)
{
    const double place = fmin(fmax(value, 0.0), 1.0) * (count - 1);
    const int below = place >= count - 1 ? count - 2 : (int)place;
    const double part = place - below;
    const struct colour a = stops[below], b = stops[below + 1];
    return (struct colour){ a.red + part * (b.red - a.red), a.green + part * (b.green - a.green),
                            a.blue + part * (b.blue - a.blue) };
}

struct colour colour_ink(double value)
{
    static const struct colour stops[] = { { 1.00, 1.00, 1.00 }, { 0.87, 0.92, 0.97 }, { 0.74, 0.84, 0.93 },
                                           { 0.54, 0.74, 0.86 }, { 0.35, 0.63, 0.81 }, { 0.20, 0.50, 0.73 },
                                           { 0.09, 0.38, 0.65 }, { 0.03, 0.26, 0.50 }, { 0.02, 0.14, 0.32 } };
    return between(stops, sizeof stops / sizeof *stops, value);
}

struct colour colour_glow(double value)
{
    static const struct colour stops[] = { { 0.267, 0.005, 0.329 }, { 0.279, 0.175, 0.483 }, { 0.230, 0.322, 0.546 },
                                           { 0.173, 0.449, 0.558 }, { 0.128, 0.567, 0.551 }, { 0.158, 0.684, 0.502 },
                                           { 0.370, 0.789, 0.383 }, { 0.678, 0.864, 0.190 }, { 0.993, 0.906, 0.144 } };
    return between(stops, sizeof stops / sizeof *stops, value);
}

static void bar_ticks(cairo_t *cr, const struct colour_bar *bar)
{
    char number[16];
    for (int i = 0; i <= BAR_TICKS; i++) {
        const double part = (double)i / BAR_TICKS, y = bar->y + bar->height * (1.0 - part);
        snprintf(number, sizeof number, "%.3g", bar->lowest + part * (bar->highest - bar->lowest));
        cairo_rectangle(cr, bar->x + bar->width, floor(y) - (i == BAR_TICKS ? 0 : 1), 4.0, 1.0);
        cairo_fill(cr);
        canvas_text(cr, number, 11.0, CANVAS_LEFT, bar->x + bar->width + 7.0, y);
    }
}

void canvas_colour_bar(cairo_t *cr, struct colour (*map)(double), const struct colour_bar *bar)
{
    cairo_pattern_t *pattern = cairo_pattern_create_linear(0.0, bar->y + bar->height, 0.0, bar->y);
    for (int i = 0; i <= BAR_STEPS; i++) {
        const struct colour colour = map((double)i / BAR_STEPS);
        cairo_pattern_add_color_stop_rgb(pattern, (double)i / BAR_STEPS, colour.red, colour.green, colour.blue);
    }
    cairo_rectangle(cr, bar->x, bar->y, bar->width, bar->height);
    cairo_set_source(cr, pattern);
    cairo_fill(cr);
    cairo_pattern_destroy(pattern);
    cairo_set_source_rgb(cr, 0.3, 0.3, 0.3);
    cairo_set_line_width(cr, 1.0);
    cairo_rectangle(cr, bar->x + 0.5, bar->y + 0.5, bar->width - 1.0, bar->height - 1.0);
    cairo_stroke(cr);
    bar_ticks(cr, bar);
}

/* The recording on a white page with a margin. */
static cairo_surface_t *page_of(const struct canvas *canvas)
{
    double x = 0.0, y = 0.0, width = 0.0, height = 0.0;
    cairo_recording_surface_ink_extents(canvas->record, &x, &y, &width, &height);
    const double left = floor(x) - MARGIN, top = floor(y) - MARGIN;
    cairo_surface_t *page = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(x + width + MARGIN - left),
                                                       (int)ceil(y + height + MARGIN - top));
    cairo_t *cr = cairo_create(page);
    cairo_set_source_rgb(cr, 1.0, 1.0, 1.0);
    cairo_paint(cr);
    cairo_set_source_surface(cr, canvas->record, -left, -top);
    cairo_paint(cr);
    if (cairo_status(cr) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(page);
        page = NULL;
    }
    cairo_destroy(cr);
    return page;
}

static cairo_status_t write_bytes(void *file, const unsigned char *bytes, unsigned int size)
{
    return fwrite(bytes, 1, size, file) == size ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* Writes and closes the file; returns NULL or the cause of a failure. */
static const char *write_page(cairo_surface_t *page, FILE *file)
{
    const cairo_status_t status = cairo_surface_write_to_png_stream(page, write_bytes, file);
    int error = status == CAIRO_STATUS_WRITE_ERROR ? errno : 0;
    if (fclose(file) != 0 && error == 0)
        error = errno; /* a full disk may show only now */
    if (error != 0)
        return strerror(error);
    return status == CAIRO_STATUS_SUCCESS ? NULL : cairo_status_to_string(status);
}

/* Creates a file beside `path` that nobody else has; its name is in `name`. */
static FILE *open_temporary(const char *path, char *name, size_t size)
{
    for (int i = 0; i < TEMPORARIES; i++) {
        snprintf(name, size, "%s.part%d", path, i);
        FILE *file = fopen(name, "wbx");
        if (file || errno != EEXIST)
            return file;
    }
    return NULL;
}

/* Returns NULL or the cause of the failure. */
static const char *write_and_rename(cairo_surface_t *page, const char *path)
{
    const size_t size = strlen(path) + 16;
    char *name = malloc(size);
    if (!name)
        return strerror(ENOMEM);
    FILE *file = open_temporary(path, name, size);
    const char *cause = file ? write_page(page, file) : strerror(errno);
    if (file && !cause && rename(name, path) != 0)
        cause = strerror(errno);
    if (file && cause)
        remove(name);
    free(name);
    return cause;
}

static const char *write_to(cairo_surface_t *page, const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0 || S_ISREG(found.st_mode))
        return write_and_rename(page, path);
    if (S_ISDIR(found.st_mode))
        return strerror(EISDIR);
    FILE *file = fopen(path, "wb"); /* a device or pipe: renaming would replace it */
    return file ? write_page(page, file) : strerror(errno);
}

int canvas_save(struct canvas *canvas, const char *path, char *message, size_t message_size)
{
    const char *cause = NULL;
    cairo_surface_t *page = NULL;
    if (cairo_status(canvas->cr) != CAIRO_STATUS_SUCCESS)
        cause = cairo_status_to_string(cairo_status(canvas->cr));
    else if (!(page = page_of(canvas)))
        cause = "the picture is too large to draw";
    else
        cause = write_to(page, path);
    if (cause)
        snprintf(message, message_size, "%s: %s", path, cause);
    cairo_surface_destroy(page);
    cairo_destroy(canvas->cr);
    cairo_surface_destroy(canvas->record);
    *canvas = (struct canvas){ 0 };
    return cause ? -1 : 0;
}
