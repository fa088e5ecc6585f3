package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// eventTimeout is how long one event may take to leave: a viewer that does not
	// read is dropped.
	eventTimeout = 5 * time.Second
	// streamLife ends a stream now and then; the browser comes back for a new one.
	streamLife = 15 * time.Minute
)

// stream writes server-sent events to one viewer.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // a proxy in between passes events on at once
	return &stream{w: w, control: http.NewResponseController(w)}
}

// send writes one event; its data may have lines. An error ends the stream.
func (s *stream) send(event string, data []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return fmt.Errorf("bound an event: %w", err)
	}
	var b bytes.Buffer
	b.WriteString("event: " + event + "\n")
	for line := range bytes.Lines(data) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return nil
}

// overviewStream sends the overview's live part after every look at the metrics.
func (c *Console) overviewStream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	s := newStream(w)
	for {
		next := c.meter.next()
		live := c.live()
		var b bytes.Buffer
		if err := c.pages.part(&b, "overview.html", "live", &live); err != nil {
			c.log.Error("cannot render the overview's live part", "error", err)
			return
		}
		if s.send("live", b.Bytes()) != nil {
			return // the viewer is gone
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}
