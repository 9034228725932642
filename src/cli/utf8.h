/* The little that drawing and printing need to know of UTF-8. */
#ifndef CLATTN_CLI_UTF8_H
#define CLATTN_CLI_UTF8_H

/* Decodes one character and moves past it; a byte that begins no valid character gives -1 and is skipped. */
long utf8_next(const char **text);

/* The columns that the text takes in a terminal: combining marks none, East Asian characters two. */
int utf8_columns(const char *text);

/* A copy, to be freed, in which '?' stands for each invalid byte and control character; NULL without memory. */
char *utf8_valid_copy(const char *text);

#endif
