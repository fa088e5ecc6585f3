//go:build !race

package host

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// An idle connection costs a goroutine and a socket, no buffers: at most 16 KiB
// of memory, the test's own end of it included. (Not under the race detector,
// which has memory of its own per goroutine.)
func TestIdleConnectionIsSmall(t *testing.T) {
	const connections, limitBytes = 400, 16 << 10
	r, addr := start(t, echo)
	warm := dial(t, addr)
	warm.send("so that everything lazily made is there")
	warm.receive()

	before := memoryInUse()
	goroutines := runtime.NumGoroutine()
	var open []net.Conn
	for range connections {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	// Each has been used, so that what traffic leaves behind counts too.
	p := &peer{t: t, framing: testFraming}
	request := p.frames("hello")
	answer := make([]byte, len(request))
	for _, c := range open {
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	soon(t, "all connections are cold", func() bool {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		for s := range r.server.sessions {
			s.mu.Lock()
			cold := time.Until(s.readDeadline) > 2*warmWait
			s.mu.Unlock()
			if !cold {
				return false
			}
		}
		return true
	})
	if got := runtime.NumGoroutine() - goroutines; got > connections {
		t.Errorf("%d goroutines for %d idle connections", got, connections)
	}
	used := (memoryInUse() - before) / connections
	t.Logf("%d bytes per idle connection, client end included", used)
	if used > limitBytes {
		t.Errorf("%d bytes per idle connection, want at most %d", used, limitBytes)
	}
}

// memoryInUse is heap and stacks after a collection.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC() // the first one only moves pools to their victim cache
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
