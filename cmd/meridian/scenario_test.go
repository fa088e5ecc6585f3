package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"meridian/sandbox/scenario"
)

func TestScenario(t *testing.T) {
	w := newWorld(t)
	play := func(arguments ...string) outcome {
		t.Helper()
		return w.call(append([]string{"scenario"}, arguments...)...)
	}
	const till = "10000001"
	play("list").want(t, 0, "there are no rules")
	play("set", "code", "--code", "91", "--terminal", till, "--kind", "sale,void", "--count", "1").want(t, 0, "rule 1 is set", till, "code-91", "sale, void")
	declined := w.call("terminal", "sale", "--amount", "12.34", "--tid", till)
	declined.want(t, exitFailure, "91")
	w.call("terminal", "sale", "--amount", "12.34", "--tid", till).want(t, 0)
	play("list", "-o", "json").want(t, 0, `"played": 1`, `"do": "code"`, `"count": 1`)
	w.call("transaction", "list").want(t, 0, "scenario")
	w.call("transaction", "show", rrnIn(t, declined.stdout)).want(t, 0,
		"reason        scenario", "scenario      rule 1: code-91 had it answered with 91", "transfers     none")
	play("set", "duplicate-answer", "--tid", till, "--probability", "0.5").want(t, 0, "rule 2 is set", "purchases, cancels", "0.5")
	play("set", "past-timeout", "--tid", till, "--delay", "20s").want(t, 0, "past-timeout 20s")
	play("clear", "--rule", "2").want(t, 0, "1 removed")
	play("clear", "--rule", "2").want(t, exitUsage, "there is no such rule")
	play("clear", "--tid", till).want(t, 0, "2 removed", "there are no rules")
	play("clear", "--all").want(t, 0, "0 removed")

	// By amount and by card, without any rule.
	w.call("terminal", "sale", "--amount", "200.51", "--card", scenario.CardBehaviour, "--tid", till).want(t, exitFailure, "51")
	w.call("terminal", "sale", "--amount", "12.00", "--card", string(scenario.DisconnectBefore), "--tid", till).want(t, exitUnreachable)
	w.call("terminal", "sale", "--repeat", "--tid", till).want(t, 0)
	w.call("ledger", "verify").want(t, 0, "everything holds")

	for _, wrong := range [][]string{
		{"set", "explode", "--tid", till},
		{"set", "no-answer"},
		{"set", "no-answer", "--tid", "99999999"},
		{"set", "code", "--tid", till, "--code", "00"},
		{"set", "no-answer", "--tid", till, "--probability", "0"},
		{"set", "no-answer", "--tid", till, "--probability", "NaN"},
		{"set", "code", "--code", "96", "--tid", till, "--kind", "reversal"},
		{"set"},
		{"clear"},
		{"clear", "--all", "--rule", "1"},
		{"clear", "--rule", "0"},
	} {
		play(wrong...).want(t, exitUsage)
	}
	play("set", "no-answer", "--tid", till, "--kind", "nothing").want(t, exitUsage, `--kind "nothing": it is one of authorization, sale,`)
}

// rrnIn finds the RRN that a report of the test terminal tells.
func rrnIn(t *testing.T, text string) string {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, ",.:")
		if len(word) == 12 && strings.Trim(word, "0123456789") == "" && strings.Count(text, word) > 0 && strings.HasPrefix(word, "6") {
			return word
		}
	}
	t.Fatalf("no RRN in\n%s", text)
	return ""
}

func TestScenarioElsewhere(t *testing.T) {
	call(t, "scenario", "list", "--published").want(t, 0, "051", "code-51", "Declined: insufficient funds.", "203", "no-answer")
	call(t, "scenario", "list", "--data-dir", t.TempDir()).want(t, exitUnreachable, "no sandbox is running")
	// A production host has no such path on its ops address.
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	call(t, "scenario", "list", "--ops", server.URL).want(t, exitConfiguration, "this host plays no scenarios")
	call(t, "scenario", "set", "no-answer", "--tid", "10000001", "--ops", server.URL).want(t, exitConfiguration, "this host plays no scenarios")
}
