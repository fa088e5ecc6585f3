#!/usr/bin/env bash
# fuzz.sh TIME PACKAGE… — runs every fuzz test of the packages for TIME each, one after the other.
# A crasher is written to the package's testdata/fuzz, where `make test` runs it from then on: commit it with its fix.
set -euo pipefail

go=${GO:-go}
each=$1
shift

found=0
failed=0
for package in $("$go" list "$@"); do
  for target in $("$go" test -run '^$' -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    found=$((found + 1))
    printf '== %s %s\n' "$package" "$target"
    "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$package" || failed=$((failed + 1))
  done
done

printf '%d fuzz tests run for %s each, %d failed\n' "$found" "$each" "$failed"
[ "$found" -gt 0 ] || { echo 'no fuzz test found' >&2; exit 1; }
[ "$failed" = 0 ]
