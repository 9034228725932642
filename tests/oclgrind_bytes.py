#!/usr/bin/env python3
"""oclgrind_bytes.py TOOL LAYER [--quick] [REGEX]: runs small cases of the variants for GPUs on Oclgrind, which counts what each
instruction does, and compares the bytes of global memory that all the kernels of a case load and store with the least possible.
Exits 1 when one moves more than its limit, when Oclgrind has anything to say, and when the counter misses bytes of a kernel that
is known. LAYER is tests/vendor/layer.c: with it the device poses as a GPU, and clattn cuts the kernels as it would for one.

Broadcasts, and what a cache would hold, count as often as they are read: what passes here needs no cache."""
import concurrent.futures, os, pathlib, re, subprocess, sys, tempfile, typing

ICD = "/usr/lib/oclgrind/liboclgrind-rt-icd.so"


class Refused(Exception):
    pass


# ---- Counting ----

SIZES = {"f": 4, "Dh": 2, "h": 1, "c": 1, "s": 2, "t": 2, "i": 4, "j": 4, "l": 8, "m": 8, "d": 8}


def builtin_bytes(name):
    """Of one call of a built-in by its mangled name: vloadn and vstoren stand among the calls, not among the loads and stores."""
    match = re.fullmatch(r"_Z\d+v(?:load|store)a?(?:_half)?(\d*)(?:_rt[ezpn])?(?:Dv\d+_)?.*PU3AS1K?(f|Dh|[hcstijlmd])", name)
    if match:
        return int(match[1] or 1) * SIZES[match[2]]
    if "U3AS1" in name or re.match(r"llvm\.mem.*\.p1i8", name):
        raise Refused(f"{name}: the bytes that it moves are not known")
    return 0


def bytes_moved(text):
    """By kernel launch: what Oclgrind's histogram of instructions says of global memory."""
    launches = []
    for line in text.splitlines():
        kernel = re.match(r"Instructions executed for kernel '(\w+)'", line)
        access = re.match(r"\s*\d+ - (?:load|store) global \((\d+) bytes\)", line)
        call = re.match(r"\s*(\d+) - call (\S+)\(\)", line)
        if kernel:
            launches.append([kernel[1], 0])
        elif access:
            launches[-1][1] += int(access[1])
        elif call:
            launches[-1][1] += int(call[1]) * builtin_bytes(call[2])
    return launches


KNOWN = """__kernel void known(__global const float *a, __global float *b, __global const half *c, __global half *d, __local float *e) {
    const int i = get_global_id(0);
    ((__global float4 *)b)[i] = ((__global const float4 *)a)[i];
    vstore4(vload4(i, a), i, b + 256);
    vstore_half4_rte(vload_half4(i, c), i, d);
    vstore_half_rte(vload_half(i, c), i, d + 256);
    e[get_local_id(0)] = a[i];
    vstore4(vload4(0, e), 0, e + 16);
    d += 0;
}
"""
KNOWN_BYTES = 64 * (32 + 32 + 16 + 4 + 4)


def check_counter():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "known.cl").write_text(KNOWN)
        pathlib.Path(folder, "known.sim").write_text("known.cl\nknown\n64 1 1\n16 1 1\n<size=1024 fill=1 float>\n<size=2048 fill=1 float>\n<size=512 fill=1 short>\n<size=1024 fill=1 short>\n<size=128>\n")
        text = subprocess.run(["oclgrind-kernel", "--inst-counts", "known.sim"], capture_output=True, text=True, cwd=folder).stdout
    found = bytes_moved(text)
    if found != [["known", KNOWN_BYTES]]:
        sys.exit(f"oclgrind_bytes: a kernel that moves {KNOWN_BYTES} bytes is counted as {found}")


# ---- Cases ----


class Case(typing.NamedTuple):
    limit: float  # times the least bytes
    text: str
    variant: str
    least: int  # bytes
    quick: bool = False
    kernels: str = ""  # what must be among the options of a launch, where the variant has several cuts


def floats(*sizes):
    """Bytes of tensors, each a list of sizes."""
    total = 0
    for size in sizes:
        count = 4
        for n in size:
            count *= n
        total += count
    return total


def image(name, shape, rest, variant, tensors, others=(), limit=1.3, quick=False):
    """An operation on x of that shape, which it reads and writes `tensors` times in all, beside other small tensors."""
    return Case(limit, f"{name} x[{','.join(map(str, shape))}] {rest}".strip(), variant, tensors * floats(shape) + floats(*others), quick)


def pooled(name, shape, rest, out, limit=1.3, quick=False):
    return image(name, shape, rest, "gpu", 1, [out], limit, quick)


def tiled_product(m, k, n, tile):
    """The least for tiles: each row of tiles reads b once, each column a."""
    return Case(1.3, f"matmul a[{m},{k}] b[{k},{n}]", "gpu_tile", 4 * (m * k * n // tile * 2 + m * n), kernels="-DRM=2")


def tiled_window(inputs, outputs, height, width):
    """The least for tiles of 8 x 16 pixels and 64 channels: each reads the weights once, and no pixel of its border."""
    tiles = height * width // 128
    least = floats(*[(outputs, inputs, 3, 3)] * tiles, (inputs, height, width), (outputs, height, width))
    return Case(1.5, f"conv2d x[1,{inputs},{height},{width}] weight[{outputs},{inputs},3,3] padding=1", "gpu_tile", least, kernels="-DROWS=8 -DCOLS=16")


CBAM = "w1[4,{0}] w2[{0},4] weight[1,2,7,7]"
CASES = [
    image("softmax", (64, 512), "", "gpu_row", 2, quick=True),
    image("softmax", (9, 1000), "", "gpu_row", 2),
    image("softmax", (300, 33), "", "gpu_row", 2),
    image("softmax", (3, 4096), "", "gpu_row", 2),
    image("log_softmax", (16, 512), "", "gpu_row", 2),
    image("layer_norm", (16, 768), "gamma[768] beta[768]", "gpu_row", 2, [(768,), (768,)] * 16),
    image("layer_norm", (16, 768), "", "gpu_row", 2, quick=True),
    image("rms_norm", (16, 1024), "", "gpu_row", 2),
    image("group_norm", (2, 16, 14, 14), "gamma[16] beta[16] groups=4", "gpu_row", 2, [(2, 16)] * 2),
    image("group_norm", (1, 64, 7, 7), "gamma[64] beta[64] groups=32", "gpu_row", 2, [(64,)] * 2),
    Case(1.3, "attention query[1,8,1,128] key[1,2,512,128] value[1,2,512,128]", "gpu_decode", floats((8, 128), (2, 512, 128), (2, 512, 128), (8, 128)), True),
    Case(1.3, "attention query[1,2,1,64] key[1,2,600,64] value[1,2,600,64]", "gpu_decode", floats((2, 64), (2, 600, 64), (2, 600, 64), (2, 64))),
    Case(2.3, "attention query[1,1,128,64] key[1,1,128,64] value[1,1,128,64]", "gpu_tile", 4 * floats((128, 64))),
    # Tiles of 64 queries would spill here: those of 32 read keys and values once more.
    Case(2.8, "attention query[1,1,128,128] key[1,1,128,128] value[1,1,128,128]", "gpu_tile", 4 * floats((128, 128))),
    tiled_product(1024, 16, 1024, 128),
    Case(1.5, "conv2d x[1,3,48,64] weight[32,3,3,3] padding=1", "gpu_tile", floats((3, 48, 64), (32, 3, 3, 3), (32, 48, 64)), True),
    tiled_window(16, 32, 32, 32),
    tiled_window(16, 64, 32, 32),
    image("squeeze_excite", (1, 32, 28, 28), "w1[4,32] w2[32,4]", "gpu", 3, quick=True),
    image("squeeze_excite", (8, 32, 7, 7), "w1[4,32] b1[4] w2[32,4] b2[32]", "gpu", 3),
    image("channel_attention", (1, 32, 28, 28), "w1[4,32] w2[32,4]", "gpu", 3),
    image("channel_attention", (1, 2, 120, 120), "w1[1,2] w2[2,1] pools=avg+max+lse", "gpu", 3),
    image("spatial_attention", (1, 32, 40, 40), "weight[1,2,7,7]", "gpu", 3),
    image("cbam", (1, 32, 40, 40), CBAM.format(32), "gpu", 4, quick=True),
    image("cbam", (2, 64, 14, 14), CBAM.format(64), "gpu", 4),
    image("cbam", (1, 48, 56, 56), CBAM.format(48) + " mean[1] var[1]:1", "gpu", 4),
    image("cbam", (1, 64, 29, 31), CBAM.format(64), "gpu", 4),
    image("efficient_channel_attention", (1, 32, 28, 28), "weight[1,1,5]", "gpu", 3),
    pooled("global_pool2d", (1, 32, 28, 28), "", (1, 32), quick=True),
    pooled("global_pool2d", (1, 2, 120, 120), "kind=max", (1, 2)),
    pooled("global_pool2d", (4, 32, 7, 7), "kind=lp", (4, 32)),
    pooled("max_pool2d", (1, 8, 56, 56), "kernel=3 stride=2 padding=1", (8, 28, 28), quick=True),
    pooled("max_pool2d", (1, 8, 56, 56), "kernel=2", (8, 28, 28)),
    pooled("max_pool2d", (1, 8, 29, 31), "kernel=3 stride=1 padding=1", (8, 29, 31)),
    image("max_pool2d", (1, 8, 56, 56), "kernel=3 stride=2 padding=1 -> out indices", "gpu", 1, [(8, 28, 28)] * 2),
    pooled("avg_pool2d", (1, 4, 56, 56), "kernel=3 stride=1 padding=1", (4, 56, 56)),
    pooled("avg_pool2d", (1, 4, 60, 60), "kernel=5 stride=1 padding=2", (4, 60, 60)),
    pooled("avg_pool2d", (4, 32, 7, 7), "kernel=7", (4, 32)),
    pooled("channel_pool", (1, 32, 40, 40), "", (2, 40, 40)),
    image("batch_norm", (2, 16, 28, 28), "gamma[16] beta[16] mean[16] var[16]:1", "gpu", 2),
    image("batch_norm", (2, 16, 28, 28), "training=true", "gpu", 3),
]


def measure(case, tool, layer, folder):
    """Bytes by launch."""
    environment = dict(os.environ, OCL_ICD_VENDORS=folder, OPENCL_LAYERS=layer, CLATTN_VENDOR_NAME="NVIDIA", CLATTN_VENDOR_LOCAL="49152", CLATTN_SELF_CHECK="off", OCLGRIND_INST_COUNTS="1", OCLGRIND_LOCAL_MEM_SIZE="65536", OCLGRIND_NUM_THREADS="1")
    result = subprocess.run([tool, "explain", "--case", case.text, "--variant", case.variant], capture_output=True, text=True, env=environment)
    if result.returncode:
        raise Refused(result.stderr.strip() or f"exit code {result.returncode}")
    if result.stderr.strip():
        raise Refused(result.stderr.strip().splitlines()[0])
    if case.kernels not in result.stdout:
        raise Refused(f"no launch has {case.kernels}")
    found = bytes_moved(result.stdout)
    launched = len(re.findall(r"^launch \d+:", result.stdout, re.M))
    if not found or len(found) != launched:
        raise Refused(f"{launched} launches, {len(found)} of them counted")
    return found


def report(case, found):
    """One line; whether the case is within its limit."""
    total = sum(count for _, count in found)
    ratio = total / case.least
    parts = ", ".join(f"{kernel} {count / case.least:.2f}" for kernel, count in found)
    print(f"{'ok  ' if ratio <= case.limit else 'FAIL'} {ratio:.3f} of at most {case.limit} x {case.least} bytes: {case.text}, {case.variant} ({parts})", flush=True)
    return ratio <= case.limit


def main():
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    tool, layer, *pick = [word for word in arguments if word != "--quick"]
    if not os.path.exists(ICD):
        sys.exit("oclgrind_bytes: Oclgrind is not installed")
    check_counter()
    cases = [case for case in CASES if (case.quick or not quick) and re.search(pick[0] if pick else "", case.text)]
    failures = 0 if cases else 1
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        pathlib.Path(folder, "oclgrind.icd").write_text(ICD + "\n")
        for case, waiting in [(case, pool.submit(measure, case, tool, layer, folder)) for case in cases]:
            try:
                failures += not report(case, waiting.result())
            except Refused as reason:
                print(f"FAIL {case.text}, {case.variant}: {reason}", flush=True)
                failures += 1
    print(f"{len(cases)} cases, {failures} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
