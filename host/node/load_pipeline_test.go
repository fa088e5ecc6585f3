package node_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"meridian/internal/loadgen"
	"meridian/internal/pglocal/pgtest"
)

const (
	// mostGoroutines is what a node and two busy connections need; a goroutine
	// for each request would be two hundred times as many.
	mostGoroutines = 200
	// mostHeapBytes leaves room for the tests' own calls and answers.
	mostHeapBytes = 256 << 20
)

// TestLoadPipeline sends 8,000 sales, or 20,000 with MERIDIAN_TEST_SOAK set, down one
// connection of each dialect without waiting for an answer. Goroutines and memory are bounded, answers
// come in order, and every sale is approved once.
func TestLoadPipeline(t *testing.T) {
	pipelined := 8_000
	if os.Getenv("MERIDIAN_TEST_SOAK") != "" {
		pipelined = 20_000
	}
	w := newWorld(t, pgtest.Durable())
	h := w.start()
	crowd := w.terminals(h, tillsPerShop+2, false)
	peak := watchPeak()
	var both sync.WaitGroup
	both.Go(func() { crowd[0].pipeline(pipelined) })              // NAC, at the first shop
	both.Go(func() { crowd[tillsPerShop+1].pipeline(pipelined) }) // ASCII, at the second
	both.Wait()
	goroutines, heapBytes := peak()
	t.Logf("at most %d goroutines and %d MiB of heap", goroutines, heapBytes>>20)
	if goroutines > mostGoroutines {
		t.Errorf("%d goroutines, want at most %d", goroutines, mostGoroutines)
	}
	if heapBytes > mostHeapBytes {
		t.Errorf("%d bytes of heap, want at most %d", heapBytes, mostHeapBytes)
	}
	h.wantSound()
	closeAll(crowd)
	h.stop()
	w.wantSoundBooks()
}

// pipeline sends sales on one line as fast as the host takes them, and looks at
// their answers as they come.
func (t *terminal) pipeline(count int) {
	calls := make(chan *loadgen.Call, count)
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		defer close(calls)
		for i := range count {
			call, err := t.send(0, t.sale(i%cardCount, 1).request)
			if err != nil {
				t.w.t.Error(err)
				return
			}
			calls <- call
		}
	})
	for call := range calls {
		answer, err := t.await(call)
		stan := call.Sent + 1
		switch {
		case err != nil:
			t.w.t.Errorf("request %d: %v", call.Sent, err)
			return
		case answer.Code() != "00" || answer.Field(11) != fmt.Sprintf("%06d", stan):
			t.w.t.Errorf("request %d was answered %+v", call.Sent, answer)
			return
		case call.Answered != call.Sent:
			t.w.t.Errorf("request %d was answered as number %d", call.Sent, call.Answered)
			return
		}
		if err := t.w.book.approve(approval{t.till.tid, stan, false}, answer.Field(37)); err != nil {
			t.w.t.Error(err)
		}
		t.w.book.move(call.Sent%cardCount, -1, 0)
	}
}

// watchPeak samples goroutines and heap until the function it returns is called.
func watchPeak() func() (goroutines int, heapBytes uint64) {
	// Parsing the migrations takes 4 MiB for each line of them, and under the race detector a gigabyte in all: what a
	// collection meets of that while it runs stands until the next one, which then is due at twice as much.
	runtime.GC()
	stop, stopped := make(chan struct{}), make(chan struct{})
	var goroutines int
	var heapBytes uint64
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			goroutines, heapBytes = max(goroutines, runtime.NumGoroutine()), max(heapBytes, m.HeapAlloc)
		}
	}()
	return func() (int, uint64) {
		close(stop)
		<-stopped
		return goroutines, heapBytes
	}
}
