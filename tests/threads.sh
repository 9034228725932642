#!/bin/sh
# threads.sh [BUILD]: the threads test with clattn under ThreadSanitizer (clang).
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$source/build-tsan}
[ -f "$build/build.ninja" ] || CC=clang-14 meson setup "$build" "$source" -Dcli=false -Dexamples=false -Db_sanitize=thread -Db_lundef=false -Dbuildtype=debugoptimized >/dev/null
ninja --quiet -C "$build" tests/device/test-threads
mkdir -p "$build/pocl-cache"
export CLATTN_CACHE_DIR="$build/kernel-cache" POCL_CACHE_DIR="$build/pocl-cache"
export TSAN_OPTIONS="suppressions=$source/tests/tsan.supp:halt_on_error=1:ignore_noninstrumented_modules=1:second_deadlock_stack=1"
"$build/tests/device/test-threads"
