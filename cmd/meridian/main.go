package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // cutoffs are in zones, also on machines that have no zone data
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without the process around it. It returns the exit code.
func run(arguments, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal(context.Background(), stderr)
	defer stop()
	g := &globals{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	return execute(ctx, g, newRootCommand(g), arguments)
}

// errInterrupted is why a command's context ended when a signal asked for it.
var errInterrupted = errors.New("interrupted")

// sameSignal is how long after the first signal another one is still the same: GNU timeout signals its child and the
// group, a terminal and a supervisor may both signal, and nobody who asks twice is as fast as they are.
const sameSignal = time.Second

// untilSignal returns a context that the first signal to stop ends. One that comes later than the same signal does ends the
// process at once: the default action would do the same, except for the first process of a container, for which it does nothing.
func untilSignal(parent context.Context, stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup asks for it to be ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	finished := make(chan struct{})
	go awaitSignals(signals, finished, func() { cancel(errInterrupted) }, func() {
		_, _ = io.WriteString(stderr, "meridian: asked twice to stop, ending at once\n")
		os.Exit(exitFailure)
	})
	return ctx, func() {
		signal.Stop(signals)
		close(finished)
		cancel(nil)
	}
}

// awaitSignals calls first for the first signal and second for the first one that is not the same any more.
func awaitSignals(signals <-chan os.Signal, finished <-chan struct{}, first, second func()) {
	var asked time.Time
	for {
		select {
		case <-finished:
			return
		case <-signals:
		}
		switch {
		case asked.IsZero():
			asked = time.Now()
			first()
		case time.Since(asked) >= sameSignal:
			second()
			return
		}
	}
}
