#!/bin/sh
# run.sh: a program of the new toolchain runs. The result goes to $DEST/verdict,
# the program's output to $DEST/output.txt.
#
# Environment: CROSS, CROSSMILL, FILES, DEST, FLAGS (GCC's options for this target), USER_FLAGS
# (further options for programs), LINUX (a result of the linux recipe), NAME (of the
# target), MACHINE (in readelf's words), QEMU_USER (qemu's name of the machine), LEVELS (of
# optimisation)
set -eu

EVIDENCE="build.log output.txt"
. "${0%/*}/../check/verdict.sh"
if [ -z "$QEMU_USER" ]; then finish unsupported "qemu-user has no machine for $NAME"; fi
. "${0%/*}/../check/nolibc.sh"
emulator=
for program in "qemu-$QEMU_USER-static" "qemu-$QEMU_USER"; do
  if command -v "$program" > /dev/null; then emulator=$program; break; fi
done
if [ -z "$emulator" ]; then finish skipped "qemu-$QEMU_USER is not installed"; fi

for level in $LEVELS; do
  if ! { compile -O$level -Wall -c "$FILES/run.c" -o "run-O$level.o" &&
    "${CROSS}gcc" $FLAGS $USER_FLAGS -static -nostdlib "run-O$level.o" -lgcc -o "run-O$level"; } > "$DEST/build.log" 2>&1; then
    finish fail "-O$level: $(cause "$DEST/build.log")"
  fi
  if ! kind=$("$CROSSMILL" recipe elf "run-O$level" --machine "$MACHINE"); then finish fail "$kind"; fi
  for code in 42 0; do
    if timeout -k 5 60 "$emulator" "./run-O$level" "$code" second > "$DEST/output.txt" 2> stderr.txt < /dev/null; then ended=0; else ended=$?; fi
    cat stderr.txt >> "$DEST/output.txt"
    case $ended in
      "$code") ;;
      124) finish fail "-O$level: the program did not end within 60 s" ;;
      132) finish fail "-O$level: illegal instruction: compiled for a machine that $emulator is not (-march, -mcpu?)" ;;
      13[4-9]) finish fail "-O$level: killed by signal $((ended - 128)): $(tail -n 1 "$DEST/output.txt")" ;;
      126|127) finish fail "-O$level: $emulator did not run it: $(tail -n 1 "$DEST/output.txt")" ;;
      *)
        if grep -i 'invalid elf\|exec format' stderr.txt > wrong; then
          finish fail "-O$level: $emulator does not take it: $(head -n 1 wrong)"
        fi
        finish fail "-O$level: exit code $ended instead of $code"
        ;;
    esac
    if ! diff "$FILES/expected.txt" "$DEST/output.txt" > differs; then
      finish fail "-O$level: \`$(sed -n 's/^> //p' differs | head -n 1)\` printed, \`$(sed -n 's/^< //p' differs | head -n 1)\` expected"
    fi
  done
done
# nolibc is headers only, so what is not in the object is libgcc's.
helpers=$("${CROSS}nm" -u "run-O$level.o" | grep -c ' __' || true)
lines=$(wc -l < "$FILES/expected.txt")
echo "ok: $lines lines as expected at each of -O $LEVELS under $emulator"
{
  echo "state pass"
  echo "summary $lines values"
  echo "figure values $lines"
  echo "figure libgcc_helpers $helpers"
  echo "evidence output.txt"
} > "$DEST/verdict"
