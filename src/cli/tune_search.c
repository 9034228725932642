/* The search for the fastest variant and tunables of one case. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../bench/timing.h"
#include "tune.h"

enum { FIRST_ROUNDS = 2, ROUNDS = 9, LAST_ROUNDS = 13, LEAST_RUNS = 2, MOST_RUNS = 50, MOST_PASSES = 3, MOST_TRIED = 400, MOST_COMBINATIONS = 16, MOST_OUTPUTS = 8 };

#define TURN 0.008      /* seconds that a turn lasts, at least LEAST_RUNS runs */
#define GAIN 0.97       /* of the other's time, or it is no gain */
#define HOPELESS 1.15   /* of the other's time in each of the first rounds */
#define FAR 1.5         /* of the other's time: a variant whose tunables are not tried */
#define CHECKED 5e7     /* floating-point operations of a case that the reference computes meanwhile */
#define TOLERANCE 3e-5  /* of the largest value: another order of sums */

/* What runs: a variant by its name, under a setting. */
typedef struct contender {
    const char *variant;
    clattn_setting setting;
    long runs; /* in a turn */
} contender;

typedef struct search {
    tune_search *s;
    const clattn_op *op;
    clattn_case *made;
    void *args;
    float *expected[MOST_OUTPUTS]; /* of clattn's own choice */
    contender best, fallback;
    const char *first; /* the variant that was tuned first: clattn's own choice or an earlier search's */
    clattn_setting tried[MOST_TRIED]; /* of the variant at hand */
    int tried_count;
    uint64_t launched[MOST_TRIED]; /* digests of what settings that were measured launch */
    int launched_count;
    uint64_t digest; /* of the run under way */
} search;

static bool is_over(const search *at) {
    return *at->s->interrupted || (at->s->deadline > 0 && timing_now() > at->s->deadline);
}

/* ---- Running ---- */

static clattn_status run_again(search *at, const contender *c) {
    const clattn_status status = clattn_op_run(at->s->context, at->op, at->args, c->variant, NULL);
    return status ? status : clattn_finish(at->s->context);
}

static clattn_status run(search *at, const contender *c) {
    const clattn_status status = clattn_tuning_force(at->s->context, at->op, &c->setting);
    return status ? status : run_again(at, c);
}

/* The best of a turn: other work on the machine only slows. */
static clattn_status take_turn(search *at, contender *c, double *seconds) {
    clattn_status status = clattn_tuning_force(at->s->context, at->op, &c->setting);
    double best = INFINITY;
    const double begin = timing_now();
    for (long i = 0; i < c->runs && !status; i++) {
        const double start = timing_now();
        status = run_again(at, c);
        const double took = timing_now() - start;
        if (took < best) best = took;
    }
    const double each = (timing_now() - begin) / (double)c->runs;
    c->runs = each < TURN / MOST_RUNS ? MOST_RUNS : each > TURN / LEAST_RUNS ? LEAST_RUNS : (long)(TURN / each);
    *seconds = best;
    return status;
}

static double median(double *values, int count) {
    return timing_summary(values, (size_t)count).median;
}

/* What came of two in turns. */
typedef struct outcome {
    double seconds; /* of the first: the median */
    double ratio;   /* the second's time over the first's: the median of the rounds, each of which sees the same machine */
    bool faster;    /* the second, beyond the noise: most of the rounds agree */
} outcome;

static clattn_status duel(search *at, contender *a, contender *b, int rounds, outcome *o) {
    double x[LAST_ROUNDS], ratios[LAST_ROUNDS], y;
    int won = 0, lost = 0, done = 0;
    clattn_status status = CLATTN_OK;
    for (; done < rounds && !status; done++) {
        if (done == FIRST_ROUNDS && lost == done) break;
        const bool turned = done % 2;
        status = turned ? take_turn(at, b, &y) : take_turn(at, a, &x[done]);
        if (!status) status = turned ? take_turn(at, a, &x[done]) : take_turn(at, b, &y);
        if (status) return status;
        ratios[done] = y / x[done];
        won += ratios[done] < 1;
        lost += ratios[done] > HOPELESS;
    }
    *o = (outcome){ .seconds = median(x, done), .ratio = median(ratios, done) };
    o->faster = done == rounds && 4 * won >= 3 * done && o->ratio < GAIN;
    return CLATTN_OK;
}

/* A win must be won twice: of many candidates that gain nothing, one is lucky. */
static clattn_status duel_twice(search *at, contender *a, contender *b, outcome *o) {
    clattn_status status = duel(at, a, b, ROUNDS, o);
    if (!status && o->faster) status = duel(at, a, b, ROUNDS, o);
    return status;
}

/* ---- Results ---- */

static clattn_tensor *output_of(const search *at, int index) {
    for (size_t i = 0; i < at->op->field_count; i++)
        if (at->op->fields[i].kind == CLATTN_FIELD_OUTPUT && index-- == 0) return *(clattn_tensor **)((char *)at->args + at->op->fields[i].offset);
    return NULL;
}

static int count_outputs(const clattn_op *op) {
    int count = 0;
    for (size_t i = 0; i < op->field_count; i++) count += op->fields[i].kind == CLATTN_FIELD_OUTPUT;
    return count < MOST_OUTPUTS ? count : MOST_OUTPUTS;
}

/* So that a kernel which writes nothing is seen. */
static clattn_status spoil(search *at) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < count_outputs(at->op) && !status; i++) {
        clattn_tensor *tensor = output_of(at, i);
        const size_t count = tensor ? (size_t)clattn_tensor_count(tensor) : 0;
        float *host = count ? malloc(count * sizeof *host) : NULL;
        if (count && !host) return CLATTN_ERROR_OUT_OF_MEMORY;
        for (size_t k = 0; k < count; k++) host[k] = 12345.678f;
        if (count) status = clattn_tensor_write(at->s->context, tensor, host);
        free(host);
    }
    return status;
}

static clattn_status read_output(search *at, int index, float **values) {
    const clattn_tensor *tensor = output_of(at, index);
    *values = NULL;
    if (!tensor) return CLATTN_OK;
    *values = malloc(((size_t)clattn_tensor_count(tensor) + 1) * sizeof **values);
    return *values ? clattn_tensor_read(at->s->context, tensor, *values) : CLATTN_ERROR_OUT_OF_MEMORY;
}

/* -1: all are equal but for the order of sums; else the index of one that is not. */
static int64_t first_other(const float *found, const float *expected, int64_t count) {
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(expected[i])) largest = fmax(largest, fabs((double)expected[i]));
    for (int64_t i = 0; i < count; i++) {
        const bool same = found[i] == expected[i] || (isnan(found[i]) && isnan(expected[i]));
        if (!same && !(fabs((double)found[i] - (double)expected[i]) <= TOLERANCE * largest)) return i;
    }
    return -1;
}

static const char *name_of(const contender *c, char *text, size_t size) {
    char setting[160];
    clattn_setting_text(&c->setting, setting, sizeof setting);
    snprintf(text, size, "%s%s%s", c->variant, *setting ? ": " : "", setting);
    return text;
}

static void tell_wrong(const search *at, const contender *c, int64_t index, float found, float expected) {
    char name[240];
    cli_error("tune", "%s %s, %s gives wrong results: element %lld is %g instead of %g", at->op->name, at->s->entry.shape_class, name_of(c, name, sizeof name), (long long)index, (double)found, (double)expected);
}

static clattn_status compare(search *at, const contender *c, bool *right) {
    clattn_status status = CLATTN_OK;
    for (int i = 0; i < count_outputs(at->op) && !status && *right; i++) {
        float *found;
        status = read_output(at, i, &found);
        const int64_t other = status || !found ? -1 : first_other(found, at->expected[i], clattn_tensor_count(output_of(at, i)));
        if (other >= 0) tell_wrong(at, c, other, found[other], at->expected[i][other]);
        *right = other < 0;
        free(found);
    }
    return status;
}

static uint64_t hash(uint64_t before, const void *bytes, size_t size) {
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++) before = (before ^ byte[i]) * 1099511628211u;
    return before;
}

static void take_launch(void *user, const clattn_launch_record *l) {
    search *at = user;
    at->digest = hash(at->digest, l->kernel, strlen(l->kernel));
    at->digest = hash(at->digest, l->options, strlen(l->options));
    at->digest = hash(at->digest, l->global, sizeof l->global);
    at->digest = hash(at->digest, l->local, sizeof l->local);
}

/* The first run, which builds the kernels. `*right`: it ran, and its results are those expected. */
static clattn_status try_once(search *at, const contender *c, bool *right) {
    clattn_status status = spoil(at);
    *right = false;
    if (status) return status;
    at->digest = 1469598103934665603u;
    clattn_trace(at->s->context, take_launch, at);
    status = run(at, c);
    clattn_trace(at->s->context, NULL, NULL);
    /* What does not build or is granted too little is no candidate. */
    if (status == CLATTN_ERROR_UNSUPPORTED || status == CLATTN_ERROR_BUILD) return CLATTN_OK;
    *right = status == CLATTN_OK;
    if (!status) status = compare(at, c, right);
    at->s->wrong += !status && !*right;
    return status;
}

/* ---- The search ---- */

static bool was_tried(search *at, const clattn_setting *setting) {
    for (int i = 0; i < at->tried_count; i++) {
        const clattn_setting *other = &at->tried[i];
        int same = 0;
        for (int k = 0; k < setting->count; k++)
            for (int j = 0; j < other->count; j++) same += setting->tunables[k] == other->tunables[j] && setting->values[k] == other->values[j];
        if (same == setting->count && same == other->count) return true;
    }
    if (at->tried_count < MOST_TRIED) at->tried[at->tried_count++] = *setting;
    return false;
}

/* What launches the same as another setting is the same: clattn's own choice in other words, mostly. */
static bool was_launched(search *at) {
    for (int i = 0; i < at->launched_count; i++)
        if (at->launched[i] == at->digest) return true;
    if (at->launched_count < MOST_TRIED) at->launched[at->launched_count++] = at->digest;
    return false;
}

static bool is_refused(search *at, const contender *c) {
    clattn_setting setting = c->setting;
    setting.variant = c->variant; /* what is only reserved for those who ask for it is asked for */
    return clattn_tuning_force(at->s->context, at->op, &setting) || clattn_op_refusal(at->s->context, at->op, at->args, c->variant);
}

static void tell_progress(search *at, const contender *c) {
    char name[240];
    at->s->tried++;
    if (at->s->progress) at->s->progress(at->s->user, at->s, name_of(c, name, sizeof name));
}

static void tell_outcome(search *at, const contender *c, const char *what, double ratio) {
    char name[240];
    if (at->s->outcome) at->s->outcome(at->s->user, at->s, name_of(c, name, sizeof name), what, ratio > 0 ? 1 / ratio : 0);
}

/* Puts the candidate in the place of `best` when it is faster. */
static clattn_status challenge(search *at, contender *best, const contender *candidate) {
    contender c = *candidate;
    outcome o = { .ratio = 0 };
    bool right;
    if (was_tried(at, &c.setting) || is_refused(at, &c)) return CLATTN_OK;
    tell_progress(at, &c);
    c.runs = 1;
    clattn_status status = try_once(at, &c, &right);
    if (status || (right && was_launched(at))) return status;
    if (right) status = duel_twice(at, best, &c, &o);
    if (!status) tell_outcome(at, &c, !right ? "cannot be used" : o.faster ? "taken" : "no gain", o.ratio);
    if (o.faster) *best = c;
    return status;
}

/* With `tunable` at `value`; 0: clattn's own. */
static contender with(const contender *c, const clattn_tunable *tunable, int value) {
    contender made = *c;
    clattn_setting *s = &made.setting;
    s->count = 0;
    for (int i = 0; i < c->setting.count; i++) {
        if (c->setting.tunables[i] == tunable) continue;
        s->tunables[s->count] = c->setting.tunables[i];
        s->values[s->count++] = c->setting.values[i];
    }
    if (value && s->count < CLATTN_MAX_TUNED) s->tunables[s->count] = tunable, s->values[s->count++] = value;
    return made;
}

static int count_values(const clattn_tunable *t) {
    int count = 0;
    while (count < CLATTN_TUNABLE_VALUES && t->values[count]) count++;
    return count;
}

/* Those of the variant. */
static int list_tunables(const search *at, const char *variant, const clattn_tunable *list[CLATTN_MAX_TUNED]) {
    const clattn_tunable *t;
    int count = 0;
    for (size_t i = 0; (t = clattn_op_tunable(at->op, i)); i++)
        if (strcmp(t->variant, variant) == 0 && count < CLATTN_MAX_TUNED) list[count++] = t;
    return count;
}

/* Every combination. */
static clattn_status try_all(search *at, contender *best, const clattn_tunable *const *list, int count, int combinations) {
    const contender plain = *best;
    clattn_status status = CLATTN_OK;
    for (int i = 1; i < combinations && !status && !is_over(at); i++) {
        contender c = plain;
        for (int k = 0, rest = i; k < count; rest /= count_values(list[k]) + 1, k++) {
            const int digit = rest % (count_values(list[k]) + 1);
            c = with(&c, list[k], digit ? list[k]->values[digit - 1] : 0);
        }
        status = challenge(at, best, &c);
    }
    return status;
}

/* One tunable after the other, until none of them alone gains anything. */
static clattn_status try_each(search *at, contender *best, const clattn_tunable *const *list, int count) {
    clattn_status status = CLATTN_OK;
    bool moved = true;
    for (int pass = 0; pass < MOST_PASSES && moved; pass++) {
        moved = false;
        for (int k = 0; k < count; k++)
            for (int v = 0; v < count_values(list[k]) && !status && !is_over(at); v++) {
                const contender c = with(best, list[k], list[k]->values[v]);
                const clattn_setting before = best->setting;
                status = challenge(at, best, &c);
                moved = moved || memcmp(&before, &best->setting, sizeof before) != 0;
            }
    }
    return status;
}

static clattn_status tune_variant(search *at, contender *best) {
    const clattn_tunable *list[CLATTN_MAX_TUNED];
    const int count = list_tunables(at, best->variant, list);
    int combinations = 1;
    bool right;
    at->tried_count = at->launched_count = 0;
    was_tried(at, &best->setting);
    const clattn_status status = try_once(at, best, &right);
    if (status || !right) return status;
    was_launched(at);
    for (int k = 0; k < count && combinations <= MOST_COMBINATIONS; k++) combinations *= count_values(list[k]) + 1;
    return combinations <= MOST_COMBINATIONS ? try_all(at, best, list, count, combinations) : try_each(at, best, list, count);
}

/* Whether a variant besides the first is worth a measurement: not where the device is why it does not, and
 * not the last, which only serves where no other does. */
static bool is_rival(search *at, size_t index) {
    const contender c = { .variant = clattn_op_variant(at->op, index) };
    if (strcmp(c.variant, at->first) == 0 || !clattn_op_variant(at->op, index + 1)) return false;
    if (clattn_tuning_force(at->s->context, at->op, &c.setting)) return false;
    const char *reason = clattn_op_refusal(at->s->context, at->op, at->args, c.variant);
    return !(reason && strncmp(reason, "the device", 10) == 0) && !is_refused(at, &c);
}

/* Another variant: as it is, then with its tunables where it is near. */
static clattn_status try_variant(search *at, const char *variant) {
    contender c = { .variant = variant, .runs = 1 };
    outcome o;
    bool right;
    tell_progress(at, &c);
    clattn_status status = try_once(at, &c, &right);
    if (status || !right) return status;
    status = duel(at, &at->best, &c, ROUNDS, &o);
    if (!status) tell_outcome(at, &c, o.faster ? "faster" : "no gain", o.ratio);
    if (status || o.ratio > FAR) return status;
    status = tune_variant(at, &c);
    if (!status) status = duel_twice(at, &at->best, &c, &o);
    if (!status && o.faster) at->best = c;
    return status;
}

/* What an earlier search found: one that is cut short does not lose it. */
static clattn_status try_known(search *at) {
    clattn_tuning_entry known;
    const char *refusal;
    if (!clattn_tuning_find(at->s->context, at->op, at->args, &known, NULL, &refusal) || refusal) return CLATTN_OK;
    contender c = { .variant = known.setting.variant ? known.setting.variant : at->s->default_variant, .setting = known.setting };
    c.setting.variant = NULL;
    if (c.setting.count ? strcmp(c.setting.tunables[0]->variant, c.variant) : !known.setting.variant) return CLATTN_OK; /* changes nothing */
    return challenge(at, &at->best, &c);
}

static clattn_status try_all_variants(search *at) {
    clattn_status status = try_known(at);
    at->first = at->best.variant;
    if (!status) status = tune_variant(at, &at->best);
    for (size_t i = 0; clattn_op_variant(at->op, i) && !status && !is_over(at); i++)
        if (is_rival(at, i)) status = try_variant(at, clattn_op_variant(at->op, i));
    return status;
}

/* ---- The beginning and the end ---- */

static void freeze_inputs(search *at) {
    for (size_t i = 0; i < at->op->field_count; i++) {
        clattn_tensor *tensor = at->op->fields[i].kind == CLATTN_FIELD_INPUT ? *(clattn_tensor **)((char *)at->args + at->op->fields[i].offset) : NULL;
        if (tensor) clattn_tensor_freeze(tensor);
    }
}

/* Clattn's own choice: its variant and results, compared with the reference where that does not take long. */
static clattn_status begin(search *at) {
    double flops, bytes;
    clattn_status status = clattn_tuning_entry_for(at->s->context, at->op, at->args, &at->s->entry);
    if (!status) status = clattn_tuning_force(at->s->context, at->op, &(clattn_setting){ .count = 0 });
    if (!status) status = clattn_op_run(at->s->context, at->op, at->args, NULL, &at->s->default_variant);
    if (!status) status = clattn_op_work(at->s->context, at->op, at->args, &flops, &bytes);
    if (!status && flops <= CHECKED && (status = clattn_case_check(at->made, at->s->default_variant)) == CLATTN_ERROR_DRIVER) at->s->wrong++; /* for it has run before */
    freeze_inputs(at);
    at->best = at->fallback = (contender){ .variant = at->s->default_variant, .runs = 1 };
    if (!status) status = run(at, &at->best);
    for (int i = 0; i < count_outputs(at->op) && !status; i++) status = read_output(at, i, &at->expected[i]);
    return status;
}

static bool is_default(const search *at) {
    return at->best.setting.count == 0 && strcmp(at->best.variant, at->fallback.variant) == 0;
}

/* The best against clattn's own choice once more; it stays only when it wins again. */
static clattn_status end(search *at) {
    clattn_tuning_entry *e = &at->s->entry;
    outcome o;
    contender same = at->fallback;
    const bool nothing = is_default(at);
    const clattn_status status = duel(at, &at->fallback, nothing ? &same : &at->best, LAST_ROUNDS, &o);
    if (status) return status;
    if (!o.faster || nothing) at->best = at->fallback, o.ratio = 1;
    at->s->variant = at->best.variant;
    at->s->gain = 1 / o.ratio;
    e->default_seconds = o.seconds;
    e->seconds = o.seconds * o.ratio;
    e->setting = at->best.setting;
    if (strcmp(at->best.variant, at->s->default_variant)) e->setting.variant = at->best.variant;
    return CLATTN_OK;
}

clattn_status tune_find(tune_search *s) {
    search *at = calloc(1, sizeof *at);
    if (!at) return CLATTN_ERROR_OUT_OF_MEMORY;
    at->s = s;
    s->gain = 1;
    clattn_status status = clattn_case_open(s->context, s->text, 1, 0, &at->made);
    if (!status) {
        at->op = clattn_case_op(at->made);
        at->args = clattn_case_args(at->made);
        status = begin(at);
        if (!status) status = try_all_variants(at);
        if (!status) status = end(at);
        clattn_tuning_force(s->context, at->op, NULL);
    }
    for (int i = 0; i < MOST_OUTPUTS; i++) free(at->expected[i]);
    clattn_case_close(&at->made);
    free(at);
    return status;
}
