//go:build unix

package pglocal

import (
	"bytes"
	"strings"
	"sync"
)

// maxTailBytes is what an error quotes of a program's output: some twenty lines.
const maxTailBytes = 2 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	data []byte
	cut  bool // something before data is gone
}

func newTail() *tail { return &tail{} }

// Write implements io.Writer; it always takes everything.
func (t *tail) Write(data []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.data = append(t.data, data...)
	if extra := len(t.data) - maxTailBytes; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
		t.cut = true
	}

	return len(data), nil
}

// last is the end of the output, in whole lines.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	data := t.data
	if t.cut {
		if _, rest, found := bytes.Cut(data, []byte("\n")); found {
			data = rest
		}
	}

	return strings.TrimSpace(string(data))
}
