#!/bin/bash
# hostile.sh TOOL: files that are damaged or lie, and outputs that cannot be written, through the tool: exit 2, a message that
# names the file, bounded memory, and no part of a file left behind.
set -u
tool=$(readlink -f "$1")
source=$(cd "$(dirname "$0")/../.." && pwd)
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory" || exit 1
failed=0

complain() {
    echo "$1"
    cat printed
    failed=1
}

# refused NAME COMMAND...: exit 2 and a message with NAME, within 1 GiB of addresses (4 where a device is opened)
refused() {
    name=$1
    shift
    (ulimit -v "${limit:-1048576}" && exec "$@") >printed 2>&1
    found=$?
    [ "$found" -eq 2 ] || complain "$*: exit $found, expected 2:"
    grep -qF -- "$name" printed || complain "$*: expected a message that names $name:"
    [ "$(wc -c <printed)" -lt 4000 ] || complain "$*: a message of $(wc -c <printed) bytes:"
}

# nothing_but FILE...: that and no other is in this directory
nothing_but() {
    left=$(ls -A | grep -vxF -e printed -e pictures -e x.npy "${@/#/-e}")
    [ -z "$left" ] || { echo "left behind: $left"; failed=1; }
}

# ---- Arrays: the files of tests/models/files.c ----
count=0
for file in "$source"/tests/data/files/bad_*; do
    case $file in *.npz) member=:x ;; *.safetensors) member=:a ;; *) member= ;; esac
    refused "$file" "$tool" op softmax --in "x=$file$member" --out out=out.npy
    count=$((count + 1))
done
[ "$count" -ge 60 ] || { echo "only $count hostile arrays"; failed=1; }
refused missing.npy "$tool" op softmax --in x=missing.npy --out out=out.npy
refused "$directory" "$tool" op softmax --in "x=$directory" --out out=out.npy
nothing_but

# ---- Pictures ----
mkdir pictures
python3 - "$source/digits" <<'END'
import glob, struct, sys, zlib
png = open(glob.glob(sys.argv[1] + "/3_*.png")[0], "rb").read()
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = lambda width, height, depth=8, colour=0: b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
end = chunk(b"IEND", b"")
jpeg = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
files = {
    "empty.png": b"", "text.png": b"not a picture", "magic.png": png[:8], "half.png": png[:len(png) // 2], "tail.png": png[:-20],
    "crc.png": png[:40] + bytes([png[40] ^ 1]) + png[41:], "zero.png": head(0, 28) + end, "huge.png": head(0x7fffffff, 0x7fffffff) + end,
    "wide.png": head(60000, 60000) + chunk(b"IDAT", zlib.compress(bytes(1000))) + end, "negative.png": head(0xffffffff, 1) + end,
    "no_data.png": head(28, 28) + end, "short_data.png": head(28, 28) + chunk(b"IDAT", zlib.compress(bytes(10))) + end,
    "no_palette.png": head(28, 28, 8, 3) + chunk(b"IDAT", zlib.compress(bytes(29 * 28))) + end,
    "bomb.png": head(28, 28) + chunk(b"tEXt", b"k\0" + bytes(1 << 20)) + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 26))) + end,
    "chunk_length.png": head(28, 28) + b"\xff\xff\xff\xffIDAT",
    "empty.jpg": b"\xff", "magic.jpg": b"\xff\xd8\xff", "huge.jpg": jpeg, "no_table.jpg": jpeg.replace(b"\xff\xff\xff\xff", b"\x00\x1c\x00\x1c"),
    "segment.jpg": b"\xff\xd8\xff\xe0\x00\x01\xff\xd9", "no_size.jpg": b"\xff\xd8\xff\xd9",
}
for name, data in files.items(): open("pictures/" + name, "wb").write(data)
END
limit=4194304 refused huge.png "$tool" classify pictures/*
for file in pictures/*; do grep -qF -- "$file: " printed || complain "no message about $file in:"; done
[ "$(grep -c "^clattn classify: pictures/" printed)" -eq "$(ls pictures | wc -l)" ] || complain "not one message for each picture:"

# ---- Weights that are none ----
limit=4194304 refused "$source/README.md" "$tool" translate --weights "$source/README.md" twenty
limit=4194304 refused "$source/models/luong.safetensors" "$tool" translate --weights "$source/models/luong.safetensors" twenty
limit=4194304 refused "$source/models/luong.safetensors" "$tool" classify --weights "$source/models/luong.safetensors" "$source/digits/3_0.png"

# ---- Outputs that cannot be written; the same as root, who may write to any directory ----
python3 -c 'import struct; h = b"{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (64, 64), }".replace(b"\"", b"\x27").ljust(117) + b"\n"; open("x.npy", "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(h)) + h + bytes(4 * 64 * 64))'
ln -s /dev/full full.npy
ln -s /dev/full full.png
limit=4194304
refused nowhere/out.npy "$tool" op softmax --in x=x.npy --out out=nowhere/out.npy
refused /proc/out.npy "$tool" op softmax --in x=x.npy --out out=/proc/out.npy
refused full.npy "$tool" op softmax --in x=x.npy --out out=full.npy
refused nowhere/a.png "$tool" translate --heatmap nowhere/a.png twenty
refused /proc/a.png "$tool" translate --heatmap /proc/a.png twenty
refused full.png "$tool" translate --heatmap full.png twenty
refused nowhere/maps "$tool" classify --maps nowhere/maps "$source/digits/3_0.png"
refused /proc "$tool" classify --maps /proc "$source/digits/3_0.png"
refused x.npy "$tool" classify --maps x.npy "$source/digits/3_0.png"
nothing_but full.npy full.png

# A disk that is full after some bytes: for the outputs, so that the kernels are made before.
too_long() { (trap '' XFSZ; ulimit -f 4; exec "$@"); }
export CLATTN_SELF_CHECK=off
long_sentence="one hundred and twenty-three thousand four hundred and fifty-six"
"$tool" op softmax --in x=x.npy --out out=kernels.npy >/dev/null && "$tool" translate "$long_sentence" >/dev/null || failed=1
rm -f kernels.npy
refused out.npy bash -c "$(declare -f too_long); too_long \"\$@\"" full "$tool" op softmax --in x=x.npy --out out=out.npy
refused a.png bash -c "$(declare -f too_long); too_long \"\$@\"" full "$tool" translate --heatmap a.png "$long_sentence"
nothing_but full.npy full.png
if (exec >/dev/full && "$tool" op) 2>/dev/null; then echo "a full standard output is not noticed"; failed=1; fi
exit $failed
