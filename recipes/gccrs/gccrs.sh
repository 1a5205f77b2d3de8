#!/bin/sh
# gccrs.sh: the new Rust compiler compiles for the target, what it makes links
# with C and runs, and it takes its own metadata. The result goes to $DEST/verdict.
#
# features/*.rs are crates without `core`, one for each thing that Rust has;
# their first line declares the result of their function: `// NAME(ARGUMENT) = VALUE`.
# One that gccrs reports as not supported yet is counted and listed with its message,
# one that breaks it down fails the check. So does a wrong value, unless the second
# line declares it for this version: `// fault VERSION: VALUE`; then the right value fails.
#
# Environment: CROSS, CROSSMILL, FILES, DEST, FLAGS (GCC's options for this target), USER_FLAGS
# (further options for programs), LINUX (a result of the linux recipe), NAME (of the
# target), MACHINE (in readelf's words), QEMU_USER (qemu's name of the machine),
# LIMIT (seconds that a compiler may take)
set -eu

EVIDENCE="features.txt metadata.txt output.txt build.log"
. "${0%/*}/../check/verdict.sh"

fault_of() { sed -n -e '2s/^\/\/ fault \([0-9.]*\): \([-0-9]*\)$/\1 \2/p' "$1"; }

case_of() { sed -n -e '1s/^\/\/ \([a-z_]*\)(\([0-9]*\)) = \([-0-9]*\)$/\1 \2 \3/p' "$1"; }

experimental=-frust-incomplete-and-experimental-compiler-do-not-use
rust=${CROSS}gccrs
if ! command -v "$rust" > /dev/null; then finish fail "the toolchain has no $rust, although Rust is among its languages"; fi
crab1=$("$rust" -print-prog-name=crab1)
if [ ! -x "$crab1" ]; then finish fail "$rust finds no crab1, the compiler proper"; fi
if command -v "$CROSS$rust" > /dev/null; then finish fail "$rust is there under the name $CROSS$rust as well"; fi

# 1. Each feature compiles, is said to be missing, or breaks the compiler.
: > "$DEST/features.txt"
: > cases.h
: > expected.txt
: > right.txt
able= unable=0 broken= faults=
version=$("$rust" -dumpfullversion)
for source in "$FILES"/features/*.rs; do
  feature=$(basename "$source" .rs)
  state=able
  for level in 0 2; do
    if timeout -k 5 "$LIMIT" "$rust" $FLAGS $USER_FLAGS -O$level $experimental -c "$source" -o "$feature-O$level.o" > said.log 2>&1 < /dev/null; then ended=0; else ended=$?; fi
    if [ "$ended" -ge 124 ] || grep -q -e 'internal compiler error' -e 'signal terminated' said.log; then
      if [ "$ended" -eq 124 ]; then echo "$rust did not end within $LIMIT s" > said.log; fi
      state="broken -O$level: $(cause said.log)"
      cp said.log "$DEST/build.log"
      break
    elif [ "$ended" -ne 0 ]; then
      state="unable $(cause said.log)"
      break
    fi
    if ! kind=$("$CROSSMILL" recipe elf "$feature-O$level.o" --machine "$MACHINE"); then finish fail "$kind"; fi
  done
  # The place is this machine's, what was said is not.
  state=$(printf '%s' "$state" | sed -e "s|$FILES/features/||")
  echo "$feature $state" >> "$DEST/features.txt"
  case $state in
    able)
      able="$able $feature"
      case_of "$source" > case.txt
      read -r function argument value < case.txt
      echo "CASE($function, $argument)" >> cases.h
      fault_of "$source" > fault.txt
      if read -r since wrong < fault.txt; then
        case $version. in
          "$since".*)
            faults="$faults $feature"
            echo "$function $value" >> right.txt
            value=$wrong
            ;;
        esac
      fi
      echo "$function $value" >> expected.txt
      ;;
    broken*) broken="$broken $feature" ;;
    unable*) unable=$((unable + 1)) ;;
  esac
done
if [ -n "$broken" ]; then
  first=${broken# }
  first=${first%% *}
  finish fail "gccrs breaks down on$broken: $(sed -n "s/^$first broken //p" "$DEST/features.txt")"
fi
case " $able " in
  *" function "*) ;;
  *) finish unsupported "gccrs compiles no function: $(sed -n 's/^function unable //p' "$DEST/features.txt")" ;;
esac

# 2. It takes its own metadata; another gccrs of this machine may try it too.
others=
for other in gccrs gccrs-17 gccrs-16 gccrs-15 gccrs-14; do
  path=$(command -v "$other" || true)
  if [ -n "$path" ]; then others="$others $other=$path"; fi
done
sh -eu "$FILES/metadata.sh" metadata "own=$rust $FLAGS $USER_FLAGS" $others > "$DEST/metadata.txt"
if grep '^own own [a-z_]* crash ' "$DEST/metadata.txt" > crash; then
  finish fail "gccrs breaks down on its own metadata: $(sed -n '1s/^own own \([a-z_]*\) crash /\1: /p' crash)"
fi
if grep '^own own [a-z_]* none ' "$DEST/metadata.txt" > none; then finish fail "gccrs writes no metadata: $(sed -n '1s/^own own [a-z_]* none //p' none)"; fi
linked=$(sed -n 's/^own own \([a-z_]*\) linked$/\1/p' "$DEST/metadata.txt")
crates=$(grep -c '^own own ' "$DEST/metadata.txt")
imported= objects=
for crate in $linked; do
  imported="$imported $crate"
  objects="$objects metadata/own/of-own/import_$crate.o metadata/own/of-own/export_$crate.o"
  case_of "$FILES/crates/$crate.rs" > case.txt
  read -r function argument value < case.txt
  echo "CASE($function, $argument)" >> cases.h
  echo "$function $value" >> expected.txt
done

# 3. It links with C and runs.
SO_FAR="it compiles, but "
. "${0%/*}/../check/nolibc.sh"
for level in 0 2; do
  rusts=
  for feature in $able; do rusts="$rusts $feature-O$level.o"; done
  if ! { compile -I . -O$level -c "$FILES/main.c" -o "main-O$level.o" &&
    "${CROSS}gcc" $FLAGS $USER_FLAGS -static -nostdlib "main-O$level.o" $rusts $objects -lgcc -o "program-O$level"; } > "$DEST/build.log" 2>&1; then
    finish fail "-O$level: it does not link with C: $(cause "$DEST/build.log")"
  fi
done
if [ -z "$QEMU_USER" ]; then finish unsupported "it compiles and links with C, but qemu-user has no machine for $NAME"; fi
emulator=
for program in "qemu-$QEMU_USER-static" "qemu-$QEMU_USER"; do
  if command -v "$program" > /dev/null; then emulator=$program; break; fi
done
if [ -z "$emulator" ]; then finish skipped "qemu-$QEMU_USER is not installed"; fi
for level in 0 2; do
  if timeout -k 5 "$LIMIT" "$emulator" "./program-O$level" > "$DEST/output.txt" 2> stderr.txt < /dev/null; then ended=0; else ended=$?; fi
  cat stderr.txt >> "$DEST/output.txt"
  if grep -F -x -f right.txt "$DEST/output.txt" > mended; then
    finish fail "-O$level: \`$(head -n 1 mended)\` is right, although a fault of gccrs $version is declared: remove it if it is mended"
  fi
  if ! diff expected.txt "$DEST/output.txt" > differs && [ "$ended" -eq 42 ]; then
    finish fail "-O$level: \`$(sed -n 's/^> //p' differs | head -n 1)\` printed, \`$(sed -n 's/^< //p' differs | head -n 1)\` expected"
  fi
  case $ended in
    42) ;;
    124) finish fail "-O$level: the program did not end within $LIMIT s" ;;
    13[2-9]) finish fail "-O$level: killed by signal $((ended - 128)) after $(grep -c . "$DEST/output.txt") of $(grep -c . expected.txt) values" ;;
    *) finish fail "-O$level: exit code $ended instead of 42: $(tail -n 1 "$DEST/output.txt")" ;;
  esac
done

if [ -z "$linked" ]; then finish unsupported "it compiles, links with C and runs, but takes nothing of what it exported itself: $(sed -n 's/^own own //p' "$DEST/metadata.txt" | head -n 1)"; fi
set -- $able
features=$#
set -- $faults
wrong=$#
set -- $imported
{
  echo "state pass"
  echo "summary $features of $((features + unable)) features$(if [ "$wrong" -gt 0 ]; then echo " ($wrong wrong as known)"; fi), imports $# of $crates"
  echo "figure features $features"
  echo "figure features_missing $unable"
  echo "figure faults $wrong"
  echo "figure values $(grep -c . expected.txt)"
  echo "figure imports $#"
  echo "figure exports $crates"
  for other in $others; do
    name=${other%%=*}
    echo "figure imports.$name $(grep -c "^$name own [a-z_]* linked" "$DEST/metadata.txt" || true)"
    echo "figure imported_by.$name $(grep -c "^own $name [a-z_]* linked" "$DEST/metadata.txt" || true)"
  done
  for file in features.txt metadata.txt output.txt; do echo "evidence $file"; done
} > "$DEST/verdict"
echo "ok: $features features, $# imports under $emulator"
