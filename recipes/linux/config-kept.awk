# Usage: awk -f config-kept.awk FRAGMENT .config
# Kconfig drops silently what it cannot switch on. Every line of the fragment
# must have survived, or the kernel is not the one that was asked for.
function symbol(line) { sub(/^# /, "", line); sub(/[= ].*/, "", line); return line }
function value(line) { if (line ~ /is not set$/) return "n"; sub(/^[^=]*=/, "", line); return line }
/^(# )?CONFIG_[A-Za-z0-9_]+(=| is not set)/ {
  if (FILENAME == ARGV[1]) wanted[symbol($0)] = value($0)
  else found[symbol($0)] = value($0)
}
END {
  for (name in wanted) {
    have = (name in found) ? found[name] : "n"
    if (have != wanted[name]) {
      printf "error: %s=%s was asked for, the configuration has %s\n", name, wanted[name], have
      lost++
    }
  }
  if (lost) {
    print "hint: a dependency is missing, or this kernel no longer has the symbol; see scripts/kconfig in its source"
    exit 1
  }
}
