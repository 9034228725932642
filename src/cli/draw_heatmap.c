#include <math.h>

#include "canvas.h"
#include "draw.h"

#define TURNED (-55.0 * 3.14159265358979 / 180.0)

/* All in pixels; the cells begin at (0, 0). */
struct heatmap {
    const struct alignment *alignment;
    double cell, font, width, height;
};

static struct heatmap layout(const struct alignment *alignment)
{
    const int longer = alignment->rows > alignment->columns ? alignment->rows : alignment->columns;
    const double cell = longer <= 10 ? 44.0 : floor(fmax(18.0, 44.0 - 0.7 * (longer - 10)));
    return (struct heatmap){ .alignment = alignment,
                             .cell = cell,
                             .font = fmin(16.0, 0.7 * cell),
                             .width = cell * alignment->columns,
                             .height = cell * alignment->rows };
}

static void draw_cells(cairo_t *cr, const struct heatmap *map)
{
    const struct alignment *alignment = map->alignment;
    for (int row = 0; row < alignment->rows; row++)
        for (int column = 0; column < alignment->columns; column++) {
            canvas_colour(cr, colour_ink(canvas_unit(alignment->weight[row * alignment->columns + column])));
            cairo_rectangle(cr, column * map->cell, row * map->cell, map->cell, map->cell);
            cairo_fill(cr);
        }
}

static void draw_grid(cairo_t *cr, const struct heatmap *map)
{
    cairo_set_line_width(cr, 1.0);
    cairo_set_source_rgb(cr, 0.78, 0.78, 0.78);
    for (int column = 1; column < map->alignment->columns; column++) {
        cairo_move_to(cr, column * map->cell + 0.5, 0.0);
        cairo_rel_line_to(cr, 0.0, map->height);
    }
    for (int row = 1; row < map->alignment->rows; row++) {
        cairo_move_to(cr, 0.0, row * map->cell + 0.5);
        cairo_rel_line_to(cr, map->width, 0.0);
    }
    cairo_stroke(cr);
    cairo_set_source_rgb(cr, 0.3, 0.3, 0.3);
    cairo_rectangle(cr, 0.5, 0.5, map->width, map->height);
    cairo_stroke(cr);
}

static double widest_column_label(cairo_t *cr, const struct heatmap *map)
{
    double widest = 0.0;
    for (int column = 0; column < map->alignment->columns; column++)
        widest = fmax(widest, canvas_text_width(cr, map->alignment->column_label[column], map->font));
    return widest;
}

static void draw_turned(cairo_t *cr, const char *text, double size, double x, double y)
{
    cairo_save(cr);
    cairo_translate(cr, x, y);
    cairo_rotate(cr, TURNED);
    canvas_text(cr, text, size, CANVAS_LEFT, 0.0, 0.0);
    cairo_restore(cr);
}

/* Returns the height that the labels take above the cells. */
static double draw_column_labels(cairo_t *cr, const struct heatmap *map)
{
    const double widest = widest_column_label(cr, map);
    const int turn = widest > map->cell - 6.0;
    for (int column = 0; column < map->alignment->columns; column++) {
        const double middle = (column + 0.5) * map->cell;
        if (turn)
            draw_turned(cr, map->alignment->column_label[column], map->font, middle, -9.0);
        else
            canvas_text(cr, map->alignment->column_label[column], map->font, CANVAS_CENTRE, middle, -0.7 * map->font);
    }
    return turn ? 9.0 + map->font - widest * sin(TURNED) : 1.5 * map->font;
}

static void draw_row_labels(cairo_t *cr, const struct heatmap *map)
{
    for (int row = 0; row < map->alignment->rows; row++)
        canvas_text(cr, map->alignment->row_label[row], map->font, CANVAS_RIGHT, -8.0, (row + 0.5) * map->cell);
}

int draw_heatmap(const char *path, const struct alignment *alignment, const char *title, char *message,
                 size_t message_size)
{
    const struct heatmap map = layout(alignment);
    struct canvas canvas;
    canvas_open(&canvas);
    draw_cells(canvas.cr, &map);
    draw_grid(canvas.cr, &map);
    cairo_set_source_rgb(canvas.cr, 0.1, 0.1, 0.1);
    const double above = draw_column_labels(canvas.cr, &map);
    draw_row_labels(canvas.cr, &map);
    canvas_colour_bar(canvas.cr, colour_ink,
                      &(struct colour_bar){ map.width + 24.0, 0.0, 16.0, fmax(map.height, 110.0), 0.0, 1.0 });
    canvas_title(canvas.cr, title, 0.5 * map.width, -above - 10.0, fmax(map.width + 120.0, 420.0));
    return canvas_save(&canvas, path, message, message_size);
}
