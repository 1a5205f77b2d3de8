#!/bin/sh
# kit.sh: creates in $DEST, from the build tree it runs in (configured as the kernel
# was, `make modules_prepare` done), the files that a module outside the kernel's tree is built with.
#
# Environment: DEST, FILES (the directory of this script), SOURCE, ARCH, CROSS_COMPILE,
# TARGET (the target's name), LINUX (the kernel's result), KEY (of the toolchain), HOST
# (this machine's processor), ROOTS (directories whose names must not be in the kit), RUSTC
set -eu

refuse() { echo "error: $1" >&2; if [ -n "${2:-}" ]; then echo "hint: $2" >&2; fi; exit 1; }

if [ ! -f "$SOURCE/scripts/package/install-extmod-build" ]; then
  refuse "this kernel has no scripts/package/install-extmod-build" "the module kit needs Linux 6.3 or newer"
fi
cp "$LINUX/Module.symvers" Module.symvers

# The kernel's own script chooses the files, as for the packages of distributions.
# It would build the programs in scripts/ again for the target's own use if CC were another than HOSTCC.
make -C "$SOURCE" O="$PWD" "$@" run-command KBUILD_RUN_COMMAND='env CC="$(HOSTCC)" $(CONFIG_SHELL) $(srctree)/scripts/package/install-extmod-build '"$DEST"
chmod -R u+w "$DEST"
cp .config "$DEST/.config"
if grep -q '^CONFIG_RUST=y' .config; then
  # What Rust modules are linked and expanded with; the script above does not take it.
  for file in rust/*.rmeta rust/*.so scripts/target.json; do
    if [ -f "$file" ]; then mkdir -p "$DEST/${file%/*}"; cp "$file" "$DEST/$file"; fi
  done
fi
# Left over by the build, with its paths.
find "$DEST/scripts" "$DEST/include" "$DEST/arch" -name '*.s' -exec rm -f '{}' +
# Debug information of programs for this machine (objtool's) names the directory of the build.
find "$DEST/scripts" "$DEST/tools" -type f -perm -u+x 2> /dev/null | while read -r file; do
  case $(head -c 4 "$file" | od -An -c | tr -d ' ') in 177ELF) strip --strip-debug "$file" ;; esac
done
# Links to files that the kit does not have.
find "$DEST" -type l ! -exec test -e '{}' ';' -exec rm -f '{}' ';'

# Defaults of ARCH and CROSS_COMPILE: after the first line, which is the license.
mkdir -p "$DEST/scripts/module-kit"
cp "$FILES/identity.sh" "$FILES/guard.sh" "$FILES/guard.mk" "$DEST/scripts/module-kit"
{
  sed -n 1p "$SOURCE/Makefile"
  echo "# Of the module kit: what it is for."
  echo "ARCH ?= $ARCH"
  echo "CROSS_COMPILE ?= $CROSS_COMPILE"
  sed 1d "$SOURCE/Makefile"
  echo
  echo "# Of the module kit: another compiler is refused."
  echo "ifneq (\$(need-sub-make),1)"
  echo "ifneq (\$(KBUILD_EXTMOD),)"
  echo "ifdef need-compiler"
  echo "include \$(abs_srctree)/scripts/module-kit/guard.mk"
  echo "endif"
  echo "endif"
  echo "endif"
} > "$DEST/Makefile"

# ---- the manifest; guard.sh reads it line by line

sum() { sum=$(sha256sum < "$1"); echo "${sum%% *}"; }
text() { printf '%s' "$1" | sed 's/["\\]/\\&/g'; }
line() { printf '%s"%s": "%s"%s\n' "$1" "$2" "$(text "$3")" "${4:-}"; } # line INDENT NAME VALUE [,]
tool() { # tool NAME: its version and digest, as two lines of the manifest
  program=$("${CROSS_COMPILE}gcc" -print-prog-name="$1")
  case $program in */*) ;; *) program=$(command -v "$CROSS_COMPILE$1") ;; esac
  line '    ' "$1" "$("$program" --version | sed -n 1p)" ,
  line '    ' "$1_sha256" "$(sum "$program")" "${2:-}"
}

identity=$(sh "$FILES/identity.sh" cc "${CROSS_COMPILE}gcc")
cc1=$(printf '%s\n' "$identity" | sed -n 3p)
if [ "${cc1##*/}" != cc1 ]; then refuse "${CROSS_COMPILE}gcc has no cc1: $identity"; fi
{
  echo "{"
  echo '  "schema": 1,'
  echo '  "kernel": {'
  line '    ' release "$(cat include/config/kernel.release)" ,
  line '    ' arch "$ARCH" ,
  line '    ' target "$TARGET" ,
  line '    ' config_sha256 "$(sum .config)" ,
  line '    ' symvers_sha256 "$(sum Module.symvers)"
  echo '  },'
  echo '  "toolchain": {'
  line '    ' prefix "$CROSS_COMPILE" ,
  line '    ' key "$KEY" ,
  line '    ' gcc "$(printf '%s\n' "$identity" | sed -n 1p)" ,
  line '    ' cc1_sha256 "$(printf '%s\n' "$identity" | sed -n 2p)" ,
  tool as ,
  tool ld
  echo '  },'
  if grep -q '^CONFIG_RUST=y' .config; then
    identity=$(sh "$FILES/identity.sh" rust ${RUSTC:-rustc})
    part=$(printf '%s\n' "$identity" | sed -n 3p)
    echo '  "rust": {'
    line '    ' rust "$(printf '%s\n' "$identity" | sed -n 1p)" ,
    # The library's name has a hash of its own, which the digest makes superfluous.
    line '    ' rust_part "$(basename "$part" | sed 's/-[0-9a-f]*\.so$//')" ,
    line '    ' rust_sha256 "$(printf '%s\n' "$identity" | sed -n 2p)"
    echo '  },'
  fi
  echo '  "scripts": {'
  line '    ' host "$HOST"
  echo '  }'
  echo "}"
} > "$DEST/module-kit.json"
cat "$DEST/module-kit.json"

# A kit is used on other machines: nothing in it may name a place of this one.
# Generated headers name in comments the program of the source that generated them.
for root in "$SOURCE" "$(cd "$SOURCE" && pwd -P)"; do
  grep -r -l -I -F -e "$root/" "$DEST" > named || true
  while read -r file; do
    sed "s|$root/||g" "$file" > plain
    cat plain > "$file"
  done < named
done
for root in $ROOTS; do
  if grep -r -l -F -e "$root" "$DEST" > named; then
    refuse "files of the kit name $root: $(sed "s|^$DEST/||" named | sed -n '1,5p' | tr '\n' ' ')"
  fi
done
