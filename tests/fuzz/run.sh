#!/bin/bash
# run.sh [SECONDS [TARGET...]]: builds the fuzz targets and runs each for so long (default 60; 600 for ten minutes). Seeds are
# tests/fuzz/corpus, the hostile files of tests/data and the drawn digits; what is found on the way stays in the build directory
# (CLATTN_FUZZ_BUILD, default build-fuzz) for the next run. Ends with 1 at a finding: the input that shows it is printed.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(npy npz safetensors image text device case cache tuning words)
build=${CLATTN_FUZZ_BUILD:-build-fuzz}
[ -f "$build/build.ninja" ] || CC=clang-14 meson setup "$build" -Dfuzz=true -Dcli=false -Dexamples=false -Dtests=false -Db_sanitize=address,undefined \
    -Db_lundef=false -Dbuildtype=debugoptimized -Dc_args=-fsanitize=fuzzer-no-link >/dev/null
ninja --quiet -C "$build" "${targets[@]/#/tests/fuzz/fuzz-}" >&2
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
for target in "${targets[@]}"; do
    work="$build/corpus/$target"
    mkdir -p "$work" "$build/findings"
    seeds=$(mktemp -d)
    case $target in
    image) cp digits/*_0.png tests/fuzz/corpus/image/* "$seeds" ;;
    text | device | case | cache | tuning | words) cp tests/fuzz/corpus/"$target"/* "$seeds" ;;
    *) cp tests/data/files/*."$target" "$seeds" ;;
    esac
    log="$build/fuzz-$target.log"
    if ! "$build/tests/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$target-" "$work" "$seeds" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz $target: a finding; its input is in $build/findings"
        exit 1
    fi
    rm -r "$seeds"
    echo "fuzz $target: $seconds s, $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no finding"
done
