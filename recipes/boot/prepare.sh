#!/bin/sh
# prepare.sh: packs ./initrd for boot.sh, and writes to ./facts.sh the file to boot, the compiler
# and linker that built it and the size of its BTF. A kernel that cannot be booted at all gets its
# result in $DEST/verdict, which boot.sh keeps.
#
# Environment: CROSS, CROSSMILL, FILES, DEST, FLAGS (GCC's options for this target), USER_FLAGS
# (further options for programs), LINUX (a result of the linux recipe), NAME (of the target),
# KERNEL (the image), MACHINE and DATA (in readelf's words), DTS (a device tree for qemu; may be
# empty), QEMU, PROCESS (`yes` where the kernel is a program of this machine), MORE_FILES (files
# that the initramfs has as well; may be empty), INIT (a script that becomes /init and is run by the first of
# MORE_FILES; init.c if empty)
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
program=init
if [ -n "${INIT:-}" ]; then
  cp "$INIT" init
  chmod u+wx init
  program=${MORE_FILES%% *}
elif ! compile -Os -static -nostdlib -Wall "$FILES/init.c" -lgcc -o init > "$DEST/build.log" 2>&1; then
  finish fail "init does not compile: $(cause "$DEST/build.log")"
fi
for file in "$program" "$LINUX/vmlinux"; do
  if ! kind=$("$CROSSMILL" recipe elf "$file" --machine "$MACHINE" --data "$DATA"); then finish fail "$kind"; fi
done
# shellcheck disable=SC2046,SC2086 # names of files
"$CROSSMILL" recipe initramfs init $(for name in $modules; do echo "$name.ko"; done) ${MORE_FILES:-} -o initrd

btf=none
if grep '^CONFIG_DEBUG_INFO_BTF=y' "$LINUX/config" > /dev/null && grep '^CONFIG_SYSFS=y' "$LINUX/config" > /dev/null; then
  if ! btf=$("$CROSSMILL" recipe elf "$LINUX/vmlinux" --section .BTF); then
    finish fail "the configuration has CONFIG_DEBUG_INFO_BTF=y; $btf"
  fi
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
if "$CROSSMILL" recipe elf "$KERNEL" > /dev/null 2>&1; then
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
