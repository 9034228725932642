#!/bin/sh
# install.sh SOURCE BUILD PREFIX: installs into a temporary directory and uses what is there: the README's first program in
# C, another in C++, the tool, the manual page and the completion.
set -eu
source=$1
build=$2
prefix=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() { echo "install: $*" >&2; exit 1; }

DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
configs=$(dirname "$(find "$root" -name clattn.pc)")
export PKG_CONFIG_PATH="$configs" PKG_CONFIG_SYSROOT_DIR="$root"
libraries=$(dirname "$(find "$root" -name libclattn.so)")
export LD_LIBRARY_PATH="$libraries"

python3 "$source/examples/extract.py" "$source/README.md" first.c "$root/first.c"
cp "$source/tests/install/first.cpp" "$root/first.cpp"
${CC:-cc} -std=c11 -Wall -Werror "$root/first.c" -o "$root/first-c" $(pkg-config --cflags --libs clattn)
"$root/first-c" | grep -q '^on ' || fail "the program in C does not work"
${CC:-cc} -std=c11 -Wall -Werror "$root/first.c" -o "$root/first-static" $(pkg-config --cflags clattn) "$libraries/libclattn.a" $(pkg-config --static --libs-only-l clattn | sed 's/-lclattn\b//') -lm
"$root/first-static" | grep -q '^on ' || fail "the static program in C does not work"

compilers=0
for compiler in g++ clang++ clang++-14; do
    command -v "$compiler" >/dev/null || continue
    compilers=$((compilers + 1))
    for standard in c++11 c++17; do
        "$compiler" -std=$standard -Wall -Wextra -Wpedantic -Werror "$root/first.cpp" -o "$root/first-cpp" $(pkg-config --cflags --libs clattn clattn-models)
        "$root/first-cpp" || fail "the program in C++ ($compiler, $standard) does not work"
    done
done
[ "$compilers" -gt 0 ] || fail "there is no C++ compiler"

tool=$root$prefix/bin/clattn
"$tool" --version | grep -q '^clattn ' || fail "the tool does not run"
[ -s "$root$prefix/share/man/man1/clattn.1" ] || fail "no manual page"
[ -s "$root$prefix/share/bash-completion/completions/clattn" ] || fail "no completion"
for header in "$source"/include/clattn/*.h; do
    [ -s "$root$prefix/include/clattn/$(basename "$header")" ] || fail "$(basename "$header") is not installed"
done
echo "installed and used"
