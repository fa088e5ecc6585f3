package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"meridian/internal/card"
	"meridian/internal/config"
)

// newLogger returns the log that a configuration asks for, written to w.
func newLogger(w io.Writer, settings config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.Level)); err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("log.level: %w", err))
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutCards}
	if settings.Format == "text" || settings.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
}

// withoutCards masks card numbers in texts and errors of a line. What handles cards has types that mask themselves; errors of
// libraries and of the database, and texts of peers, do not.
func withoutCards(_ []string, a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(card.MaskDigits(value))
	case error:
		if text := value.Error(); card.MaskDigits(text) != text {
			a.Value = slog.StringValue(card.MaskDigits(text))
		}
	}
	return a
}

// isTerminal tells whether a person reads what is written. A character device that is none, such as /dev/null, has no
// reader whom the form would matter to.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
