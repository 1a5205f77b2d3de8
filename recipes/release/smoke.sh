#!/bin/sh
# smoke.sh: the published toolchain under its own name, without any option that selects the target.
#
# Environment: CROSSMILL, PREFIX, TRIPLE, FILES, DEST, LTO (true or false), WITHOUT (parts of the check smoke that do not apply),
# ELF_CLASS, ELF_DATA, ELF_MACHINE (in readelf's words; an empty one is not compared).
set -eu
EVIDENCE=log
. "$FILES/check/verdict.sh"
PATH=$PREFIX/bin:$PATH
log=$DEST/log
: > "$log"

fail() { finish fail "$1"; }
lacks() { case " $WITHOUT " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
# looks FILE TOOL: compares the file that the tool wrote with the target.
looks() {
  kind=$("$CROSSMILL" recipe elf "$1" --class "$ELF_CLASS" --data "$ELF_DATA" --machine "$ELF_MACHINE") || fail "$2 writes another kind of file: $kind"
}

machine=$("$TRIPLE-gcc" -dumpmachine)
[ "$machine" = "$TRIPLE" ] || fail "-dumpmachine prints $machine"

echo 'int f(int x) { return x + 1; }' > default.c
"$TRIPLE-gcc" -c default.c -o default.o >> "$log" 2>&1 || fail "a default compile fails: $(cause "$log")"
looks default.o gcc
printf '.data\n.long 1\n' > default.s
"$TRIPLE-as" default.s -o as.o >> "$log" 2>&1 || fail "as fails: $(cause "$log")"
looks as.o as
"$TRIPLE-ld" -r as.o -o ld.o >> "$log" 2>&1 || fail "ld fails: $(cause "$log")"
looks ld.o ld
looks default.o gcc
said="$machine, ${kind%%, flags*}"

if ! lacks link; then
  "$TRIPLE-gcc" -O2 -ffreestanding -nostdlib -static "$FILES/smoke/smoke.c" -lgcc -o program >> "$log" 2>&1 || fail "a program does not link with libgcc: $(cause "$log")"
  looks program "a link"
fi
if [ "$LTO" = true ] && ! lacks lto; then
  "$TRIPLE-gcc" -flto -O2 -ffreestanding -nostdlib -static "$FILES/smoke/lto-a.c" "$FILES/smoke/lto-b.c" -o lto >> "$log" 2>&1 || fail "a program does not link with -flto: $(cause "$log")"
  looks lto "a link with -flto"
  said="$said, LTO"
fi

headers=$("$TRIPLE-gcc" -print-file-name=plugin)/include
g++ -shared -fPIC -fno-rtti -O1 -I"$headers" "$FILES/release/plugin.cc" -o plugin.so >> "$log" 2>&1 || fail "a plugin does not compile: $(cause "$log")"
"$TRIPLE-gcc" -fplugin=./plugin.so -c default.c -o plugged.o > plugin.said 2>&1 || { cat plugin.said >> "$log"; fail "a plugin does not load: $(cause plugin.said)"; }
grep -q '^plugin: loaded by ' plugin.said || fail "the plugin was not run"
for header in gmp.h mpfr.h mpc.h; do
  [ -e "$headers/$header" ] || fail "the plugin headers lack $header"
done
{
  echo "state pass"
  echo "summary $said, plugin"
  echo "evidence log"
} > "$DEST/verdict"
