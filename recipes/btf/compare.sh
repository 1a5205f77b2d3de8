#!/bin/sh
# compare.sh: compares the share of inline sites with every parameter in
# $DEST/verdict with the last result of the same configuration and versions. A
# kernel's share depends on its configuration, so no other kernel's is a bound.
#
# Environment: DEST, CROSSMILL, PREVIOUS (the last result; may not exist), SAME (configuration
# and versions), MIN_COMPLETE (a bound that replaces the comparison; may be empty)
set -eu

# Percentage points that the share may fall: a rebuild of one kernel gives the same
# share, so this allows for changes of crossmill's own extraction.
SPREAD=1

echo "$SAME" > "$DEST/same.txt"
if ! grep -q '^state pass' "$DEST/verdict"; then exit 0; fi
# Absolute: nothing was compared where there is nothing.
if grep -q -x 'figure sites 0' "$DEST/verdict"; then
  "$CROSSMILL" recipe result "$DEST/verdict" --state fail --why "the kernel's debug information has no inline sites"
  exit 0
fi
if [ -n "$MIN_COMPLETE" ]; then exit 0; fi
previous=none
if [ -f "$PREVIOUS/same.txt" ] && [ "$(cat "$PREVIOUS/same.txt")" = "$SAME" ]; then previous=$PREVIOUS/verdict; fi
"$CROSSMILL" recipe result "$DEST/verdict" --previous "$previous" --compare "share_all=$SPREAD" \
  --what "of the inline sites have every parameter" --of "the same kernel ($SAME)"
