package story

import (
	"errors"
	"strings"
	"testing"
)

func TestFilesThatSaySomethingWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "it is empty",
		"steps: []":                      "line 1: a scenario has a name",
		"name: a":                        "line 1: a scenario has steps",
		"name: a\nsteps: [{}]":           "line 2: a step does one thing",
		"name: a\nsteps: [~]":            "a step is empty",
		"- name: a":                      "line 1: keys with values are wanted here",
		"name: [a]":                      "line 1",
		"name: a\nsetps: []":             `line 2: unknown key "setps"`,
		"name: a\nsteps: [{sned: sale}]": `line 2: unknown key "sned"; there are id, tell,`,
		"name: a\nsteps:\n- {send: sale, amount: 1}\n- send: sale\n  expect:\n    cod: 00": `line 6: unknown key "cod"`,
		"name: a\nsteps:\n- send: settle\n  expect:\n    batch:\n      sold: 1":            `line 6: unknown key "sold"`,
		"name: a\nsteps: [{send: sale, amount: [1]}]":                                      "line 2: one value is wanted here",
		"name: a\nsteps: [{send: sale, keyed: perhaps}]":                                   "line 2: cannot unmarshal",
		"name: a\nsteps:\n- send: steal":                                                   "line 3: send: steal: a terminal sends echo, logon, sale",
		"name: a\nsteps:\n- {send: sale, wait: 1s}":                                        "line 3: a step does one thing",
		"name: a\nsteps:\n- {clock: tomorrow}":                                             "line 3: clock: tomorrow: it is before-cutoff",
		"name: a\nsteps:\n- {clock: +25}":                                                  "line 3: clock: +25",
		"name: a\nsteps:\n- {clock: +1h, amount: 2}":                                       "line 3: only a step that sends",
		"name: a\nsteps:\n- {clock: +1h, expect: {code: 00}}":                              "line 3: only a step that sends",
		"name: a\nsteps:\n- {wait: 2h}":                                                    "line 3: wait: 2h: it is a duration up to 1m0s",
		"name: a\nsteps:\n- {send: void, of: sale}":                                        "line 3: of: sale: no step before this one",
		"name: a\nsteps:\n- {repeat: sale}":                                                "line 3: repeat: sale: no step before this one",
		"name: a\nsteps:\n- {id: a, send: settle}\n- {repeat: a}":                          "line 4: repeat: a: a settlement is more than one message",
		"name: a\nsteps:\n- {id: a, send: sale}\n- {id: a, send: sale}":                    `line 4: a step "a" stands in line 3 already`,
		"name: a\nsteps:\n- {send: sale, stan: later}":                                     "line 3: stan: later",
		"name: a\nsteps:\n- {send: sale, lose: hope}":                                      "line 3: lose: it is request or answer",
		"name: a\nsteps:\n- {send: sale, in: [morse]}":                                     `line 3: "morse" is no dialect`,
		"name: a\ndialects: [morse]\nsteps: [{send: sale}]":                                `"morse" is no dialect`,
		"name: a\nsteps:\n- send: sale\n  expect: {outcome: fine}":                         "line 4: outcome: fine: it is approved, declined, unknown",
		"name: a\nsteps:\n- send: sale\n  expect: {became: nothing}":                       "line 4: became: nothing",
		"name: a\nsteps:\n- send: sale\n  expect: {settled: yes}":                          "line 4: settled: yes",
		"name: a\nsteps:\n- send: sale\n  expect: {code: {morse: 00}}":                     `line 4: "morse" is no dialect`,
		"name: a\nsteps:\n- send: sale\n  expect: {code: [00]}":                            "line 4: a value, or a value for each dialect",
		"name: a\nsteps:\n- send: sale\n  expect: {same_as: b}":                            "line 4: same_as: b: no step before",
		"name: a\nsteps:\n- send: sale\n  expect: {balances: {till: 1}}":                   "line 4: balances: till: there are card, merchant, held",
		"name: a\nsteps: [{send: sale}]\n---\nname: b":                                     "a second document follows",
		"name: a\nsteps: [{send: sale, tell: \"x":                                          "line",
		"name: a\nsteps:\n" + strings.Repeat("- {send: echo}\n", maxSteps+1):               "1001 steps: 1000 at most",
		strings.Repeat("#", maxFileBytes+1):                                                "more than 262144 bytes",
	} {
		s, err := Parse("here.yml", []byte(text))
		if err == nil {
			t.Errorf("%.80q is taken: %+v", text, s)
			continue
		}
		if got := err.Error(); !errors.Is(err, ErrFile) || !strings.Contains(got, want) || !strings.HasPrefix(got, "scenario file here.yml: ") {
			t.Errorf("%.80q: %s, want %s", text, got, want)
		}
		for _, inner := range []string{"story.", "yaml:", "into"} {
			if strings.Contains(err.Error(), inner) && !strings.Contains(text, inner) {
				t.Errorf("%.80q: %s speaks of %s", text, err, inner)
			}
		}
	}
}

func TestFilesTellNoCard(t *testing.T) {
	_, err := Parse("here.yml", []byte("name: a\nsteps:\n- {send: sale, of: 4111111111111111}"))
	if err == nil || strings.Contains(err.Error(), "4111111111111111") {
		t.Errorf("got %v", err)
	}
}

func TestCodesStayAsTheyAreWritten(t *testing.T) {
	s, err := Parse("here.yml", []byte("name: a\nsteps:\n- {id: 007, send: sale, amount: 10.10, expect: {code: {nac: 00, unionpay: A0}}}"))
	if err != nil {
		t.Fatal(err)
	}
	step := s.Steps[0]
	if step.ID != "007" || step.Amount != "10.10" || step.Expect.Code.of("nac") != "00" || step.Expect.Code.of("unionpay") != "A0" ||
		step.Expect.Code.of("ascii") != "" || step.Line != 3 || len(s.Dialects) != 3 {
		t.Errorf("read %+v %+v", step, step.Expect)
	}
}

func FuzzParse(f *testing.F) {
	entries, err := files.ReadDir("files")
	if err != nil {
		f.Fatal(err)
	}
	for _, entry := range entries {
		content, err := files.ReadFile("files/" + entry.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := Parse("fuzz.yaml", content)
		if err == nil && (s.Name == "" || len(s.Steps) == 0) {
			t.Errorf("taken: %+v", s)
		}
	})
}
