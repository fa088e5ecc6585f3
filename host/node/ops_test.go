package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Profiles name functions and arguments: they are served to those who asked for
// them in the configuration. Everything else is always there.
func TestOpsAddress(t *testing.T) {
	for _, profiles := range []bool{false, true} {
		registry := prometheus.NewRegistry()
		registerBuild(registry, "1.2.3")
		ready := func(context.Context) []check { return []check{{Name: "database", Error: "cannot be reached"}} }
		o, err := startOps(t.Context(), Config{OpsAddress: "127.0.0.1:0", PProf: profiles}, registry, ready, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(o.close)
		profile := map[bool]int{false: http.StatusNotFound, true: http.StatusOK}[profiles]
		for _, c := range []struct {
			method, path string
			status       int
			says         string
		}{
			{http.MethodGet, "/metrics", http.StatusOK, `meridian_build_info{go=`},
			{http.MethodGet, "/livez", http.StatusOK, "ok"}, // the process lives, though its database is away
			{http.MethodGet, "/readyz", http.StatusServiceUnavailable, "Service Unavailable"},
			{http.MethodGet, "/readyz?verbose", http.StatusServiceUnavailable, "cannot be reached"},
			{http.MethodPost, "/metrics", http.StatusMethodNotAllowed, ""},
			{http.MethodGet, "/debug/pprof/", profile, ""},
			{http.MethodGet, "/debug/pprof/goroutine?debug=1", profile, ""},
			{http.MethodGet, "/debug/pprof/cmdline", profile, ""},
			{http.MethodGet, "/", http.StatusNotFound, ""},
		} {
			if status, body := request(t, c.method, "http://"+o.addr+c.path); status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("pprof %t: %s %s: %d %q, want %d and %q", profiles, c.method, c.path, status, body, c.status, c.says)
			}
		}
	}
}

func request(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// A scraper that asks and does not read is given up, and so is one that does not
// come to the end of what it asks.
func TestOpsAnswersDoNotWait(t *testing.T) {
	const within = 50 * time.Millisecond
	failed := make(chan error, 1)
	server := httptest.NewServer(written(within, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for part := make([]byte, 1<<20); ; {
			if _, err := w.Write(part); err != nil {
				failed <- err
				return
			}
		}
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: ops\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an answer that nobody reads ended with %v", err)
	}
	o, err := startOps(t.Context(), Config{OpsAddress: "127.0.0.1:0"}, prometheus.NewRegistry(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if s := o.server; s.ReadTimeout == 0 || s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("the ops address has no bounds: %+v", s)
	}
}
