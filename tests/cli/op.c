/* The tool as a user meets it: exit codes, messages, files left behind. CLATTN_TOOL is the program under test. */
#define _XOPEN_SOURCE 700

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <clattn/file.h>

static char directory[] = "/tmp/clattn-op-XXXXXX";

/* ---- Files ---- */

static void write_array(const char *name, clattn_file_dtype dtype, int rank, const int64_t *shape, const double *values) {
    clattn_array array;
    char message[256];
    cr_assert_eq(clattn_array_create(&array, dtype, rank, shape), CLATTN_OK);
    for (int64_t i = 0; i < clattn_array_count(&array); i++) {
        const double value = values ? values[i] : sin((double)i);
        if (dtype == CLATTN_FILE_F32) ((float *)array.data)[i] = (float)value;
        else if (dtype == CLATTN_FILE_F64) ((double *)array.data)[i] = value;
        else if (dtype == CLATTN_FILE_I64) ((int64_t *)array.data)[i] = (int64_t)value;
        else ((unsigned char *)array.data)[i] = value > 0;
    }
    cr_assert_eq(clattn_array_write_npy(&array, name, message, sizeof message), CLATTN_OK, "%s", message);
    clattn_array_free(&array);
}

#define SHAPE(...) sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), (int64_t[]){ __VA_ARGS__ }
#define VALUES(...) (double[]){ __VA_ARGS__ }

static void open_directory(void) {
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    write_array("x.npy", CLATTN_FILE_F32, SHAPE(2, 3), VALUES(1, 2, 3, 0, 0, 0));
    write_array("wide.npy", CLATTN_FILE_F64, SHAPE(2, 3), VALUES(1, 2, 3, 0, 0, 0));
    write_array("mask.npy", CLATTN_FILE_BOOL, SHAPE(3), VALUES(1, 0, 1));
    write_array("empty.npy", CLATTN_FILE_F32, SHAPE(0, 3), NULL);
    write_array("q.npy", CLATTN_FILE_F32, SHAPE(1, 2, 5, 8), NULL);
    write_array("k.npy", CLATTN_FILE_F32, SHAPE(1, 2, 7, 8), NULL);
    write_array("k9.npy", CLATTN_FILE_F32, SHAPE(1, 2, 7, 9), NULL);
    write_array("length.npy", CLATTN_FILE_I64, SHAPE(1), VALUES(7));
    write_array("long.npy", CLATTN_FILE_I64, SHAPE(1), VALUES(8));
    write_array("negative.npy", CLATTN_FILE_I64, SHAPE(1), VALUES(-1));
    write_array("huge.npy", CLATTN_FILE_I64, SHAPE(1), VALUES(1e12));
    write_array("table.npy", CLATTN_FILE_F32, SHAPE(4, 2), NULL);
    write_array("ids.npy", CLATTN_FILE_I64, SHAPE(2, 2), VALUES(0, 1, 2, 3));
    write_array("ids4.npy", CLATTN_FILE_I64, SHAPE(2, 2), VALUES(0, 1, 4, 3));
    cr_assert_eq(mkdir("folder.npy", 0700), 0);
}

static void close_directory(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

TestSuite(tool, .init = open_directory, .fini = close_directory);

static bool exists(const char *name) {
    return access(name, F_OK) == 0;
}

/* ---- Running ---- */

static char printed[1 << 16], complained[1 << 16];

static void slurp(const char *name, char *text, size_t size) {
    FILE *file = fopen(name, "r");
    cr_assert_not_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* The exit code; both streams are kept. -1: it was killed. */
static int run(const char *arguments) {
    char command[4096];
    snprintf(command, sizeof command, "'%s' %s > stdout.txt 2> stderr.txt", getenv("CLATTN_TOOL"), arguments);
    const int status = system(command);
    slurp("stdout.txt", printed, sizeof printed);
    slurp("stderr.txt", complained, sizeof complained);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect(const char *arguments, int code, const char *part) {
    const int found = run(arguments);
    cr_expect_eq(found, code, "clattn %s: exit %d, expected %d\n%s%s", arguments, found, code, printed, complained);
    const char *text = code == 0 ? printed : complained;
    cr_expect(strstr(text, part), "clattn %s: expected \"%s\" in:\n%s", arguments, part, text);
    if (code) cr_expect(strncmp(complained, "clattn", 6) == 0, "clattn %s: a message begins with clattn:\n%s", arguments, complained);
}

typedef struct example {
    const char *arguments;
    const char *part; /* of stdout when it should work, else of stderr */
} example;

/* ---- The tool itself ---- */

Test(tool, helps) {
    expect("--version", 0, "clattn 0.");
    expect("--help", 0, "devices");
    expect("help", 0, "exit codes: 0 done");
    expect("help op", 0, "usage: clattn op NAME");
    expect("help op softmax", 0, "torch.softmax");
    expect("op", 0, "softmax");
    expect("op --help", 0, "--repeat N");
    expect("op softmax --help", 0, "default -1");
    expect("devices --help", 0, "usage: clattn devices");
}

Test(tool, refuses_bad_use) {
    static const example examples[] = {
        { "devics", "did you mean devices?" }, { "zzz", "unknown command zzz" }, { "--versoin", "did you mean --version?" },
        { "help zzz", "unknown command zzz" }, { "devices now", "takes no argument" }, { "devices --jsno", "did you mean --json?" },
        { "devices --device", "--device needs a value" },
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) expect(examples[i].arguments, 2, examples[i].part);
    cr_expect_eq(run(""), 2);
}

Test(tool, lists_devices) {
    expect("devices", 0, "* clattn takes ");
    cr_expect_eq(run("devices --json"), 0);
    json_t *whole = json_loads(printed, JSON_REJECT_DUPLICATES, NULL);
    const json_t *first = json_array_get(json_object_get(whole, "devices"), 0);
    cr_expect(json_is_string(json_object_get(first, "name")));
    cr_expect(json_is_integer(json_object_get(first, "compute_units")));
    cr_expect(json_is_string(json_object_get(whole, "chosen")));
    json_decref(whole);
}

Test(tool, without_devices) {
    cr_assert_eq(setenv("OCL_ICD_VENDORS", "/nonexistent", 1), 0);
    expect("devices", 3, "install an OpenCL driver");
    expect("devices --json", 3, "install an OpenCL driver");
    cr_expect_str_eq(printed, "");
    expect("op softmax --in x=x.npy --out out=out.npy", 3, "install an OpenCL driver");
    expect("op softmax --in x=missing.npy --out out=out.npy", 2, "missing.npy"); /* bad use comes first */
    cr_expect_not(exists("out.npy"));
}

/* ---- op ---- */

Test(tool, runs_an_operation) {
    clattn_array out = { 0 };
    char message[256];
    expect("op softmax --in x=wide.npy --out out=out.npy --check", 0, "check out: max_abs");
    cr_assert_eq(clattn_array_read(&out, "out.npy", message, sizeof message), CLATTN_OK, "%s", message);
    cr_assert_eq(out.dtype, CLATTN_FILE_F32);
    cr_assert_eq(clattn_array_count(&out), 6);
    cr_expect_float_eq(((float *)out.data)[2], 0.66524096f, 1e-6f);
    cr_expect_float_eq(((float *)out.data)[5], 1 / 3.0f, 1e-6f);
    clattn_array_free(&out);
}

Test(tool, runs_with_every_option) {
    static const example examples[] = {
        { "op softmax --in x=x.npy --in mask=mask.npy --out out=out.npy --set axis=-1 --check", ", ok" },
        { "op softmax --in=x=x.npy --set=temperature=2 --set dtype=f32 --out=out=out.npy", "out [2,3] f32 -> out.npy" },
        { "op --device cpu softmax --in x=empty.npy --out out=out.npy --check", "out [0,3] f32" },
        { "op softmax --in x=x.npy --out out=out.npy --variant scalar --explain", "variant scalar: chosen" },
        { "op softmax --in x=x.npy --out out=out.npy --repeat 3", "(3 runs)" },
        { "op softmax --in x=x.npy --out out=x.npy", "-> x.npy" },
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) expect(examples[i].arguments, 0, examples[i].part);
    cr_expect_eq(run("op softmax --in x=x.npy --out out=out.npy"), 0);
    cr_expect_str_eq(complained, "");
    cr_expect_eq(run("op softmax --in x=x.npy --out out=out.npy -v"), 0);
    cr_expect(strstr(complained, "device"));
}

Test(tool, prints_json) {
    json_error_t error;
    cr_assert_eq(run("op softmax --in x=x.npy --out out=out.npy --check --explain --repeat 4 --json"), 0, "%s", complained);
    json_t *whole = json_loads(printed, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(whole, "%s in %s", error.text, printed);
    const char *op, *device, *variant, *file;
    double min, median, max, flops, bytes, fraction, max_abs, max_rel;
    int ok;
    const int failed = json_unpack_ex(whole, &error, 0, "{s:s, s:s, s:s, s:{s:{s:s}}, s:{s:F, s:F, s:F}, s:F, s:F, s:F, s:{s:{s:F, s:F, s:b}}}",
        "op", &op, "device", &device, "variant", &variant, "outputs", "out", "file", &file, "seconds", "min", &min, "median", &median, "max", &max,
        "flops", &flops, "bytes", &bytes, "limit_fraction", &fraction, "check", "out", "max_abs", &max_abs, "max_rel", &max_rel, "ok", &ok);
    cr_assert_eq(failed, 0, "%s in %s", error.text, printed);
    cr_expect_str_eq(op, "softmax");
    cr_expect_str_eq(file, "out.npy");
    cr_expect(min > 0 && min <= median && median <= max);
    cr_expect(fraction > 0 && flops > 0 && bytes > 0 && ok);
    json_decref(whole);
}

Test(tool, refuses_and_writes_nothing) {
    static const example examples[] = {
        { "op sotfmax --in x=x.npy --out out=out.npy", "did you mean softmax?" },
        { "op --in x=x.npy", "which operation?" },
        { "op softmax matmul", "found softmax and matmul" },
        { "op softmax --in x=x.npy --out out=out.npy --chekc", "did you mean --check?" },
        { "op softmax --in x=x.npy", "no output is asked for" },
        { "op softmax --out out=out.npy", "x is missing" },
        { "op softmax --in x --out out=out.npy", "expected NAME=FILE" },
        { "op softmax --in =x.npy --out out=out.npy", "expected NAME=FILE" },
        { "op softmax --in x=x.npy --in x=x.npy --out out=out.npy", "--in x is given twice" },
        { "op softmax --in x=x.npy --out out=out.npy --out out=b.npy", "--out out is given twice" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis=0 --set axis=1", "--set axis is given twice" },
        { "op softmax --in y=x.npy --out out=out.npy", "no such input; it has x, mask" },
        { "op softmax --in axis=x.npy --out out=out.npy", "give it with --set" },
        { "op softmax --in x=x.npy --out y=out.npy", "no such output; it has out" },
        { "op softmax --in x=x.npy --out out=out.npy --set z=1", "no such parameter" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis", "expected NAME=VALUE" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis=", "expected an integer" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis=1.5", "expected an integer" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis=2", "outside x's rank 2" },
        { "op softmax --in x=x.npy --out out=out.npy --set axis=99", "-8..7" },
        { "op softmax --in x=x.npy --out out=out.npy --set temperature=inf", "finite" },
        { "op softmax --in x=x.npy --out out=out.npy --set temperature=nan", "finite" },
        { "op softmax --in x=x.npy --out out=out.npy --set temperature=0", "other than zero" },
        { "op softmax --in x=x.npy --out out=out.npy --set temperature=1e60", "within f32" },
        { "op softmax --in x=x.npy --out out=out.npy --set dtype=f64", "softmax does not have the type f64" },
        { "op softmax --in x=x.npy --out out=out.npy --set dtype=int", "dtype=int" },
        { "op softmax --in x=x.npy --out out=out.txt", "ends in .npy" },
        { "op softmax --in x=x.npy --out out=.npy", "ends in .npy" },
        { "op softmax --in x=x.npy --out out=nowhere/out.npy", "nowhere/" },
        { "op softmax --in x=x.npy --out out=folder.npy", "is a directory" },
        { "op softmax --in x=missing.npy --out out=out.npy", "missing.npy" },
        { "op softmax --in x=mask.npy --out out=out.npy", "bool" },
        { "op softmax --in x=x.npy --in mask=x.npy --out out=out.npy", "mask (x.npy) is f32, expected bool" },
        { "op softmax --in x=x.npy --in mask=q.npy --out out=out.npy", "mask" },
        { "op softmax --in x=x.npy --out out=out.npy --variant warp", "no variant warp" },
        { "op softmax --in x=x.npy --in mask=mask.npy --out out=out.npy --variant rows", "cannot run here" },
        { "op softmax --in x=x.npy --out out=out.npy --repeat 0", "--repeat 0" },
        { "op softmax --in x=x.npy --out out=out.npy --repeat x", "--repeat x" },
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        expect(examples[i].arguments, 2, examples[i].part);
        cr_expect_str_eq(printed, "");
        cr_expect_not(exists("out.npy"), "clattn %s left a file", examples[i].arguments);
    }
    expect("op softmax --in x=x.npy --out out=out.npy --device nosuch", 3, "nosuch");
    cr_expect_not(exists("out.npy"));
}

Test(tool, lengths_and_indices) {
    const int64_t unit[] = { 3, 1 };
    write_array("steps.npy", CLATTN_FILE_F32, 3, (int64_t[]){ 1, 7, 1 }, NULL);
    write_array("w.npy", CLATTN_FILE_F32, 2, unit, NULL);
    if (run("op gru --help") == 0) expect("op gru --in x=steps.npy --in w_ih=w.npy --in w_hh=w.npy --in lengths=long.npy --out out=bad.npy", 2, "lengths (long.npy) holds 8 at [0], outside 0..7");
    if (run("op luong_attention --help") == 0) expect("op luong_attention --in target=steps.npy --in source=steps.npy --in key_lengths=long.npy --out context=bad.npy", 2, "holds 8 at [0], outside 0..7");
    if (run("op gather --help") == 0) expect("op gather --in x=table.npy --in indices=ids4.npy --out out=bad.npy", 2, "holds 4 at [1,0], outside 0..3");
    cr_expect_not(exists("bad.npy"));
}

/* Operations with several outputs, lists, lengths and ids. */
#define ATTENTION "op attention --in query=q.npy --in key=k.npy --in value=k.npy "

Test(tool, attention) {
    expect(ATTENTION "--out out=out.npy --out lse=lse.npy --out weights=weights.npy --set causal=bottom_right --check", 0, "check weights");
    expect(ATTENTION "--in key_lengths=length.npy --out out=out.npy --check", 0, ", ok");
    cr_assert_eq(remove("out.npy"), 0);
    static const example examples[] = {
        { ATTENTION "--set dropout=1 --out out=out.npy", "dropout=1" },
        { ATTENTION "--set softcap=-1 --out out=out.npy", "softcap=-1" },
        { ATTENTION "--in key_lengths=long.npy --out out=out.npy", "holds 8 at [0], outside 0..7" },
        { ATTENTION "--in key_lengths=negative.npy --out out=out.npy", "holds -1 at [0], outside 0..7" },
        { ATTENTION "--in key_lengths=huge.npy --out out=out.npy", "huge.npy" },
        { ATTENTION "--in key_lengths=q.npy --out out=out.npy", "q.npy" },
        { ATTENTION "--in mask=x.npy --out out=out.npy", "given as bias" },
        { ATTENTION "--out out=out.npy --out lse=./out.npy", "are the same file" },
        { ATTENTION "--set causal=left --out out=out.npy", "expected one of none, top_left, bottom_right" },
        { "op attention --in query=q.npy --in key=k9.npy --in value=k.npy --out out=out.npy", "key [1,2,7,9] does not fit query [1,2,5,8]" },
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        expect(examples[i].arguments, 2, examples[i].part);
        cr_expect_not(exists("out.npy"), "clattn %s left a file", examples[i].arguments);
    }
}

Test(tool, ids) {
    expect("op embedding --in table=table.npy --in ids=ids.npy --out out=out.npy --check", 0, "out [2,2,2] f32");
    expect("op embedding --in table=table.npy --in ids=ids4.npy --out out=bad.npy", 2, "holds 4 at [1,0], outside 0..3");
    cr_expect_not(exists("bad.npy"));
}

Test(tool, lists_of_inputs) {
    expect("op concat --in x0=x.npy --in x1=x.npy --out out=out.npy --set axis=0 --check", 0, "out [4,3] f32");
    expect("op concat --in x0=x.npy --in x2=x.npy --out out=bad.npy", 2, "x1 is missing");
    expect("op concat --in x=x.npy --out out=bad.npy", 2, "no such input; it has x0, ...");
    expect("op concat --in x00=x.npy --out out=bad.npy", 2, "no such input");
    expect("op concat --in x9999=x.npy --out out=bad.npy", 2, "no such input");
    cr_expect_not(exists("bad.npy"));
}
