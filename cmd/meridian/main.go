package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
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

// untilSignal returns a context that the first signal to stop ends. The second one ends the process at once: the default
// action would do the same, except for the first process of a container, for which it does nothing.
func untilSignal(parent context.Context, stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup asks for it to be ignored
		signal.Notify(signals, syscall.SIGHUP)
	}
	finished := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-finished:
			return
		}
		select {
		case <-signals:
			_, _ = io.WriteString(stderr, "meridian: asked twice to stop, ending at once\n")
			os.Exit(exitFailure)
		case <-finished:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(finished)
		cancel(nil)
	}
}
