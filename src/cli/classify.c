/* clattn classify: handwritten digits, by a residual network with CBAM after every convolutional block. */
#define _POSIX_C_SOURCE 200809L
#include <clattn/model.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "digit.h"
#include "draw.h"
#include "image.h"
#include "json.h"
#include "weights.h"

#define BATCH 64
#define COMMAND "classify"

static const char help[] =
    "clattn classify FILE... [options]: which digit a picture shows, by attention\n\n"
    "Prints PATH<TAB>CLASS<TAB>PROBABILITY for each picture, in the order of the arguments. Any PNG or JPEG of one\n"
    "handwritten digit: grey, colour, transparent, dark on bright or bright on dark, any size. For a file that cannot be\n"
    "read there is a message on stderr; the others go on, and the exit code is 2 at the end.\n\n"
    "  --maps DIR           write STEM-channel-N.png (the channel gates as bars) and STEM-spatial-N.png (the spatial gate\n"
    "                       over the picture) for each of the network's 4 CBAM modules, N = 1 next to the picture\n"
    "  --json               one JSON array: file, class, and the probabilities of all classes\n"
    "  --weights FILE       other weights than the shipped cbam_digits.safetensors\n" CLI_DEVICE_HELP
    "\nExample: clattn classify digits/*.png\n";

typedef struct classify_options {
    cli_device_options device;
    const char **files;
    size_t count;
    const char *maps, *weights;
    json_t *results; /* --json: an array to add to */
} classify_options;

/* ---- Options ---- */

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, classify_options *options) {
    static const char *const known[] = { "--maps", "--weights", "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { .argc = argc, .argv = argv, .index = 1 };
    bool only_files = false;
    while (a.index < argc) {
        const char *value = "";
        const int device = only_files ? 0 : cli_device_option(&a, &options->device);
        if (device < 0) return CLI_BAD_USE;
        if (device > 0) continue;
        if (only_files || argv[a.index][0] != '-' || !argv[a.index][1]) {
            options->files[options->count++] = argv[a.index++];
        } else if (cli_option(&a, "--")) {
            only_files = true;
        } else if (cli_option(&a, "--help") || cli_option(&a, "-h")) {
            fputs(help, stdout);
            return CLI_DONE;
        } else if (cli_option(&a, "--json")) {
            if (!options->results) options->results = json_array();
        } else if (cli_option_value(&a, "--maps", &value)) {
            options->maps = value;
        } else if (cli_option_value(&a, "--weights", &value)) {
            options->weights = value;
        } else {
            return cli_unknown_option(COMMAND, argv[a.index], known);
        }
        if (!value) return CLI_BAD_USE;
    }
    if (options->count == 0) return cli_error(COMMAND, "which pictures? `clattn classify --help` tells more");
    return -1;
}

/* ---- Names of maps ---- */

/* The file's name without directories and without its last suffix. */
static void stem_of(const char *path, char *stem, size_t size) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    snprintf(stem, size, "%.*s", dot && dot != name ? (int)(dot - name) : (int)strlen(name), name);
}

/* Two different pictures whose maps would have the same name. */
static int check_stems(const classify_options *options) {
    char a[1024], b[1024];
    for (size_t i = 0; i < options->count; i++) {
        stem_of(options->files[i], a, sizeof a);
        for (size_t k = 0; k < i; k++) {
            stem_of(options->files[k], b, sizeof b);
            if (strcmp(a, b) == 0 && strcmp(options->files[i], options->files[k])) return cli_error(COMMAND, "the maps of %s and %s would have the same name, %s-channel-1.png", options->files[k], options->files[i], a);
        }
    }
    return CLI_DONE;
}

static int make_directory(const char *path) {
    struct stat status;
    if (mkdir(path, 0777) == 0) return CLI_DONE;
    const int reason = errno;
    if (reason == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) return CLI_DONE;
    return cli_error(COMMAND, "%s: %s", path, strerror(reason));
}

/* ---- Maps ---- */

static int draw_gate(const classify_options *options, const char *file, const struct image *picture, const struct digit_frame *frame, const clattn_gates *gates, int n) {
    char path[4096], title[256], stem[1024], message[1024];
    stem_of(file, stem, sizeof stem);
    snprintf(path, sizeof path, "%s/%s-channel-%d.png", options->maps, stem, n);
    snprintf(title, sizeof title, "%.100s: channel gate of CBAM %d", stem, n);
    if (draw_channel_gates(path, gates->channel, gates->channels, title, message, sizeof message)) return cli_error(COMMAND, "%s", message);
    snprintf(path, sizeof path, "%s/%s-spatial-%d.png", options->maps, stem, n);
    snprintf(title, sizeof title, "%.100s: spatial gate of CBAM %d (%d × %d)", stem, n, gates->height, gates->width);
    if (draw_spatial_gate(path, picture, frame, gates->spatial, gates->height, gates->width, title, message, sizeof message)) return cli_error(COMMAND, "%s", message);
    return CLI_DONE;
}

/* ---- Pictures ---- */

/* The pictures of one batch that could be read. */
typedef struct batch {
    size_t count;
    const char *file[BATCH];
    float pixels[BATCH][DIGIT_PIXELS];
    struct digit_frame frame[BATCH];
    struct image picture[BATCH]; /* kept for the maps only */
} batch;

static int load(batch *b, const classify_options *options, const char *file) {
    char message[1024];
    struct image *picture = &b->picture[b->count];
    if (image_read(picture, file, message, sizeof message)) return cli_error(COMMAND, "%s", message);
    const int failed = digit_prepare(picture, b->pixels[b->count], &b->frame[b->count], message, sizeof message);
    if (failed || !options->maps) image_free(picture);
    if (failed) return cli_error(COMMAND, "%s: %s", file, message);
    b->file[b->count++] = file;
    return CLI_DONE;
}

static void add_result(const clattn_cbam_digits *model, json_t *results, const char *file, const float *p, int best) {
    json_t *all = json_object();
    for (int k = 0; k < CLATTN_DIGITS_CLASSES; k++) json_object_set_new(all, clattn_cbam_digits_class(model, k), json_finite((double)p[k]));
    json_array_append_new(results, json_pack("{s:o, s:o, s:o, s:o}", "file", json_text(file), "class", json_text(clattn_cbam_digits_class(model, best)), "probability", json_finite((double)p[best]), "probabilities", all));
}

static void print_results(const clattn_cbam_digits *model, const classify_options *options, const batch *b, const float *probabilities) {
    for (size_t i = 0; i < b->count; i++) {
        const float *p = probabilities + i * CLATTN_DIGITS_CLASSES;
        int best = 0;
        for (int k = 1; k < CLATTN_DIGITS_CLASSES; k++)
            if (p[k] > p[best]) best = k;
        if (options->results) add_result(model, options->results, b->file[i], p, best);
        else printf("%s\t%s\t%.4f\n", b->file[i], clattn_cbam_digits_class(model, best), (double)p[best]);
    }
}

static int run_batch(clattn_cbam_digits *model, const classify_options *options, batch *b) {
    float probabilities[BATCH * CLATTN_DIGITS_CLASSES];
    clattn_gates gates[CLATTN_DIGITS_GATES] = { 0 };
    char message[512];
    int code = CLI_DONE;
    if (b->count == 0) return CLI_DONE;
    const clattn_status status = clattn_cbam_digits_classify(model, b->pixels[0], b->count, probabilities, options->maps ? gates : NULL, message, sizeof message);
    if (status) {
        cli_error(COMMAND, "%s", message);
        return cli_exit_code(status);
    }
    print_results(model, options, b, probabilities);
    for (int n = 0; options->maps && n < CLATTN_DIGITS_GATES; n++) {
        if (!code) code = draw_gate(options, b->file[0], &b->picture[0], &b->frame[0], &gates[n], n + 1);
        clattn_gates_free(&gates[n]);
    }
    return code;
}

/* With maps the pictures go one by one, as each is kept in full until its maps are drawn. */
static int run_files(clattn_cbam_digits *model, const classify_options *options) {
    const size_t size = options->maps ? 1 : BATCH;
    int code = CLI_DONE;
    batch *b = calloc(1, sizeof *b);
    if (!b) return cli_error(COMMAND, "out of memory");
    for (size_t first = 0; first < options->count && code != CLI_DEVICE_FAILED; first += size) {
        b->count = 0;
        for (size_t i = first; i < options->count && i < first + size; i++)
            if (load(b, options, options->files[i])) code = CLI_BAD_USE;
        const int result = run_batch(model, options, b);
        if (result) code = result;
        if (options->maps && b->count) image_free(&b->picture[0]);
    }
    free(b);
    return code;
}

/* ---- The command ---- */

static int run(clattn_context *context, const classify_options *options) {
    char path[4096], message[512];
    clattn_cbam_digits *model;
    if (options->weights) snprintf(path, sizeof path, "%s", options->weights);
    else cli_weights_path("cbam_digits.safetensors", path, sizeof path);
    const clattn_status status = clattn_cbam_digits_open(context, path, &model, message, sizeof message);
    if (status) {
        cli_error(COMMAND, "%s", message);
        return cli_exit_code(status);
    }
    const int code = run_files(model, options);
    clattn_cbam_digits_close(&model);
    return code;
}

static int check_and_run(classify_options *options) {
    clattn_context *context = NULL;
    int code = options->maps ? check_stems(options) : CLI_DONE;
    if (code == CLI_DONE && options->maps) code = make_directory(options->maps);
    if (code == CLI_DONE) code = cli_open(&options->device, &context);
    if (code == CLI_DONE) code = run(context, options);
    clattn_close(&context);
    return code;
}

int cli_classify(int argc, char **argv) {
    classify_options options = { .device = { .command = COMMAND } };
    options.files = calloc((size_t)argc + 1, sizeof *options.files);
    if (!options.files) return cli_error(COMMAND, "out of memory");
    int code = parse(argc, argv, &options);
    if (code < 0) {
        code = check_and_run(&options);
        if (options.results && code != CLI_DEVICE_FAILED) {
            const int printed = json_print(COMMAND, json_incref(options.results), JSON_INDENT(2) | JSON_REAL_PRECISION(7));
            if (printed) code = printed;
        }
    }
    json_decref(options.results);
    free(options.files);
    return code;
}
