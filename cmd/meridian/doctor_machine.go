package main

import (
	"context"
	"net"
	"strings"
	"syscall"

	"meridian/internal/config"
)

// ownFiles is what a host has open beside connections: standard streams, listeners, the runtime's poller, certificates
// that are read again.
const ownFiles = 64

// examineOpenFiles compares the limit of open files with what a host may open at its own limits.
func examineOpenFiles(e *examination, c config.Config) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		e.warnf("open files", "", "the limit cannot be read: %s", err)
		return
	}
	// Go raises the soft limit to the hard one when it starts, so this is the limit that a host would have.
	need := uint64(c.Limits.MaxConnections) + uint64(c.Database.MaxConnections) + ownFiles
	if limit.Cur < need {
		e.failf(exitFailure, "open files", "raise it (ulimit -n, LimitNOFILE=), or lower limits.max_connections",
			"%d are allowed, and a host at its limits needs %d", limit.Cur, need)
		return
	}
	e.okf("open files", "%d are allowed, and a host at its limits needs %d", limit.Cur, need)
}

// examinePorts looks whether the configured addresses can be listened on.
func examinePorts(ctx context.Context, e *examination, c config.Config) {
	if len(c.Listeners) == 0 {
		e.warnf("listeners", "configure at least one: meridian config example shows how", "there is none, and serve needs one")
		return
	}
	var addresses, taken []string
	for _, l := range c.Listeners {
		addresses = append(addresses, l.Address)
	}
	if c.Ops.Address != "" {
		addresses = append(addresses, c.Ops.Address)
	}
	if c.Console.Address != "" {
		addresses = append(addresses, c.Console.Address)
	}
	for _, address := range addresses {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			taken = append(taken, err.Error())
			continue
		}
		if err := listener.Close(); err != nil {
			taken = append(taken, err.Error())
		}
	}
	if len(taken) > 0 {
		e.warnf("ports", "that is as it should be while a host runs here; otherwise another program has them",
			"%s", strings.Join(taken, "; "))
		return
	}
	e.okf("ports", "%s are free", strings.Join(addresses, ", "))
}
