#!/usr/bin/env python3
"""Measures the C tool on data that no weights were trained on. Needs the standard library and, for pairs.py, num2words==0.5.14; no PyTorch.

    models/accuracy.py translate [--tool build/clattn] [--count 800] [--seed 5] [--pairs FILE] [-- further arguments of `clattn translate`]
        runs held-out pairs of each kind through `clattn translate` and prints exact match per kind and overall. --pairs takes lines
        `english<TAB>french` or `kind<TAB>english<TAB>french` (as pairs.py prints them, with the kind before) instead of generating them.
        Exit 1 below 99 % overall or 97 % in a kind.
    models/accuracy.py classify DIR [--tool build/clattn] [-- further arguments of `clattn classify`]
        runs DIR/<class>_*.png (made by `models/train_digits.py --export-test DIR`) through `clattn classify`. Exit 1 below 97.5 %.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
EXIST = {"number": 50000, "ordinal": 990, "date": 14000, "time": 145, "money": 80000}  # held-out pairs of each kind, at least


def generate(count, seed):
    rows = []
    for kind, exist in EXIST.items():
        out = subprocess.run([sys.executable, os.path.join(HERE, "pairs.py"), "--count", str(min(count, exist)), "--seed", str(seed), "--kind", kind,
                              "--held-out"], check=True, stdout=subprocess.PIPE, env=dict(os.environ, PYTHONIOENCODING="utf-8")).stdout.decode()
        rows += [(kind, *line.split("\t")) for line in out.splitlines()]
    return rows


def read(path):
    with open(path, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f if line.strip()]
    return [tuple(r) if len(r) == 3 else ("pairs", *r) for r in rows]


def percent(good, total):
    return f"{good}/{total} {100 * good / total:.2f} %"


def translate(a):
    rows = read(a.pairs) if a.pairs else generate(a.count, a.seed)
    start = time.time()
    done = subprocess.run([a.tool, "translate", *a.more], input="".join(e + "\n" for _, e, _ in rows).encode(), stdout=subprocess.PIPE)
    got = done.stdout.decode().split("\n")[:-1]
    print(f"{len(rows)} sentences in {time.time() - start:.1f} s, exit {done.returncode}")
    if len(got) != len(rows):
        sys.exit(f"{len(got)} lines came back for {len(rows)}")
    tally = {}
    for (kind, e, f), g in zip(rows, got):
        t = tally.setdefault(kind, [0, 0])
        t[0] += f == g
        t[1] += 1
        if f != g:
            print(f"wrong ({kind}): {e} -> {g}, not {f}")
    good, total = (sum(t[i] for t in tally.values()) for i in (0, 1))
    for kind, t in tally.items():
        print(f"{kind:10}", percent(*t))
    print(f"{'overall':10}", percent(good, total))
    return done.returncode == 0 and good >= 0.99 * total and all(g >= 0.97 * n for g, n in tally.values())


def classify(a):
    paths = sorted(os.path.join(a.dir, n) for n in os.listdir(a.dir) if n.endswith(".png"))
    start = time.time()
    done = subprocess.run([a.tool, "classify", *a.more, *paths], stdout=subprocess.PIPE)
    lines = [line.split("\t") for line in done.stdout.decode().splitlines()]
    print(f"{len(paths)} images in {time.time() - start:.1f} s, exit {done.returncode}")
    if [x[0] for x in lines] != paths:
        sys.exit("the lines that came back do not name the images in order")
    good = {}
    for path, c, probability in lines:
        truth = os.path.basename(path).split("_")[0]
        good.setdefault(truth, []).append(c == truth)
        if c != truth:
            print(f"wrong: {path} -> {c} ({probability})")
    for truth, g in sorted(good.items()):
        print(f"{truth:10}", percent(sum(g), len(g)))
    right = sum(map(sum, good.values()))
    print(f"{'overall':10}", percent(right, len(paths)))
    return done.returncode == 0 and right >= 0.975 * len(paths)


def main():
    args, more = sys.argv[1:], []
    if "--" in args:
        args, more = args[:args.index("--")], args[args.index("--") + 1:]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="job", required=True)
    t = sub.add_parser("translate")
    t.add_argument("--count", type=int, default=800, help="held-out pairs of each kind, or as many as there are")
    t.add_argument("--seed", type=int, default=5)
    t.add_argument("--pairs", metavar="FILE")
    c = sub.add_parser("classify")
    c.add_argument("dir")
    for s in (t, c):
        s.add_argument("--tool", default=os.path.join(HERE, "..", "build", "clattn"))
    a = p.parse_args(args)
    a.more = more
    sys.exit(0 if (translate if a.job == "translate" else classify)(a) else 1)


if __name__ == "__main__":
    main()
