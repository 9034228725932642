#!/bin/bash
# manual.sh TOOL MANUAL COMPLETION: what --help of each command offers stands in the manual page and is completed.
set -u
tool=$1
manual=$2
. "$3"
failed=0

options_of() { "$tool" "$1" --help | grep -oE -- '--[a-z][a-z-]*' | sort -u; }

# The lines of the manual page on a command (profile and explain are op's), and on every command.
section() {
    awk -v name="$1" '/^\.S[sh]/ { on = $1 == ".Ss" && ($2 == name || $2 == "Options") } on' "$manual"
}

completed() {
    COMP_WORDS=("$tool" "$1" --)
    COMP_CWORD=2
    _clattn 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}"
}

commands=$("$tool" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -v '^help$')
count=0
for command in $commands; do
    grep -qE "^\.Ss $command( |\$)" "$manual" || { echo "the manual has no section on $command"; failed=1; }
    offered=$(completed "$command")
    case $command in explain | profile) pages=$(section op) ;; *) pages=$(section "$command") ;; esac
    for option in $(options_of "$command"); do
        count=$((count + 1))
        grep -qE "^\.It Fl -${option#--}( |\$)" <<<"$pages" || { echo "$command $option is not in the manual"; failed=1; }
        grep -qxF -- "$option" <<<"$offered" || { echo "$command $option is not completed"; failed=1; }
    done
done
[ "$count" -ge 40 ] || { echo "only $count options were found"; failed=1; }

# What the manual offers, there is.
for option in $(grep -oE '^\.It Fl -[a-z-]+' "$manual" | sed 's/.* -/--/' | sort -u); do
    found=0
    for command in $commands; do options_of "$command" | grep -qxF -- "$option" && found=1; done
    [ "$found" -eq 1 ] || { echo "$option stands in the manual, but no command has it"; failed=1; }
done
exit $failed
