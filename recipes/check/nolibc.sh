# nolibc.sh: programs for a target are compiled against the nolibc of its own
# kernel. Read with `.`, after verdict.sh; it ends the script where there is none.
#
# Environment: CROSS, DEST, FLAGS (how GCC is told this target), USER_FLAGS (further
# ones for programs), LINUX (a result of the linux recipe), NAME (the target's),
# SO_FAR (what was proven before, for the verdict; may be missing)

compile() {
  "${CROSS}gcc" $FLAGS $USER_FLAGS -I "$LINUX/nolibc" -I "$LINUX/headers/include" "$@"
}

for file in "$LINUX/nolibc/nolibc.h" "$LINUX/headers/include/linux/types.h"; do
  if [ ! -f "$file" ]; then
    finish unsupported "${SO_FAR:-}this kernel has no nolibc to run programs with (${file#"$LINUX/"} is missing in its result)"
  fi
done
if ! echo '#include "nolibc.h"' | compile -E -x c - > nolibc.i 2> nolibc.log; then
  if grep 'Unsupported Architecture' nolibc.log > unknown; then
    finish unsupported "${SO_FAR:-}nolibc of this kernel does not know $NAME: $(sed -n 's/.*#error/#error/p' unknown | head -n 1)"
  fi
  cp nolibc.log "$DEST/build.log"
  finish fail "nolibc does not compile: $(cause nolibc.log)"
fi
