#include "terminal.h"

#include <stdlib.h>

#include "utf8.h"

static const struct {
    float least;
    const char *cell; /* two columns wide, so that it is about square */
} shades[] = { { 0.75f, "██" }, { 0.50f, "▓▓" }, { 0.25f, "▒▒" }, { 0.05f, "░░" } };

enum { SHADES = sizeof shades / sizeof *shades };

static const char *cell_of(float weight)
{
    for (int i = 0; i < SHADES; i++)
        if (weight >= shades[i].least)
            return shades[i].cell;
    return "· ";
}

/* A control character in a label must not reach the terminal. */
static void print_label(FILE *stream, const char *label)
{
    char *valid = utf8_valid_copy(label);
    fputs(valid ? valid : "?", stream);
    free(valid);
}

static void print_spaces(FILE *stream, int count)
{
    for (int i = 0; i < count; i++)
        fputc(' ', stream);
}

static int widest_row_label(const struct alignment *alignment)
{
    int widest = 0;
    for (int row = 0; row < alignment->rows; row++) {
        const int columns = utf8_columns(alignment->row_label[row]);
        widest = columns > widest ? columns : widest;
    }
    return widest;
}

static void print_column_labels(FILE *stream, const struct alignment *alignment, int indent)
{
    for (int line = 0; line < alignment->columns; line++) {
        print_spaces(stream, indent);
        for (int column = 0; column < line; column++)
            fputs("│ ", stream);
        print_label(stream, alignment->column_label[line]);
        fputc('\n', stream);
    }
}

static void print_row(FILE *stream, const struct alignment *alignment, int row, int width)
{
    print_spaces(stream, width - utf8_columns(alignment->row_label[row]));
    print_label(stream, alignment->row_label[row]);
    fputc(' ', stream);
    for (int column = 0; column < alignment->columns; column++)
        fputs(cell_of(alignment->weight[row * alignment->columns + column]), stream);
    fputc('\n', stream);
}

void terminal_alignment(FILE *stream, const struct alignment *alignment)
{
    const int width = widest_row_label(alignment);
    print_column_labels(stream, alignment, width + 1);
    for (int row = 0; row < alignment->rows; row++)
        print_row(stream, alignment, row, width);
    print_spaces(stream, width + 1);
    for (int i = SHADES - 1; i >= 0; i--)
        fprintf(stream, "%s ≥ %.2f%s", shades[i].cell, (double)shades[i].least, i ? "  " : "\n");
}
