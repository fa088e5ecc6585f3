//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	// Ports are taken from below the ranges that kernels give to outgoing
	// connections (Linux from 32768, others from 49152). A client that keeps
	// calling a stopped server on a port in such a range in the end is given that
	// very port as its own, connects to itself, and keeps the server from coming
	// back.
	firstPort = 20000
	lastPort  = 31999

	// portAttempts bounds the search: so many taken ports in a row mean that
	// something other than the ports is wrong.
	portAttempts = 64

	loopback = "127.0.0.1"
)

func freePort(ctx context.Context) (int, error) {
	var err error

	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if err = portFree(ctx, port); err == nil {
			return port, nil
		}
	}

	return 0, fmt.Errorf("find a free port: %w", err)
}

// portFree tries the port as the server will: it may be free here and taken
// when the server gets there, which Start notices and chooses again.
func portFree(ctx context.Context, port int) error {
	var config net.ListenConfig

	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("try port %d: %w", port, err)
	}

	return listener.Close()
}

// choosePort returns the remembered port, or another one, and remembers it, when
// there is none or it is taken.
func (p *place) choosePort(ctx context.Context) (int, error) {
	port, err := readInt(p.file("port"))
	if err != nil {
		return 0, fmt.Errorf("read the port: %w", err)
	}

	if port > 0 && port <= 65535 && portFree(ctx, port) == nil {
		return port, nil
	}

	return p.changePort(ctx)
}

func (p *place) changePort(ctx context.Context) (int, error) {
	port, err := freePort(ctx)
	if err != nil {
		return 0, err
	}

	return port, errors.Join(p.write("port", strconv.Itoa(port)+"\n"))
}
