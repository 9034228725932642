/* Pictures for the terminal, in UTF-8. */
#ifndef CLATTN_CLI_TERMINAL_H
#define CLATTN_CLI_TERMINAL_H

#include <stdio.h>

#include "alignment.h"

/* Prints the alignment as shades, a target word a line; each source word stands on a line of its own above, with a
 * thread down to its column. The caller checks the stream for errors. */
void terminal_alignment(FILE *stream, const struct alignment *alignment);

#endif
