/* Databases of settings as files: JSON, see clattn/tuning.h. Whatever stands in one, it is read to the end or refused. */
#include "tuning.h"

#include <stdlib.h>

#include "../device/system.h"

const char *clattn_printable(const char *text, char *copy, size_t size) {
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++) copy[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    if (size) copy[i] = '\0';
    return copy;
}

#ifdef CLATTN_JANSSON

#include <jansson.h>

#define FORMAT 1

/* ---- One entry ---- */

/* An entry that is being read: what is wrong with it, if anything is. */
typedef struct parsing {
    const json_t *object;
    clattn_tuning_entry entry;
    char fault[200];
} parsing;

static bool fail(parsing *p, const char *format, const char *name) {
    char shown[48];
    snprintf(p->fault, sizeof p->fault, format, clattn_printable(name, shown, sizeof shown));
    return false;
}

static bool is_printable(const char *text) {
    for (; *text; text++)
        if (*text < ' ' || *text > '~') return false;
    return true;
}

/* The text under `key`; one that may be absent is "" then. */
static bool parse_text(parsing *p, const char *key, bool required, char *to, size_t size) {
    const json_t *value = json_object_get(p->object, key);
    *to = '\0';
    if (!value && !required) return true;
    const char *text = json_string_value(value);
    if (!text || (required && !*text)) return fail(p, "its %s is missing or no text", key);
    if (json_string_length(value) >= size || strlen(text) != json_string_length(value) || !is_printable(text)) return fail(p, "its %s is too long or not printable", key);
    memcpy(to, text, strlen(text) + 1);
    return true;
}

static bool parse_seconds(parsing *p, const char *key, double *to) {
    const json_t *value = json_object_get(p->object, key);
    *to = json_number_value(value);
    return !value || (json_is_number(value) && *to >= 0) || fail(p, "%s is no time", key);
}

static bool parse_op(parsing *p) {
    char name[48];
    if (!parse_text(p, "op", true, name, sizeof name)) return false;
    p->entry.op = clattn_op_find(name);
    if (!p->entry.op) return fail(p, "there is no operation \"%s\"", name);
    return p->entry.op->code->tunables || fail(p, "%s has nothing to tune", name);
}

static bool parse_variant(parsing *p) {
    char name[48];
    if (!parse_text(p, "variant", false, name, sizeof name)) return false;
    if (!*name) return true;
    for (size_t i = 0; clattn_op_variant(p->entry.op, i); i++)
        if (strcmp(clattn_op_variant(p->entry.op, i), name) == 0) p->entry.setting.variant = clattn_op_variant(p->entry.op, i);
    return p->entry.setting.variant || fail(p, "there is no variant \"%s\"", name);
}

static const clattn_tunable *find_tunable(const clattn_op *op, const char *name) {
    const clattn_tunable *tunable;
    size_t i = 0;
    while ((tunable = clattn_op_tunable(op, i)) && strcmp(tunable->name, name)) i++;
    return tunable;
}

static bool is_allowed(const clattn_tunable *tunable, json_int_t value) {
    for (int i = 0; i < CLATTN_TUNABLE_VALUES && tunable->values[i]; i++)
        if (tunable->values[i] == value) return true;
    return false;
}

static bool parse_tunable(parsing *p, const char *name, const json_t *value) {
    clattn_setting *s = &p->entry.setting;
    const clattn_tunable *tunable = find_tunable(p->entry.op, name);
    if (!tunable) return fail(p, "there is no tunable \"%s\"", name);
    if (!json_is_integer(value) || !is_allowed(tunable, json_integer_value(value))) return fail(p, "%s does not have that value", name);
    const char *owner = s->variant ? s->variant : s->count ? s->tunables[0]->variant : tunable->variant;
    if (strcmp(owner, tunable->variant)) return fail(p, "%s belongs to another variant", name);
    if (s->count == CLATTN_MAX_TUNED) return fail(p, "%s is one tunable too many", name);
    s->tunables[s->count] = tunable;
    s->values[s->count++] = (int)json_integer_value(value);
    return true;
}

static bool parse_tunables(parsing *p) {
    json_t *all = json_object_get(p->object, "tunables");
    if (!all) return true;
    if (!json_is_object(all)) return fail(p, "%s is no object", "tunables");
    for (void *at = json_object_iter(all); at; at = json_object_iter_next(all, at))
        if (!parse_tunable(p, json_object_iter_key(at), json_object_iter_value(at))) return false;
    return true;
}

/* False when it cannot be used: p->fault says why. */
static bool parse_entry(parsing *p, const json_t *object) {
    clattn_tuning_entry *e = &p->entry;
    *p = (parsing){ .object = object };
    if (!json_is_object(object)) return fail(p, "it is no %s", "object");
    return parse_text(p, "platform", true, e->platform, sizeof e->platform) && parse_text(p, "device", true, e->device, sizeof e->device) &&
        parse_text(p, "driver", true, e->driver, sizeof e->driver) && parse_text(p, "kernels", true, e->kernels, sizeof e->kernels) && parse_op(p) &&
        parse_text(p, "class", true, e->shape_class, sizeof e->shape_class) && parse_variant(p) && parse_tunables(p) && parse_seconds(p, "seconds", &e->seconds) &&
        parse_seconds(p, "default_seconds", &e->default_seconds) && parse_text(p, "measured", false, e->measured, sizeof e->measured);
}

/* ---- The file ---- */

/* What failed, of `path` (NULL: the built-in database); returns `status`. */
static clattn_status refuse(clattn_status status, const char *path, const char *what, char *message, size_t size) {
    char shown[300];
    if (message) snprintf(message, size, "%s %s", path ? path : "the built-in database", clattn_printable(what, shown, sizeof shown));
    return status;
}

static clattn_status check_form(const json_t *whole, const char *path, char *message, size_t size) {
    const json_t *format = json_object_get(whole, "format");
    if (!json_is_integer(format)) return refuse(CLATTN_ERROR_FORMAT, path, "is no database of settings: it has no format", message, size);
    if (json_integer_value(format) != FORMAT) return refuse(CLATTN_ERROR_FORMAT, path, "has a format that this release does not know", message, size);
    return json_is_array(json_object_get(whole, "entries")) ? CLATTN_OK : refuse(CLATTN_ERROR_FORMAT, path, "is no database of settings: it has no list of entries", message, size);
}

static clattn_status parse(const char *text, size_t length, const char *path, json_t **whole, char *message, size_t size) {
    char what[300];
    json_error_t error;
    *whole = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!*whole) {
        snprintf(what, sizeof what, "is not valid JSON: %s (line %d)", *error.text ? error.text : "out of memory", error.line);
        return refuse(*error.text ? CLATTN_ERROR_FORMAT : CLATTN_ERROR_OUT_OF_MEMORY, path, what, message, size);
    }
    const clattn_status status = check_form(*whole, path, message, size);
    if (!status) return CLATTN_OK;
    json_decref(*whole);
    *whole = NULL;
    return status;
}

static clattn_status load(const char *path, json_t **whole, char *message, size_t size) {
    size_t length = 0;
    *whole = NULL;
    if (!path) return parse((const char *)clattn_tuning_defaults, clattn_tuning_defaults_size, NULL, whole, message, size);
    unsigned char *text = clattn_system_read_file(path, CLATTN_TUNING_LARGEST, &length);
    if (!text) return refuse(CLATTN_ERROR_FILE, path, "is no file that can be read, or has more than 1 MiB", message, size);
    const clattn_status status = parse((const char *)text, length, path, whole, message, size);
    free(text);
    return status;
}

clattn_status clattn_tuning_visit(const char *path, clattn_tuning_fn visit, void *user, char *message, size_t message_size) {
    json_t *whole;
    if (!visit) return CLATTN_ERROR_ARGUMENT;
    const clattn_status status = load(path, &whole, message, message_size);
    if (status) return status;
    const json_t *entries = json_object_get(whole, "entries");
    bool more = true;
    for (size_t i = 0; i < json_array_size(entries) && more; i++) {
        parsing p;
        const bool good = parse_entry(&p, json_array_get(entries, i));
        more = visit(user, i + 1, &p.entry, good ? NULL : p.fault);
    }
    json_decref(whole);
    return CLATTN_OK;
}

/* ---- Writing ---- */

static json_t *tunables_object(const clattn_setting *setting) {
    json_t *all = json_object();
    for (int i = 0; i < setting->count; i++)
        if (json_object_set_new(all, setting->tunables[i]->name, json_integer(setting->values[i]))) return json_decref(all), NULL;
    return all;
}

/* What the setting leaves to clattn has no member. */
static json_t *entry_object(const clattn_tuning_entry *e) {
    json_t *tunables = tunables_object(&e->setting);
    json_t *made = tunables ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "platform", e->platform, "device", e->device, "driver", e->driver, "kernels", e->kernels, "op", e->op->name, "class", e->shape_class) : NULL;
    bool good = made != NULL;
    if (e->setting.variant) good = good && !json_object_set_new(made, "variant", json_string(e->setting.variant));
    good = good && !json_object_set(made, "tunables", tunables) && !json_object_set_new(made, "seconds", json_real(e->seconds)) && !json_object_set_new(made, "default_seconds", json_real(e->default_seconds)) && !json_object_set_new(made, "measured", json_string(e->measured));
    json_decref(tunables);
    if (good) return made;
    json_decref(made);
    return NULL;
}

static bool has_text(const json_t *object, const char *key, const char *text) {
    const char *found = json_string_value(json_object_get(object, key));
    return found && strcmp(found, text) == 0;
}

static bool is_for_the_same(const json_t *object, const clattn_tuning_entry *e) {
    return has_text(object, "platform", e->platform) && has_text(object, "device", e->device) && has_text(object, "driver", e->driver) && has_text(object, "op", e->op->name) && has_text(object, "class", e->shape_class);
}

/* False without memory. */
static bool put(json_t *entries, const clattn_tuning_entry *e) {
    for (size_t i = json_array_size(entries); i-- > 0;) {
        const json_t *other = json_array_get(entries, i);
        if (!is_for_the_same(other, e)) continue;
        const char *measured = json_string_value(json_object_get(other, "measured"));
        if (measured && strcmp(measured, e->measured) > 0) return true;
        json_array_remove(entries, i);
    }
    return json_array_append_new(entries, entry_object(e)) == 0;
}

static clattn_status write_whole(const char *path, const json_t *whole, char *message, size_t size) {
    char *text = json_dumps(whole, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    const size_t length = text ? strlen(text) : 0;
    clattn_status status = text ? CLATTN_OK : refuse(CLATTN_ERROR_OUT_OF_MEMORY, path, "is not written: out of memory", message, size);
    if (length >= CLATTN_TUNING_LARGEST) status = refuse(CLATTN_ERROR_FILE, path, "is not written: it would have more than 1 MiB", message, size);
    if (!status && !clattn_system_write_file(path, (const void *[]){ text, "\n" }, (size_t[]){ length, 1 }, 2)) status = refuse(CLATTN_ERROR_FILE, path, "cannot be written", message, size);
    free(text);
    return status;
}

static clattn_status store(const char *path, const clattn_tuning_entry *entries, size_t count, char *message, size_t size) {
    json_t *whole = NULL;
    clattn_status status = CLATTN_OK;
    if (clattn_system_exists(path)) status = load(path, &whole, message, size);
    else whole = json_pack("{s:i, s:[]}", "format", FORMAT, "entries");
    for (size_t i = 0; i < count && whole; i++)
        if (!put(json_object_get(whole, "entries"), &entries[i])) status = refuse(CLATTN_ERROR_OUT_OF_MEMORY, path, "is not written: out of memory", message, size);
    if (!status) status = write_whole(path, whole, message, size);
    json_decref(whole);
    return status;
}

static bool make_parent(const char *path) {
    char directory[4096];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return true;
    const int length = snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    return length > 0 && (size_t)length < sizeof directory && clattn_system_make_directories(directory);
}

clattn_status clattn_tuning_store(const char *path, const clattn_tuning_entry *entries, size_t count, char *message, size_t message_size) {
    if (!path || !*path || (count && !entries)) return CLATTN_ERROR_ARGUMENT;
    /* What is written takes the place of what was there, be it a device. */
    if (clattn_system_exists(path) && !clattn_system_is_file(path)) return refuse(CLATTN_ERROR_FILE, path, "is no file", message, message_size);
    if (!make_parent(path)) return refuse(CLATTN_ERROR_FILE, path, "cannot be written: its directory cannot be made", message, message_size);
    const int lock = clattn_system_lock_directory(path);
    const clattn_status status = store(path, entries, count, message, message_size);
    clattn_system_unlock_directory(lock);
    return status;
}

#else

static clattn_status refuse(const char *path, char *message, size_t size) {
    if (message) snprintf(message, size, "%s is not used: clattn was built without JSON (Meson option tuning)", path ? path : "the built-in database");
    return CLATTN_ERROR_UNSUPPORTED;
}

clattn_status clattn_tuning_visit(const char *path, clattn_tuning_fn visit, void *user, char *message, size_t message_size) {
    (void)user;
    return visit ? refuse(path, message, message_size) : CLATTN_ERROR_ARGUMENT;
}

clattn_status clattn_tuning_store(const char *path, const clattn_tuning_entry *entries, size_t count, char *message, size_t message_size) {
    if (!path || !*path || (count && !entries)) return CLATTN_ERROR_ARGUMENT;
    return refuse(path, message, message_size);
}

#endif
