/* The help of `clattn op`, and of each operation from its description. */
#include "op.h"

#include <string.h>

static const char usage[] =
    "usage: clattn op NAME --in NAME=FILE ... [--set KEY=VALUE ...] --out NAME=FILE.npy ...\n"
    "                 [--device SPEC] [--variant NAME] [--repeat N] [--check] [--explain] [--json]\n"
    "       clattn op NAME --help   the inputs, outputs and parameters of one operation\n"
    "       clattn explain ...      the same without --out: which variant, why not the others, what it launches\n"
    "       clattn profile ...      the same without --out: the times of the kernels\n"
    "       clattn op               the operations\n";

static const char options[] =
    "\nRuns one operation on arrays from files and writes its outputs.\n\n"
    "  --in NAME=FILE       an input: x.npy, archive.npz:member, or weights.safetensors:tensor. Floats of any width\n"
    "                       and integers become f32; ids and lengths are integers; masks are bool or integers,\n"
    "                       non-zero = true\n"
    "  --set KEY=VALUE      a parameter: true or false, a number, a word, a list like 1,2, an ordered list like avg+max\n"
    "  --out NAME=FILE.npy  an output to compute and write; any of them may be asked for. A file is complete or absent\n"
    "  --variant NAME       run this variant of the kernels, or say why it cannot run here\n"
    "  --repeat N           time N runs after 2 unmeasured ones, with everything in device memory: min, median, max, and\n"
    "                       what the device would need at its peak speed over the median\n"
    "  --check              compare with the double-precision reference; exit 1 above the operation's tolerance\n"
    "  --explain            tell which variant was chosen, why the others were not, what `clattn tune` set for it, and each\n"
    "                       launch: work-groups, local memory, workspace (device memory beside the arrays at that time)\n"
    "  --case TEXT          for explain and profile: random arrays of these shapes instead of files, as in\n"
    "                       --case 'attention query[1,8,512,64] key[1,8,512,64] value[1,8,512,64] causal=top_left'\n"
    "  --json               print one JSON object: op, device, variant, outputs, and what the options above add\n" CLI_DEVICE_HELP
    "\nexample: clattn op attention --in query=q.npy --in key=k.npy --in value=v.npy --set causal=top_left \\\n"
    "             --out out=out.npy --out lse=lse.npy --check\n"
    "\nexit codes: 0 done, 1 the check failed, 2 bad use or bad input, 3 device or driver failure\n";

void op_list(FILE *stream) {
    const clattn_op *op;
    fputs("operations:\n", stream);
    for (size_t i = 0; (op = clattn_op_get(i)); i++) fprintf(stream, "  %-22s %s\n", op->name, op->text);
    fputs("\n`clattn op NAME --help` tells an operation's inputs, outputs and parameters, `clattn op --help` how to run it.\n", stream);
}

void op_print_help(FILE *stream) {
    fputs(usage, stream);
    fputs(options, stream);
    fputc('\n', stream);
    op_list(stream);
}

/* ---- One operation ---- */

static const char *element_name(const clattn_field *field) {
    return field->element == CLATTN_ELEMENT_INT ? "i32" : field->element == CLATTN_ELEMENT_BOOL ? "bool" : "float";
}

static void describe_tensor(FILE *stream, const clattn_field *field) {
    char name[64], shape[96] = ""; /* "*": the text tells */
    if (field->flags & CLATTN_FIELD_LIST) snprintf(name, sizeof name, "%s0, %s1, ...", field->name, field->name);
    else snprintf(name, sizeof name, "%s%s", field->name, field->flags & CLATTN_FIELD_OPTIONAL && field->kind == CLATTN_FIELD_INPUT ? "?" : "");
    if (*field->shape != '*') snprintf(shape, sizeof shape, "[%s]%s", field->shape + (*field->shape == '~'), *field->shape == '~' ? " or broadcast to it" : "");
    for (char *bar = strchr(shape, '|'); bar && strlen(shape) + 6 < sizeof shape; bar = strchr(bar + 6, '|')) {
        memmove(bar + 6, bar + 1, strlen(bar));
        memcpy(bar, "] or [", 6);
    }
    fprintf(stream, "  %-14s %-5s %-16s %s%s\n", name, element_name(field), shape, field->text, field->flags & CLATTN_FIELD_LATER ? " (not in this release)" : "");
    if (field->value_limit) fprintf(stream, "  %-14s       values from 0, and %s\n", "", field->value_limit);
    if (field->value_exception) fprintf(stream, "  %-14s       or that of %s\n", "", field->value_exception);
}

static void print_words(FILE *stream, const clattn_field *field, const char *between) {
    bool any = false;
    for (int i = 0; field->words[i]; i++) {
        if (!*field->words[i]) continue;
        fprintf(stream, "%s%s", any ? between : "", field->words[i]);
        any = true;
    }
}

/* A bound that is only there because every range has two is not told. */
static void print_range(FILE *stream, const char *what, const clattn_field *field) {
    fputs(what, stream);
    if (field->low == 0 && field->high == 0) return;
    if (field->high > 1e9) fprintf(stream, " from %.9g", field->low);
    else fprintf(stream, " in %.9g..%.9g", field->low, field->high);
}

static void print_values(FILE *stream, const clattn_field *field) {
    switch (field->kind) {
    case CLATTN_FIELD_BOOL: case CLATTN_FIELD_TOGGLE: fputs("true, false", stream); break;
    case CLATTN_FIELD_INT: case CLATTN_FIELD_OPT_INT: print_range(stream, "an integer", field); break;
    case CLATTN_FIELD_U64: fputs("an integer from 0", stream); break;
    case CLATTN_FIELD_FLOAT: case CLATTN_FIELD_OPT_FLOAT: print_range(stream, "a number", field); break;
    case CLATTN_FIELD_WORD: print_words(stream, field, ", "); break;
    case CLATTN_FIELD_DOUBLES: print_range(stream, "a list like 1.5,2 of numbers", field); break;
    case CLATTN_FIELD_INTS: print_range(stream, "a list like 1,2 of integers", field); break;
    case CLATTN_FIELD_WORDS: fputs("a list like a+b of ", stream); print_words(stream, field, ", "); break;
    case CLATTN_FIELD_INPUT: case CLATTN_FIELD_OUTPUT: break;
    }
}

static void print_default(FILE *stream, const clattn_field *field) {
    if (field->flags & CLATTN_FIELD_REQUIRED) fputs("; required", stream);
    else if (field->kind == CLATTN_FIELD_BOOL || field->kind == CLATTN_FIELD_TOGGLE) fprintf(stream, "; default %s", field->fallback != 0 ? "true" : "false");
    else if (field->kind == CLATTN_FIELD_WORD) fprintf(stream, "; default %s", field->words[(int)field->fallback]);
    else if (field->kind != CLATTN_FIELD_INTS && field->kind != CLATTN_FIELD_DOUBLES && field->kind != CLATTN_FIELD_WORDS) fprintf(stream, "; default %.9g", field->fallback);
}

static void describe_parameter(FILE *stream, const clattn_field *field) {
    fprintf(stream, "  %-14s ", field->name);
    print_values(stream, field);
    print_default(stream, field);
    fprintf(stream, "\n  %-14s %s%s\n", "", field->text, field->flags & CLATTN_FIELD_LATER ? " (not in this release)" : "");
}

static void describe_all(FILE *stream, const clattn_op *op, const char *heading, int kind) {
    bool any = false;
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_field *field = &op->fields[i];
        const int found = field->kind == CLATTN_FIELD_INPUT ? 0 : field->kind == CLATTN_FIELD_OUTPUT ? 1 : 2;
        if (found != kind) continue;
        if (!any) fprintf(stream, "\n%s:\n", heading);
        any = true;
        if (kind == 2) describe_parameter(stream, field);
        else describe_tensor(stream, field);
    }
}

void op_describe(FILE *stream, const clattn_op *op) {
    const char *variant;
    fprintf(stream, "%s: %s\nequals: %s\n", op->name, op->text, op->source);
    describe_all(stream, op, "inputs (? = may be absent), --in NAME=FILE", 0);
    describe_all(stream, op, "outputs, --out NAME=FILE.npy", 1);
    describe_all(stream, op, "parameters, --set KEY=VALUE", 2);
    fputs("\nvariants, in the order in which they are tried:", stream);
    for (size_t i = 0; (variant = clattn_op_variant(op, i)); i++) fprintf(stream, "%s %s", i ? "," : "", variant);
    fputs("\n", stream);
}
