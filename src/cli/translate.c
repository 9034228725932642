/* clattn translate: English numbers, ordinals, dates, times and money into French, by Bahdanau's or Luong's network. */
#define _POSIX_C_SOURCE 200809L
#include <clattn/model.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "draw.h"
#include "json.h"
#include "terminal.h"
#include "utf8.h"
#include "weights.h"

#define BATCH 64
#define COMMAND "translate"

static const char help[] =
    "clattn translate [TEXT] [options]: English into French, by attention\n\n"
    "Translates numbers, ordinals, dates, times of day and amounts of money in words, by Bahdanau's RNNsearch (2014) or\n"
    "Luong's network with input feeding (2015).\n"
    "Without TEXT it reads lines from stdin and prints one translation a line, in order; an empty line gives an empty\n"
    "line. A line with an unknown word gives an empty line and a message on stderr; the exit code is then 2 at the end.\n\n"
    "  --model NAME         rnnsearch (default) or luong\n"
    "  --beam N             search among N hypotheses a sentence, 1..64, for the best log p / length; 1 = greedy (default)\n"
    "  --heatmap FILE.png   draw which source word each target word attended (one sentence)\n"
    "  --alignment          print the same in the terminal (one sentence)\n"
    "  --json               one JSON object a line: text, tokens of both sides, alignment[target][source]\n"
    "  --weights FILE       other weights of the model than the shipped ones\n" CLI_DEVICE_HELP
    "\nExample: clattn translate \"two hundred and eighty-one\" --heatmap alignment.png\n";

typedef struct translate_options {
    cli_device_options device;
    char *text; /* NULL: stdin */
    const char *heatmap, *model, *weights; /* model NULL: the first */
    long beam;
    bool alignment, json;
} translate_options;

/* ---- Options ---- */

/* Several arguments are the words of one sentence. */
static bool append_text(translate_options *options, const char *word) {
    const size_t used = options->text ? strlen(options->text) : 0;
    char *text = realloc(options->text, used + strlen(word) + 2);
    if (!text) return false;
    if (used) text[used] = ' ';
    strcpy(text + used + (used > 0), word);
    options->text = text;
    return true;
}

static bool check_model(const char *name) {
    char list[256] = "";
    for (size_t i = 0; clattn_translator_model(i); i++) {
        if (strcmp(clattn_translator_model(i), name) == 0) return true;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", clattn_translator_model(i));
    }
    cli_error(COMMAND, "unknown model %s; the models are %s", name, list);
    return false;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, translate_options *options) {
    static const char *const known[] = { "--model", "--beam", "--heatmap", "--alignment", "--weights", "--json", "--device", "--verbose", "--help", NULL };
    cli_arguments a = { .argc = argc, .argv = argv, .index = 1 };
    bool only_text = false;
    while (a.index < argc) {
        const char *value = "";
        const int device = only_text ? 0 : cli_device_option(&a, &options->device);
        if (device < 0) return CLI_BAD_USE;
        if (device > 0) continue;
        if (only_text || argv[a.index][0] != '-' || !argv[a.index][1]) {
            if (!append_text(options, argv[a.index++])) return cli_error(COMMAND, "out of memory");
        } else if (cli_option(&a, "--")) {
            only_text = true;
        } else if (cli_option(&a, "--help") || cli_option(&a, "-h")) {
            fputs(help, stdout);
            return CLI_DONE;
        } else if (cli_option(&a, "--json")) {
            options->json = true;
        } else if (cli_option(&a, "--alignment")) {
            options->alignment = true;
        } else if (cli_option_value(&a, "--heatmap", &value)) {
            options->heatmap = value;
        } else if (cli_option_value(&a, "--model", &value)) {
            if (value && !check_model(value)) return CLI_BAD_USE;
            options->model = value;
        } else if (cli_option_value(&a, "--beam", &value)) {
            if (value && !cli_integer(COMMAND, "--beam", value, 1, 64, &options->beam)) return CLI_BAD_USE;
        } else if (cli_option_value(&a, "--weights", &value)) {
            options->weights = value;
        } else {
            return cli_unknown_option(COMMAND, argv[a.index], known);
        }
        if (!value) return CLI_BAD_USE;
    }
    return -1;
}

/* ---- One batch ---- */

static void report_unknown(size_t line, const char *word) {
    char *shown = utf8_valid_copy(word);
    cli_error(COMMAND, "line %zu: unknown word \"%s\"", line, shown ? shown : "?");
    free(shown);
}

static int show_alignment(const translate_options *options, const clattn_translation *t) {
    const struct alignment alignment = { .rows = t->target_count, .columns = t->source_count, .weight = t->alignment,
        .row_label = (const char *const *)t->target, .column_label = (const char *const *)t->source };
    char message[512];
    if (t->target_count == 0) return cli_error(COMMAND, "there is no alignment to show: the sentence is empty");
    if (options->alignment && !options->json) {
        fputc('\n', stdout);
        terminal_alignment(stdout, &alignment);
    }
    if (options->heatmap && draw_heatmap(options->heatmap, &alignment, t->text, message, sizeof message)) return cli_error(COMMAND, "%s", message);
    return CLI_DONE;
}

static json_t *tokens_array(char *const *tokens, int count) {
    json_t *all = json_array();
    for (int i = 0; i < count; i++) json_array_append_new(all, json_text(tokens[i]));
    return all;
}

static int print_json(const clattn_translation *t) {
    json_t *rows = json_array();
    for (int i = 0; i < t->target_count; i++) {
        json_t *row = json_array();
        for (int k = 0; k < t->source_count; k++) json_array_append_new(row, json_finite((double)t->alignment[(size_t)i * (size_t)t->source_count + (size_t)k]));
        json_array_append_new(rows, row);
    }
    json_t *whole = json_pack("{s:o, s:o, s:o, s:o, s:o}", "text", json_text(t->text), "source", tokens_array(t->source, t->source_count), "target", tokens_array(t->target, t->target_count), "alignment", rows,
        "unknown_word", t->unknown_word ? json_text(t->unknown_word) : json_null());
    return json_print(COMMAND, whole, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

/* Translates lines first+1 .. first+count of the input and prints them. */
static int run_batch(clattn_translator *translator, const translate_options *options, char *const *lines, size_t count, size_t first) {
    clattn_translation results[BATCH];
    char message[512];
    int code = CLI_DONE;
    const clattn_status status = clattn_translator_translate(translator, (const char *const *)lines, count, (int)options->beam, results, message, sizeof message);
    if (status) {
        cli_error(COMMAND, "%s", message);
        return cli_exit_code(status);
    }
    for (size_t i = 0; i < count; i++) {
        if (!options->json) puts(results[i].text);
        else if (print_json(&results[i])) code = CLI_DEVICE_FAILED;
        if (results[i].unknown_word) {
            report_unknown(first + i + 1, results[i].unknown_word);
            code = CLI_BAD_USE;
        } else if (options->heatmap || options->alignment) {
            const int shown = show_alignment(options, &results[i]);
            if (shown) code = shown;
        }
        clattn_translation_free(&results[i]);
    }
    return code;
}

/* ---- Lines ---- */

/* One line without its end; NULL at the end of the input. A zero byte becomes a character that no word holds. */
static char *read_line(void) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = getline(&line, &capacity, stdin);
    if (length < 0) {
        free(line);
        return NULL;
    }
    if (length && line[length - 1] == '\n') line[--length] = '\0';
    for (ssize_t i = 0; i < length; i++)
        if (!line[i]) line[i] = '\x01';
    return line;
}

static int run_lines(clattn_translator *translator, const translate_options *options) {
    const bool one_only = options->heatmap || options->alignment;
    const size_t batch = isatty(STDIN_FILENO) ? 1 : BATCH;
    size_t first = 0, count;
    int code = CLI_DONE;
    bool end = false;
    while (!end && code != CLI_DEVICE_FAILED) {
        char *lines[BATCH];
        for (count = 0; count < batch && (lines[count] = read_line()); count++) continue;
        end = count < batch;
        const bool too_many = one_only && first + count > 1;
        if (too_many) code = cli_error(COMMAND, "--heatmap and --alignment take one sentence; stdin has more than one line");
        else if (count) {
            const int result = run_batch(translator, options, lines, count, first);
            if (result) code = result;
            fflush(stdout);
        }
        for (size_t i = 0; i < count; i++) free(lines[i]);
        first += count;
        if (too_many) break;
    }
    if (ferror(stdin)) return cli_error(COMMAND, "stdin: %s", strerror(errno));
    return code;
}

/* ---- The command ---- */

static void weights_of(const char *model, char *path, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "%s.safetensors", model);
    cli_weights_path(name, path, size);
}

static int run(clattn_context *context, const translate_options *options) {
    char path[4096], message[512];
    clattn_translator *translator;
    const char *model = options->model ? options->model : clattn_translator_model(0);
    if (options->weights) snprintf(path, sizeof path, "%s", options->weights);
    else weights_of(model, path, sizeof path);
    const clattn_status status = clattn_translator_open(context, model, path, &translator, message, sizeof message);
    if (status) {
        cli_error(COMMAND, "%s", message);
        return cli_exit_code(status);
    }
    const int code = options->text ? run_batch(translator, options, &options->text, 1, 0) : run_lines(translator, options);
    clattn_translator_close(&translator);
    return code;
}

int cli_translate(int argc, char **argv) {
    translate_options options = { .device = { .command = COMMAND }, .beam = 1 };
    clattn_context *context = NULL;
    int code = parse(argc, argv, &options);
    if (code < 0) {
        code = cli_open(&options.device, &context);
        if (code == CLI_DONE) code = run(context, &options);
        clattn_close(&context);
    }
    free(options.text);
    return code;
}
