#!/usr/bin/env python3
"""disassembly.py TOOL: reads the machine code that PoCL made of each kernel that the bench's cases launch.

For every case `clattn explain` runs it with an empty cache of PoCL's, so that exactly its kernels lie there as shared objects.
An instruction counts for the innermost loop around it; a kernel's hot loop, its own or one of a function that it calls, is the one
with the most FMA instructions of the widest vector, or, of a kernel that NO_FMA names, with the most arithmetic of it. The check fails on
  - a kernel without FMA of the widest vector that this CPU has (of AVX2 with POCL_KERNELLIB_NAME=avx2 POCL_LLVM_CPU_NAME=haswell), unless NO_FMA tells why it needs none,
  - scalar or narrower arithmetic in the hot loop that outweighs the widest,
  - a gather in the hot loop,
  - a kernel that is not made of single work-items, unless BY_ITEMS tells why,
  - a warning of PoCL's compiler (where a kernel is not in clattn's own cache).
Kernels of COPIES compute nothing and are only listed.
Other architectures than x86-64 with AVX2 have no rule here, and the check says so and passes."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

# Kernels that multiply nothing they also add, or so little that it is not what takes their time.
NO_FMA = {
    "elementwise": "one operation for each element",
    "pool2d": "maxima and sums of windows",
    "planes": "sums of planes",
    "channel_pool": "maxima and sums over channels",
    "reduce": "sums and extremes of rows",
}
# Kernels that compute nothing: whatever form they have.
COPIES = {
    "pack": "weights or panels in another order",
    "move": "copies between strides",
    "copy": "copies between strides",
    "convert": "the storage of elements",
}
# Kernels made of work-items, which PoCL vectorises across items or leaves scalar, also where a group has one.
BY_ITEMS = {"efficient_channel_attention": "one value for each channel"}

ARITHMETIC = re.compile(r"v?(fn?m(?:add|sub)\d*|add|sub|mul|div|max|min|sqrt|rcp14|rsqrt14|reduce|scalef|rndscale|cmp\w*|blendm)(ps|ss|pd|sd)$")
JUMP = re.compile(r"j\w+$")
Loop = collections.namedtuple("Loop", "counts gathers length")


def widest_vector():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return None
    as_avx2 = os.environ.get("POCL_KERNELLIB_NAME") == "avx2" # PoCL was told to make code for less than this CPU
    return "zmm" if "avx512f" in flags and not as_avx2 else "ymm" if "avx2" in flags and "fma" in flags else None


# ---- Machine code ----

def functions(path):
    """Each function's instructions: (address, mnemonic, operands)."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    found, name = {}, None
    for line in text.splitlines():
        heading = re.match(r"[0-9a-f]+ <(.+)>:", line)
        code = re.match(r"\s*([0-9a-f]+):\t(\S+)\s*(.*)", line)
        if heading:
            name = heading[1]
            found[name] = []
        elif code and name:
            found[name].append((int(code[1], 16), code[2], code[3]))
    return found


def reached(found, name):
    """The code of that function and of those that it calls, and these in turn."""
    names = [name] if name in found else []
    for each in names:
        for _, mnemonic, operands in found[each]:
            target = re.search(r"<([^>+]+)>", operands) if mnemonic in ("call", "jmp") else None
            if target and target[1] in found and target[1] not in names:
                names.append(target[1])
    return [found[each] for each in names]


def kind_of(mnemonic, operands):
    """(is FMA, register) of an arithmetic instruction, else None."""
    match = ARITHMETIC.match(mnemonic)
    if not match:
        return None
    if match[2] in ("ss", "sd"):
        return match[1].startswith("f"), "scalar"
    register = re.search(r"%([xyz]mm)", operands)
    return match[1].startswith("f"), register[1] if register else "xmm"


def loops(code):
    """What jumps backwards enclose; each instruction counts for the innermost loop around it."""
    spans = set()
    for address, mnemonic, operands in code:
        target = re.match(r"([0-9a-f]+)", operands) if JUMP.match(mnemonic) else None
        if target and code[0][0] <= int(target[1], 16) <= address:
            spans.add((int(target[1], 16), address))
    bodies = collections.defaultdict(list)
    for address, mnemonic, operands in code:
        around = [span for span in spans if span[0] <= address <= span[1]]
        if around:
            bodies[min(around, key=lambda span: span[1] - span[0])].append((mnemonic, operands))
    for body in bodies.values():
        counts = collections.Counter(kind for kind in (kind_of(*each) for each in body) if kind)
        yield Loop(counts, sum(mnemonic.startswith("vgather") for mnemonic, _ in body), len(body))


def fmas(loop, register=None):
    return sum(n for (is_fma, where), n in loop.counts.items() if is_fma and (register is None or where == register))


def packed(loop):
    return sum(n for (_, where), n in loop.counts.items() if where != "scalar")


def hot_loop(codes, widest, by_fma):
    """Of several functions."""
    def heat(loop):  # of loops with as many, the densest
        wide = sum(n for (_, register), n in loop.counts.items() if register == widest)
        return (fmas(loop, widest), fmas(loop), -loop.length) if by_fma else (wide, 0, -loop.length)
    return max((loop for code in codes for loop in loops(code)), key=heat, default=None)


# ---- Rules ----

def reason_of(table, kernel):
    """The table's reason for a kernel "source/name", by its whole name, its source or its name."""
    source, name = kernel.split("/", 1)
    return next((table[key] for key in (kernel, source, name) if key in table), None)


def faults(kernel, loop, widest):
    if loop is None:
        return ["no loop"]
    arithmetic = collections.Counter()
    for (_, register), n in loop.counts.items():
        arithmetic[register] += n
    found = []
    if loop.gathers:
        found.append("%d gathers" % loop.gathers)
    if not fmas(loop, widest) and not reason_of(NO_FMA, kernel):
        found.append("no FMA in %s" % widest)
    if not arithmetic[widest]:
        found.append("nothing in %s" % widest)
    if sum(arithmetic.values()) > 2 * arithmetic[widest]:
        found.append("scalar or narrow: " + ", ".join("%s %d" % each for each in sorted(arithmetic.items())))
    return found


def describe(loop):
    if loop is None:
        return "straight code"
    parts = ["%d FMA %s" % (n, register) for (is_fma, register), n in sorted(loop.counts.items()) if is_fma]
    return "%d instructions, %s" % (loop.length, ", ".join(parts) or "%d packed" % packed(loop))


# ---- Cases ----

def cases(tool):
    """(name, text) of the bench's cases, without the series, whose kernels others have too."""
    listed = subprocess.run([tool, "bench", "--list"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name, text = re.match(r"(.+?)\s{1,}(\w+ \w+\[.*)", line).groups()
        if not name.startswith("growth"):
            yield name.strip(), text


def kernels_of(tool, text, directory):
    """{"source/name": options} that the case launches, and the shared objects that PoCL made: {name: [(local size, path)]}."""
    environment = {**os.environ, "POCL_CACHE_DIR": directory, "CLATTN_DEVICE": os.environ.get("CLATTN_DEVICE", "cpu")}
    run = subprocess.run([tool, "explain", "--json", "--case", text], capture_output=True, text=True, env=environment, check=False)
    if run.returncode or "warning" in run.stderr:  # PoCL's compiler tells its warnings there, to every user
        sys.exit("disassembly: %s: %s" % (text, run.stderr))
    launched = {launch["kernel"]: launch["options"].strip() for launch in json.loads(run.stdout)["launches"]}
    objects = collections.defaultdict(list)
    for place, _, files in os.walk(directory):
        for file in files:
            size = os.path.basename(place)
            if file.endswith(".so") and not size.startswith("0-0-0"):
                objects[file[:-3]].append((size, os.path.join(place, file)))
    return launched, objects


def check_object(kernel, size, path, widest):
    """(what its hot loop is, faults)."""
    codes = reached(functions(path), "_pocl_kernel_" + kernel.split("/", 1)[1])
    if not codes:
        return "", ["no code of it in " + path]
    if reason_of(COPIES, kernel):
        return "computes nothing", []
    if reason_of(BY_ITEMS, kernel):
        return "work-items " + size, []
    if not size.startswith("1-1-1-"):
        return "work-items " + size, ["not made of single work-items"]
    loop = hot_loop(codes, widest, not reason_of(NO_FMA, kernel))
    return describe(loop), faults(kernel, loop, widest)


def check_case(tool, name, text, widest, seen):
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        launched, objects = kernels_of(tool, text, directory)
        for kernel, options in launched.items():
            short = kernel.split("/", 1)[1]
            if (kernel, options) in seen:
                continue
            seen.add((kernel, options))
            if not objects[short]:
                print("FAIL %-26s %-28s PoCL left no code of it" % (name, kernel))
                wrong += 1
            for size, path in objects[short]:
                told, found = check_object(kernel, size, path, widest)
                wrong += bool(found)
                print("%s %-26s %-28s %s%s" % ("FAIL" if found else "ok  ", name, kernel, told, "".join(": " + fault for fault in found)), flush=True)
    return wrong


def main():
    widest = widest_vector()
    if not widest:
        print("no x86-64 CPU with AVX2 and FMA: nothing is known of its code")
        return
    seen = set()
    wrong = sum(check_case(sys.argv[1], name, text, widest, seen) for name, text in cases(sys.argv[1]) if re.search(os.environ.get("DISASSEMBLY_ONLY", ""), name))
    print("%d kernels with their options, %d with faults; widest vector %s" % (len(seen), wrong, widest))
    if wrong or not seen:
        sys.exit(1)


if __name__ == "__main__":
    main()
