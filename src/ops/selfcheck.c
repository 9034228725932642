/* The first use of a variant in a context: examples of its operation that it can serve are run with it and compared with
 * the reference. One that gives wrong results, or cannot be built, is not used in this context. */
#include "selfcheck.h"

#include <stdlib.h>

#define MOST_EXAMPLES 2 /* of those that fit */

typedef enum verdict { UNKNOWN, CHECKING, GOOD, DEMOTED } verdict;

typedef struct check {
    struct check *next;
    const clattn_op *op;
    const clattn_variant *variant;
    verdict verdict;
    char reason[600];
} check;

/* Kept with the context, which frees the list's items. Operations may share a table of variants. */
static check *find(clattn_context *context, const clattn_op *op, const clattn_variant *variant) {
    check *at = *clattn_context_checks(context);
    while (at && (at->op != op || at->variant != variant)) at = at->next;
    return at;
}

static check *add(clattn_context *context, const clattn_op *op, const clattn_variant *variant) {
    check *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    *made = (check){ .next = *clattn_context_checks(context), .op = op, .variant = variant };
    *clattn_context_checks(context) = made;
    return made;
}

/* CLATTN_OK also when the variant does not fit the example; `*ran` counts those that it does. */
static clattn_status try_example(clattn_context *context, const char *text, const char *variant, int *ran) {
    clattn_case *c;
    clattn_status status = clattn_case_open(context, text, 1, 0, &c);
    if (!status && !clattn_op_refusal(context, clattn_case_op(c), clattn_case_args(c), variant)) {
        status = clattn_case_check(c, variant);
        ++*ran;
    }
    clattn_case_close(&c);
    return status;
}

/* What says nothing about the variant: a full device, a device that is gone. */
static bool is_verdict(clattn_status status) {
    return status == CLATTN_OK || status == CLATTN_ERROR_DRIVER || status == CLATTN_ERROR_BUILD || status == CLATTN_ERROR_UNSUPPORTED;
}

static void judge(clattn_context *context, check *c) {
    int ran = 0;
    const char *example;
    clattn_status status = CLATTN_OK;
    c->verdict = CHECKING;
    for (size_t i = 0; !status && ran < MOST_EXAMPLES && (example = clattn_op_example(c->op, i)); i++) status = try_example(context, example, c->variant->name, &ran);
    c->verdict = !is_verdict(status) ? UNKNOWN : status ? DEMOTED : GOOD;
    clattn_log(context, CLATTN_LOG_DEBUG, "checked %s/%s by %d examples", c->op->name, c->variant->name, ran);
    if (!status) return;
    snprintf(c->reason, sizeof c->reason, "demoted: its self-check failed: %.500s", clattn_message(context));
    if (c->verdict == DEMOTED) clattn_log(context, CLATTN_LOG_WARNING, "%s/%s is not used in this context: %s", c->op->name, c->variant->name, c->reason);
}

/* Operations inside others are checked in the same stay aside. */
static void judge_aside(clattn_context *context, check *c) {
    char name[160];
    snprintf(name, sizeof name, "self-check/%s/%s", c->op->name, c->variant->name);
    if (clattn_verdict_known(context, name)) {
        c->verdict = GOOD;
        return;
    }
    clattn_aside *aside = clattn_aside_begin(context);
    if (!aside) return;
    judge(context, c);
    clattn_aside_end(context, aside);
    if (c->verdict == GOOD) clattn_verdict_keep(context, name);
}

const char *clattn_self_check(clattn_context *context, const clattn_op *op, const clattn_variant *variant) {
    check *c = find(context, op, variant);
    if (!c && clattn_context_checked(context)) c = add(context, op, variant);
    if (c && c->verdict == UNKNOWN) judge_aside(context, c);
    return c && c->verdict == DEMOTED ? c->reason : NULL;
}

const char *clattn_demotion_of(clattn_context *context, const clattn_op *op, const clattn_variant *variant) {
    const check *c = find(context, op, variant);
    return c && c->verdict == DEMOTED ? c->reason : NULL;
}

const char *clattn_op_demotion(clattn_context *context, size_t index, const clattn_op **op, const char **variant) {
    const check *c = context ? *clattn_context_checks(context) : NULL;
    for (; c; c = c->next) {
        if (c->verdict != DEMOTED || index--) continue;
        if (op) *op = c->op;
        if (variant) *variant = c->variant->name;
        return c->reason;
    }
    return NULL;
}
