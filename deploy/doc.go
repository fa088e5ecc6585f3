// Package deploy holds what Meridian is run and watched with, and the tests that
// keep it true. It has no code of its own.
//
//	prometheus/  recording rules, alert rules, their unit tests, a configuration
//	runbooks/    one page for each alert
//	grafana/     dashboards, written by this package's tests (go test ./deploy -run Dashboards -update)
//
// Invariants that the tests check:
//
//   - docs/reference/metrics.md is what a real host exposes.
//   - Every query of every rule and dashboard parses, and names metrics and labels
//     that a real host exposes.
//   - Every alert has a severity, a summary, a description, a page in runbooks and
//     a unit test in which it fires and one in which it does not; every recording
//     rule has a unit test.
//   - Runbooks name metrics that a real host exposes, and commands and flags that the
//     program has (a test of cmd/meridian).
//   - A real Prometheus that scrapes a sandbox under load has data for every query of
//     every dashboard, from classic histograms and from native ones, fires no alert
//     under ordinary load, and fires the right ones when something is broken. In the
//     tests that everybody runs it is in a hurry; make observe takes the time that
//     production takes (MERIDIAN_TEST_PROMETHEUS).
package deploy
