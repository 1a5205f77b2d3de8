#!/bin/sh
# trace.sh: boots the kernel with the initramfs of prepare.sh, whose init attaches the
# probes and calls the functions, and compares the trace with the arguments of the calls.
#
# Environment: that of boot.sh, and FILES (of the boot check)
set -eu
EVIDENCE="trace.txt console.log definitions.txt left-out.txt"
. "${0%/*}/../boot/boot-more.sh"

awk -f "${0%/*}/trace.awk" "$DEST/console.log" > "$DEST/trace.txt"
cat "$DEST/trace.txt"
refused=$(sed -n 's/^refused //p' "$DEST/trace.txt" | head -n 1)
if [ -n "$refused" ]; then finish fail "the kernel does not take a probe: $refused"; fi
wrong=$(sed -n 's/^wrong //p' "$DEST/trace.txt" | head -n 1)
if [ -n "$wrong" ]; then finish fail "$wrong"; fi
functions=$(grep -c '^right ' "$DEST/trace.txt") || true
if [ "$functions" -lt 3 ]; then finish fail "the trace shows calls of $functions inlined functions, not of 3"; fi
echo "ok: $functions inlined functions"
"$CROSSMILL" recipe result "$DEST/verdict" --summary "arguments of $functions inlined functions" \
  --figure "functions=$functions" --evidence trace.txt --evidence definitions.txt --evidence left-out.txt
