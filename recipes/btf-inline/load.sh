#!/bin/sh
# load.sh: boots the kernel with the initramfs of prepare.sh, whose init loads the module with the
# kernel's inline BTF and reads it back, and judges what init reports beside what boot.sh checks.
#
# Environment: that of boot.sh, and LINUX, FILES (of the boot check), MODULE (the module's directory)
set -eu
EVIDENCE=console.log
. "${0%/*}/../boot/boot-more.sh"

file=/sys/kernel/btf/vmlinux.inline
if grep -q '^crossmill: btf-inline before' "$DEST/console.log"; then finish unsupported "the kernel has $file itself"; fi
# EINVAL
other=$(reported 'btf-inline other ')
if [ "$other" != 22 ]; then finish fail "the module of a kernel with another build ID is not refused: error ${other:-unknown}"; fi
loaded=$(reported 'btf-inline load ')
if [ "$loaded" != 0 ]; then finish fail "the kernel does not load the module: error ${loaded:-unknown}"; fi
size=$(wc -c < "$MODULE/vmlinux.BTF.inline")
equal=$(reported 'btf-inline equal ')
if [ "$equal" != "$size" ]; then
  finish fail "$file is not the $size bytes of vmlinux.BTF.inline: $(sed -n 's/^crossmill: btf-inline \(missing\|unreadable\|other size\|differs\|equal\)/\1/p' "$DEST/console.log" | sed -n 1p)"
fi
done=loaded
if grep '^CONFIG_MODULE_UNLOAD=y' "$LINUX/config" > /dev/null; then
  if [ "$(reported 'btf-inline unload ')" != 0 ]; then finish fail "the module is not unloaded: error $(reported 'btf-inline unload ')"; fi
  if grep -q '^crossmill: btf-inline after' "$DEST/console.log"; then finish fail "$file is still there after the module was unloaded"; fi
  done="loaded and unloaded"
fi
echo "ok: $equal bytes"
"$CROSSMILL" recipe result "$DEST/verdict" --summary "$done, $equal bytes as generated" --figure "bytes=$equal"
