"""Kernels that were tried before clattn had its own (a directory of .cl files, CLATTN_PROTOTYPES), on the first OpenCL CPU device.

They take multiples of 16 only, and neither masks nor bias; each with the definitions that were best where they were made. What limits
a machine limits them too: they tell a kernel that lost something from a machine that has less to give.
"""
import ctypes
import math
import os
import sys

os.environ.setdefault("POCL_AFFINITY", "1")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
# pylint: disable=wrong-import-position
from clblast import Device, handle  # noqa: E402
from peer import Unsupported, np, serve  # noqa: E402

BUILD_LOG = 0x1183
TWO_LOG2E = 2 * math.log2(math.e)


class Machine(Device):
    """The device, with kernels: launches of work-groups of one item."""

    def __init__(self, cl, directory):
        super().__init__(cl)
        self.directory = directory
        for name in ("clCreateProgramWithSource", "clCreateKernel"):
            getattr(cl, name).restype = handle

    def kernel(self, file, name, **definitions):
        with open(os.path.join(self.directory, file), "rb") as source:
            text = ctypes.c_char_p(source.read())
        options = " ".join("-D%s=%s" % item if item[1] is not True else "-D" + item[0] for item in definitions.items() if item[1] is not False)
        program = handle(self.cl.clCreateProgramWithSource(self.context, 1, ctypes.byref(text), None, None))
        if self.cl.clBuildProgram(program, 1, ctypes.byref(self.device), options.encode(), None, None):
            log = ctypes.create_string_buffer(1 << 16)
            self.cl.clGetProgramBuildInfo(program, self.device, BUILD_LOG, ctypes.c_size_t(len(log)), log, None)
            raise RuntimeError(log.value.decode("utf-8", "replace"))
        return handle(self.cl.clCreateKernel(program, name.encode(), None))

    def bind(self, kernel, *arguments):
        """Buffers, integers and floats. Returns a function that enqueues the kernel over `groups`."""
        for i, argument in enumerate(arguments):
            value = ctypes.c_int(argument) if isinstance(argument, int) else ctypes.c_float(argument) if isinstance(argument, float) else argument
            if self.cl.clSetKernelArg(kernel, i, ctypes.c_size_t(ctypes.sizeof(value)), ctypes.byref(value)):
                raise RuntimeError("argument %d" % i)

        def launch(*groups):
            sizes, ones = (ctypes.c_size_t * len(groups))(*groups), (ctypes.c_size_t * len(groups))(*[1] * len(groups))
            if self.cl.clEnqueueNDRangeKernel(self.queue, kernel, len(groups), None, sizes, ones, 0, None, None):
                raise RuntimeError("a launch failed")
        return launch

    def finish(self):
        if self.cl.clFinish(self.queue):
            raise RuntimeError("clFinish failed")


def in_whole(*sizes):
    if any(size % 16 for size in sizes):
        raise Unsupported("sizes that are no multiples of 16")


def matmul(machine, case):
    case.only("a", "b")
    a, b = (np.ascontiguousarray(case.x[name]) for name in ("a", "b"))
    if a.ndim != 2:
        raise Unsupported("batches")
    (m, k), n = a.shape, b.shape[1]
    in_whole(k, n // 4)
    definitions = {"MR": 4, "NV": 4, "KB": 256, "MB": 64, "NP": 4, "UK": 1, "PKB": 256}
    out = np.zeros((m, n), np.float32)
    given, packed, result = machine.buffer(b), machine.buffer(b), machine.buffer(out)
    pack = machine.bind(machine.kernel("gemm.cl", "packb", **definitions), given, packed, n, k)
    multiply = machine.bind(machine.kernel("gemm.cl", "gemm", **definitions), machine.buffer(a), packed, result, m, n, k)

    def run():
        pack(n // 64, -(-k // definitions["PKB"]))
        multiply(-(-m // definitions["MB"]), -(-(n // 64) // definitions["NP"]))
        machine.finish()
    return run, lambda: {"out": machine.read(result, out)}


def attention(machine, case):
    case.only("query", "key", "value", "causal")
    query, key, value = (np.ascontiguousarray(case.x[name]) for name in ("query", "key", "value"))
    batch, heads, queries, depth = query.shape
    if key.shape[1] != heads or value.shape != key.shape or depth not in (64, 128):
        raise Unsupported("this shape")
    in_whole(queries, key.shape[2])
    tiles = {"MRQ": 8, "NVD": 2, "BK": 256} if depth == 64 else {"MRQ": 4, "NVD": 4, "BK": 128}
    kernel = machine.kernel("sdpa.cl", "sdpa", D=depth, NVQ=4, MRS=4, UD=1, UK=1, CAUSAL=case.words.get("causal", "none") != "none", **tiles)
    out = np.zeros_like(query)
    result = machine.buffer(out)
    attend = machine.bind(kernel, *(machine.buffer(x) for x in (query, key, value)), result, queries, key.shape[2], math.log2(math.e) / math.sqrt(depth))

    def run():
        attend(-(-queries // 64), batch * heads)
        machine.finish()
    return run, lambda: {"out": machine.read(result, out)}


def additive_attention(machine, case):
    """Scores are a constant minus the sum of 2 w / (1 + e^2q e^2k); 1/w is absorbed by the queries' side."""
    case.only("query", "key", "value", "scale")
    case.only_first_output()
    query, value, scale = (np.ascontiguousarray(case.x[name]) for name in ("query", "value", "scale"))
    key = np.ascontiguousarray(case.x.get("key", value))
    batch, queries, depth = query.shape
    keys, width = value.shape[1:]
    in_whole(queries, keys, depth, width // 2)
    if not scale.all():
        raise Unsupported("a scale of 0")
    definitions = {"D": depth, "DV": width, "NVQ": 1, "MRS": 8, "MRQ": 8, "NVD": 2, "BK": 64, "RCP": 0, "UK": 2, "MODE": 12}
    out = np.zeros((batch, queries, width), np.float32)
    given, powers, result = machine.buffer(key), machine.buffer(key), machine.buffer(out)
    prepare = machine.bind(machine.kernel("additive2.cl", "pre", **definitions), given, powers, TWO_LOG2E, key.size)
    factors = machine.buffer((-1 / (TWO_LOG2E * scale.astype(np.float64))).astype(np.float32))
    attend = machine.bind(machine.kernel("additive2.cl", "add", **definitions), factors, machine.buffer(query), powers, machine.buffer(value), result, queries, keys, TWO_LOG2E)

    def run():
        prepare(-(-key.size // 4096))
        attend(queries // 16, batch)
        machine.finish()
    return run, lambda: {"out": machine.read(result, out)}


def conv2d(machine, case):
    case.only("x", "weight", "padding")
    x, weight = np.ascontiguousarray(case.x["x"]), np.ascontiguousarray(case.x["weight"])
    batch, channels, height, width = x.shape
    tiles = {56: {"MR": 7, "R": 4, "CIB": 16}, 14: {"MR": 7, "R": 14, "CIB": 32}}.get(width)
    if weight.shape[2:] != (3, 3) or weight.shape[0] % 64 or case.pair("padding", 0) != [1, 1] or height != width or not tiles:
        raise Unsupported("this shape")
    definitions = {"CONVB": True, "NV": 4, "UX": 1, "CI": channels, "CO": weight.shape[0], "H": height, "W": width, "OH": height, "OW": width, "KH": 3, "KW": 3, "S": 1, "PAD": 1, **tiles}
    out = np.zeros((batch, weight.shape[0], height, width), np.float32)
    packed, result, blocks = machine.buffer(weight), machine.buffer(out), weight.shape[0] // 64
    machine.bind(machine.kernel("conv.cl", "packw", **definitions), machine.buffer(weight), packed)(blocks, 4)
    convolve = machine.bind(machine.kernel("conv.cl", "convb", **definitions), machine.buffer(x), packed, result)

    def run():
        convolve(height // tiles["R"], blocks, batch)
        machine.finish()
    return run, lambda: {"out": machine.read(result, out)}


def start():
    directory = os.environ.get("CLATTN_PROTOTYPES")
    if not directory or not os.path.isdir(directory):
        raise OSError("CLATTN_PROTOTYPES names no directory")
    machine = Machine(ctypes.CDLL("libOpenCL.so.1"), directory)
    known = {made.__name__: made for made in (matmul, attention, additive_attention, conv2d)}

    def make(case):
        if case.operation not in known:
            raise Unsupported(case.operation)
        return known[case.operation](machine, case)
    return "prototypes of " + directory, make


if __name__ == "__main__":
    serve(start)
