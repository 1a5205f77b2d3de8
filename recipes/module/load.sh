#!/bin/sh
# load.sh: boots the kernel with the initramfs of prepare.sh, whose init loads the
# module, and judges what it reports beside what boot.sh checks.
#
# Environment: that of boot.sh, and LINUX, FILES (of the boot check)
set -eu
EVIDENCE=console.log
. "${0%/*}/../boot/boot-more.sh"
of_module() { reported "module $1"; }

release=$(sed -n 's/^crossmill: version Linux version \([^ ]*\) .*/\1/p' "$DEST/console.log" | sed -n 1p)
wanted="crossmill_hello: answer 49 on $release"
loaded=$(of_module 'loaded: ')
if [ -n "$(of_module 'refused: ')" ]; then finish fail "the kernel does not take the module ($(of_module 'refused: ')): $(of_module 'because ')"; fi
if [ "$loaded" != "$wanted" ]; then finish fail "the module prints \`${loaded:-nothing}\`, not \`$wanted\`"; fi
if [ "$(of_module 'parameter ')" != there ]; then finish fail "the module's parameter is not in sysfs"; fi
done=loaded
if grep -q '^CONFIG_MODULE_UNLOAD=y' "$LINUX/config"; then
  if [ "$(of_module 'unloaded: ')" != "crossmill_hello: goes after answer 49 on $release" ]; then
    finish fail "the module was not unloaded: $(of_module 'unloaded: ')"
  fi
  done="loaded and unloaded"
fi
echo "ok: $loaded"
"$CROSSMILL" recipe result "$DEST/verdict" --summary "$done"
