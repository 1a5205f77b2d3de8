#!/bin/sh
# module.sh: builds a module with a copy of the module kit and examines its .modinfo;
# then with other compilers, which must be refused before they compile anything.
# The result goes to $DEST/verdict, the module beside it.
#
# Environment: CROSS (the toolchain's prefix), CROSSMILL, OTHER (the prefix of the distribution's
# cross compiler, which may be missing), LINUX, KIT (results), FILES, DEST, MACHINE
set -eu

log=$DEST/module.log
: > "$log"

EVIDENCE=module.log
. "${0%/*}/../check/verdict.sh"
manifest() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}\$/\1/p" kit/module-kit.json; }
on() { grep -q "^$1=y" "$LINUX/config"; }

# Another place than the one it was made in, as after unpacking an archive.
rm -rf kit m other
cp -R "$KIT" kit
mkdir m other
# build WORD…: afresh; the output of `make -C kit M=m WORD…` goes to said.log and the log.
build() {
  rm -rf m/* m/.[!.]*
  cp "$FILES/Kbuild" "$FILES/crossmill_hello.c" m
  echo "--- make -C kit M=m $*" >> "$log"
  if make -C kit M="$PWD/m" "$@" > said.log 2>&1; then ended=0; else ended=$?; fi
  cat said.log >> "$log"
  return "$ended"
}

# 1. The toolchain of the kit. ARCH and CROSS_COMPILE are the kit's own.
expected=$(manifest cc1_sha256)
own=$("${CROSS}gcc" -print-prog-name=cc1)
sum=$(sha256sum < "$own")
if [ "${sum%% *}" != "$expected" ]; then
  finish fail "the kit declares cc1 $expected, the toolchain's is ${sum%% *}"
fi
if ! build; then
  finish fail "the module was not built: $(grep -m 1 -i error said.log || tail -n 1 said.log)"
fi
if grep -i warning said.log > warnings; then finish fail "the module's build warns: $(sed -n 1p warnings)"; fi
if [ ! -f m/crossmill_hello.ko ]; then finish fail "the build left no crossmill_hello.ko"; fi
if ! kind=$("$CROSSMILL" recipe elf m/crossmill_hello.ko --machine "$MACHINE"); then finish fail "$kind"; fi

# 2. Its .modinfo section, without modinfo.
"${CROSS}objcopy" -O binary --only-section=.modinfo m/crossmill_hello.ko modinfo
tr '\000' '\n' < modinfo > "$DEST/modinfo.txt"
vermagic=$(sed -n 's/^vermagic=//p' "$DEST/modinfo.txt")
release=$(manifest release)
flags=
if on CONFIG_SMP; then flags="$flags SMP"; fi
if on CONFIG_PREEMPT_RT; then flags="$flags preempt_rt"; elif on CONFIG_PREEMPTION; then flags="$flags preempt"; fi
if on CONFIG_MODULE_UNLOAD; then flags="$flags mod_unload"; fi
if on CONFIG_MODVERSIONS; then flags="$flags modversions"; fi
case "$vermagic " in
  "$release$flags "*) ;;
  *) finish fail "vermagic is \`$vermagic\`, the configuration wants \`$release$flags …\`" ;;
esac
# What the kernel compares it with when it loads a module. Other data may stand right before the string.
tr '\000' '\n' < "$LINUX/vmlinux" > strings
if ! grep -a -q -e "$(printf '%s' "$vermagic" | sed 's/[].[*^$\]/\\&/g')\$" strings; then
  finish fail "vermagic is \`$vermagic\`, which the kernel does not have: $(grep -a -o -e "$release [A-Za-z_].*" strings | grep -v '(' | sed -n 1p)"
fi
if on CONFIG_MODVERSIONS && ! "${CROSS}objdump" -h m/crossmill_hello.ko | grep -q ' __version'; then
  finish fail "the module has no versions of the symbols that it uses, and the kernel has CONFIG_MODVERSIONS: it would not load it"
fi
for symbol in kasprintf kfree; do
  if ! "${CROSS}nm" -u m/crossmill_hello.ko | grep -q " $symbol\$"; then finish fail "the module does not use the kernel's $symbol"; fi
done
cp m/crossmill_hello.ko "$DEST"

# 3. Other compilers. refused WHAT SHA256 WORD…
refusals=0
refused() {
  what=$1 found=$2
  shift 2
  if build "$@"; then finish fail "$what is not refused"; fi
  for fingerprint in "$expected" "$found"; do
    if ! grep -F -q -e "$fingerprint" said.log; then
      finish fail "$what ends without naming cc1 $fingerprint: $(grep -m 1 -i error said.log || tail -n 1 said.log)"
    fi
  done
  if [ -n "$(find m -name '*.o')" ]; then finish fail "$what is refused after it has compiled"; fi
  refusals=$((refusals + 1))
}
# The same one but for a byte, so that this needs no second compiler.
cp "$own" other/cc1
printf x >> other/cc1
sum=$(sha256sum < other/cc1)
refused "a compiler with another cc1" "${sum%% *}" "CC=${CROSS}gcc -B$PWD/other/"
if ! build "CC=${CROSS}gcc -B$PWD/other/" MODULE_KIT_COMPILER=any; then
  finish fail "MODULE_KIT_COMPILER=any does not go on: $(grep -m 1 -i error said.log || tail -n 1 said.log)"
fi
if ! grep -q 'warning: module-kit' said.log; then finish fail "MODULE_KIT_COMPILER=any prints no warning"; fi
system=
if command -v "${OTHER}gcc" > path; then
  cc1=$("${OTHER}gcc" -print-prog-name=cc1)
  sum=$(sha256sum < "$cc1")
  refused "the system's $(cat path)" "${sum%% *}" "CROSS_COMPILE=$OTHER"
  system=" and $(cat path)"
fi

echo "ok: $vermagic; refused: another cc1$system"
{
  echo "state pass"
  echo "summary built, $refusals refused"
  echo "figure refused $refusals"
  echo "evidence module.log"
  echo "evidence modinfo.txt"
} > "$DEST/verdict"
