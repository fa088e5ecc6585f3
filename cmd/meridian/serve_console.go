package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/console"
	"meridian/docs"
	"meridian/host"
	"meridian/host/node"
	"meridian/internal/config"
)

// servedConsole is the web console beside a running host.
type servedConsole struct {
	pool   *pgxpool.Pool
	pages  *console.Console
	server *console.Server
}

func (s *servedConsole) close() {
	s.server.Close()
	s.pages.Close()
	s.pool.Close()
}

// startConsole serves the console to those with a token.
func startConsole(ctx context.Context, loaded *config.Loaded, running *node.Node, tap *host.Tap, log *slog.Logger) (*servedConsole, error) {
	identity, err := consoleTLS(loaded, log)
	if err != nil {
		return nil, err
	}
	pool, err := console.OpenPool(ctx, loaded.Config.Database.URL.Reveal())
	if err != nil {
		return nil, databaseError(err)
	}
	pages, err := console.New(console.Options{
		Pool: pool, Directory: running.Switch().Directory, Metrics: running.Metrics(), Tap: tap, Documents: docs.Files, Version: version, Logger: log,
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	server, err := console.Listen(ctx, console.ServerOptions{Address: loaded.Config.Console.Address, TLS: identity, Handler: pages, Logger: log})
	if err != nil {
		pages.Close()
		pool.Close()
		return nil, wrongSetting(loaded, "console.address", err.Error())
	}
	return &servedConsole{pool: pool, pages: pages, server: server}, nil
}

// consoleTLS reads the console's certificate, or returns nil for a console on this machine alone.
func consoleTLS(loaded *config.Loaded, log *slog.Logger) (*tls.Config, error) {
	c := loaded.Config.Console
	if c.Certificate == "" {
		return nil, nil //nolint:nilnil // no certificate is no TLS
	}
	files := host.TLSFiles{
		Certificate: c.Certificate, Key: c.Key,
		ReloadFailed: func(err error) {
			log.Error("changed certificate files of the console cannot be used, the previous ones stay", "error", err)
		},
	}
	identity, err := files.Config()
	if err != nil {
		return nil, wrongSetting(loaded, "console.certificate", err.Error())
	}
	return identity, nil
}

// checkConsole tells whether the console could start, as far as that can be told without a database.
func checkConsole(loaded *config.Loaded) error {
	if loaded.Config.Console.Address == "" {
		return nil
	}
	if _, err := consoleTLS(loaded, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if _, err := net.ResolveTCPAddr("tcp", loaded.Config.Console.Address); err != nil {
		return wrongSetting(loaded, "console.address", fmt.Sprint(err))
	}
	return nil
}
