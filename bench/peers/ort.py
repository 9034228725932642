"""ONNX Runtime on the CPU: a model of one operator, bound to memory that exists already. `standard` knows ONNX's own operators,
`multi-head` the runtime's MultiHeadAttention."""
import sys

from peer import THREADS, Unsupported, np, serve

runtime = None
helper = None
FLOAT = 1


def node(name, inputs, **attributes):
    return helper.make_node(name, inputs, ["out"], **attributes)


def attention(case):
    case.only("query", "key", "value", "mask", "bias", "softcap", "causal")
    if case.outputs not in ([], ["out"]):
        raise Unsupported("several outputs")
    mask = [name for name in ("mask", "bias") if name in case.x]
    for name in mask:  # its last two axes do not broadcast
        sizes = case.x[name].shape[:-2] + (case.x["query"].shape[2], case.x["key"].shape[2])
        case.x[name] = np.ascontiguousarray(np.broadcast_to(case.x[name], sizes))
    options = {"is_causal": int(case.words.get("causal") == "top_left")}
    if "softcap" in case.words:
        options["softcap"] = float(case.words["softcap"])
    return node("Attention", ["query", "key", "value"] + mask, **options), None


def multi_head(case):
    """[B, T, H * D] instead of [B, H, T, D]: changed before and after the timing."""
    case.only("query", "key", "value", "causal")
    b, heads, t, depth = case.x["query"].shape
    if case.operation != "attention" or case.x["key"].shape[1] != heads or case.outputs not in ([], ["out"]):
        raise Unsupported(case.operation)
    for name, x in case.x.items():
        case.x[name] = np.ascontiguousarray(x.transpose(0, 2, 1, 3).reshape(b, x.shape[2], heads * depth))
    made = node("MultiHeadAttention", ["query", "key", "value"], num_heads=heads, unidirectional=int("causal" in case.words), domain="com.microsoft")
    return made, lambda out: out.reshape(b, t, heads, depth).transpose(0, 2, 1, 3)


def window(name, **more):
    def make(case):
        padding = case.pair("padding", 0)
        return node(name, ["x"], kernel_shape=case.pair("kernel", 1), strides=case.pair("stride", case.words["kernel"]), pads=padding * 2, **more), None
    return make


def conv2d(case):
    padding = case.pair("padding", 0)
    return node("Conv", ["x", "weight"], strides=case.pair("stride", 1), pads=padding * 2, group=case.integer("groups", 1)), None


def recurrent(name, order):
    """Gates in ONNX's order, the sequence first."""
    def make(case):
        x = case.x

        def gates(array):
            return np.concatenate([np.split(array, len(order))[i] for i in order])[None]
        case.x = {"x": np.ascontiguousarray(x["x"].transpose(1, 0, 2)), "w": gates(x["w_ih"]), "r": gates(x["w_hh"]), "b": np.concatenate([gates(x["b_ih"]), gates(x["b_hh"])], 1)}
        options = {"linear_before_reset": 1} if name == "GRU" else {}
        return node(name, ["x", "w", "r", "b"], hidden_size=x["w_hh"].shape[1], **options), lambda out: out[:, 0].transpose(1, 0, 2)
    return make


TABLE = {
    "attention": attention, "conv2d": conv2d, "gru": recurrent("GRU", [1, 0, 2]), "lstm": recurrent("LSTM", [0, 3, 1, 2]),
    "max_pool2d": window("MaxPool"), "avg_pool2d": window("AveragePool", count_include_pad=1),
    "softmax": lambda c: (node("Softmax", ["x"], axis=-1), None),
    "matmul": lambda c: (node("MatMul", ["a", "b"]), None),
    "add": lambda c: (node("Add", ["a", "b"]), None),
    "activation": lambda c: (node("Gelu", ["x"]), None),
    "layer_norm": lambda c: (node("LayerNormalization", ["x", "gamma", "beta"], epsilon=1e-5), None),
    "batch_norm": lambda c: (node("BatchNormalization", ["x", "gamma", "beta", "mean", "var"], epsilon=1e-5), None),
    "global_pool2d": lambda c: (node("GlobalAveragePool", ["x"]), None),
}
WEIGHTS = ("weight", "gamma", "beta", "mean", "var", "w", "r", "b_ih", "b_hh")


def make_run(case, mode):
    if mode == "multi-head":
        made, back = multi_head(case)
    elif case.operation in TABLE:
        made, back = TABLE[case.operation](case)
    else:
        raise Unsupported(case.operation)
    import onnx
    constant = [name for name in case.x if name in WEIGHTS or (name == "b" and made.op_type in ("GRU", "LSTM"))]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape) for name, array in case.x.items() if name not in constant]
    graph = helper.make_graph([made], "case", inputs, [helper.make_tensor_value_info("out", FLOAT, None)], [onnx.numpy_helper.from_array(case.x[name], name) for name in constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = THREADS, 1, 4
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name in (i.name for i in session.get_inputs()):
        binding.bind_ortvalue_input(name, runtime.OrtValue.ortvalue_from_numpy(case.x[name]))
    binding.bind_output("out")
    session.run_with_iobinding(binding)
    out = runtime.OrtValue.ortvalue_from_numpy(np.empty_like(binding.get_outputs()[0].numpy()))
    binding.bind_ortvalue_output("out", out)

    def result():
        return {"out": back(out.numpy()) if back else out.numpy()}
    return lambda: session.run_with_iobinding(binding), result


def start(mode):
    global runtime, helper
    import onnx.helper
    import onnx.numpy_helper
    import onnxruntime
    runtime, helper = onnxruntime, onnx.helper
    return "ONNX Runtime " + onnxruntime.__version__, lambda case: make_run(case, mode)


if __name__ == "__main__":
    serve(lambda: start(sys.argv[1]))
