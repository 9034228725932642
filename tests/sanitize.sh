#!/bin/sh
# sanitize.sh BUILD [meson test arguments]: the tests under AddressSanitizer and UndefinedBehaviorSanitizer. A leak found as
# one of Criterion's children ends does not fail the test, so the log is searched as well.
set -eu
build=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$build/build.ninja" ] || meson setup "$build" "$source" -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized
[ -e "$build/pocl-cache" ] || mkdir -p "$build/pocl-cache"
ninja -C "$build"
export LSAN_OPTIONS="suppressions=$source/tests/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
# LLVM inside PoCL sets signal stacks of its own on threads, which AddressSanitizer would then free.
export ASAN_OPTIONS="detect_leaks=1:use_sigaltstack=0"
meson test -C "$build" --no-rebuild --print-errorlogs "$@"
if grep -E 'runtime error:|SUMMARY: (Address|Undefined|Leak)' "$build/meson-logs/testlog.txt"; then exit 1; fi
