package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"meridian/internal/config"
)

// newLogger returns the log that a configuration asks for, written to w.
func newLogger(w io.Writer, settings config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.Level)); err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("log.level: %w", err))
	}
	options := &slog.HandlerOptions{Level: level}
	if settings.Format == "text" || settings.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
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
