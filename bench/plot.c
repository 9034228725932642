#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../src/cli/canvas.h"
#include "report.h"

enum { ROW = 17, LABELS = 210, BARS = 330, GAP = 70, RATIOS = 430, TOP = 46, CURVE_WIDTH = 300, CURVE_HEIGHT = 220, CURVE_GAP = 110 };
#define RATIO_LEFT (LABELS + BARS + GAP)
/* Ratios from a half to 128, on a logarithmic axis. */
#define LOWEST_RATIO (-1.0)
#define HIGHEST_RATIO 7.0

static const struct colour grey = { 0.86, 0.86, 0.86 }, black = { 0.12, 0.12, 0.12 };
/* Distinct also without colour vision as far as that goes (Okabe and Ito), then darker ones. */
static const struct colour palette[] = { { 0.90, 0.60, 0.00 }, { 0.84, 0.37, 0.00 }, { 0.00, 0.45, 0.70 }, { 0.34, 0.71, 0.91 }, { 0.00, 0.62, 0.45 }, { 0.80, 0.47, 0.65 }, { 0.58, 0.25, 0.60 }, { 0.40, 0.20, 0.10 }, { 0.30, 0.30, 0.30 }, { 0.60, 0.60, 0.10 }, { 0.55, 0.75, 0.30 } };
enum { COLOURS = sizeof palette / sizeof *palette };

static void fill_rectangle(cairo_t *cr, struct colour colour, double x, double y, double width, double height) {
    canvas_colour(cr, colour);
    cairo_rectangle(cr, x, y, width, height);
    cairo_fill(cr);
}

static void write_text(cairo_t *cr, const char *text, double size, enum canvas_align align, double x, double y) {
    canvas_colour(cr, black);
    canvas_text(cr, text, size, align, x, y);
}

/* ---- The table of bars and dots ---- */

static struct colour limit_colour(const json_t *row) {
    const char *limit = report_text(row, "limit");
    return strcmp(limit, "fma") == 0 ? (struct colour){ 0.13, 0.42, 0.68 } : strcmp(limit, "copy") == 0 ? (struct colour){ 0.20, 0.60, 0.42 } : (struct colour){ 0.62, 0.47, 0.76 };
}

static double ratio_x(double ratio) {
    const double place = (fmin(fmax(log2(ratio), LOWEST_RATIO), HIGHEST_RATIO) - LOWEST_RATIO) / (HIGHEST_RATIO - LOWEST_RATIO);
    return RATIO_LEFT + RATIOS * place;
}

static void draw_grid(cairo_t *cr, double bottom, double above) {
    char number[16];
    for (int percent = 0; percent <= 100; percent += 20) {
        const double x = LABELS + BARS * percent / 100.0;
        fill_rectangle(cr, grey, floor(x), TOP - 4, 1, bottom - TOP + 4);
        snprintf(number, sizeof number, "%d%%", percent);
        write_text(cr, number, 11, CANVAS_CENTRE, x, TOP - 13);
    }
    for (int power = (int)LOWEST_RATIO; power <= (int)HIGHEST_RATIO && above > 0; power++) {
        const double x = ratio_x(ldexp(1, power));
        fill_rectangle(cr, power ? grey : black, floor(x), TOP - 4, power ? 1 : 1.5, bottom - TOP + 4);
        snprintf(number, sizeof number, "%g", ldexp(1, power));
        write_text(cr, number, 11, CANVAS_CENTRE, x, TOP - 13);
    }
}

static void draw_fraction(cairo_t *cr, const json_t *row, double y) {
    char number[16];
    const double fraction = report_number(row, "limit_fraction"), width = BARS * fmin(fraction, 1.0);
    fill_rectangle(cr, limit_colour(row), LABELS, y - 0.5 * ROW + 3, width, ROW - 6);
    snprintf(number, sizeof number, "%.0f", 100 * fraction);
    write_text(cr, number, 10, CANVAS_LEFT, LABELS + width + 4, y);
}

static void draw_dot(cairo_t *cr, struct colour colour, double x, double y) {
    canvas_colour(cr, colour);
    cairo_new_path(cr);
    cairo_arc(cr, x, y, 4, 0, 6.2831853);
    cairo_fill_preserve(cr);
    canvas_colour(cr, (struct colour){ 1, 1, 1 });
    cairo_set_line_width(cr, 0.8);
    cairo_stroke(cr);
}

/* The order of the report's peers gives the colours: a case has all of them in the same order. */
static void draw_ratios(cairo_t *cr, const json_t *row, double y) {
    const json_t *peer;
    size_t i;
    json_array_foreach(json_object_get(row, "peers"), i, peer) if (json_object_get(peer, "ratio")) draw_dot(cr, palette[i % COLOURS], ratio_x(report_number(peer, "ratio")), y);
}

static void draw_row(cairo_t *cr, const json_t *row, double y, int index, double width) {
    if (index % 2) fill_rectangle(cr, (struct colour){ 0.965, 0.965, 0.975 }, 0, y - 0.5 * ROW, width, ROW);
    write_text(cr, report_text(row, "case"), 11, CANVAS_RIGHT, LABELS - 8, y);
}

static void draw_figures(cairo_t *cr, const json_t *row, double y) {
    if (json_object_get(row, "limit_fraction")) draw_fraction(cr, row, y);
    else write_text(cr, report_text(row, "status"), 11, CANVAS_LEFT, LABELS + 6, y);
    draw_ratios(cr, row, y);
}

static double draw_key(cairo_t *cr, const char *text, struct colour colour, double x, double y) {
    draw_dot(cr, colour, x, y);
    write_text(cr, text, 11, CANVAS_LEFT, x + 8, y);
    return x + 26 + canvas_text_width(cr, text, 11);
}

static void draw_headings(cairo_t *cr, const json_t *peers) {
    const json_t *peer;
    size_t i;
    double x = LABELS;
    write_text(cr, "fraction of the measured limit:", 12, CANVAS_LEFT, LABELS, TOP - 36);
    x += canvas_text_width(cr, "fraction of the measured limit:", 12) + 14;
    const char *const limits[] = { "fma", "copy", "read" }, *const texts[] = { "FMA", "copy", "read" };
    for (i = 0; i < 3; i++) {
        json_t *row = json_pack("{s:s}", "limit", limits[i]);
        x = draw_key(cr, texts[i], limit_colour(row), x, TOP - 36);
        json_decref(row);
    }
    if (!json_array_size(peers)) return;
    write_text(cr, "time of the peer / time of clattn", 12, CANVAS_LEFT, RATIO_LEFT, TOP - 36);
    x = LABELS;
    json_array_foreach(peers, i, peer) if (strcmp(report_text(peer, "status"), "ready") == 0) x = draw_key(cr, report_text(peer, "name"), palette[i % COLOURS], x, TOP - 56);
}

/* Returns where it ends. */
static double draw_table(cairo_t *cr, const json_t *report) {
    const json_t *peers = json_object_get(report, "peers"), *row;
    const double width = json_array_size(peers) ? RATIO_LEFT + RATIOS + 12 : LABELS + BARS + 34;
    size_t i;
    int rows = 0;
    double y = TOP + 0.5 * ROW;
    json_array_foreach(json_object_get(report, "cases"), i, row) if (!json_object_get(row, "series")) draw_row(cr, row, TOP + (rows + 0.5) * ROW, rows, width), rows++;
    draw_headings(cr, peers);
    draw_grid(cr, TOP + rows * ROW, (double)json_array_size(peers));
    json_array_foreach(json_object_get(report, "cases"), i, row) if (!json_object_get(row, "series")) draw_figures(cr, row, y), y += ROW;
    return TOP + rows * ROW;
}

/* ---- Growth ---- */

/* One curve's axes, in powers of two. */
typedef struct axes {
    double left, top, low_size, high_size, low_time, high_time;
} axes;

static double size_x(const axes *a, double size) {
    return a->left + CURVE_WIDTH * (log2(size) - a->low_size) / fmax(a->high_size - a->low_size, 1);
}

static double time_y(const axes *a, double seconds) {
    return a->top + CURVE_HEIGHT * (1 - (log2(seconds) - a->low_time) / fmax(a->high_time - a->low_time, 1));
}

static double seconds_of(const json_t *row) {
    return report_number(json_object_get(row, "seconds"), "median");
}

static double work_of(const json_t *row) {
    return report_number(row, strcmp(report_text(row, "limit"), "fma") == 0 ? "flops" : "bytes");
}

static bool on_curve(const json_t *row, const char *series) {
    return strcmp(report_text(row, "series"), series) == 0 && seconds_of(row) > 0;
}

static axes find_axes(const json_t *cases, const char *series, double left, double top) {
    axes a = { .left = left, .top = top, .low_size = INFINITY, .low_time = INFINITY, .high_size = -INFINITY, .high_time = -INFINITY };
    const json_t *row;
    size_t i;
    json_array_foreach(cases, i, row) {
        if (!on_curve(row, series)) continue;
        a.low_size = fmin(a.low_size, log2(report_number(row, "size")));
        a.high_size = fmax(a.high_size, log2(report_number(row, "size")));
        a.low_time = fmin(a.low_time, floor(log2(seconds_of(row))));
        a.high_time = fmax(a.high_time, ceil(log2(seconds_of(row))));
    }
    return a;
}

static void draw_time_axis(cairo_t *cr, const axes *a) {
    char number[32];
    const int step = a->high_time - a->low_time > 8 ? 2 : 1;
    for (int power = (int)a->low_time; power <= (int)a->high_time; power += step) {
        const double y = time_y(a, ldexp(1, power)), ms = 1e3 * ldexp(1, power);
        fill_rectangle(cr, grey, a->left, floor(y), CURVE_WIDTH, 1);
        snprintf(number, sizeof number, "%.*f ms", ms < 10 ? 2 : 0, ms);
        write_text(cr, number, 11, CANVAS_RIGHT, a->left - 7, y);
    }
}

/* The first point, grown with the work: what is parallel to it grows as it should. */
static void draw_ideal(cairo_t *cr, const axes *a, const json_t *first, const json_t *last) {
    const double grown = seconds_of(first) * work_of(last) / work_of(first);
    cairo_save(cr);
    cairo_rectangle(cr, a->left, a->top, CURVE_WIDTH, CURVE_HEIGHT);
    cairo_clip(cr);
    canvas_colour(cr, (struct colour){ 0.5, 0.5, 0.5 });
    cairo_set_line_width(cr, 1);
    cairo_set_dash(cr, (const double[]){ 4, 3 }, 2, 0);
    cairo_move_to(cr, size_x(a, report_number(first, "size")), time_y(a, seconds_of(first)));
    cairo_line_to(cr, size_x(a, report_number(last, "size")), time_y(a, grown));
    cairo_stroke(cr);
    cairo_restore(cr);
}

static void draw_points(cairo_t *cr, const axes *a, const json_t *cases, const char *series) {
    const json_t *row, *before = NULL, *first = NULL;
    char text[32];
    size_t i;
    json_array_foreach(cases, i, row) {
        if (!on_curve(row, series)) continue;
        const double x = size_x(a, report_number(row, "size")), y = time_y(a, seconds_of(row));
        if (before) {
            canvas_colour(cr, palette[2]);
            cairo_set_line_width(cr, 2);
            cairo_move_to(cr, size_x(a, report_number(before, "size")), time_y(a, seconds_of(before)));
            cairo_line_to(cr, x, y);
            cairo_stroke(cr);
            snprintf(text, sizeof text, "×%.2f", seconds_of(row) / seconds_of(before));
            write_text(cr, text, 10, CANVAS_LEFT, 0.5 * (x + size_x(a, report_number(before, "size"))) + 8, 0.5 * (y + time_y(a, seconds_of(before))) + 8);
        } else {
            first = row;
        }
        before = row;
    }
    if (first) draw_ideal(cr, a, first, before);
    json_array_foreach(cases, i, row) {
        if (!on_curve(row, series)) continue;
        draw_dot(cr, palette[2], size_x(a, report_number(row, "size")), time_y(a, seconds_of(row)));
        snprintf(text, sizeof text, "%.0f", report_number(row, "size"));
        write_text(cr, text, 11, CANVAS_CENTRE, size_x(a, report_number(row, "size")), a->top + CURVE_HEIGHT + 13);
    }
}

/* The curves in the order of their first cases, side by side. */
static void draw_growth(cairo_t *cr, const json_t *cases, double top) {
    const char *drawn = "";
    double left = 84;
    const json_t *row;
    size_t i;
    json_array_foreach(cases, i, row) {
        const char *series = report_text(row, "series");
        if (!*series || strcmp(series, drawn) == 0 || !on_curve(row, series)) continue;
        const axes a = find_axes(cases, series, left, top);
        write_text(cr, series, 13, CANVAS_CENTRE, left + 0.5 * CURVE_WIDTH, top - 16);
        draw_time_axis(cr, &a);
        draw_points(cr, &a, cases, series);
        drawn = series;
        left += CURVE_WIDTH + CURVE_GAP;
    }
    if (*drawn) write_text(cr, "Time against size, both axes logarithmic; dashed: the first point, grown with the work.", 11, CANVAS_LEFT, 84, top + CURVE_HEIGHT + 36);
}

/* ---- The page ---- */

int plot_report(const char *path, const json_t *report, char *message, size_t message_size) {
    const json_t *cases = json_object_get(report, "cases"), *peaks = json_object_get(report, "peaks");
    char title[400];
    struct canvas canvas;
    canvas_open(&canvas);
    const double bottom = draw_table(canvas.cr, report);
    draw_growth(canvas.cr, cases, bottom + 54);
    snprintf(title, sizeof title, "clattn on %.100s: %.0f GFLOP/s of FMA, copy %.1f GB/s, read %.1f GB/s", report_text(json_object_get(report, "machine"), "cpu"), 1e-9 * report_number(peaks, "flops"), 1e-9 * report_number(peaks, "copy_bytes"), 1e-9 * report_number(peaks, "read_bytes"));
    canvas_title(canvas.cr, title, 0.5 * (LABELS + BARS + GAP + RATIOS), TOP - 72, 900);
    return canvas_save(&canvas, path, message, message_size);
}
