#!/usr/bin/env python3
"""extract.py README.md NAME OUT: writes the C block that stands in README.md under the line `<!-- NAME -->`."""
import pathlib
import re
import sys

text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
match = re.search(rf"<!-- {re.escape(sys.argv[2])} -->\n```c\n(.*?)```", text, re.S)
if not match:
    sys.exit(f"{sys.argv[1]} holds no block <!-- {sys.argv[2]} -->")
if match[1].count("\n") > 30:
    sys.exit(f"{sys.argv[2]} has {match[1].count(chr(10))} lines; a first program has 30 at most")
pathlib.Path(sys.argv[3]).write_text(match[1], encoding="utf-8")
