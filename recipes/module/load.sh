#!/bin/sh
# load.sh: boots the kernel with the initramfs of prepare.sh, whose init loads the
# module, and judges what it reports beside what boot.sh checks.
#
# Environment: that of boot.sh, and LINUX, FILES (of the boot check)
set -eu
if [ -f "$DEST/verdict" ]; then exit 0; fi
. ./facts.sh
INITRD=initrd
export KERNEL COMPILER LINKER BTF INITRD DTB
sh -eu "$FILES/boot.sh"
if ! grep -q '^state pass' "$DEST/verdict"; then exit 0; fi

log=$DEST/console.log
EVIDENCE=console.log
. "${0%/*}/../check/verdict.sh"
told() { sed -n "s/^crossmill: module $1//p" "$log" | sed -n 1p; }

release=$(sed -n 's/^crossmill: version Linux version \([^ ]*\) .*/\1/p' "$log" | sed -n 1p)
wanted="crossmill_hello: answer 49 on $release"
loaded=$(told 'loaded: ')
if [ -n "$(told 'refused: ')" ]; then finish fail "the kernel does not take the module ($(told 'refused: ')): $(told 'because ')"; fi
if [ "$loaded" != "$wanted" ]; then finish fail "the module prints \`${loaded:-nothing}\`, not \`$wanted\`"; fi
if [ "$(told 'parameter ')" != there ]; then finish fail "the module's parameter is not in sysfs"; fi
done=loaded
if grep -q '^CONFIG_MODULE_UNLOAD=y' "$LINUX/config"; then
  if [ "$(told 'unloaded: ')" != "crossmill_hello: goes after answer 49 on $release" ]; then
    finish fail "the module was not unloaded: $(told 'unloaded: ')"
  fi
  done="loaded and unloaded"
fi
echo "ok: $loaded"
"$CROSSMILL" recipe result "$DEST/verdict" --summary "$done"
