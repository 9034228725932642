/* The first use of a variant in a context: examples of its operation that it can serve are run with it and compared with
 * the reference. One that gives wrong results, or cannot be built, is not used in this context. One that no example fits is
 * used, and the log says that it is unchecked. */
#include "check.h"
#include "selfcheck.h"
#include "tuning.h"

#include <stdlib.h>

#define MOST_EXAMPLES 2 /* of those that fit */

typedef enum verdict { UNKNOWN, CHECKING, UNCHECKED, GOOD, DEMOTED } verdict;

typedef struct check {
    struct check *next;
    const clattn_op *op;
    const clattn_variant *variant;
    int storage;
    bool tuned; /* under the setting */
    clattn_setting setting;
    verdict verdict;
    char reason[600];
} check;

/* ---- How the tensors are stored: f16, bf16 and strides take other kernels, or others beside the variant's ---- */

static int storage_of_tensor(const clattn_tensor *tensor) {
    const int type = tensor->dtype == CLATTN_F16 ? CLATTN_CASE_F16 : tensor->dtype == CLATTN_BF16 ? CLATTN_CASE_BF16 : 0;
    return clattn_tensor_dense(tensor) ? type : type | CLATTN_CASE_STRIDED;
}

/* As the flags of a case, which stores all floats in one way. */
static int storage_of(const clattn_op *op, const void *args) {
    int storage = 0;
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_field *field = &op->fields[i];
        const int count = field->kind == CLATTN_FIELD_INPUT ? clattn_field_tensors(field, args) : field->kind == CLATTN_FIELD_OUTPUT && clattn_field_tensor(field, args, 0);
        for (int k = 0; k < count; k++) storage |= storage_of_tensor(clattn_field_tensor(field, args, k));
    }
    return storage & CLATTN_CASE_F16 ? storage & ~CLATTN_CASE_BF16 : storage;
}

static const char *storage_text(int storage) {
    static const char *const texts[] = { "", ", strided", ", f16", ", f16 strided", ", bf16", ", bf16 strided" };
    return texts[storage];
}

/* Also under which setting. */
static const char *how_text(const check *c, char *text, size_t size) {
    char setting[120];
    snprintf(text, size, "%s%s%s", storage_text(c->storage), c->tuned ? ", " : "", c->tuned ? clattn_setting_text(&c->setting, setting, sizeof setting) : "");
    return text;
}

/* ---- The list: kept with the context, which frees its items. Operations may share a table of variants. ---- */

/* Which variant is preferred does not change how it runs. */
static bool is_same_setting(const check *c, const clattn_setting *setting) {
    if (!setting || !c->tuned) return !setting && !c->tuned;
    bool same = c->setting.count == setting->count;
    for (int i = 0; i < setting->count && same; i++) same = c->setting.tunables[i] == setting->tunables[i] && c->setting.values[i] == setting->values[i];
    return same;
}

static check *find(clattn_context *context, const clattn_op *op, const clattn_variant *variant, int storage, const clattn_setting *setting) {
    check *at = *clattn_context_checks(context);
    while (at && (at->op != op || at->variant != variant || at->storage != storage || !is_same_setting(at, setting))) at = at->next;
    return at;
}

static check *add(clattn_context *context, const clattn_op *op, const clattn_variant *variant, int storage, const clattn_setting *setting) {
    check *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    *made = (check){ .next = *clattn_context_checks(context), .op = op, .variant = variant, .storage = storage, .tuned = setting != NULL };
    if (setting) made->setting = *setting;
    *clattn_context_checks(context) = made;
    return made;
}

/* ---- Judging ---- */

/* What was demoted with tensors stored in another way still fits: running it says so. */
static bool fits(clattn_context *context, const check *c, const void *args) {
    const char *refusal = clattn_refusal_by_name(context, c->op, args, c->variant->name);
    return !refusal || refusal == clattn_demotion_of(context, c->op, args, c->variant, c->tuned ? &c->setting : NULL);
}

/* CLATTN_OK also when the variant does not fit the example; `*ran` counts those that it does. */
static clattn_status try_example(clattn_context *context, const check *checked, const char *text, int storage, int *ran) {
    clattn_case *c;
    clattn_status status = clattn_case_open(context, text, 1, storage, &c);
    if (!status && fits(context, checked, clattn_case_args(c))) {
        status = clattn_case_check(c, checked->variant->name);
        ++*ran;
    }
    clattn_case_close(&c);
    return status;
}

static clattn_status try_examples(clattn_context *context, const check *c, int storage, int *ran) {
    clattn_status status = CLATTN_OK;
    const char *example;
    for (size_t i = 0; !status && *ran < MOST_EXAMPLES && (example = clattn_op_example(c->op, i)); i++) status = try_example(context, c, example, storage, ran);
    return status;
}

/* What says nothing about the variant: a full device, a device that is gone. */
static bool is_verdict(clattn_status status) {
    return status == CLATTN_OK || status == CLATTN_ERROR_DRIVER || status == CLATTN_ERROR_BUILD || status == CLATTN_ERROR_UNSUPPORTED;
}

static verdict verdict_of(clattn_status status, int ran) {
    if (!is_verdict(status)) return UNKNOWN;
    return status ? DEMOTED : ran ? GOOD : UNCHECKED;
}

static void tell(clattn_context *context, const check *c, int ran) {
    char how[160];
    const char *op = c->op->name, *variant = c->variant->name, *storage = how_text(c, how, sizeof how);
    switch (c->verdict) {
    case GOOD: clattn_log(context, CLATTN_LOG_DEBUG, "checked %s/%s%s by %d examples", op, variant, storage, ran); return;
    case UNCHECKED: clattn_log(context, CLATTN_LOG_WARNING, "%s/%s%s is unchecked: it fits none of the operation's examples on this device", op, variant, storage); return;
    case DEMOTED: clattn_log(context, CLATTN_LOG_WARNING, "%s/%s%s is not used in this context: %s", op, variant, storage, c->reason); return;
    case UNKNOWN: case CHECKING: clattn_log(context, CLATTN_LOG_WARNING, "%s/%s%s could not be checked now: %.500s", op, variant, storage, clattn_message(context)); return;
    }
}

/* A variant may take views, but not all of those that the examples become: dense ones are better than none. */
static void judge(clattn_context *context, check *c) {
    int ran = 0;
    char how[160];
    clattn_forced_setting forced = { .op = c->op, .setting = c->setting };
    void **place = &clattn_context_tuning(context)->forced, *before = *place;
    c->verdict = CHECKING;
    *place = &forced; /* what the databases say of the examples' own classes is not asked for */
    clattn_status status = try_examples(context, c, c->storage, &ran);
    if (!status && !ran && c->storage & CLATTN_CASE_STRIDED) status = try_examples(context, c, c->storage & ~CLATTN_CASE_STRIDED, &ran);
    *place = before;
    c->verdict = verdict_of(status, ran);
    if (c->verdict == DEMOTED) snprintf(c->reason, sizeof c->reason, "demoted: its self-check failed%s: %.400s", how_text(c, how, sizeof how), clattn_message(context));
    tell(context, c, ran);
}

/* Operations inside others are checked in the same stay aside. */
static void judge_aside(clattn_context *context, check *c) {
    char name[320], how[160];
    snprintf(name, sizeof name, "self-check/%s/%s%s", c->op->name, c->variant->name, how_text(c, how, sizeof how));
    if (clattn_verdict_known(context, name, c->op->code->examples)) {
        c->verdict = GOOD;
        return;
    }
    clattn_aside *aside = clattn_aside_begin(context);
    if (!aside) {
        clattn_log(context, CLATTN_LOG_WARNING, "%s could not be made: there is no queue or memory for it", name);
        return;
    }
    judge(context, c);
    clattn_aside_end(context, aside);
    if (c->verdict == GOOD) clattn_verdict_keep(context, name, c->op->code->examples);
}

/* ---- What operations ask ---- */

static const char *reason_of(const check *c) {
    return c && c->verdict == DEMOTED ? c->reason : NULL;
}

const char *clattn_self_check(clattn_context *context, const clattn_op *op, const void *args, const clattn_variant *variant, const clattn_setting *setting) {
    const int storage = storage_of(op, args);
    check *c = find(context, op, variant, storage, setting);
    if (!c && clattn_context_checked(context)) c = add(context, op, variant, storage, setting);
    if (c && c->verdict == UNKNOWN) judge_aside(context, c);
    return reason_of(c);
}

const char *clattn_demotion_of(clattn_context *context, const clattn_op *op, const void *args, const clattn_variant *variant, const clattn_setting *setting) {
    return reason_of(find(context, op, variant, storage_of(op, args), setting));
}

const char *clattn_op_demotion(clattn_context *context, size_t index, const clattn_op **op, const char **variant) {
    const check *c = context ? *clattn_context_checks(context) : NULL;
    for (; c; c = c->next) {
        if (c->verdict != DEMOTED || c->tuned || index--) continue; /* a setting that fails is left out, its variant is used */
        if (op) *op = c->op;
        if (variant) *variant = c->variant->name;
        return c->reason;
    }
    return NULL;
}
