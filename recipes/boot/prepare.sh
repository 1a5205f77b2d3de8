#!/bin/sh
# prepare.sh: makes ./initrd for boot.sh, and in ./facts.sh what it is to find:
# the file to boot, the compiler and linker that built it and the size of its BTF. What
# cannot be booted at all gets its account in $DEST/verdict, which boot.sh keeps.
#
# Environment: CROSS, FILES, DEST, FLAGS (how GCC is told this target), USER_FLAGS
# (further ones for programs), LINUX (a result of the linux recipe), NAME (the
# target's), KERNEL (the image), MACHINE and DATA (readelf's words), DTS (a device
# tree for qemu; may be empty), QEMU, PROCESS (`yes` where the kernel is a program of this machine)
set -eu

EVIDENCE=build.log
. "${0%/*}/../check/verdict.sh"
if [ -z "$QEMU" ] && [ "${PROCESS:-}" != yes ]; then finish unsupported "qemu has no machine for $NAME"; fi
if [ ! -f "$KERNEL" ]; then finish fail "the kernel's build left no ${KERNEL##*/}"; fi
. "${0%/*}/../check/nolibc.sh"

# The smallest modules that need no other, drivers last, since those refuse to load without their hardware.
modules=
if [ "${MODULES:-}" = yes ] && grep '^CONFIG_MODULES=y' "$LINUX/config" > /dev/null && [ -d "$LINUX/lib/modules" ]; then
  find "$LINUX/lib/modules" -name '*.ko' -type f -size -512k | while read -r file; do
    case $file in */drivers/*) after=1 ;; *) after=0 ;; esac
    echo "$after $(wc -c < "$file") $file"
  done | sort -k 1,1n -k 2,2n -k 3 | head -n 60 > candidates
  while read -r _ _ file; do
    "${CROSS}objcopy" -O binary --only-section=.modinfo "$file" modinfo
    if tr '\0' '\n' < modinfo | grep -x 'depends=' > /dev/null; then
      cp "$file" .
      file=${file##*/}
      modules="$modules ${file%.ko}"
    fi
    if [ "$(echo "$modules" | wc -w)" -ge 6 ]; then break; fi
  done < candidates
  if [ -z "$modules" ]; then echo "no module to load: none is uncompressed and needs no other"; fi
fi
modules=${modules# }
if [ -n "$modules" ]; then
  USER_FLAGS="$USER_FLAGS -DMODULES=\"$(echo "$modules" | sed 's/ /\",\"/g')\""
fi
if ! compile -Os -static -nostdlib -Wall "$FILES/init.c" -lgcc -o init > "$DEST/build.log" 2>&1; then
  finish fail "init does not compile: $(cause "$DEST/build.log")"
fi
header() { "${CROSS}readelf" -h "$1" | sed -n "s/^ *$2: *//p"; }
for file in init "$LINUX/vmlinux"; do
  found=$(header "$file" Machine)
  if [ -n "$MACHINE" ] && [ "$found" != "$MACHINE" ]; then
    finish fail "${file##*/} is for \`$found\`, the target is \`$MACHINE\`"
  fi
  found=$(header "$file" Data | sed 's/^.*, //')
  if [ -n "$DATA" ] && [ "$found" != "$DATA" ]; then
    finish fail "${file##*/} is \`$found\`, the target is \`$DATA\`"
  fi
done
# shellcheck disable=SC2046 # names of modules
sh -eu "$FILES/initramfs.sh" init $(for name in $modules; do echo "$name.ko"; done) > initrd

btf=none
if grep '^CONFIG_DEBUG_INFO_BTF=y' "$LINUX/config" > /dev/null && grep '^CONFIG_SYSFS=y' "$LINUX/config" > /dev/null; then
  # Name, type, address, offset, size: the number in brackets may hold a space.
  size=$("${CROSS}readelf" -SW "$LINUX/vmlinux" | sed -n 's/^ *\[ *[0-9]*\] *\.BTF  *[A-Z]*  *[0-9a-f]*  *[0-9a-f]*  *\([0-9a-f]*\) .*/\1/p')
  if [ -z "$size" ]; then finish fail "the configuration has CONFIG_DEBUG_INFO_BTF=y, vmlinux has no section .BTF"; fi
  btf=$((0x$size))
fi
dtb=
if [ -n "$DTS" ]; then
  if ! command -v dtc > /dev/null; then finish skipped "dtc is not installed"; fi
  dtb=machine.dtb
  # With room for what qemu adds to it.
  if ! dtc -q -p 1024 -O dtb -o "$dtb" "$FILES/$DTS" 2>> "$DEST/build.log"; then finish fail "$DTS: $(cause "$DEST/build.log")"; fi
fi
# With its debug information it is larger than what some machines load.
image=$KERNEL
if [ "$("${CROSS}readelf" -h "$KERNEL" 2> /dev/null | sed -n 's/^ *Class: *ELF.*/ELF/p')" = ELF ]; then
  image=vmlinux-stripped
  "${CROSS}objcopy" --strip-debug "$KERNEL" "$image"
fi
{
  echo "KERNEL='$image'"
  echo "COMPILER='$("${CROSS}gcc" --version | head -n 1)'"
  echo "LINKER='$("${CROSS}ld" --version | head -n 1)'"
  echo "BTF=$btf"
  echo "DTB=$dtb"
  echo "MODULES='$modules'"
} > facts.sh
cat facts.sh
