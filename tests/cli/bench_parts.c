/* The bench's statistics, and its table of cases. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../bench/cases.h"
#include "../../bench/timing.h"

Test(timing, summary_of_one_odd_and_even) {
    double one[] = { 3 }, odd[] = { 5, 1, 9 }, even[] = { 8, 2, 4, 1 };
    const timing a = timing_summary(one, 1), b = timing_summary(odd, 3), c = timing_summary(even, 4);
    cr_expect(a.min == 3 && a.median == 3 && a.max == 3);
    cr_expect(b.min == 1 && b.median == 5 && b.max == 9);
    cr_expect(c.min == 1 && c.median == 3 && c.max == 8);
}

Test(timing, clock_rises) {
    const double before = timing_now();
    cr_expect_geq(timing_now(), before);
}

Test(cases, sizes_are_replaced_in_shapes_and_lists_only) {
    const bench_case c = { .text = "op x[8,16] y[16]*8 z[2]:8,0.8,16 key=8 word8[8]", .smaller = "8=2 16=33" };
    char text[128];
    cr_assert(bench_case_check_text(&c, text, sizeof text));
    cr_expect_str_eq(text, "op x[2,33] y[33]*8 z[2]:2,0.8,33 key=8 word8[2]");
    cr_expect_not(bench_case_check_text(&c, text, 10));
}

/* A size that is to be replaced stands in the text: otherwise the check would be as large as the timed case. */
Test(cases, what_is_made_smaller_is_there) {
    char text[640], full[640];
    for (int i = 0; i < bench_case_count; i++) {
        const bench_case *c = &bench_cases[i];
        cr_expect(bench_case_check_text(c, text, sizeof text), "%s", c->name);
        for (char *end, *pair = (char *)c->smaller; *pair; pair = end + strspn(end, " ")) {
            char one[64];
            end = pair + strcspn(pair, " ");
            snprintf(one, sizeof one, "%.*s", (int)(end - pair), pair);
            const bench_case alone = { .text = c->text, .smaller = one };
            cr_assert(bench_case_check_text(&alone, full, sizeof full));
            cr_expect_str_neq(full, c->text, "%s: %s", c->name, one);
        }
    }
}

Test(cases, names_are_unique) {
    for (int i = 0; i < bench_case_count; i++)
        for (int k = 0; k < i; k++) cr_expect_str_neq(bench_cases[i].name, bench_cases[k].name);
}
