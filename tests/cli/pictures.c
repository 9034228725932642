/* The picture part of the tool: what it reads, what it refuses, what it makes of a digit, what it leaves on disk. */
#define _POSIX_C_SOURCE 200809L

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "../../src/cli/digit.h"
#include "../../src/cli/draw.h"
#include "../../src/cli/image.h"
#include "../../src/cli/terminal.h"
#include "../../src/cli/utf8.h"
#include "mnist_seven.h"

enum { WIDTH = 13, HEIGHT = 9, PATH_SIZE = 128, MESSAGE_SIZE = 400 };

static char directory[] = "/tmp/clattn-pictures-XXXXXX";
static char message[MESSAGE_SIZE];

static void open_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
}

static int files_in_directory(void)
{
    int count = 0;
    DIR *listing = opendir(directory);
    for (struct dirent *entry; (entry = readdir(listing));)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

static void close_directory(void)
{
    DIR *listing = opendir(directory);
    char path[PATH_SIZE + 256];
    for (struct dirent *entry; (entry = readdir(listing));) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove(path);
    }
    closedir(listing);
    rmdir(directory);
}

TestSuite(pictures, .init = open_directory, .fini = close_directory);

/* The path stays valid for the next three calls. */
static const char *in_directory(const char *name)
{
    static char paths[4][PATH_SIZE];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_SIZE, "%s/%s", directory, name);
    return path;
}

/* ---- PNG: every kind, written by libpng, against values computed here ---- */

struct kind {
    int colour, depth, interlace, transparent;
};

/* Any pattern that uses all levels of every channel. */
static int level(int x, int y, int channel, int depth)
{
    return ((x * 7919 + y * 104729 + channel * 1299709) >> 3) & ((1 << depth) - 1);
}

static int channels_of(int colour)
{
    return 1 + (colour & PNG_COLOR_MASK_COLOR && !(colour & PNG_COLOR_MASK_PALETTE) ? 2 : 0) +
           (colour & PNG_COLOR_MASK_ALPHA ? 1 : 0);
}

static void fill_row(const struct kind *kind, int y, png_byte *row)
{
    const int channels = channels_of(kind->colour);
    memset(row, 0, WIDTH * 8);
    for (int i = 0; i < WIDTH * channels; i++) {
        const int value = level(i / channels, y, i % channels, kind->depth);
        if (kind->depth == 16) {
            row[2 * i] = (png_byte)(value >> 8);
            row[2 * i + 1] = (png_byte)(value & 0xff);
        } else {
            const int bit = i * kind->depth;
            row[bit / 8] = (png_byte)(row[bit / 8] | value << (8 - kind->depth - bit % 8));
        }
    }
}

static int palette_level(int entry, int channel)
{
    return (entry * 37 + channel * 91) & 0xff;
}

static int palette_alpha(int entry)
{
    return (entry * 53) & 0xff;
}

static void set_palette(png_structp png, png_infop info, const struct kind *kind)
{
    png_color palette[256];
    png_byte alpha[256];
    const int entries = 1 << kind->depth;
    for (int i = 0; i < entries; i++) {
        palette[i] = (png_color){ (png_byte)palette_level(i, 0), (png_byte)palette_level(i, 1),
                                  (png_byte)palette_level(i, 2) };
        alpha[i] = (png_byte)palette_alpha(i);
    }
    png_set_PLTE(png, info, palette, entries);
    if (kind->transparent)
        png_set_tRNS(png, info, alpha, entries, NULL);
}

/* The colour of the first pixel is the transparent one. */
static void set_transparent(png_structp png, png_infop info, const struct kind *kind)
{
    png_color_16 key = { .gray = (png_uint_16)level(0, 0, 0, kind->depth),
                         .red = (png_uint_16)level(0, 0, 0, kind->depth),
                         .green = (png_uint_16)level(0, 0, 1, kind->depth),
                         .blue = (png_uint_16)level(0, 0, 2, kind->depth) };
    png_set_tRNS(png, info, NULL, 0, &key);
}

static void write_png(const char *path, const struct kind *kind)
{
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_byte row[HEIGHT][WIDTH * 8], *rows[HEIGHT];
    png_init_io(png, file);
    png_set_IHDR(png, info, WIDTH, HEIGHT, kind->depth, kind->colour,
                 kind->interlace ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (kind->colour == PNG_COLOR_TYPE_PALETTE)
        set_palette(png, info, kind);
    else if (kind->transparent)
        set_transparent(png, info, kind);
    for (int y = 0; y < HEIGHT; y++)
        fill_row(kind, y, rows[y] = row[y]);
    png_set_rows(png, info, rows);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

static double over_white(double red, double green, double blue, double alpha)
{
    return alpha * (0.299 * red + 0.587 * green + 0.114 * blue) + 1.0 - alpha;
}

static double expected_of_palette(const struct kind *kind, int entry)
{
    return over_white(palette_level(entry, 0) / 255.0, palette_level(entry, 1) / 255.0,
                      palette_level(entry, 2) / 255.0, kind->transparent ? palette_alpha(entry) / 255.0 : 1.0);
}

static double expected_grey(const struct kind *kind, int x, int y)
{
    const int channels = channels_of(kind->colour);
    const double full = (1 << kind->depth) - 1;
    int value[4], same = 1;
    if (kind->colour == PNG_COLOR_TYPE_PALETTE)
        return expected_of_palette(kind, level(x, y, 0, kind->depth));
    for (int i = 0; i < channels; i++) {
        value[i] = level(x, y, i, kind->depth);
        same = same && value[i] == level(0, 0, i, kind->depth);
    }
    const double alpha = kind->colour & PNG_COLOR_MASK_ALPHA ? value[channels - 1] / full
                         : kind->transparent && same         ? 0.0
                                                             : 1.0;
    const int green = channels >= 3 ? 1 : 0, blue = channels >= 3 ? 2 : 0;
    return over_white(value[0] / full, value[green] / full, value[blue] / full, alpha);
}

static int check_kind(const struct kind *kind)
{
    struct image image;
    const char *path = in_directory("kind.png");
    write_png(path, kind);
    cr_assert_eq(image_read(&image, path, message, sizeof message), 0, "%s", message);
    cr_assert(image.width == WIDTH && image.height == HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            cr_assert(fabs((double)image.grey[y * WIDTH + x] - expected_grey(kind, x, y)) < 1e-5,
                      "colour %d depth %d interlace %d transparent %d at %d,%d", kind->colour, kind->depth,
                      kind->interlace, kind->transparent, x, y);
    image_free(&image);
    return 1;
}

static int is_kind(const struct kind *kind)
{
    if (kind->transparent && kind->colour & PNG_COLOR_MASK_ALPHA)
        return 0;
    if (kind->colour == PNG_COLOR_TYPE_PALETTE)
        return kind->depth <= 8;
    return kind->colour == PNG_COLOR_TYPE_GRAY || kind->depth >= 8;
}

Test(pictures, every_kind_of_png)
{
    static const int colours[] = { PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_PALETTE,
                                   PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA };
    int checked = 0;
    for (size_t colour = 0; colour < sizeof colours / sizeof *colours; colour++)
        for (int depth = 1; depth <= 16; depth *= 2)
            for (int more = 0; more < 4; more++) {
                const struct kind kind = { colours[colour], depth, more & 1, more >> 1 };
                if (is_kind(&kind))
                    checked += check_kind(&kind);
            }
    cr_assert_eq(checked, 20 + 4 + 16 + 8 + 4);
}

/* ---- JPEG ---- */

enum { JPEG_WIDTH = 32, JPEG_HEIGHT = 24 };

struct jpeg_kind {
    J_COLOR_SPACE given, stored;
    int components, progressive, orientation;
};

/* Smooth, so that compression changes little, and different in each corner, so that a turn shows. */
static double smooth_level(int x, int y)
{
    return 0.1 + 0.6 * x / JPEG_WIDTH + 0.25 * y / JPEG_HEIGHT;
}

static void write_orientation(struct jpeg_compress_struct *jpeg, int orientation)
{
    unsigned char exif[] = { 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1,
                             0,   0x12, 1,  3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    exif[24] = (unsigned char)orientation;
    jpeg_write_marker(jpeg, JPEG_APP0 + 1, exif, sizeof exif);
}

static void write_jpeg_rows(struct jpeg_compress_struct *jpeg, const struct jpeg_kind *kind)
{
    JSAMPLE row[JPEG_WIDTH * 4], *rows = row;
    while (jpeg->next_scanline < jpeg->image_height) {
        for (int i = 0; i < JPEG_WIDTH * kind->components; i++) {
            const double light = smooth_level(i / kind->components, (int)jpeg->next_scanline);
            /* Adobe's inverted inks: no black, so that the light is that of the three colours. */
            row[i] = (JSAMPLE)(kind->components == 4 && i % 4 == 3 ? 255 : lrint(255.0 * light));
        }
        jpeg_write_scanlines(jpeg, &rows, 1);
    }
}

static void write_jpeg(const char *path, const struct jpeg_kind *kind)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    FILE *file = fopen(path, "wb");
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = JPEG_WIDTH;
    jpeg.image_height = JPEG_HEIGHT;
    jpeg.input_components = kind->components;
    jpeg.in_color_space = kind->given;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, kind->stored);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (kind->progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (kind->orientation)
        write_orientation(&jpeg, kind->orientation);
    write_jpeg_rows(&jpeg, kind);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

Test(pictures, every_kind_of_jpeg)
{
    static const struct jpeg_kind kinds[] = {
        { JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 0, 0 }, { JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 1, 0 },
        { JCS_RGB, JCS_YCbCr, 3, 0, 0 },           { JCS_RGB, JCS_YCbCr, 3, 1, 0 },
        { JCS_RGB, JCS_RGB, 3, 0, 0 },             { JCS_CMYK, JCS_CMYK, 4, 0, 0 },
        { JCS_CMYK, JCS_YCCK, 4, 1, 0 },
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct image image;
        const char *path = in_directory("kind.png"); /* the name lies: the content decides */
        write_jpeg(path, &kinds[i]);
        cr_assert_eq(image_read(&image, path, message, sizeof message), 0, "%s", message);
        cr_assert(image.width == JPEG_WIDTH && image.height == JPEG_HEIGHT);
        for (int y = 0; y < JPEG_HEIGHT; y++)
            for (int x = 0; x < JPEG_WIDTH; x++)
                cr_assert(fabs((double)image.grey[y * JPEG_WIDTH + x] - smooth_level(x, y)) < 0.02,
                          "kind %zu at %d,%d", i, x, y);
        image_free(&image);
    }
}

/* Where Exif's definition puts the stored first row's left end: its row side and column side in the upright
 * picture. */
Test(pictures, orientation_of_cameras)
{
    static const struct {
        int right, bottom, turned;
    } corner[] = { { 0, 0, 0 }, { 1, 0, 0 }, { 1, 1, 0 }, { 0, 1, 0 },
                   { 0, 0, 1 }, { 1, 0, 1 }, { 1, 1, 1 }, { 0, 1, 1 } };
    for (int orientation = 1; orientation <= 8; orientation++) {
        struct image image;
        const char *path = in_directory("turned.jpg");
        write_jpeg(path, &(struct jpeg_kind){ JCS_RGB, JCS_YCbCr, 3, 0, orientation });
        cr_assert_eq(image_read(&image, path, message, sizeof message), 0, "%s", message);
        const int turned = corner[orientation - 1].turned;
        cr_assert_eq(image.width, turned ? JPEG_HEIGHT : JPEG_WIDTH);
        const int x = corner[orientation - 1].right ? image.width - 1 : 0;
        const int y = corner[orientation - 1].bottom ? image.height - 1 : 0;
        cr_assert(fabs((double)image.grey[y * image.width + x] - smooth_level(0, 0)) < 0.03, "%d", orientation);
        const float across = image.grey[y * image.width + image.width - 1 - x];
        const double expected = turned ? smooth_level(0, JPEG_HEIGHT - 1) : smooth_level(JPEG_WIDTH - 1, 0);
        cr_assert(fabs((double)across - expected) < 0.03, "%d", orientation);
        image_free(&image);
    }
}

/* ---- refusals ---- */

static void refuse(const char *path, const char *cause)
{
    struct image image;
    message[0] = '\0';
    cr_assert_neq(image_read(&image, path, message, sizeof message), 0, "%s was read", path);
    cr_assert_null(image.grey);
    cr_assert_eq(strncmp(message, path, strlen(path)), 0, "no file name in: %s", message);
    cr_assert_not_null(strstr(message, cause), "%s", message);
}

static const char *write_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "wb");
    fwrite(bytes, 1, size, file);
    fclose(file);
    return path;
}

Test(pictures, refuses_what_is_no_picture)
{
    refuse(in_directory("missing.png"), "No such file");
    refuse(directory, "directory");
    refuse(write_bytes("empty.png", "", 0), "empty");
    refuse(write_bytes("text.png", "hello", 5), "neither a PNG nor a JPEG");
    refuse(write_bytes("almost.png", "\x89PNG\r\n", 6), "PNG");
    refuse(write_bytes("almost.jpg", "\xff\xd8\xff", 3), "JPEG");
    refuse(write_bytes("other.jpg", "\xff\xfb\x90\x64", 4), "JPEG");
}

static void refuse_every_cut(const char *whole)
{
    static unsigned char bytes[1 << 16];
    FILE *file = fopen(whole, "rb");
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cr_assert(size > 100 && size < sizeof bytes);
    for (size_t cut = 1; cut < size; cut++)
        refuse(write_bytes("cut", bytes, cut), "");
}

Test(pictures, refuses_what_is_cut_short)
{
    write_png(in_directory("whole.png"), &(struct kind){ PNG_COLOR_TYPE_RGB, 8, 0, 0 });
    refuse_every_cut(in_directory("whole.png"));
    write_png(in_directory("whole.png"), &(struct kind){ PNG_COLOR_TYPE_GRAY, 16, 1, 1 });
    refuse_every_cut(in_directory("whole.png"));
    write_jpeg(in_directory("whole.jpg"), &(struct jpeg_kind){ JCS_RGB, JCS_YCbCr, 3, 0, 6 });
    refuse_every_cut(in_directory("whole.jpg"));
    write_jpeg(in_directory("whole.jpg"), &(struct jpeg_kind){ JCS_GRAYSCALE, JCS_GRAYSCALE, 1, 1, 0 });
    refuse_every_cut(in_directory("whole.jpg"));
}

/* A file of a hundred bytes that claims 60,000 x 60,000 pixels. */
static void write_hostile(const char *path, unsigned width, unsigned height)
{
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_chunk(png, (png_const_bytep) "IDAT", (png_const_bytep) "x\234", 2);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

Test(pictures, refuses_a_hostile_size)
{
    write_hostile(in_directory("hostile.png"), 60000, 60000);
    refuse(in_directory("hostile.png"), "outside the limits");
    write_hostile(in_directory("hostile.png"), 100000, 1);
    refuse(in_directory("hostile.png"), "outside the limits");
    write_hostile(in_directory("hostile.png"), 8192, 8192);
    refuse(in_directory("hostile.png"), "PNG");
}

/* ---- digits ---- */

static void mnist_seven_as(float *grey, int dark_ink)
{
    for (int i = 0; i < DIGIT_PIXELS; i++)
        grey[i] = (float)(dark_ink ? 255 - mnist_seven[i] : mnist_seven[i]) / 255.0f;
}

Test(pictures, mnist_stays_as_it_is)
{
    float grey[DIGIT_PIXELS], pixels[DIGIT_PIXELS];
    struct image image = { DIGIT_SIDE, DIGIT_SIDE, grey };
    struct digit_frame frame;
    for (int dark_ink = 0; dark_ink < 2; dark_ink++) {
        mnist_seven_as(grey, dark_ink);
        cr_assert_eq(digit_prepare(&image, pixels, &frame, message, sizeof message), 0, "%s", message);
        for (int i = 0; i < DIGIT_PIXELS; i++)
            cr_assert(fabsf(pixels[i] - (float)mnist_seven[i] / 255.0f) < 1e-6f, "pixel %d", i);
        cr_assert(frame.left == 0.0 && frame.top == 0.0 && frame.side == DIGIT_SIDE);
    }
}

/* The seven enlarged, dark on unevenly lit, noisy paper, away from the middle. */
static void fill_photograph(struct image *image, int zoom, int left, int top)
{
    unsigned random = 12345;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            const int column = x >= left ? (x - left) / zoom : -1, row = y >= top ? (y - top) / zoom : -1;
            const int inside = column >= 0 && row >= 0 && column < DIGIT_SIDE && row < DIGIT_SIDE;
            const float ink = inside ? (float)mnist_seven[row * DIGIT_SIDE + column] / 255.0f : 0.0f;
            const float light = 0.75f + 0.2f * (float)x / (float)image->width;
            random = random * 1664525u + 1013904223u;
            const float noise = 0.04f * ((float)(random >> 8) / 16777216.0f - 0.5f);
            image->grey[y * image->width + x] = light - 0.5f * ink + noise;
        }
}

Test(pictures, photograph_becomes_mnist)
{
    static float grey[400 * 300];
    float pixels[DIGIT_PIXELS];
    struct image image = { 400, 300, grey };
    struct digit_frame frame;
    double error = 0.0;
    fill_photograph(&image, 7, 180, 60);
    cr_assert_eq(digit_prepare(&image, pixels, &frame, message, sizeof message), 0, "%s", message);
    for (int i = 0; i < DIGIT_PIXELS; i++)
        error += fabs((double)pixels[i] - mnist_seven[i] / 255.0) / DIGIT_PIXELS;
    cr_assert(error < 0.03, "mean error %g", error);
    cr_assert(fabs(frame.left - 180.0) < 10.0 && fabs(frame.top - 60.0) < 10.0 && fabs(frame.side - 196.0) < 10.0,
              "frame %g %g %g", frame.left, frame.top, frame.side);
}

static double mass_of_outermost(const float *pixels)
{
    double mass = 0.0;
    for (int i = 0; i < DIGIT_SIDE; i++)
        mass += (double)(pixels[i] + pixels[DIGIT_PIXELS - 1 - i] + pixels[i * DIGIT_SIDE] +
                         pixels[i * DIGIT_SIDE + DIGIT_SIDE - 1]);
    return mass;
}

/* A single line a pixel wide, in pictures from tiny to large. */
Test(pictures, thin_line_of_any_size)
{
    for (int side = 3; side <= 1600; side = side * 3 / 2 + 1) {
        float *grey = malloc(sizeof *grey * (size_t)(side * side)), pixels[DIGIT_PIXELS], brightest = 0.0f;
        struct image image = { side, side, grey };
        for (int i = 0; i < side * side; i++)
            grey[i] = i % side == side / 2 && i / side > 0 && i / side < side - 1 ? 0.2f : 0.9f;
        cr_assert_eq(digit_prepare(&image, pixels, NULL, message, sizeof message), 0, "%d: %s", side, message);
        for (int i = 0; i < DIGIT_PIXELS; i++) {
            cr_assert(pixels[i] >= 0.0f && pixels[i] <= 1.0f);
            brightest = fmaxf(brightest, pixels[i]);
        }
        cr_assert(brightest > 0.9f, "side %d: %g", side, (double)brightest);
        cr_assert(side == 3 || mass_of_outermost(pixels) < 1e-3, "side %d", side);
        free(grey);
    }
}

Test(pictures, no_digit_in_a_blank_picture)
{
    static float grey[200 * 100];
    float pixels[DIGIT_PIXELS];
    unsigned random = 1;
    for (int noise = 0; noise < 2; noise++) {
        for (int i = 0; i < 200 * 100; i++, random = random * 1664525u + 1013904223u)
            grey[i] = 0.7f + (noise ? 0.2f * ((float)(random >> 8) / 16777216.0f - 0.5f) : 0.0f);
        struct image image = { 200, 100, grey };
        cr_assert_neq(digit_prepare(&image, pixels, NULL, message, sizeof message), 0);
        cr_assert_not_null(strstr(message, "background"));
        image = (struct image){ 1, 1, grey };
        cr_assert_neq(digit_prepare(&image, pixels, NULL, message, sizeof message), 0);
    }
}

/* ---- drawing ---- */

static const char *const targets[] = { "quatre", "vingt", "f\u00e9vrier" };
static const char *const sources[] = { "eighty", "february" };
static const float weights[] = { 0.9f, 0.1f, 1.0f, 0.0f, 0.2f, NAN };
static const struct alignment alignment = { 3, 2, weights, targets, sources };

typedef int drawing(const char *path);

static int heatmap(const char *path)
{
    return draw_heatmap(path, &alignment, "eighty february \u2192 quatre-vingt", message, sizeof message);
}

static int channels(const char *path)
{
    return draw_channel_gates(path, weights, 6, "gates", message, sizeof message);
}

static int spatial(const char *path)
{
    float grey[DIGIT_PIXELS];
    const struct image image = { DIGIT_SIDE, DIGIT_SIDE, grey };
    mnist_seven_as(grey, 1);
    return draw_spatial_gate(path, &image, &(struct digit_frame){ -2.0, -2.0, 32.0 }, weights, 3, 2, NULL, message,
                             sizeof message);
}

static drawing *const drawings[] = { heatmap, channels, spatial };

enum { DRAWINGS = sizeof drawings / sizeof *drawings };

Test(pictures, drawings_are_whole_and_alone)
{
    for (int i = 0; i < DRAWINGS; i++) {
        struct image image;
        const char *path = in_directory("drawing.png");
        cr_assert_eq(drawings[i](path), 0, "%s", message);
        cr_assert_eq(image_read(&image, path, message, sizeof message), 0, "%s", message);
        cr_assert(image.width > 150 && image.height > 150);
        cr_assert_eq(image.grey[0], 1.0f);
        cr_assert_eq(files_in_directory(), 1);
        image_free(&image);
    }
}

static void refuse_drawing(drawing *draw, const char *path, const char *cause)
{
    const int before = files_in_directory();
    message[0] = '\0';
    cr_assert_neq(draw(path), 0, "%s was drawn", path);
    cr_assert_not_null(strstr(message, path), "%s", message);
    cr_assert_not_null(strstr(message, cause), "%s", message);
    cr_assert_eq(files_in_directory(), before);
}

Test(pictures, failed_drawings_leave_nothing)
{
    fclose(fopen(in_directory("file"), "wb"));
    for (int i = 0; i < DRAWINGS; i++) {
        refuse_drawing(drawings[i], in_directory("missing/drawing.png"), "No such file");
        refuse_drawing(drawings[i], in_directory("file/drawing.png"), "Not a directory");
        refuse_drawing(drawings[i], directory, "directory");
    }
}

/* A limit on the size of files stands for a full disk: the picture that was there stays. */
Test(pictures, full_disk_keeps_the_old_drawing)
{
    struct image image;
    const struct rlimit little = { 512, RLIM_INFINITY }, enough = { RLIM_INFINITY, RLIM_INFINITY };
    const char *path = in_directory("drawing.png");
    cr_assert_eq(heatmap(path), 0, "%s", message);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    for (int i = 0; i < DRAWINGS; i++)
        refuse_drawing(drawings[i], in_directory("drawing.png"), "too large");
    setrlimit(RLIMIT_FSIZE, &enough);
    cr_assert_eq(image_read(&image, in_directory("drawing.png"), message, sizeof message), 0, "%s", message);
    image_free(&image);
}

/* ---- terminal ---- */

Test(pictures, alignment_in_the_terminal)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    terminal_alignment(stream, &alignment);
    fclose(stream);
    const char *expected = "        eighty\n"
                           "        \u2502 february\n"
                           " quatre \u2588\u2588\u2591\u2591\n"
                           "  vingt \u2588\u2588\u00b7 \n"
                           "f\u00e9vrier \u2591\u2591\u00b7 \n";
    cr_assert_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
    free(text);
}

Test(pictures, utf8_width_and_repair)
{
    cr_assert_eq(utf8_columns("f\u00e9vrier"), 7);
    cr_assert_eq(utf8_columns("fe\u0301vrier"), 7);
    cr_assert_eq(utf8_columns("\xff\xc3"), 2);
    char *copy = utf8_valid_copy("a\xff\x1b[\xe9t\xc3\xa9");
    cr_assert_str_eq(copy, "a??[?t\xc3\xa9");
    free(copy);
}
