#!/bin/bash
# completion.sh SCRIPT TOOL: what the completion offers for some half-written commands.
set -u
. "$1"
tool=$2
failed=0

# expect WORD WORD ... -- OFFERED: the last word before -- is being written
expect() {
    COMP_WORDS=("$tool")
    while [ "$1" != -- ]; do COMP_WORDS+=("$1"); shift; done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _clattn 2>/dev/null
    case " ${COMPREPLY[*]} " in
    *" $2 "*) ;;
    *) echo "${COMP_WORDS[*]:1}: expected $2 among: ${COMPREPLY[*]}"; failed=1 ;;
    esac
}

expect dev -- devices
expect "" -- doctor
expect op soft -- softmax
expect profile att -- attention
expect op attention --in qu -- query=
expect op attention --out ls -- lse=
expect op attention --set cau -- causal=
expect op softmax --variant "" -- scalar
expect op --exp -- --explain
expect cache ve -- verify
expect translate --model lu -- luong
expect tune att -- attention
expect tune --sh -- --shapes
expect doctor --op lin -- linear
expect devices --device "" -- 0:0
exit $failed
