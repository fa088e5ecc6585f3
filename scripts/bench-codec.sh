#!/usr/bin/env bash
# bench-codec.sh REF — measures the message path's benchmarks in this tree and at REF, run by run in turn, so that both
# meet the same machine, and has benchstat compare them. Nothing but the ratios is worth keeping.
# ROUNDS (6, the least of which benchstat says how sure it is) and BENCHTIME (300ms) change how long it takes.
set -euo pipefail

go=${GO:-go}
reference=${1:?which commit to compare with, such as main}
rounds=${ROUNDS:-6}
benchtime=${BENCHTIME:-300ms}
root=$(cd "${0%/*}/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/tree"
git -C "$root" -c safe.directory='*' archive "$reference" | tar -x -C "$work/tree"

packages=(host/wire host internal/hsm/mac)
for package in "${packages[@]}"; do
  (cd "$work/tree" && "$go" test -c -o "$work/before.${package//\//-}" "./$package")
  (cd "$root" && "$go" test -c -o "$work/after.${package//\//-}" "./$package")
done
for _ in $(seq "$rounds"); do
  for package in "${packages[@]}"; do
    for side in before after; do
      tree=$root
      [ "$side" = before ] && tree=$work/tree
      # A benchmark that fails at REF is left out of the comparison.
      (cd "$tree/$package" && "$work/$side.${package//\//-}" -test.run=NONE -test.bench=. -test.benchmem -test.benchtime="$benchtime" || true) \
        >>"$work/$side"
    done
  done
done
"$go" -C "$root/tools" tool benchstat before="$work/before" after="$work/after"
