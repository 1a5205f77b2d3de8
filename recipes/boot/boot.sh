#!/bin/sh
# boot.sh: boots a kernel in qemu and judges what its init tells. The account
# goes to $DEST/verdict, the console to $DEST/console.log.
#
# Environment: QEMU (the program), QEMU_MACHINE, QEMU_CPU (may be empty),
# QEMU_SERIAL (its serial ports; `stdio` if not given), QEMU_MEMORY, CONSOLE (the kernel's name of it), END (`poweroff` or `restart`),
# KERNEL, INITRD, DTB (a device tree for it; may be empty), DEST, LIMIT (seconds), LOG_BYTES, COMPILER and LINKER (the first
# lines of their --version), PROCESS (`yes`: KERNEL is a program of this machine, and
# qemu is not used), BTF (bytes of /sys/kernel/btf/vmlinux, or `none`)
set -eu

log=$DEST/console.log

EVIDENCE="console.log qemu.log"
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

# qemu stays in this step's process group where timeout can be told so: whoever ends the step ends it.
here=
if timeout --foreground 1 true 2> /dev/null; then here=--foreground; fi
rm -f console.pipe
mkfifo console.pipe
began=$(date +%s)
timeout $here -k 5 "$LIMIT" "$QEMU" "$@" > console.pipe 2> "$DEST/qemu.log" < /dev/null &
qemu=$!
# The log ends with qemu or when it is full; the rest of a full one is of no use.
head -c "$LOG_BYTES" < console.pipe > console.raw
full=
if [ "$(wc -c < console.raw)" -ge "$LOG_BYTES" ]; then
  full=yes
  kill "$qemu" 2> /dev/null || true
fi
if wait "$qemu"; then ended=0; else ended=$?; fi
seconds=$(($(date +%s) - began))
tr -d '\000\r' < console.raw > "$log"
grep -v '^[[:space:]]*$' "$log" > lines || true
last=$(tail -n 1 lines | tr -d '\033' | cut -c 1-160)
first_error=$(head -n 1 "$DEST/qemu.log" | cut -c 1-200)

said() { grep -F -q -e "$1" "$log"; }

# 1. qemu itself.
if [ "$ended" -eq 137 ] && [ "$seconds" -lt "$LIMIT" ]; then
  finish fail "$QEMU was killed after $seconds s, as the kernel of this machine does when memory runs out"
fi
case $ended in
  0|124|137) ;;
  *)
    version=$("$QEMU" --version 2> /dev/null | head -n 1) || version=$QEMU
    if grep -i -q -e 'unsupported machine type' -e 'unsupported machine' "$DEST/qemu.log"; then
      finish skipped "$QEMU has no machine \`$QEMU_MACHINE\` (${version:-$QEMU}): a newer qemu is needed"
    fi
    if grep -i -q -e 'unable to find CPU model' -e 'unknown cpu' -e 'CPU model.*not' "$DEST/qemu.log"; then
      finish skipped "$QEMU has no CPU \`$QEMU_CPU\` (${version:-$QEMU}): a newer qemu is needed"
    fi
    if grep -i -q -e 'unable to \(find\|load\).*firmware' -e 'could not \(find\|load\).*\(bios\|firmware\|\.bin\|\.lid\|\.rom\)' "$DEST/qemu.log"; then
      finish skipped "$QEMU has no firmware for \`$QEMU_MACHINE\`: $first_error"
    fi
    if [ -z "$full" ] && [ ! -s lines ]; then
      finish fail "$QEMU did not start the kernel: ${first_error:-exit code $ended}"
    fi
    if [ -z "$full" ]; then finish fail "$QEMU ended by itself with code $ended: ${first_error:-$last}"; fi
    ;;
esac

# 2. The kernel.
panic=$(sed -n 's/.*Kernel panic - not syncing: *//p' "$log" | head -n 1 | cut -c 1-200)
if said 'error -8' && said 'Failed to execute /init'; then
  finish fail "the kernel does not take init, which is of another architecture: $(grep -m 1 -o 'Failed to execute /init.*' "$log")"
fi
if [ -n "$panic" ]; then
  case $panic in
    *'Attempted to kill init'*exitcode=0x0000000[4bB]*|*'Attempted to kill init'*exitcode=0x0000008[4bB]*)
      panic="$panic (init was killed: an illegal instruction or a wrong address; compiled for another CPU?)" ;;
  esac
  finish fail "kernel panic: $panic"
fi
if [ -n "$full" ]; then
  often=$(sed 's/^\[ *[0-9.]*\] *//' lines | sort | uniq -c | sort -rn | head -n 1 | sed 's/^ *\([0-9]*\) /\1 times /' | cut -c 1-160)
  finish fail "the console printed $LOG_BYTES bytes and was cut off; most often, $often"
fi
late=
if [ "$ended" -ne 0 ]; then late=yes; fi
if ! said 'crossmill: init runs'; then
  how="ended after $seconds s"
  if [ -n "$late" ]; then how="hung until the time limit of $LIMIT s"; fi
  if ! said 'Linux version'; then
    if [ -s lines ]; then
      finish fail "the kernel printed nothing on $CONSOLE and $how; the firmware's last line: $last"
    fi
    finish fail "the kernel printed nothing on $CONSOLE and $how: no driver for this console in its configuration, or it dies before"
  fi
  finish fail "init's marker is missing, the machine $how; last line: $last"
fi

# 3. What init told.
version=$(sed -n 's/^crossmill: version //p' "$log" | head -n 1)
btf=$(sed -n 's/^crossmill: btf //p' "$log" | head -n 1)
if ! said 'crossmill: ends'; then finish fail "init did not come to its end: $last"; fi
if said 'crossmill: cannot end the machine'; then finish fail "init could not end the machine ($END)"; fi
if [ -n "$late" ]; then finish fail "the machine does not switch off ($END): ended by the time limit of $LIMIT s"; fi
for tool in "$COMPILER" "$LINKER"; do
  case $version in
    *"$tool"*) ;;
    *) finish fail "the kernel was not built by \`$tool\`: /proc/version is \`$version\`" ;;
  esac
done
if [ "$btf" != "$BTF" ]; then
  finish fail "/sys/kernel/btf/vmlinux: ${btf:-not told} (bytes), $BTF expected by vmlinux's section .BTF and the configuration"
fi

echo "ok: booted in $seconds s: $version"
{
  echo "state pass"
  echo "summary booted in $seconds s"
  echo "figure seconds $seconds"
  if [ "$btf" != none ]; then echo "figure btf_bytes $btf"; fi
  echo "evidence console.log"
} > "$DEST/verdict"
