/* The settings of a context: read from the databases when an operation first asks, looked up by operation and class. */
#include "tuning.h"

#include <stdarg.h>
#include <stdlib.h>

#include "../device/system.h"
#include "check.h"

#define BUILT_IN "the built-in database"

/* A setting for the context's device. */
typedef struct known_setting {
    struct known_setting *next; /* those that come first are taken first */
    clattn_tuning_entry entry;
    char left_out[300]; /* why it is not used; "" when it is */
    char source[];
} known_setting;

/* ---- Descriptions ---- */

const clattn_tunable *clattn_op_tunable(const clattn_op *op, size_t index) {
    size_t i = 0;
    if (!op || !op->code->tunables) return NULL;
    while (i < index && op->code->tunables[i].name) i++;
    return op->code->tunables[i].name ? &op->code->tunables[i] : NULL;
}

const char *clattn_op_tuning_case(const clattn_op *op, size_t index) {
    size_t i = 0;
    if (!op || !op->code->tuning_cases) return NULL;
    while (i < index && op->code->tuning_cases[i]) i++;
    return op->code->tuning_cases[i];
}

const char *clattn_setting_text(const clattn_setting *setting, char *text, size_t size) {
    size_t used = 0;
    if (size) *text = '\0';
    for (int i = 0; i < setting->count && used < size; i++) used += (size_t)snprintf(text + used, size - used, "%s%s=%d", i ? " " : "", setting->tunables[i]->name, setting->values[i]);
    return text;
}

int64_t clattn_class_size(int64_t size) {
    int64_t power = 1;
    if (size < 1) return 0;
    while (power < size && power <= INT64_MAX / 2) power *= 2;
    return power > 1 && size < power / 4 * 3 + (power < 4) ? power / 2 : power;
}

/* ---- Reading ---- */

/* Who hears of it: the log, or a search for what is wrong. */
typedef struct listener {
    clattn_context *context;
    clattn_finding_fn finding;
    void *user;
} listener;

static void tell(const listener *l, clattn_log_level level, const char *name, const char *advice, const char *format, ...) CLATTN_PRINTF(5, 6);
static void tell(const listener *l, clattn_log_level level, const char *name, const char *advice, const char *format, ...) {
    char text[1200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (l->finding) l->finding(l->user, &(clattn_finding){ .level = CLATTN_FINDING_NOTE, .name = name, .text = text, .advice = advice });
    else clattn_log(l->context, level, "%s", text);
}

typedef struct reading {
    clattn_context *context;
    const clattn_tuning_entry *here; /* the context's device */
    const char *source;
    known_setting *exact, *any; /* without and with a "*", the later before the earlier */
    size_t taken, stale, faults, first_fault;
    char fault[300]; /* the first one's */
    bool no_memory, built_in;
} reading;

static bool is_any(const char *text) {
    return strcmp(text, "*") == 0;
}

static bool fits(const char *text, const char *here) {
    return is_any(text) || strcmp(text, here) == 0;
}

static bool is_exact(const clattn_tuning_entry *e) {
    return !is_any(e->platform) && !is_any(e->device) && !is_any(e->driver) && !is_any(e->kernels);
}

static void insert(reading *r, known_setting *made) {
    known_setting **list = is_exact(&made->entry) ? &r->exact : &r->any;
    made->next = *list;
    *list = made;
}

/* Puts one list before the other. */
static known_setting *joined(known_setting *first, known_setting *then) {
    known_setting *last = first;
    while (last && last->next) last = last->next;
    if (last) last->next = then;
    return last ? first : then;
}

static bool take(void *user, size_t number, const clattn_tuning_entry *entry, const char *fault) {
    reading *r = user;
    char kernels[17];
    if (fault) {
        if (!r->faults++) snprintf(r->fault, sizeof r->fault, "%s", fault), r->first_fault = number;
        return true;
    }
    if (!fits(entry->platform, r->here->platform) || !fits(entry->device, r->here->device)) return true;
    clattn_kernels_digest(entry->op->code->kernels, kernels);
    if (!fits(entry->driver, r->here->driver) || !fits(entry->kernels, kernels)) return r->stale++, true;
    known_setting *made = calloc(1, sizeof *made + strlen(r->source) + 1);
    if (!made) return r->no_memory = true, false;
    made->entry = *entry;
    memcpy(made->source, r->source, strlen(r->source) + 1);
    insert(r, made);
    r->taken++;
    return true;
}

/* The context's device as entries name it. */
static void name_device(clattn_context *context, clattn_tuning_entry *entry) {
    const clattn_device_info *info = clattn_context_device(context);
    clattn_printable(info->platform, entry->platform, sizeof entry->platform);
    clattn_printable(info->name, entry->device, sizeof entry->device);
    clattn_printable(info->driver, entry->driver, sizeof entry->driver);
}

static void report(const reading *r, const listener *l) {
    if (r->no_memory) tell(l, CLATTN_LOG_WARNING, "tuning", "", "tuning: not all settings of %s are used: out of host memory", r->source);
    if (r->faults) tell(l, CLATTN_LOG_WARNING, "tuning", "correct or remove it", "tuning: %zu %s of %s cannot be used; number %zu: %s", r->faults, r->faults == 1 ? "entry" : "entries", r->source, r->first_fault, r->fault);
    /* Nobody can mend a built-in one. */
    if (r->stale && r->built_in) clattn_log(l->context, CLATTN_LOG_DEBUG, "tuning: %zu stale of %s left out", r->stale, r->source);
    else if (r->stale) tell(l, CLATTN_LOG_INFO, "tuning", "`clattn tune` measures anew", "tuning: %zu stale %s of %s left out: another driver or other kernels were measured", r->stale, r->stale == 1 ? "setting" : "settings", r->source);
    if (r->taken) clattn_log(l->context, CLATTN_LOG_DEBUG, "tuning: %zu settings for this device in %s", r->taken, r->source);
}

/* `path` NULL: the built-in one. */
static void read_one(const listener *l, const clattn_tuning_entry *here, const char *path) {
    char message[1024];
    clattn_tuning_state *state = clattn_context_tuning(l->context);
    reading r = { .context = l->context, .here = here, .source = path ? path : BUILT_IN, .built_in = !path };
    const clattn_status status = clattn_tuning_visit(path, take, &r, message, sizeof message);
    if (status && path) tell(l, status == CLATTN_ERROR_UNSUPPORTED ? CLATTN_LOG_INFO : CLATTN_LOG_WARNING, "tuning", "correct or remove it", "tuning: %s", message);
    state->settings = joined(r.exact, joined(r.any, state->settings));
    report(&r, l);
}

static void read_all(const listener *l) {
    clattn_tuning_state *state = clattn_context_tuning(l->context);
    clattn_tuning_entry here;
    state->read = true;
    name_device(l->context, &here);
    read_one(l, &here, NULL);
    if (state->file && (state->named || clattn_system_exists(state->file))) read_one(l, &here, state->file);
}

clattn_status clattn_tuning_examine(clattn_context *context, clattn_finding_fn finding, void *user) {
    if (!context || !clattn_context_device(context) || !finding) return CLATTN_ERROR_ARGUMENT;
    clattn_tuning_state *state = clattn_context_tuning(context);
    while (state->settings) {
        known_setting *first = state->settings;
        state->settings = first->next;
        free(first);
    }
    if (!state->off) read_all(&(listener){ .context = context, .finding = finding, .user = user });
    return CLATTN_OK;
}

bool clattn_tuning_path(clattn_context *context, char *path, size_t size) {
    char directory[4096];
    const char *file = context ? clattn_context_tuning(context)->file : clattn_system_environment("CLATTN_TUNING");
    const bool in_cache = !context && !file && clattn_cache_path(NULL, directory, sizeof directory);
    if ((!file && !in_cache) || (!context && file && strcmp(file, "off") == 0)) return false;
    const int length = snprintf(path, size, "%s%s", in_cache ? directory : file, in_cache ? "/tuning.json" : "");
    return length > 0 && (size_t)length < size;
}

/* ---- Which setting ---- */

static bool has_settings(const clattn_tuning_state *state, const clattn_op *op) {
    for (const known_setting *at = state->settings; at; at = at->next)
        if (at->entry.op == op) return true;
    return false;
}

/* Also one that is left out. */
static known_setting *find(const clattn_call *call, const void *args) {
    clattn_tuning_state *state = clattn_context_tuning(call->context);
    char class[sizeof ((clattn_tuning_entry *)NULL)->shape_class];
    if (state->off || !call->op->code->tunables) return NULL;
    if (!state->read) read_all(&(listener){ .context = call->context });
    if (!has_settings(state, call->op)) return NULL; /* the class takes longer to write than that */
    call->op->code->shape_class(call, args, class, sizeof class);
    for (known_setting *at = state->settings; at; at = at->next)
        if (at->entry.op == call->op && strcmp(at->entry.shape_class, class) == 0) return at;
    return NULL;
}

void clattn_setting_choose(clattn_call *call, const void *args) {
    const clattn_forced_setting *forced = clattn_context_tuning(call->context)->forced;
    call->forced = forced && forced->op == call->op;
    if (call->forced) {
        call->setting = &forced->setting;
        return;
    }
    const known_setting *found = find(call, args);
    call->setting = found && !*found->left_out ? &found->entry.setting : NULL;
}

int clattn_tuned(const clattn_call *call, const char *name, int64_t fallback) {
    for (int i = 0; call->setting && i < call->setting->count; i++)
        if (strcmp(call->setting->tunables[i]->name, name) == 0) return call->setting->values[i];
    return (int)fallback;
}

bool clattn_setting_concerns(const clattn_setting *setting, const clattn_variant *variant) {
    return setting && setting->count && strcmp(setting->tunables[0]->variant, variant->name) == 0;
}

void clattn_setting_leave_out(clattn_call *call, const char *reason) {
    known_setting *at = clattn_context_tuning(call->context)->settings;
    while (at && &at->entry.setting != call->setting) at = at->next;
    call->setting = NULL;
    if (!at) return;
    snprintf(at->left_out, sizeof at->left_out, "%s", reason);
    clattn_log(call->context, CLATTN_LOG_WARNING, "tuning: the setting for %s %s in %s is not used in this context: %s", call->op->name, at->entry.shape_class, at->source, at->left_out);
}

/* ---- What others ask ---- */

static bool has_tunable(const clattn_op *op, const clattn_tunable *tunable, int value) {
    const clattn_tunable *own;
    for (size_t i = 0; (own = clattn_op_tunable(op, i)); i++)
        for (int k = 0; own == tunable && k < CLATTN_TUNABLE_VALUES; k++)
            if (value > 0 && own->values[k] == value) return true;
    return false;
}

/* Whether all of it is the operation's, and the tunables are of one variant. */
static bool is_setting(const clattn_op *op, const clattn_setting *setting) {
    bool known = setting->variant == NULL;
    for (size_t i = 0; !known && clattn_op_variant(op, i); i++) known = strcmp(clattn_op_variant(op, i), setting->variant) == 0;
    if (setting->count < 0 || setting->count > CLATTN_MAX_TUNED) return false;
    for (int i = 0; i < setting->count && known; i++) known = has_tunable(op, setting->tunables[i], setting->values[i]) && strcmp(setting->tunables[i]->variant, setting->tunables[0]->variant) == 0;
    return known;
}

clattn_status clattn_tuning_force(clattn_context *context, const clattn_op *op, const clattn_setting *setting) {
    if (!context || !clattn_context_device(context) || !op) return CLATTN_ERROR_ARGUMENT;
    clattn_tuning_state *state = clattn_context_tuning(context);
    if (setting && !is_setting(op, setting)) return clattn_fail(context, CLATTN_ERROR_ARGUMENT, "tuning: the setting names a variant, tunable or value that %s does not have, or tunables of several variants", op->name);
    free(state->forced);
    state->forced = NULL;
    if (!setting) return CLATTN_OK;
    clattn_forced_setting *made = calloc(1, sizeof *made);
    if (!made) return clattn_fail(context, CLATTN_ERROR_OUT_OF_MEMORY, "tuning: out of host memory");
    *made = (clattn_forced_setting){ .op = op, .setting = *setting };
    state->forced = made;
    return CLATTN_OK;
}

clattn_status clattn_op_class(clattn_context *context, const clattn_op *op, const void *args, char *text, size_t size) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !text || !size) return CLATTN_ERROR_ARGUMENT;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    *text = '\0';
    const clattn_status status = clattn_check_inputs(&call, copy, true);
    if (!status && op->code->tunables) op->code->shape_class(&call, copy, text, size);
    return status;
}

clattn_status clattn_tuning_entry_for(clattn_context *context, const clattn_op *op, const void *args, clattn_tuning_entry *entry) {
    if (!context || !clattn_context_device(context) || !op || !entry) return CLATTN_ERROR_ARGUMENT;
    *entry = (clattn_tuning_entry){ .op = op };
    if (!op->code->tunables) return clattn_fail(context, CLATTN_ERROR_UNSUPPORTED, "tuning: %s has nothing to tune", op->name);
    name_device(context, entry);
    clattn_kernels_digest(op->code->kernels, entry->kernels);
    clattn_system_utc(entry->measured);
    return clattn_op_class(context, op, args, entry->shape_class, sizeof entry->shape_class);
}

/* Why the variant whose tunables they are refuses to run so, where it would run without. */
static const char *own_refusal(clattn_call *call, const void *args, const clattn_setting *setting) {
    const char *with = NULL, *without = NULL;
    for (size_t i = 0; i < call->op->code->variant_count; i++) {
        const clattn_variant *v = &call->op->code->variants[i];
        if (!v->refusal || !clattn_setting_concerns(setting, v)) continue;
        call->setting = NULL;
        without = v->refusal(call, args);
        call->setting = setting;
        with = v->refusal(call, args);
    }
    return without ? NULL : with;
}

bool clattn_tuning_find(clattn_context *context, const clattn_op *op, const void *args, clattn_tuning_entry *entry, const char **source, const char **refusal) {
    _Alignas(16) char copy[CLATTN_MAX_ARGS_SIZE];
    if (!context || !clattn_context_device(context) || !op || !args || !entry) return false;
    clattn_call call = { .context = context, .op = op };
    memcpy(copy, args, op->args_size);
    const known_setting *found = clattn_check_inputs(&call, copy, false) ? NULL : find(&call, copy);
    if (!found) return false;
    *entry = found->entry;
    if (source) *source = found->source;
    if (refusal) *refusal = *found->left_out ? found->left_out : own_refusal(&call, copy, &found->entry.setting);
    return true;
}
