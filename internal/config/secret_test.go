package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const secret = "hunter2"

func TestRedact(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"", ""},
		{"postgres://localhost/db", "postgres://localhost/db"},
		{"postgres://localhost:5432/db?sslmode=disable", "postgres://localhost:5432/db?sslmode=disable"},
		{"postgres://[::1]:5432/db", "postgres://[::1]:5432/db"},
		{"postgresql://u@h/db", "postgresql://u@h/db"},
		{"postgres://u:hunter2@h/db", "postgres://u:xxxxx@h/db"},
		{"postgres://u:hunter2@h1:5432,h2:5433/db?target_session_attrs=any", "postgres://u:xxxxx@h1:5432,h2:5433/db?target_session_attrs=any"},
		{"postgres://h1:5432,h2/db", "postgres://h1:5432,h2/db"},
		{"postgres://u:@h/db", "postgres://u:xxxxx@h/db"},
		// Characters that should have been escaped.
		{"postgres://u:hun@ter2@h/db", "postgres://u:xxxxx@h/db"},
		{"postgres://u:hunter2/@h/db", "postgres://u:xxxxx@h/db"},
		{"postgres://u:hunter2?x@h/db", "postgres://u:xxxxx@h/db"},
		// A forgotten host: the password looks like a port.
		{"postgres://u:hunter2/db", "postgres://xxxxx"},
		{"postgres://u:hunter2", "postgres://xxxxx"},
		// Parameters.
		{"postgres://u@h/db?password=hunter2&sslmode=disable", "postgres://u@h/db?password=xxxxx&sslmode=disable"},
		{"postgres://h:5432/db?user=u&password=hunter@2", "postgres://h:5432/db?user=u&password=xxxxx"},
		{"postgres://u:hunter2@h/db?PassWord=hunter2", "postgres://u:xxxxx@h/db?PassWord=xxxxx"},
		{"postgres:///db?sslkey=/k&sslpassword=hunter2", "postgres:///db?sslkey=/k&sslpassword=xxxxx"},
		// Words.
		{"host=h user=u password=hunter2 dbname=d", "host=h user=u password=xxxxx dbname=d"},
		{"host=h password = 'hunter2 \\' hunter2' dbname=d", "host=h password = xxxxx dbname=d"},
		{"host=h password='hunter2", "host=h password=xxxxx"},
		{"host=h password=a://hunter2", "host=h password=xxxxx"},
		{"password=hunter2", "password=xxxxx"},
		// What is no connection string at all.
		{"hunter2", "xxxxx"},
		{"mysql://u:hunter2@h", "xxxxx"},
		{"postgres:u:hunter2@h?sslmode=disable", "xxxxx"},
	} {
		got := DatabaseURL(c.url).String()
		if got != c.want {
			t.Errorf("%s is shown as %s, want %s", c.url, got, c.want)
		}
		if strings.Contains(got, "hunter") || strings.Contains(got, "ter2") {
			t.Errorf("%s shows the password", got)
		}
		if again := DatabaseURL(got).String(); again != got {
			t.Errorf("%s hidden again is %s", got, again)
		}
	}
}

func TestPasswordIsNeverShown(t *testing.T) {
	loaded := mustLoad(t, Options{Environ: []string{"MERIDIAN_DATABASE_URL=postgres://u:" + secret + "@h/db"}})
	config := loaded.Config
	if got := config.Database.URL.Reveal(); got != "postgres://u:"+secret+"@h/db" {
		t.Errorf("Reveal returns %s", got)
	}

	asJSON, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	inYAML, err := asYAML(config)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("configuration", "config", config, "url", config.Database.URL)
	slog.New(slog.NewTextHandler(&log, nil)).Info("configuration", "config", config, "url", config.Database.URL)

	for how, text := range map[string]string{
		"JSON":     string(asJSON),
		"YAML":     string(inYAML),
		"log":      log.String(),
		"%v":       fmt.Sprintf("%v", config),
		"%+v":      fmt.Sprintf("%+v", config),
		"%#v":      fmt.Sprintf("%#v", config),
		"Sprint":   fmt.Sprint(config.Database.URL),
		"%q":       fmt.Sprintf("%q", config.Database.URL),
		"%v of *":  fmt.Sprintf("%v", &config),
		"Redacted": config.Redacted().Database.URL.Reveal(),
		"Settings": fmt.Sprint(loaded.Settings()),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the password: %s", how, text)
		}
		if !strings.Contains(text, "xxxxx") {
			t.Errorf("%s does not show the URL at all: %s", how, text)
		}
	}
	if config.Database.URL.Reveal() == config.Redacted().Database.URL.Reveal() {
		t.Error("Redacted changed the configuration itself, or nothing")
	}
}

func TestDatabaseURLFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database-url")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const url = "postgres://u:" + secret + "@h/db"
	put(url + "\n")

	fromEnvironment := []string{"MERIDIAN_DATABASE_URL_FILE=" + path}
	loaded := mustLoad(t, Options{Environ: fromEnvironment})
	if got := loaded.Config.Database.URL.Reveal(); got != url {
		t.Errorf("the URL is %q", got)
	}
	if got := loaded.Origin("database.url").String(); got != path {
		t.Errorf("the URL comes from %s, want %s", got, path)
	}

	t.Run("a stronger URL takes its place", func(t *testing.T) {
		loaded := mustLoad(t, Options{
			Environ: fromEnvironment,
			Flags:   []Flag{{Name: "--database-url", Key: "database.url", Value: "postgres://other/db"}},
		})
		if got := loaded.Config.Database; got.URL != "postgres://other/db" || got.URLFile != "" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("it takes the place of a weaker URL", func(t *testing.T) {
		loaded := mustLoad(t, Options{Environ: fromEnvironment, File: write(t, "database: {url: postgres://other/db}\n")})
		if got := loaded.Config.Database.URL.Reveal(); got != url {
			t.Errorf("got %s", got)
		}
	})

	// One place says both; the file is empty, too large, holds two lines, is no URL, or is not there.
	for _, c := range []struct {
		name, content string
		options       Options
		want          string
	}{
		{
			"both in one place", url,
			Options{Environ: append(fromEnvironment, "MERIDIAN_DATABASE_URL=postgres://other/db")},
			"MERIDIAN_DATABASE_URL_FILE: database.url_file: database.url is given too (MERIDIAN_DATABASE_URL): keep one of them",
		},
		{"empty", " \n", Options{Environ: fromEnvironment}, "MERIDIAN_DATABASE_URL_FILE: database.url_file: " + path + ": the file is empty"},
		{
			"large", strings.Repeat("x", maxSecretBytes+1),
			Options{Environ: fromEnvironment},
			"MERIDIAN_DATABASE_URL_FILE: database.url_file: " + path + ": is larger than 8192 bytes",
		},
		{
			"two lines", url + "\n" + url,
			Options{Environ: fromEnvironment},
			"MERIDIAN_DATABASE_URL_FILE: database.url_file: " + path + ": contains the control character U+000A",
		},
		{
			"no URL", secret,
			Options{Environ: fromEnvironment},
			path + ": database.url: is neither a postgres:// URL nor a connection string such as host=… dbname=…",
		},
		{
			"not there", url,
			Options{Environ: []string{"MERIDIAN_DATABASE_URL_FILE=" + path + "x"}},
			"MERIDIAN_DATABASE_URL_FILE: database.url_file: " + path + "x: cannot be read: no such file or directory",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			put(c.content)
			got := problemsOf(t, c.options)
			if !slices.Equal(got, []string{c.want}) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Error("the refusal repeats the secret")
			}
		})
	}
}

// A file that others of the machine can read is refused as a master key's is.
func TestDatabaseURLFileIsForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "database-url")
	if err := os.WriteFile(path, []byte("postgres://u:"+secret+"@h/db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]string{0o600: "", 0o400: "", 0o640: "", 0o440: "", 0o644: "0644", 0o444: "0444", 0o660: "0660", 0o604: "0604"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Options{Environ: []string{"MERIDIAN_DATABASE_URL_FILE=" + path}})
		switch {
		case want == "" && err != nil:
			t.Errorf("%04o: %v", mode, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "its mode "+want+" is wider than 0640: chmod 600 it") || strings.Contains(err.Error(), secret)):
			t.Errorf("%04o: %v", mode, err)
		}
	}
}
