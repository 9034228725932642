/* The report of a bench: one JSON object, from which the table and the picture are made.
 *
 *   { "clattn", "date", "machine": { "cpu", "cores", "load" }, "device": { "name", "platform", "driver" },
 *     "peaks": { "flops", "copy_bytes", "read_bytes" }, "rounds", "small",
 *     "peers": [ { "name", "status": "ready" | "absent", "version" | "message" } ],
 *     "cases": [ { "case", "arguments", "storage", "unit", "limit": "fma" | "copy" | "read", "series"?, "size"?,
 *                  "status": "ok" | "wrong" | "failed", "message"?, "variant", "seconds": { "min", "median", "max" }, "runs",
 *                  "flops", "bytes", "workspace", "rate", "peak" (of the limit, just before), "limit_fraction",
 *                  "peers": [ { "name", "status": "ok" | "wrong" | "failed" | "unsupported" | "absent", "message"?,
 *                               "seconds", "runs", "ratio", "difference" } ] } ] }
 *
 * Seconds, flop/s, bytes; a ratio is the peer's time over clattn's. */
#ifndef CLATTN_BENCH_REPORT_H
#define CLATTN_BENCH_REPORT_H

#include <jansson.h>

#include "measure.h"

/* Without cases yet. NULL without memory. */
json_t *report_open(const measure_plan *plan);
/* NULL, with a message on stderr, when the file is no report. */
json_t *report_load(const char *command, const char *path);

void report_print_header(const json_t *report);
void report_print_case(const json_t *row);

/* Every case was right, and every peer agreed with it. */
bool report_passed(const json_t *report);

/* The fastest peer of a case; NULL if there is none. */
const json_t *report_best_peer(const json_t *row);

/* A member's text, "" if there is none; a member's number, 0 if there is none. */
const char *report_text(const json_t *object, const char *key);
double report_number(const json_t *object, const char *key);

#endif
