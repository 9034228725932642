#!/bin/sh
# doxygen.sh: the public headers through Doxygen; every warning fails. The pages go to a scratch directory.
set -eu
cd "$(dirname "$0")/.."
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
(cat docs/Doxyfile; echo "OUTPUT_DIRECTORY = $pages") | doxygen -
echo "doxygen: no warning"
