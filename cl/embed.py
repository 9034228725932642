#!/usr/bin/env python3
"""embed.py OUT.c FILE.cl ...: writes each OpenCL C file as a byte array, its #include "x.cl" lines resolved.
Files that only serve as includes are not programs of their own and need not be listed."""
import pathlib
import re
import sys


def resolve(path, seen):
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r'\s*#include\s+"([^"]+)"', line)
        if not match:
            lines.append(line)
        elif match[1] not in seen:
            seen.add(match[1])
            lines += resolve(path.parent / match[1], seen)
    return lines


def main():
    out, files = sys.argv[1], [pathlib.Path(f) for f in sys.argv[2:]]
    text = ['#include "source.h"\n']
    for i, path in enumerate(files):
        data = ("\n".join(resolve(path, set())) + "\n").encode()
        rows = (", ".join(str(b) for b in data[k : k + 32]) for k in range(0, len(data), 32))
        text.append(f"static const unsigned char text_{i}[] = {{ {','.join(rows)}, 0 }};\n")
    text.append("const clattn_source clattn_sources[] = {\n")
    text += [f'    {{ "{path.stem}", text_{i}, sizeof text_{i} - 1 }},\n' for i, path in enumerate(files)]
    text.append(f"}};\nconst size_t clattn_source_count = {len(files)};\n")
    pathlib.Path(out).write_text("".join(text), encoding="utf-8")


main()
