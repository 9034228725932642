#include "small.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cases.h"

/* The most work of a case that runs; 0 = any. */
static double limit(void) {
    const char *text = getenv("CLATTN_TEST_SMALL");
    char *end;
    if (!text || !*text) return 0;
    const double most = strtod(text, &end);
    cr_assert(*end == '\0' && most >= 1, "CLATTN_TEST_SMALL is \"%s\"; expected a number of operations and elements", text);
    return most;
}

static double work_of(clattn_context *context, const clattn_op *op, const void *args) {
    double flops, bytes;
    cr_assert_eq(clattn_op_work(context, op, args, &flops, &bytes), CLATTN_OK, "%s", clattn_message(context));
    return 1 + flops + bytes / sizeof(float);
}

static clattn_case *opened(clattn_context *context, const char *text) {
    clattn_case *c;
    cr_assert_eq(clattn_case_open(context, text, test_seed(), 0, &c), CLATTN_OK, "%s\n  case: %s", clattn_message(context), text);
    return c;
}

void small_see(small_table *table, clattn_context *context, const clattn_op *op, const void *args) {
    const double work = work_of(context, op, args);
    if (!table->of++ || work < table->smallest) table->smallest = work;
}

void small_see_all(small_table *table, clattn_context *context, const char *const *cases) {
    for (; *cases; cases++) {
        clattn_case *c = opened(context, *cases);
        small_see(table, context, clattn_case_op(c), clattn_case_args(c));
        clattn_case_close(&c);
    }
}

bool small_takes(small_table *table, clattn_context *context, const clattn_op *op, const void *args) {
    const double most = limit(), work = work_of(context, op, args);
    const bool takes = most == 0 || work <= most || work <= table->smallest;
    table->ran += takes;
    return takes;
}

bool small_takes_text(small_table *table, clattn_context *context, const char *text) {
    clattn_case *c = opened(context, text);
    const bool takes = small_takes(table, context, clattn_case_op(c), clattn_case_args(c));
    clattn_case_close(&c);
    return takes;
}

void small_report(const small_table *table) {
    cr_assert_gt(table->ran, 0, "none of %d cases ran", table->of);
    if (limit() > 0) fprintf(stderr, "%s/%s: ran %d of %d cases\n", criterion_current_test->category, criterion_current_test->name, table->ran, table->of);
}
