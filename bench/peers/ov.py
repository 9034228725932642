"""OpenVINO on the CPU: one model per case, outputs preallocated, f32 arithmetic (its own choice may be bf16)."""
from peer import THREADS, Unsupported, np, serve

ov = None
ops = None


def attention(case, p):
    case.only("query", "key", "value", "mask", "bias", "causal")
    if case.x["query"].shape[1] != case.x["key"].shape[1]:
        raise Unsupported("grouped heads")
    mask = p.get("mask", p.get("bias"))
    causal = case.words.get("causal") == "top_left"
    inputs = [p["query"], p["key"], p["value"]] + ([mask] if mask is not None else [])
    return ops.scaled_dot_product_attention(*inputs, causal=causal)


def constant(value):
    return ops.constant(np.array(value))


def additive(case, p):
    case.only("query", "value", "scale")
    pairs = ops.tanh(ops.add(ops.unsqueeze(p["query"], constant(2)), ops.unsqueeze(p["value"], constant(1))))
    scores = ops.reduce_sum(ops.multiply(pairs, p["scale"]), constant(3))
    return ops.matmul(ops.softmax(scores, 2), p["value"], False, False)


def gate(p, pools):
    hidden = None
    for pool in pools:
        layer = ops.relu(ops.add(ops.matmul(pool, p["w1"], False, True), p["b1"]))
        layer = ops.add(ops.matmul(layer, p["w2"], False, True), p["b2"])
        hidden = layer if hidden is None else ops.add(hidden, layer)
    return ops.unsqueeze(ops.sigmoid(hidden), constant([2, 3]))


def pools(x, both):
    return [ops.reduce_mean(x, constant([2, 3]))] + ([ops.reduce_max(x, constant([2, 3]))] if both else [])


def spatial(case, x, p):
    border = [case.x["weight"].shape[2] // 2] * 2
    pooled = ops.concat([ops.reduce_max(x, constant([1]), True), ops.reduce_mean(x, constant([1]), True)], 1)
    return ops.multiply(x, ops.sigmoid(ops.convolution(pooled, p["weight"], [1, 1], border, border, [1, 1])))


def conv2d(case, p):
    case.only("x", "weight", "stride", "padding", "groups", "precision")
    stride, padding, groups = case.pair("stride", 1), case.pair("padding", 0), case.integer("groups", 1)
    weight = case.x["weight"]
    if groups == 1:
        return ops.convolution(p["x"], ops.constant(weight), stride, padding, padding, [1, 1])
    grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return ops.group_convolution(p["x"], ops.constant(grouped), stride, padding, padding, [1, 1])


def max_pool(case, p):
    kernel, padding = case.pair("kernel", 1), case.pair("padding", 0)
    return ops.max_pool(p["x"], case.pair("stride", case.words["kernel"]), [1, 1], padding, padding, kernel).output(0)


def avg_pool(case, p):
    kernel, padding = case.pair("kernel", 1), case.pair("padding", 0)
    return ops.avg_pool(p["x"], case.pair("stride", case.words["kernel"]), padding, padding, kernel, False)


def layer_norm(case, p):
    normal = ops.mvn(p["x"], constant([-1]), True, 1e-5, "INSIDE_SQRT")
    return ops.add(ops.multiply(normal, p["gamma"]), p["beta"])


TABLE = {
    "attention": attention, "additive_attention": additive, "conv2d": conv2d, "max_pool2d": max_pool, "avg_pool2d": avg_pool, "layer_norm": layer_norm,
    "squeeze_excite": lambda c, p: ops.multiply(p["x"], gate(p, pools(p["x"], False))),
    "channel_attention": lambda c, p: ops.multiply(p["x"], gate(p, pools(p["x"], True))),
    "spatial_attention": lambda c, p: spatial(c, p["x"], p),
    "cbam": lambda c, p: spatial(c, ops.multiply(p["x"], gate(p, pools(p["x"], True))), p),
    "softmax": lambda c, p: ops.softmax(p["x"], len(c.x["x"].shape) - 1),
    "matmul": lambda c, p: ops.matmul(p["a"], p["b"], False, False),
    "add": lambda c, p: ops.add(p["a"], p["b"]),
    "activation": lambda c, p: ops.gelu(p["x"], "erf"),
    "batch_norm": lambda c, p: ops.batch_norm_inference(p["x"], p["gamma"], p["beta"], p["mean"], p["var"], 1e-5),
    "global_pool2d": lambda c, p: ops.reduce_mean(p["x"], constant([2, 3]), True),
}
WEIGHTS = ("weight", "w1", "b1", "w2", "b2", "scale", "gamma", "beta", "mean", "var")


def make_run(case):
    case.only_first_output()
    if case.operation not in TABLE or case.outputs not in ([], ["out"]):
        raise Unsupported(case.operation)
    given, parameters = {}, {}
    for name, array in case.x.items():
        if name in WEIGHTS:
            given[name] = ops.constant(array)
        else:
            parameters[name] = given[name] = ops.parameter(list(array.shape), array.dtype, name=name)
    result = TABLE[case.operation](case, given)
    used = [p for p in parameters.values() if p.output(0).get_target_inputs()]
    model = ov.Model([result], used)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    for index, parameter in enumerate(used):
        request.set_input_tensor(index, ov.Tensor(case.x[parameter.friendly_name], shared_memory=True))
    out = np.empty(list(request.get_output_tensor(0).shape), np.float32)
    request.set_output_tensor(0, ov.Tensor(out, shared_memory=True))

    def run(kept=(case, out)):  # the request computes on these
        del kept
        request.infer()
    return run, lambda: {"out": out}


def start():
    global ov, ops
    import openvino
    from openvino import opset13
    ov, ops = openvino, opset13
    return "OpenVINO " + openvino.__version__, make_run


if __name__ == "__main__":
    serve(start)
