#!/bin/sh
# warnings.sh NOW BEFORE: counts the warnings of a kernel's build (the file
# warnings.txt of its result) and names those that the build before it did not
# have (BEFORE may be missing). The result goes to $DEST/verdict.
set -eu
now=$1
before=$2

if [ ! -f "$now" ]; then
  echo "state unsupported
why this kernel was built without keeping its warnings" > "$DEST/verdict"
  exit 0
fi
# What the added section .sframe provokes in objtools that do not know it (a source
# that crossmill does not patch) is counted apart: nobody could see another among it.
provoked='objtool: \.sframe+0x[0-9a-f]*: data relocation to !ENDBR'
sframe=$(grep -c -e "$provoked" "$now" || true)
{
  grep -v -e "$provoked" "$now" || true
  if [ "$sframe" -gt 0 ]; then
    echo "# provoked by .sframe and not counted:"
    echo "# $sframe times objtool took a relocation of .sframe for a branch target"
  fi
} > "$DEST/warnings.txt"
now=$DEST/warnings.txt
# A warning is the same one wherever the line has moved to; two alike on two lines are one.
places='s/:[0-9][0-9]*:[0-9][0-9]*: /: /; s/:[0-9][0-9]*: /: /'
grep -v '^#' "$now" | sed "$places" | sort -u > now || true
count=$(grep -v -c '^#' "$now" || true)
if [ "$count" -eq 1 ]; then counted="1 warning"; else counted="$count warnings"; fi
{
  echo "state pass"
  if [ -f "$before" ]; then
    grep -v '^#' "$before" | sed "$places" | sort -u > before || true
    comm -13 before now > "$DEST/new.txt"
    comm -23 before now > "$DEST/gone.txt"
    new=$(wc -l < "$DEST/new.txt")
    echo "summary $counted, $new new, $(wc -l < "$DEST/gone.txt") gone"
    echo "figure new $new"
  else
    echo "summary $counted"
  fi
  echo "figure warnings $count"
  if [ "$sframe" -gt 0 ]; then echo "figure provoked_by_sframe $sframe"; fi
  if [ -s "$DEST/new.txt" ]; then echo "evidence new.txt"; fi
  echo "evidence warnings.txt"
} > "$DEST/verdict"
cat "$DEST/verdict"
if [ -s "$DEST/new.txt" ]; then echo "new since the build before:"; head -n 50 "$DEST/new.txt"; fi
