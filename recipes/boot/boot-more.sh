# boot-more.sh: functions of checks whose init does more than boot.sh looks at, read with `.`. It boots the
# kernel with the initramfs of prepare.sh, and ends the script unless all that boot.sh checks is as it should be.
#
# Environment: that of boot.sh, FILES (of the boot check), and EVIDENCE (verdict.sh)
if [ -f "$DEST/verdict" ]; then exit 0; fi
. ./facts.sh
INITRD=initrd
export KERNEL COMPILER LINKER BTF INITRD DTB
sh -eu "$FILES/boot.sh"
if ! grep -q '^state pass' "$DEST/verdict"; then exit 0; fi
. "${0%/*}/../check/verdict.sh"

# reported TOPIC: what init reported of it first.
reported() { sed -n "s/^crossmill: $1//p" "$DEST/console.log" | sed -n 1p; }
