/* Prewarm: what the progress callback is told, stopping early, and that nothing is built afterwards. */
#include <criterion/criterion.h>
#include <string.h>

#include "lines.h"

typedef struct progress {
    size_t calls, total, last, stop_at;
} progress;

static bool note(void *user, size_t done, size_t total, const char *what) {
    progress *p = user;
    cr_expect_eq(done, p->calls, "told %zu, expected %zu", done, p->calls);
    cr_expect(what && *what && done <= total && (!p->calls || total == p->total));
    p->total = total;
    p->last = done;
    return ++p->calls != p->stop_at;
}

Test(prewarm, progress) {
    log_lines lines = { .warnings = 0 };
    progress p = { 0 };
    clattn_context *context;
    const char *const names[] = { "softmax" }, *const unknown[] = { "softmax", "nothing" };
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .log = keep_line, .log_user = &lines, .no_cache = true }), CLATTN_OK);
    cr_expect_eq(clattn_prewarm(context, names, 1, note, &p), CLATTN_OK, "%s", clattn_message(context));
    cr_expect(p.total > 0 && p.last == p.total && p.calls == p.total + 1, "%zu calls, total %zu", p.calls, p.total);
    const int built = count_lines(&lines, "built ");
    cr_expect_gt(built, 0);
    cr_expect_eq(clattn_prewarm(context, names, 1, NULL, NULL), CLATTN_OK);
    cr_expect_eq(count_lines(&lines, "built "), built, "built again: %s", lines.text);
    p = (progress){ .stop_at = 2 };
    cr_expect_eq(clattn_prewarm(context, names, 1, note, &p), CLATTN_OK);
    cr_expect_eq(p.calls, 2);
    p = (progress){ .stop_at = 1 };
    cr_expect_eq(clattn_prewarm(context, NULL, 0, note, &p), CLATTN_OK);
    cr_expect(p.calls == 1 && p.total >= clattn_op_count());
    p = (progress){ 0 };
    cr_expect_neq(clattn_prewarm(context, unknown, 2, note, &p), CLATTN_OK);
    cr_expect(p.calls == 0 && strstr(clattn_message(context), "\"nothing\""), "%s", clattn_message(context));
    cr_expect_neq(clattn_prewarm(context, (const char *const[]){ NULL }, 1, NULL, NULL), CLATTN_OK);
    cr_expect_neq(clattn_prewarm(NULL, NULL, 0, NULL, NULL), CLATTN_OK);
    clattn_close(&context);
}
