"""PyTorch: eager, or the same functions through torch.compile."""
import sys

from peer import THREADS, Unsupported, serve

torch = None
F = None


def tensors(case):
    return {name: torch.from_numpy(array) for name, array in case.x.items()}


# ---- Each returns a function of no arguments, and how it may be given its output ----

def sdpa(case, t):
    q, k, v = t["query"], t["key"], t["value"]
    if case.outputs and case.outputs != ["out"] or any(name in case.words for name in ("softcap", "window_left", "window_right")):
        raise Unsupported("no such call in scaled_dot_product_attention")
    causal = case.words.get("causal") == "top_left"
    mask = t.get("mask", t.get("bias"))
    if "key_lengths" in t:
        mask = (torch.arange(k.shape[2])[None, :] < t["key_lengths"][:, None])[:, None, None, :]
    if "alibi_slopes" in t:
        distance = torch.arange(q.shape[2])[:, None] - torch.arange(k.shape[2])[None, :]
        mask = (-t["alibi_slopes"][:, None, None] * distance.abs()).masked_fill(distance < 0, -torch.inf)[None]
        causal = False
    if mask is not None and mask.dtype == torch.float32 and mask.dim() == 3:
        mask = mask[None]
    grouped = q.shape[1] != k.shape[1]
    return lambda: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=grouped)


def varlen(case, t):
    q, k, v, cuts = t["query"].transpose(0, 1), t["key"].transpose(0, 1), t["value"].transpose(0, 1), t["cu_query"].tolist()
    out = torch.empty_like(t["query"])

    def run():
        for a, b in zip(cuts, cuts[1:]):
            out[a:b] = F.scaled_dot_product_attention(q[None, :, a:b], k[None, :, a:b], v[None, :, a:b])[0].transpose(0, 1)
        return out
    return run


def additive(case, t):
    q, v, w = t["query"], t["value"], t["scale"]

    def run():
        scores = (torch.tanh(q[:, :, None] + v[:, None]) * w).sum(-1)
        return torch.softmax(scores, -1) @ v
    return run


def bahdanau(case, t):
    s, h, w, p, v = t["state"], t["annotations"], t["w_a"], t["projected"], t["v_a"]

    def run():
        scores = torch.tanh((s @ w)[:, :, None] + p[:, None]) @ v
        return torch.softmax(scores, -1) @ h
    return run


def luong(case, t):
    q, s, w, c = t["target"], t["source"], t["w_a"], t["w_c"]

    def run():
        context = torch.softmax((q @ w) @ s.transpose(1, 2), -1) @ s
        return torch.tanh(torch.cat([context, q], -1) @ c.T)
    return run


def channel_gate(t, pools):
    hidden = sum(F.linear(torch.relu(F.linear(pool, t["w1"], t["b1"])), t["w2"], t["b2"]) for pool in pools)
    return torch.sigmoid(hidden)[:, :, None, None]


def squeeze_excite(case, t):
    x = t["x"]
    return lambda: x * channel_gate(t, [x.mean((2, 3))])


def channel_attention(case, t):
    x = t["x"]
    return lambda: x * channel_gate(t, [x.mean((2, 3)), x.amax((2, 3))])


def spatial(x, weight):
    pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
    return x * torch.sigmoid(F.conv2d(pooled, weight, padding=weight.shape[2] // 2))


def spatial_attention(case, t):
    return lambda: spatial(t["x"], t["weight"])


def cbam(case, t):
    x = t["x"]
    return lambda: spatial(x * channel_gate(t, [x.mean((2, 3)), x.amax((2, 3))]), t["weight"])


def efficient_channel_attention(case, t):
    x, w = t["x"], t["weight"]
    return lambda: x * torch.sigmoid(F.conv1d(x.mean((2, 3))[:, None], w, padding=w.shape[2] // 2))[:, 0, :, None, None]


def conv2d(case, t):
    stride, padding = case.pair("stride", 1), case.pair("padding", 0)
    return lambda: F.conv2d(t["x"], t["weight"], stride=stride, padding=padding, groups=case.integer("groups", 1))


def window(function):
    def make(case, t):
        kernel, stride, padding = case.pair("kernel", 1), case.pair("stride", case.words["kernel"]), case.pair("padding", 0)
        return lambda: function(t["x"], kernel, stride, padding)
    return make


def layer_norm(case, t):
    return lambda: F.layer_norm(t["x"], t["gamma"].shape, t["gamma"], t["beta"])


def batch_norm(case, t):
    return lambda: F.batch_norm(t["x"], t["mean"], t["var"], t["gamma"], t["beta"])


def recurrent(module):
    def make(case, t):
        unit = module(t["w_ih"].shape[1], t["w_hh"].shape[1], batch_first=True)
        with torch.no_grad():
            for name in ("w_ih", "w_hh", "b_ih", "b_hh"):
                getattr(unit, name.replace("w_", "weight_").replace("b_", "bias_") + "_l0").copy_(t[name])
        return lambda: unit(t["x"])[0]
    return make


def out_variant(function, *names):
    """A call that writes into memory which exists already."""
    def make(case, t):
        inputs = [t[name] for name in names]
        out = torch.empty_like(function(*inputs))
        return lambda: function(*inputs, out=out)
    return make


LIBRARY_CALLS = {  # compiling one call of the library changes nothing
    "attention": sdpa, "attention_varlen": varlen, "conv2d": conv2d, "gru": lambda c, t: recurrent(torch.nn.GRU)(c, t), "lstm": lambda c, t: recurrent(torch.nn.LSTM)(c, t),
    "matmul": lambda c, t: out_variant(torch.matmul, "a", "b")(c, t),
    "max_pool2d": lambda c, t: window(lambda x, k, s, p: F.max_pool2d(x, k, s, p))(c, t),
    "avg_pool2d": lambda c, t: window(lambda x, k, s, p: F.avg_pool2d(x, k, s, p))(c, t),
}
COMPILED_TOO = {
    "additive_attention": additive, "bahdanau_attention": bahdanau, "luong_attention": luong, "squeeze_excite": squeeze_excite, "channel_attention": channel_attention,
    "spatial_attention": spatial_attention, "cbam": cbam, "efficient_channel_attention": efficient_channel_attention, "layer_norm": layer_norm, "batch_norm": batch_norm,
    "softmax": lambda c, t: out_variant(lambda x, out=None: torch.softmax(x, -1, out=out), "x")(c, t),
    "add": lambda c, t: out_variant(torch.add, "a", "b")(c, t),
    "activation": lambda c, t: lambda: F.gelu(t["x"]),
    "global_pool2d": lambda c, t: lambda: t["x"].mean((2, 3), keepdim=True),
}
# For torch.compile, which makes its own output.
PURE = {
    "softmax": lambda c, t: lambda: torch.softmax(t["x"], -1),
    "add": lambda c, t: lambda: t["a"] + t["b"],
}


def make_run(case, mode):
    t = tensors(case)
    if mode == "eager":
        table = {**LIBRARY_CALLS, **COMPILED_TOO}
    else:
        table = {**COMPILED_TOO, **PURE}
    if case.operation not in table:
        raise Unsupported("one call of the library" if case.operation in LIBRARY_CALLS else case.operation)
    case.only_first_output()
    function = table[case.operation](case, t)
    if mode == "compile":
        torch._dynamo.reset()
        function = torch.compile(function, dynamic=False)
    kept = [None]

    def run():
        with torch.inference_mode():
            kept[0] = function()
    return run, lambda: {case.outputs[0] if case.outputs else FIRST.get(case.operation, "out"): kept[0].numpy()}


FIRST = {"bahdanau_attention": "context", "luong_attention": "context"}


def start(mode):
    global torch, F
    import torch as loaded
    torch, F = loaded, loaded.nn.functional
    torch.set_num_threads(THREADS)
    return "PyTorch " + torch.__version__, lambda case: make_run(case, mode)


if __name__ == "__main__":
    serve(lambda: start(sys.argv[1]))
