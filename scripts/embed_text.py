#!/usr/bin/env python3
"""embed_text.py OUT.c FILE SYMBOL: a file's bytes as `const unsigned char SYMBOL[]`, and how many as `const size_t SYMBOL_size`."""
import pathlib
import sys

out, path, symbol = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
data = path.read_bytes()
rows = (", ".join(str(b) for b in data[k : k + 32]) for k in range(0, len(data), 32))
pathlib.Path(out).write_text(f"#include \"tuning.h\"\n\nconst unsigned char {symbol}[] = {{ {','.join(rows)}, 0 }};\nconst size_t {symbol}_size = sizeof {symbol} - 1;\n", encoding="utf-8")
