# Usage: awk -v roots=DIR/:DIR/ -f warnings.awk BUILD.log
# Each warning of a kernel's build once, sorted, without paths of this machine.
# The linker's remarks on .sframe, which no linker script of the kernel names,
# come under a heading of their own: a heading is a line that begins with #.
# make's warnings are of the machine (its clock, its jobs), not of the kernel.
function plain(line,   i, at) {
  for (i = 1; i <= count; i++)
    while (root[i] != "/" && (at = index(line, root[i])) > 0)
      line = substr(line, 1, at - 1) substr(line, at + length(root[i]))
  # The tool's own path: /…/bin/x86_64-linux-ld: warning
  sub(/^\/[^ :]*\//, "", line)
  return line
}
# A sort of its own: no tool's idea of order, and no pipe whose end is not seen.
function print_sorted(set,   n, i, j, key, list) {
  n = 0
  for (key in set) list[++n] = key
  for (i = 2; i <= n; i++) {
    key = list[i]
    for (j = i - 1; j > 0 && list[j] > key; j--) list[j + 1] = list[j]
    list[j + 1] = key
  }
  for (i = 1; i <= n; i++) print list[i]
}
BEGIN { count = split(roots, root, ":") }
/^make(\[[0-9]+\])?: / { next }
/[Ww]arning: |WARNING: / {
  line = plain($0)
  if (line ~ /orphan section .*\.sframe/) { orphans++; next }
  seen[line] = 1
}
END {
  print_sorted(seen)
  if (orphans) {
    print "# expected with SFrame and not counted:"
    print "# " orphans " times the linker placed the section .sframe of an object by itself"
  }
}
