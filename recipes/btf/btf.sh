#!/bin/sh
# btf.sh: the kernel's own BTF is valid; inline BTF is generated from its debug
# information, validated, read again and compared with it site by site.
#
# Environment: LINUX (the kernel's result), CROSSMILL, MIN_COMPLETE (the smallest share
# of sites with every parameter; may be empty), DEST, and that of compare.sh. The result
# of the check goes to $DEST/verdict.
set -eu

. "${0%/*}/../check/verdict.sh"
unsupported() { finish unsupported "$1"; }

if ! grep -q '^CONFIG_DEBUG_INFO_BTF=y' "$LINUX/config"; then
  pahole=$(sed -n 's/^CONFIG_PAHOLE_VERSION=//p' "$LINUX/config")
  if grep -q '^# CONFIG_DEBUG_INFO_BTF is not set' "$LINUX/config"; then
    unsupported "CONFIG_DEBUG_INFO_BTF is off"
  elif [ "${pahole:-0}" = 0 ]; then
    unsupported "no BTF: there was no pahole when the kernel was configured"
  elif [ "$pahole" -lt 122 ]; then
    unsupported "no BTF: pahole $(echo "$pahole" | sed 's/..$/.&/') is too old"
  elif ! grep -q '^CONFIG_DEBUG_INFO=y' "$LINUX/config"; then
    unsupported "no BTF: the kernel was built without debug information"
  else
    unsupported "CONFIG_DEBUG_INFO_BTF does not exist for this architecture and configuration"
  fi
fi

# A kernel whose debug information is split off keeps the whole file beside it.
vmlinux=$LINUX/vmlinux
if [ -f "$vmlinux.debug" ]; then vmlinux=$vmlinux.debug; fi

# Each command reports problems in its result file; its exit code repeats that.
"$CROSSMILL" btf check "$vmlinux" --verdict "$DEST/verdict" --json > "$DEST/check.json" || true
if ! grep -q '^state pass' "$DEST/verdict"; then
  "$CROSSMILL" recipe result "$DEST/verdict" --evidence check.json
  cat "$DEST/verdict"
  exit 0
fi
types=$(sed -n 's/^figure types //p' "$DEST/verdict")
rm "$DEST/verdict"
set -- "$vmlinux" -o "$DEST/vmlinux.BTF.inline"
if [ -n "$MIN_COMPLETE" ]; then set -- "$@" --min-complete "$MIN_COMPLETE"; fi
"$CROSSMILL" inline-btf generate "$@" --verdict "$DEST/verdict" --json > "$DEST/inline.json" || [ -f "$DEST/verdict" ]
# Of the kernel's own BTF, whose result is about other sites, only the number of types.
"$CROSSMILL" recipe result "$DEST/verdict" ${types:+--figure "types=$types"} --evidence check.json --evidence inline.json
sh -eu "${0%/*}/compare.sh"
cat "$DEST/verdict"
