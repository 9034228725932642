#!/usr/bin/env python3
"""report.py LIST_PROGRAM CL_DIRECTORY OBJECTS [REGEX]: compiles every kernel that LIST_PROGRAM names (those that a GPU can be
given) with the vendors' own compilers and prints what they say: registers, spills, scratch, local bytes, occupancy, the share of
multiply-adds in the hottest loop. Exits 1 on a compiler that is missing, a build that fails, a spill, and on what `LIMITS` refuses.
REGEX picks kernels ("source/kernel options"). VENDOR_PREFIX: a folder where Intel's packages are unpacked, instead of installed.
PTXAS, NVDISASM: NVIDIA's assembler and disassembler (PyPI nvidia-cuda-nvcc, nvidia-cuda-nvdisasm), where they are not on PATH."""
import concurrent.futures, glob, os, pathlib, re, shutil, struct, subprocess, sys, typing

AMD, NVIDIA, INTEL = ("gfx906", "gfx1030", "gfx90a"), ("sm_75", "sm_90"), ("skl", "tgllp", "dg2")
TARGETS = AMD + NVIDIA + INTEL
HERE = pathlib.Path(__file__).resolve().parent
PREFIX = os.environ.get("VENDOR_PREFIX", "")
PTXAS = os.environ.get("PTXAS", "ptxas")
NVDISASM = os.environ.get("NVDISASM") or shutil.which("nvdisasm") or "/usr/local/cuda/bin/nvdisasm"
CLANG = ["clang-14", "-x", "cl", "-cl-std=CL1.2", "-Xclang", "-finclude-default-header", "-nogpulib", "-O3", "-Wno-unused-function", "-Wno-linker-warnings"]


class Limits(typing.NamedTuple):
    """What is asked of a kernel whose speed counts."""

    share: int = 0  # multiply-adds in the better of the two hot loops, in per cent, on AMD and NVIDIA
    share_intel: int = 0
    second: int = 0  # in the other loop, on AMD and NVIDIA
    per_element: float = 0  # instructions per element at most in the loop with the reciprocals; 0 = not counted
    gfx9: float = 2  # waves per SIMD
    gfx1030: float = 7
    warps: int = 16  # per multiprocessor
    simd: int = 8  # on Intel

    def occupancy(self, target):
        return self.warps if target in NVIDIA else self.gfx1030 if target == "gfx1030" else self.gfx9


# What memory limits needs many waves to hide it.
MEMORY = Limits(gfx9=4, gfx1030=16, warps=32, simd=16)
LIMITS = {"attention_gpu/tile": Limits(75, 60, 60), "attention_gpu/decode": Limits(), "additive_attention_gpu/tile": Limits(per_element=4.5), "matmul_gpu/tile": Limits(78, 55), "conv2d_gpu/tile": Limits(75, 60), "conv2d_gpu/columns": Limits(75, 60), "conv2d_gpu/direct": Limits()}
LIMITS.update(dict.fromkeys(("planes_gpu/pool", "planes_gpu/join", "planes_gpu/channels", "planes_gpu/scale", "gates_gpu/layer", "gates_gpu/finish", "pool2d_gpu/gpu", "batch_norm_gpu/apply", "batch_norm_gpu/measure", "batch_norm_gpu/measure_parts", "batch_norm_gpu/join"), MEMORY))
# They hold for the common case. With a mask, a cap, an unusual size or a rare activation a kernel only must not spill.
UNUSUAL = r"-D(EXTRA|FORM|TAIL|ACT=(?![26]\b)|WIDTH=32|WIDTH=192|WIDTH=256)"


class Refused(Exception):
    pass


def tool(name):
    return PREFIX + "/usr/bin/" + name if PREFIX and os.path.exists(PREFIX + "/usr/bin/" + name) else name


def run(command, environment=None):
    result = subprocess.run(command, capture_output=True, text=True, env=environment, errors="replace")
    text = result.stdout + result.stderr
    if result.returncode:
        lines = [line for line in text.splitlines() if "rror" in line] or text.splitlines()
        raise Refused(" | ".join(lines)[:300] or f"{command[0]} ends with {result.returncode}")
    return text


def number(pattern, text, fallback=0):
    match = re.search(pattern, text)
    return int(match[1]) if match else fallback


def loops_of(lines, label, branch):
    """The instructions' lines of each innermost loop; `branch` finds the labels that a line may lead to."""
    at = {name: i for i, line in enumerate(lines) if (name := label(line))}
    loops = {(at[name], i) for i, line in enumerate(lines) for name in branch(line) if name in at and at[name] <= i}
    inner = [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return [lines[first : last + 1] for first, last in inner]


def shares(loops, instruction, weight):
    """The shares of multiply-adds, in per cent, of the two best loops among those with an eighth of the most of them."""
    bodies = [[line for line in loop if instruction(line)] for loop in loops]
    found = [(sum(map(weight, body)), len(body)) for body in bodies]
    most = max(found, default=(0, 1))[0]
    best = sorted((100 * n // max(size, 1) for n, size in found if 8 * n >= most and most), reverse=True)
    return (best + [0, 0])[:2]


def per_element(loops, instruction, reciprocal):
    """Instructions per element of the best of the loops with most reciprocals (at least a quarter of the most), of which each serves a
    pair of elements; where one serves a single element, for values of any size, that loop is not the one in question."""
    counts = [(sum(bool(re.search(reciprocal, line)) for line in loop), sum(map(bool, map(instruction, loop)))) for loop in loops]
    most = max(counts, default=(0, 0))[0]
    return min(round(size / (2 * found), 2) for found, size in counts if 4 * found >= most) if most else 0


def judged(loops, instruction, weight, reciprocal):
    best, second = shares(loops, instruction, weight)
    return {"share": best, "second": second, "per_element": per_element(loops, instruction, reciprocal)}


def group(pattern, line):
    match = re.search(pattern, line)
    return match[1] if match else None


def group_items(job):
    """Work-items of a group, where the kernel fixes them."""
    text = run(["clang-14", "-E", "-x", "cl", job["file"]] + job["flags"])
    sizes = re.search(r"reqd_work_group_size\(([^,]*),([^,]*),", text)
    return eval(sizes[1]) * eval(sizes[2]) if sizes else 64  # arithmetic of our own source


def amd(job, target):
    out = f"{job['folder']}/{target}.s"
    run(CLANG + ["-include", str(HERE / "amd.h"), "-target", "amdgcn--amdhsa", f"-mcpu={target}", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", "/usr/lib/clc/amdgcn--amdhsa.bc", "-S", job["file"], "-o", out] + job["flags"])
    text = pathlib.Path(out).read_text()
    name = re.escape(job["kernel"])
    body, tail = re.search(rf"^{name}:(.*?)^\t\.section", text, re.M | re.S)[1], text[text.index(f"\n{job['kernel']}:") :]
    notes = text[text.index("amdhsa.kernels:") :]
    entry = next(part for part in notes.split("\n  - ") if re.search(rf"\.name: +{name}\n", part) and ".vgpr_spill_count" in part)
    items = group_items(job)
    local, occupancy = number(r"; LDSByteSize: (\d+)", tail), number(r"; Occupancy: (\d+)", tail)
    if local:  # the printed occupancy overstates what local memory allows
        blocks = -(-local // 512) * 512
        occupancy = min(occupancy, (131072 // blocks) * -(-items // 32) / 4 if target == "gfx1030" else (65536 // blocks) * -(-items // 64) / 4)
    fma = lambda line: (2 if line.startswith("\tv_pk_") else 1) if re.match(r"\tv_(pk_)?(fma|fmac|mac|mad)_\w*f32", line) else 0
    loops = loops_of(body.split("\n"), lambda l: group(r"^(\.LBB\d+_\d+):", l), lambda l: re.findall(r"s_c?branch\w*\s+(\.LBB\d+_\d+)", l))
    return {"registers": number(r"; NumVgprs: (\d+)", tail), "spill": number(r"\.vgpr_spill_count: (\d+)", entry), "scratch": number(r"; ScratchSize: (\d+)", tail), "local": local, "occupancy": occupancy, **judged(loops, lambda l: re.match(r"\t[a-z]+_", l), fma, r"\tv_rcp_f32")}


def warps(target, registers, local, items):
    memory, most_warps, most_blocks = (65536, 32, 16) if target == "sm_75" else (233472, 64, 32)
    per_block, rounded = -(-items // 32), -(-registers * 32 // 256) * 256
    blocks = min(most_warps // per_block, most_blocks, 65536 // rounded // per_block)
    used = local + (1024 if target == "sm_90" else 0)
    return min(blocks, memory // used if local else blocks) * per_block


def make_ptx(job, path):
    run(CLANG + ["-Xclang", "-cl-ext=+cl_khr_fp16", "-include", str(HERE / "nvidia.h"), "-target", "nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang", "sm_75", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", "/usr/lib/clc/nvptx64--nvidiacl.bc", "-S", job["file"], "-o", path] + job["flags"])


def nvidia(job, target):
    ptx, out = f"{job['folder']}/{target}.ptx", f"{job['folder']}/{target}.cubin"
    make_ptx(job, ptx)
    if target == "sm_90":  # clang-14 does not know it
        text = pathlib.Path(ptx).read_text()
        pathlib.Path(ptx).write_text(text.replace(".target sm_75", ".target sm_90").replace(".version 6.3", ".version 7.8"))
    log = run([PTXAS, "-v", "-O3", f"-arch={target}", ptx, "-o", out])
    local, registers = number(r"(\d+) bytes smem", log), number(r"Used (\d+) registers", log)
    result = {"registers": registers, "spill": number(r"(\d+) bytes spill stores", log), "scratch": number(r"(\d+) bytes stack frame", log), "local": local, "occupancy": warps(target, registers, local, group_items(job))}
    if job["limits"]:
        code = run([NVDISASM, "-c", out]).split("\n")
        loops = loops_of(code, lambda l: group(r"^(\.L_x_\d+):", l), lambda l: re.findall(r"BRA.*`\((\.L_x_\d+)\)", l))
        result.update(judged(loops, lambda l: re.match(r"\s+/\*[0-9a-f]{4,}\*/", l) and "NOP" not in l, lambda l: "FFMA" in l, "MUFU.RCP"))
    return result


def sections(data):
    at, (size, count, names) = struct.unpack_from("<Q", data, 0x28)[0], struct.unpack_from("<HHH", data, 0x3A)
    entries = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
    text = lambda offset: data[entries[names][4] + offset : data.index(b"\0", entries[names][4] + offset)].decode()
    return {text(e[0]): data[e[4] : e[4] + e[5]] for e in entries}


def intel(job, target):
    folder = f"{job['folder']}/{target}"
    shutil.rmtree(folder, ignore_errors=True)
    environment = dict(os.environ, LD_LIBRARY_PATH=PREFIX + "/usr/lib/x86_64-linux-gnu") if PREFIX else None
    log = run([tool("ocloc"), "compile", "-file", job["file"], "-device", target, "-options", " ".join(["-cl-std=CL1.2"] + job["flags"]), "--format", "zebin", "-out_dir", folder], environment)
    files = glob.glob(folder + "/*.bin")
    if not files:
        raise Refused(log.strip()[:300] or "ocloc made no file")
    parts = sections(pathlib.Path(files[0]).read_bytes())
    info = parts[".ze_info"].decode(errors="replace")
    entry = next(part for part in info.split("- name:") if part.split("\n")[0].strip(" '\"") == job["kernel"] and "execution_env" in part)
    memory = entry[entry.index("per_thread_memory") :] if "per_thread_memory" in entry else ""
    scratch = sum(int(size) for size in re.findall(r"size:\s*(\d+)", memory))
    spill = number(r"spill_size:\s*(\d+)", entry) or ("spilled around" in log and max(scratch, 1)) or 0
    result = {"registers": number(r"grf_count:\s*(\d+)", entry), "spill": spill, "scratch": scratch, "local": number(r"slm_size:\s*(\d+)", entry), "simd": number(r"simd_size:\s*(\d+)", entry)}
    if job["limits"]:
        pathlib.Path(folder + "/text.bin").write_bytes(parts[".text." + job["kernel"]])
        run([tool("iga64"), "-d", "-p=" + {"skl": "9", "tgllp": "12p1", "dg2": "12p71"}[target], folder + "/text.bin", "-o", folder + "/text.s"], environment)
        code = pathlib.Path(folder + "/text.s").read_text(errors="replace").split("\n")
        loops = loops_of(code, lambda l: group(r"^(L\d+):", l), lambda l: re.findall(r"\b(L\d+)\b", l) if re.search(r"\b(while|jmpi|brd|goto|brc)\b", l) else [])
        result.update(judged(loops, lambda l: re.match(r"\s+(\(.*?\)\s+)?[a-z]+[a-z0-9_.]*\s", l), lambda l: bool(re.search(r"\bmad\b|\bmac\b", l)), r"math\.inv"))
    return result


def complaints(job, target, result):
    limits = job["limits"]
    if result["spill"]:
        yield f"{result['spill']} spilled"
    if target in NVIDIA and result["local"] > 49152:
        yield f"{result['local']} bytes of local memory"
    if result["scratch"] and job["name"] in LIMITS:  # others may walk an array by index (the 8 sizes of a shape), which takes scratch
        yield f"{result['scratch']} bytes of scratch"
    if not limits:
        return
    share = limits.share_intel if target in INTEL else limits.share
    if result["share"] < share:
        yield f"{result['share']} % multiply-adds, {share} wanted"
    if target not in INTEL and result["second"] < limits.second:
        yield f"{result['second']} % multiply-adds in the second loop, {limits.second} wanted"
    if limits.per_element and not 0 < result["per_element"] <= limits.per_element:
        yield f"{result['per_element']} instructions per element, {limits.per_element} wanted"
    if target in INTEL and result["simd"] < limits.simd:
        yield f"SIMD{result['simd']}, {limits.simd} wanted"
    if target not in INTEL and result["occupancy"] < limits.occupancy(target):
        yield f"occupancy {result['occupancy']:g}, {limits.occupancy(target)} wanted"


def cell(job, target, result):
    words = [f"SIMD{result['simd']}" if target in INTEL else f"{result['registers']}r/{result['occupancy']:g}"]
    if job["limits"] and job["limits"].per_element:
        words.append(f"{result['per_element']}i")
    elif result.get("share"):
        words.append(f"{result['share']}/{result['second']}%" if result["second"] else f"{result['share']}%")
    return " ".join(words + [f"{kind} {result[kind]}" for kind in ("spill", "scratch") if result[kind]])


def compile_one(job, target):
    try:
        return (amd if target in AMD else nvidia if target in NVIDIA else intel)(job, target)
    except (Refused, OSError, ValueError, TypeError, KeyError, StopIteration) as error:
        return {"error": f"{type(error).__name__}: {error}" if not isinstance(error, Refused) else str(error)}


SMALL = "any vendor"
# What poses as a GPU when the list is made: vendor, bytes of local memory, and the targets that what it gets is compiled for. The
# last stands for all with the least local memory that OpenCL 1.2 allows; no limits hold for what only it gets.
POSES = (("AMD", 65536, AMD), ("NVIDIA", 49152, NVIDIA), ("Intel", 65536, INTEL), (SMALL, 16384, ("gfx1030", "sm_75")))


def listed(program, vendor, local):
    """What clattn gives such a GPU: lines "operation, variant, source, kernel, options"."""
    listing = subprocess.run([program], capture_output=True, text=True, env=dict(os.environ, CLATTN_VENDOR_NAME=vendor, CLATTN_VENDOR_LOCAL=str(local)))
    if listing.returncode or not listing.stdout:
        sys.exit(f"{program} as {vendor}: {listing.stderr or 'it lists nothing'}")
    return listing.stdout.splitlines()


def jobs_of(program, kernels, objects, pick):
    targets = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        lists = pool.map(lambda pose: listed(program, pose[0], pose[1]), POSES)
    common = set()
    for (vendor, _, devices), lines in zip(POSES, lists):
        for line in lines:
            operation, variant, source, kernel, options = line.split("\t")
            key = source, kernel, options
            if vendor != SMALL:
                common.add(key)
            targets.setdefault(key, (f"{operation}/{variant}", set()))[1].update(devices)
    for i, ((source, kernel, options), (variant, devices)) in enumerate(targets.items()):
        name, folder = f"{source}/{kernel}", f"{objects}/{i}"
        if not re.search(pick, f"{name} {options}"):
            continue
        os.makedirs(folder, exist_ok=True)
        # ocloc finds no includes beside the file: it is given the text with all of them in it.
        file = f"{folder}/{source}.cl"
        pathlib.Path(file).write_text(resolve(pathlib.Path(kernels), f"{source}.cl", set()))
        limits = LIMITS.get(name) if (source, kernel, options) in common and not re.search(UNUSUAL, options) else None
        yield {"variant": variant, "name": name, "kernel": kernel, "options": options, "flags": [f"-DKERNEL_{kernel}"] + options.split(), "folder": folder, "file": file, "limits": limits, "targets": devices}


def resolve(folder, name, seen):
    seen.add(name)
    lines = (folder / name).read_text().splitlines(keepends=True)
    include = lambda line: re.match(r'\s*#include "([^"]+)"', line)
    return "".join(("" if include(line)[1] in seen else resolve(folder, include(line)[1], seen)) if include(line) else line for line in lines)


def missing_tools():
    for name in ("clang-14", PTXAS, "ocloc", "iga64"):
        if not shutil.which(tool(name)):
            yield name
    for path in (NVDISASM, "/usr/lib/clc/amdgcn--amdhsa.bc", "/usr/lib/clc/nvptx64--nvidiacl.bc"):
        if not os.path.exists(path):
            yield path


def main():
    absent = list(missing_tools())
    if absent:
        sys.exit("vendor: missing: " + ", ".join(absent))
    jobs = list(jobs_of(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else ""))
    failures = [] if jobs else ["no kernel was compiled"]
    print("registers/waves per SIMD (AMD) or warps (NVIDIA), SIMD width (Intel), multiply-adds in the hottest loop\n")
    print("| kernel | options | local | " + " | ".join(TARGETS) + " |\n|" + "---|" * (3 + len(TARGETS)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [(job, {target: pool.submit(compile_one, job, target) for target in TARGETS if target in job["targets"]}) for job in jobs]
        for job, results in waiting:
            found = {target: future.result() for target, future in results.items()}
            cells = ["" if target not in found else "ERROR" if "error" in found[target] else cell(job, target, found[target]) for target in TARGETS]
            local = max(result.get("local", 0) for result in found.values())
            print(f"| {job['name']} | {job['options']} | {local} | " + " | ".join(cells) + " |", flush=True)
            for target, result in found.items():
                said = [result["error"]] if "error" in result else complaints(job, target, result)
                failures += [f"{job['name']} {job['options']} ({job['variant']}) for {target}: {what}" for what in said]
    print(f"\n{len(jobs)} kernels for {len(TARGETS)} targets, {len(failures)} failures")
    for line in failures:
        print("FAIL " + line)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
