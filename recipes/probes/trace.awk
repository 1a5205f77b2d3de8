# trace.awk: what init reported of its probes. For each function that was called,
# `right NAME: LINE OF THE TRACE`, or `wrong …` if no line of it has the arguments.
# Names of events are the function's, or that with a number.

function event(line,   start) {
  # `  init-1  [000] .....  0.5: NAME_1: (symbol+0x4/0x20) argument=7`
  if (!match(line, /: [A-Za-z0-9_]+: \(/)) return ""
  return substr(line, RSTART + 2, RLENGTH - 5)
}

function arguments(line) {
  return match(line, /\) [^)]*$/) ? substr(line, RSTART + 2) : ""
}

/^crossmill: probe refused / { print "refused " substr($0, 26) }
/^crossmill: probe called / {
  order[++count] = $4
  at = index($0, " with ")
  expected[$4] = substr($0, at + 6)
}
/^crossmill: trace / {
  name = event($0)
  plain = name
  sub(/_[0-9]+$/, "", plain)
  shown = substr($0, 18)
  for (one = 1; one <= count; one++) {
    if (order[one] != name && order[one] != plain) continue
    seen[order[one]] = shown
    if (arguments($0) == expected[order[one]]) right[order[one]] = shown
  }
}
END {
  for (one = 1; one <= count; one++) {
    name = order[one]
    if (name in right) print "right " name ": " right[name]
    else if (name in seen) print "wrong " name ": `" seen[name] "` where `" expected[name] "` was passed"
    else print "wrong " name ": it was called with `" expected[name] "`, and the trace does not show it"
  }
}
