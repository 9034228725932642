/* The command line of `clattn op`: first what is written, then what it means for the operation. */
#include "op.h"

#include <stdlib.h>
#include <string.h>

/* ---- argv to names ---- */

/* Cuts "NAME=FILE" at its first '='. */
static int split(const char *option, const char *text, const char **name, const char **value) {
    char *equals = strchr(text, '=');
    if (!equals || equals == text) return cli_error("op", "%s %s: expected NAME=%s", option, text, strcmp(option, "--set") == 0 ? "VALUE" : "FILE");
    *equals = '\0';
    *name = text;
    *value = equals + 1;
    return CLI_DONE;
}

static int add_input(op_job *job, const char *text) {
    op_input *input = &job->inputs[job->input_count];
    const int code = split("--in", text, &input->name, &input->file);
    for (int i = 0; i < job->input_count && !code; i++)
        if (strcmp(job->inputs[i].name, input->name) == 0) return cli_error("op", "--in %s is given twice", input->name);
    job->input_count++;
    return code;
}

static int add_output(op_job *job, const char *text) {
    op_output *output = &job->outputs[job->output_count];
    const int code = split("--out", text, &output->name, &output->file);
    for (int i = 0; i < job->output_count && !code; i++)
        if (strcmp(job->outputs[i].name, output->name) == 0) return cli_error("op", "--out %s is given twice", output->name);
    job->output_count++;
    return code;
}

static int add_setting(op_job *job, const char *text) {
    op_setting *setting = &job->settings[job->setting_count];
    const int code = split("--set", text, &setting->name, &setting->value);
    for (int i = 0; i < job->setting_count && !code; i++)
        if (strcmp(job->settings[i].name, setting->name) == 0) return cli_error("op", "--set %s is given twice", setting->name);
    job->setting_count++;
    return code;
}

/* What is not an option is the operation's name. */
static int add_name(op_job *job, cli_arguments *arguments) {
    static const char *const known[] = { "--in", "--set", "--out", "--device", "--variant", "--repeat", "--check", "--explain", "--case", "--json", "--verbose", "--help", NULL };
    const char *argument = arguments->argv[arguments->index++];
    if (*argument == '-' && argument[1]) return cli_unknown_option("op", argument, known);
    if (job->name) return cli_error("op", "one operation at a time: found %s and %s", job->name, argument);
    job->name = argument;
    return CLI_DONE;
}

static int parse_one(op_job *job, cli_arguments *arguments) {
    const char *value = NULL;
    const int taken = cli_device_option(arguments, &job->device);
    if (taken) return taken < 0 ? CLI_BAD_USE : CLI_DONE;
    if (cli_option_value(arguments, "--in", &value)) return value ? add_input(job, value) : CLI_BAD_USE;
    if (cli_option_value(arguments, "--out", &value)) return value ? add_output(job, value) : CLI_BAD_USE;
    if (cli_option_value(arguments, "--set", &value)) return value ? add_setting(job, value) : CLI_BAD_USE;
    if (cli_option_value(arguments, "--variant", &job->variant)) return job->variant ? CLI_DONE : CLI_BAD_USE;
    if (cli_option_value(arguments, "--repeat", &value)) return value && cli_integer("op", "--repeat", value, 1, 1000000, &job->repeat) ? CLI_DONE : CLI_BAD_USE;
    if (cli_option_value(arguments, "--case", &job->case_text)) return job->case_text ? CLI_DONE : CLI_BAD_USE;
    if (cli_option(arguments, "--check")) job->check = true;
    else if (cli_option(arguments, "--explain")) job->explain = true;
    else if (cli_option(arguments, "--json")) job->json = true;
    else if (cli_option(arguments, "--help") || cli_option(arguments, "-h")) job->help = true;
    else return add_name(job, arguments);
    return CLI_DONE;
}

int op_parse(op_job *job, int argc, char **argv) {
    cli_arguments arguments = { argc, argv, 1 };
    job->inputs = calloc((size_t)argc, sizeof *job->inputs);
    job->outputs = calloc((size_t)argc + 1, sizeof *job->outputs);
    job->settings = calloc((size_t)argc, sizeof *job->settings);
    if (!job->inputs || !job->outputs || !job->settings) return cli_error("op", "out of memory"), CLI_DEVICE_FAILED;
    while (arguments.index < argc) {
        const int code = parse_one(job, &arguments);
        if (code) return code;
    }
    return CLI_DONE;
}

/* ---- Names to fields ---- */

typedef enum role { INPUT, OUTPUT, PARAMETER } role;

static role role_of(const clattn_field *field) {
    return field->kind == CLATTN_FIELD_INPUT ? INPUT : field->kind == CLATTN_FIELD_OUTPUT ? OUTPUT : PARAMETER;
}

static const clattn_field *find(const clattn_op *op, const char *name, role wanted) {
    for (size_t i = 0; i < op->field_count; i++)
        if (role_of(&op->fields[i]) == wanted && !(op->fields[i].flags & CLATTN_FIELD_LIST) && strcmp(op->fields[i].name, name) == 0) return &op->fields[i];
    return NULL;
}

/* "x12" is the entry 12 of the list x. */
static const clattn_field *find_in_list(const clattn_op *op, const char *name, int *index) {
    for (size_t i = 0; i < op->field_count; i++) {
        const clattn_field *field = &op->fields[i];
        const size_t length = strlen(field->name);
        if (!(field->flags & CLATTN_FIELD_LIST) || strncmp(name, field->name, length) != 0) continue;
        const char *digits = name + length;
        const size_t count = strspn(digits, "0123456789");
        if (count == 0 || count > 3 || digits[count] || (*digits == '0' && count > 1)) continue;
        *index = atoi(digits);
        if (*index < CLATTN_MAX_CONCAT) return field;
    }
    return NULL;
}

/* Says what there is instead, and where a name of another kind belongs. */
static int unknown_name(const clattn_op *op, const char *name, role wanted) {
    static const char *const names[] = { "input", "output", "parameter" }, *const articles[] = { "an", "an", "a" };
    static const char *const options[] = { "--in", "--out", "--set" };
    char list[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < op->field_count && used < sizeof list; i++) {
        const clattn_field *field = &op->fields[i];
        if (role_of(field) == wanted) used += (size_t)snprintf(list + used, sizeof list - used, "%s%s%s", used ? ", " : "", field->name, field->flags & CLATTN_FIELD_LIST ? "0, ..." : "");
    }
    for (int other = INPUT; other <= PARAMETER; other++)
        if (other != (int)wanted && find(op, name, (role)other)) return cli_error("op", "%s %s: %s is %s %s of %s; give it with %s", options[wanted], name, name, articles[other], names[other], op->name, options[other]);
    return cli_error("op", "%s %s: %s has no such %s; it has %s", options[wanted], name, op->name, names[wanted], *list ? list : "none");
}

static int refuse_later(const clattn_op *op, const clattn_field *field) {
    return field->flags & CLATTN_FIELD_LATER ? cli_error("op", "%s: %s is not supported in this release", op->name, field->name) : CLI_DONE;
}

static int resolve_input(const op_job *job, op_input *input) {
    input->field = find(job->op, input->name, INPUT);
    if (!input->field) input->field = find_in_list(job->op, input->name, &input->index);
    return input->field ? refuse_later(job->op, input->field) : unknown_name(job->op, input->name, INPUT);
}

static int resolve_output(const op_job *job, op_output *output) {
    output->field = find(job->op, output->name, OUTPUT);
    if (!output->field) return unknown_name(job->op, output->name, OUTPUT);
    for (const clattn_field *field = job->op->fields; field != output->field; field++) output->ordinal += field->kind == CLATTN_FIELD_OUTPUT;
    return refuse_later(job->op, output->field);
}

/* The type in which tensors lie on the device is no field of an operation. */
static int set_dtype(op_job *job, const char *value) {
    static const clattn_dtype types[] = { CLATTN_F32, CLATTN_F16, CLATTN_BF16 };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(value, clattn_dtype_name(types[i]))) continue;
        job->storage = types[i];
        return CLI_DONE;
    }
    return cli_error("op", "%s: dtype=%s: %s does not have the type %s; it has f32, f16 and bf16", job->op->name, value, job->op->name, value);
}

/* In the args struct a 0 stands for the default, which would silently be another value. */
static bool zero_means_default(const op_job *job, const clattn_field *field) {
    const void *at = (const char *)job->args + field->offset;
    if (field->fallback == 0) return false;
    return (field->kind == CLATTN_FIELD_FLOAT && *(const float *)at == 0) || (field->kind == CLATTN_FIELD_INT && *(const int64_t *)at == 0);
}

static int apply_setting(op_job *job, const op_setting *setting) {
    char message[512];
    if (strcmp(setting->name, "dtype") == 0) return set_dtype(job, setting->value);
    const clattn_field *field = find(job->op, setting->name, PARAMETER);
    if (!field) return unknown_name(job->op, setting->name, PARAMETER);
    if (clattn_field_set(job->op, field, job->args, setting->value, message, sizeof message)) return cli_error("op", "%s", message);
    if (zero_means_default(job, field)) return cli_error("op", "%s: %s=%s: expected a number other than zero", job->op->name, setting->name, setting->value);
    return CLI_DONE;
}

/* A list without gaps: x0, x1, x2. */
static int check_lists(const op_job *job) {
    for (int i = 0; i < job->input_count; i++) {
        const op_input *input = &job->inputs[i];
        bool before = input->index == 0;
        for (int k = 0; k < job->input_count; k++) before = before || (job->inputs[k].field == input->field && job->inputs[k].index == input->index - 1);
        if (!before) return cli_error("op", "%s: %s is given, but %s%d is missing", job->op->name, input->name, input->field->name, input->index - 1);
    }
    return CLI_DONE;
}

/* Where no file is asked for, the operation's first output is computed all the same. */
static void add_first_output(op_job *job) {
    const clattn_field *field = job->op->fields;
    while (role_of(field) != OUTPUT) field++;
    job->outputs[job->output_count++] = (op_output){ .name = field->name };
}

int op_resolve(op_job *job) {
    int code = CLI_DONE;
    job->args = calloc(1, job->op->args_size);
    if (!job->args) return cli_error("op", "out of memory"), CLI_DEVICE_FAILED;
    for (int i = 0; i < job->setting_count && !code; i++) code = apply_setting(job, &job->settings[i]);
    for (int i = 0; i < job->input_count && !code; i++) code = resolve_input(job, &job->inputs[i]);
    if (job->quiet && job->output_count == 0) add_first_output(job);
    for (int i = 0; i < job->output_count && !code; i++) code = resolve_output(job, &job->outputs[i]);
    if (!code) code = check_lists(job);
    if (!code && job->output_count == 0) return cli_error("op", "%s: no output is asked for; give --out NAME=FILE.npy (`clattn op %s --help` lists the names)", job->op->name, job->op->name);
    return code;
}
