# verdict.sh: functions of check scripts, read with `.`.
#
# Environment: DEST. EVIDENCE holds names of files below it, the most telling first;
# a script changes it as it goes on. `seconds`, once it is set, becomes a figure.

# finish STATE WHY: ends the script with a verdict and the evidence that there is.
finish() {
  echo "$1: $2"
  {
    echo "state $1"
    echo "why $2"
    if [ -n "${seconds:-}" ]; then echo "figure seconds $seconds"; fi
    for file in ${EVIDENCE:-}; do if [ -s "$DEST/$file" ]; then echo "evidence $file"; fi; done
  } > "$DEST/verdict"
  for file in ${EVIDENCE:-}; do
    if [ -s "$DEST/$file" ]; then tail -n 15 "$DEST/$file"; break; fi
  done
  exit 0
}

# cause LOG: the line with the cause of a compiler's failure.
cause() {
  grep -m 1 -e 'internal compiler error' "$1" ||
    grep -m 1 -i -e error -e 'sorry, unimplemented' -e 'undefined reference' "$1" || tail -n 1 "$1"
}
