//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// served is a `meridian serve` of its own process.
type served struct {
	command *exec.Cmd
	nac     string
	pos     string // of UnionPay terminals
	ops     string
	ended   chan struct{}
	err     error
	tail    *tail
}

const (
	startPatience = 30 * time.Second
	stopPatience  = 40 * time.Second
	// connectionsBeside what a measurement opens: its own ops requests.
	connectionsBeside = 64
)

// serve starts the host with its own configuration and waits until it is ready.
func serve(ctx context.Context, o *Options, databaseURL string, masterKey []byte) (*served, error) {
	keyFile := filepath.Join(o.Directory, "master.key")
	if err := os.WriteFile(keyFile, []byte(hex.EncodeToString(masterKey)), 0o600); err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	most := max(o.Idle, o.Connections[len(o.Connections)-1]) + connectionsBeside + 1024
	configuration := fmt.Sprintf(`database: {url: %q}
master_key_file: %q
security_module: software
listeners:
  - {name: nac, dialect: nac, address: "127.0.0.1:0", max_connections_per_address: %[3]d}
  - {name: unionpay, dialect: unionpay, address: "127.0.0.1:0", max_connections_per_address: %[3]d}
limits: {max_in_flight: 8192, max_connections: %[3]d}
admission: {concentrators: [127.0.0.0/8]}
ops: {address: "127.0.0.1:0", pprof: true}
log: {level: info, format: json}
`, databaseURL, keyFile, most)
	file := filepath.Join(o.Directory, "host.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	s := &served{ended: make(chan struct{}), tail: &tail{}}
	s.command = exec.CommandContext(ctx, o.Program, "serve", "--config", file)
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = stopPatience
	s.command.Env = append(os.Environ(), "MERIDIAN_CONFIG=")
	stderr, err := s.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start host: %w", err)
	}
	ready := make(chan map[string]string, 1)
	go func() {
		defer close(s.ended)
		s.read(stderr, ready)
		s.err = s.command.Wait()
	}()
	select {
	case addresses := <-ready:
		s.nac, s.pos, s.ops = addresses["nac"], addresses["unionpay"], "http://"+addresses["ops"]
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("the host ended: %w: %s", s.err, s.tail)
	case <-time.After(startPatience):
		_ = s.command.Process.Kill()
		return nil, fmt.Errorf("the host was not ready after %s: %s", startPatience, s.tail)
	}
}

// read follows the host's log: to its end, or the host would wait for a reader.
func (s *served) read(log io.Reader, ready chan<- map[string]string) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Message   string            `json:"msg"`
			Addresses map[string]string `json:"addresses"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Message == "ready" {
			ready <- entry.Addresses
			continue
		}
		s.tail.add(lines.Text())
	}
	_, _ = io.Copy(io.Discard, log)
}

func (s *served) pid() int { return s.command.Process.Pid }

// kill ends the host at once.
func (s *served) kill() error {
	if err := s.command.Process.Kill(); err != nil {
		return fmt.Errorf("kill host: %w", err)
	}
	<-s.ended
	return nil
}

// stop drains the host.
func (s *served) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop host: %w", err)
	}
	select {
	case <-s.ended:
	case <-time.After(stopPatience):
		_ = s.command.Process.Kill()
		return fmt.Errorf("the host did not end: %s", s.tail)
	}
	if s.err != nil {
		return fmt.Errorf("the host ended: %w: %s", s.err, s.tail)
	}
	return nil
}

// metric is the sum of a metric over its labels.
func (s *served) metric(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ops+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	var sum float64
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' '):]), 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s: %w", name, err)
		}
		sum += value
	}
	return sum, nil
}

// tail keeps the end of a log for an error.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 5

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

func lastLine(out []byte) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return string(lines[len(lines)-1])
}
