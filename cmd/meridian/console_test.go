package main

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"meridian/internal/pglocal/pgtest"
)

// A token opens a host's console, over TLS too, until it is revoked; and ends with
// the host.
func TestConsoleOfAHost(t *testing.T) {
	url := pgtest.Database(t, migrate)
	o := call(t, "console", "token", "make", "--name", "Ann Lee", "--role", "operator", "--by", "Joe", "--reason", "joins", "--database-url", url, "-o", "json").want(t, 0)
	var made struct {
		ID    string `json:"token_id"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &made); err != nil || !strings.HasPrefix(made.Token, "mct_"+made.ID+"_") {
		t.Fatalf("%s: %v", o.stdout, err)
	}
	list := call(t, "console", "token", "list", "--database-url", url).want(t, 0, made.ID, "Ann Lee", "operator", "valid")
	if strings.Contains(list.stdout, made.Token) {
		t.Error("the list has the token's text")
	}

	certificate, key := selfSigned(t)
	config := write(t, "meridian.yaml", readFile(t, hostConfig(t, url))+
		"console: {address: '127.0.0.1:0', certificate: '"+certificate+"', key: '"+key+"'}\n")
	host := start(t, "serve", "--config", config)
	base := "https://" + address(t, host.await("ready"), "console")
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(token string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if status, _ := get(""); status != http.StatusSeeOther {
		t.Errorf("without a token: %d", status)
	}
	if status, body := get(made.Token); status != http.StatusOK || !strings.Contains(body, "Ann Lee, operator") || strings.Contains(body, "Sandbox") {
		t.Errorf("with a token: %d\n%s", status, body)
	}
	call(t, "console", "token", "revoke", made.ID, "--by", "Joe", "--reason", "left", "--database-url", url).want(t, 0, "is revoked")
	if status, _ := get(made.Token); status != http.StatusUnauthorized {
		t.Errorf("with a revoked token: %d", status)
	}
	call(t, "console", "token", "revoke", made.ID, "--by", "Joe", "--reason", "left", "--database-url", url).want(t, exitFailure, "not revoked yet")
	call(t, "console", "token", "list", "--database-url", url).want(t, 0, "revoked 20")
	host.signal(os.Interrupt)
	if code := host.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, host.stderr)
	}
}

func TestConsoleTokenUsage(t *testing.T) {
	tokenFor := func(more ...string) outcome {
		return call(t, append([]string{"console", "token", "make", "--by", "Joe", "--reason", "joins"}, more...)...)
	}
	tokenFor().want(t, exitUsage, "--name")
	tokenFor("--name", "a\nb").want(t, exitUsage, "--name")
	tokenFor("--name", "Ann", "--role", "root").want(t, exitUsage, `"root"`, "viewer or operator")
	tokenFor("--name", "Ann", "--days", "0").want(t, exitUsage, "1 to 400")
	tokenFor("--name", "Ann", "--days", "401").want(t, exitUsage, "1 to 400")
	call(t, "console", "token", "make", "--name", "Ann").want(t, exitUsage, "--by")
	call(t, "console", "token", "revoke", "--by", "Joe", "--reason", "left").want(t, exitUsage)
	call(t, "console", "token", "revoke", "x").want(t, exitUsage, "--by")
}

// A console that cannot be served stops the start, and says why.
func TestServeRefusesConsole(t *testing.T) {
	url := pgtest.Database(t, migrate)
	good := hostConfig(t, url)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	call(t, "serve", "--config", good, "--console", taken.Addr().String()).want(t, exitConfiguration, "--console: console.address", "in use")
	call(t, "serve", "--config", good, "--console", "0.0.0.0:8580").want(t, exitConfiguration, "console.certificate")
	broken := write(t, "meridian.yaml", readFile(t, good)+"console: {address: '127.0.0.1:0', certificate: '"+good+"', key: '"+good+"'}\n")
	call(t, "serve", "--config", broken).want(t, exitConfiguration, "console.certificate")
}
