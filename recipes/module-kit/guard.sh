#!/bin/sh
# guard.sh KIT MODULE COMPILER…: prints `go on` on stdout if COMPILER is the one that
# built the kernel of KIT; else names both on stderr. MODULE is the directory of
# the module: the Rust compiler ($RUSTC) matters only where it has Rust code.
#
# MODULE_KIT_COMPILER=any goes on anyway, with a warning.
set -eu
kit=$1
module=$2
shift 2

# known NAME: a value of the kit's manifest, which has one a line.
known() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" "$kit/module-kit.json" | sed 's/\\\(["\\]\)/\1/g'; }

trouble=
# hold WHAT PART VERSION SHA256 COMPILER…
hold() {
  what=$1 part=$2 version=$3 sha256=$4
  shift 4
  found=$(sh "$kit/scripts/module-kit/identity.sh" "$@")
  found_version=$(printf '%s\n' "$found" | sed -n 1p)
  found_sha256=$(printf '%s\n' "$found" | sed -n 2p)
  found_at=$(printf '%s\n' "$found" | sed -n 3p)
  if [ "$found_sha256" = "$sha256" ]; then return; fi
  trouble=yes
  {
    echo "error: module-kit: this $what is not the one that built Linux $(known release) ($(known arch))"
    echo "  expected: $version, $part sha256 $sha256"
    echo "  found:    $found_version, $part sha256 $found_sha256 ($found_at)"
  } >&2
}

if ! command -v sha256sum > /dev/null; then
  trouble=yes
  echo "error: module-kit: compilers cannot be identified: sha256sum is not installed" >&2
elif [ -z "$(known cc1_sha256)" ]; then
  trouble=yes
  echo "error: module-kit: $kit/module-kit.json does not name the compiler that built the kernel: unpack the kit again" >&2
else
  hold compiler cc1 "$(known gcc)" "$(known cc1_sha256)" cc "$@"
  if [ -n "$(known rust_sha256)" ] && [ -n "$(find "$module" -name '*.rs' | sed -n 1p)" ]; then
    hold 'Rust compiler' "$(known rust_part)" "$(known rust)" "$(known rust_sha256)" rust ${RUSTC:-rustc}
  fi
fi

if [ -z "$trouble" ]; then
  echo "go on"
elif [ "${MODULE_KIT_COMPILER:-}" = any ]; then
  echo "warning: module-kit: continuing because of MODULE_KIT_COMPILER=any; the kernel may refuse this module" >&2
  echo "go on"
else
  echo "hint: put the bin directory of the toolchain $(known key | cut -c 1-12) on the PATH and take CROSS_COMPILE=$(known prefix)" >&2
  echo "hint: if the two compilers are known to be compatible, set MODULE_KIT_COMPILER=any" >&2
fi
