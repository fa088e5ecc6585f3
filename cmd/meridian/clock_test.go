package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/sandbox"
	"meridian/switch"
)

func TestClock(t *testing.T) {
	w := newWorld(t)
	clock := func(arguments ...string) outcome {
		t.Helper()
		return w.call(append([]string{"clock"}, arguments...)...)
	}
	clock("show").want(t, 0, "2026-11-24T12:00:00Z  the real time", "2026-11-24 20:00:00 CST", "Asia/Shanghai", "2026-11-24 07:00:00 EST")
	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	clock("advance", "2h59m59s").want(t, 0, "ahead of the real time by 2h59m59s", "before: 2026-11-24T12:00:00Z")
	golden(t, "clock.txt", clock("advance", "1s").want(t, 0).stdout)
	if o := clock("show").want(t, 0); strings.Contains(o.stdout, "business date") || strings.Contains(o.stdout, "before") {
		t.Errorf("nothing has changed, and yet:\n%s", o.stdout)
	}
	var shown shownClock
	read := func(o outcome) {
		t.Helper()
		shown = shownClock{}
		if err := json.Unmarshal([]byte(o.stdout), &shown); err != nil {
			t.Fatal(err)
		}
	}
	read(clock("advance", "1d12h", "-o", "json").want(t, 0))
	if want := noon.Add(39 * time.Hour); !shown.Now.Equal(want) || shown.Offset != "39h0m0s" || len(shown.Zones) != 5 {
		t.Errorf("got %+v", shown)
	}
	dates := map[string]int{}
	for i, c := range shown.Cutoffs {
		if !c.Closed || !c.ClosesAt.After(shown.Was) || c.ClosesAt.After(shown.Now) || i > 0 && c.ClosesAt.Before(shown.Cutoffs[i-1].ClosesAt) {
			t.Errorf("passed %+v", c)
		}
		dates[c.Calendar]++
	}
	// Two nights, and of the calendar that ended at 15:00 only the next date.
	if len(dates) != 5 || dates["Asia/Shanghai 23:00"] != 1 || dates["Europe/Berlin 02:30"] != 2 {
		t.Errorf("passed %v", dates)
	}
	clock("freeze").want(t, 0, "frozen; the real time is 2026-11-24T12:00:00Z")
	call(t, "clock", "advance", "--data-dir", w.dataDir, "--", "-30m").want(t, 0, "2026-11-26T02:30:00Z")
	clock("set", "2026-11-26T04:00:00+01:00").want(t, 0, "2026-11-26T03:00:00Z")
	clock("real").want(t, 0, "2026-11-24T12:00:00Z  the real time")
	clock("set", "2026-11-24T11:00:00Z").want(t, 0, "behind the real time by 1h0m0s")
	w.call("ledger", "verify").want(t, 0, "everything holds")

	// What was sealed takes no sale any more: the dates that do end on the 26th and, in Berlin, on the 27th.
	clock("before-cutoff").want(t, 0, "2026-11-26T14:59:00Z")
	clock("real").want(t, 0)
	clock("after-cutoff", "--mid", "104110000000002").want(t, 0, "2026-11-27T01:30:01Z", "business date 2026-11-27 of Europe/Berlin 02:30: closed and settled")
	clock("after-cutoff", "--mid", "1").want(t, exitUsage, "the sandbox refuses", "no merchant 1")
	clock("after-cutoff", "1").want(t, exitUsage, "takes no argument")

	clock("set", "2199-01-01T00:00:00Z").want(t, exitUsage, "the sandbox refuses", "year 2199")
	clock("advance", "401d").want(t, exitUsage, "the sandbox refuses", "400 days")
}

// Who looks for why a date closed early finds the move, whoever made it.
func TestClockMovesAreInTheAuditLog(t *testing.T) {
	w := newWorld(t)
	moves := func() (list []string) {
		t.Helper()
		for _, row := range readJSON[[]switching.AuditRow](t, w.call("audit", "list", "--kind", "clock_moved", "-o", "json").want(t, 0)) {
			list = append(list, row.Detail)
		}
		return list
	}
	w.call("clock", "show").want(t, 0)
	w.call("clock", "advance", "401d").want(t, exitUsage)
	if told := moves(); len(told) != 0 {
		t.Fatalf("nothing was moved: %q", told)
	}
	for _, c := range []struct{ what, want string }{
		{"advance 1h", "advanced by 1h0m0s from 2026-11-24T12:00:00Z, by "},
		{"freeze", "stopped from 2026-11-24T13:00:00Z, by "},
		{"set 2026-11-24T14:00:00Z", "set to 2026-11-24T14:00:00Z from 2026-11-24T13:00:00Z, by "},
		{"before-cutoff", "set to 2026-11-24T14:59:00Z from 2026-11-24T14:00:00Z, by "},
		{"before-cutoff", "set to 2026-11-24T14:59:00Z from 2026-11-24T14:00:00Z, by "}, // it stands there
		{"after-cutoff", "set to 2026-11-24T15:00:01Z from 2026-11-24T14:59:00Z, by "},
		{"real", "set back to the real time from 2026-11-24T15:00:01Z, by "},
	} {
		w.call(append([]string{"clock"}, strings.Fields(c.what)...)...).want(t, 0)
		if told := moves(); len(told) == 0 || !strings.HasPrefix(told[0], c.want) || !strings.HasSuffix(told[0], "the command line: meridian clock") {
			t.Errorf("after %s: %q", c.what, told)
		}
	}
	if told := moves(); len(told) != 6 {
		t.Errorf("%d rows: %q", len(told), told)
	}
}

func TestClockWithoutSandbox(t *testing.T) {
	call(t, "clock", "show", "--data-dir", t.TempDir()).want(t, exitUnreachable, "no sandbox is running", "meridian sandbox")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	call(t, "clock", "freeze", "--ops", nobody).want(t, exitUnreachable, "does not answer")
	// A killed sandbox leaves its file.
	dir := t.TempDir()
	content, err := json.Marshal(sandbox.Manifest{Ready: true, Addresses: sandbox.Addresses{Ops: nobody}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, sandbox.ManifestName), content, 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "clock", "show", "--data-dir", dir).want(t, exitUnreachable, "does not answer")
	if err := os.WriteFile(filepath.Join(dir, sandbox.ManifestName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "clock", "show", "--data-dir", dir).want(t, exitConfiguration, "sandbox.json")
}

// A production host has no such path on its ops address.
func TestClockOfOtherHosts(t *testing.T) {
	status, answer := http.StatusNotFound, "404 page not found"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != sandbox.ClockPath {
			t.Errorf("asked for %s", r.URL.Path)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer server.Close()
	clock := func(arguments ...string) outcome {
		t.Helper()
		return call(t, append([]string{"clock", "--ops", server.URL + "/"}, arguments...)...)
	}
	clock("show").want(t, exitConfiguration, "this host's clock cannot be moved")
	clock("advance", "1h").want(t, exitConfiguration, "this host's clock cannot be moved")
	status, answer = http.StatusInternalServerError, "moved, but not all work is done\x1b[2J"
	if o := clock("advance", "1h").want(t, exitFailure, "not all work is done"); strings.Contains(o.stderr, "\x1b") {
		t.Errorf("what a host says steers the terminal: %q", o.stderr)
	}
	status, answer = http.StatusOK, "<html>"
	clock("show").want(t, exitFailure, "read the clock")
	status, answer = http.StatusOK, `{"now":"2026-11-24T12:00:00Z","real":"2026-11-24T12:00:00Z"}`
	clock("show").want(t, 0, "2026-11-24T12:00:00Z  the real time")
	for _, wrong := range []string{"", "1", "d", "1d-2h", "1h1d", "--1h", "+-1h", "99999d", "9999d2562047h", "tomorrow"} {
		call(t, "clock", "advance", "--ops", server.URL, "--", wrong).want(t, exitUsage, "is no duration")
	}
	call(t, "clock", "set", "2026-11-24 12:00", "--ops", server.URL).want(t, exitUsage, "its offset from UTC")
	call(t, "clock", "show", "--ops", "http://127.0.0.1:x").want(t, exitUsage, "no ops address")
}

func TestDaysAreDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1d12h": 36 * time.Hour, "2d": 48 * time.Hour, "-2d1m": -(48*time.Hour + time.Minute), "+1.5h": 90 * time.Minute,
		"0s": 0, "1ns": 1,
	} {
		if got, err := parseDays(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}
