#!/usr/bin/env bash
# soak.sh TIME PACKAGE… — runs the tests under the race detector over and over, in a new order each time, until TIME
# (such as 90s, 30m, 8h) has passed. It stops at the first failure, which names the order to repeat it with.
# Tests that have a long variant run it while MERIDIAN_TEST_SOAK is set.
set -euo pipefail

go=${GO:-go}
case $1 in
  *[0-9]s) seconds=${1%s} ;;
  *[0-9]m) seconds=$((${1%m} * 60)) ;;
  *[0-9]h) seconds=$((${1%h} * 3600)) ;;
  *) echo "soak time $1: write a number and s, m or h" >&2; exit 2 ;;
esac
shift

export MERIDIAN_TEST_SOAK=1
rounds=0
until=$((SECONDS + seconds))
while [ "$SECONDS" -lt "$until" ]; do
  rounds=$((rounds + 1))
  printf '== round %d\n' "$rounds"
  # shellcheck disable=SC2046 # no flag where the race detector does not work
  "$go" test $("${0%/*}/need.sh" race-flag) -shuffle=on -count=1 -timeout=60m "$@"
done
printf '%d rounds, no failure\n' "$rounds"
