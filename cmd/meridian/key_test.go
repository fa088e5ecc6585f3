package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox"
	"meridian/switch"
)

// enter runs a command with something on standard input.
func (w *world) enter(stdin string, arguments ...string) outcome {
	w.t.Helper()
	return w.said.add(callWith(w.t, nil, stdin, append(arguments, "--data-dir", w.dataDir)...))
}

// Components of a transport key; no command tells them. The check value of the first is 08D7B4, as every
// handbook has it for this key.
const (
	componentOne = "0123456789abcdef fedcba9876543210"
	componentTwo = "1122334455667788 99aabbccddeeff00"
)

func TestKeysOverTheCommandLine(t *testing.T) {
	w := newWorld(t)
	sign := []string{"--by", "Ann Lee", "--reason", "a test"}
	key := func(line string, more ...string) outcome {
		t.Helper()
		return w.call(append(append([]string{"key"}, strings.Fields(line)...), more...)...)
	}
	key("check").want(t, 0, "mac key of terminal 10000002", "tdes-2", "opens")
	key("check --tid 10000002 -o json").want(t, 0, `"key": "mac key of terminal 10000002"`)

	// A transport key under dual control.
	var ceremony switching.Ceremony
	o := key("components start --transport-key zmk --algorithm tdes-2 -o json", sign...).want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &ceremony); err != nil {
		t.Fatal(err)
	}
	enter := func(component, by string, more ...string) outcome {
		t.Helper()
		return w.enter(component+"\n", append([]string{"key", "components", "enter", ceremony.ID, "--by", by}, more...)...)
	}
	enter(componentOne, "Ann Lee", "--check-value", "000000").want(t, exitUsage, "another check value", "08D7B4")
	enter(componentOne, "Ann Lee", "--check-value", "08d7b4").want(t, 0, "component 1 of 2, check value 08D7B4")
	enter(componentTwo, "ann  lee").want(t, exitUsage, "another person's")
	enter("not hexadecimal", "Bob Ray").want(t, exitUsage, "hexadecimal digits")
	enter(componentTwo+"00", "Bob Ray").want(t, exitUsage, "components do not make a key")
	key("components list").want(t, 0, ceremony.ID, "transport key zmk", "1 of 2", "Ann Lee", "a test")
	file := write(t, "component", componentTwo+"\n")
	w.call("key", "components", "enter", ceremony.ID, "--by", "Bob Ray", "--file", file).want(t, 0, "component 2 of 2", "transport key zmk: tdes-2, check value ")
	enter(componentOne, "Eve").want(t, exitFailure, "no ceremony")
	key("components list -o json").want(t, 0, "[]")
	w.call("audit", "list").want(t, 0, "key_component_entered") // and tells no component: see newWorld
	cancelled := key("components start --base-key none --components 3 -o json", sign...).want(t, 0)
	if err := json.Unmarshal([]byte(cancelled.stdout), &ceremony); err != nil {
		t.Fatal(err)
	}
	key("components cancel "+ceremony.ID, sign...).want(t, 0, "destroyed")
	key("components cancel "+ceremony.ID, sign...).want(t, exitFailure, "no ceremony")

	// Keys drawn here go to another module and come back.
	key("generate --tid 10000002 --use mac", sign...).want(t, 0, "mac key of terminal 10000002: tdes-2", "generation 1")
	export := func(line string) string {
		t.Helper()
		return strings.TrimSpace(key("export --under zmk "+line, sign...).want(t, 0, "check value").stdout)
	}
	block := export("--tid 10000002 --use mac --exportability E")
	if !strings.HasPrefix(block, "B") || len(block) < 80 {
		t.Errorf("block %s", block)
	}
	pin := export("--tid 10000002 --use pin")
	load := func(file string, more ...string) outcome {
		t.Helper()
		return w.enter(file, append(append([]string{"key", "import", "--under", "zmk", "--block", "-"}, more...), sign...)...)
	}
	load(block, "--tid", "10000002", "--use", "mac").want(t, 0, "generation 2")
	load(block, "--tid", "10000002", "--use", "pin").want(t, exitFailure, "key block is for another use")
	changed := []byte(block)
	digit := &changed[len(changed)-20]
	if *digit == '0' { // another digit, and still one
		*digit = '1'
	} else {
		*digit = '0'
	}
	load(string(changed), "--tid", "10000002", "--use", "mac").want(t, exitFailure, "changed or is under another key")
	load("B00", "--tid", "10000002", "--use", "mac").want(t, exitUsage, "not a key block")
	load("", "--tid", "10000002", "--use", "mac").want(t, exitUsage, "0 characters")
	w.call(append([]string{"key", "load", "--tid", "10000002", "--under", "zmk", "--mac-block", write(t, "mak", block), "--pin-block", write(t, "pik", pin)}, sign...)...).
		want(t, 0, "mac key of terminal 10000002", "pin key of terminal 10000002", "generation 3")
	w.call("terminals", "show", "10000002").want(t, 0, "generation   3: mac tdes-2, pin tdes-2", "not used yet")
	key("generate --transport-key zmk", sign...).want(t, exitFailure, "there is a key of that name")
	key("generate --transport-key other", sign...).want(t, 0, "transport key other: aes-256")
	load(block, "--tid", "10000002", "--use", "mac", "--under", "other").want(t, exitUsage)
	key("generate --base-key acme", sign...).want(t, 0, "base key acme: aes-128")
	if block := export("--base-key acme --under other"); !strings.HasPrefix(block, "D") {
		t.Errorf("block %s", block)
	}
	execSQL(t, w.url, `UPDATE terminals SET key_scheme = 'dukpt-aes', base_key_id = 1, initial_ksn = '\x1234567890123456' WHERE tid = '10000004'`)
	key("export --tid 10000004 --initial --under other", sign...).want(t, 0, "initial key of terminal 10000004", "aes-128")
	key("generate --tid 10000004 --use mac", sign...).want(t, exitUsage, "derives its keys")

	// The old key of the sandbox still works: the terminal has not changed yet.
	w.call("terminal", "sale", "--amount", "1", "--tid", "10000002").want(t, 0)

	for line, says := range map[string]string{
		"generate": "say which key", "generate --tid 1": "--use", "generate --base-key a --use mac": "--use is for keys of terminals",
		"generate --tid 10000002 --use track": "terminal-master, mac or pin", "generate --tid 10000002 --use mac --algorithm rot13": "rot13",
		"export --tid 10000002 --use mac --exportability S": "N or E", "export --initial --base-key acme": "--initial",
		"load --tid 10000002 --under zmk": "--mac-block", "components start --base-key x --components 4": "2 or 3",
		"import --tid 10000002 --use mac --under zmk": "--block is missing", "export --tid 10000002 --use mac": "--under is missing",
	} {
		key(line, sign...).want(t, exitUsage, says)
	}
	key("export --tid 10000002 --use mac --under none", sign...).want(t, exitFailure, "no transport key none")
	w.call("audit", "list", "--kind", "key_exported").want(t, 0, "under transport key zmk", "by Ann Lee: a test")
	w.call("audit", "verify").want(t, 0)

	execSQL(t, w.url, `UPDATE terminals SET pik_wrapped = mak_wrapped WHERE tid = '10000001'`)
	key("check").want(t, exitInvariant, "pin key of terminal 10000001", "does not open", "1 of ")
}

// A master key is rotated over a production database.
func TestMasterKeyIsRotated(t *testing.T) {
	url := pgtest.Database(t, migrate)
	config := hostConfig(t, url)
	sign := []string{"--by", "Ann Lee", "--reason", "yearly", "--config", config, "--database-url", url}
	key := func(line string) outcome {
		t.Helper()
		return call(t, append(append([]string{"key"}, strings.Fields(line)...), sign...)...)
	}
	check := func() outcome {
		t.Helper()
		return call(t, "key", "check", "--config", config, "--database-url", url)
	}
	key("generate --transport-key zmk").want(t, 0)
	key("generate --base-key acme").want(t, 0)
	before := check().want(t, 0).stdout
	key("rotate-master").want(t, 0, "0 keys put under it, 4 were")

	file := masterKeyOf(t, config)
	old := readFile(t, file)
	if err := os.WriteFile(file, []byte(strings.Repeat("5a", 32)+"\n"+old), 0o600); err != nil {
		t.Fatal(err)
	}
	var done rotated
	o := key("rotate-master -o json").want(t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &done); err != nil || done.Keys != 4 || done.Current != 0 {
		t.Errorf("%v\n%s", err, o.stdout)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("5a", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := check().want(t, 0).stdout; after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	check().want(t, exitConfiguration, "wrapped under another master key")
	call(t, "audit", "list", "--database-url", url).want(t, 0, "keys_rewrapped", "4 keys put under it")
	if err := os.WriteFile(config, []byte(strings.Replace(readFile(t, config), "software", "none", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	check().want(t, exitConfiguration)
}

// masterKeyOf is the master key file that a configuration names.
func masterKeyOf(t testing.TB, config string) string {
	t.Helper()
	for line := range strings.Lines(readFile(t, config)) {
		if name, found := strings.CutPrefix(line, "master_key_file: "); found {
			return filepath.Clean(strings.TrimSpace(name))
		}
	}
	t.Fatal("the configuration names no master key")
	return ""
}

func TestPINTriesAreResetOverTheCommandLine(t *testing.T) {
	w := newWorld(t)
	sign := []string{"--by", "Ann Lee", "--reason", "the holder came in"}
	execSQL(t, w.url, `UPDATE card_accounts SET pin_failures = 3 WHERE card_id IN (1001, 1002)`)
	reset := func(stdin string, arguments ...string) outcome {
		t.Helper()
		return w.enter(stdin, append(append([]string{"card", "reset-pin-tries"}, arguments...), sign...)...)
	}
	reset("", "--account", "card:1001").want(t, 0, "wrong PINs of card:1001", "******")
	reset("", "--account", "card:1001").want(t, exitFailure, "the card has no wrong PINs")
	reset("", "--account", "card:999999").want(t, exitFailure, "there is no such card")
	var masked string
	running, err := sandbox.ReadManifest(w.dataDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range running.Cards {
		o := reset(c.PAN+"\n", "--pan-file", "-")
		if o.code == 0 {
			masked = o.stdout
			break
		}
	}
	if !strings.Contains(masked, "card:1002") {
		t.Errorf("told %q", masked)
	}
	reset("1234", "--pan-file", "-").want(t, exitUsage, "no card number")
	reset("", "--account", "7").want(t, exitUsage, "card:7")
	reset("").want(t, exitUsage, "one of them")
	w.call("audit", "list", "--kind", "pin_tries_reset").want(t, 0, "3 wrong PINs, by Ann Lee: the holder came in", "card:1002")
}
