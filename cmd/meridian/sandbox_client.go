package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"meridian/sandbox"
)

const (
	// sandboxConnectTimeout is long for this machine, where sandboxes are. The answer itself may take as long as the
	// cutovers that a moved clock has gone past.
	sandboxConnectTimeout = 5 * time.Second
	// maxSandboxAnswer is far more than an answer or an error takes.
	maxSandboxAnswer = 1 << 20
)

// sandboxFlags say which running sandbox is meant.
type sandboxFlags struct{ dataDir, ops string }

// find returns the sandbox that was meant.
func (f *sandboxFlags) find() (*sandbox.Manifest, error) {
	if f.ops != "" {
		return &sandbox.Manifest{Addresses: sandbox.Addresses{Ops: f.ops}}, nil
	}
	running, err := sandbox.ReadManifest(f.dataDir)
	if errors.Is(err, sandbox.ErrNotRunning) {
		return nil, withExit(exitUnreachable, fmt.Errorf("%w (meridian sandbox starts one; --data-dir names another directory)", err))
	}
	if err != nil {
		return nil, withExit(exitConfiguration, err)
	}
	return running, nil
}

// control is something that a running sandbox has behind its ops address, and a production host has not.
type control struct {
	path string
	what string // such as "the clock"
	// missing is what a host without it is told.
	missing string
}

// ask reads what a sandbox has, or changes it first; a nil change only reads.
func (c control) ask(ctx context.Context, ops string, change, into any) error {
	method, body := http.MethodGet, []byte(nil)
	if change != nil {
		var err error
		if body, err = json.Marshal(change); err != nil {
			return fmt.Errorf("change %s: %w", c.what, err)
		}
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(ops, "/")+c.path, bytes.NewReader(body))
	if err != nil {
		return usagef("%q is no ops address, such as %s", ops, "http://"+sandbox.DefaultOps)
	}
	request.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: sandboxConnectTimeout}).DialContext, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return fmt.Errorf("ask the sandbox: %w", err)
		}
		return withExit(exitUnreachable, fmt.Errorf("the sandbox does not answer: %w", err))
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxSandboxAnswer))
	if err != nil {
		return withExit(exitUnreachable, fmt.Errorf("read %s: %w", c.what, err))
	}
	return c.read(response.StatusCode, answer, into)
}

func (c control) read(status int, answer []byte, into any) error {
	text := strings.TrimSpace(printable(strings.TrimSpace(string(answer))))
	switch status {
	case http.StatusOK:
	case http.StatusNotFound:
		return withExit(exitConfiguration, errors.New(c.missing))
	case http.StatusBadRequest:
		return usagef("the sandbox refuses: %s", text)
	default:
		return fmt.Errorf("change %s: %s", c.what, text)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read %s: %w", c.what, err)
	}
	return nil
}
