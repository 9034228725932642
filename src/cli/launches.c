#include "launches.h"

#include <stdlib.h>

#include "json.h"

static void take(void *user, const clattn_launch_record *record) {
    launches *l = user;
    if (l->next == l->count) {
        launch *grown = realloc(l->list, (l->count + 1) * sizeof *grown);
        if (grown) l->list = grown;
        double *seconds = grown ? calloc((size_t)l->runs, sizeof *seconds) : NULL;
        if (!seconds) {
            l->failed = true;
            return;
        }
        launch *made = &grown[l->count++];
        *made = (launch){ .record = *record, .seconds = seconds };
        snprintf(made->kernel, sizeof made->kernel, "%s/%s", record->source, record->kernel);
        snprintf(made->options, sizeof made->options, "%s", record->options);
    }
    l->list[l->next++].seconds[l->run] = record->seconds;
}

void launches_begin(launches *l, clattn_context *context, long runs) {
    *l = (launches){ .runs = runs };
    clattn_context_memory(context, &l->before, NULL);
    clattn_trace(context, take, l);
}

void launches_next_run(launches *l) {
    l->next = 0;
    if (l->run + 1 < l->runs) l->run++;
}

void launches_end(launches *l, clattn_context *context) {
    (void)l;
    clattn_trace(context, NULL, NULL);
}

void launches_free(launches *l) {
    for (size_t i = 0; i < l->count; i++) free(l->list[i].seconds);
    free(l->list);
    *l = (launches){ 0 };
}

double launches_seconds(const launches *l, long run) {
    double sum = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (l->list[i].seconds[run] < 0) return -1;
        sum += l->list[i].seconds[run];
    }
    return sum;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the times; the median of all runs. */
static double median(const launches *l, const launch *one) {
    double *sorted = malloc((size_t)l->runs * sizeof *sorted);
    if (!sorted) return one->seconds[0];
    for (long i = 0; i < l->runs; i++) sorted[i] = one->seconds[i];
    qsort(sorted, (size_t)l->runs, sizeof *sorted, ascending);
    const double value = 0.5 * (sorted[(l->runs - 1) / 2] + sorted[l->runs / 2]);
    free(sorted);
    return value;
}

static uint64_t workspace(const launches *l, const launch *one) {
    return one->record.memory_used > l->before ? one->record.memory_used - l->before : 0;
}

static void size_text(char *text, size_t size, const size_t values[3], int dimensions) {
    int used = 0;
    for (int i = 0; i < dimensions && used >= 0 && (size_t)used < size; i++) used += snprintf(text + used, size - (size_t)used, "%s%zu", i ? " x " : "", values[i]);
}

/* What one launch has to do, as far as it is known, and how near to the device's peaks it comes. */
typedef struct share {
    double flops, fraction; /* negative: not known */
} share;

static share share_of(const launches *l, const launch *one, double seconds) {
    share s = { .flops = l->count == 1 && l->peak_flops > 0 ? l->flops : -1, .fraction = -1 };
    if (seconds <= 0 || l->peak_bytes <= 0 || !one->record.bytes) return s;
    s.fraction = (double)one->record.bytes / l->peak_bytes / seconds;
    if (s.flops / l->peak_flops / seconds > s.fraction) s.fraction = s.flops / l->peak_flops / seconds;
    return s;
}

static void print_share(const launches *l, const launch *one, double seconds, FILE *stream) {
    const share s = share_of(l, one, seconds);
    if (s.fraction < 0) return;
    fprintf(stream, "  buffers of %.4g MB: %.4g GB/s", 1e-6 * (double)one->record.bytes, 1e-9 * (double)one->record.bytes / seconds);
    if (s.flops >= 0) fprintf(stream, ", %.4g GFLOP/s", 1e-9 * s.flops / seconds);
    fprintf(stream, "; %.3g %% of the device's limit\n", 100 * s.fraction);
}

static void print_one(const launches *l, const launch *one, size_t number, double total, FILE *stream) {
    char global[80], local[80];
    const clattn_launch_record *r = &one->record;
    const double seconds = median(l, one);
    size_text(global, sizeof global, r->global, r->dimensions);
    size_text(local, sizeof local, r->local, r->dimensions);
    fprintf(stream, "launch %zu: %s", number, one->kernel);
    if (seconds >= 0) fprintf(stream, "  %.4g ms", 1e3 * seconds);
    if (seconds >= 0 && total > 0) fprintf(stream, " (%.0f %%)", 100 * seconds / total);
    fputc('\n', stream);
    if (!r->dimensions) {
        fprintf(stream, "  several kernels of the library, workspace %llu B\n", (unsigned long long)workspace(l, one));
        return;
    }
    fprintf(stream, "  %s work-items in groups of %s (the driver allows %zu)\n", global, local, r->max_work_group);
    fprintf(stream, "  local memory %llu B a group, private %llu B an item, workspace %llu B\n", (unsigned long long)r->local_memory, (unsigned long long)r->private_memory, (unsigned long long)workspace(l, one));
    print_share(l, one, seconds, stream);
    if (*one->options) fprintf(stream, "  options %s\n", one->options);
}

void launches_print(const launches *l, FILE *stream) {
    double total = 0;
    for (size_t i = 0; i < l->count; i++) total += median(l, &l->list[i]);
    for (size_t i = 0; i < l->count; i++) print_one(l, &l->list[i], i + 1, total, stream);
    if (!l->count) fputs("no kernel was launched\n", stream);
    if (l->failed) fputs("out of memory: not all launches are listed\n", stream);
}

static json_t *sizes_array(const size_t values[3], int dimensions) {
    json_t *all = json_array();
    for (int i = 0; i < dimensions; i++) json_array_append_new(all, json_integer((json_int_t)values[i]));
    return all;
}

json_t *launches_array(const launches *l) {
    json_t *all = json_array();
    for (size_t i = 0; i < l->count; i++) {
        const launch *one = &l->list[i];
        const clattn_launch_record *r = &one->record;
        const double seconds = median(l, one);
        const share s = share_of(l, one, seconds);
        json_array_append_new(all, json_pack("{s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "kernel", json_text(one->kernel), "options", json_text(one->options),
            "global", sizes_array(r->global, r->dimensions), "local", sizes_array(r->local, r->dimensions), "max_work_group", (json_int_t)r->max_work_group,
            "local_memory", (json_int_t)r->local_memory, "private_memory", (json_int_t)r->private_memory, "workspace", (json_int_t)workspace(l, one), "bytes", (json_int_t)r->bytes, "seconds", seconds < 0 ? json_null() : json_finite(seconds),
            "flops", s.flops < 0 ? json_null() : json_finite(s.flops), "limit_fraction", s.fraction < 0 ? json_null() : json_finite(s.fraction)));
    }
    return all;
}
