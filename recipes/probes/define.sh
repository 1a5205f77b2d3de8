#!/bin/sh
# define.sh: lets crossmill define the probes of the functions that probes.c calls,
# from the kernel's debug information, and makes ./definitions.inc of them, which
# probes.c includes. A function that this kernel did not inline, or whose probes are
# not complete, is left out with crossmill's reason in $DEST/left-out.txt.
#
# Environment: CROSSMILL, LINUX (a result of the linux recipe), DEST
set -eu

EVIDENCE="left-out.txt definitions.txt"
. "${0%/*}/../check/verdict.sh"

# How many functions must have probes for the check to mean anything.
LEAST=3

if ! grep '^CONFIG_KPROBE_EVENTS=y' "$LINUX/config" > /dev/null; then
  finish unsupported "the kernel has no CONFIG_KPROBE_EVENTS"
fi
vmlinux=$LINUX/vmlinux
if [ -f "$vmlinux.debug" ]; then vmlinux=$vmlinux.debug; fi
: > "$DEST/left-out.txt"
: > "$DEST/definitions.txt"
: > definitions.inc
functions=0
for name in $(sed -n 's/^\tTEST(\([a-z0-9_]*\),.*/\1/p' "${0%/*}/probes.c"); do
  if "$CROSSMILL" inline-btf probes "$vmlinux" "$name" > lines 2> notes; then
    functions=$((functions + 1))
    cat lines >> "$DEST/definitions.txt"
    # One string a line: the backslash of a constant is one of C's too.
    { echo "{ \"$name\", (const char *const []){"; sed 's/\\/\\\\/g; s/.*/\t"&",/' lines; echo '	0 } },'; } >> definitions.inc
  else
    if grep -q '^error: unsupported' notes; then finish unsupported "$(sed -n 's/^error: unsupported: //p' notes)"; fi
    { echo "$name"; sed 's/^/  /' notes; } >> "$DEST/left-out.txt"
  fi
done
cat "$DEST/definitions.txt"
if [ "$functions" -lt "$LEAST" ]; then finish fail "probes of $functions inlined functions can be defined, not of $LEAST"; fi
