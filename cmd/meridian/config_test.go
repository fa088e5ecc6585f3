package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"meridian/host/dialect"
	"meridian/internal/config"
)

// write puts a file into a directory of its own.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// masterKey writes a key that production would take.
func masterKey(t testing.TB) string {
	t.Helper()
	return write(t, "master-key", strings.Repeat("3f", 32)+"\n")
}

// The example is the defaults, and names every key.
func TestExampleIsTheDefaults(t *testing.T) {
	path := write(t, "meridian.yaml", call(t, "config", "example").want(t, 0).stdout)
	loaded, err := config.Load(config.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Database.URL = "postgres://meridian@localhost:5432/meridian"
	want.MasterKeyFile = "/run/secrets/master-key"
	want.SecurityModule = config.SecurityModuleSoftware
	nac, ascii := config.DefaultListener(), config.DefaultListener()
	nac.Name, nac.Dialect, nac.Address = "nac", config.DialectNAC, ":8583"
	ascii.Name, ascii.Dialect, ascii.Address = "ascii", config.DialectASCII, ":8584"
	want.Listeners = []config.Listener{nac, ascii}
	got := loaded.Config
	if len(got.Listeners) > 0 && len(got.Listeners[0].Allow) == 0 {
		got.Listeners[0].Allow = nil // an empty list is none
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, s := range loaded.Settings() {
		if s.Origin == "default" && s.Key != "database.url_file" && !strings.HasPrefix(s.Key, "listeners[1]") {
			t.Errorf("the example does not name %s", s.Key)
		}
	}
}

func TestConfigShowsOrigins(t *testing.T) {
	path := write(t, "meridian.yaml", "log: {level: debug}\ndatabase:\n  url: postgres://meridian:hunter2@db/meridian\n")
	environ := []string{"MERIDIAN_SWITCH_QUEUE=400", "MERIDIAN_CONFIG=" + path}
	o := callWith(t, environ, "", "config", "--output", "json").want(t, 0)
	var settings []config.Setting
	if err := json.Unmarshal([]byte(o.stdout), &settings); err != nil {
		t.Fatal(err)
	}
	for _, want := range []config.Setting{
		{Key: "log.level", Value: "debug", Origin: path + ":1"},
		{Key: "switch.queue", Value: "400", Origin: "MERIDIAN_SWITCH_QUEUE"},
		{Key: "log.format", Value: "auto", Origin: "default"},
	} {
		found := false
		for _, s := range settings {
			found = found || s == want
		}
		if !found {
			t.Errorf("%+v is not among the settings", want)
		}
	}
	text := callWith(t, environ, "", "config").want(t, 0, "KEY", "MERIDIAN_SWITCH_QUEUE", "meridian.yaml:3")
	if strings.Contains(o.stdout+text.stdout, "hunter2") {
		t.Error("the password is shown")
	}
}

// listener is the least that a host needs beside database and key.
const listener = "listeners:\n  - {name: nac, dialect: nac, address: '127.0.0.1:0'}\n"

// The profiles that a configuration may name are those there are.
func TestConfigNamesEveryProfile(t *testing.T) {
	key := masterKey(t)
	for _, profile := range dialect.Profiles() {
		content := "master_key_file: " + key + "\ndatabase: {url: 'postgres://db/meridian'}\nsecurity_module: software\n" +
			strings.Replace(listener, "dialect: nac", "dialect: unionpay, profile: "+profile, 1)
		call(t, "config", "check", write(t, "meridian.yaml", content)).want(t, 0, "could start")
	}
}

func TestConfigCheck(t *testing.T) {
	key := masterKey(t)
	whole := "master_key_file: " + key + "\ndatabase: {url: 'postgres://db/meridian'}\nsecurity_module: software\n"
	call(t, "config", "check", write(t, "meridian.yaml", whole+listener)).want(t, 0, "could start", "1 listeners")
	o := call(t, "config", "check", "-o", "json", write(t, "meridian.yaml", whole+listener)).want(t, 0)
	var checked checkedConfig
	if err := json.Unmarshal([]byte(o.stdout), &checked); err != nil || !checked.Valid || len(checked.Listeners) != 1 {
		t.Errorf("got %+v, %v", checked, err)
	}
	sandboxKey := write(t, "sandbox-key", "sandbox:"+strings.Repeat("3f", 32))
	wide := masterKey(t)
	if err := os.Chmod(wide, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"unknown key", whole + "log: {levle: debug}\n" + listener, []string{"meridian.yaml:4", "levle", "level"}},
		{"no listener", whole, []string{"meridian.yaml", "listeners"}},
		{
			"unusable database", strings.Replace(whole, "db/meridian", "u:hunter2@db/meridian?sslmode=bogus", 1) + listener,
			[]string{"meridian.yaml:2", "database.url", "sslmode"},
		},
		{"no database", "master_key_file: " + key + "\n" + listener, []string{"database.url", "is missing"}},
		{"no key", "database: {url: 'postgres://db/meridian'}\n" + listener, []string{"master_key_file", "openssl rand -hex 32"}},
		{"no security module", strings.Replace(whole, "software", "none", 1) + listener, []string{"meridian.yaml:3", "security_module", "--security-module"}},
		{"key that others read", strings.Replace(whole, key, wide, 1) + listener, []string{"meridian.yaml:1", "0644", "chmod 600"}},
		{
			"missing file", whole + strings.Replace(listener, "}", ", spec_file: nowhere.json}", 1),
			[]string{"meridian.yaml:5", "spec_file", "nowhere.json"},
		},
		{
			"wrong field table", whole + strings.Replace(listener, "}", ", spec_file: "+sandboxKey+"}", 1),
			[]string{"meridian.yaml:5", "spec_file", sandboxKey},
		},
		{
			"wrong certificate", whole + strings.Replace(listener, "}", ", tls: {certificate: "+key+", key: "+key+"}}", 1),
			[]string{"meridian.yaml:5", "tls", "certificate"},
		},
		{
			"unknown profile", whole + strings.Replace(listener, "dialect: nac", "dialect: unionpay, profile: spd", 1),
			[]string{"meridian.yaml:5", "profile", "did you mean spp"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			call(t, "config", "check", write(t, "meridian.yaml", c.content)).want(t, exitConfiguration, c.want...)
		})
	}
	call(t, "config", "check", "/nonexistent.yaml").want(t, exitConfiguration, "/nonexistent.yaml", "no such file")
	callWith(t, []string{"MERIDIAN_LOG_LEVLE=debug"}, "", "config").want(t, exitConfiguration, "MERIDIAN_LOG_LEVLE")
}
