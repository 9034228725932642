#!/bin/bash
# oclgrind.sh BUILD COMMAND...: runs a program of that build directory on Oclgrind, which looks for data races, accesses
# outside of buffers and the use of what nobody wrote. Fails also when it found something, for its own exit code stays 0.
# Not optimised: --uninitialized knows neither `freeze`, which the optimiser adds, nor the scopes that inlining a function
# with a structure as its result adds.
build=$1
shift
directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
echo /usr/lib/oclgrind/liboclgrind-rt-icd.so > "$directory/oclgrind.icd"
export OCL_ICD_VENDORS=$directory OPENCL_LAYERS=$build/tests/liboclgrind-layer.so
export OCLGRIND_LOG=$directory/log OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 OCLGRIND_NUM_THREADS=1
export OCLGRIND_BUILD_OPTIONS="-cl-opt-disable -Dalways_inline=unused"
[ -f "$OPENCL_LAYERS" ] || { echo "oclgrind.sh: there is no $OPENCL_LAYERS" >&2; exit 1; }
# A pipe: Oclgrind empties a file that it opens, and each test is a process that opens it anew.
mkfifo "$OCLGRIND_LOG" || exit 1
exec 7<>"$OCLGRIND_LOG"
cat "$OCLGRIND_LOG" >"$directory/found" 7>&- &
"$@" 7>&-
status=$?
exec 7>&-
wait
[ -s "$directory/found" ] || exit $status
head -n 40 "$directory/found" >&2
exit 1
