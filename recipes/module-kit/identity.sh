#!/bin/sh
# identity.sh cc COMPILER…   or   identity.sh rust COMPILER…
# Which compiler this is, in three lines: what it says of itself, the SHA-256 of the
# program that makes the code, and where that program is. COMPILER is a command,
# maybe of several words, as make's $(CC) is.
#
# What makes the code is cc1 for GCC, crab1 for gccrs and the library
# librustc_driver for rustc: the command itself is a small driver. A compiler
# that has no such part (clang) is told by the command's own program.
set -eu
kind=$1
shift

if ! said=$("$@" --version 2> /dev/null); then
  echo "no compiler"
  echo "none"
  echo "$* does not run"
  exit 0
fi
version=$(printf '%s\n' "$said" | sed -n 1p)

# part NAME: the path of a part of GCC, or nothing.
part() {
  path=$("$@" 2> /dev/null) || path=
  case $path in
    */*) if [ -f "$path" ]; then echo "$path"; fi ;;
  esac
}

file=
if [ "$kind" = rust ]; then
  file=$(part "$@" -print-prog-name=crab1)
  if [ -z "$file" ]; then
    # The commit and the date are in the first line; the same version of two builds differs in the library.
    sysroot=$("$@" --print sysroot 2> /dev/null) || sysroot=
    for library in "$sysroot"/lib/librustc_driver-*; do
      if [ -n "$sysroot" ] && [ -f "$library" ]; then file=$library; fi
    done
  fi
else
  file=$(part "$@" -print-prog-name=cc1)
fi
if [ -z "$file" ]; then file=$(command -v "$1") || file=$1; fi
sum=$(sha256sum < "$file")
echo "$version"
echo "${sum%% *}"
echo "$file"
