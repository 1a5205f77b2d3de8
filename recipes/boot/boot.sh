#!/bin/sh
# boot.sh: boots a kernel in qemu; crossmill classifies its console. The result
# goes to $DEST/verdict, the console to $DEST/console.log.
#
# Environment: QEMU (the program), QEMU_MACHINE, QEMU_CPU (may be empty),
# QEMU_SERIAL (its serial ports; `stdio` if not given), QEMU_MEMORY, CONSOLE (the kernel's name of it), END (`poweroff` or `restart`),
# KERNEL, INITRD, DTB (a device tree for it; may be empty), DEST, CROSSMILL, LIMIT (seconds), LOG_BYTES, COMPILER and LINKER (the first
# lines of their --version), PROCESS (`yes`: KERNEL is a program of this machine, and
# qemu is not used), BTF (bytes of /sys/kernel/btf/vmlinux, or `none`), MODULES (the
# modules of which init must load one; may be empty)
set -eu

EVIDENCE=
. "${0%/*}/../check/verdict.sh"

if [ "${PROCESS:-}" = yes ]; then
  QEMU=./kernel
  cp "$KERNEL" kernel
  chmod u+x kernel
elif ! command -v "$QEMU" > /dev/null; then
  finish skipped "$QEMU is not installed"
fi

set -- -display none -no-reboot -monitor none -nic none -serial ${QEMU_SERIAL:-stdio} -M "$QEMU_MACHINE" -m "$QEMU_MEMORY"
if [ -n "$QEMU_CPU" ]; then set -- "$@" -cpu "$QEMU_CPU"; fi
if [ -n "${DTB:-}" ]; then set -- "$@" -dtb "$DTB"; fi
append="console=$CONSOLE panic=-1"
# What follows the dashes are init's arguments.
if [ "$END" = restart ]; then append="$append -- restart"; fi
set -- "$@" -kernel "$KERNEL" -initrd "$INITRD" -append "$append"
if [ "${PROCESS:-}" = yes ]; then
  # Its console is this step's standard output; its other terminals lead nowhere.
  set -- "mem=$QEMU_MEMORY" "initrd=$INITRD" "uml_dir=$(pwd)/" con=null con0=null,fd:1 "console=$CONSOLE" panic=-1
fi
echo "$QEMU $*"

# qemu stays in this step's process group if timeout supports it: ending the step ends qemu.
here=
if timeout --foreground 1 true 2> /dev/null; then here=--foreground; fi
rm -f console.pipe
mkfifo console.pipe
began=$(date +%s)
timeout $here -k 5 "$LIMIT" "$QEMU" "$@" > console.pipe 2> "$DEST/qemu.log" < /dev/null &
qemu=$!
# The log ends with qemu or when it is full; the rest of a full one is of no use.
head -c "$LOG_BYTES" < console.pipe > console.raw
if [ "$(wc -c < console.raw)" -ge "$LOG_BYTES" ]; then kill "$qemu" 2> /dev/null || true; fi
if wait "$qemu"; then ended=0; else ended=$?; fi
seconds=$(($(date +%s) - began))
version=
case $ended in
  0|124|137) ;;
  *) if [ "${PROCESS:-}" != yes ]; then version=$("$QEMU" --version 2> /dev/null | head -n 1) || version=; fi ;;
esac
"$CROSSMILL" recipe boot-log --result "$DEST/verdict" --console console.raw --emulator-log "$DEST/qemu.log" \
  --emulator "$QEMU" --emulator-version "$version" --machine "$QEMU_MACHINE" --cpu "$QEMU_CPU" --name "$CONSOLE" --end "$END" \
  --ended "$ended" --seconds "$seconds" --limit "$LIMIT" --log-bytes "$LOG_BYTES" \
  --compiler "$COMPILER" --linker "$LINKER" --btf "$BTF" --modules "${MODULES:-}"
if ! grep -q '^state pass' "$DEST/verdict"; then tail -n 15 "$DEST/console.log"; fi
