package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/sandbox/story"
)

const rightScenario = `name: right
title: It sells and voids
steps:
  - {id: sale, send: sale, amount: 2.50, expect: {code: 00}}
  - {send: void, of: sale, expect: {code: 00, balances: {card: 0.00}}}
`

const wrongScenario = `name: wrong
steps:
  - send: sale
    amount: 2.50
    expect:
      code: 51
`

func TestScenarioFilesAndStories(t *testing.T) {
	w := newWorld(t)
	right, wrong := filepath.Join(w.dataDir, "right.yaml"), filepath.Join(w.dataDir, "wrong.yaml")
	for path, text := range map[string]string{right: rightScenario, wrong: wrongScenario} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.call("scenario", "run", right).want(t, 0, "right: It sells and voids", "0200 sale, 2.50 CNY", "Void is approved", "right (nac): as expected")
	w.call("scenario", "run", right, wrong).want(t, exitFailure, "NOT AS EXPECTED (line 6)  the response code is 00, expected 51", "wrong.yaml: line 3: not as expected")
	w.call("scenario", "run", wrong, wrong).want(t, exitFailure, "2 of 2 scenarios did not come out as expected")

	junit := filepath.Join(w.dataDir, "report.xml")
	o := w.call("scenario", "run", "--every-dialect", "--junit", junit, "-o", "json", right).want(t, 0)
	var tellings []*story.Telling
	if err := json.Unmarshal([]byte(o.stdout), &tellings); err != nil || len(tellings) != 3 {
		t.Fatalf("%d tellings: %v", len(tellings), err)
	}
	for i, told := range tellings {
		if told.Outcome != story.Passed || told.Dialect != story.Dialects[i] || len(told.RRNs()) != 2 {
			t.Errorf("told %+v", told)
		}
	}
	content, err := os.ReadFile(junit)
	if err != nil || xml.Unmarshal(content, new(struct{})) != nil || strings.Count(string(content), "<testsuite ") != 3 {
		t.Errorf("JUnit (%v): %s", err, content)
	}

	o = w.call("trigger", "void").want(t, 0, "A void before the cutoff", "Cr card:1001 (void)", "In the console: http://", "/stories/20")
	w.call("trigger", "sale", "-o", "json", "--dialect", "ascii").want(t, 0, `"outcome": "passed"`, `"rrns": [`)
	w.call("trigger", "sale", "--tid", "10000003").want(t, 0, "terminal 10000003")
	w.call("trigger", "wrong-mac", "--tid", "10000001").want(t, exitUsage, "carries no MAC")
	w.call("trigger", "sale", "--mid", "nobody").want(t, exitUsage, "no terminal plays that")
	if strings.Contains(o.stdout+string(content), "6212340000000000011") {
		t.Error("a card number is told")
	}
}

func TestScenarioWithoutASandbox(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(file, []byte(rightScenario+"  - {sned: sale}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "scenario", "run", file, "--data-dir", dir).want(t, exitUsage, "a.yaml: line 6: unknown key \"sned\"")
	call(t, "scenario", "run", filepath.Join(dir, "none.yaml")).want(t, exitUsage, "none.yaml")
	call(t, "scenario", "run").want(t, exitUsage, "needs a FILE")
	call(t, "scenario", "run", "--every-dialect", "--tid", "1", file).want(t, exitUsage, "leave --dialect and --tid away")
	call(t, "trigger", "sale", "--data-dir", dir).want(t, exitUnreachable, "no sandbox is running")
	call(t, "trigger", "list").want(t, 0, "late-cancel", "reversal-first", "batch-out-of-balance")
	call(t, "trigger", "list", "-o", "json").want(t, 0, `"dialects"`)
	call(t, "trigger", "nothing").want(t, exitUsage, "nothing")
}
