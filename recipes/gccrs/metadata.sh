#!/bin/sh
# metadata.sh DIRECTORY LABEL=COMMAND…: what one gccrs takes of another's metadata.
#
# Each COMMAND (a gccrs and its options) exports every crate of $FILES/crates;
# each imports what each exported, and links the two objects. A line a crate:
#
#   EXPORTER IMPORTER CRATE STATE [what was said]
#
# linked    imported, and the linker finds what the importing object asks for
# unlinked  imported without a word, but the objects do not fit together
# refused   the importing compiler reports an error
# crash     a compiler broke down
# none      the exporter wrote no metadata
#
# Then the first compiler imports what it exported itself after somebody changed
# it: lines `tamper CHANGE STATE [what was said]`. What is made is in DIRECTORY.
#
# Environment: FILES (has crates/), LIMIT (seconds a compiler may take)
set -eu
export LC_ALL=C
work=$1
shift
limit=${LIMIT:-120}
experimental=-frust-incomplete-and-experimental-compiler-do-not-use

# What was said, in a line.
said() {
  line=$(grep -m 1 -e 'internal compiler error' "$1" || grep -m 1 -e 'error:' -e 'sorry, unimplemented' -e 'undefined reference' -e 'incompatible with\|wrong format\|unknown architecture' "$1" || tail -n 1 "$1")
  printf '%s' "$line" | tr '\n\t' '  ' | sed -e 's/^.*: \(in function\)/\1/' -e 's/^\/[^ ]*\///'
}

broke() { # broke STATUS LOG: whether a compiler broke down rather than refused
  [ "$1" -ge 124 ] || grep -q -e 'internal compiler error' -e 'signal terminated' -e 'Segmentation fault' "$2"
}

run() { # run LOG COMMAND…: its exit code
  log=$1
  shift
  if timeout -k 5 "$limit" "$@" > "$log" 2>&1 < /dev/null; then echo 0; else echo $?; fi
}

report() { # report LABELS CRATE STATE LOG
  if [ "$3" = linked ]; then echo "$1 $2 linked"; else echo "$1 $2 $3 $(said "$4")"; fi
}

import() { # import LABELS CRATE COMMAND: in this directory, of the metadata and the object that are in it
  status=$(run import.log $3 $experimental -c "import_$2.rs" -o "import_$2.o")
  if broke "$status" import.log; then report "$1" "$2" crash import.log; return 0; fi
  if [ "$status" -ne 0 ]; then report "$1" "$2" refused import.log; return 0; fi
  # Overflow checks call abort, which no C library is here to have.
  status=$(run link.log $3 -nostdlib -static "-Wl,--entry=import_$2" "-Wl,--defsym=abort=import_$2" "import_$2.o" "export_$2.o" -o "linked_$2")
  if [ "$status" -eq 0 ]; then report "$1" "$2" linked link.log; else report "$1" "$2" unlinked link.log; fi
}

mkdir -p "$work"
work=$(cd "$work" && pwd)
for one in "$@"; do
  label=${one%%=*}
  mkdir -p "$work/$label/export"
  cd "$work/$label/export"
  for source in "$FILES"/crates/*.rs; do
    crate=$(basename "$source" .rs)
    sed -e '/^\/\/\/\/ /,$d' "$source" > "export_$crate.rs"
    echo "$(run "export_$crate.log" ${one#*=} $experimental -c "export_$crate.rs" -o "export_$crate.o")" > "export_$crate.status"
  done
done
for from in "$@"; do
  for to in "$@"; do
    exporter=${from%%=*} importer=${to%%=*}
    mkdir -p "$work/$importer/of-$exporter"
    cd "$work/$importer/of-$exporter"
    for source in "$FILES"/crates/*.rs; do
      crate=$(basename "$source" .rs)
      export=$work/$exporter/export/export_$crate
      read -r status < "$export.status"
      if broke "$status" "$export.log"; then report "$exporter $importer" "$crate" crash "$export.log"; continue; fi
      if [ "$status" -ne 0 ]; then report "$exporter $importer" "$crate" refused "$export.log"; continue; fi
      if [ ! -s "$export.rox" ]; then echo "$exporter $importer $crate none $(basename "$export").rox is not there"; continue; fi
      cp "$export.rox" "$export.o" .
      sed -e '1,/^\/\/\/\/ /d' "$source" > "import_$crate.rs"
      import "$exporter $importer" "$crate" "${to#*=}"
    done
  done
done

# Somebody changes the metadata: what is noticed?
label=${1%%=*}
for change in nothing checksum magic crate-name text-longer text-cut argument-type signature no-function; do
  crate=named
  export=$work/$label/export/export_$crate
  if [ ! -s "$export.rox" ]; then break; fi
  mkdir -p "$work/$label/tamper-$change"
  cd "$work/$label/tamper-$change"
  cp "$export.rox" whole.rox
  cp "$export.o" .
  sed -e '1,/^\/\/\/\/ /d' "$FILES/crates/$crate.rs" > "import_$crate.rs"
  # GRST, 16 bytes of MD5, `$name$size$`, the text.
  case $change in
    nothing) cat whole.rox ;;
    checksum) head -c 4 whole.rox; printf 0123456789abcdef; tail -c +21 whole.rox ;;
    magic) printf GRSX; tail -c +5 whole.rox ;;
    crate-name) sed -e "s/[$]export_$crate[$]/\$export_other\$/" whole.rox ;;
    text-longer) cat whole.rox; echo 'what is behind its end' ;;
    text-cut) head -c -12 whole.rox ;;
    argument-type) sed -e 's/n : i32/n : i64/' whole.rox ;;
    # The object still takes and gives 32 bits.
    signature)
      sed -e 's/n : i32) -> i32/n : i64) -> i64/' whole.rox
      sed -i -e 's/next_of_named(n)/next_of_named(n as i64) as i32/' "import_$crate.rs"
      ;;
    no-function) sed -e 's/next_of_named/gone_of_named/' whole.rox ;;
  esac > "export_$crate.rox"
  import tamper "$crate" "${1#*=}" | sed -e "s/^tamper $crate/tamper $change/"
done
