#include <png.h>
#include <stdlib.h>

#include "image_format.h"

struct png_job {
    FILE *file;
    struct image *image;
    char *cause;
    png_structp png;
    png_infop info;
    png_bytep row;
};

static PNG_NORETURN void fail(png_structp png, png_const_charp text)
{
    struct png_job *job = png_get_error_ptr(png);
    snprintf(job->cause, IMAGE_CAUSE_SIZE, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* libpng's own reader says "Read Error" for a directory and for a cut file alike. */
static void read_bytes(png_structp png, png_bytep bytes, size_t size)
{
    FILE *file = png_get_io_ptr(png);
    if (fread(bytes, 1, size, file) != size)
        png_error(png, ferror(file) ? "cannot be read" : "the file is cut short");
}

static float sample_at(const png_byte *bytes, int index, int depth)
{
    if (depth == 16)
        return (float)(bytes[2 * index] << 8 | bytes[2 * index + 1]) / 65535.0f;
    return (float)bytes[index] / 255.0f;
}

static float grey_of_pixel(const png_byte *pixel, int channels, int depth)
{
    float grey = sample_at(pixel, 0, depth);
    if (channels >= 3)
        grey = image_luma(grey, sample_at(pixel, 1, depth), sample_at(pixel, 2, depth));
    if (channels % 2)
        return grey;
    float alpha = sample_at(pixel, channels - 1, depth);
    return alpha * grey + (1.0f - alpha);
}

/* An interlaced picture arrives as seven small ones. Placing their pixels here saves libpng's copy of the whole
 * picture at full depth, which could be twice as large as ours. */
static void read_pass(struct png_job *job, int pass, int interlaced)
{
    const int width = job->image->width, height = job->image->height;
    const int channels = png_get_channels(job->png, job->info), depth = png_get_bit_depth(job->png, job->info);
    const int left = interlaced ? PNG_PASS_START_COL(pass) : 0, top = interlaced ? PNG_PASS_START_ROW(pass) : 0;
    const int right_by = interlaced ? 1 << PNG_PASS_COL_SHIFT(pass) : 1;
    const int down_by = interlaced ? 1 << PNG_PASS_ROW_SHIFT(pass) : 1;

    if (left >= width)
        return; /* the file has no rows for an empty pass */
    for (int y = top; y < height; y += down_by) {
        const png_byte *pixel = job->row;
        float *grey = job->image->grey + (size_t)y * (size_t)width;
        png_read_row(job->png, job->row, NULL);
        for (int x = left; x < width; x += right_by, pixel += channels * depth / 8)
            grey[x] = grey_of_pixel(pixel, channels, depth);
    }
}

static void read_header(struct png_job *job)
{
    png_set_read_fn(job->png, job->file, read_bytes);
    /* Our own limits give the better message. */
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    /* Texts and profiles mean nothing here, and compressed ones could grow without bound. */
    png_set_keep_unknown_chunks(job->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(job->png, job->info);
}

static int read_picture(struct png_job *job)
{
    if (setjmp(png_jmpbuf(job->png)))
        return -1;
    read_header(job);
    if (image_allocate(job->image, png_get_image_width(job->png, job->info), png_get_image_height(job->png, job->info),
                       job->cause))
        return -1;
    const int interlaced = png_get_interlace_type(job->png, job->info) != PNG_INTERLACE_NONE;
    png_set_expand(job->png);
    png_read_update_info(job->png, job->info);
    job->row = png_malloc(job->png, png_get_rowbytes(job->png, job->info));
    for (int pass = 0; pass < (interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1); pass++)
        read_pass(job, pass, interlaced);
    png_read_end(job->png, NULL);
    return 0;
}

int image_read_png(struct image *image, FILE *file, char cause[IMAGE_CAUSE_SIZE])
{
    struct png_job job = { .file = file, .image = image, .cause = cause };
    int failed = -1;
    job.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, fail, ignore_warning);
    if (job.png)
        job.info = png_create_info_struct(job.png);
    if (job.info)
        failed = read_picture(&job);
    else
        snprintf(cause, IMAGE_CAUSE_SIZE, "PNG: libpng cannot start");
    if (job.png)
        png_free(job.png, job.row);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return failed;
}
