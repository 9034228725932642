#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "exif.h"
#include "image_format.h"

/* A progressive picture keeps all its coefficients; this fits one at our limit of pixels. */
#define MEMORY_LIMIT (512L * 1024 * 1024)
/* Encoders make about ten scans. A hostile file repeats tiny ones thousands of times to burn hours. */
enum { SCAN_LIMIT = 200 };

struct jpeg_job {
    struct jpeg_decompress_struct jpeg; /* first: libjpeg's callbacks are given a pointer to it */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    FILE *file;
    struct image *image;
    char *cause;
    JSAMPLE *row;
    int orientation;
};

static struct jpeg_job *job_of(j_common_ptr common)
{
    return (struct jpeg_job *)(void *)common;
}

static void fail(j_common_ptr common)
{
    struct jpeg_job *job = job_of(common);
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    snprintf(job->cause, IMAGE_CAUSE_SIZE, "JPEG: %s", text);
    longjmp(job->escape, 1);
}

/* libjpeg fills what is missing with grey and only warns; a digit read from that would be a guess. */
static void take_message(j_common_ptr common, int level)
{
    if (level >= 0)
        return; /* a trace */
    switch (common->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR: return; /* the picture is whole */
    default: fail(common);
    }
}

static void limit_scans(j_common_ptr common)
{
    struct jpeg_job *job = job_of(common);
    if (job->jpeg.input_scan_number <= SCAN_LIMIT)
        return;
    snprintf(job->cause, IMAGE_CAUSE_SIZE, "JPEG: more than %d scans", SCAN_LIMIT);
    longjmp(job->escape, 1);
}

static void read_header(struct jpeg_job *job)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    jpeg_stdio_src(jpeg, job->file);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    job->orientation = 1;
    for (const struct jpeg_marker_struct *marker = jpeg->marker_list; marker; marker = marker->next)
        if (exif_orientation(marker->data, marker->data_length))
            job->orientation = exif_orientation(marker->data, marker->data_length);
}

static void set_colours(struct jpeg_decompress_struct *jpeg)
{
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB: jpeg->out_color_space = JCS_GRAYSCALE; break;
    case JCS_CMYK:
    case JCS_YCCK: jpeg->out_color_space = JCS_CMYK; break;
    default: break; /* unknown components: libjpeg decides or refuses */
    }
}

/* Adobe stores inks inverted, so that 255 is no ink, and everybody follows Adobe when its marker is there. */
static float grey_of_inks(const JSAMPLE *inks, int inverted)
{
    float light[4];
    for (int i = 0; i < 4; i++)
        light[i] = (float)(inverted ? inks[i] : 255 - inks[i]) / 255.0f;
    return image_luma(light[0], light[1], light[2]) * light[3];
}

static float grey_of_pixel(const struct jpeg_decompress_struct *jpeg, const JSAMPLE *pixel)
{
    switch (jpeg->output_components) {
    case 4: return grey_of_inks(pixel, jpeg->saw_Adobe_marker);
    case 3: return image_luma((float)pixel[0], (float)pixel[1], (float)pixel[2]) / 255.0f;
    default: return (float)pixel[0] / 255.0f;
    }
}

static void read_rows(struct jpeg_job *job)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    const struct image *image = job->image;
    while (jpeg->output_scanline < jpeg->output_height) {
        const int y = (int)jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &job->row, 1);
        for (int x = 0; x < (int)jpeg->output_width; x++) {
            const size_t at = exif_place(job->orientation, x, y, image->width, image->height);
            image->grey[at] = grey_of_pixel(jpeg, job->row + (size_t)x * (size_t)jpeg->output_components);
        }
    }
}

static int read_picture(struct jpeg_job *job)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->escape))
        return -1;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = MEMORY_LIMIT;
    jpeg->progress = &job->progress;
    read_header(job);
    const int turned = exif_swaps_sides(job->orientation);
    if (image_allocate(job->image, turned ? jpeg->image_height : jpeg->image_width,
                       turned ? jpeg->image_width : jpeg->image_height, job->cause))
        return -1;
    set_colours(jpeg);
    jpeg_start_decompress(jpeg);
    job->row = malloc((size_t)jpeg->output_width * (size_t)jpeg->output_components);
    if (!job->row) {
        snprintf(job->cause, IMAGE_CAUSE_SIZE, "no memory for a row of the picture");
        return -1;
    }
    read_rows(job);
    jpeg_finish_decompress(jpeg);
    return 0;
}

int image_read_jpeg(struct image *image, FILE *file, char cause[IMAGE_CAUSE_SIZE])
{
    struct jpeg_job job = { .file = file, .image = image, .cause = cause };
    job.jpeg.err = jpeg_std_error(&job.errors);
    job.errors.error_exit = fail;
    job.errors.emit_message = take_message;
    job.progress.progress_monitor = limit_scans;
    int failed = read_picture(&job);
    free(job.row);
    jpeg_destroy_decompress(&job.jpeg); /* also after a failed creation, because job began as zeros */
    return failed;
}
