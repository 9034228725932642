#define _POSIX_C_SOURCE 200809L
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "timing.h"

enum { TEXT = 640 };

/* Who computes: clattn (peer NULL) or a peer, and what was found. */
typedef struct runner {
    peer_process *peer;
    const char *status; /* ok, unsupported, absent, failed or wrong; NULL: not asked, as ours failed before */
    char message[300];
    double error;       /* the largest difference from clattn's result */
    long runs;          /* of a turn */
    double *samples, *medians;
    size_t sample_count, round_count;
} runner;

/* A case while it is measured. */
typedef struct job {
    const measure_plan *plan;
    const bench_case *c;
    clattn_case *made;
    char text[TEXT];
    const char *variant;
    double flops, bytes;
    uint64_t workspace; /* device memory beside the tensors of the case */
    runner *runners;    /* clattn first */
    int count;
} job;

/* ---- Runners ---- */

static bool is_well(const runner *r) {
    return r->status && strcmp(r->status, "ok") == 0;
}

static bool run_ours(job *j, runner *r, long runs, double *seconds) {
    clattn_context *context = j->plan->context;
    double unmeasured;
    clattn_status status = timing_samples(context, clattn_case_op(j->made), clattn_case_args(j->made), NULL, 1, &unmeasured, &j->variant);
    if (!status) status = timing_samples(context, clattn_case_op(j->made), clattn_case_args(j->made), NULL, runs, seconds, &j->variant);
    if (!status) return true;
    r->status = "failed";
    snprintf(r->message, sizeof r->message, "%s", clattn_message(context));
    return false;
}

static bool run_peer(const job *j, runner *r, long runs, double *seconds) {
    if (peer_run(j->plan->peers, r->peer, runs, seconds) == PEER_OK) return true;
    r->status = "failed";
    snprintf(r->message, sizeof r->message, "%s", r->peer->message);
    return false;
}

static bool run_some(job *j, runner *r, long runs, double *seconds) {
    return r->peer ? run_peer(j, r, runs, seconds) : run_ours(j, r, runs, seconds);
}

/* How many runs fill a turn. */
static void calibrate(job *j, runner *r) {
    double seconds = 0;
    if (!run_some(j, r, 1, &seconds)) return;
    const double fitting = j->plan->turn / fmax(seconds, 1e-9);
    r->runs = fitting < 1 ? 1 : fitting > PEER_MOST_RUNS ? PEER_MOST_RUNS : (long)fitting;
}

static void take_turn(job *j, runner *r) {
    double sorted[PEER_MOST_RUNS], *seconds = r->samples + r->sample_count;
    if (!is_well(r) || !run_some(j, r, r->runs, seconds)) return;
    memcpy(sorted, seconds, (size_t)r->runs * sizeof *sorted);
    r->medians[r->round_count++] = timing_summary(sorted, (size_t)r->runs).median;
    r->sample_count += (size_t)r->runs;
}

static bool make_room(const job *j, runner *r) {
    r->samples = calloc((size_t)(j->plan->rounds * r->runs), sizeof *r->samples);
    r->medians = calloc((size_t)j->plan->rounds, sizeof *r->medians);
    return r->samples && r->medians;
}

static bool take_turns(job *j) {
    for (int i = 0; i < j->count; i++) {
        if (is_well(&j->runners[i])) calibrate(j, &j->runners[i]);
        if (!make_room(j, &j->runners[i])) return false;
    }
    for (long round = 0; round < j->plan->rounds; round++)
        for (int i = 0; i < j->count; i++) take_turn(j, &j->runners[i]);
    return true;
}

/* ---- Peers ---- */

static void prepare_peer(job *j, runner *r) {
    const measure_plan *plan = j->plan;
    if (!peer_start(plan->peers, r->peer)) {
        r->status = "absent";
        snprintf(r->message, sizeof r->message, "%s", r->peer->message);
        return;
    }
    const peer_answer answer = peer_prepare(plan->peers, r->peer, plan->directory);
    r->status = answer == PEER_OK ? "ok" : answer == PEER_UNSUPPORTED ? "unsupported" : "failed";
    if (answer) snprintf(r->message, sizeof r->message, "%s", r->peer->message);
    else if (!exchange_compare(plan->context, j->made, plan->directory, &r->error, r->message, sizeof r->message)) r->status = "wrong";
}

static bool prepare_peers(job *j) {
    runner *ours = &j->runners[0];
    if (j->count == 1) return true;
    if (!exchange_write(j->plan->context, j->made, j->text, j->plan->directory, ours->message, sizeof ours->message)) {
        ours->status = "failed";
        return false;
    }
    for (int i = 1; i < j->count; i++) prepare_peer(j, &j->runners[i]);
    return true;
}

static void forget_peers(job *j) {
    for (int i = 1; i < j->count; i++)
        if (is_well(&j->runners[i])) peer_forget(j->plan->peers, j->runners[i].peer);
    if (j->count > 1) exchange_clear(j->plan->directory);
}

/* ---- Ours ---- */

static bool fail(job *j, const char *status) {
    j->runners[0].status = status;
    snprintf(j->runners[0].message, sizeof j->runners[0].message, "%s", clattn_message(j->plan->context));
    return false;
}

/* At a size whose double-precision reference takes little time. */
static bool check_result(job *j) {
    clattn_case *small;
    if (!bench_case_check_text(j->c, j->text, sizeof j->text)) return fail(j, "failed");
    clattn_status status = clattn_case_open(j->plan->context, j->text, 1, j->c->half ? CLATTN_CASE_F16 : 0, &small);
    if (status) return fail(j, "failed");
    status = clattn_case_check(small, NULL);
    clattn_case_close(&small);
    return status ? fail(j, "wrong") : true;
}

static void see_memory(void *user, const clattn_launch_record *launch) {
    uint64_t *most = user;
    if (launch->memory_used > *most) *most = launch->memory_used;
}

/* What a network computes and does not keep: it comes anew with every call, whatever has to be done to it first. */
static bool is_fresh(const char *name) {
    static const char *const names[] = { "x", "query", "key", "value", "target", "source", "state", "annotations", "projected", "logits", "h", "c" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static void freeze_weights(clattn_case *c) {
    const clattn_op *op = clattn_case_op(c);
    for (size_t i = 0; i < op->field_count; i++)
        if (op->fields[i].kind == CLATTN_FIELD_INPUT && !is_fresh(op->fields[i].name)) clattn_tensor_freeze(*(clattn_tensor **)((char *)clattn_case_args(c) + op->fields[i].offset));
}

/* Opens the case to be timed; its outputs hold a result afterwards. */
static bool open_case(job *j) {
    clattn_context *context = j->plan->context;
    uint64_t before, most = 0;
    double seconds;
    if (!j->plan->small) snprintf(j->text, sizeof j->text, "%s", j->c->text);
    if (clattn_case_open(context, j->text, 1, j->c->half ? CLATTN_CASE_F16 : 0, &j->made)) return fail(j, "failed");
    freeze_weights(j->made);
    clattn_context_memory(context, &before, NULL);
    clattn_trace(context, see_memory, &most);
    clattn_status status = timing_samples(context, clattn_case_op(j->made), clattn_case_args(j->made), NULL, 1, &seconds, &j->variant);
    clattn_trace(context, NULL, NULL);
    if (!status) status = clattn_op_work(context, clattn_case_op(j->made), clattn_case_args(j->made), &j->flops, &j->bytes);
    j->workspace = most > before ? most - before : 0;
    return status ? fail(j, "failed") : true;
}

/* ---- The row ---- */

static double work_of(const job *j) {
    const clattn_additive_attention_args *a = clattn_case_args(j->made);
    if (strcmp(j->c->unit, "GB/s") == 0) return j->bytes;
    if (strcmp(j->c->unit, "GFLOP/s") == 0) return j->flops;
    return (double)(a->query->shape[0] * a->query->shape[1] * a->value->shape[1] * a->query->shape[2]);
}

/* Of reading and multiplying, which go on at the same time, what takes longer. */
static bench_limit limit_of(const job *j) {
    const clattn_peaks *peaks = &j->plan->peaks;
    return j->c->limit == BENCH_READ && j->flops / peaks->flops > j->bytes / peaks->read_bytes ? BENCH_FMA : j->c->limit;
}

/* A second at the most. */
static double peak_of(const job *j) {
    const clattn_peaks *peaks = &j->plan->peaks;
    return limit_of(j) == BENCH_FMA ? peaks->flops : limit_of(j) == BENCH_READ ? peaks->read_bytes : peaks->copy_bytes;
}

static double least_seconds(const job *j) {
    return (limit_of(j) == BENCH_FMA ? j->flops : j->bytes) / peak_of(j);
}

static json_t *json_times(runner *r) {
    const timing t = timing_summary(r->samples, r->sample_count);
    return json_pack("{s:f, s:f, s:f}", "min", t.min, "median", t.median, "max", t.max);
}

/* The peer's time over ours, as the median over the rounds that both have. */
static double ratio_of(const runner *theirs, const runner *ours) {
    double ratios[MEASURE_MOST_ROUNDS];
    size_t n = theirs->round_count < ours->round_count ? theirs->round_count : ours->round_count;
    if (n > MEASURE_MOST_ROUNDS) n = MEASURE_MOST_ROUNDS;
    for (size_t i = 0; i < n; i++) ratios[i] = theirs->medians[i] / ours->medians[i];
    return n ? timing_summary(ratios, n).median : 0;
}

static json_t *json_peer(runner *r, const runner *ours) {
    json_t *object = json_pack("{s:s, s:s}", "name", r->peer->name, "status", r->status);
    if (r->message[0]) json_object_set_new(object, "message", json_string(r->message));
    if (!is_well(r) || !r->sample_count) return object;
    json_object_set_new(object, "seconds", json_times(r));
    json_object_set_new(object, "runs", json_integer((json_int_t)r->sample_count));
    json_object_set_new(object, "ratio", json_real(ratio_of(r, ours)));
    json_object_set_new(object, "difference", json_real(r->error));
    return object;
}

static void add_figures(json_t *row, job *j) {
    runner *ours = &j->runners[0];
    const double median = timing_summary(ours->samples, ours->sample_count).median;
    json_object_set_new(row, "seconds", json_times(ours));
    json_object_set_new(row, "runs", json_integer((json_int_t)ours->sample_count));
    json_object_set_new(row, "flops", json_real(j->flops));
    json_object_set_new(row, "bytes", json_real(j->bytes));
    json_object_set_new(row, "workspace", json_integer((json_int_t)j->workspace));
    json_object_set_new(row, "rate", json_real(1e-9 * work_of(j) / median));
    json_object_set_new(row, "peak", json_real(peak_of(j)));
    json_object_set_new(row, "limit_fraction", json_real(least_seconds(j) / median));
    if (limit_of(j) == BENCH_FMA && j->plan->peaks.fed_flops > 0) json_object_set_new(row, "fed_fraction", json_real(j->flops / j->plan->peaks.fed_flops / median));
}

static json_t *json_peers(job *j) {
    json_t *peers = json_array();
    for (int i = 1; i < j->count; i++)
        if (j->runners[i].status) json_array_append_new(peers, json_peer(&j->runners[i], &j->runners[0]));
    return peers;
}

static json_t *json_row(job *j) {
    static const char *const limits[] = { "fma", "copy", "read" };
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "case", j->c->name, "arguments", j->text, "storage", j->c->half ? "f16" : "f32", "unit", j->c->unit, "limit", limits[limit_of(j)], "status", j->runners[0].status);
    if (j->c->series) json_object_set_new(row, "series", json_string(j->c->series));
    if (j->c->series) json_object_set_new(row, "size", json_integer(j->c->size));
    if (j->runners[0].message[0]) json_object_set_new(row, "message", json_string(j->runners[0].message));
    if (j->variant) json_object_set_new(row, "variant", json_string(j->variant));
    if (j->runners[0].sample_count) add_figures(row, j);
    json_object_set_new(row, "peers", json_peers(j));
    return row;
}

/* ---- The case ---- */

static bool make_runners(job *j) {
    const int peers = j->plan->peers && !j->c->series ? j->plan->peers->count : 0;
    j->runners = calloc((size_t)peers + 1, sizeof *j->runners);
    if (!j->runners) return false;
    j->count = 1 + peers;
    for (int i = 0; i < j->count; i++) j->runners[i] = (runner){ .status = i ? NULL : "ok", .peer = i ? &j->plan->peers->peers[i - 1] : NULL, .runs = 1 };
    return true;
}

static void free_job(job *j) {
    for (int i = 0; i < j->count; i++) {
        free(j->runners[i].samples);
        free(j->runners[i].medians);
    }
    free(j->runners);
    clattn_case_close(&j->made);
}

json_t *measure_case(const measure_plan *plan, const bench_case *c) {
    job j = { .plan = plan, .c = c };
    json_t *row = NULL;
    if (make_runners(&j)) {
        const bool complete = !check_result(&j) || !open_case(&j) || !prepare_peers(&j) || plan->rounds == 0 || take_turns(&j);
        if (complete) row = json_row(&j);
        forget_peers(&j);
    }
    free_job(&j);
    return row;
}
