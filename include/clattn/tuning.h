/* clattn/tuning.h - what of the operations can be tuned, and the databases that keep what a measurement found.
 *
 * A variant's tunables are integers that cut its work: tiles, rows, groups. By itself clattn derives them from the shapes. A
 * setting replaces some of them for one class of shapes on one device, and may name the variant to take. `clattn tune`
 * measures and writes settings; contexts read them when an operation first asks: the built-in ones, then the user's own file
 * (clattn_open_params). A setting changes how fast a result comes; as after any change of the order of sums, its last
 * bits may differ.
 *
 * A database is a JSON file of at most CLATTN_TUNING_LARGEST bytes:
 *
 *   {"format": 1, "entries": [
 *     {"platform": "...", "device": "...", "driver": "...", "kernels": "...", "op": "matmul", "class": "m512 n512 k512",
 *      "variant": "cpu", "tunables": {"panel": 2, "tile": 12}, "seconds": 0.0012, "default_seconds": 0.0013,
 *      "measured": "2026-11-28T15:48:03Z"}]}
 *
 * platform, device and driver are texts as in clattn_device_info ('?' for what is not printable ASCII), kernels is a
 * digest of the operation's kernels; "*" stands for any. An entry whose driver or kernels are others than the context's is
 * stale: it is not used, and the log says how many of the user's file are. variant, tunables, the times and measured may be
 * absent. Entries that name what does not exist, values that are not among those allowed, files that are no such JSON: not used,
 * with a warning. Of several that fit, one of the user's file comes before a built-in one, one without "*" before one with
 * it, the later before the earlier. */
#ifndef CLATTN_TUNING_H
#define CLATTN_TUNING_H

#include <clattn/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLATTN_TUNABLE_VALUES 8
#define CLATTN_MAX_TUNED 6
#define CLATTN_TUNING_LARGEST (1 << 20)

/* One integer of one variant. Static storage. */
typedef struct clattn_tunable {
    const char *variant; /* whose it is */
    const char *name;    /* no other of the operation has it */
    const char *text;    /* one line: what it cuts */
    int values[CLATTN_TUNABLE_VALUES]; /* that it may have, rising from 1; 0 after the last */
} clattn_tunable;

/* In the order of the variants; NULL past the end. */
CLATTN_API const clattn_tunable *clattn_op_tunable(const clattn_op *op, size_t index);
/* Written cases that stand for the usual classes of shapes of an operation with tunables; NULL past the end. */
CLATTN_API const char *clattn_op_tuning_case(const clattn_op *op, size_t index);

/* The class of shapes of these arguments, such as "h8 D64 Tq512 Tk512 causal": sizes are rounded to powers of two, so that 768 to
 * 1535 are 1024. "" for an operation without tunables. Tensors need no buffer. */
CLATTN_API clattn_status clattn_op_class(clattn_context *context, const clattn_op *op, const void *args, char *text, size_t size);

/* Values of some tunables of one operation; all others stay clattn's own choice. */
typedef struct clattn_setting {
    const char *variant; /* tried before the others; NULL: the usual order */
    int count; /* of the two arrays */
    const clattn_tunable *tunables[CLATTN_MAX_TUNED]; /* of the operation */
    int values[CLATTN_MAX_TUNED]; /* theirs */
} clattn_setting;

/* "tile=12 panel=2" into `text`; "" for none. Returns `text`. */
CLATTN_API const char *clattn_setting_text(const clattn_setting *setting, char *text, size_t size);

/* From now on all calls of `op` in this context run under `setting` instead of what the databases say, whatever their shapes; NULL
 * ends it. A variant that the setting does not fit refuses, where a setting of a database would be left out. For searches
 * and tests; one operation at a time. */
CLATTN_API clattn_status clattn_tuning_force(clattn_context *context, const clattn_op *op, const clattn_setting *setting);

/* One entry of a database. */
typedef struct clattn_tuning_entry {
    char platform[160], device[160], driver[96], kernels[24]; /* where it was measured; "*": any */
    const clattn_op *op; /* of the registry */
    char shape_class[96]; /* as clattn_op_class gives it */
    clattn_setting setting; /* the fastest */
    double seconds, default_seconds; /* of one run with the setting and without; 0: not told */
    char measured[24]; /* UTC, "2026-11-28T15:48:03Z"; "" if not told */
} clattn_tuning_entry;

/* An entry for these arguments on the context's device, measured now, with an empty setting. */
CLATTN_API clattn_status clattn_tuning_entry_for(clattn_context *context, const clattn_op *op, const void *args, clattn_tuning_entry *entry);

/* What the databases say of these arguments; false: nothing. `source` gets the file (or "the built-in database"), `refusal` why the
 * setting is left out, NULL when it is in force; valid until the next call. */
CLATTN_API bool clattn_tuning_find(clattn_context *context, const clattn_op *op, const void *args, clattn_tuning_entry *entry, const char **source, const char **refusal);

/* Reads the context's databases anew and tells what is stale or wrong in them, as notes. */
CLATTN_API clattn_status clattn_tuning_examine(clattn_context *context, clattn_finding_fn finding, void *user);

/* The user's own file that the context reads (NULL: that clattn_open reads without parameters), into `path`; false when there is none
 * or it does not fit. */
CLATTN_API bool clattn_tuning_path(clattn_context *context, char *path, size_t size);

/* Told of each entry of a file, counted from 1; `fault` says why it cannot be used (then `entry` is not complete), else NULL. Texts
 * are valid during the call. Return false to stop. */
typedef bool (*clattn_tuning_fn)(void *user, size_t number, const clattn_tuning_entry *entry, const char *fault);

/* Reads a database; NULL: the built-in one. CLATTN_ERROR_FILE when it cannot be read or is too large, CLATTN_ERROR_FORMAT when it is no
 * database, CLATTN_ERROR_UNSUPPORTED where clattn was built without JSON; with a message. */
CLATTN_API clattn_status clattn_tuning_visit(const char *path, clattn_tuning_fn visit, void *user, char *message, size_t message_size);

/* Puts entries into a file, which is made if need be: each in the place of one for the same platform, device, driver,
 * operation and class, unless that was measured later. Other entries stay as they are, also those that this release does not
 * know. Whoever reads the file meanwhile gets the old one or the new one; writers wait for each other. A file that is
 * no database is not touched: CLATTN_ERROR_FORMAT. */
CLATTN_API clattn_status clattn_tuning_store(const char *path, const clattn_tuning_entry *entries, size_t count, char *message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif
