#!/bin/sh
# initramfs.sh INIT [FILE…]: an initramfs of /init, the files and /dev/console to stdout, in the
# format `newc` of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
# Root owns all of it and its dates are SOURCE_DATE_EPOCH, whoever makes it.
set -eu
init=$1
inode=0

# entry MODE SIZE DEVICE-MAJOR DEVICE-MINOR NAME: the header and the name, padded to 4 bytes.
entry() {
  inode=$((inode + 1))
  printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
    "$inode" $(($1)) 0 0 1 "${SOURCE_DATE_EPOCH:-0}" "$2" 0 0 "$3" "$4" $((${#5} + 1)) 0
  printf '%s\0' "$5"
  pad $((110 + ${#5} + 1))
}

pad() {
  case $(($1 % 4)) in
    1) printf '\0\0\0' ;;
    2) printf '\0\0' ;;
    3) printf '\0' ;;
  esac
}

entry 040755 0 0 0 dev
entry 020600 0 5 1 dev/console
# content MODE FILE NAME
content() {
  size=$(wc -c < "$2")
  size=$((size))
  entry "$1" "$size" 0 0 "$3"
  cat "$2"
  pad "$size"
}
content 0100755 "$init" init
shift
for file; do content 0100644 "$file" "${file##*/}"; done
entry 0 0 0 0 'TRAILER!!!'
