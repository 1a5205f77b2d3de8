#!/bin/sh
# smoke.sh: the new toolchain compiles, assembles and links, wherever it stands.
#
#   smoke.sh         all parts below; the result goes to $DEST/verdict
#   smoke.sh PART    one of them, in the current directory: prints its findings,
#                    or fails with a line `error: …`
#
# Environment: CROSS (the prefix of the tools' names), CROSSMILL, PREFIX (the toolchain's
# tree), STORE, FILES (the sources), DEST, FLAGS (GCC's options for this target),
# LTO (true or false), WITHOUT (parts that do not apply), PROFILE, ELF_CLASS, ELF_DATA,
# ELF_MACHINE, ELF_FLAGS (in readelf's words; an empty one is not compared).
set -eu

die() { echo "error: $*" >&2; exit 1; }

part_link() {
  "${CROSS}gcc" $FLAGS -O2 -ffreestanding -nostdlib -static -Wall -Wextra "$FILES/smoke.c" -lgcc -o smoke
  kind=$("$CROSSMILL" recipe elf smoke --class "$ELF_CLASS" --data "$ELF_DATA" --machine "$ELF_MACHINE" --flags "$ELF_FLAGS") || die "$kind"
  "${CROSS}objdump" -d smoke | grep '<_start>:' >/dev/null || die "objdump finds no _start in the program"
  echo "$kind"
}

part_libgcc() {
  "${CROSS}gcc" $FLAGS -O2 -ffreestanding -c "$FILES/libgcc.c" -o libgcc.o
  "${CROSS}gcc" $FLAGS -O2 -ffreestanding -c "$FILES/freestanding.c" -o freestanding.o
  # Not what the linker itself defines, as MIPS's __gnu_local_gp.
  "${CROSS}nm" --defined-only "$("${CROSS}gcc" $FLAGS -print-libgcc-file-name)" | awk 'NF == 3 { print $3 }' | sort -u > libgcc.has
  helpers=$("${CROSS}nm" -u libgcc.o | awk '{ print $NF }' | sort -u | comm -12 - libgcc.has)
  [ -n "$helpers" ] || die "GCC calls no helper of libgcc, not even for 128-bit or 64-bit division"
  "${CROSS}gcc" $FLAGS -nostdlib -static libgcc.o freestanding.o -lgcc -o libgcc
  "${CROSS}nm" libgcc > libgcc.nm
  for helper in $helpers; do
    grep " [TtWi] $helper\$" libgcc.nm >/dev/null || die "$helper is not in the linked program"
  done
  echo $helpers
}

part_lto() {
  if [ "$LTO" != true ]; then echo "not built"; return; fi
  for file in a b; do "${CROSS}gcc" $FLAGS -flto -O2 -ffreestanding -c "$FILES/lto-$file.c" -o "lto-$file.o"; done
  "${CROSS}objdump" -h lto-b.o | grep 'gnu\.lto_' >/dev/null || die "-flto leaves no .gnu.lto_ section in an object"
  rm -f liblto.a
  "${CROSS}gcc-ar" rcs liblto.a lto-b.o
  "${CROSS}gcc" $FLAGS -flto -O2 -nostdlib -static lto-a.o -L. -llto -o lto
  "${CROSS}nm" lto > lto.nm
  if grep crossmill_other_file lto.nm >/dev/null; then die "a call between two files was not optimised away"; fi
  echo "a call between two files is gone"
}

part_debug() {
  "${CROSS}gcc" $FLAGS -g -O2 -ffreestanding -nostdlib -static "$FILES/smoke.c" -lgcc -o debug
  LC_ALL=C "${CROSS}readelf" --debug-dump=info,decodedline debug > debug.txt 2> debug.warnings
  if [ -s debug.warnings ]; then die "readelf complains of the debug information: $(head -n 1 debug.warnings)"; fi
  grep 'DW_AT_name.*: .*fold$' debug.txt >/dev/null || die "the debug information does not name the function"
  grep 'smoke\.c ' debug.txt >/dev/null || die "the debug information has no lines"
  echo "DWARF $(sed -n 's/^ *Version: *//p' debug.txt | head -n 1), $(grep -c 'DW_TAG_' debug.txt) entries"
}

part_tools() {
  # If GCC needs options for this target, only it knows those of as and ld.
  if [ -z "$FLAGS" ]; then
    assemble() { "${CROSS}as" "$@"; }
    relink() { "${CROSS}ld" -r "$@"; }
  else
    assemble() { "${CROSS}gcc" $FLAGS -c "$@"; }
    relink() { "${CROSS}gcc" $FLAGS -nostdlib -r "$@"; }
  fi
  assemble "$FILES/word.s" -o word.o || die "as does not assemble"
  "${CROSS}nm" word.o | grep ' D crossmill_word$' >/dev/null || die "nm does not list the symbol in .data"
  rm -f libword.a
  "${CROSS}ar" rcs libword.a word.o
  [ "$("${CROSS}ar" t libword.a)" = word.o ] || die "ar does not list its member"
  relink word.o -o relinked.o
  "${CROSS}nm" relinked.o | grep ' D crossmill_word$' >/dev/null || die "ld -r lost the symbol"
  "${CROSS}objcopy" -O binary -j .data relinked.o word.bin
  # as puts nothing after the word but, on some machines, alignment.
  bytes=$(od -A n -t x1 -N 4 word.bin | tr -d ' \n')
  case "$ELF_DATA" in
    *little*) want=78563412 ;;
    *big*) want=12345678 ;;
    *) want=$bytes ;;
  esac
  [ "$bytes" = "$want" ] || die "objcopy: the word's bytes are $bytes, $want expected"
  # The driver decides the emulation, so a program of its making is what strip is tried with.
  "${CROSS}gcc" $FLAGS -g -ffreestanding -nostdlib -static "$FILES/smoke.c" -lgcc -o unstripped
  cp unstripped stripped
  "${CROSS}strip" stripped
  if "${CROSS}nm" stripped 2>/dev/null | grep . >/dev/null; then die "strip left symbols"; fi
  [ "$(wc -c < stripped)" -lt "$(wc -c < unstripped)" ] || die "strip made the program no smaller"
  echo "as, nm, ar, ld, objcopy, strip"
}

part_moved() {
  here=$(pwd -P)
  real=$(cd "$PREFIX" && pwd -P)
  rm -rf moved
  mkdir moved
  cp -a "$real" "moved/a new place"
  bin="$here/moved/a new place/bin"
  # With a space in its path, and without the first place anywhere on PATH.
  PATH=$bin:/usr/bin:/bin "$bin/${CROSS}gcc" $FLAGS -v -O2 -ffreestanding -nostdlib -static "$FILES/libgcc.c" "$FILES/freestanding.c" -lgcc -o moved.out > moved.said 2> moved.log ||
    die "moved, it does not compile and link: $(grep -m 1 -i error moved.log || tail -n 1 moved.log)"
  if grep -F -m 1 -e "$real/" -e "$PREFIX/" moved.log > moved.back; then die "moved, it still uses its first place: $(cut -c 1-200 moved.back)"; fi
  rm -rf moved
  echo "compiles and links from another directory"
}

part_paths() {
  store=$(cd "$STORE" && pwd -P)
  # The place where everything was built, or the shape of any such place.
  grep -rlaF -e "$store/work/" -e "$store/sources/" -e "$store/stages/" "$PREFIX/" > paths.1 || true
  grep -rlaE -e '/work/[0-9a-f]{64}/(build|source|dest|deps|home|tmp)' "$PREFIX/" > paths.2 || true
  sort -u paths.1 paths.2 | sed "s|^$PREFIX/*||" > paths.txt
  count=$(wc -l < paths.txt)
  if [ "$count" -gt 0 ] && [ "$PROFILE" = release ]; then
    die "$count installed files name the build directory, the first is $(head -n 1 paths.txt)"
  fi
  echo "$count installed files name the build directory"
}

if [ $# -gt 0 ]; then
  "part_$1"
  exit
fi

: > smoke.log
failed=0
why=
for part in link libgcc lto debug tools moved paths; do
  echo "--- $part" >> smoke.log
  case " $WITHOUT " in
    *" $part "*) echo "none: $part: there is no such thing for this target" | tee -a smoke.log; : > "$part.said"; continue ;;
  esac
  # A process of its own: `set -e` does nothing inside of a condition.
  if sh -eu "$0" "$part" > "$part.said" 2> "$part.err"; then
    echo "ok: $part: $(cat "$part.said")" | tee -a smoke.log
  else
    cause=$(sed -n 's/^error: //p' "$part.err" | head -n 1)
    [ -n "$cause" ] || cause=$(grep -m 1 -i -e error -e 'not found' "$part.err" || tail -n 1 "$part.err")
    echo "error: $part: $cause" | tee -a smoke.log
    cat "$part.err" >> smoke.log
    failed=$((failed + 1))
    [ -n "$why" ] || why="$part: $cause"
  fi
done
rm -rf moved
cp smoke.log "$DEST"
if [ -s paths.txt ]; then cp paths.txt "$DEST/build-paths.txt"; fi
{
  if [ "$failed" -gt 0 ]; then
    echo "state fail"
    if [ "$failed" -gt 1 ]; then echo "why $why (and $((failed - 1)) more)"; else echo "why $why"; fi
  else
    echo "state pass"
    class=$(sed 's/,.*//' link.said)
    if [ -s libgcc.said ]; then class="${class:+$class, }$(wc -w < libgcc.said) libgcc helpers"; fi
    echo "summary ${class:-assembles}"
    echo "figure libgcc_helpers $(wc -w < libgcc.said)"
  fi
  if [ -f paths.txt ]; then echo "figure build_paths $(wc -l < paths.txt)"; fi
  echo "evidence smoke.log"
  if [ -f "$DEST/build-paths.txt" ]; then echo "evidence build-paths.txt"; fi
} > "$DEST/verdict"
