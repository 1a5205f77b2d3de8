#!/bin/sh
# sframe.sh: the new assembler's stack-trace data is right: for a corpus of
# small programs, and for all of the target's kernel.
#
# Environment: CROSS (the prefix of the tools' names), FLAGS (GCC's options for
# this target), FILES (the corpus), KERNEL (vmlinux, may be missing), CROSSMILL,
# DEST. The result goes to $DEST/verdict.
set -eu

log=$DEST/sframe.log
: > "$log"

EVIDENCE=sframe.log
. "${0%/*}/../check/verdict.sh"

# The assembler is silent about its target until there is something to describe.
echo 'int probe(int a) { return a + 1; }' > probe.c
if ! "${CROSS}gcc" $FLAGS -O2 -fasynchronous-unwind-tables -Wa,--gsframe-3 -c probe.c -o probe.o > said 2>&1; then
  cat said >> "$log"
  finish unsupported "as: $(sed -n 's/^.*\(Error: .*\)$/\1/p; s/^.*as: //p' said | head -n 1)"
fi
# Without call frame information, SFrame has nothing to describe.
if ! "${CROSS}readelf" -SW probe.o | grep ' \.sframe ' > /dev/null; then
  finish unsupported "the compiler gives as no call frame information (CFI), which .sframe is made from"
fi

# --- the corpus: NAME SOURCE OPTION…
compile() {
  name=$1 source=$2
  shift 2
  echo "--- $name: $*" >> "$log"
  if ! "${CROSS}gcc" $FLAGS -g -ffreestanding -fPIC -fno-strict-aliasing -fasynchronous-unwind-tables -Wa,--gsframe-3 \
    "$@" -c "$FILES/$source" -o "corpus/$name.o" >> "$log" 2>&1; then
    finish fail "$source does not assemble with --gsframe-3 ($*): $(tail -n 1 "$log")"
  fi
}
rm -rf corpus
mkdir corpus
for level in 0 1 2 s; do
  compile "corpus-O$level" corpus.c "-O$level"
  compile "frame-O$level" corpus.c "-O$level" -fno-omit-frame-pointer
  compile "aligned-O$level" aligned.c "-O$level"
done
compile asm asm.c -O2
if "${CROSS}gcc" $FLAGS -mbranch-protection=pac-ret -E -x c /dev/null -o /dev/null 2> /dev/null; then
  compile signed signed.c -O2 -mbranch-protection=pac-ret+leaf
  compile signed-b signed.c -O2 -mbranch-protection=pac-ret+leaf+b-key
fi
# Linked, and linked for a later link. Several of the objects define the same functions.
"${CROSS}ld" -shared -z muldefs -o corpus/linked.so corpus/*.o >> "$log" 2>&1 ||
  finish fail "the corpus does not link: $(tail -n 1 "$log")"
"${CROSS}ld" -r -o corpus/relocatable.o corpus/corpus-O2.o corpus/aligned-O2.o corpus/asm.o >> "$log" 2>&1 ||
  finish fail "the corpus does not link with -r: $(tail -n 1 "$log")"

# --- nested remembered states, apart: an assembler that keeps one slot for them is a known fault
nested=
if "${CROSS}gcc" $FLAGS -DNESTED -Wa,--gsframe-3 -c "$FILES/asm.c" -o nested.o >> "$log" 2>&1; then
  status=0
  "$CROSSMILL" sframe check nested.o >> "$log" 2>&1 || status=$?
  nested=$status
fi

# --- ld and a version other than its own
cp corpus/corpus-O2.o version-3.o
"${CROSS}objcopy" --dump-section .sframe=section version-3.o
printf '\002' | dd of=section bs=1 seek=2 conv=notrunc 2> /dev/null
"${CROSS}objcopy" --update-section .sframe=section version-3.o version-2.o
{
  status=0
  "${CROSS}ld" -shared -o mixed.so version-2.o corpus/asm.o 2>&1 || status=$?
  echo "exit status $status"
} | sed "s|[^ ]*/\([^/ ]*ld: \)|\1|" > "$DEST/mixed-link.txt"

# --- the check: exit code 1 means findings, which the result describes; others are failures of the check itself
check() { # check NAME PATH…
  name=$1
  shift
  status=0
  "$CROSSMILL" sframe check "$@" --json --verdict "$name.verdict" > "$DEST/$name.json" || status=$?
  if [ "$status" -gt 1 ]; then exit "$status"; fi
}
check corpus corpus
main=corpus
# A kernel whose debug information is split off keeps the whole file beside it.
if [ -f "$KERNEL.debug" ]; then KERNEL=$KERNEL.debug; fi
if [ -f "$KERNEL" ] && "${CROSS}readelf" -SW "$KERNEL" | grep ' \.sframe ' > /dev/null; then
  check kernel "$KERNEL"
  main=kernel
fi

# A kernel's result counts once the corpus passes; the corpus' figures go along.
set -- "$DEST/verdict" --from "$main.verdict"
if ! grep -q '^state pass' corpus.verdict; then
  set -- "$DEST/verdict" --from corpus.verdict --why "in the corpus: $(sed -n 's/^why //p' corpus.verdict)"
  if [ "$main" = kernel ]; then set -- "$@" --no-figures --figures-of =kernel.verdict; fi
fi
if [ "$main" = kernel ]; then set -- "$@" --figures-of corpus.=corpus.verdict --evidence kernel.json; fi
if [ -n "$nested" ]; then set -- "$@" --figure "nested_remember_is_wrong=$nested"; fi
"$CROSSMILL" recipe result "$@" --evidence corpus.json --evidence mixed-link.txt --evidence sframe.log
if [ "$main" = corpus ]; then echo "no kernel with a section .sframe: the corpus alone was checked"; fi
cat "$DEST/verdict"
