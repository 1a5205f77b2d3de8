# nolibc.sh: programs for a target are compiled against the nolibc of its own
# kernel. Read with `.`, after verdict.sh; it ends the script where there is none.
# Machines that the kernel's nolibc does not know may be known to nolibc-arch.h, which
# lies beside this file.
#
# Environment: CROSS, DEST, FLAGS (GCC's options for this target), USER_FLAGS (further
# ones for programs), LINUX (a result of the linux recipe), NAME (the target's),
# SO_FAR (what was proven before, for the verdict; may be missing)

nolibc_arch=

compile() {
  "${CROSS}gcc" $FLAGS $USER_FLAGS -I "$LINUX/nolibc" -I "$LINUX/headers/include" $nolibc_arch "$@"
}

nolibc_knows() {
  echo '#include "nolibc.h"' | compile -E -x c - > nolibc.i 2> nolibc.log
}

for file in "$LINUX/nolibc/nolibc.h" "$LINUX/headers/include/linux/types.h"; do
  if [ ! -f "$file" ]; then
    finish unsupported "${SO_FAR:-}this kernel has no nolibc to run programs with (${file#"$LINUX/"} is missing in its result)"
  fi
done
if ! nolibc_knows && grep -q 'Unsupported Architecture' nolibc.log && [ -f "${0%/*}/../check/nolibc-arch.h" ]; then
  cp "${0%/*}/../check/nolibc-arch.h" "${0%/*}/../check/alpha-divide.h" .
  nolibc_arch="-include nolibc-arch.h"
fi
if ! nolibc_knows; then
  if grep 'Unsupported Architecture' nolibc.log > unknown; then
    finish unsupported "${SO_FAR:-}nolibc of this kernel does not know $NAME: $(sed -n 's/.*#error/#error/p' unknown | head -n 1)"
  fi
  cp nolibc.log "$DEST/build.log"
  finish fail "nolibc does not compile: $(cause nolibc.log)"
fi
