/* The variants shared by squeeze_excite, channel_attention, spatial_attention and cbam. */
#include "gates.h"

enum { ROWS = 4 }; /* as in gates.cl */

/* An image up to this size is still in the cache when its gates are applied. */
#define CACHED_BYTES ((int64_t)8 << 20)
/* What stays near a core of an image, or of a band of its rows, while the output passes by. */
#define BAND_BYTES ((int64_t)800 << 10)
/* Work for one launch to be worth a group of its own, in elements. */
#define GROUP_ELEMENTS 16384

typedef struct gate_sizes {
    int64_t images, channels, height, width, hidden, k, plane;
    int64_t pitch, slice; /* of the padded maps of gates.cl */
    int64_t pools;            /* that are computed: 2, or all 4 */
    const char *pool_options; /* of the kernels that read or write them */
    char options[48];
} gate_sizes;

/* Results of the steps: the caller's outputs or scratch. */
typedef struct gate_tensors {
    clattn_tensor pools, hidden, maps, channel_gate, spatial_gate;
} gate_tensors;

static int64_t round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

static int64_t largest(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static gate_sizes sizes_of(const clattn_call *call, const clattn_gates *g) {
    const int64_t *shape = g->x->shape;
    gate_sizes s = { .images = shape[0], .channels = shape[1], .height = shape[2], .width = shape[3], .plane = shape[2] * shape[3] };
    s.hidden = g->channel ? g->w1->shape[0] : 0;
    s.k = g->spatial ? g->weight->shape[3] : 1;
    s.pitch = round_up(round_up(s.width, 16) + s.k - 1, 16);
    s.slice = (s.height + s.k - 1 + ROWS - 1) * s.pitch;
    const bool special = g->kinds >> CLATTN_POOL_LP != 0;
    s.pools = special ? 4 : 2;
    s.pool_options = special ? "-DSPECIAL" : "";
    snprintf(s.options, sizeof s.options, "%s%s%s", g->channel ? "-DCHANNEL " : "", g->spatial ? "-DSPATIAL " : "", clattn_streams(call, g->x) ? "-DSTREAM" : "");
    return s;
}

static bool wants_spatial(const clattn_gates *g) {
    return g->spatial && (g->out || g->spatial_gate);
}

/* ---- Scratch ---- */

static clattn_status scratch(clattn_call *call, clattn_tensor *tensor, int64_t count) {
    return clattn_scratch(call, tensor, CLATTN_F32, 1, &count);
}

static clattn_status output_or_scratch(clattn_call *call, clattn_tensor *tensor, const clattn_tensor *output, int64_t count) {
    if (!output) return scratch(call, tensor, count);
    *tensor = *output;
    return CLATTN_OK;
}

static clattn_status make_tensors(clattn_call *call, const clattn_gates *g, const gate_sizes *s, int64_t map_size, gate_tensors *t) {
    clattn_status status = CLATTN_OK;
    *t = (gate_tensors){ 0 };
    if (g->channel) {
        status = scratch(call, &t->pools, s->images * s->pools * s->channels);
        if (!status) status = scratch(call, &t->hidden, s->images * s->hidden);
        if (!status) status = output_or_scratch(call, &t->channel_gate, g->channel_gate, s->images * s->channels);
    }
    if (!status && wants_spatial(g)) {
        status = scratch(call, &t->maps, s->images * 2 * map_size);
        if (!status) status = output_or_scratch(call, &t->spatial_gate, g->spatial_gate, s->images * s->plane);
    }
    return status;
}

/* ---- cpu_image ---- */

static const char *cpu_refusal(const clattn_call *call, const clattn_gates *g, const gate_sizes *s) {
    if (!clattn_call_cpu(call, 0)) return "the device is not a CPU";
    const int64_t padding = 2 * s->slice * s->images;
    if (g->spatial && padding > 4 * clattn_tensor_count(g->x) + ((int64_t)4 << 20)) return "the rows are so short that padding them takes more memory than the images";
    return NULL;
}

const char *clattn_gates_image_refusal(const clattn_call *call, const clattn_gates *g) {
    const gate_sizes s = sizes_of(call, g);
    const int64_t units = largest(1, clattn_call_device(call)->compute_units);
    const char *refusal = cpu_refusal(call, g, &s);
    if (refusal) return refusal;
    if (s.images % units != 0 && s.images < 4 * units) return "the images do not fill the compute units evenly";
    if (s.channels * s.plane * 4 > CACHED_BYTES) return "an image does not fit the cache";
    return NULL;
}

/* Rows between whose pooling and scaling no others are read; the convolution needs k / 2 more. */
static int64_t band_of(const clattn_gates *g, const gate_sizes *s) {
    const int64_t row = largest(1, s->channels * s->width * (int64_t)clattn_dtype_size(g->x->dtype)), rows = BAND_BYTES / row;
    if (!g->spatial || rows >= s->height) return largest(1, s->height);
    return largest(2 * ROWS, (rows - s->k / 2) / ROWS * ROWS);
}

clattn_status clattn_gates_image(clattn_call *call, const clattn_gates *g) {
    const gate_sizes s = sizes_of(call, g);
    gate_tensors t;
    const clattn_status status = make_tensors(call, g, &s, s.slice, &t);
    if (status) return status;
    const int until = g->out ? 0 : wants_spatial(g) ? 2 : 1;
    char options[64];
    snprintf(options, sizeof options, "%s %s", s.options, s.pool_options);
    return clattn_run_kernel(call, "gates", "image", options, 1, (size_t[]){ (size_t)s.images }, (size_t[]){ 1 }, ARG_T(g->x), ARG_T(g->w1), ARG_T(g->b1), ARG_T(g->w2), ARG_T(g->b2), ARG_T(g->weight), ARG_T(g->gamma), ARG_T(g->beta), ARG_T(g->mean), ARG_T(g->var), ARG_F32(g->eps),
                             ARG_T(g->out), ARG_T(&t.channel_gate), ARG_T(&t.spatial_gate), ARG_T(&t.pools), ARG_T(&t.hidden), ARG_T(&t.maps), ARG_I64(s.channels), ARG_I64(s.height), ARG_I64(s.width), ARG_I64(s.hidden), ARG_I32(s.k), ARG_I64(s.pitch), ARG_I64(s.slice), ARG_I32(g->mean_first), ARG_I32(g->kinds),
                             ARG_I32(g->activation), ARG_I32(g->gate), ARG_I32(until), ARG_I64(band_of(g, &s)));
}

/* ---- cpu: one step a launch ---- */

const char *clattn_gates_cpu_refusal(const clattn_call *call, const clattn_gates *g) {
    const gate_sizes s = sizes_of(call, g);
    return cpu_refusal(call, g, &s);
}

/* How many items of `elements` each a group takes, so that there are several groups for each compute unit, none tiny. */
static int64_t per_group(const clattn_call *call, int64_t items, int64_t elements, int64_t parallel) {
    const int64_t groups = largest(1, clattn_tuned(call, "groups", 8) * largest(1, clattn_call_device(call)->compute_units) / largest(1, parallel));
    return largest(1, largest((items + groups - 1) / groups, clattn_tuned(call, "share", GROUP_ELEMENTS) / (elements + 1)));
}

static size_t group_count(int64_t items, int64_t each) {
    return (size_t)((items + each - 1) / each);
}

static clattn_status cpu_channel_gate(clattn_call *call, const clattn_gates *g, const gate_sizes *s, const gate_tensors *t) {
    const size_t one[] = { 1, 1 };
    const int64_t planes = s->images * s->channels, of_planes = per_group(call, planes, s->plane, 1);
    const int64_t of_hidden = per_group(call, s->hidden, s->channels, s->images), of_gates = per_group(call, s->channels, s->hidden, s->images);
    clattn_status status = clattn_run_kernel(call, "gates", "pool", s->pool_options, 1, (size_t[]){ group_count(planes, of_planes) }, one, ARG_T(g->x), ARG_T(&t->pools), ARG_I64(planes), ARG_I64(s->channels), ARG_I64(s->plane), ARG_I64(of_planes));
    if (!status) status = clattn_run_kernel(call, "gates", "hidden", s->pool_options, 2, ((size_t[]){ group_count(s->hidden, of_hidden), (size_t)s->images }), one, ARG_T(&t->pools), ARG_T(g->w1), ARG_T(g->b1), ARG_T(&t->hidden), ARG_I64(s->channels), ARG_I64(s->hidden), ARG_I32(g->kinds), ARG_I32(g->activation), ARG_I64(of_hidden));
    if (!status) status = clattn_run_kernel(call, "gates", "gate", "", 2, ((size_t[]){ group_count(s->channels, of_gates), (size_t)s->images }), one, ARG_T(&t->hidden), ARG_T(g->w2), ARG_T(g->b2), ARG_T(&t->channel_gate), ARG_I64(s->channels), ARG_I64(s->hidden), ARG_I32(g->kinds), ARG_I32(g->gate), ARG_I64(of_gates));
    return status;
}

/* The kernel knows how long its strips are unless a setting says otherwise. */
static void reduce_options(const clattn_call *call, const clattn_gates *g, char *text, size_t size) {
    const int strip = clattn_tuned(call, "strip", 0), used = snprintf(text, size, "%s", g->channel ? "-DCHANNEL" : "");
    if (strip) snprintf(text + used, size - (size_t)used, " -DSTRIP=%d", strip);
}

static clattn_status cpu_spatial_gate(clattn_call *call, const clattn_gates *g, const gate_sizes *s, const gate_tensors *t) {
    char options[48];
    reduce_options(call, g, options, sizeof options);
    const size_t one[] = { 1, 1 };
    const int64_t of_pixels = round_up(per_group(call, s->plane, s->channels, s->images), 16);
    const int64_t of_rows = round_up(per_group(call, s->height, s->width * s->k * s->k / 8, s->images), ROWS);
    clattn_status status = clattn_enqueue_fill(call->context, t->maps.buffer, (size_t)t->maps.offset * 4, (size_t)clattn_tensor_count(&t->maps) * 4, 0);
    if (!status) status = clattn_run_kernel(call, "gates", "reduce", options, 2, ((size_t[]){ group_count(s->plane, of_pixels), (size_t)s->images }), one, ARG_T(g->x), ARG_T(&t->channel_gate), ARG_T(&t->maps), ARG_I64(s->channels), ARG_I64(s->plane), ARG_I64(s->width), ARG_I64(s->pitch), ARG_I64(s->slice), ARG_I64(s->k / 2), ARG_I32(g->mean_first), ARG_I64(of_pixels));
    if (!status) status = clattn_run_kernel(call, "gates", "spatial", "", 2, ((size_t[]){ group_count(s->height, of_rows), (size_t)s->images }), one, ARG_T(&t->maps), ARG_T(g->weight), ARG_T(g->gamma), ARG_T(g->beta), ARG_T(g->mean), ARG_T(g->var), ARG_F32(g->eps), ARG_T(&t->spatial_gate), ARG_I64(s->height), ARG_I64(s->width), ARG_I64(s->pitch), ARG_I64(s->slice), ARG_I32(s->k), ARG_I64(of_rows));
    return status;
}

clattn_status clattn_gates_cpu(clattn_call *call, const clattn_gates *g) {
    const gate_sizes s = sizes_of(call, g);
    const int64_t planes = s.images * s.channels, of_planes = per_group(call, planes, s.plane, 1);
    gate_tensors t;
    clattn_status status = make_tensors(call, g, &s, s.slice, &t);
    if (!status && g->channel) status = cpu_channel_gate(call, g, &s, &t);
    if (!status && wants_spatial(g)) status = cpu_spatial_gate(call, g, &s, &t);
    if (status || !g->out) return status;
    return clattn_run_kernel(call, "gates", "apply", s.options, 1, (size_t[]){ group_count(planes, of_planes) }, (size_t[]){ 1 }, ARG_T(g->x), ARG_T(&t.channel_gate), ARG_T(&t.spatial_gate), ARG_T(g->out), ARG_I64(planes), ARG_I64(s.channels), ARG_I64(s.plane), ARG_I64(of_planes));
}

/* ---- scalar ---- */

static clattn_status scalar_channel_gate(clattn_call *call, const clattn_gates *g, const gate_sizes *s, const gate_tensors *t) {
    const size_t any[] = { 0 };
    const int64_t planes = s->images * s->channels, hidden = s->images * s->hidden;
    clattn_status status = clattn_run_kernel(call, "gates_scalar", "pool", s->pool_options, 1, (size_t[]){ (size_t)planes }, any, ARG_T(g->x), ARG_T(&t->pools), ARG_I64(planes), ARG_I64(s->channels), ARG_I64(s->plane));
    if (!status) status = clattn_run_kernel(call, "gates_scalar", "hidden", s->pool_options, 1, (size_t[]){ (size_t)hidden }, any, ARG_T(&t->pools), ARG_T(g->w1), ARG_T(g->b1), ARG_T(&t->hidden), ARG_I64(hidden), ARG_I64(s->channels), ARG_I64(s->hidden), ARG_I32(g->kinds), ARG_I32(g->activation));
    if (!status) status = clattn_run_kernel(call, "gates_scalar", "gate", "", 1, (size_t[]){ (size_t)planes }, any, ARG_T(&t->hidden), ARG_T(g->w2), ARG_T(g->b2), ARG_T(&t->channel_gate), ARG_I64(planes), ARG_I64(s->channels), ARG_I64(s->hidden), ARG_I32(g->kinds), ARG_I32(g->gate));
    return status;
}

static clattn_status scalar_spatial_gate(clattn_call *call, const clattn_gates *g, const gate_sizes *s, const gate_tensors *t) {
    const size_t any[] = { 0 };
    const int64_t pixels = s->images * s->plane;
    const clattn_status status = clattn_run_kernel(call, "gates_scalar", "reduce", g->channel ? "-DCHANNEL" : "", 1, (size_t[]){ (size_t)pixels }, any, ARG_T(g->x), ARG_T(&t->channel_gate), ARG_T(&t->maps), ARG_I64(pixels), ARG_I64(s->channels), ARG_I64(s->plane), ARG_I32(g->mean_first));
    if (status) return status;
    return clattn_run_kernel(call, "gates_scalar", "spatial", "", 1, (size_t[]){ (size_t)pixels }, any, ARG_T(&t->maps), ARG_T(g->weight), ARG_T(g->gamma), ARG_T(g->beta), ARG_T(g->mean), ARG_T(g->var), ARG_F32(g->eps), ARG_T(&t->spatial_gate), ARG_I64(pixels), ARG_I64(s->height), ARG_I64(s->width), ARG_I32(s->k));
}

clattn_status clattn_gates_scalar(clattn_call *call, const clattn_gates *g) {
    const gate_sizes s = sizes_of(call, g);
    const int64_t total = clattn_tensor_count(g->x);
    const char *options = g->channel && g->spatial ? "-DCHANNEL -DSPATIAL" : g->channel ? "-DCHANNEL" : "-DSPATIAL";
    gate_tensors t;
    clattn_status status = make_tensors(call, g, &s, s.plane, &t);
    if (!status && g->channel) status = scalar_channel_gate(call, g, &s, &t);
    if (!status && wants_spatial(g)) status = scalar_spatial_gate(call, g, &s, &t);
    if (status || !g->out) return status;
    return clattn_run_kernel(call, "gates_scalar", "apply", options, 1, (size_t[]){ (size_t)total }, (size_t[]){ 0 }, ARG_T(g->x), ARG_T(&t.channel_gate), ARG_T(&t.spatial_gate), ARG_T(g->out), ARG_I64(total), ARG_I64(s.channels), ARG_I64(s.plane));
}

/* ---- Tuning ---- */

const clattn_tunable clattn_gates_tunables[] = {
    { "cpu", "groups", "for each compute unit", { 2, 4, 8, 16, 32 } },
    { "cpu", "share", "elements of a group at least", { 4096, 16384, 65536 } },
    { "cpu", "strip", "pixels whose maximum and sum over the channels stay in a core's cache", { 256, 1024, 4096 } },
    { .name = NULL },
};

void clattn_gates_class(const clattn_gates *g, char *text, size_t size) {
    const int64_t *shape = g->x->shape;
    snprintf(text, size, "b%lld c%lld p%lld", (long long)clattn_class_size(shape[0]), (long long)clattn_class_size(shape[1]), (long long)clattn_class_size(shape[2] * shape[3]));
}

/* ---- Work ---- */

void clattn_gates_work(const clattn_call *call, const clattn_gates *g, double *flops, double *bytes) {
    const gate_sizes s = sizes_of(call, g);
    const double elements = (double)s.channels * (double)s.plane, images = (double)s.images;
    double pools = 0;
    for (int kinds = g->kinds; kinds; kinds >>= 1) pools += kinds & 1;
    const double channel = pools * elements + 2 * (pools + 1) * (double)(s.channels * s.hidden) + elements;
    const double spatial = (g->channel ? 3 : 2) * elements + 4 * (double)(s.k * s.k * s.plane) + elements;
    *flops = images * ((g->channel ? channel : 0) + (g->spatial ? spatial : 0));
    *bytes = 8 * images * elements;
}
