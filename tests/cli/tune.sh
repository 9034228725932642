#!/bin/bash
# tune.sh TOOL: what `clattn tune` finds is kept, used, and left out when it is stale or wrong; databases joined; interrupts.
set -u
tool=$(readlink -f "$1")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory" || exit 1
export CLATTN_CACHE_DIR="$directory/cache"
unset CLATTN_TUNING
database=$CLATTN_CACHE_DIR/tuning.json
failed=0

complain() {
    echo "$1 in:"
    cat printed
    failed=1
}

# expect CODE PART COMMAND...: the exit code, and a part of what is printed on either stream
expect() {
    code=$1
    part=$2
    shift 2
    "$@" >printed 2>&1
    found=$?
    [ "$found" -eq "$code" ] && grep -qF -- "$part" printed || complain "$*: exit $found, expected $code and \"$part\""
}

says() { grep -qF -- "$1" printed || complain "expected \"$1\""; }
is_json() { python3 -m json.tool "$1" >/dev/null || { echo "not JSON:"; cat "$1"; failed=1; }; }

# edit FILE STATEMENT: on the list of entries, e being the first of them
edit() {
    python3 - "$@" <<'END'
import json, sys
whole = json.load(open(sys.argv[1]))
entries = whole["entries"]
e = entries[0]
exec(sys.argv[2])
json.dump(whole, open(sys.argv[1], "w"))
END
}

# ---- One small product: measured, kept, used ----
shapes='matmul a[60,50] b[50,70]'
expect 0 "m64 n64 k64" "$tool" tune matmul --shapes "$shapes" --time 3
says "1 setting in $database"
is_json "$database"
[ -z "$(tr -cd '\r' <printed)" ] || complain "a progress bar outside a terminal"
expect 0 "from $database (" "$tool" explain --case "$shapes"
says "tuning: class m64 n64 k64"
expect 0 "class m8 n8 k8, no setting" "$tool" explain --case 'matmul a[8,8] b[8,8]'
expect 0 '"source": "'"$database" "$tool" explain --case "$shapes" --json
is_json printed
edit "$database" 'e["variant"] = "scalar"; e["tunables"] = {}'
expect 0 "variant scalar: chosen" "$tool" explain --case "$shapes"
says "variant cpu: could run; a setting prefers another"
expect 0 "matmul m64 n64 k64, scalar: no gain" "$tool" tune -v --shapes "$shapes" --time 3 # what is known is tried first
expect 0 "variant cpu: chosen" "$tool" explain --case "$shapes"
edit "$database" 'e["variant"] = "scalar"; e["tunables"] = {}'
expect 0 "variant cpu: chosen" env CLATTN_TUNING=off "$tool" explain --case "$shapes"
says "no setting"
cp "$database" mine.json
expect 0 "from mine.json" env CLATTN_TUNING=mine.json CLATTN_CACHE_DIR="$directory/other" "$tool" explain --case "$shapes"

# ---- Stale, and wrong ----
edit "$database" 'e["driver"] = "another"'
expect 0 "variant cpu: chosen" "$tool" explain --case "$shapes" -v
says "tuning: 1 stale setting of $database left out"
says "class m64 n64 k64, no setting"
expect 0 "note tuning: tuning: 1 stale setting of" "$tool" doctor --device 0:0 --op none
edit "$database" 'e["variant"] = "none"'
expect 0 "warning: tuning: 1 entry of $database cannot be used; number 1: there is no variant \"none\"" "$tool" explain --case "$shapes"
expect 0 "note tuning: " "$tool" doctor --device 0:0 --op matmul
[ "$(grep -c 'no variant "none"' printed)" -eq 1 ] || complain "not told once"
echo broken >"$database"
expect 0 "$database is not valid JSON" "$tool" explain --case "$shapes"
says "variant cpu: chosen"
expect 2 "$database is not valid JSON" "$tool" tune matmul --shapes "$shapes" --time 1
[ "$(cat "$database")" = broken ] || { echo "tune wrote over what is no database"; failed=1; }
rm "$database"
expect 0 "variant cpu: chosen" "$tool" explain --case "$shapes"

# ---- Files ----
expect 0 "1 setting in a.json" "$tool" tune --shapes 'softmax x[30,40]' --output a.json
expect 0 '"complete": true' "$tool" tune softmax --shapes 'softmax x[30,300]' --shapes 'softmax x[3,4]' --output b.json --json
is_json printed
expect 2 "is no file" "$tool" tune softmax --shapes 'softmax x[3,4]' --output /dev/null
[ -c /dev/null ] || { echo "/dev/null is gone"; failed=1; }
expect 2 "cannot be written" "$tool" tune softmax --shapes 'softmax x[3,4]' --output /proc/nowhere/a.json
expect 2 "there is no file" env CLATTN_TUNING=off "$tool" tune softmax --shapes 'softmax x[3,4]'

# ---- Joining ----
expect 0 "3 settings in c.json, 0 dropped" "$tool" tune --merge a.json --merge b.json --output c.json
is_json c.json
edit a.json 'e["measured"] = "2001-01-01T00:00:00Z"; entries.append({"op": "none"}); entries.append(7)'
expect 0 "3 settings in c.json, 3 dropped" "$tool" tune --merge a.json --output c.json
says "a.json: softmax rows32 length32, measured 2001-01-01T00:00:00Z, is dropped: there is a newer measurement"
says "a.json: entry 2 is dropped: its platform is missing"
edit a.json 'e["measured"] = "2999-01-01T00:00:00Z"; del entries[1:]'
expect 0 "3 settings in c.json, 1 dropped" "$tool" tune --merge a.json --output c.json
grep -qF 2999-01-01 c.json || { echo "the newer measurement is missing"; failed=1; }
expect 0 "3 settings in $database" "$tool" tune --merge c.json
expect 2 "missing.json" "$tool" tune --merge missing.json --output c.json
cp c.json before.json
echo '[]' >d.json
expect 2 "is no database" "$tool" tune --merge d.json --output c.json
cmp -s c.json before.json || { echo "a failed merge changed its output"; failed=1; }
expect 2 "is no database" "$tool" tune --merge c.json --output d.json

# ---- Use ----
expect 0 "gpu_tile   edge" "$tool" tune --list
expect 0 "case: softmax" "$tool" tune softmax --list
grep -q '^matmul' printed && complain "--list of softmax alone lists matmul"
expect 2 "there is no operation matmull" "$tool" tune matmull
expect 2 "add has nothing to tune" "$tool" tune add
expect 2 "there is no such operation" "$tool" tune --shapes 'nothing x[3]'
expect 2 "not among the operations named" "$tool" tune softmax --shapes "$shapes"
expect 2 "cannot read" "$tool" tune --shapes 'softmax y[3]'
expect 2 "expected an integer" "$tool" tune softmax --time 0
expect 2 "--merge measures nothing" "$tool" tune softmax --merge a.json
expect 2 "did you mean --shapes?" "$tool" tune --shape 'softmax x[3]'
expect 2 "needs a value" "$tool" tune --merge
expect 3 "no usable device" "$tool" tune softmax --device nonesuch

# ---- Interrupted: what was found stays ----
list=()
for i in $(seq 1 200); do list+=(--shapes "softmax x[$((i * 7)),300]"); done
"$tool" tune "${list[@]}" --output e.json >printed 2>&1 &
process=$!
for i in $(seq 1 300); do grep -qs softmax e.json && break; sleep 0.1; done
kill -TERM "$process"
wait "$process"
found=$?
[ "$found" -eq 143 ] || complain "interrupted: exit $found, expected 143"
says "of 200 cases were measured"
says " in e.json"
is_json e.json
exit $failed
