#!/bin/sh
# merge.sh DEST TREE…: one tree out of several. A file that two of them have is
# an error: one would silently win over the other.
set -eu
dest=$1
shift
for tree in "$@"; do
  (cd "$tree" && find . -type d) | while read -r dir; do mkdir -p "$dest/$dir"; done
  (cd "$tree" && find . ! -type d) | while read -r file; do
    if [ -e "$dest/$file" ] || [ -L "$dest/$file" ]; then echo "error: $file is in more than one of: $*" >&2; exit 1; fi
    # The store never changes a finished file, so a hard link is as good as a copy.
    cp -Pl "$tree/$file" "$dest/$file" 2>/dev/null || cp -Pp "$tree/$file" "$dest/$file"
  done
done
