//go:build unix

package host

import (
	"errors"
	"net"
	"syscall"
)

// direct writes to a socket without ever waiting for it, so that whoever has an
// answer can write it himself. It belongs to the session's writer of the moment.
type direct struct {
	socket syscall.RawConn
	try    func(fd uintptr) bool // d.write, made once
	left   []byte
}

// newDirect returns nil for what is no socket.
func newDirect(conn net.Conn) *direct {
	has, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	socket, err := has.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{socket: socket}
	d.try = d.write
	return d
}

// writeSome writes what the socket takes at once and returns what it does not. A
// socket that is closed or broken takes nothing: a write that waits says why.
func (d *direct) writeSome(b []byte) (left []byte) {
	d.left = b
	_ = d.socket.Write(d.try) // see above
	left, d.left = d.left, nil
	return left
}

// write never asks to be called again: that would be waiting.
func (d *direct) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.left)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if n > 0 {
			d.left = d.left[n:]
		}
		return true
	}
}
