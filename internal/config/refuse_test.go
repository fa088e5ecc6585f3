package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listenerWith is a file with one right listener and more keys of it from line 5 on.
func listenerWith(lines ...string) string {
	return "listeners:\n  - name: nac\n    dialect: nac\n    address: 127.0.0.1:8583\n    " + strings.Join(lines, "\n    ") + "\n"
}

func TestRefusedFiles(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		// Keys.
		{
			"unknown key", "log:\n  levle: debug\n",
			[]string{`meridian.yaml:2: log.levle: unknown key; did you mean level?`},
		},
		{
			"unknown section", "databse:\n  url: postgres://localhost\n",
			[]string{`meridian.yaml:1: databse: unknown key; did you mean database?`},
		},
		{
			"key of another section", "log:\n  drain_timeout: 3s\n",
			[]string{`meridian.yaml:2: log.drain_timeout: unknown key; it belongs under shutdown`},
		},
		{
			"key of a listener at the top", "max_frame_bytes: 300\n",
			[]string{`meridian.yaml:1: max_frame_bytes: unknown key; it belongs under listeners[]`},
		},
		{
			"top key in a section", "ops:\n  master_key_file: x\n",
			[]string{`meridian.yaml:2: ops.master_key_file: unknown key; it belongs at the top`},
		},
		{
			"key near nothing", "colour: red\n",
			[]string{`meridian.yaml:1: colour: unknown key`},
		},
		{
			"misspelt key is not missing too", "listeners:\n  - nmae: nac\n    dialect: nac\n    address: :8583\n",
			[]string{`meridian.yaml:2: listeners[0].nmae: unknown key; did you mean name?`},
		},
		{
			"key twice", "log:\n  level: info\n  format: json\n  level: debug\n",
			[]string{`meridian.yaml:4: log.level: is given twice, first on line 2`},
		},
		{
			"URL in place of a key", "database:\n  postgres://u:hunter2@h/db: 1\n",
			[]string{`meridian.yaml:2: database.xxxxx: unknown key`},
		},
		// Values of the wrong kind.
		{
			"text for a number", "switch:\n  queue: many\n",
			[]string{`meridian.yaml:2: switch.queue: "many" is not a whole number`},
		},
		{
			"fraction", "switch:\n  queue: 10.5\n",
			[]string{`meridian.yaml:2: switch.queue: "10.5" is not a whole number`},
		},
		{
			"number beyond any", "switch:\n  queue: 99999999999999999999\n",
			[]string{`meridian.yaml:2: switch.queue: "99999999999999999999" is not a whole number`},
		},
		{
			"duration without unit", "switch:\n  reply_timeout: 15\n",
			[]string{`meridian.yaml:2: switch.reply_timeout: "15" is not a duration with its unit, such as 500ms, 30s or 10m`},
		},
		{
			"yes for true", "ops:\n  pprof: yes\n",
			[]string{`meridian.yaml:2: ops.pprof: "yes" is not true or false`},
		},
		{
			"list for a text", "log:\n  level: [debug]\n",
			[]string{`meridian.yaml:2: log.level: is a list; expected a text`},
		},
		{
			"section for a number", "limits:\n  max_in_flight:\n    nac: 3\n",
			[]string{`meridian.yaml:3: limits.max_in_flight: is a section; expected a whole number`},
		},
		{
			"text for a section", "database: postgres://u:hunter2@h/db\n",
			[]string{`meridian.yaml:1: database: is a single value; expected a section with keys of its own`},
		},
		{
			"listeners by name", "listeners:\n  nac:\n    address: :8583\n",
			[]string{`meridian.yaml:2: listeners: is a section; expected a list`},
		},
		{
			"no value", "database:\n  url:\nlog:\n",
			[]string{
				`meridian.yaml:2: database.url: has no value: give it a text, or leave the key out`,
				`meridian.yaml:3: log: has no value: give it a section with keys of its own, or leave the key out`,
			},
		},
		{
			"list at the top", "- name: nac\n",
			[]string{`meridian.yaml:1: is a list; expected a section with keys of its own`},
		},
		{
			"control character", "master_key_file: \"a\\nb\"\n",
			[]string{`meridian.yaml:1: master_key_file: contains the control character U+000A`},
		},
		{
			"long text", "master_key_file: /" + strings.Repeat("a", 5000) + "\n",
			[]string{`meridian.yaml:1: master_key_file: is 5001 bytes long; at most 4096`},
		},
		{
			"long wrong value", "switch:\n  queue: " + strings.Repeat("a", 100) + "\n",
			[]string{`meridian.yaml:2: switch.queue: "` + strings.Repeat("a", 64) + `"… is not a whole number`},
		},
		// Values out of range.
		{
			"below the range", listenerWith("max_frame_bytes: 10"),
			[]string{`meridian.yaml:5: listeners[0].max_frame_bytes: 10 is outside 64 to 65535`},
		},
		{
			"above the range", "database:\n  max_connections: 5000\n",
			[]string{`meridian.yaml:2: database.max_connections: 5000 is outside 2 to 1000`},
		},
		{
			"negative duration", "switch:\n  store_timeout: -5s\n",
			[]string{`meridian.yaml:2: switch.store_timeout: -5s is outside 100ms to 1m`},
		},
		{
			"not one of", "log:\n  level: warning\n",
			[]string{`meridian.yaml:2: log.level: "warning" is not one of debug, info, warn, error`},
		},
		{
			"near one of", listenerWith("length: binray"),
			[]string{`meridian.yaml:5: listeners[0].length: "binray" is not one of binary, bcd, ascii; did you mean binary?`},
		},
		{
			"empty where one is needed", listenerWith(`length: ""`),
			[]string{`meridian.yaml:5: listeners[0].length: "" is not one of binary, bcd, ascii`},
		},
		// Networks.
		{
			"address for a network", listenerWith("allow:", "  - 10.0.0.0/8", "  - 10.1.2.3"),
			[]string{`meridian.yaml:7: listeners[0].allow[1]: "10.1.2.3" is an address, not a network: write 10.1.2.3/32`},
		},
		{
			"network with host bits", listenerWith("allow: [10.1.2.3/8]"),
			[]string{`meridian.yaml:5: listeners[0].allow[0]: "10.1.2.3/8" has bits set beyond its length: ` +
				`write 10.0.0.0/8, or 10.1.2.3/32 for the one address`},
		},
		{
			"no network", listenerWith("allow: [lan]"),
			[]string{`meridian.yaml:5: listeners[0].allow[0]: "lan" is not a network such as 10.0.0.0/8`},
		},
		{
			"networks as one text", listenerWith(`allow: "10.0.0.0/8,::/0"`),
			[]string{`meridian.yaml:5: listeners[0].allow: is a single value; expected a list`},
		},
		// What hangs together.
		{
			"nothing of a listener", "listeners:\n  - {}\n",
			[]string{
				`meridian.yaml:2: listeners[0].name: is missing`,
				`meridian.yaml:2: listeners[0].dialect: is missing: one of nac, ascii, unionpay`,
				`meridian.yaml:2: listeners[0].address: is missing`,
			},
		},
		{
			"name that is no label", "listeners:\n  - {name: NAC 1, dialect: nac, address: \":8583\"}\n",
			[]string{`meridian.yaml:2: listeners[0].name: "NAC 1" is not a name of small letters, digits, - and _, at most 32`},
		},
		{
			"two of a name and address", "listeners:\n- {name: a, dialect: nac, address: \":1\"}\n- {name: a, dialect: nac, address: \":1\"}\n",
			[]string{
				`meridian.yaml:3: listeners[1].name: "a" is the name of listeners[0] too`,
				`meridian.yaml:3: listeners[1].address: :1 is taken by listeners[0].address`,
			},
		},
		{
			"address of ops", "listeners:\n- {name: a, dialect: nac, address: 127.0.0.1:9580}\n",
			[]string{`meridian.yaml:2: listeners[0].address: 127.0.0.1:9580 is taken by ops.address`},
		},
		{
			"no port", "ops:\n  address: localhost\n",
			[]string{`meridian.yaml:2: ops.address: "localhost" is not host:port, such as 127.0.0.1:8583 or [::1]:8583`},
		},
		{
			"port too large", "ops:\n  address: localhost:70000\n",
			[]string{`meridian.yaml:2: ops.address: "localhost:70000" has no port from 0 to 65535`},
		},
		{
			"port by name", "ops:\n  address: localhost:http\n",
			[]string{`meridian.yaml:2: ops.address: "localhost:http" has no port from 0 to 65535`},
		},
		{
			"console without port", "console:\n  address: localhost\n",
			[]string{`meridian.yaml:2: console.address: "localhost" is not host:port, such as 127.0.0.1:8583 or [::1]:8583`},
		},
		{
			"console for everybody in clear", "console:\n  address: 0.0.0.0:8580\n",
			[]string{`meridian.yaml:2: console.address: "0.0.0.0:8580" is not this machine alone: name console.certificate and console.key, or an address such as 127.0.0.1:8580`},
		},
		{
			"console by name in clear", "console:\n  address: console.example:8580\n",
			[]string{`meridian.yaml:2: console.address: "console.example:8580" is not this machine alone: name console.certificate and console.key, or an address such as 127.0.0.1:8580`},
		},
		{
			"console with half a certificate", "console:\n  key: a.key\n",
			[]string{`meridian.yaml:1: console.certificate: is missing beside console.key`},
		},
		{
			"console with the other half", "console:\n  certificate: a.pem\n",
			[]string{`meridian.yaml:1: console.key: is missing beside console.certificate`},
		},
		{
			"console at ops", "console:\n  address: 127.0.0.1:9580\n",
			[]string{`meridian.yaml:2: console.address: 127.0.0.1:9580 is taken by ops.address`},
		},
		{
			"frame that four digits cannot announce", listenerWith("length: bcd", "max_frame_bytes: 20000"),
			[]string{`meridian.yaml:6: listeners[0].max_frame_bytes: 20000 cannot be announced by a length of four digits (length: bcd): at most 9999`},
		},
		{
			"acquirer that is none", listenerWith("acquirer_id: 0102"),
			[]string{`meridian.yaml:5: listeners[0].acquirer_id: "0102" is not 8 to 11 digits`},
		},
		{
			"dial-monitor header of another dialect", listenerWith("dial_monitor: true"),
			[]string{`meridian.yaml:5: listeners[0].dial_monitor: is for dialect unionpay alone: no other has a dial-monitor header`},
		},
		{
			"certificate without key", listenerWith("tls:", "  certificate: /x.pem"),
			[]string{`meridian.yaml:5: listeners[0].tls.key: is missing beside tls.certificate`},
		},
		{
			"key without certificate", listenerWith("tls: {key: /x.key}"),
			[]string{`meridian.yaml:5: listeners[0].tls.certificate: is missing beside tls.key`},
		},
		{
			"client roots without TLS", listenerWith("tls: {client_ca: /ca.pem}"),
			[]string{`meridian.yaml:5: listeners[0].tls.client_ca: needs tls.certificate and tls.key: without them the listener does not speak TLS`},
		},
		{
			"client certificates without roots", listenerWith("tls:", "  require_client_certificate: true"),
			[]string{`meridian.yaml:6: listeners[0].tls.require_client_certificate: needs tls.client_ca, which terminals' certificates are checked against`},
		},
		{
			"old TLS", listenerWith("tls: {min_version: 1.1}"),
			[]string{`meridian.yaml:5: listeners[0].tls.min_version: "1.1" is not one of 1.2, 1.3; did you mean 1.2?`},
		},
		{
			"store slower than reply", "switch: {reply_timeout: 4s}\n",
			[]string{`meridian.yaml:1: switch.store_timeout: 5s is not shorter than switch.reply_timeout, 4s: ` +
				`a request would be given up while it is stored`},
		},
		{
			"queue under a batch", "switch: {queue: 10}\n",
			[]string{`meridian.yaml:1: switch.queue: 10 is less than switch.max_batch, 256, which could never be filled`},
		},
		{
			"connection over the total", listenerWith("max_in_flight: 5000"),
			[]string{`meridian.yaml:5: listeners[0].max_in_flight: 5000 for one connection is more than limits.max_in_flight, 4096 for all`},
		},
		{
			"database URL of another kind", "database:\n  url: mysql://u:hunter2@h/db\n",
			[]string{`meridian.yaml:2: database.url: is neither a postgres:// URL nor a connection string such as host=… dbname=…`},
		},
		// YAML.
		{
			"tab", "log:\n\tlevel: info\n",
			[]string{`meridian.yaml:2: not YAML: found character that cannot start any token`},
		},
		{
			"flow that does not end", "log: {level: info}\nops: {pprof: true]\n",
			[]string{`meridian.yaml:2: not YAML: did not find expected ',' or '}'`},
		},
		{
			"alias", "log: &log {level: info}\nops: *log\n",
			[]string{`meridian.yaml:2: ops: an alias is not read: write the value out`},
		},
		{
			"merge key", "log: &log {level: info}\nops:\n  <<: *log\n",
			[]string{`meridian.yaml:3: ops: a key is a plain word; merge keys and aliases are not read: write the values out`},
		},
		{
			"tag", "log: {level: !!str info}\n",
			[]string{`meridian.yaml:1: log.level: a tag such as !!str is not read: write the value alone`},
		},
		{
			"two documents", "log: {level: info}\n---\nlog: {level: debug}\n",
			[]string{`meridian.yaml:2: a second document begins here; only one is read`},
		},
		// Everything at once.
		{
			"several problems", "log:\n  level: loud\n  fromat: json\nswitch:\n  queue: x\n  max_batch: 0\n",
			[]string{
				`meridian.yaml:3: log.fromat: unknown key; did you mean format?`,
				`meridian.yaml:5: switch.queue: "x" is not a whole number`,
				`meridian.yaml:6: switch.max_batch: 0 is outside 1 to 10000`,
				`meridian.yaml:2: log.level: "loud" is not one of debug, info, warn, error`,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(t, Options{File: write(t, c.content)})
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Error("the refusal repeats a password")
			}
		})
	}
}

func TestRefusedEnvironmentAndFlags(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		flags   []Flag
		want    []string
	}{
		{
			name: "unknown variable", environ: []string{"MERIDIAN_LOG_LEVLE=debug"},
			want: []string{`MERIDIAN_LOG_LEVLE: unknown variable; did you mean MERIDIAN_LOG_LEVEL?`},
		},
		{
			name: "unknown variable of a listener", environ: []string{"MERIDIAN_LISTENERS_12_ADRESS=:1"},
			want: []string{`MERIDIAN_LISTENERS_12_ADRESS: unknown variable; did you mean MERIDIAN_LISTENERS_12_ADDRESS?`},
		},
		{
			name: "section as a variable", environ: []string{"MERIDIAN_LOG=debug"},
			want: []string{`MERIDIAN_LOG: unknown variable`},
		},
		{
			name: "number of a listener with a zero before it", environ: []string{"MERIDIAN_LISTENERS_01_ADDRESS=:1"},
			want: []string{`MERIDIAN_LISTENERS_01_ADDRESS: unknown variable; did you mean MERIDIAN_LISTENERS_1_ADDRESS?`},
		},
		{
			name: "port that is no service link", environ: []string{"MERIDIAN_PORT=8583"},
			want: []string{`MERIDIAN_PORT: unknown variable`},
		},
		{
			name: "wrong value", environ: []string{"MERIDIAN_SWITCH_REPLY_TIMEOUT=soon"},
			want: []string{`MERIDIAN_SWITCH_REPLY_TIMEOUT: switch.reply_timeout: "soon" is not a duration with its unit, such as 500ms, 30s or 10m`},
		},
		{
			name: "value out of range", environ: []string{"MERIDIAN_DATABASE_MAX_CONNECTIONS=1"},
			want: []string{`MERIDIAN_DATABASE_MAX_CONNECTIONS: database.max_connections: 1 is outside 2 to 1000`},
		},
		{
			name: "gap between listeners", environ: []string{"MERIDIAN_LISTENERS_1_NAME=nac"},
			want: []string{`MERIDIAN_LISTENERS_1_NAME: listeners[1].name: there are 0 listeners before this one: number them from 0 without a gap`},
		},
		{
			name: "too many listeners", environ: []string{"MERIDIAN_LISTENERS_64_NAME=nac"},
			want: []string{`MERIDIAN_LISTENERS_64_NAME: listeners[64].name: at most 64 listeners`},
		},
		{
			name: "wrong network in a list",
			environ: []string{
				"MERIDIAN_LISTENERS_0_NAME=nac", "MERIDIAN_LISTENERS_0_DIALECT=nac", "MERIDIAN_LISTENERS_0_ADDRESS=:1",
				"MERIDIAN_LISTENERS_0_ALLOW=10.0.0.0/8,,::/0",
			},
			want: []string{`MERIDIAN_LISTENERS_0_ALLOW: listeners[0].allow: "" is not a network such as 10.0.0.0/8`},
		},
		{
			name: "wrong flag", flags: []Flag{{Name: "--log-level", Key: "log.level", Value: "loud"}},
			want: []string{`--log-level: log.level: "loud" is not one of debug, info, warn, error`},
		},
		{
			name: "flag without a key", flags: []Flag{{Name: "--colour", Key: "log.colour", Value: "red"}, {Name: "--l", Key: "listeners", Value: "x"}},
			want: []string{`--colour: log.colour: unknown key`, `--l: listeners: is a list, not a single value`},
		},
		{
			name: "flag on an item of what is no list", flags: []Flag{{Name: "--x", Key: "log[0].level", Value: "info"}},
			want: []string{`--x: log[0].level: unknown key`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problemsOf(t, Options{Environ: c.environ, Flags: c.flags})
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "meridian.yaml")
	if got, want := problemsOf(t, Options{File: missing}), []string{"meridian.yaml: cannot be read: no such file or directory"}; !slices.Equal(got, want) {
		t.Errorf("missing: got %q, want %q", got, want)
	}
	large := write(t, strings.Repeat("#", maxFileBytes+1))
	if got, want := problemsOf(t, Options{File: large}), []string{"meridian.yaml: is larger than 1048576 bytes"}; !slices.Equal(got, want) {
		t.Errorf("large: got %q, want %q", got, want)
	}
}

func TestListsAreBounded(t *testing.T) {
	var listeners, allow strings.Builder
	listeners.WriteString("listeners:\n")
	for i := range maxListeners + 1 {
		fmt.Fprintf(&listeners, "- {name: l%d, dialect: nac, address: \":%d\"}\n", i, i+1)
	}
	if got := problemsOf(t, Options{File: write(t, listeners.String())}); !slices.Equal(got, []string{"meridian.yaml:2: listeners: has 65 items; at most 64"}) {
		t.Errorf("got %q", got)
	}
	for range maxAllowPrefixes + 1 {
		allow.WriteString("10.0.0.0/8,")
	}
	networks := "[" + strings.TrimSuffix(allow.String(), ",") + "]"
	if got := problemsOf(t, Options{File: write(t, listenerWith("allow: "+networks))}); !slices.Equal(got, []string{
		"meridian.yaml:5: listeners[0].allow: has 1025 items; at most 1024",
	}) {
		t.Errorf("got %q", got)
	}
}

func TestManyProblemsAreCutShort(t *testing.T) {
	var content strings.Builder
	for i := range maxShownProblems + 7 {
		fmt.Fprintf(&content, "unknown%d: 1\n", i)
	}
	got := problemsOf(t, Options{File: write(t, content.String())})
	if len(got) != maxShownProblems+1 || got[maxShownProblems] != "and 7 more" {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
}
