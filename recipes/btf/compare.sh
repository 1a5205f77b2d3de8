#!/bin/sh
# compare.sh: compares the share of inline sites with every parameter in
# $DEST/verdict with the last result of the same configuration and versions. A
# kernel's share depends on its configuration, so no other kernel's is a bound.
#
# Environment: DEST, PREVIOUS (the last result; may not exist), SAME (configuration
# and versions), MIN_COMPLETE (a bound that replaces the comparison; may be empty)
set -eu

# Percentage points that the share may fall: a rebuild of one kernel gives the same
# share, so this allows for changes of crossmill's own extraction.
SPREAD=1

echo "$SAME" > "$DEST/same.txt"
if ! grep -q '^state pass' "$DEST/verdict"; then exit 0; fi
figure() { sed -n "s/^figure $2 //p" "$1/verdict"; }
replace() { # replace WORD LINE
  sed "s|^$1 .*|$2|" "$DEST/verdict" > verdict.new
  mv verdict.new "$DEST/verdict"
}
percent() { awk -v share="$1" 'BEGIN { printf "%.1f %%", share * 100 }'; }

# Absolute: nothing was compared where there is nothing.
if [ "$(figure "$DEST" sites)" -eq 0 ]; then
  replace state "state fail"
  echo "why the kernel's debug information has no inline sites" >> "$DEST/verdict"
  exit 0
fi
if [ -n "$MIN_COMPLETE" ]; then exit 0; fi
summary=$(sed -n 's/^summary //p' "$DEST/verdict")
before=
if [ -f "$PREVIOUS/same.txt" ] && [ "$(cat "$PREVIOUS/same.txt")" = "$SAME" ]; then
  before=$(figure "$PREVIOUS" share_all)
fi
if [ -z "$before" ]; then
  replace summary "summary $summary; no earlier result to compare with"
  exit 0
fi
now=$(figure "$DEST" share_all)
if awk -v now="$now" -v before="$before" -v spread="$SPREAD" 'BEGIN { exit !(now * 100 < before * 100 - spread) }'; then
  replace state "state fail"
  echo "why $(percent "$now") of the inline sites have every parameter, $(percent "$before") in the last result of the same kernel ($SAME)" >> "$DEST/verdict"
fi
