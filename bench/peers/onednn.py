"""oneDNN through onednn.cpp, which setup.sh compiles; with the argument nchw, convolutions on images that stay NCHW."""
import ctypes
import os
import sys

from peer import Unsupported, np, serve


KEEPS_LAYOUT = "nchw" in sys.argv[1:]


def rows(array):
    return array.size // array.shape[-1], array.shape[-1]


def windows(case, maximum):
    (kernel, _), (stride, _), (padding, _) = case.pair("kernel", 1), case.pair("stride", case.words["kernel"]), case.pair("padding", 0)
    n, c, h, w = case.x["x"].shape
    out = np.empty((n, c, (h + 2 * padding - kernel) // stride + 1, (w + 2 * padding - kernel) // stride + 1), np.float32)
    return "pool", (n, c, h, w, kernel, stride, padding), (int(maximum),), ("x",), out


def convolution(case):
    (stride, _), (padding, _), groups = case.pair("stride", 1), case.pair("padding", 0), case.integer("groups", 1)
    (n, c, h, w), (o, _, kh, kw) = case.x["x"].shape, case.x["weight"].shape
    out = np.empty((n, o, (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1), np.float32)
    return "convolution", (n, c, h, w, o, kh, kw, stride, padding, groups), (), ("x", "weight"), out


def matmul(case):
    case.only("a", "b")
    a, b = case.x["a"], case.x["b"]
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    return "matmul", (a.size // (m * k), m, n, k), (), ("a", "b"), np.empty(a.shape[:-1] + (n,), np.float32)


# The function, its sizes (long), its flags (int), the arrays, the output.
TABLE = {
    "matmul": matmul, "conv2d": convolution, "max_pool2d": lambda c: windows(c, True), "avg_pool2d": lambda c: windows(c, False),
    "softmax": lambda c: ("softmax", rows(c.x["x"]), (), ("x",), np.empty_like(c.x["x"])),
    "layer_norm": lambda c: ("layer_norm", rows(c.x["x"]), (), ("x", "gamma", "beta"), np.empty_like(c.x["x"])),
    "activation": lambda c: ("gelu", (c.x["x"].size,), (), ("x",), np.empty_like(c.x["x"])),
    "add": lambda c: ("add", (c.x["a"].size,), (), ("a", "b"), np.empty_like(c.x["a"])),
}


def make_run(case, library):
    if case.operation not in TABLE:
        raise Unsupported(case.operation)
    if KEEPS_LAYOUT and case.operation != "conv2d":
        raise Unsupported("as without it")
    name, sizes, flags, inputs, out = TABLE[case.operation](case)
    arrays = [case.x[key] for key in inputs] + [out]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
    if getattr(library, "peer_" + name)(*(ctypes.c_long(size) for size in sizes), *flags, *pointers):
        raise Unsupported("no primitive for this")

    def run(kept=arrays):  # the primitive computes on these
        del kept
        library.peer_run()

    def result():
        library.peer_result()
        return {"out": out}
    return run, result


def start():
    library = ctypes.CDLL(os.environ.get("CLATTN_BENCH_ONEDNN") or os.path.join(sys.prefix, "lib", "onednn.so"))
    library.peer_version.restype = ctypes.c_char_p
    if KEEPS_LAYOUT:
        library.peer_keep_layout()
    return library.peer_version().decode(), lambda case: make_run(case, library)


if __name__ == "__main__":
    serve(start)
