/* What attention aligned with what: drawn as a heat map by draw.h, printed by terminal.h. */
#ifndef CLATTN_CLI_ALIGNMENT_H
#define CLATTN_CLI_ALIGNMENT_H

/* Rows are target words, columns source words; labels are UTF-8. Nothing is owned. */
struct alignment {
    int rows, columns;
    const float *weight;             /* [rows, columns] 0 to 1; what is not a number counts as 0 */
    const char *const *row_label;    /* [rows] */
    const char *const *column_label; /* [columns] */
};

#endif
