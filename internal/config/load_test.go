package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// write puts a configuration file into a directory of its own and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "meridian.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, options Options) *Loaded {
	t.Helper()
	loaded, err := Load(options)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return loaded
}

// problemsOf loads what must be refused, and returns the lines of the refusal with the directory cut off.
func problemsOf(t *testing.T, options Options) []string {
	t.Helper()
	loaded, err := Load(options)
	configError, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("loaded %+v with error %v; want an *Error", loaded, err)
	}
	if loaded != nil {
		t.Error("a refused configuration was returned")
	}
	text := configError.Error()
	if options.File != "" {
		text = strings.ReplaceAll(text, filepath.Dir(options.File)+string(filepath.Separator), "")
	}
	return strings.Split(text, "\n")
}

func TestNothingSetIsTheDefault(t *testing.T) {
	loaded := mustLoad(t, Options{Environ: []string{"HOME=/root", "PATH=/bin"}})
	if !reflect.DeepEqual(loaded.Config, Default()) {
		t.Errorf("got %+v, want the default", loaded.Config)
	}
	for _, setting := range loaded.Settings() {
		if setting.Origin != "default" {
			t.Errorf("%s comes from %s", setting.Key, setting.Origin)
		}
	}
}

func TestDefaultsAreValid(t *testing.T) {
	c := Default()
	if err := validate(c); err != nil {
		t.Error(err)
	}
	listener := DefaultListener()
	listener.Name, listener.Dialect, listener.Address = "nac", DialectNAC, "127.0.0.1:8583"
	c.Listeners = []Listener{listener}
	if err := validate(c); err != nil {
		t.Error(err)
	}
}

func TestFullFile(t *testing.T) {
	loaded := mustLoad(t, Options{File: filepath.Join("testdata", "full.yaml")})
	pos := Listener{
		Name: "pos", Dialect: DialectUnionPay, Address: "0.0.0.0:8583", Length: LengthBCD, MaxFrameBytes: 2048, DialMonitor: true,
		SpecFile: "/etc/meridian/nac.json",
		TLS: TLS{
			Certificate: "/etc/meridian/host.pem", Key: "/etc/meridian/host.key",
			ClientCA: "/etc/meridian/terminals.pem", RequireClientCertificate: true, MinVersion: "1.3",
		},
		Allow:          []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		MaxConnections: 5000, MaxConnectionsPerAddress: 100, MaxInFlight: 32,
		ReadTimeout: 5 * time.Second, WriteTimeout: 6 * time.Second, IdleTimeout: 5 * time.Minute, HandshakeTimeout: 7 * time.Second,
		UnknownReversal: UnknownReversalDecline, Profile: "spp", AcquirerID: "01020000",
	}
	ascii := DefaultListener()
	ascii.Name, ascii.Dialect, ascii.Address, ascii.Length = "ascii", DialectASCII, "127.0.0.1:8584", LengthASCII
	want := Config{
		Database: Database{
			URL:            "postgres://meridian:not-a-real-password@db.example:5432/meridian?sslmode=verify-full",
			MaxConnections: 20, ConnectTimeout: 3 * time.Second,
		},
		MasterKeyFile: "/run/secrets/master-key", SecurityModule: "software",
		Listeners: []Listener{pos, ascii},
		Limits:    Limits{MaxInFlight: 2000, MaxConnections: 8000},
		Admission: Admission{
			TerminalRate: 11, TerminalBurst: 12, SettlementRate: 18, SettlementBurst: 19, AddressRate: 13, AddressBurst: 14, RefusalRate: 15, RefusalBurst: 16, TotalRefusalRate: 17,
			Concentrators: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, LockAfter: 3, LockWithin: 4 * time.Minute, LockFor: 5 * time.Minute,
		},
		Switch:   Switch{ReplyTimeout: 20 * time.Second, StoreTimeout: 4 * time.Second, MaxBatch: 128, Queue: 512},
		Ops:      Ops{Address: "127.0.0.1:9000", Pprof: true},
		Console:  Console{Address: "127.0.0.1:9001", Certificate: "/etc/meridian/console.pem", Key: "/etc/meridian/console.key"},
		Log:      Log{Level: "debug", Format: "json"},
		Shutdown: Shutdown{DrainTimeout: 40 * time.Second},
	}
	if !reflect.DeepEqual(loaded.Config, want) {
		t.Errorf("got  %+v\nwant %+v", loaded.Config, want)
	}
	// The file is what shows an operator all there is: it names every key, in the first listener or outside of them.
	for _, setting := range loaded.Settings() {
		if setting.Key != "database.url_file" && !strings.HasPrefix(setting.Key, "listeners[1]") && setting.Origin == "default" {
			t.Errorf("testdata/full.yaml does not set %s", setting.Key)
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "log: {level: debug}\nswitch:\n  queue: 300\n  max_batch: 30\nlimits: {max_in_flight: 77}\n")
	loaded := mustLoad(t, Options{
		File:    file,
		Environ: []string{"MERIDIAN_SWITCH_QUEUE=400", "MERIDIAN_LOG_LEVEL=warn", "MERIDIAN_LIMITS_MAX_IN_FLIGHT="},
		Flags:   []Flag{{Name: "--log-level", Key: "log.level", Value: "error"}},
	})
	for _, want := range []struct {
		key, value, origin string
		source             Source
	}{
		{"log.level", "error", "--log-level", SourceFlag},
		{"switch.queue", "400", "MERIDIAN_SWITCH_QUEUE", SourceEnvironment},
		{"switch.max_batch", "30", file + ":4", SourceFile},
		{"limits.max_in_flight", "77", file + ":5", SourceFile}, // an empty variable is not set
		{"log.format", "auto", "default", SourceDefault},
	} {
		settings := loaded.Settings()
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == want.key })
		if i < 0 {
			t.Fatalf("%s is not among the settings", want.key)
		}
		if got := settings[i]; got.Value != want.value || got.Origin != want.origin {
			t.Errorf("%s is %s from %s, want %s from %s", want.key, got.Value, got.Origin, want.value, want.origin)
		}
		if got := loaded.Origin(want.key).Source; got != want.source {
			t.Errorf("%s has source %s, want %s", want.key, got, want.source)
		}
	}
}

func TestFileVariable(t *testing.T) {
	first, second := write(t, "log: {level: debug}\n"), write(t, "log: {level: warn}\n")
	environ := []string{"MERIDIAN_CONFIG=" + first}
	if level := mustLoad(t, Options{Environ: environ}).Config.Log.Level; level != "debug" {
		t.Errorf("level %s from MERIDIAN_CONFIG, want debug", level)
	}
	loaded := mustLoad(t, Options{Environ: environ, File: second})
	if loaded.Config.Log.Level != "warn" || loaded.File != second {
		t.Errorf("level %s from %s; the file that was named comes first", loaded.Config.Log.Level, loaded.File)
	}
}

func TestListenersFromEnvironment(t *testing.T) {
	var environ []string
	// The environment has no order: the tenth comes before the second here.
	for _, number := range []string{"10", "0", "9", "8", "7", "6", "5", "4", "3", "2", "1"} {
		environ = append(environ,
			"MERIDIAN_LISTENERS_"+number+"_DIALECT=nac",
			"MERIDIAN_LISTENERS_"+number+"_NAME=n"+number,
			"MERIDIAN_LISTENERS_"+number+"_ADDRESS=127.0.0.1:0")
	}
	environ = append(environ,
		"MERIDIAN_LISTENERS_1_ALLOW=10.0.0.0/8, 192.168.0.0/16",
		"MERIDIAN_LISTENERS_1_TLS_MIN_VERSION=1.3")
	listeners := mustLoad(t, Options{Environ: environ}).Config.Listeners
	if len(listeners) != 11 {
		t.Fatalf("%d listeners, want 11", len(listeners))
	}
	if listeners[10].Name != "n10" || listeners[2].Name != "n2" {
		t.Errorf("listeners are out of order: %s at 10, %s at 2", listeners[10].Name, listeners[2].Name)
	}
	want := DefaultListener()
	want.Name, want.Dialect, want.Address = "n1", DialectNAC, "127.0.0.1:0"
	want.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.0.0/16")}
	want.TLS.MinVersion = "1.3"
	if !reflect.DeepEqual(listeners[1], want) {
		t.Errorf("got  %+v\nwant %+v", listeners[1], want)
	}
}

func TestEnvironmentChangesOneKeyOfAListener(t *testing.T) {
	file := write(t, "listeners:\n  - {name: nac, dialect: nac, address: 127.0.0.1:8583, max_in_flight: 8}\n")
	loaded := mustLoad(t, Options{File: file, Environ: []string{"MERIDIAN_LISTENERS_0_ADDRESS=:9583"}})
	got := loaded.Config.Listeners[0]
	if got.Address != ":9583" || got.Name != "nac" || got.MaxInFlight != 8 {
		t.Errorf("got %+v", got)
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	mustLoad(t, Options{Environ: []string{
		"MERIDIAN_TEST_DATABASE_URL=postgres://localhost/test",
		"MERIDIAN_POSTGRES_REPOSITORY=https://mirror.example",
		// What Kubernetes adds for services called meridian and meridian-ops.
		"MERIDIAN_SERVICE_HOST=10.3.0.1",
		"MERIDIAN_SERVICE_PORT=8583",
		"MERIDIAN_SERVICE_PORT_NAC=8583",
		"MERIDIAN_PORT=tcp://10.3.0.1:8583",
		"MERIDIAN_PORT_8583_TCP=tcp://10.3.0.1:8583",
		"MERIDIAN_PORT_8583_TCP_ADDR=10.3.0.1",
		"MERIDIAN_OPS_SERVICE_HOST=10.3.0.2",
		"MERIDIAN_OPS_PORT=tcp://10.3.0.2:9580",
		"MERIDIANX=1",
	}})
}

func TestPathsAreRelativeToTheirFile(t *testing.T) {
	file := write(t, "master_key_file: keys/master\n")
	loaded := mustLoad(t, Options{File: file})
	if want := filepath.Join(filepath.Dir(file), "keys", "master"); loaded.Config.MasterKeyFile != want {
		t.Errorf("from the file: %s, want %s", loaded.Config.MasterKeyFile, want)
	}
	loaded = mustLoad(t, Options{File: file, Environ: []string{"MERIDIAN_MASTER_KEY_FILE=keys/master"}})
	if loaded.Config.MasterKeyFile != "keys/master" {
		t.Errorf("from the environment: %s", loaded.Config.MasterKeyFile)
	}
}

func TestEmptyFileSetsNothing(t *testing.T) {
	for _, content := range []string{"", "# nothing\n", "---\n", "null\n"} {
		if loaded := mustLoad(t, Options{File: write(t, content)}); !reflect.DeepEqual(loaded.Config, Default()) {
			t.Errorf("%q changed the default: %+v", content, loaded.Config)
		}
	}
}
