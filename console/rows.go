package console

import (
	"sync"

	"meridian/host"
)

// rowCache renders a message once, however many people watch.
type rowCache struct {
	mu   sync.Mutex
	kept [rowsKept]renderedRow // message n at n % rowsKept
}

type renderedRow struct {
	of   *host.Passed
	html []byte
}

// rowsKept is what viewers of one stream are apart: a few messages.
const rowsKept = 64

func (c *rowCache) of(p *host.Passed, render func(*host.Passed) ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	row := &c.kept[p.Number%rowsKept]
	if row.of == p {
		return row.html, nil
	}
	html, err := render(p)
	if err != nil {
		return nil, err
	}
	*row = renderedRow{p, html}
	return html, nil
}
