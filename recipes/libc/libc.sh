#!/bin/sh
# libc.sh: each header of the C library compiles alone; a program and a shared library that use it are
# linked statically and dynamically and run under qemu-user with the target's own dynamic linker; no
# file of the sysroot names the machine that built it. The result goes to $DEST/verdict.
#
# Environment: CROSS (prefix of the tools), CROSSMILL, PREFIX (the sysroot), HEADERS (the library's own, without
# the kernel's), FILES, DEST, FLAGS (GCC's options for this target), NAME (of the target), MACHINE (in readelf's
# words), QEMU_USER (qemu's name of the machine), ROOTS (directories of the build)
set -eu

EVIDENCE="build.log output.txt"
. "${0%/*}/../check/verdict.sh"
: > "$DEST/build.log"
cc() { "${CROSS}gcc" $FLAGS -O2 -Wall "$@" >> "$DEST/build.log" 2>&1; }

# 1. Headers.
(cd "$HEADERS" && find . -name '*.h' ! -path './bits/*' | sed 's,^\./,,' | sort) > headers
if [ ! -s headers ]; then finish fail "the library has no headers in $HEADERS"; fi
headers=0
while read -r header; do
  echo "#include <$header>" > header.c
  if ! cc -Wno-cpp -fsyntax-only header.c; then finish fail "<$header> does not compile alone: $(cause "$DEST/build.log")"; fi
  headers=$((headers + 1))
done < headers

# 2. Paths of the build.
for root in $ROOTS; do
  found=$(grep -r -l -F -e "$root" "$PREFIX/include" "$PREFIX/lib" | sed -n 1p) || true
  if [ -n "$found" ]; then finish fail "${found#"$PREFIX/"} names the directory of a build, $root"; fi
done

# 3. Programs.
if ! cc -fPIC -shared -Wl,-soname,libpart.so "$FILES/part.c" -o libpart.so; then finish fail "a shared library is not linked: $(cause "$DEST/build.log")"; fi
if ! cc -c "$FILES/part.c" -o part.o; then finish fail "part.c does not compile: $(cause "$DEST/build.log")"; fi
if ! cc -static "$FILES/program.c" part.o -lm -pthread -o static; then finish fail "static: not linked: $(cause "$DEST/build.log")"; fi
if ! cc "$FILES/program.c" -L. -lpart -lm -pthread -Wl,-rpath,. -o dynamic; then finish fail "dynamic: not linked: $(cause "$DEST/build.log")"; fi
if ! cc -static-pie -fPIE "$FILES/program.c" part.o -lm -pthread -o static-pie; then echo "no static-pie: $(cause "$DEST/build.log")"; rm -f static-pie; fi
loader=$("${CROSS}readelf" -l dynamic | sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
case $loader in
  /lib/*) if [ ! -e "$PREFIX$loader" ]; then finish fail "the dynamic linker $loader is not in the sysroot"; fi ;;
  *) finish fail "the dynamic linker of a program is \`${loader:-none}\`, not one in /lib" ;;
esac
for program in static dynamic; do
  if ! kind=$("$CROSSMILL" recipe elf "$program" --machine "$MACHINE"); then finish fail "$kind"; fi
done

if [ -z "$QEMU_USER" ]; then finish unsupported "qemu-user has no machine for $NAME; programs are linked, $headers headers compile"; fi
emulator=
for program in "qemu-$QEMU_USER-static" "qemu-$QEMU_USER"; do
  if command -v "$program" > /dev/null; then emulator=$program; break; fi
done
if [ -z "$emulator" ]; then finish skipped "qemu-$QEMU_USER is not installed"; fi
ran=0
for program in static dynamic static-pie; do
  if [ ! -f "$program" ]; then continue; fi
  if timeout -k 5 60 "$emulator" -L "$PREFIX" "./$program" 42 > "$DEST/output.txt" 2> stderr.txt < /dev/null; then ended=0; else ended=$?; fi
  cat stderr.txt >> "$DEST/output.txt"
  if [ "$ended" = 124 ]; then finish fail "$program: the program did not end within 60 s"; fi
  if ! diff "$FILES/expected.txt" "$DEST/output.txt" > differs; then
    finish fail "$program: \`$(sed -n 's/^> //p' differs | head -n 1)\` printed, \`$(sed -n 's/^< //p' differs | head -n 1)\` expected"
  fi
  if [ "$ended" != 42 ]; then finish fail "$program: exit code $ended instead of 42"; fi
  ran=$((ran + 1))
done
lines=$(wc -l < "$FILES/expected.txt")
echo "ok: $headers headers, $ran programs, $lines lines each"
"$CROSSMILL" recipe result "$DEST/verdict" --state pass --summary "$headers headers, $ran programs" \
  --figure "headers=$headers" --figure "programs=$ran" --figure "values=$lines" --evidence output.txt
