/* JSON as the subcommands print it. */
#ifndef CLATTN_CLI_JSON_H
#define CLATTN_CLI_JSON_H

#include <jansson.h>

/* A driver's or a path's bytes may be anything; JSON is UTF-8. */
json_t *json_text(const char *text);
/* null for NaN and infinities. */
json_t *json_finite(double value);
/* Prints it, takes its reference, and returns CLI_DONE, or an exit code after a message. `flags` as of json_dumps. */
int json_print(const char *command, json_t *value, size_t flags);

#endif
