package main

import (
	"encoding/json"
	"strings"
	"testing"

	"meridian/migrations"
	"meridian/switch"
)

const sandboxPolicy = "sandbox 104110000000001"

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	golden(t, "policies.txt", w.call("policy", "list").want(t, 0).stdout)
	golden(t, "policy.txt", w.call("policy", "show", sandboxPolicy).want(t, 0).stdout)
	w.call("policy", "show", "plain").want(t, exitFailure, `no policy "plain"`, "policy list")

	sign := []string{"--by", "Ann Lee", "--reason", "a test"}
	// What follows -- is no flag, whatever it begins with.
	set := func(name, setting, value string) outcome {
		t.Helper()
		return call(t, append(append([]string{"policy", "set", "--data-dir", w.dataDir}, sign...), "--", name, setting, value)...)
	}
	set(sandboxPolicy, "max_voids_per_day", "3").want(t, 0, "policy "+sandboxPolicy+": max_voids_per_day is 3", "running hosts")
	set(sandboxPolicy, "min_balance_minor", "-500").want(t, 0, "is -500")
	set(sandboxPolicy, "cancel_mode", "never").want(t, exitUsage, "auto, strict or cancel-only")
	set(sandboxPolicy, "refund_window_days", "none").want(t, exitUsage, "1 to 3650")
	set("plain", "max_voids_per_day", "3").want(t, exitFailure, `no policy "plain"`)
	var shown switching.StoredPolicy
	o := w.call("policy", "show", sandboxPolicy, "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &shown); err != nil || shown.Settings["max_voids_per_day"] != 3.0 ||
		shown.Settings["min_balance_minor"] != -500.0 || shown.Settings["review_threshold_minor"] != nil {
		t.Errorf("%v\n%s", err, o.stdout)
	}
	set(sandboxPolicy, "max_voids_per_day", "none").want(t, 0, "is none")
	w.call("audit", "list", "--limit", "1").want(t, 0, "policy "+sandboxPolicy+": max_voids_per_day = none, was 3", "by Ann Lee: a test")
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t)
	sign := []string{"--by", "Ann Lee", "--reason", "stolen"}
	policy := func(line string, more ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"policy"}, append(strings.Fields(line), sign...)...), more...)...)
	}
	policy("suspend void --mid 104110000000001").want(t, 0, "void of merchant 104110000000001 suspended")
	o := policy("suspend refund --tid 10000002", "-o", "json").want(t, 0)
	var told changed
	if err := json.Unmarshal([]byte(o.stdout), &told); err != nil || told.By != "Ann Lee" || told.Changed != "refund of terminal 10000002 suspended" {
		t.Errorf("got %+v, %v", told, err)
	}
	w.call("policy", "show", sandboxPolicy).want(t, 0, "suspended  void of merchant 104110000000001",
		"suspended  refund of terminal 10000002 of merchant 104110000000001")
	policy("resume void --mid 104110000000001").want(t, 0, "resumed")
	policy("resume refund --tid 10000002").want(t, 0, "resumed")
	if o := w.call("policy", "show", sandboxPolicy).want(t, 0); strings.Contains(o.stdout, "suspended") {
		t.Errorf("still suspended:\n%s", o.stdout)
	}
	policy("suspend void --mid 1").want(t, exitFailure, "there is no merchant 1")
	policy("suspend void --tid 1").want(t, exitFailure, "there is no terminal 1")

	service := login(t, w.url, "clerk_login", `GRANT `+migrations.ServiceRole+` TO clerk_login`)
	policy("suspend void --mid 104110000000001", "--database-url", service).want(t, exitConfiguration, "permission denied", "owns the schema")
}

func TestOperator(t *testing.T) {
	w := newWorld(t)
	golden(t, "operators.txt", w.call("operator", "list", "--mid", "104110000000001").want(t, 0).stdout)
	w.call("operator", "list", "--mid", "1").want(t, exitFailure, "there is no merchant 1")

	sign := []string{"--by", "Ann Lee", "--reason", "rota", "--data-dir", w.dataDir}
	operator := func(stdin, line string, more ...string) outcome {
		t.Helper()
		arguments := append(append(append([]string{"operator"}, strings.Fields(line)...), sign...), more...)
		return callWith(t, nil, stdin, arguments...)
	}
	const add = "add --mid 104110000000001 --number 02"
	operator("4711\n", add).want(t, 0, "operator 02 of merchant 104110000000001 is a clerk with a new password")
	file := write(t, "password", "passw\u00f6rd\r\nsecond line\n")
	operator("", add, "--supervisor", "--password-file", file, "-o", "json").want(t, 0, "is a supervisor")
	operator("4712", add, "--supervisor", "--password-file", "-").want(t, 0) // no line end
	for stdin, why := range map[string]string{
		"": "has 0 letters", "123\n": "has 3 letters", strings.Repeat("7", 65) + "\n": "has 65 letters", "47\x0011\n": "nobody can type",
		strings.Repeat("7", 5000): "has 1024 letters",
	} {
		o := operator(stdin, add).want(t, exitUsage, why)
		if stdin = strings.TrimSpace(stdin); stdin != "" && strings.Contains(o.stderr, stdin) {
			t.Errorf("the password is in the error: %s", o.stderr)
		}
	}
	operator("", add, "--password-file", "/nonexistent").want(t, exitConfiguration, "no such file")
	operator("4711\n", "add --mid 1 --number 02").want(t, exitFailure, "there is no merchant 1")

	var list []switching.OperatorState
	o := w.call("operator", "list", "-o", "json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || len(list) != 11 || list[1].Number != "02" || !list[1].Supervisor {
		t.Errorf("%v\n%s", err, o.stdout)
	}
	operator("", "disable --mid 104110000000001 --number 02").want(t, 0, "is disabled")
	operator("", "disable --mid 104110000000001 --number 02").want(t, exitFailure, "has no active operator 02")
	w.call("operator", "list", "--mid", "104110000000001").want(t, 0, "disabled")
	execSQL(t, w.url, `INSERT INTO operator_lockouts VALUES (0, 1, '01', 6, '2026-11-24T12:30:00Z'), (0, 1, '99', 6, '2026-11-24T11:30:00Z')`)
	if o := w.call("operator", "list").want(t, 0, "locked until 2026-11-24 12:30:00 UTC"); strings.Contains(o.stdout, "11:30") {
		t.Errorf("a lockout that is over is shown:\n%s", o.stdout)
	}
	audit := w.call("audit", "list", "--kind", "policy_changed").want(t, 0, "operator 02 of merchant 104110000000001: disabled", "by Ann Lee: rota")
	for _, secret := range []string{"4711", "4712", "passw\u00f6rd", "argon2"} {
		if strings.Contains(audit.stdout, secret) {
			t.Errorf("%q is in the audit log", secret)
		}
	}
}

// A person types a new password twice, and does not see it.
func TestPasswordIsTypedTwice(t *testing.T) {
	typed := func(lines ...string) (string, string, error) {
		var screen strings.Builder
		g := &globals{stderr: &screen}
		password, err := g.typed(func() ([]byte, error) {
			line := lines[0]
			lines = lines[1:]
			return []byte(line), nil
		})
		return password, screen.String(), err
	}
	password, screen, err := typed("4711", "4711")
	if err != nil || password != "4711" || screen != "New password: \nThe same again: \n" {
		t.Errorf("%q, %v, screen %q", password, err, screen)
	}
	if _, _, err := typed("4711", "4712"); exitCode(err) != exitUsage {
		t.Errorf("two passwords: %v", err)
	}
	if _, _, err := typed("47"); exitCode(err) != exitUsage || strings.Contains(err.Error(), "47") {
		t.Errorf("a short one is asked for again: %v", err)
	}
}
