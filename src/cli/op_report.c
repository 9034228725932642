/* What `clattn op` says when it is done: a few lines, or one JSON object. */
#include "op.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

/* Whether a database's setting made clattn take the variant that ran. */
static bool is_preferred(const op_job *job) {
    clattn_tuning_entry entry;
    return clattn_tuning_find(job->context, job->op, job->args, &entry, NULL, NULL) && entry.setting.variant && strcmp(entry.setting.variant, job->chosen) == 0;
}

/* Why a variant did not run; NULL for the one that did. */
static const char *reason_against(op_job *job, const char *variant) {
    if (strcmp(variant, job->chosen) == 0) return NULL;
    const char *refusal = clattn_op_refusal(job->context, job->op, job->args, variant);
    if (refusal) return refusal;
    if (!job->variant && is_preferred(job)) return "could run; a setting prefers another";
    return job->variant ? "could run; another was asked for with --variant" : "could run; an earlier one of the list is preferred";
}

/* ---- Lines ---- */

static void print_outputs(const op_job *job) {
    for (int i = 0; i < job->output_count; i++) {
        const op_output *output = &job->outputs[i];
        printf("%s [", output->name);
        for (int k = 0; k < output->array.rank; k++) printf("%s%lld", k ? "," : "", (long long)output->array.shape[k]);
        printf("] %s%s%s\n", clattn_file_dtype_name(output->array.dtype), output->file ? " -> " : "", output->file ? output->file : "");
    }
}

static void print_checks(const op_job *job) {
    for (int i = 0; i < job->output_count; i++) {
        const clattn_comparison *c = &job->outputs[i].comparison;
        printf("check %s: max_abs %.3g, max_rel %.3g, %s\n", job->outputs[i].name, c->max_abs, c->max_rel, c->ok ? "ok" : "ABOVE THE TOLERANCE");
        if (!c->ok && c->worst >= 0) printf("  furthest off at element %lld (C order)\n", (long long)c->worst);
    }
}

/* What a database says of these arguments, in force or not. */
static void print_tuning(op_job *job) {
    char class[96] = "", setting[160];
    clattn_tuning_entry entry;
    const char *source, *refusal;
    if (!clattn_op_tunable(job->op, 0) || clattn_op_class(job->context, job->op, job->args, class, sizeof class)) return;
    if (!clattn_tuning_find(job->context, job->op, job->args, &entry, &source, &refusal)) {
        printf("tuning: class %s, no setting\n", class);
        return;
    }
    clattn_setting_text(&entry.setting, setting, sizeof setting);
    printf("tuning: class %s, %s%s%s from %s", class, entry.setting.variant ? entry.setting.variant : *setting ? "" : "clattn's own choice", entry.setting.variant && *setting ? ": " : "", setting, source);
    const bool is_own = !entry.setting.variant && !*setting;
    if (is_own && *entry.measured) printf(" (%s)", entry.measured);
    else if (!is_own && entry.seconds > 0 && entry.default_seconds > 0) printf(" (%.3g times as fast as without, %s)", entry.default_seconds / entry.seconds, *entry.measured ? entry.measured : "measured some day");
    printf("%s%s\n", refusal ? "; left out: " : "", refusal ? refusal : "");
}

static void print_explanation(op_job *job) {
    const char *variant;
    for (size_t i = 0; (variant = clattn_op_variant(job->op, i)); i++) {
        const char *reason = reason_against(job, variant);
        printf("variant %s: %s\n", variant, reason ? reason : "chosen");
    }
    print_tuning(job);
}

static void print_times(const op_job *job) {
    const op_times *t = &job->times;
    printf("time: min %.4g ms, median %.4g ms, max %.4g ms (%ld run%s)\n", 1e3 * t->seconds.min, 1e3 * t->seconds.median, 1e3 * t->seconds.max, job->repeat, job->repeat == 1 ? "" : "s");
    printf("limit: %.3g %% at the median; %.4g GFLOP at %.4g GFLOP/s, %.4g GB at %.4g GB/s\n", 100 * t->limit_fraction, 1e-9 * t->flops, 1e-9 * t->peaks.flops, 1e-9 * t->bytes, 1e-9 * t->peaks.copy_bytes);
}

static void print_rates(const op_job *job) {
    const op_times *t = &job->times;
    if (t->seconds.median <= 0) puts("the driver keeps no times of kernels on this queue");
    else printf("rates: %.4g GFLOP/s, %.4g GB/s at the median; %.3g FLOP a byte\n", 1e-9 * t->flops / t->seconds.median, 1e-9 * t->bytes / t->seconds.median, t->bytes > 0 ? t->flops / t->bytes : 0.0);
}

static int print_lines(op_job *job) {
    printf("%s on %s, variant %s\n", job->op->name, clattn_context_device(job->context)->name, job->chosen);
    print_outputs(job);
    if (job->check) print_checks(job);
    if (job->explain) print_explanation(job);
    if (job->explain || job->profile) launches_print(&job->launches, stdout);
    if (job->repeat || job->profile) print_times(job);
    if (job->profile) print_rates(job);
    return CLI_DONE;
}

/* ---- JSON ---- */

/* A driver's or a path's bytes may be anything; JSON is UTF-8. */
static json_t *text_of(const char *text) {
    char *valid = utf8_valid_copy(text);
    json_t *made = json_string(valid ? valid : "");
    free(valid);
    return made;
}

static json_t *number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *outputs_object(const op_job *job) {
    json_t *all = json_object();
    for (int i = 0; i < job->output_count; i++) {
        const op_output *output = &job->outputs[i];
        json_t *shape = json_array();
        for (int k = 0; k < output->array.rank; k++) json_array_append_new(shape, json_integer(output->array.shape[k]));
        json_object_set_new(all, output->name, json_pack("{s:o, s:s, s:o}", "file", output->file ? text_of(output->file) : json_null(), "dtype", clattn_file_dtype_name(output->array.dtype), "shape", shape));
    }
    return all;
}

static json_t *check_object(const op_job *job) {
    json_t *all = json_object();
    for (int i = 0; i < job->output_count; i++) {
        const clattn_comparison *c = &job->outputs[i].comparison;
        json_object_set_new(all, job->outputs[i].name, json_pack("{s:o, s:o, s:b}", "max_abs", number(c->max_abs), "max_rel", number(c->max_rel), "ok", (int)c->ok));
    }
    return all;
}

static json_t *explain_object(op_job *job) {
    json_t *all = json_object();
    const char *variant;
    for (size_t i = 0; (variant = clattn_op_variant(job->op, i)); i++) {
        const char *reason = reason_against(job, variant);
        json_object_set_new(all, variant, reason ? json_string(reason) : json_string("chosen"));
    }
    return all;
}

/* null where there is no setting. */
static json_t *tuning_object(op_job *job) {
    char class[96] = "";
    clattn_tuning_entry entry;
    const char *source, *refusal;
    clattn_op_class(job->context, job->op, job->args, class, sizeof class);
    if (!clattn_tuning_find(job->context, job->op, job->args, &entry, &source, &refusal)) return json_pack("{s:s, s:n}", "class", class, "setting");
    json_t *tunables = json_object();
    for (int i = 0; i < entry.setting.count; i++) json_object_set_new(tunables, entry.setting.tunables[i]->name, json_integer(entry.setting.values[i]));
    json_t *setting = json_pack("{s:s?, s:o, s:o, s:s, s:o, s:o, s:s?}", "variant", entry.setting.variant, "tunables", tunables, "source", text_of(source), "measured", entry.measured, "seconds", number(entry.seconds), "default_seconds", number(entry.default_seconds), "left_out", refusal);
    return json_pack("{s:s, s:o}", "class", class, "setting", setting);
}

static void add_times(const op_job *job, json_t *whole) {
    const op_times *t = &job->times;
    json_object_set_new(whole, "seconds", json_pack("{s:o, s:o, s:o}", "min", number(t->seconds.min), "median", number(t->seconds.median), "max", number(t->seconds.max)));
    json_object_set_new(whole, "flops", number(t->flops));
    json_object_set_new(whole, "bytes", number(t->bytes));
    json_object_set_new(whole, "limit_fraction", number(t->limit_fraction));
}

static int print_json(op_job *job) {
    json_t *whole = json_pack("{s:s, s:o, s:s, s:o}", "op", job->op->name, "device", text_of(clattn_context_device(job->context)->name), "variant", job->chosen, "outputs", outputs_object(job));
    if (job->repeat || job->profile) add_times(job, whole);
    if (job->explain || job->profile) json_object_set_new(whole, "launches", launches_array(&job->launches));
    if (job->check) json_object_set_new(whole, "check", check_object(job));
    if (job->explain) json_object_set_new(whole, "explain", explain_object(job));
    if (job->explain && clattn_op_tunable(job->op, 0)) json_object_set_new(whole, "tuning", tuning_object(job));
    char *text = json_dumps(whole, JSON_INDENT(2));
    json_decref(whole);
    if (!text) return cli_error("op", "out of memory"), CLI_DEVICE_FAILED;
    puts(text);
    free(text);
    return CLI_DONE;
}

int op_report(op_job *job) {
    return job->json ? print_json(job) : print_lines(job);
}
