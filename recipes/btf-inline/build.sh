#!/bin/sh
# build.sh: generates the kernel's inline BTF and builds in ./module the module that offers it,
# with the module kit; both go to $DEST.
#
# Environment: CROSS (the toolchain's prefix), CROSSMILL, LINUX, KIT (results), FILES, DEST
set -eu

refuse() { echo "error: $1" >&2; echo "hint: $2" >&2; exit 1; }

if ! grep '^CONFIG_DEBUG_INFO_BTF=y' "$LINUX/config" > /dev/null; then
  refuse "the kernel has no BTF, on which inline BTF is based" "set CONFIG_DEBUG_INFO_BTF, which needs pahole on this machine"
fi
vmlinux=$LINUX/vmlinux
if [ -f "$vmlinux.debug" ]; then vmlinux=$vmlinux.debug; fi
build_id=$("${CROSS}readelf" -n "$vmlinux" | sed -n 's/^ *Build ID: *//p' | sed -n 1p)
if [ -z "$build_id" ]; then refuse "$vmlinux has no build ID" "link the kernel with --build-id, as its Makefile does"; fi

rm -rf module
mkdir module
cp "$FILES/Kbuild" "$FILES/offer.c" "$FILES/data.S" module
"$CROSSMILL" inline-btf generate "$vmlinux" -o module/vmlinux.BTF.inline
make -C "$KIT" M="$PWD/module" BUILD_ID="$build_id" modules
cp module/btf_inline_data.ko module/vmlinux.BTF.inline "$DEST"
echo "$build_id" > "$DEST/build-id"
