package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
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
	return s.write(append(appendData([]byte("event: "+event+"\n"), data), '\n'))
}

// appendData appends lines of text as an event has them.
func appendData(to, text []byte) []byte {
	for line := range bytes.Lines(text) {
		to = append(to, "data: "...)
		to = append(to, bytes.TrimRight(line, "\r\n")...)
		to = append(to, '\n')
	}
	return to
}

// write sends whole events.
func (s *stream) write(events []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return fmt.Errorf("bound an event: %w", err)
	}
	if _, err := s.w.Write(events); err != nil {
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
	s, lookedUp := newStream(w), time.Now()
	for {
		next := c.meter.next()
		if !c.mayWatch(r, &lookedUp) {
			return
		}
		if len(c.meter.kept()) > 0 { // else the first look is under way
			part, err := c.livePart.of(next, c.renderLive)
			if err != nil {
				c.log.Error("cannot render the overview's live part", "error", err)
				return
			}
			if s.send("live", part) != nil {
				return // the viewer is gone
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}

func (c *Console) renderLive() ([]byte, error) {
	live := c.live()
	var b bytes.Buffer
	if err := c.pages.part(&b, "overview.html", "live", &live); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// partCache renders what is shown between two looks at the metrics once, however
// many people watch.
type partCache struct {
	mu   sync.Mutex
	upTo <-chan struct{} // closed by the look that ends it
	html []byte
}

func (c *partCache) of(upTo <-chan struct{}, render func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.upTo == upTo && c.html != nil {
		return c.html, nil
	}
	html, err := render()
	if err != nil {
		return nil, err
	}
	c.upTo, c.html = upTo, html
	return html, nil
}
