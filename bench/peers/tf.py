"""Keras 3 on TensorFlow: eager, as a graph, or compiled by XLA. Images are given channels last, TensorFlow's order on CPUs."""
import os
import sys

from peer import THREADS, Unsupported, serve

tf = None
keras = None
IMAGES = ("squeeze_excite", "channel_attention", "spatial_attention", "cbam", "conv2d", "max_pool2d", "avg_pool2d")


def attention(case, t):
    case.only("query", "key", "value", "mask", "causal")
    if case.outputs not in ([], ["out"]):
        raise Unsupported("several outputs")
    q, k, v = (tf.transpose(t[name], (0, 2, 1, 3)) for name in ("query", "key", "value"))
    mask = t.get("mask")
    causal = case.words.get("causal") == "top_left"
    return lambda: keras.ops.dot_product_attention(q, k, v, mask=mask if mask is None or len(mask.shape) == 4 else mask[None, None], is_causal=causal)


def additive(case, t):
    layer = keras.layers.AdditiveAttention(use_scale=True)
    layer.build([t["query"].shape, t["value"].shape])
    layer.scale.assign(t["scale"])
    return lambda: layer([t["query"], t["value"]])


def gate(t, pools):
    hidden = sum(tf.nn.relu(pool @ tf.transpose(t["w1"]) + t["b1"]) @ tf.transpose(t["w2"]) + t["b2"] for pool in pools)
    return tf.sigmoid(hidden)[:, None, None, :]


def pools(x, both):
    return [tf.reduce_mean(x, (1, 2))] + ([tf.reduce_max(x, (1, 2))] if both else [])


def spatial(x, weight):
    pooled = tf.concat([tf.reduce_max(x, 3, keepdims=True), tf.reduce_mean(x, 3, keepdims=True)], 3)
    return x * tf.sigmoid(tf.nn.conv2d(pooled, weight, 1, "SAME"))


def conv2d(case, t):
    case.only("x", "weight", "stride", "padding", "groups", "precision")
    (vertical, _), (border, _) = case.pair("stride", 1), case.pair("padding", 0)
    if case.integer("groups", 1) == 1:
        weight = t["weight"]
        return lambda: tf.nn.conv2d(t["x"], weight, vertical, [[0, 0], [border, border], [border, border], [0, 0]])
    weight = tf.transpose(t["weight"], (0, 1, 3, 2))
    return lambda: tf.nn.depthwise_conv2d(t["x"], weight, [1, vertical, vertical, 1], [[0, 0], [border, border], [border, border], [0, 0]])


TABLE = {
    "attention": attention, "additive_attention": additive, "conv2d": conv2d,
    "squeeze_excite": lambda c, t: lambda: t["x"] * gate(t, pools(t["x"], False)),
    "channel_attention": lambda c, t: lambda: t["x"] * gate(t, pools(t["x"], True)),
    "spatial_attention": lambda c, t: lambda: spatial(t["x"], t["weight"]),
    "cbam": lambda c, t: lambda: spatial(t["x"] * gate(t, pools(t["x"], True)), t["weight"]),
    "softmax": lambda c, t: lambda: tf.nn.softmax(t["x"]),
    "matmul": lambda c, t: lambda: tf.matmul(t["a"], t["b"]),
    "add": lambda c, t: lambda: t["a"] + t["b"],
    "activation": lambda c, t: lambda: tf.nn.gelu(t["x"], approximate=False),
}


def tensors(case):
    made = {}
    for name, array in case.x.items():
        if case.operation in IMAGES and name == "x":
            array = array.transpose(0, 2, 3, 1)
        elif case.operation in IMAGES and name == "weight":
            array = array.transpose(2, 3, 1, 0)
        made[name] = tf.constant(array)
    return made


def back(case, out):
    if case.operation in IMAGES:
        return out.transpose(0, 3, 1, 2)
    return out.transpose(0, 2, 1, 3) if case.operation == "attention" else out


def make_run(case, mode):
    case.only_first_output()
    if case.operation not in TABLE:
        raise Unsupported(case.operation)
    function = TABLE[case.operation](case, tensors(case))
    if mode != "eager":
        function = tf.function(function, jit_compile=mode == "xla")
    kept = [None]

    def run():
        kept[0] = function()
    return run, lambda: {"out": back(case, kept[0].numpy())}


def start(mode):
    global tf, keras
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=true")
    import tensorflow
    tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    import keras as loaded
    tf, keras = tensorflow, loaded
    return "Keras %s, TensorFlow %s" % (keras.__version__, tf.__version__), lambda case: make_run(case, mode)


if __name__ == "__main__":
    serve(lambda: start(sys.argv[1]))
