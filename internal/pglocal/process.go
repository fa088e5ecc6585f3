//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one run of the server, from start to end.
type process struct {
	pid     int
	output  *tail
	ended   chan struct{} // the postmaster has ended
	gone    chan struct{} // and so has everything it started
	failed  chan struct{} // it ended without being asked to
	asked   atomic.Bool   // somebody wants it to end
	outcome error         // how it ended; valid once ended is closed
}

// launch starts the postmaster. Its log comes through a pipe of which it and its
// children hold the other end: the end of the pipe is the end of the last of them.
func launch(bin Binaries, p *place) (*process, error) {
	log, err := openLog(p.file("log"), p.uid, p.gid)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}

	reader, writer, err := os.Pipe()
	if err != nil {
		log.close()
		return nil, fmt.Errorf("make a pipe for the server's log: %w", err)
	}

	cmd := exec.Command(bin.postgres(), "-D", p.cluster) //nolint:noctx // it lives until Stop
	cmd.Dir = p.cluster
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = writer, writer
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: p.runner.credential,
		// A session of its own: a Ctrl-C at our terminal is for us, and we stop
		// the server when we have finished with it.
		Setsid: true,
	}
	dieWithParent(cmd.SysProcAttr, syscall.SIGINT) // a fast shutdown

	run := &process{
		output: newTail(),
		ended:  make(chan struct{}),
		gone:   make(chan struct{}),
		failed: make(chan struct{}),
	}
	started := make(chan error)

	go run.attend(cmd, started)

	err = <-started
	_ = writer.Close()

	if err != nil {
		_ = reader.Close()
		log.close()

		return nil, fmt.Errorf("run %s: %w", bin.postgres(), err)
	}

	run.pid = cmd.Process.Pid

	go run.listen(reader, log)

	return run, nil
}

// attend starts the postmaster and waits for its end, on one thread: the kernel
// takes the end of the thread that made a child for the parent's death.
func (r *process) attend(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := cmd.Start()
	started <- err

	if err != nil {
		return
	}

	r.outcome = cmd.Wait()
	close(r.ended)

	if !r.asked.Load() {
		close(r.failed)
	}
}

func (r *process) listen(reader *os.File, log *logFile) {
	defer close(r.gone)

	log.drain(reader, r.output)
	log.close()

	_ = reader.Close()

	<-r.ended
}

// alive reports whether the postmaster has not ended.
func (r *process) alive() bool {
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// signal asks for something; a server that has just ended needs no asking.
func (r *process) signal(signal syscall.Signal) error {
	r.asked.Store(true)

	if !r.alive() {
		return nil
	}

	if err := syscall.Kill(r.pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal the Postgres server %d: %w", r.pid, err)
	}

	return nil
}

// killTimeout bounds how long the kernel may take to end what was killed; longer
// means a process stuck in a dead disk.
const killTimeout = 10 * time.Second

// kill ends the server and everything it started at once, and waits until they
// are gone.
func (r *process) kill() error {
	r.asked.Store(true)

	// Listed before the postmaster dies, while they still name it as their
	// parent. Killed after it, lest it starts them anew. One that was born in
	// between ends by itself: a backend watches its postmaster.
	orphans := children(context.Background(), r.pid)

	if err := r.signal(syscall.SIGKILL); err != nil {
		return err
	}

	for _, pid := range orphans {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill the Postgres process %d: %w", pid, err)
		}
	}

	select {
	case <-r.gone:
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("the Postgres server %d was killed and has not ended", r.pid)
	}
}

// immediateTimeout is how long an immediate shutdown may take before the server
// is killed.
const immediateTimeout = 5 * time.Second

// stop asks for a fast shutdown and waits. When ctx ends first, the server is
// ended without a checkpoint: nothing is lost, the next start replays the log.
func (r *process) stop(ctx context.Context) error {
	if err := r.signal(syscall.SIGINT); err != nil {
		return err
	}

	select {
	case <-r.gone:
		return nil
	case <-ctx.Done():
	}

	if err := r.end(); err != nil {
		return err
	}

	return fmt.Errorf("the Postgres server %d was ended without a clean shutdown: %w", r.pid, ctx.Err())
}

// end asks for an immediate shutdown, which gives back what the server holds of
// the machine but writes nothing, and waits.
func (r *process) end() error {
	if err := r.signal(syscall.SIGQUIT); err != nil {
		return err
	}

	select {
	case <-r.gone:
		return nil
	case <-time.After(immediateTimeout):
		return r.kill()
	}
}
