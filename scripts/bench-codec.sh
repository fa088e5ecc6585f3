#!/usr/bin/env bash
# bench-codec.sh REF — measures the message path's benchmarks in this tree and at REF, run by run in turn, so that both
# meet the same machine, and prints the medians and their ratios. Nothing but the ratios is worth keeping.
# ROUNDS (5) and BENCHTIME (300ms) change how long it takes.
set -euo pipefail

go=${GO:-go}
reference=${1:?which commit to compare with, such as main}
rounds=${ROUNDS:-5}
benchtime=${BENCHTIME:-300ms}
root=$(cd "${0%/*}/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/before"
git -C "$root" -c safe.directory='*' archive "$reference" | tar -x -C "$work/before"

packages=(host/wire host internal/hsm/mac)
for package in "${packages[@]}"; do
  (cd "$work/before" && "$go" test -c -o "$work/before.${package//\//-}" "./$package")
  (cd "$root" && "$go" test -c -o "$work/after.${package//\//-}" "./$package")
done
for _ in $(seq "$rounds"); do
  for package in "${packages[@]}"; do
    for side in before after; do
      tree=$root
      [ "$side" = before ] && tree=$work/before
      # A benchmark that fails at REF is left out of the comparison.
      (cd "$tree/$package" && "$work/$side.${package//\//-}" -test.run=NONE -test.bench=. -test.benchmem -test.benchtime="$benchtime" || true) |
        awk -v side="$side" -v package="$package" '/^Benchmark/ {
          name = $1; sub(/-[0-9]+$/, "", name)
          for (i = 3; i < NF; i += 2) if ($(i + 1) == "ns/op") ns = $i; else if ($(i + 1) == "allocs/op") allocs = $i
          print package "." name, side, ns, allocs }' >>"$work/samples"
    done
  done
done
# Sorted by time within each benchmark and side, the middle one is the median.
sort -k1,1 -k2,2 -k3,3n "$work/samples" | awk '
  { key = $1 SUBSEP $2; n[key]++; ns[key, n[key]] = $3; allocs[key] = $4; names[$1] }
  END {
    printf "%-44s %10s %10s %7s %16s\n", "", "before ns", "after ns", "ratio", "allocations"
    for (name in names) {
      b = name SUBSEP "before"; a = name SUBSEP "after"
      if (!n[a]) continue
      after = ns[a, int((n[a] + 1) / 2)]
      if (n[b]) {
        before = ns[b, int((n[b] + 1) / 2)]
        printf "%-44s %10.0f %10.0f %7.2f %9d → %4d\n", name, before, after, after / before, allocs[b], allocs[a] | "sort"
      } else {
        printf "%-44s %10s %10.0f %7s %16d\n", name, "", after, "", allocs[a] | "sort"
      }
    }
  }'
