/* Settings: which one a call runs under, and what becomes of one that does not work. */
#ifndef CLATTN_OPS_TUNING_H
#define CLATTN_OPS_TUNING_H

#include "op.h"

/* What clattn_tuning_state.forced points to. */
typedef struct clattn_forced_setting {
    struct clattn_forced_setting *next; /* NULL: freed as a list */
    const clattn_op *op;
    clattn_setting setting;
} clattn_forced_setting;

/* Finds the setting for a call whose inputs have been checked. */
void clattn_setting_choose(clattn_call *call, const void *args);
/* Whether it changes how the variant runs. */
bool clattn_setting_concerns(const clattn_setting *setting, const clattn_variant *variant);
/* The call's setting does not work: this call and all later ones of the context go without it; the log says why. */
void clattn_setting_leave_out(clattn_call *call, const char *reason);

/* tuning_file.c: `text` with '?' for what is not printable ASCII, cut to fit. Returns `copy`. */
const char *clattn_printable(const char *text, char *copy, size_t size);

/* The built-in database, embedded by Meson. */
extern const unsigned char clattn_tuning_defaults[];
extern const size_t clattn_tuning_defaults_size;

#endif
