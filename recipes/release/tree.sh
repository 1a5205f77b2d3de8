#!/bin/sh
# tree.sh: the tree of a published toolchain.
#
# A target whose toolchain has the target's own triple gets that toolchain, with the headers that GCC's plugin headers
# include. A target that shares a compiler gets it under its own name: programs without defaults are renamed, the others
# move to drivers/ (as deep as bin/, because GCC finds its files relative to itself), and bin/ has driver.c under their
# names.
#
# Environment: TREE (the toolchain), HOSTLIBS, DRIVER, DEST, SHARED (the triple of TREE), TRIPLE (the target's own),
# TARGET (its name), DEFAULTS_GCC, DEFAULTS_AS, DEFAULTS_LD (`OPTION UNLESS…`, separated by commas).
set -eu

# The store never changes a finished file, so a hard link is as good as a copy.
link() { ln "$1" "$2" 2>/dev/null || cp -Pp "$1" "$2"; }

(cd "$TREE" && find . -type d) | while read -r dir; do mkdir -p "$DEST/$dir"; done
(cd "$TREE" && find . ! -type d) | while read -r file; do
  if [ -L "$TREE/$file" ]; then cp -Pp "$TREE/$file" "$DEST/$file"; else link "$TREE/$file" "$DEST/$file"; fi
done

for plugin in "$DEST"/lib/gcc/"$SHARED"/*/plugin/include; do
  # system.h includes gmp.h, realmpfr.h mpfr.h and mpc.h; without them, plugins build only where their packages are installed.
  for header in gmp.h mpfr.h mpf2mpfr.h mpc.h; do
    if [ -e "$HOSTLIBS/include/$header" ] && [ ! -e "$plugin/$header" ]; then link "$HOSTLIBS/include/$header" "$plugin/$header"; fi
  done
done

defaults() {
  printf '%s\n' "$2" | tr , '\n' | sed -n "s/^ *\([^ ].*\)$/default $1 \1/p"
}

# Whether a tool (the name without its triple) has defaults or reports its triple.
driven() {
  case $1 in
    gcc | gcc-[0-9]* | cpp) return 0 ;;
    as) [ -n "$DEFAULTS_AS" ] ;;
    ld | ld.*) [ -n "$DEFAULTS_LD" ] ;;
    *) return 1 ;;
  esac
}

mkdir -p "$DEST/share/crossmill"
tools=bin
if [ "$TRIPLE" != "$SHARED" ]; then
  tools=drivers
  mkdir "$DEST/drivers"
  for path in "$DEST"/bin/"$SHARED"-*; do
    tool=${path##*/"$SHARED"-}
    if driven "$tool"; then
      mv "$path" "$DEST/drivers/$SHARED-$tool"
      link "$DRIVER" "$DEST/bin/$TRIPLE-$tool"
    else
      mv "$path" "$DEST/bin/$TRIPLE-$tool"
      ln "$DEST/bin/$TRIPLE-$tool" "$DEST/drivers/$SHARED-$tool"
    fi
  done
fi
{
  echo "target $TRIPLE"
  if [ "$TARGET" != "$TRIPLE" ]; then echo "alias $TARGET"; fi
  echo "tools $tools/$SHARED-"
  if [ "$TRIPLE" != "$SHARED" ]; then
    defaults gcc "$DEFAULTS_GCC"
    defaults cpp "$DEFAULTS_GCC"
    defaults as "$DEFAULTS_AS"
    defaults ld "$DEFAULTS_LD"
  fi
} > "$DEST/share/crossmill/targets"
