package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"meridian/internal/config"
)

// A card number that got into a text or an error on some way does not get into the log.
func TestLogHasNoCardNumbers(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := newLogger(&out, config.Log{Level: "info", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.With("peer", "4111 1111 1111 1111").Info("read 4111111111111111", "error", errors.New("of 4111-1111-1111-1111"),
			slog.Group("what", "track", "4111111111111111=30122010000", "rrn", "632500000121", "count", 12))
		for _, shown := range []string{"read 411111******1111", "of 411111******1111", "411111******1111=****", "632500000121", "12"} {
			if !strings.Contains(out.String(), shown) {
				t.Errorf("no %q in %s", shown, out.String())
			}
		}
		if strings.Contains(strings.NewReplacer(" ", "", "-", "").Replace(out.String()), "4111111111111111") {
			t.Errorf("a card number is in %s", out.String())
		}
	}
}
