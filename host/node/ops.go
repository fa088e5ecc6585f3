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
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	mux.HandleFunc("GET /livez", o.livez)
	mux.HandleFunc("GET /readyz", o.readyz)
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
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := o.server.Serve(listener); err != nil && err != http.ErrServerClosed {
			log.Error("ops address ended", "error", err)
		}
	}()
	return o, nil
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
