/* The device's peaks: plausible, cached, measured again when the cache's entry is damaged. */
#define _XOPEN_SOURCE 700

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clattn/clattn.h>

static char directory[] = "/tmp/clattn-peaks-XXXXXX";

typedef struct heard {
    int measured, damaged;
} heard;

static void listen(void *user, clattn_log_level level, const char *message) {
    heard *h = user;
    (void)level;
    h->measured += strstr(message, "peaks measured") != NULL;
    h->damaged += strstr(message, "is damaged or stale") != NULL;
}

static clattn_peaks peaks_of(const char *cache, heard *h) {
    clattn_context *context = NULL;
    clattn_peaks peaks;
    *h = (heard){ 0 };
    cr_assert_eq(clattn_open(&context, &(clattn_open_params){ .cache_directory = cache, .no_cache = !cache, .log = listen, .log_user = h }), CLATTN_OK, "%s", clattn_message(context));
    cr_assert_eq(clattn_device_peaks(context, false, &peaks), CLATTN_OK, "%s", clattn_message(context));
    clattn_close(&context);
    return peaks;
}

/* Cuts the last byte off every entry. */
static void damage(void) {
    DIR *listing = opendir(directory);
    char path[512], data[1 << 16];
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        FILE *file = fopen(path, "rb");
        const size_t size = fread(data, 1, sizeof data, file);
        fclose(file);
        file = fopen(path, "wb");
        fwrite(data, 1, size - 1, file);
        fclose(file);
    }
    closedir(listing);
}

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

Test(peaks, are_measured_once, .fini = remove_directory) {
    heard h;
    cr_assert_not_null(mkdtemp(directory));
    const clattn_peaks first = peaks_of(directory, &h);
    cr_expect_eq(h.measured, 1);
    cr_expect(first.flops > 1e6 && first.flops < 1e16, "%g flop/s", first.flops);
    cr_expect(first.copy_bytes > 1e5 && first.copy_bytes < 1e14, "%g byte/s", first.copy_bytes);
    cr_expect(first.read_bytes > 1e5 && first.read_bytes < 1e14, "%g byte/s", first.read_bytes);
    cr_expect(first.fed_flops == 0 || (first.fed_flops > 1e5 && first.fed_flops < 1e16), "%g flop/s", first.fed_flops);
    const clattn_peaks second = peaks_of(directory, &h);
    cr_expect_eq(h.measured, 0);
    cr_expect_float_eq(second.flops / first.flops, 1, 1e-4);
    cr_expect_float_eq(second.copy_bytes / first.copy_bytes, 1, 1e-4);
    cr_expect_float_eq(second.read_bytes / first.read_bytes, 1, 1e-4);
    cr_expect_float_eq(second.fed_flops, first.fed_flops, 1e-4 * first.flops);
    damage();
    peaks_of(directory, &h);
    cr_expect_eq(h.measured, 1);
    cr_expect_gt(h.damaged, 0);
}

Test(peaks, need_no_cache) {
    heard h;
    cr_expect_gt(peaks_of(NULL, &h).flops, 0);
    cr_expect_eq(h.measured, 1);
}

/* The least local memory that a device has, and the kernels of a CPU with few registers. */
Test(peaks, need_16_kib_of_local_memory) {
    heard h;
    setenv("CLATTN_CAPS", "vector=8,local=16384", 1);
    cr_expect_gt(peaks_of(NULL, &h).flops, 0);
}

Test(peaks, refuse_nonsense) {
    clattn_peaks peaks;
    cr_expect_eq(clattn_device_peaks(NULL, false, &peaks), CLATTN_ERROR_ARGUMENT);
}
