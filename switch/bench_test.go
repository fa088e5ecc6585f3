package switching_test

import (
	"sync"
	"testing"

	"meridian/switch"
)

// BenchmarkSales is the ledger path in process: units of work without sockets,
// with 64 requests under way.
func BenchmarkSales(b *testing.B) {
	w := newWorld(b)
	requests := make([]*switching.Request, b.N)
	for i := range requests {
		requests[i] = w.request(switching.KindSale, 1, withCard(i%10))
		if i%2 == 1 {
			at(kiosk, booth)(requests[i])
		}
	}
	var waiting sync.WaitGroup
	underWay := make(chan struct{}, 64)
	b.ResetTimer()
	for _, r := range requests {
		underWay <- struct{}{}
		waiting.Add(1)
		w.sw.Submit(r, func(resp switching.Response) {
			if !resp.Approved() {
				b.Errorf("answered %s", resp.Reason)
			}
			<-underWay
			waiting.Done()
		})
	}
	waiting.Wait()
}
