#include "reference.h"

#include <stdlib.h>

#include "../ops/gates.h"

void clattn_reference_channel_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_spatial_attention(const clattn_call *call, const void *args, clattn_bounds *bounds);
void clattn_reference_cbam(const clattn_call *call, const void *args, clattn_bounds *bounds);

/* A sum of products that remembers its terms' size. */
typedef struct products {
    double sum, squares;
} products;

static void add(products *p, double term) {
    p->sum += term;
    if (isfinite(term)) p->squares += term * term;
}

static double larger_or_nan(double a, double b) {
    return b > a || isnan(b) ? b : a;
}

/* ---- Channels ---- */

/* w2 act(w1 pooled + b1) + b2 of one pool, added to sums[C]. */
static void add_layers(const clattn_gates *g, const double *pooled, double *sums, clattn_bounds *bounds) {
    const int64_t channels = ref_size(g->x, 1), count = ref_size(g->w1, 0);
    const double *w1 = ref_values(g->w1), *b1 = ref_values(g->b1), *w2 = ref_values(g->w2), *b2 = ref_values(g->b2);
    double *hidden = calloc((size_t)count + 1, sizeof *hidden);
    for (int64_t r = 0; r < count && hidden; r++) {
        products p = { 0, 0 };
        for (int64_t c = 0; c < channels; c++) add(&p, w1[r * channels + c] * pooled[c]);
        hidden[r] = ref_activation(g->activation, p.sum + (b1 ? b1[r] : 0));
        ref_bound(&bounds->sum, sqrt(p.squares));
    }
    for (int64_t c = 0; c < channels && hidden; c++) {
        products p = { 0, 0 };
        for (int64_t r = 0; r < count; r++) add(&p, w2[c * count + r] * hidden[r]);
        sums[c] += p.sum + (b2 ? b2[c] : 0);
        ref_bound(&bounds->sum, sqrt(p.squares));
    }
    free(hidden);
}

static void channel_gate(const clattn_gates *g, const double *image, double *gate, clattn_bounds *bounds) {
    const int64_t channels = ref_size(g->x, 1), plane = ref_size(g->x, 2) * ref_size(g->x, 3);
    double *pooled = calloc((size_t)channels + 1, sizeof *pooled);
    for (int64_t c = 0; c < channels; c++) gate[c] = 0;
    for (int kind = CLATTN_POOL_AVG; kind <= CLATTN_POOL_LSE && pooled; kind++) {
        if (!(g->kinds >> kind & 1)) continue;
        for (int64_t c = 0; c < channels; c++) pooled[c] = ref_pool(kind, image + c * plane, plane);
        add_layers(g, pooled, gate, bounds);
    }
    for (int64_t c = 0; c < channels; c++) gate[c] = ref_activation(g->gate, gate[c]);
    free(pooled);
}

/* ---- Pixels ---- */

/* maps: [2][H][W] in weight's order. */
static void reduce(const clattn_gates *g, const double *image, const double *gate, double *maps) {
    const int64_t channels = ref_size(g->x, 1), plane = ref_size(g->x, 2) * ref_size(g->x, 3);
    for (int64_t i = 0; i < plane; i++) {
        double sum = 0, top = -INFINITY;
        for (int64_t c = 0; c < channels; c++) {
            const double v = image[c * plane + i] * (gate ? gate[c] : 1);
            sum += v;
            top = larger_or_nan(top, v);
        }
        maps[i] = g->mean_first ? sum / (double)channels : top;
        maps[plane + i] = g->mean_first ? top : sum / (double)channels;
    }
}

static products convolve(const clattn_gates *g, const double *maps, int64_t row, int64_t column) {
    const int64_t height = ref_size(g->x, 2), width = ref_size(g->x, 3), k = ref_size(g->weight, 3);
    const double *weight = ref_values(g->weight);
    products p = { 0, 0 };
    for (int64_t map = 0; map < 2; map++)
        for (int64_t y = 0; y < k; y++)
            for (int64_t x = 0; x < k; x++) {
                const int64_t i = row + y - k / 2, j = column + x - k / 2;
                if (i >= 0 && i < height && j >= 0 && j < width) add(&p, weight[(map * k + y) * k + x] * maps[(map * height + i) * width + j]);
            }
    return p;
}

static void spatial_gate(const clattn_gates *g, const double *maps, double *gate, clattn_bounds *bounds) {
    const int64_t height = ref_size(g->x, 2), width = ref_size(g->x, 3);
    const double *gamma = ref_values(g->gamma), *beta = ref_values(g->beta), *mean = ref_values(g->mean), *var = ref_values(g->var);
    const double scale = var ? (gamma ? *gamma : 1) / sqrt(*var + (double)g->eps) : 1;
    for (int64_t row = 0; row < height; row++)
        for (int64_t column = 0; column < width; column++) {
            const products p = convolve(g, maps, row, column);
            gate[row * width + column] = ref_sigmoid((p.sum - (mean ? *mean : 0)) * scale + (beta ? *beta : 0));
            ref_bound(&bounds->sum, sqrt(p.squares) * fabs(scale));
        }
}

/* ---- Both ---- */

static void gate_image(const clattn_gates *g, int64_t n, double *channel, double *spatial, double *maps, clattn_bounds *bounds) {
    const int64_t channels = ref_size(g->x, 1), plane = ref_size(g->x, 2) * ref_size(g->x, 3);
    const double *image = ref_values(g->x) + n * channels * plane;
    if (g->channel) channel_gate(g, image, channel, bounds);
    if (g->spatial) {
        reduce(g, image, g->channel ? channel : NULL, maps);
        spatial_gate(g, maps, spatial, bounds);
    }
    for (int64_t c = 0; c < channels && g->channel_gate; c++) ref_values(g->channel_gate)[n * channels + c] = channel[c];
    for (int64_t i = 0; i < plane && g->spatial_gate; i++) ref_values(g->spatial_gate)[n * plane + i] = spatial[i];
    for (int64_t i = 0; i < channels * plane && g->out; i++) ref_values(g->out)[n * channels * plane + i] = image[i] * (g->channel ? channel[i / plane] : 1) * (g->spatial ? spatial[i % plane] : 1);
}

void clattn_gates_reference(const clattn_gates *g, clattn_bounds *bounds) {
    const size_t channels = (size_t)ref_size(g->x, 1), plane = (size_t)(ref_size(g->x, 2) * ref_size(g->x, 3));
    double *memory = calloc(channels + 3 * plane + 1, sizeof *memory);
    for (int64_t n = 0; n < ref_size(g->x, 0) && memory; n++) gate_image(g, n, memory, memory + channels, memory + channels + plane, bounds);
    free(memory);
}

void clattn_reference_channel_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gates g = clattn_gates_channel_attention(args);
    (void)call;
    clattn_gates_reference(&g, bounds);
}

void clattn_reference_spatial_attention(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gates g = clattn_gates_spatial_attention(args);
    (void)call;
    clattn_gates_reference(&g, bounds);
}

void clattn_reference_cbam(const clattn_call *call, const void *args, clattn_bounds *bounds) {
    const clattn_gates g = clattn_gates_cbam(args);
    (void)call;
    clattn_gates_reference(&g, bounds);
}
