#!/bin/sh
# configure.sh [MAKE-VARIABLE…]: configures the build tree it runs in as the kernel
# was. A kit for another configuration would be for another kernel.
#
# Environment: SOURCE, LINUX (the kernel's result), ARCH, CROSS_COMPILE
set -eu

refuse() { echo "error: $1" >&2; echo "hint: $2" >&2; exit 1; }

if ! grep -q '^CONFIG_MODULES=y' "$LINUX/config"; then
  refuse "this kernel takes no modules: its configuration has no CONFIG_MODULES=y" \
    "a tiny kernel gets it with the setting kernel_modules, another by its defconfig or a fragment"
fi
if [ ! -f "$LINUX/Module.symvers" ]; then
  refuse "the build of this kernel left no Module.symvers" "make modules makes it, even if the kernel has none"
fi
cp "$LINUX/config" .config
chmod u+w .config
make -C "$SOURCE" O="$PWD" "$@" olddefconfig
if ! diff -u "$LINUX/config" .config; then
  refuse "configured again, the kernel is another one: the lines above" \
    "a tool of this machine has changed since the kernel was built (pahole?): build the kernel again"
fi
