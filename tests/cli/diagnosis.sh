#!/bin/sh
# diagnosis.sh TOOL ICD: doctor, cache, explain, profile as a user meets them; ICD is the driver of tests/fault.
set -u
tool=$(readlink -f "$1")
icd=$(readlink -f "$2")
source=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(mktemp -d)
trap 'chmod -R u+w "$directory"; rm -rf "$directory"' EXIT
cd "$directory" || exit 1
export CLATTN_CACHE_DIR="$directory/cache"
failed=0

# expect CODE PART COMMAND...: the exit code, and a part of what is printed on either stream
expect() {
    code=$1
    part=$2
    shift 2
    "$@" >printed 2>&1
    found=$?
    if [ "$found" -ne "$code" ] || ! grep -qF -- "$part" printed; then
        echo "$*: exit $found, expected $code and \"$part\" in:"
        cat printed
        failed=1
    fi
}

is_json() { python3 -m json.tool "$1" >/dev/null || { echo "not JSON:"; cat "$1"; failed=1; }; }

# ---- doctor ----
expect 0 "healthy" "$tool" doctor --op softmax
expect 0 "checks passed, 0 failed" "$tool" doctor --device 0:0 --op softmax --op add
expect 0 "environment" "$tool" doctor --op none --device all
expect 0 '"healthy": true' "$tool" doctor --op none --json
is_json printed
expect 0 "pocl-affinity" env -u POCL_AFFINITY "$tool" doctor --op none
expect 0 "unwritable-cache" env CLATTN_CACHE_DIR=/proc/nowhere "$tool" doctor --op none
expect 0 "program-binaries: PoCL" "$tool" doctor --op none
mkdir small
if mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
    expect 0 "full-disk: " env POCL_CACHE_DIR="$directory/small/pocl" "$tool" doctor --op none
    umount small
fi
expect 3 "icd-vendors" env OCL_ICD_VENDORS=/nowhere/x.icd "$tool" doctor --op none
expect 3 "no usable device" "$tool" doctor --device nonesuch --op none
expect 2 "no such operation" "$tool" doctor --op softmaxx
expect 2 "did you mean --device?" "$tool" doctor --devise cpu
expect 2 "takes no argument" "$tool" doctor now

# ---- a driver that ends the process, beside one that does not ----
mkdir drivers
ln -s /etc/OpenCL/vendors/pocl.icd drivers/pocl.icd
echo "$icd" >drivers/broken.icd
for end in "crash signal 11" "exit exit code 7"; do
    CLATTN_TEST_ICD_END=${end%% *} OCL_ICD_VENDORS="$directory/drivers"
    export CLATTN_TEST_ICD_END OCL_ICD_VENDORS
    expect 0 "drivers/broken.icd ends the process with ${end#* }" "$tool" devices
    expect 0 "clattn takes" "$tool" devices
    expect 0 "vingt" "$tool" translate twenty
    expect 0 "examples run on" "$tool" cache build activation --jobs 2
    expect 1 "driver-crash: $directory/drivers/broken.icd" "$tool" doctor --op softmax
    expect 1 "checks passed, 0 failed" "$tool" doctor --op softmax
    expect 1 "driver-crash" "$tool" doctor --op none --json
    is_json printed
    OCL_ICD_VENDORS="$directory/drivers/broken.icd"
    expect 3 "no driver is left" "$tool" devices
    expect 3 "no driver is left" "$tool" cache build softmax
    expect 3 "no driver is left" "$tool" explain --case 'softmax x[2,2]'
    expect 1 "driver-crash" "$tool" doctor --op none
    unset CLATTN_TEST_ICD_END OCL_ICD_VENDORS
done

# ---- cache ----
expect 0 "examples run on" "$tool" cache build softmax activation dropout --jobs 3
expect 0 "entries removed" "$tool" cache clear
expect 0 "examples run on" "$tool" cache build softmax
[ -z "$(tr -cd '\r' <printed)" ] || { echo "a progress bar outside a terminal"; failed=1; }
expect 0 "softmax/" "$tool" cache list
expect 0 '"state": "valid"' "$tool" cache list --json
is_json printed
expect 0 " 0 damaged" "$tool" cache verify
entries=$(ls cache/*.bin | wc -l)
first=$(ls cache/*.bin | head -n 1)
last=$(ls cache/*.bin | tail -n 1)
python3 - "$first" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-1] ^= 1
open(sys.argv[1], "wb").write(data)
END
expect 1 "damaged" "$tool" cache verify
if [ "$first" != "$last" ]; then
    printf 'clattn99 of a later release, with more than a header of text in it' >"$last"
    expect 1 "1 damaged, 1 of other releases" "$tool" cache verify
fi
expect 0 "healthy" "$tool" doctor --op softmax # both are built anew
expect 0 " 0 damaged, 0 of other releases" "$tool" cache verify
echo mine >cache/notes.txt
expect 0 "entries removed" "$tool" cache clear
[ -e cache/notes.txt ] || { echo "clear removed a file that is no entry"; failed=1; }
expect 0 " 0 entries" "$tool" cache list
expect 0 " 0 entries" env CLATTN_CACHE_DIR="$directory/none" "$tool" cache list
[ "$entries" -gt 0 ] || { echo "build left no entries"; failed=1; }
expect 2 "which action?" "$tool" cache
expect 2 "did you mean verify?" "$tool" cache verfy
expect 2 "there is no operation" "$tool" cache build softmaxx
expect 3 "no usable device matches" "$tool" cache build softmax activation --device "no such"
expect 2 "jobs 0: expected an integer in 1..64" "$tool" cache build softmax --jobs 0
expect 2 "expected an integer" "$tool" cache clear --keep lots

# ---- JSON for programs ----
expect 0 '"alignment":[[' "$tool" translate --json "two hundred and eighty-one"
is_json printed
expect 0 "deux cent quatre-vingt-un" "$tool" translate --model luong --beam 4 "two hundred and eighty-one"
expect 2 "the models are rnnsearch, luong" "$tool" translate --model bert twenty
expect 2 "1..64" "$tool" translate --beam 65 twenty
expect 2 '"unknown_word":"zebra"' "$tool" translate --json "zebra"
expect 0 '"probabilities"' "$tool" classify --json "$source/digits/3_0.png"
is_json printed
expect 2 '[]' "$tool" classify --json missing.png

# ---- explain, profile ----
expect 0 "variant scalar: could run" "$tool" explain --case 'softmax x[10,200]'
expect 0 "launch 1: softmax/" "$tool" explain --case 'softmax x[10,200]'
expect 0 "local memory" "$tool" explain --case 'attention query[1,2,5,16] key[1,2,7,16] value[1,2,7,16]'
expect 0 "launch 1: softmax/scalar" "$tool" explain --case 'softmax x[10,200]' --variant scalar
expect 0 "(100 %)" "$tool" profile --case 'softmax x[10,200]' --repeat 3
expect 0 "% of the device's limit" "$tool" profile --case 'cbam x[1,8,16,16] w1[2,8] w2[8,2] weight[1,2,7,7]' --repeat 3
expect 0 "GFLOP/s; " "$tool" profile --case 'softmax x[10,200]'
expect 0 '"seconds"' "$tool" profile --case 'softmax x[10,200]' --json
is_json printed
expect 2 "cannot read" "$tool" profile --case 'softmax x'
expect 2 "--case TEXT names" "$tool" profile softmax --case 'softmax x[2,2]'
python3 - <<'END'
import struct
header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
header += b" " * (64 - 10 - len(header) % 64 - 1 if len(header) % 64 < 54 else 128 - 10 - len(header) % 64 - 1) + b"\n"
open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack("<6f", 1, 2, 3, 4, 5, 6))
END
expect 0 "out [2,3] f32" "$tool" explain softmax --in x=x.npy
expect 0 "kernel" "$tool" profile softmax --in x=x.npy --repeat 2 --json
expect 0 "launch 1" "$tool" op softmax --in x=x.npy --out out=o.npy --explain --repeat 2
[ -s o.npy ] || { echo "op --explain wrote no file"; failed=1; }
exit $failed
