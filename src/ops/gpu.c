/* The families of GPUs. What the vendors' compilers say of the cuts stands in bench/NOTES.md. */
#include "gpu.h"

#include <ctype.h>

static const clattn_gpu families[] = {
    { "NVIDIA", "NVIDIA", 32, false, false, "local memory is a part of the first-level cache, 48 KiB of it for a group; 255 registers an item" },
    { "AMD", "Advanced Micro Devices|AMD", 64, false, false, "waves of 64 (RDNA also runs 32); local memory is real; 256 registers an item, of which 128 leave two waves a SIMD" },
    { "Intel", "Intel", 16, false, true, "128 registers of 32 bytes for 8 or 16 items: private arrays above 32 floats spill" },
    { "Mali", "Mali|ARM", 16, true, true, "local memory is ordinary memory: copies into it and their barriers only cost" },
    { "Adreno", "QUALCOMM|Adreno", 64, false, true, "waves of 64 in groups of 64; large programs fail, registers are shared by many waves" },
    { "Apple", "Apple", 32, false, true, "OpenCL 1.2 with limits of each kernel's own; 32 KiB of local memory" },
    { "PowerVR", "Imagination|PowerVR", 32, true, true, "a tiler with little local memory" },
    { "other", "", 32, false, false, "what fits all" },
};

/* Whether `text` has the first `length` characters of `word` in it, in any case. */
static bool has_word(const char *text, const char *word, size_t length) {
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)word[i])) i++;
        if (i == length) return true;
    }
    return false;
}

static bool is_family(const clattn_gpu *family, const clattn_device_info *device) {
    for (const char *word = family->words; *word;) {
        const size_t length = strcspn(word, "|");
        if (has_word(device->vendor, word, length) || has_word(device->name, word, length)) return true;
        word += length + (word[length] == '|');
    }
    return false;
}

const clattn_gpu *clattn_gpu_of(const clattn_device_info *device) {
    const size_t last = CLATTN_COUNT(families) - 1;
    for (size_t i = 0; device->kind == CLATTN_DEVICE_GPU && i < last; i++)
        if (is_family(&families[i], device)) return &families[i];
    return &families[last];
}

const clattn_gpu *clattn_call_gpu(const clattn_call *call) {
    return clattn_gpu_of(clattn_call_device(call));
}

/* ---- Tiles ---- */

int clattn_gpu_tile_width(const clattn_gpu_tile *t, int64_t size) {
    const int unit = 4 * t->items_x;
    return (int)((size + unit - 1) / unit) * unit;
}

static size_t bytes_of(const clattn_gpu_tile *t, int64_t size) {
    const int row = 36, rows = t->items_y * t->queries, keys = t->items_x * t->keys, values = t->value_rows * clattn_gpu_tile_width(t, size); /* floats */
    const int own = 72;                                                                                                                        /* of the kernel around */
    return 4 * (size_t)(rows * row + (keys * row > values ? keys * row : values) + rows * keys + rows * t->items_x + own);
}

bool clattn_gpu_tile_fits(const clattn_call *call, const clattn_gpu_tile *t, int64_t size) {
    const clattn_device_info *device = clattn_call_device(call);
    return bytes_of(t, size) <= device->local_memory && (size_t)(t->items_x * t->items_y) <= device->max_work_group;
}

void clattn_gpu_tile_options(char *text, size_t capacity, const clattn_gpu_tile *t, int64_t size) {
    snprintf(text, capacity, "-DWIDTH=%d -DTX=%d -DTY=%d -DMQ=%d -DMK=%d -DVC=%d", clattn_gpu_tile_width(t, size), t->items_x, t->items_y, t->queries, t->keys, t->value_rows);
}
