#!/bin/sh
# sframe-llvm.sh: compiles the corpus of the check sframe with clang and compares LLVM's stack-trace data with DWARF.
#
# Environment: TRIPLE (of the target), FILES (the corpus), CROSSMILL, DEST. The result goes to $DEST/verdict.
set -eu

log=$DEST/sframe-llvm.log
: > "$log"

EVIDENCE=sframe-llvm.log
. "${0%/*}/../check/verdict.sh"

version=$(clang --version | sed -n 's/^.*clang version \([0-9.]*\).*$/\1/p' | head -n 1)
echo "clang $version" >> "$log"

# compile NAME SOURCE OPTION…
compile() {
  name=$1 source=$2
  shift 2
  echo "--- $name: $*" >> "$log"
  clang --target="$TRIPLE" -g -ffreestanding -fPIC -fno-strict-aliasing -fasynchronous-unwind-tables \
    -Wno-unknown-attributes "$@" -c "$FILES/$source" -o "$name.o" >> "$log" 2>&1
}

# The option alone, then with the permission that LLVM 22 demands.
permission=
experimental=0
if ! compile probe corpus.c -O2 -Wa,--gsframe; then
  permission=-Wa,--allow-experimental-sframe
  experimental=1
  compile probe corpus.c -O2 -Wa,--gsframe $permission ||
    finish unsupported "clang $version: $(sed -n 's/^clang: error: //p' "$log" | tail -n 1)"
fi

rm -rf corpus
mkdir corpus
for level in 0 1 2 s; do
  for part in corpus aligned; do
    for frame in "" no-; do
      compile "corpus/$part-O$level-${frame}omit" "$part.c" "-O$level" "-f${frame}omit-frame-pointer" -Wa,--gsframe $permission ||
        finish fail "$part.c does not compile (-O$level): $(cause "$log")"
    done
  done
done

# Rules for the return address: its function `outermost` has none.
compile asm asm.c -O2 -Wa,--gsframe $permission || finish fail "asm.c does not compile: $(cause "$log")"

# Exit code 1 is a finding, which the result reports; others are failures of the command.
check() { # check NAME PATH
  status=0
  "$CROSSMILL" sframe check "$2" --json --verdict "$1.verdict" > "$DEST/$1.json" || status=$?
  if [ "$status" -gt 1 ]; then exit "$status"; fi
}
check corpus corpus
check asm asm.o
ignored=$(sed -n 's/^figure mismatched_rows //p' asm.verdict)

"$CROSSMILL" recipe result "$DEST/verdict" --from corpus.verdict \
  --summary "clang $version: $(sed -n 's/^summary //p' corpus.verdict)" \
  --figure "needs_allow_experimental=$experimental" --figure "return_address_rules_ignored=$ignored" \
  --evidence corpus.json --evidence asm.json --evidence sframe-llvm.log
cat "$DEST/verdict"
