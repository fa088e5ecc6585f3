package host

import (
	"context"
	"testing"
)

func TestEcho(t *testing.T) {
	r, addr := start(t, echo)
	p := dial(t, addr)
	p.send("one")
	p.expect("one")
	p.send("two", "three")
	p.expect("two", "three")
	_ = p.conn.Close()
	line := r.closedWith(ClosePeer)
	for name, want := range map[string]float64{
		"frames_received": 3, "frames_sent": 3, "bytes_received": 3*7 + 11, "bytes_sent": 3*7 + 11,
	} {
		if line[name] != want {
			t.Errorf("%s = %v in the log, want %v", name, line[name], want)
		}
	}
	for name, want := range map[string]float64{
		"meridian_frames_received_total":      3,
		"meridian_frames_sent_total":          3,
		"meridian_received_bytes_total":       3*7 + 11,
		"meridian_sent_bytes_total":           3*7 + 11,
		"meridian_connections_accepted_total": 1,
		"meridian_in_flight":                  0,
	} {
		if got := r.metric(name, "listener", "nac"); name != "meridian_in_flight" && got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
		if got := r.metric(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if err := r.server.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := <-r.served; err != nil {
		t.Fatalf("Serve: %v", err)
	}
}
