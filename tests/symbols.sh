#!/bin/sh
# symbols.sh SOURCE LIBRARY...: what the libraries export begins with clattn_, and OpenCL is called in src/device only.
set -eu
source=$1
shift
failed=0

for library; do
    case $library in
    *.so*) names=$(nm -D --defined-only "$library") ;;
    *) names=$(nm -g --defined-only "$library") ;;
    esac
    names=$(printf '%s\n' "$names" | awk 'NF == 3 { print $3 }')
    [ -n "$names" ] || { echo "$library exports nothing"; failed=1; }
    # Sanitizers and coverage add names of their own.
    foreign=$(printf '%s\n' "$names" | grep -Ev '^(clattn_|__asan_|__odr_asan|__ubsan_|__gcov|__llvm_)' || true)
    if [ -n "$foreign" ]; then
        echo "$library exports names without clattn_:"
        echo "$foreign"
        failed=1
    fi
done

calls=$(grep -rnE '\bcl[A-Z][A-Za-z]* *\(' "$source/src" --include='*.[ch]' | grep -v "^$source/src/device/" || true)
if [ -n "$calls" ]; then
    echo "OpenCL is called outside src/device:"
    echo "$calls"
    failed=1
fi
exit $failed
