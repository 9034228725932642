#!/bin/sh
# lying.sh TOOL LAYER [tuning]: what the tool says of a device that lies (tests/fault/lying.c).
set -u
tool=$(readlink -f "$1")
OPENCL_LAYERS=$(readlink -f "$2")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory" || exit 1
export OPENCL_LAYERS CLATTN_SELF_CHECK=on
failed=0

fail() {
    echo "$1, in:"
    cat printed
    failed=1
}

# run CODE COMMAND...: into `printed`
run() {
    code=$1
    shift
    "$@" >printed 2>&1
    found=$?
    [ "$found" -eq "$code" ] || fail "$*: exit $found, expected $code"
}

# The kernels that lie from now on. What passes is remembered in the cache, so that each device has its own.
lie() {
    export LYING_KERNEL="$1" CLATTN_CACHE_DIR="$directory/cache-$2"
}

says() { grep -qE -- "$1" printed || fail "\"$1\" is missing"; }

lie rows 1
run 0 "$tool" explain --case 'softmax x[5,33]'
says '^variant rows: demoted: its self-check failed: softmax/rows: .* differs from the reference'
says '^variant .*: chosen'
says 'warning: softmax/rows is not used'
run 1 "$tool" doctor --device 0:0 --op softmax
says 'FAILURE softmax/rows'
says 'NOT HEALTHY'

lie '*' 2
run 1 "$tool" doctor --device 0:0 --op softmax --op add
for variant in softmax/rows softmax/scalar add/rows add/scalar; do says "FAILURE $variant: .*demoted"; done
run 2 "$tool" explain --case 'softmax x[5,33]'
says 'none of its variants .* can run here; the last is demoted: its self-check failed'
run 1 env CLATTN_SELF_CHECK=off "$tool" doctor --device 0:0 --op softmax
says 'FAILURE softmax/scalar: .* differs from the reference'

# What lies is not taken, however fast; clattn's own choice may lie too.
if [ "${3:-}" = tuning ]; then
    lie gpu_row 4
    run 1 env CLATTN_SELF_CHECK=off CLATTN_TUNING=tuned.json "$tool" tune --shapes 'softmax x[40,33]'
    says 'softmax rows32 length32, gpu_row gives wrong results: element [0-9]* is .* instead of'
    says '1 setting in tuned.json'
    grep -q gpu_row tuned.json && fail "gpu_row was taken"
    lie 'rows short_rows' 5
    run 1 env CLATTN_SELF_CHECK=off CLATTN_TUNING=other.json "$tool" tune --shapes 'softmax x[40,33]'
    says 'softmax/rows: .* differs from the reference'
fi

lie '' 3
run 0 "$tool" explain --case 'softmax x[5,33]'
says '^variant rows: chosen'
exit $failed
