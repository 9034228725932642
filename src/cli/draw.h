/* Pictures of what attention does, as PNG.
 *
 * Every function writes beside the target and renames when the file is whole, so a target is either complete or as
 * it was. Returns 0, or non-zero with the file and the cause in `message`; no temporary stays behind. A target that
 * exists and is no regular file, as /dev/stdout, is written to directly. `title` may be NULL; a long one wraps.
 * Texts are UTF-8; a byte that is not is drawn as '?'. */
#ifndef CLATTN_CLI_DRAW_H
#define CLATTN_CLI_DRAW_H

#include <stddef.h>

#include "alignment.h"
#include "digit.h"
#include "image.h"

/* The alignment as in figure 3 of Bahdanau et al.: source words along the top, target words down the left. */
int draw_heatmap(const char *path, const struct alignment *alignment, const char *title, char *message,
                 size_t message_size);

/* Gates of `count` channels, each 0 to 1, as bars. */
int draw_channel_gates(const char *path, const float *gate, int count, const char *title, char *message,
                       size_t message_size);

/* The plain picture, and beside it the same with the gate [rows, columns], 0 to 1, laid over it. `frame` is the part
 * of the picture that the gate covers (digit_prepare() tells it); NULL means all of it. */
int draw_spatial_gate(const char *path, const struct image *picture, const struct digit_frame *frame, const float *gate,
                      int rows, int columns, const char *title, char *message, size_t message_size);

#endif
