package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds one look at everything readiness depends on.
const readyTimeout = 2 * time.Second

const (
	// opsReadTimeout bounds a request: a line, a few headers, and at a sandbox a change
	// of its clock.
	opsReadTimeout = 5 * time.Second
	// opsWriteTimeout bounds an answer that is made at once. What takes its time, as a
	// profile does or a clock that passes cutoffs, has no such bound.
	opsWriteTimeout = 30 * time.Second
	// opsHeaderBytes is far more than a scraper or a probe sends.
	opsHeaderBytes = 16 << 10
)

// check is one thing that readiness depends on.
type check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Detail of what is in order.
	Detail string `json:"detail,omitempty"`
}

type readiness struct {
	Ready  bool    `json:"ready"`
	Checks []check `json:"checks"`
}

// ops serves /metrics, /livez and /readyz.
type ops struct {
	addr   string
	server *http.Server
	ready  func(context.Context) []check
}

func startOps(
	ctx context.Context, cfg Config, registry *prometheus.Registry, ready func(context.Context) []check, log *slog.Logger,
) (*ops, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", cfg.OpsAddress)
	if err != nil {
		return nil, fmt.Errorf("ops address: %w", err)
	}
	o := &ops{addr: listener.Addr().String(), ready: ready}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", written(opsWriteTimeout, promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry})))
	mux.Handle("GET /livez", written(opsWriteTimeout, http.HandlerFunc(o.livez)))
	mux.Handle("GET /readyz", written(opsWriteTimeout, http.HandlerFunc(o.readyz)))
	for path, handler := range cfg.OpsHandlers {
		mux.Handle(path, handler)
	}
	if cfg.PProf {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	o.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: opsReadTimeout, ReadTimeout: opsReadTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: opsHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := o.server.Serve(listener); err != nil && err != http.ErrServerClosed {
			log.Error("ops address ended", "error", err)
		}
	}()
	return o, nil
}

// written gives up on who takes longer than that to read an answer.
func written(within time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The next request of the connection begins without one.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within)); err != nil {
			http.Error(w, "no bound for the answer", http.StatusInternalServerError)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// livez: the process works. It does not depend on the database: restarting a
// host does not bring a database back.
func (o *ops) livez(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, "ok")
}

// readyz: the host can approve. ?verbose lists what it looked at.
func (o *ops) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	checks := o.ready(ctx)
	status := http.StatusOK
	for _, c := range checks {
		if !c.OK {
			status = http.StatusServiceUnavailable
		}
	}
	if !r.URL.Query().Has("verbose") {
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, http.StatusText(status))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(readiness{Ready: status == http.StatusOK, Checks: checks}) //nolint:errchkjson // the peer went away
}

func (o *ops) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := o.server.Shutdown(ctx); err != nil {
		_ = o.server.Close()
	}
}
