#!/bin/sh
# boot.sh: boots the kernel with the initramfs of prepare.sh, whose init is a script of busybox, and compares
# what the script prints beside what boot.sh of the check boot compares.
#
# Environment: that of boot.sh, and FILES (of the boot check)
set -eu
EVIDENCE="differs.txt console.log"
. "${0%/*}/../boot/boot-more.sh"

sed -n 's/^crossmill: shell //p' "$DEST/console.log" | tr -d '\r' > shell.txt
machine=$(sed -n 's/^machine //p' shell.txt)
grep -v '^machine ' shell.txt > "$DEST/shell.txt" || true
if ! diff "${0%/*}/expected.txt" "$DEST/shell.txt" > "$DEST/differs.txt"; then
  finish fail "the shell prints \`$(sed -n 's/^> //p' "$DEST/differs.txt" | sed -n 1p)\`, \`$(sed -n 's/^< //p' "$DEST/differs.txt" | sed -n 1p)\` expected"
fi
case $machine in 'Linux '?*) ;; *) finish fail "uname prints \`$machine\`" ;; esac
lines=$(wc -l < "${0%/*}/expected.txt")
echo "ok: $lines lines on $machine"
rm "$DEST/differs.txt"
"$CROSSMILL" recipe result "$DEST/verdict" --summary "$lines results of a shell script on $machine" --figure "values=$lines" --evidence shell.txt
