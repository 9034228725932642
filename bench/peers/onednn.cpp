// oneDNN 2 for onednn.py: prepares one primitive at a time on the caller's arrays. Weights are in the layouts that the library
// chooses, as clattn packs them too. So are a convolution's images, unless peer_keep_layout asks for the caller's own layout: what
// has to be reordered is reordered before and after the timing, which is in the library's favour.
#include <dnnl.hpp>
#include <functional>
#include <vector>

using namespace dnnl;
using tag = memory::format_tag;
using dims = memory::dims;

static engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);
static primitive work;
static std::unordered_map<int, memory> arguments;
static bool keeps_layout; // images are taken and given as NCHW
static memory found, wanted; // the result as the primitive leaves it and as the caller wants it

static memory::desc plain(const dims &shape, tag order) {
    return memory::desc(shape, memory::data_type::f32, order);
}

static memory::desc any(const dims &shape) {
    return memory::desc(shape, memory::data_type::f32, tag::any);
}

static memory::desc image(const dims &shape) {
    return keeps_layout ? plain(shape, tag::nchw) : any(shape);
}

// The caller's array in the layout that the primitive wants.
static memory given(const memory::desc &wish, const memory::desc &have, float *data) {
    memory mine(have, cpu, data);
    if (wish == have) return mine;
    memory made(wish, cpu);
    reorder(mine, made).execute(queue, mine, made);
    queue.wait();
    return made;
}

static void set(primitive made, const memory::desc &left, const memory::desc &want, float *data) {
    work = made;
    wanted = memory(want, cpu, data);
    found = left == want ? wanted : memory(left, cpu);
    arguments[DNNL_ARG_DST] = found;
}

template <typename Function> static int guarded(Function f) {
    try {
        arguments.clear();
        f();
        return 0;
    } catch (const error &) {
        return 1;
    }
}

extern "C" {

const char *peer_version() {
    static char text[64];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

void peer_keep_layout() {
    keeps_layout = true;
}

int peer_matmul(long batch, long m, long n, long k, float *a, float *b, float *c) {
    return guarded([=] {
        const memory::desc da = plain({ batch, m, k }, tag::abc), db = plain({ batch, k, n }, tag::abc), dc = plain({ batch, m, n }, tag::abc);
        matmul::primitive_desc p(matmul::desc(da, any({ batch, k, n }), dc), cpu);
        arguments = { { DNNL_ARG_SRC, given(da, da, a) }, { DNNL_ARG_WEIGHTS, given(p.weights_desc(), db, b) } };
        set(matmul(p), dc, dc, c);
    });
}

int peer_convolution(long n, long c, long h, long w, long o, long kh, long kw, long stride, long padding, long groups, float *x, float *weight, float *y) {
    return guarded([=] {
        const long oh = (h + 2 * padding - kh) / stride + 1, ow = (w + 2 * padding - kw) / stride + 1;
        const dims shape = groups > 1 ? dims{ groups, o / groups, c / groups, kh, kw } : dims{ o, c, kh, kw };
        convolution_forward::primitive_desc p(convolution_forward::desc(prop_kind::forward_inference, algorithm::convolution_direct, image({ n, c, h, w }), any(shape), image({ n, o, oh, ow }), { stride, stride }, { padding, padding }, { padding, padding }), cpu);
        arguments = { { DNNL_ARG_SRC, given(p.src_desc(), plain({ n, c, h, w }, tag::nchw), x) }, { DNNL_ARG_WEIGHTS, given(p.weights_desc(), plain(shape, groups > 1 ? tag::goihw : tag::oihw), weight) } };
        set(convolution_forward(p), p.dst_desc(), plain({ n, o, oh, ow }, tag::nchw), y);
    });
}

int peer_pool(long n, long c, long h, long w, long kernel, long stride, long padding, int maximum, float *x, float *y) {
    return guarded([=] {
        const long oh = (h + 2 * padding - kernel) / stride + 1, ow = (w + 2 * padding - kernel) / stride + 1;
        const memory::desc have = plain({ n, c, h, w }, tag::nchw), want = plain({ n, c, oh, ow }, tag::nchw);
        const auto kind = maximum ? algorithm::pooling_max : algorithm::pooling_avg_include_padding;
        pooling_forward::primitive_desc p(pooling_forward::desc(prop_kind::forward_inference, kind, have, want, { stride, stride }, { kernel, kernel }, { padding, padding }, { padding, padding }), cpu);
        arguments = { { DNNL_ARG_SRC, given(have, have, x) } };
        set(pooling_forward(p), want, want, y);
    });
}

int peer_softmax(long rows, long columns, float *x, float *y) {
    return guarded([=] {
        const memory::desc d = plain({ rows, columns }, tag::ab);
        arguments = { { DNNL_ARG_SRC, given(d, d, x) } };
        set(softmax_forward({ softmax_forward::desc(prop_kind::forward_inference, d, 1), cpu }), d, d, y);
    });
}

int peer_layer_norm(long rows, long columns, float *x, float *gamma, float *beta, float *y) {
    return guarded([=] {
        const memory::desc d = plain({ rows, columns }, tag::ab), one = plain({ columns }, tag::a);
        arguments = { { DNNL_ARG_SRC, given(d, d, x) }, { DNNL_ARG_SCALE, given(one, one, gamma) }, { DNNL_ARG_SHIFT, given(one, one, beta) } };
        set(layer_normalization_forward({ layer_normalization_forward::desc(prop_kind::forward_inference, d, 1e-5f, normalization_flags::use_scale | normalization_flags::use_shift), cpu }), d, d, y);
    });
}

int peer_gelu(long count, float *x, float *y) {
    return guarded([=] {
        const memory::desc d = plain({ count }, tag::a);
        arguments = { { DNNL_ARG_SRC, given(d, d, x) } };
        set(eltwise_forward({ eltwise_forward::desc(prop_kind::forward_inference, algorithm::eltwise_gelu_erf, d), cpu }), d, d, y);
    });
}

int peer_add(long count, float *a, float *b, float *y) {
    return guarded([=] {
        const memory::desc d = plain({ count }, tag::a);
        arguments = { { DNNL_ARG_SRC_0, given(d, d, a) }, { DNNL_ARG_SRC_1, given(d, d, b) } };
        set(binary({ binary::desc(algorithm::binary_add, d, d, d), cpu }), d, d, y);
    });
}

void peer_run() {
    work.execute(queue, arguments);
    queue.wait();
}

void peer_result() {
    if (found.get_desc() == wanted.get_desc()) return;
    reorder(found, wanted).execute(queue, found, wanted);
    queue.wait();
}
}
