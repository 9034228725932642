#include "lanes.h"

/* 256 items fill a compute unit of every vendor in few groups; their local memory is 2 KiB at most. */
#define MOST_ITEMS 256
#define BYTES_PER_ITEM 8
/* A group of fewer would waste most of AMD's 64-wide waves when one row has it alone. */
#define SUBGROUP_LENGTH 64
#define WAVE 32
#define FEW 4
#define MOST_HELD 16 /* more leaves AMD a single wave per SIMD */

static int64_t power_of_two(int64_t least) {
    int64_t power = 1;
    while (power < least) power *= 2;
    return power;
}

static size_t most_items(const clattn_call *call) {
    const clattn_device_info *device = clattn_call_device(call);
    size_t items = MOST_ITEMS;
    while (items > 1 && (items > device->max_work_group || items * BYTES_PER_ITEM > device->local_memory)) items /= 2;
    return items;
}

/* An element to an item in rows of up to a wave, then a few to each, and more when all the group's items have one row. */
static int lanes_for(int64_t length, size_t items) {
    const int64_t wave = length < WAVE ? power_of_two(length) : WAVE, few = power_of_two((length + FEW - 1) / FEW), lanes = few > wave ? few : wave;
    return (int)(lanes < (int64_t)items ? lanes : (int64_t)items);
}

const char *clattn_lanes_refusal(const clattn_call *call, int64_t rows, int64_t length, bool subgroups) {
    if (length > 1 << 30) return "the rows are longer than 2^30";
    if (rows > ((int64_t)1 << 31) / lanes_for(length, MOST_ITEMS)) return "the rows need more than 2^31 work-items";
    if (!subgroups) return NULL;
    if (!clattn_call_device(call)->subgroups) return "the device has no subgroups";
    return length < SUBGROUP_LENGTH ? "the rows are shorter than 64" : NULL;
}

static void set_options(clattn_lanes *l, const char *options, int64_t length, bool holds, bool subgroups) {
    char held[32] = "";
    const int64_t share = power_of_two((length + l->lanes - 1) / l->lanes);
    if (holds && share <= MOST_HELD) snprintf(held, sizeof held, " -DHELD=%d", share < FEW ? FEW : (int)share);
    snprintf(l->options, sizeof l->options, "%s%s%s", options, held, subgroups ? " -DSUBGROUPS" : "");
}

clattn_status clattn_lanes_choose(clattn_call *call, const char *source, const char *kernel, const char *options, int64_t rows, int64_t length, bool holds, bool subgroups, clattn_lanes *l) {
    clattn_status status = CLATTN_OK;
    size_t limit = most_items(call);
    l->items = 2 * limit;
    while (!status && l->items > limit) {
        const size_t most = l->items / 2;
        l->lanes = lanes_for(length, most);
        l->items = subgroups ? (size_t)l->lanes : most;
        set_options(l, options, length, holds, subgroups);
        status = clattn_call_kernel_items(call, source, kernel, l->options, &limit);
    }
    const int64_t each = (int64_t)l->items / l->lanes;
    l->groups = (size_t)((rows + each - 1) / each);
    return status;
}
