#!/bin/sh
# Installs the other libraries that `clattn bench --peers` times: those of PyPI into a virtual environment under
# ~/.cache/clattn/peers, those of Debian or Ubuntu as packages. About 3 GB. Each is optional: what is absent is told.
set -eu
directory=${XDG_CACHE_HOME:-$HOME/.cache}/clattn/peers
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/setup.sh"
install_missing python3 python3-venv g++ libc6-dev libdnnl-dev libopenblas0 libclblast1 ocl-icd-libopencl1
[ -x "$directory/bin/python" ] || python3 -m venv "$directory"
"$directory/bin/pip" install --quiet --requirement "$here/requirements.txt"
mkdir -p "$directory/lib"
g++ -std=c++14 -O2 -shared -fPIC -o "$directory/lib/onednn.so" "$here/onednn.cpp" -ldnnl
echo "clattn bench --peers finds them with $directory/bin/python"
