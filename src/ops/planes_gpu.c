/* How whole planes are cut for GPUs. */
#include "planes_gpu.h"

#include "lanes.h"

enum { AT_ONCE = 4 };    /* as in flat.cl */
#define LEAST_SHARE 4096 /* elements of a part: less is not worth the launch that joins them */

static int64_t plane_of(const clattn_tensor *x) {
    return x->shape[2] * x->shape[3];
}

size_t clattn_planes_items(const clattn_call *call) {
    size_t items = CLATTN_MOST_ITEMS;
    while (items > CLATTN_LEAST_ITEMS && items > clattn_call_device(call)->max_work_group) items /= 2;
    return items;
}

clattn_status clattn_planes_group(clattn_call *call, const char *source, const char *kernel, char *options, size_t size, size_t *items) {
    clattn_status status;
    size_t limit, length = strlen(options);
    *items = 2 * clattn_planes_items(call);
    do {
        *items /= 2;
        snprintf(options + length, size - length, " -DGROUP=%zu", *items);
        status = clattn_call_kernel_items(call, source, kernel, options, &limit);
    } while (!status && *items > limit && *items > CLATTN_LEAST_ITEMS);
    return status;
}

int64_t clattn_planes_groups(const clattn_call *call) {
    const int64_t units = clattn_call_device(call)->compute_units;
    return 4 * (units ? units : 1);
}

bool clattn_planes_aligned(const clattn_tensor *tensor, int64_t plane) {
    return tensor->offset % 4 == 0 && plane % 4 == 0;
}

/* How many parts each plane is cut into where there are too few planes, and the elements of one. */
static int64_t parts_of(const clattn_call *call, int64_t planes, int64_t size, int64_t *share) {
    const int64_t wanted = planes ? clattn_planes_groups(call) / planes : 0, most = size / LEAST_SHARE;
    const int64_t parts = wanted < most ? wanted : most;
    *share = parts > 1 ? clattn_ceil_div(clattn_ceil_div(size, parts), 4) * 4 : size;
    return parts > 1 ? clattn_ceil_div(size, *share) : 1;
}

const char *clattn_planes_refusal(const clattn_call *call, const clattn_tensor *x) {
    const int64_t planes = x->shape[0] * x->shape[1], size = plane_of(x);
    int64_t share;
    if (clattn_call_device(call)->max_work_group < CLATTN_LEAST_ITEMS) return "the device's work-groups have fewer than 32 items";
    if (size > 1 << 30 || x->shape[1] > 1 << 30) return "there are more than 2^30 pixels or channels";
    const int64_t parts = parts_of(call, planes, size, &share);
    return clattn_lanes_refusal(call, planes * parts, share, false);
}

const char *clattn_planes_channels_refusal(const clattn_call *call, const clattn_tensor *x) {
    const char *why = clattn_planes_refusal(call, x);
    if (why) return why;
    return (double)x->shape[1] * (double)plane_of(x) > 1 << 30 ? "an image has more than 2^30 elements" : NULL;
}

/* ---- Pools ---- */

typedef struct pooling {
    const clattn_tensor *x;
    char kinds[40];
    int count;
} pooling;

static pooling pooling_of(const clattn_tensor *x, int kinds) {
    static const char *const options[] = { " -DAVG", " -DMAX", " -DLP", " -DLSE" };
    pooling p = { .x = x };
    for (int i = 0; i < (int)CLATTN_COUNT(options); i++) {
        if (!(kinds >> i & 1)) continue;
        strcat(p.kinds, options[i]);
        p.count++;
    }
    return p;
}

/* The pools of `parts` parts a plane, [rows / inner][pools][inner]. */
static clattn_status pool(clattn_call *call, const pooling *p, int64_t parts, int64_t share, const clattn_tensor *results, int64_t inner, const char *where) {
    const int64_t size = plane_of(p->x), rows = p->x->shape[0] * p->x->shape[1] * parts;
    char options[96];
    clattn_lanes l;
    snprintf(options, sizeof options, "%s%s%s", clattn_planes_aligned(p->x, size) ? "-DALIGNED" : "", p->kinds, where);
    const clattn_status status = clattn_lanes_choose(call, "planes_gpu", "pool", options, rows, share, false, false, &l);
    return status ? status : clattn_run_kernel(call, "planes_gpu", "pool", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(p->x), ARG_T(results), ARG_I64(rows), ARG_I32(size), ARG_I32(parts), ARG_I32(share), ARG_I32(p->count), ARG_I32(inner), ARG_I32(l.lanes), ARG_LOCAL(4 * l.items));
}

static clattn_status join(clattn_call *call, const pooling *p, int64_t parts, const clattn_tensor *made, const clattn_tensor *results, const char *where) {
    const int64_t planes = p->x->shape[0] * p->x->shape[1];
    char options[96];
    clattn_lanes l;
    snprintf(options, sizeof options, "%s%s", p->kinds + 1, where);
    const clattn_status status = clattn_lanes_choose(call, "planes_gpu", "join", options, planes, parts, false, false, &l);
    return status ? status : clattn_run_kernel(call, "planes_gpu", "join", l.options, 1, (size_t[]){ l.groups * l.items }, (size_t[]){ l.items }, ARG_T(made), ARG_T(results), ARG_I64(planes), ARG_I32(plane_of(p->x)), ARG_I32(parts), ARG_I32(p->count), ARG_I32(p->x->shape[1]), ARG_I32(l.lanes), ARG_LOCAL(4 * l.items));
}

clattn_status clattn_planes_pool(clattn_call *call, const clattn_tensor *x, int kinds, const clattn_tensor *results, bool to_output) {
    const pooling p = pooling_of(x, kinds);
    const char *where = to_output ? " -DTO_OUTPUT" : "";
    const int64_t planes = x->shape[0] * x->shape[1];
    int64_t share;
    const int64_t parts = parts_of(call, planes, plane_of(x), &share), rows = planes * parts;
    clattn_tensor made;
    if (parts == 1) return pool(call, &p, 1, share, results, x->shape[1], where);
    clattn_status status = clattn_scratch(call, &made, CLATTN_F32, 1, (int64_t[]){ p.count * rows });
    if (!status) status = pool(call, &p, parts, share, &made, rows, "");
    return status ? status : join(call, &p, parts, &made, results, where);
}

/* ---- Over the channels ---- */

/* Items side by side; the others of a group share the channels. Fewer where there are too few pixels to fill the device. */
static int64_t items_across(const clattn_call *call, int64_t images, int64_t plane) {
    int64_t across = 32;
    while (across > 4 && images * clattn_ceil_div(plane, 4 * across) < clattn_planes_groups(call)) across /= 2;
    return across;
}

clattn_status clattn_planes_channels(clattn_call *call, const clattn_tensor *x, const clattn_tensor *gate, const clattn_tensor *maps, int top_at, int mean_at, int kinds) {
    const int64_t images = x->shape[0], plane = plane_of(x), across = items_across(call, images, plane), blocks = clattn_ceil_div(plane, 4 * across);
    const bool aligned = clattn_planes_aligned(x, plane) && clattn_planes_aligned(maps, plane);
    char options[64];
    size_t items;
    snprintf(options, sizeof options, "-DACROSS=%d%s%s", (int)across, aligned ? " -DALIGNED" : "", gate ? " -DGATED" : "");
    const clattn_status status = clattn_planes_group(call, "planes_gpu", "channels", options, sizeof options, &items);
    return status ? status : clattn_run_kernel(call, "planes_gpu", "channels", options, 1, (size_t[]){ (size_t)(images * blocks) * items }, (size_t[]){ items }, ARG_T(x), ARG_T(gate), ARG_T(maps), ARG_I32(x->shape[1]), ARG_I32(plane), ARG_I32(blocks), ARG_I32(top_at), ARG_I32(mean_at), ARG_I32(kinds));
}

/* ---- Products ---- */

int64_t clattn_planes_flat(const clattn_tensor *x, const clattn_tensor *out, char *options, size_t size) {
    const bool aligned = x->offset % 4 == 0 && out->offset % 4 == 0;
    snprintf(options, size, "%s", aligned ? "-DALIGNED" : "");
    return aligned ? 4 : 1;
}

clattn_status clattn_planes_scale(clattn_call *call, const clattn_tensor *x, const clattn_tensor *factors, const clattn_tensor *out) {
    char options[40];
    size_t items;
    const int64_t total = clattn_tensor_count(x), each = AT_ONCE * clattn_planes_flat(x, out, options, sizeof options);
    const clattn_status status = clattn_planes_group(call, "planes_gpu", "scale", options, sizeof options, &items);
    if (status) return status;
    const size_t groups = (size_t)clattn_ceil_div(total, each * (int64_t)items);
    return clattn_run_kernel(call, "planes_gpu", "scale", options, 1, (size_t[]){ groups * items }, (size_t[]){ items }, ARG_T(x), ARG_T(factors), ARG_T(out), ARG_I64(total), ARG_I32(plane_of(x)));
}
